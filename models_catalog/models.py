"""Registered models and their immutable versions."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast, Coalesce, Greatest
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop, pgettext
from django.utils.translation import gettext_lazy as _

from core import clock, encryption, markdown
from core.aws import OF_SETTINGS, BucketFacts
from core.badges import Badge
from core.guarded import GuardedManager
from core.lease import Leased, LeaseQuerySet
from core.links import link
from core.natural import by_name, natural_key
from core.sentences import Sentence
from models_catalog import packing
from models_catalog import tags as tags_of
from models_catalog.found_by import folded, numbers_of, text_of
from models_catalog.hidden import Hidden
from models_catalog.measured import IsNumber, NumberOf
from models_catalog.metadata import Plain
from models_catalog.noted import Noted

# A part of the S3 key, and so of TargetModel: what needs no escaping anywhere.
# Browsers read it too (forms.py), and want the hyphen escaped.
NAME_LENGTH = 63
REASON_LENGTH = 500  # of why somebody asks for a change: of an alias, and of an endpoint
DESCRIPTION_LENGTH = 10_000
NAME_PATTERN = rf"[a-z0-9](?:[a-z0-9._\-]{{0,{NAME_LENGTH - 2}}}[a-z0-9])?"
NAME_RULE = _(
    "Use 1 to 63 small letters, digits, dots, hyphens and underscores; begin and end with a letter "
    "or digit."
)
# Addresses below /models/ that are no model's.
RESERVED_NAMES = {"new"}
matches_pattern = RegexValidator(rf"^{NAME_PATTERN}$", NAME_RULE)


def valid_name(name: str) -> None:
    """Raise ValidationError, with what is wrong, for what cannot be a model's name."""
    matches_pattern(name)
    if name in RESERVED_NAMES:
        raise ValidationError(
            gettext("The name %(name)s is reserved; choose another one.") % {"name": name}
        )


# Of every model, once somebody has made a version live; plain `digits` is that version then.
LIVE = "live"
# What a plain name may be taken for: an alias of that name would move by nobody's will, or seem to.
RESERVED_ALIASES = {"latest", "newest"}
ALIAS_RULE = _(
    "Use 1 to 63 small letters, digits, dots, hyphens and underscores; begin and end with a letter "
    "or digit. It must not look like a number of a version."
)
_LIKE_A_NUMBER = re.compile(r"v?[0-9]+")
_alias_pattern = RegexValidator(rf"^{NAME_PATTERN}$", ALIAS_RULE)


def valid_alias(name: str) -> None:
    """Raise ValidationError, with what is wrong, for what cannot be an alias."""
    _alias_pattern(name)
    if _LIKE_A_NUMBER.fullmatch(name):
        raise ValidationError(ALIAS_RULE)
    if name in RESERVED_ALIASES:
        raise ValidationError(
            gettext("The name %(name)s is reserved; choose another one.") % {"name": name}
        )


def name_taken(name: str) -> str:
    """What is said wherever a model of this name exists: before an upload, and after a race."""
    return gettext(
        "There is a model %(name)s already. To add a version to it, upload on its own page."
    ) % {"name": name}


BUCKET_RULE = _(
    "Use 3 to 63 small letters, digits, dots and hyphens; begin and end with a letter or digit."
)
STORE_PREFIX_RULE = _(
    "Use letters, digits and ! - _ . * ' ( ), with single slashes between; nothing else can be in "
    "the address of a store."
)
REGION_RULE = _("Write it as AWS does, as ap-northeast-2.")
_bucket_name = RegexValidator(r"^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]\Z", BUCKET_RULE)
_store_prefix = RegexValidator(
    r"^[A-Za-z0-9!_.*'()\-]+(?:/[A-Za-z0-9!_.*'()\-]+)*\Z", STORE_PREFIX_RULE
)
_region_name = RegexValidator(r"^[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}\Z", REGION_RULE)


# Of the store that the settings name.
DEFAULT_STORE = "default"


class StoreQuerySet(models.QuerySet["Store"]):
    """The questions that are asked of the stores; the default one may have no row."""

    def without(self, hidden: Hidden) -> Self:
        """Leave the hidden ones out."""
        return self.exclude(pk__in=hidden.stores)

    def added(self) -> Self:
        """Those that somebody added, by name."""
        return self.exclude(name=DEFAULT_STORE).order_by(*by_name("name"))

    def default(self) -> "Store":
        """The store of the settings; not saved where it has no row yet."""
        found = self.filter(name=DEFAULT_STORE).first() or Store(name=DEFAULT_STORE)
        return found.as_set()

    def facts_of(self, bucket: str) -> BucketFacts:
        """Region and encryption of a bucket: all stores in it have the same ones."""
        if bucket == settings.MODEL_BUCKET:
            return OF_SETTINGS
        rows = Store._base_manager.filter(bucket=bucket)
        found = rows.values_list("region", "encryption", "kms_key_id").first()
        return OF_SETTINGS if found is None else BucketFacts(*found)


class Store(models.Model):
    """A bucket and a prefix: SageMaker's ModelDataUrl, with its region and encryption.

    A store's place never changes, but for that of the default one, which is where the settings say:
    the columns of its row are empty, and it has one only to keep what is known of it (`as_set`).
    """

    class Encryption(models.TextChoices):
        """How S3 encrypts what the portal writes there; the values are those of S3_ENCRYPTION."""

        BUCKET = encryption.Encryption.BUCKET.value, _("As the bucket says")
        SSE_S3 = encryption.Encryption.SSE_S3.value, _("SSE-S3")
        SSE_KMS = encryption.Encryption.SSE_KMS.value, _("SSE-KMS")

    name = models.CharField(max_length=NAME_LENGTH, unique=True, validators=[matches_pattern])
    bucket = models.CharField(max_length=63, validators=[_bucket_name])
    prefix = models.CharField(max_length=400, blank=True, validators=[_store_prefix])
    region = models.CharField(max_length=32, validators=[_region_name])
    encryption = models.CharField(
        max_length=10, choices=Encryption, blank=True, default=Encryption.BUCKET
    )
    kms_key_id = models.CharField(
        max_length=2048, blank=True, help_text="With sse-kms; empty: AWS's own key for S3."
    )
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    retired_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    rights = models.JSONField(default=list, help_text="What the test found (store_rights.py).")

    objects = GuardedManager.from_queryset(StoreQuerySet)()
    activity_kind = "store"

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        permissions = [("manage_stores", _("Can add, test and retire stores"))]
        constraints = [
            models.UniqueConstraint(fields=["bucket", "prefix"], name="one_store_a_place"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The store's page."""
        return reverse("models_catalog:store", args=[self.name])

    @property
    def is_default(self) -> bool:
        """Whether it is the one of the settings."""
        return self.name == DEFAULT_STORE

    @property
    def below(self) -> str:
        """What all keys of the store begin with."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def url(self) -> str:
        """Its address, as SageMaker's ModelDataUrl has it."""
        return f"s3://{self.bucket}/{self.below}"

    def as_set(self) -> "Store":
        """The store itself; the default one with what the settings say now."""
        if self.is_default:
            self.bucket, self.prefix = settings.MODEL_BUCKET, settings.MODEL_PREFIX
            self.region = settings.AWS_REGION
            self.encryption = settings.S3_ENCRYPTION
            self.kms_key_id = settings.S3_KMS_KEY_ID
        return self


class StoreGroup(models.Model):
    """A group that may see what is in a store, and with ``may_write`` change it; see secrecy.py."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="named_groups")
    group = models.ForeignKey("accounts.PeopleGroup", on_delete=models.PROTECT, related_name="+")
    may_write = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["group__name"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["store", "group"], name="one_line_a_group_of_a_store"),
        ]

    def __str__(self) -> str:
        return f"{self.store_id}: {self.group_id}"


def _hidden_models(hidden: Hidden) -> "models.QuerySet[RegisteredModel]":
    return RegisteredModel._base_manager.filter(hidden.of_store("store"))


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    """The questions that pages ask of the catalog."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those of hidden stores out."""
        return self.exclude(hidden.of_store("store"))

    def newest_first(self) -> Self:
        """Those with the newest upload first."""
        return self.annotate(last_upload=models.Max("versions__created_at")).order_by(
            models.F("last_upload").desc(nulls_last=True), "name"
        )

    def with_facts(self, *names: str) -> Self:
        """With these of `_facts`, by which lists are sorted; a column is there anyway."""
        wanted = [name for name in names if name in _FACTS]
        return self.annotate(**_facts(*wanted)) if wanted else self

    def in_list(self) -> Self:
        """With what the list of models shows of each, in any number of models by two queries.

        `_FACTS` but the count of the versions; ``said_aliases``.
        """
        few = self.only("name", "description", "tag_lines")
        shown = _facts(*(name for name in _FACTS if name != "versions_count"))
        return few.annotate(**shown).prefetch_related(_aliases_said())

    def described(self) -> Self:
        """With what the API says of each, in any number of models by two queries.

        The values of `_facts`; ``store_name``; ``latest_pk``, the newest version that is ready;
        ``is_published``, whether a version is not rejected, so that it cannot be deleted;
        ``said_aliases``.
        """
        every = Version.objects.filter(model=models.OuterRef("pk")).order_by("-number")
        return (
            self.select_related("created_by", "owner")
            .annotate(
                **_facts(*_FACTS),
                store_name=Coalesce("store__name", models.Value(DEFAULT_STORE)),
                latest_pk=models.Subquery(every.filter(state=Version.State.READY).values("pk")[:1]),
                is_published=models.Exists(every.exclude(state=Version.State.REJECTED)),
            )
            .prefetch_related(_aliases_said())
        )

    def search(self, text: str) -> Self:
        """Those that have each word of the text somewhere, or a checksum that begins with it.

        In the name, the description, a tag or an alias; in the note, the metadata, the file name or
        the labels of a version; in the name of who owns or registered the model or uploaded a
        version. More than six words are not read.
        """
        checksum = Version.objects.with_checksum(text)
        found = Q()
        for word in unicodedata.normalize("NFC", text).split()[:_MOST_WORDS]:
            # Few people, of whom each row is by one: compared by id, and not by name in each row.
            people = get_user_model().objects.filter(username__icontains=word)
            # Each in a subquery of its own: the few tables and rows that a word is in are read.
            versions = Version.objects.order_by()
            uploaded = versions.filter(created_by__in=people)
            files = LabelFile.objects.filter(_as_found("text", word))
            found &= (
                Q(created_by__in=people)
                | Q(owner__in=people)
                | Q(pk__in=SearchText.objects.filter(text__contains=folded(word)).values("model"))
                | Q(models.Exists(people), pk__in=uploaded.values("model"))
                | Q(pk__in=versions.filter(label_file__in=files).values("model"))
                | Q(pk__in=versions.with_checksum(word).values("model"))
                | Q(pk__in=Alias.objects.filter(name__icontains=word).values("model"))
            )
        return self.filter(found | Q(pk__in=checksum.values("model"))) if found else self

    def of_state(self, state: str) -> Self:
        """Those whose newest version has the state; `none`: there is no version."""
        rows = self.alias(**_facts("newest_state"))
        if state == NO_VERSION:
            return rows.filter(newest_state=None)
        if state == IN_PROGRESS:
            return rows.filter(newest_state__in=Version.UNSETTLED)
        return rows.filter(newest_state=state)

    def with_alias(self, name: str) -> Self:
        """Those that have an alias of this name."""
        return self.filter(pk__in=Alias.objects.filter(name=name).values("model"))

    def with_tag(self, tag: str) -> Self:
        """Those that have this tag, in whatever spelling."""
        return self.filter(tag_lines__contains=tags_of.framed([tags_of.normal(tag)]))

    def owned_by(self, username: str) -> Self:
        """Those whose owner this is: who was named, else who made the model."""
        return self.filter(
            Q(owner__username=username) | Q(owner=None, created_by__username=username)
        )

    def in_store(self, name: str) -> Self:
        """Those whose versions go to the store of this name."""
        return self.filter(Q(store=None) if name == DEFAULT_STORE else Q(store__name=name))

    def narrowings(self) -> dict[str, list[str]]:
        """What they can be narrowed to, by one query: each ``tag``, ``owner`` and ``alias``.

        And each ``store`` beside the default one, also where no model is in it.
        """

        def named(kind: str, rows: models.QuerySet[Any], what: Any) -> Any:
            text = models.TextField()
            kept = rows.order_by().values_list(models.Value(kind, text), Cast(what, text))
            return kept.distinct()

        aliases = Alias.objects.all()
        if self.query.where:  # else all that who reads may see, as these are
            aliases = aliases.filter(model__in=self.order_by().values("pk"))
        owning = Coalesce("owner_id", "created_by_id")
        owners = get_user_model().objects.filter(pk__in=self.order_by().values_list(owning))
        rows = named("tag", self, "tag_lines").union(
            named("owner", owners, "username"),
            named("alias", aliases, "name"),
            named("store", Store.objects.added(), "name"),
            all=True,
        )
        found: dict[str, set[str]] = {"tag": set(), "owner": set(), "alias": set(), "store": set()}
        for kind, text in rows:
            found[kind].update(tags_of.unframed(text) if kind == "tag" else [text] if text else [])
        return {kind: sorted(values, key=natural_key) for kind, values in found.items()}

    def measured(self, key: str) -> Self:
        """Those of which a ready version has a number of this key."""
        return self.filter(pk__in=VersionNumber.objects.filter(key=key).values("model"))

    def with_best(self, key: str, *, least: bool = False) -> Self:
        """The same with ``best_value``: the largest number, or with ``least`` the smallest.

        To sort by it. What else is selected is grouped by, too, and takes long.
        """
        best = models.Min if least else models.Max
        return self.filter(numbers__key=key).annotate(best_value=best("numbers__value"))

    def with_best_version(self, key: str, *, least: bool = False) -> Self:
        """With ``best_value``, as with_best() has it, and ``best_number``, the newest version that
        has it. For few models.
        """
        measured = _measured(key, least=least)
        return self.annotate(
            best_value=models.Subquery(measured.values("measured")[:1]),
            best_number=models.Subquery(measured.values("number")[:1]),
        ).filter(best_value__isnull=False)

    def called_since(self, when: datetime) -> Self:
        """Those of which a version was called then or later."""
        if _some_calls_are_hidden():
            seen = self._with_a_called_version(created_at__gte=when)
            return seen.filter(called_pk__isnull=False)
        late = _not_counted().filter(created_at__gte=when).values("version__model")
        return self.filter(Q(counted_call_at__gte=when) | Q(pk__in=late))

    def never_called(self) -> Self:
        """Those of which no version was ever called."""
        if _some_calls_are_hidden():
            return self._with_a_called_version().filter(called_pk__isnull=True)
        late = _not_counted().values("version__model")
        return self.filter(counted_call_at=None).exclude(pk__in=late)

    def keep_last_calls(self, latest: Mapping[int, datetime]) -> None:
        """Keep when models were called last, by their ids, where that is later than what is kept.

        In the transaction that counts the calls. Rows are locked in one order.
        """
        rows = self.select_for_update(no_key=True).filter(pk__in=latest).order_by("pk")
        changed = []
        for row in rows.only("counted_call_at"):
            if row.counted_call_at is None or row.counted_call_at < latest[row.pk]:
                row.counted_call_at = latest[row.pk]
                changed.append(row)
        self.bulk_update(changed, ["counted_call_at"])

    def late_calls(self) -> dict[int, datetime]:
        """The last call, by the ids of those of which it is later than what is kept."""
        kept = Coalesce("counted_call_at", models.Value(_LONG_AGO, models.DateTimeField()))
        told: Any = self.with_facts("called_at")
        return dict(told.filter(called_at__gt=kept).values_list("pk", "called_at"))

    def _with_a_called_version(self, **narrowed: Any) -> Self:
        """With ``called_pk``, some version that was called, in the conditions.

        As a value, it is looked for among the versions of each model until one is found. Of a
        condition that there is one, PostgreSQL makes a join with all versions.
        """
        return self.alias(called_pk=models.Subquery(_called_versions(**narrowed).values("pk")[:1]))


# What a list is narrowed to beside the states of a version.
NO_VERSION, IN_PROGRESS = "none", "validating"
_MOST_WORDS = 6
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _as_found(column: str, word: str) -> Q:
    """Rows with the word in a text that comes from a file, where letters may be decomposed (NFD).

    macOS writes names so, and labels are kept as the archive has them.
    """
    forms = {unicodedata.normalize(form, word) for form in ("NFC", "NFD")}
    found = Q()
    for one in sorted(forms):
        found |= Q(**{f"{column}__icontains": one})
    return found


def _calls() -> models.QuerySet[Any]:
    """The calls, which another package has: by the name that their foreign key gives them here."""
    field: Any = Version._meta.get_field("invocations")
    calls: models.QuerySet[Any] = field.related_model._default_manager.all()
    return calls


def _not_counted() -> models.QuerySet[Any]:
    """The calls that `RegisteredModel.counted_call_at` does not know yet: those of some minutes."""
    return _calls().filter(counted=False).order_by()


def _some_calls_are_hidden() -> bool:
    """Whether who reads sees some calls alone: what is kept of a model is of everybody's."""
    return bool(_calls().query.where)


def _called_versions(**narrowed: Any) -> "VersionQuerySet":
    """The versions of a model that were called; each is looked up by the index of its calls."""
    calls = _calls().filter(version=models.OuterRef("pk"), **narrowed)
    versions = Version.objects.filter(models.Exists(calls), model=models.OuterRef("pk"))
    return versions.order_by()


def _measured(key: str, *, least: bool) -> Any:
    """The ready versions of a model that have a number of this key, the best first."""
    return (
        Version.objects.filter(model=models.OuterRef("pk"), state=Version.State.READY)
        .with_number(key)
        .order_by("measured" if least else "-measured", "-number")
    )


def _owner_name() -> Coalesce:
    """The name of who owns a model, as an expression; empty where nobody is known."""
    return Coalesce("owner__username", "created_by__username", models.Value(""))


def _aliases_said() -> "models.Prefetch[str]":
    """The aliases of models as the list ``said_aliases``: a queryset for each model takes long."""
    return models.Prefetch("aliases", Alias.objects.said(), to_attr="said_aliases")


# Of each the expression is made where it is wanted, as making all takes some time.
_FACTS: "dict[str, Callable[[VersionQuerySet, VersionQuerySet], Any]]" = {
    "versions_count": lambda every, ready: Coalesce(
        models.Subquery(
            every.order_by().values("model").annotate(count=models.Count("pk")).values("count")
        ),
        0,
    ),
    "uploaded_at": lambda every, ready: Coalesce(
        # Not in the order of the next one: only this is that of an index, in PostgreSQL too.
        _of(every.order_by("-created_at"), "created_at"),
        models.F("created_at"),
    ),
    "uploaded_by": lambda every, ready: _of(_by_upload(every), "created_by__username"),
    "newest_number": lambda every, ready: Coalesce(
        _of(_wanted(every), "number"), _of(every, "number")
    ),
    "newest_state": lambda every, ready: Coalesce(
        _of(_wanted(every), "state"), _of(every, "state")
    ),
    "ready_number": lambda every, ready: Coalesce(_of(ready, "number"), 0),
    "ready_size": lambda every, ready: Coalesce(
        _of(ready, "published_size"), _of(ready, "size"), 0
    ),
    "called_at": lambda every, ready: _last_call(every),
    "owner_name": lambda every, ready: _owner_name(),
}


def _facts(*names: str) -> dict[str, Any]:
    """What is known of a model by its versions, as expressions.

    ``versions_count``; ``uploaded_at``, the last upload or else the registration, and who made
    that upload; ``newest_number`` and ``newest_state`` of the newest version that is not retired
    or deleted, or else of the newest; of the newest that is ready ``ready_number`` and
    ``ready_size``, 0 where there is none; ``called_at``, the last call, or long ago
    (`RegisteredModel.last_call`); ``owner_name``.
    """
    every = Version.objects.filter(model=models.OuterRef("pk")).order_by("-number")
    ready = every.filter(state=Version.State.READY)
    return {name: _FACTS[name](every, ready) for name in names}


def _of(rows: "VersionQuerySet", name: str) -> models.Subquery:
    return models.Subquery(rows.values(name)[:1])


def _wanted(every: "VersionQuerySet") -> "VersionQuerySet":
    return every.exclude(state__in=Version.DISCARDED)


def _by_upload(every: "VersionQuerySet") -> "VersionQuerySet":
    return every.order_by("-created_at", "-pk")


def _by_call(every: "VersionQuerySet") -> Any:
    calls = _calls().filter(version=models.OuterRef("pk")).order_by("-created_at")
    called = every.order_by().annotate(at=models.Subquery(calls.values("created_at")[:1]))
    return called.order_by(models.F("at").desc(nulls_last=True))


def _last_call(every: "VersionQuerySet") -> Any:
    """The last call of a model as an expression; or long ago.

    What is kept of it counts too, as the rows of calls go with their endpoint.
    """
    found = Coalesce(_of(_by_call(every), "at"), _LONG_AGO)
    return (
        found
        if _some_calls_are_hidden()
        else Greatest(found, Coalesce("counted_call_at", _LONG_AGO))
    )


class RegisteredModel(models.Model):
    """A registered model: a name and what it is for."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True, validators=[valid_name])
    name_key = models.TextField(
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="What it is sorted by (core/natural.py); empty: the release before made the row.",
    )
    description = models.TextField(
        blank=True, max_length=DESCRIPTION_LENGTH, help_text="In Markdown."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who answers for it; none: who made it.",
    )
    store = models.ForeignKey(
        Store,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Where its versions go, for good; none: the store of the settings.",
    )
    tag_lines = models.TextField(
        blank=True, default="", db_default="", help_text="Its tags, as tags.py frames them."
    )
    counted_call_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="The last of its calls that are counted (invocations/roll_ups.py).",
    )

    #: What a list that is sorted by metadata says of it: the key's number, and its version.
    best: Any = None
    #: Of a row of described() or in_list(): its aliases with the numbers of their versions.
    said_aliases: "list[Alias]"

    objects = GuardedManager.from_queryset(RegisteredModelQuerySet)()
    activity_kind = "model"

    class Meta:
        db_table = "models_catalog_model"  # the class was called Model
        verbose_name = "model"
        ordering = ["name"]
        # The names from when the class was called Model: users and roles keep their rights.
        default_permissions = ()
        permissions = [
            (f"{action}_model", f"Can {action} model")
            for action in ("add", "change", "delete", "view")
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep what it is sorted and found by."""
        self.name_key = natural_key(self.name)
        new = self.pk is None
        with transaction.atomic():
            super().save(*args, **kwargs)
            self.keep_found([self.pk], new=new)

    def get_absolute_url(self) -> str:
        """The model's page."""
        return link("models_catalog:model", self.name)

    @classmethod
    def keep_found(cls, pks: Iterable[int], *, new: bool = False) -> int:
        """Have what rows are found by say what the rows say; returns of how many it did not.

        In the transaction of what was written to them. ``new``: that made them, so nothing is kept
        of them yet.
        """

        def found(rows: Any) -> "dict[int, _FoundBy]":
            return {
                row.pk: _FoundBy(
                    text_of((row.name, row.description, row.tag_lines)),
                    {},
                    SearchText(model_id=row.pk),
                )
                for row in rows.only("name", "description", "tag_lines")
            }

        return _keep_found(cls, list(pks), found, new=new)

    @property
    def description_html(self) -> str:
        """Its description, safe to show."""
        return markdown.html(self.description)

    @property
    def summary(self) -> str:
        """The first paragraph of its description, as plain text."""
        return markdown.line(self.description)

    @property
    def tags(self) -> list[str]:
        """Its tags, sorted."""
        return tags_of.unframed(self.tag_lines)

    @property
    def owned_by(self) -> str:
        """The name of its owner, else of who made it; empty where nobody is known."""
        person = self.owner or self.created_by
        return "" if person is None else person.get_username()

    @property
    def checking(self) -> bool:
        """Whether a version is still on its way, from what was loaded."""
        return any(not version.settled for version in self.versions.all())

    @property
    def newest_badge(self) -> Badge | None:
        """The state of the newest version, of a row of described(); None where it is ready."""
        state = getattr(self, "newest_state", None)
        if state is None or state == Version.State.READY:
            return None
        return Badge(state, str(Version.State(state).label), spinning=state in Version.UNDER_WAY)

    @property
    def placed_in(self) -> Store:
        """The store where its versions go; of the default one what the settings say, and no more.

        By a query where it is another one and was not loaded.
        """
        return self.store or Store(name=DEFAULT_STORE).as_set()

    @property
    def aliases_said(self) -> str:
        """Its aliases with their versions, of a row of described(): ``live v2, next v3``."""
        return ", ".join(f"{alias.name} v{alias.version.number}" for alias in self.said_aliases)

    @property
    def last_call(self) -> datetime | None:
        """When a version was called last, of a row of described(); None: never."""
        called: datetime | None = getattr(self, "called_at", None)
        return None if called is None or called <= _LONG_AGO else called

    @property
    def deletable(self) -> bool:
        """Whether nothing of it was ever published, from what was loaded; see delete_model()."""
        return all(version.state == Version.State.REJECTED for version in self.versions.all())

    def latest(self) -> "Version | None":
        """The version with the highest number that may be invoked, from what was loaded."""
        ready = [v for v in self.versions.all() if v.state == Version.State.READY]
        return max(ready, key=lambda v: v.number, default=None)


class LabelFile(models.Model):
    """The labels of a network, as its file lists them; versions with the same ones share a row."""

    sha256 = models.CharField(max_length=64, unique=True, help_text="Of the text, in UTF-8.")
    text = models.TextField(help_text="One label a line, in their order.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.sha256[:12]

    @classmethod
    def of(cls, labels: list[str]) -> "LabelFile | None":
        """The row with these labels, made where there is none.

        It is locked until the caller's transaction ends, which gives it to a version. None where
        there are no labels, or one has a line end in it: those stay in the report.
        """
        if not labels or any("\n" in label for label in labels):
            return None
        text = "\n".join(labels)
        digest = hashlib.sha256(text.encode()).hexdigest()
        rows = cls.objects.select_for_update(no_key=True)
        return rows.get_or_create(sha256=digest, defaults={"text": text})[0]

    @property
    def labels(self) -> list[str]:
        """The labels in their order."""
        return self.text.split("\n")


# Where somebody looks for a checksum: so many hexadecimal digits of its beginning will do.
LEAST_DIGITS = 6
_CHECKSUM = re.compile(rf"(?:sha-?256:)?\s*([0-9a-f]{{{LEAST_DIGITS},64}})", re.IGNORECASE)

# What described() reads of a report: the name of the annotation, and where it is.
_TOLD = [
    *((name, name) for name in ("ok", "load_ms", "first_ms", "warm_ms", "infer_ms", "memory_mb")),
    ("picture", "sample__image"),
    ("predictions", "sample__predictions"),
]

# What must be held for a process to be sandboxed (container/sandbox.py).
SANDBOX_PARTS = ("files", "network", "processes", "limits")


class VersionQuerySet(LeaseQuerySet["Version"]):
    """The questions that pages and jobs ask of the versions."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those of hidden stores out."""
        return self.exclude(model__in=_hidden_models(hidden))

    def for_lists(self) -> Self:
        """Newest first, with who uploaded them, without the reports."""
        return self.defer("report").select_related("created_by").order_by("-number")

    def described(self) -> Self:
        """With what the API says of each; of the report, which may be long, the result alone."""
        return (
            self.defer("report", "copied_from__report", "copied_from__model__description")
            .select_related("created_by", "model", "copied_from__model")
            .annotate(**{f"told_{name}": models.F(f"report__{path}") for name, path in _TOLD})
        )

    def ready(self) -> Self:
        """Those that an endpoint can serve, with their models, newest of each model first."""
        return (
            self.filter(state=Version.State.READY)
            .defer("report")
            .select_related("model")
            .order_by("model__name", "-number")
        )

    def with_checksum(self, text: str) -> Self:
        """Those of which a checksum begins with ``text``: of the upload, published, or content.

        None where it is no beginning of a SHA-256, of at least six hexadecimal digits.
        """
        found = _CHECKSUM.fullmatch(text.strip())
        if found is None:
            return self.none()
        digits = found[1].lower()
        return self.filter(
            Q(sha256__startswith=digits)
            | Q(published_sha256__startswith=digits)
            | Q(content_sha256__startswith=digits)
        )

    def drifted(self) -> Self:
        """Those whose object in the store is gone or another one, the latest found first."""
        # Not by the states that are stored: of two indexes a database may choose that of them,
        # and reads all versions then.
        elsewhere = [state for state in Version.State.values if state not in Version.STORED]
        found = self.filter(drift__in=[Version.Drift.GONE, Version.Drift.CHANGED])
        return found.exclude(state__in=elsewhere).order_by("-drift_at", "-pk")

    def twins(self, version: "Version") -> Self:
        """Other versions with the same bytes as uploaded, or the same content.

        Those that are ready come first, of these the ones with the same bytes, then those that
        are no copies, and then the newest.
        """
        same = Q(sha256=version.sha256) if version.sha256 else Q(pk__in=[])
        if version.content_sha256:
            same |= Q(content_sha256=version.content_sha256)
        return (
            self.filter(same)
            .exclude(pk=version.pk)
            .exclude(state__in=(Version.State.DELETING, Version.State.DELETED))
            .defer("report")
            .select_related("model")
            .order_by(
                models.Case(models.When(state=Version.State.READY, then=0), default=1),
                models.Case(models.When(sha256=version.sha256, then=0), default=1),
                models.Case(models.When(copied_from=None, then=0), default=1),
                "-pk",
            )
        )

    def with_metadata(self, key: str) -> Self:
        """Those that have a value of this key, as ``meta_value``; numbers are sorted as numbers."""
        return self.filter(metadata__has_key=key).annotate(meta_value=KeyTransform(key, "metadata"))

    def with_number(self, key: str) -> Self:
        """Those that have a number of this key, as ``measured``."""
        return self.filter(IsNumber(key)).annotate(measured=NumberOf(key))

    def release(self, row: "Version", **changes: Any) -> None:
        """As of any lease; where that makes it ready, it is sorted by its numbers from now on."""
        with transaction.atomic():
            super().release(row, **changes)
            if "state" in changes:
                Version.keep_found([row.pk])

    def metadata_keys(self) -> list[str]:
        """The keys that any of them has, sorted."""
        found = self.exclude(metadata=None).order_by().values_list("metadata", flat=True)
        return sorted({key for one in found for key in one or {}})

    def unfinished(self) -> Self:
        """Those that are neither published nor rejected yet, or are being deleted."""
        return self.filter(state__in=Version.UNDER_WAY)

    def claim_columns(self) -> dict[str, Any]:
        """A claim begins the validation, or goes on with another job; it counts as an attempt."""
        other = (Version.State.DELETING, Version.State.COPYING)
        kept = models.When(state__in=other, then=models.F("state"))
        state = models.Case(kept, default=models.Value(Version.State.CHECKING))
        return {"state": state, "attempts": models.F("attempts") + 1}

    def lease_columns(self, until: datetime) -> dict[str, Any]:
        """With ``check_after``: the release before knows a lease by that column alone.

        So while its workers still run, neither release claims what a worker of the other holds.
        """
        return {**super().lease_columns(until), "check_after": until}


class Version(Leased):
    """An immutable artifact of a model.

    ``uploaded → checking → ready``, or ``rejected`` with the reason; of a copy ``copying → ready``
    (models_catalog/copying.py). Later ``ready ⇄ retired`` and
    ``deleting → deleted`` (models_catalog/retiring.py). The number is given at upload and never
    given again, not even where the version was rejected or deleted.
    """

    class State(models.TextChoices):
        """How far the version has come."""

        UPLOADED = "uploaded", _("Uploaded")
        CHECKING = "checking", _("Validating")
        READY = "ready", _("Ready")
        REJECTED = "rejected", _("Rejected")
        RETIRED = "retired", _("Retired")
        DELETING = "deleting", _("Deleting")
        DELETED = "deleted", _("Deleted")
        COPYING = "copying", _("Copying")

    UNSETTLED = (State.UPLOADED, State.CHECKING, State.COPYING)
    # What a job has to do with; and what lists and searches count no more.
    UNDER_WAY = (*UNSETTLED, State.DELETING)
    DISCARDED = (State.RETIRED, State.DELETING, State.DELETED)
    # Its archive is in the store.
    STORED = (State.READY, State.RETIRED)
    # Nothing of it is stored anywhere, and nothing will be.
    WITHOUT_BYTES = (State.REJECTED, State.DELETED)

    class Drift(models.TextChoices):
        """How its object in the store differs from what was published (drift.py)."""

        NONE = "", _("As published")
        GONE = "gone", _("Gone")
        CHANGED = "changed", _("Changed")

    class Packing(models.TextChoices):
        """How the archive that is served is packed (models_catalog/packing.py)."""

        STORED = packing.Packing.STORED.value, _("Stored")
        COMPRESSED = packing.Packing.COMPRESSED.value, _("Compressed")

    class PackingChoice(models.TextChoices):
        """What the uploader chose for it."""

        AUTO = packing.Packing.AUTO.value, _("Automatic")
        STORED = packing.Packing.STORED.value, _("Stored")
        COMPRESSED = packing.Packing.COMPRESSED.value, _("Compressed")

    # What is being done, as the page says it.
    READING = gettext_noop("Reading it in the sandbox")
    PACKING = gettext_noop("Packing what is served")
    LOADING = gettext_noop("Loading it in the container")
    PUBLISHING = gettext_noop("Publishing")
    STEPS = (READING, PACKING, LOADING, PUBLISHING)
    COPY = gettext_noop("Copying it within the store")

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    note = models.CharField(max_length=500, blank=True)
    metadata = models.JSONField(
        null=True,
        blank=True,
        encoder=Plain,
        help_text="accuracy: 0.93 and the like (metadata.py); none: of the release before.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    bucket = models.CharField(max_length=63)
    prefix = models.CharField(max_length=900, blank=True)
    key = models.CharField(max_length=1024, help_text="The final key; never written twice.")
    staging_key = models.CharField(max_length=1024, blank=True)
    file_name = models.CharField(max_length=255, help_text="What the user's file was called.")
    size = models.PositiveBigIntegerField(help_text="Bytes of the archive as uploaded.")
    sha256 = models.CharField(max_length=64, db_index=True, help_text="Of the bytes as uploaded.")
    packing_choice = models.CharField(
        max_length=10, choices=PackingChoice, default=PackingChoice.AUTO
    )

    # What is served: written by the portal from the files that were validated.
    published_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    published_size = models.PositiveBigIntegerField(null=True, blank=True)
    content_sha256 = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Of the tar inside, without gzip."
    )
    packing = models.CharField(
        max_length=10,
        choices=Packing,
        blank=True,
        help_text="Empty: published as it was uploaded, by an earlier version of the portal.",
    )
    original_key = models.CharField(
        max_length=1024, blank=True, help_text="Where the bytes as uploaded are kept, if they are."
    )

    state = models.CharField(max_length=10, choices=State, default=State.UPLOADED, db_index=True)
    step = models.TextField(blank=True, help_text="What the validation does, or waits for.")
    step_code = models.JSONField(null=True, blank=True, help_text="The same, for each language.")
    reason = models.TextField(blank=True, help_text="Why it was rejected, as a sentence.")
    reason_code = models.JSONField(null=True, blank=True, help_text="The same, for each language.")
    attempts = models.PositiveIntegerField(default=0)
    settled_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Or its deletion requested.")
    etag = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Of its object when that was compared last and was right; empty: never.",
    )
    drift = models.CharField(
        max_length=10, choices=Drift, blank=True, default=Drift.NONE, db_default=""
    )
    drift_at = models.DateTimeField(null=True, blank=True, help_text="When that was found.")
    as_found = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It lay in the store already, and is served from there (importing.py).",
    )
    copied_from = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="copies",
        help_text="The version whose archive this one has; none: it was uploaded.",
    )
    report = models.JSONField(
        default=dict, blank=True, help_text="The preflight's report; its labels are in label_file."
    )
    label_file = models.ForeignKey(
        LabelFile,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="versions",
        help_text="None: it has none, or was published by the release before.",
    )
    # Of the report, what lists show: the whole may hold thousands of labels.
    parameters = models.PositiveBigIntegerField(null=True, blank=True)
    input_shape = models.CharField(max_length=200, blank=True, help_text="data: 1 × 3 × 224 × 224")

    objects = GuardedManager.from_queryset(VersionQuerySet)()
    activity_kind = "version"

    class Meta:
        ordering = ["model", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="one_number_a_model"),
            models.UniqueConstraint(fields=["bucket", "key"], name="one_version_a_key"),
            models.CheckConstraint(
                condition=Q(state="rejected") | Q(reason=""), name="reason_only_if_rejected"
            ),
        ]
        indexes = [
            # For lists by the last upload; rows are long, so they are not read for that.
            models.Index(fields=["model", "-created_at"], name="version_of_model_by_time"),
            # For how many versions an endpoint serves.
            models.Index(fields=["state", "bucket", "prefix"], name="version_of_store"),
            # For the few whose objects are gone or changed, which Today asks for.
            models.Index(fields=["drift", "drift_at"], name="version_by_drift"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep what it is found and sorted by."""
        new = self.pk is None
        with transaction.atomic():
            super().save(*args, **kwargs)
            self.keep_found([self.pk], new=new)

    @classmethod
    def keep_found(cls, pks: Iterable[int], *, new: bool = False) -> int:
        """As of a model; the numbers of those that are ready, too."""
        columns = "note", "file_name", "metadata", "state", "model"

        def found(rows: Any) -> "dict[int, _FoundBy]":
            return {
                row.pk: _FoundBy(
                    text_of((row.note, row.file_name), row.metadata),
                    numbers_of(row.metadata) if row.state == cls.State.READY else {},
                    SearchText(model_id=row.model_id, version_id=row.pk),
                )
                for row in rows.only(*columns)
            }

        return _keep_found(cls, list(pks), found, new=new)

    @property
    def metadata_rows(self) -> list[tuple[str, Any]]:
        """Its metadata, by key."""
        return sorted((self.metadata or {}).items())

    def get_absolute_url(self) -> str:
        """The version's page."""
        return link("models_catalog:version", self.model.name, self.number)

    def likeness(self, twin: "Version") -> str:
        """What it has in common with another one: the bytes as uploaded, or the content alone."""
        return "same_bytes" if self.sha256 == twin.sha256 else "same_content"

    @property
    def said(self) -> Sentence:
        """Why it was rejected, in the reader's language; what the container said is quoted."""
        return Sentence.from_json(self.reason_code, self.reason)

    @property
    def reason_kind(self) -> str:
        """Why it was rejected, as a stable code (reasons.py): of what was quoted, what it is.

        Empty where it was not, and for rows from before there were codes.
        """
        if not self.reason_code:
            return ""
        said = self.said
        what = said.parameters.get("what")
        return what.code if isinstance(what, Sentence) else said.code

    @property
    def told(self) -> dict[str, Any]:
        """Of a row of described(): its report, as far as the result of the validation goes."""
        found = {name: getattr(self, f"told_{name}") for name, _path in _TOLD}
        image, predictions = found.pop("picture"), found.pop("predictions")
        return found | {"sample": {"image": image, "predictions": predictions}}

    @property
    def doing(self) -> str:
        """What its validation does or waits for, in the reader's language."""
        if not self.step:
            return gettext("Waiting for a worker")
        if self.step in (*self.STEPS, self.COPY):
            return gettext(self.step)
        return str(Sentence.from_json(self.step_code, self.step))

    @property
    def settled(self) -> bool:
        """Whether no job has anything to do with it."""
        return self.state not in self.UNDER_WAY

    @property
    def stored(self) -> bool:
        """Whether its archive is in the store."""
        return self.state in self.STORED

    @property
    def drifted(self) -> str:
        """How its object differs from what was published; empty: it does not, as far as known."""
        return self.drift if self.stored else ""

    @property
    def validating(self) -> bool:
        """Whether it is neither published nor rejected yet."""
        return self.state in self.UNSETTLED

    @property
    def badge(self) -> Badge:
        """What lists and the version's page show of its state."""
        return Badge(self.state, self.get_state_display(), spinning=not self.settled)

    @property
    def target_model(self) -> str:
        """What InvokeEndpoint's ``TargetModel`` takes: the key below the store's prefix."""
        return self.key.removeprefix(f"{self.prefix}/" if self.prefix else "")

    @property
    def uri(self) -> str:
        """Where the artifact is, as ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def checksums(self) -> list[tuple[str, str]]:
        """Its SHA-256 sums, each with whose it is; the upload's alone before it is validated."""
        if self.published_sha256 and self.published_sha256 == self.sha256:
            return [(pgettext("checksum", "as uploaded and as served"), self.sha256)]
        sums = [
            (pgettext("checksum", "as uploaded"), self.sha256),
            (pgettext("checksum", "as served"), self.published_sha256),
            (pgettext("checksum", "content, the tar inside"), self.content_sha256),
        ]
        return [(whose, digits) for whose, digits in sums if digits]

    @property
    def current_sha256(self) -> str:
        """Of what is served, or of the upload before it is published."""
        return self.published_sha256 or self.sha256

    @property
    def name(self) -> str:
        """As it is written where a version is named: ``digits:2``."""
        return f"{self.model.name}:{self.number}"

    @property
    def original_stem(self) -> str:
        """How its file as uploaded is called where that is kept: by the version and the bytes."""
        return f"{self.model.name}_v{self.number}-{self.sha256[:12]}"

    @property
    def as_uploaded(self) -> bool:
        """Whether the bytes of the upload are served, as earlier versions of the portal did."""
        return self.stored and not self.packing

    @property
    def served_size(self) -> int:
        """Bytes of what is served, or of the upload before it is published."""
        return self.published_size or self.size

    @property
    def artifact(self) -> dict[str, Any]:
        """What the preflight found inside (container/preflight.py); empty before it ran."""
        return self.report.get("artifact") or {}

    @property
    def labels(self) -> list[str]:
        """What its network answers with, in their order; by a query where it was not loaded."""
        told = self.artifact.get("labels")
        if told or self.label_file is None:
            return [str(label) for label in told or []]
        return self.label_file.labels

    @property
    def full_report(self) -> dict[str, Any]:
        """The report as the preflight wrote it, with the labels."""
        if "artifact" not in self.report or self.label_file is None:
            return dict(self.report)
        return {**self.report, "artifact": {**self.artifact, "labels": self.labels}}

    @property
    def sandbox(self) -> list[tuple[str, str]]:
        """What held files, network, processes and limits at the validation; "" where nothing."""
        held = self.report.get("sandbox") or {}
        return [(part, str(held.get(part, ""))) for part in SANDBOX_PARTS]

    @property
    def files(self) -> list[dict[str, Any]]:
        """The upload's files: name, bytes, ``packed`` (served) and ``read`` (by the container)."""
        found = (self.report.get("archive") or {}).get("files")
        if found is None:  # from before the portal packed what is served: all of them are
            found = [
                {"packed": True, "read": True} | file for file in self.artifact.get("files", [])
            ]
        return list(found)

    @property
    def notes(self) -> list[Noted]:
        """What was noticed: where the archive was read, and where it was loaded.

        Both runs may notice the same (of several epochs, which is served): it is told once.
        """
        read = (self.report.get("archive") or {}).get("notes") or []
        told = {note["code"] for note in read}
        loaded = [note for note in self.artifact.get("notes") or [] if note["code"] not in told]
        return [Noted.of(note) for note in (*read, *loaded)]


class SearchText(models.Model):
    """The words that a model, or one of its versions, is found by: one narrow row of folded text.

    A word is looked for in all of them. They are made of the row's own columns (found_by.py) in the
    transaction that writes those (`keep_found`); what the release before writes has none until the
    hourly job (`services.keep_found`). Nor does that know of this table where it deletes a row, so
    the database holds no constraint.
    """

    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    version = models.OneToOneField(
        Version,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        help_text="None: of the model itself.",
    )
    text = models.TextField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["model"], condition=Q(version=None), name="one_search_text_a_model"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} {self.version_id}"


class VersionNumber(models.Model):
    """A number of a ready version's metadata, by which models are sorted; kept as SearchText is."""

    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="numbers", db_constraint=False
    )
    version = models.ForeignKey(
        Version, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    key = models.CharField(max_length=40)
    value = models.FloatField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["version", "key"], name="one_number_a_key"),
        ]
        indexes = [
            # All that a list by a number reads, in the order of the models.
            models.Index(fields=["key", "model", "value"], name="number_of_models"),
        ]

    def __str__(self) -> str:
        return f"{self.version_id}: {self.key}={self.value}"


@dataclass(frozen=True)
class _FoundBy:
    """What one row is found by, and sorted by; ``at``: whose that is."""

    text: str
    numbers: dict[str, float]
    at: SearchText


def _keep_found(
    kind: type[models.Model],
    pks: list[int],
    found: "Callable[[Any], dict[int, _FoundBy]]",
    *,
    new: bool,
) -> int:
    # The plain manager: the portal itself keeps it, whoever reads.
    rows = kind._base_manager.order_by("pk")
    if new:
        right = found(rows.filter(pk__in=pks))
    else:
        texts, numbers, key = _kept(kind)
        texts, numbers = texts.filter(**{f"{key}__in": pks}), numbers.filter(version__in=pks)
        said = dict(texts.values_list(key, "text"))
        counted: dict[int, dict[str, float]] = {}
        for pk, name, value in numbers.values_list("version_id", "key", "value"):
            counted.setdefault(pk, {})[name] = value
        wrong = [
            pk
            for pk, one in found(rows.filter(pk__in=pks)).items()
            if said.get(pk) != one.text or counted.get(pk, {}) != one.numbers
        ]
        if not wrong:
            return 0
        # Locked, as who writes them has them: what is made of a row that changes is not written.
        right = found(rows.select_for_update(no_key=True).filter(pk__in=wrong))
        texts.filter(**{f"{key}__in": wrong}).delete()
        numbers.filter(version__in=wrong).delete()
    for one in right.values():
        one.at.text = one.text
    SearchText.objects.bulk_create(one.at for one in right.values())
    VersionNumber.objects.bulk_create(
        VersionNumber(model_id=one.at.model_id, version_id=pk, key=name, value=value)
        for pk, one in right.items()
        for name, value in one.numbers.items()
    )
    return len(right)


def _kept(kind: type[models.Model]) -> tuple[Any, Any, str]:
    """What is kept of a kind: its texts and numbers, and the column that names its rows."""
    if kind is Version:
        return SearchText.objects.all(), VersionNumber.objects.all(), "version_id"
    return SearchText.objects.filter(version=None), VersionNumber.objects.none(), "model_id"


class AliasMoveQuerySet(models.QuerySet["AliasMove"]):
    """The questions that pages ask of the history of aliases."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those of hidden stores out."""
        return self.exclude(model__in=_hidden_models(hidden))

    def listed(self) -> Self:
        """The latest first, with the versions and people that a line names."""
        return (
            self.select_related("model", "version__model", "replaced__version__model", "by")
            .defer(
                "model__description",
                "version__report",
                "version__model__description",
                "replaced__version__report",
                "replaced__version__model__description",
            )
            .order_by("-pk")
        )


class AliasMove(models.Model):
    """One line of an alias's history: who pointed it at which version, when and why.

    Rows are never changed. The latest of a name is what holds for it; its id is the revision by
    which somebody says what they have seen.
    """

    class Kind(models.TextChoices):
        """What was done."""

        MADE = "made", _("Made")
        MOVED = "moved", _("Moved")
        ROLLED_BACK = "rolled_back", _("Rolled back")
        REMOVED = "removed", _("Deleted")

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="alias_moves")
    name = models.CharField(max_length=NAME_LENGTH)
    kind = models.CharField(max_length=12, choices=Kind)
    version = models.ForeignKey(
        Version, null=True, on_delete=models.PROTECT, related_name="+", help_text="None: deleted."
    )
    replaced = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="What held until then; None: there was no such alias, and there never had been.",
    )
    back_to = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="+", help_text="Of a roll back."
    )
    at = models.DateTimeField(default=clock.now)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    by_name = models.CharField(max_length=150, blank=True, help_text="Stays when they are deleted.")
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)

    objects = GuardedManager.from_queryset(AliasMoveQuerySet)()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["model", "name", "-id"], name="alias_history")]

    def __str__(self) -> str:
        return f"{self.model.name}@{self.name}"

    @property
    def before(self) -> Version | None:
        """The version that it pointed at until then, with what listed() loads."""
        return self.replaced.version if self.replaced is not None else None


class AliasQuerySet(models.QuerySet["Alias"]):
    """The questions that pages ask of the aliases."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those of hidden stores out."""
        return self.exclude(model__in=_hidden_models(hidden))

    def listed(self) -> Self:
        """`live` first, then by name; with version and move, without reports."""
        return (
            self.select_related("model", "version__model", "move__by", "move__back_to__version")
            .defer(
                "model__description",
                "version__report",
                "version__model__description",
                "move__back_to__version__report",
            )
            .order_by(*_BY_MODEL, _LIVE_FIRST, *by_name("name"))
        )

    def offered(self) -> Self:
        """As listed(), of model and version the names alone: for the options of a field."""
        few = self.select_related("model", "version").only("name", "model__name", "version__number")
        return few.order_by(*_BY_MODEL, _LIVE_FIRST, *by_name("name"))

    def said(self) -> Self:
        """`live` first, then by name; of the version the number alone, for long lists."""
        few = self.select_related("version").only("name", "model", "version__number")
        return few.order_by(_LIVE_FIRST, *by_name("name"))


_BY_MODEL = by_name("model__name", stored="model__name_key")
_LIVE_FIRST = models.Case(models.When(name=LIVE, then=0), default=1)


class Alias(models.Model):
    """A movable name on a model, such as `production`, that points at one of its ready versions.

    It is written by models_catalog/aliases.py alone. The version cannot be deleted while it does.
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases")
    name = models.CharField(max_length=NAME_LENGTH, validators=[valid_alias])
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="aliases")
    move = models.ForeignKey(AliasMove, on_delete=models.PROTECT, related_name="+")

    objects = GuardedManager.from_queryset(AliasQuerySet)()

    class Meta:
        ordering = ["model", "name"]
        default_permissions = ()
        permissions = [
            ("move_alias", _("Can make, move and delete aliases")),
            ("move_protected_alias", _("Can move protected aliases")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="one_alias_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name}@{self.name}"

    @property
    def protected(self) -> bool:
        """Whether it takes a reason, and the right to move protected ones (PROTECTED_ALIASES)."""
        return self.name in settings.PROTECTED_ALIASES

    @property
    def revision(self) -> int:
        """What it is now, as a number that is never used again."""
        return self.move_id

    @property
    def back_to(self) -> Version | None:
        """The version that a roll back returns to, with what listed() loads."""
        return self.move.back_to.version if self.move.back_to is not None else None


class AliasMirrorQuerySet(LeaseQuerySet["AliasMirror"]):
    """The questions that jobs ask of the mirrors."""

    def unfinished(self) -> Self:
        """All: each is compared with its object every day, and at once after a move."""
        return self.all()


class AliasMirror(Leased):
    """The object in S3 that says where an alias points, for who has rights there alone.

    ``wanted`` is the move that it has to tell of, ``written`` the one that it tells of. A row is
    deleted after its alias and its object (models_catalog/alias_mirror.py).
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=NAME_LENGTH)
    bucket = models.CharField(max_length=63)
    key = models.CharField(max_length=1024)
    wanted = models.PositiveBigIntegerField()
    written = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0, help_text="That failed since the last move.")
    problem = models.TextField(blank=True, help_text="Why it could not be written, in English.")
    problem_code = models.JSONField(null=True, help_text="The same, for each language.")

    objects = AliasMirrorQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["bucket", "key"], name="one_mirror_a_key"),
        ]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def said(self) -> Sentence | None:
        """Why it is behind, in the reader's language; None where nothing is known to be wrong."""
        if not self.problem:
            return None
        return Sentence.from_json(self.problem_code, self.problem)


def _upload_id() -> str:
    return secrets.token_urlsafe(24)


class UploadQuerySet(LeaseQuerySet["Upload"]):
    """The questions that the API and jobs ask of uploads."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those to hidden stores out: somebody is in its groups no more."""
        return self.exclude(hidden.of_store("store"))

    def unfinished(self) -> Self:
        """Those of which no version was made yet."""
        return self.filter(version=None, problem__isnull=True)

    def listed(self, *, now: datetime) -> Self:
        """Those of which there is no version, also where none can be made; not what has expired."""
        return self.filter(version=None, expires_at__gt=now)

    def received(self) -> Self:
        """Those whose last byte has arrived."""
        return self.filter(offset=models.F("length"))


class Upload(Leased):
    """An archive on its way, by the tus protocol: it may come in parts, over hours and restarts.

    What has arrived are the stretches, each an object in staging; the lease keeps two requests from
    adding to one upload at once. When the last byte is there a version is made of it.
    """

    uid = models.CharField(max_length=43, unique=True, default=_upload_id)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads"
    )
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(db_index=True)
    length = models.PositiveBigIntegerField(help_text="Bytes of the whole archive.")
    offset = models.PositiveBigIntegerField(default=0, help_text="Bytes that have arrived.")
    bucket = models.CharField(max_length=63)

    store = models.ForeignKey(
        Store,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Of the model; none: the store of the settings.",
    )
    name = models.CharField(max_length=NAME_LENGTH, help_text="Of the model.")
    new = models.BooleanField(
        null=True, blank=True, help_text="Whether the user means a new model."
    )
    file_name = models.CharField(max_length=255)
    note = models.CharField(max_length=500, blank=True)
    description = models.TextField(blank=True, max_length=2000)
    packing_choice = models.CharField(
        max_length=10, choices=Version.PackingChoice, default=Version.PackingChoice.AUTO
    )
    metadata = models.JSONField(null=True, blank=True, encoder=Plain)

    sha256 = models.CharField(
        max_length=64, blank=True, help_text="What the whole must have, if the sender said so."
    )

    version = models.ForeignKey(
        Version, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    problem = models.JSONField(
        null=True, blank=True, help_text="Why no version was made, as a sentence."
    )

    objects = GuardedManager.from_queryset(UploadQuerySet)()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.file_name} ({self.offset} of {self.length})"

    @property
    def prefix(self) -> str:
        """Below what its stretches are in staging."""
        return f"{settings.STAGING_PREFIX}/uploads/{self.uid}/"

    @property
    def complete(self) -> bool:
        """Whether the last byte has arrived."""
        return self.offset == self.length


class Stretch(models.Model):
    """Bytes of an upload that have arrived: one object in staging."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="stretches")
    offset = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()
    key = models.CharField(max_length=1024)

    class Meta:
        default_permissions = ()
        ordering = ["offset"]
        constraints = [
            models.UniqueConstraint(fields=["upload", "offset"], name="one_stretch_an_offset")
        ]

    def __str__(self) -> str:
        return f"{self.offset}+{self.size}"


class StoreComparisonQuerySet(LeaseQuerySet["StoreComparison"]):
    """The questions that jobs ask of comparisons."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those of hidden stores out."""
        return self.exclude(hidden.of_place())

    def unfinished(self) -> Self:
        """All: each store is compared every night."""
        return self.all()


class StoreComparison(Leased):
    """A store that is compared each night with what was published there (drift.py)."""

    bucket = models.CharField(max_length=63)
    prefix = models.CharField(max_length=900, blank=True)
    compared_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="That failed since then.")
    problem = models.TextField(blank=True, help_text="Why it could not be compared, in English.")
    problem_code = models.JSONField(null=True, help_text="The same, for each language.")

    objects = GuardedManager.from_queryset(StoreComparisonQuerySet)()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["bucket", "prefix"], name="one_comparison_a_store"),
        ]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.below}"

    @property
    def below(self) -> str:
        """What all keys of the store begin with."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def said(self) -> Sentence | None:
        """Why it could not be compared, in the reader's language; None: it was."""
        return Sentence.from_json(self.problem_code, self.problem) if self.problem else None


class StrayObjectQuerySet(models.QuerySet["StrayObject"]):
    """The questions that are asked of strays."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those in hidden stores out."""
        return self.exclude(hidden.of_key())


class StrayObject(models.Model):
    """An object in a store that no version knows, as the last comparison saw it."""

    bucket = models.CharField(max_length=63)
    key = models.CharField(max_length=1024)
    size = models.PositiveBigIntegerField()
    seen_at = models.DateTimeField(default=clock.now, db_index=True, help_text="First.")

    objects = GuardedManager.from_queryset(StrayObjectQuerySet)()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["bucket", "key"], name="one_stray_a_key"),
        ]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class StorageQuota(models.Model):
    """How much the archives of one person may take up, where that is not USER_QUOTA_GB."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="storage_quota",
    )
    gigabytes = models.PositiveIntegerField(help_text="Of 2^30 bytes; 0: there is no limit.")

    class Meta:
        default_permissions = ()
        permissions = [("set_quota", _("Can set quotas"))]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.gigabytes} GB"
