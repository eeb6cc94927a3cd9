"""Endpoints with the SageMaker resources that they own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Coalesce, Lower, Now
from django.urls import reverse
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core.badges import Badge
from core.guarded import GuardedManager
from core.lease import Leased, LeaseQuerySet
from core.links import link
from core.natural import by_name
from core.sentences import Sentence, phrase
from endpoints import last_calls, policies, variants
from endpoints.alarm_presets import PRESETS, AlarmKind, condition
from endpoints.limits import COOLDOWN_S, Limits, schedule_of
from endpoints.old_status import OldStatus, OldStatusQuerySet, old_words, state_value
from endpoints.options import DeploymentOptions
from endpoints.policies import DeploymentPolicy
from endpoints.variants import ProductionVariant, Variants
from endpoints.working_hours import WorkingHours
from models_catalog.hidden import Hidden
from models_catalog.models import REASON_LENGTH

# SageMaker takes 63 (BC: EndpointName); `-r` and a revision must still fit behind it.
valid_endpoint_name = RegexValidator(
    r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,52}$",
    _("Use 1 to 53 letters, digits and hyphens; begin and end with a letter or digit."),
)

# Read when it is needed: the setting is not known while this module is loaded.
valid_instance_count = MaxValueValidator(
    lambda: settings.MAX_INSTANCES, _("Choose a number from 1 to %(limit_value)s.")
)


def name_taken(name: str) -> str:
    """What is said wherever an endpoint of this name exists: by a check, and after a race."""
    return gettext(
        "There is an endpoint %(name)s already. Choose another name, or tear it down."
    ) % {"name": name}


def name_taken_until_gone(name: str) -> str:
    """What is said where the endpoint of this name is being torn down."""
    return gettext(
        "The endpoint %(name)s is being torn down. Choose another name, or wait until it is gone."
    ) % {"name": name}


@dataclass(frozen=True)
class Running:
    """How many instances of which type; 0 and an empty type where SageMaker does not say.

    ``variants``: each of them, where it is not the one that nobody named. Then the count is that of
    all, and the type has the types of all.
    """

    instance_count: int
    instance_type: str
    variants: Variants = ()

    @classmethod
    def of(cls, rows: Variants) -> Self:
        """What several variants are together."""
        return cls(variants.count_of(rows), variants.types_of(rows), rows)

    @property
    def parts(self) -> Variants:
        """Its variants, the one without a name of its own too."""
        alone = ProductionVariant(variants.ALONE, self.instance_type, self.instance_count)
        return self.variants or (alone,)

    @property
    def shares(self) -> list[tuple[ProductionVariant, int]]:
        """Each variant, and which share of the calls it gets, in percent."""
        return [(one, variants.share_of(one, self.variants)) for one in self.variants]

    def __str__(self) -> str:
        if not self.variants:
            return f"{self.instance_count} × {self.instance_type}".rstrip()
        return ", ".join(
            f"{one.name} {one.instance_count} × {one.instance_type}".rstrip() + f" ({share} %)"
            for one, share in self.shares
        )


def data_url(place: tuple[str, str]) -> str:
    """SageMaker's ModelDataUrl of a bucket and a prefix."""
    bucket, prefix = place
    return f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/"


def on_hidden_stores(hidden: Hidden) -> Q:
    """Endpoints that serve hidden stores, did so before or are to: their history tells of those."""
    named = Revision.objects.exclude(model_bucket="").filter(hidden.of_place("model_"))
    return hidden.of_place() | Q(pk__in=named.values("endpoint"))


class EndpointQuerySet(  # type: ignore[override]  # as_manager: the plugin compares the parents
    OldStatusQuerySet["Endpoint"], LeaseQuerySet["Endpoint"]
):
    """Queries on endpoints, for pages and jobs."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those that serve hidden stores out."""
        return self.exclude(on_hidden_stores(hidden))

    def shown(self) -> Self:
        """Endpoints that are not gone, newest first, with their resources."""
        return self.filter(gone_at=None).order_by("-id").prefetch_related("resources")

    def gone(self) -> Self:
        """Endpoints that were torn down, the latest first."""
        return self.exclude(gone_at=None).order_by("-gone_at", "-id")

    def serving(self) -> Self:
        """Endpoints that can be invoked now."""
        return self.filter(
            gone_at=None,
            wanted=Endpoint.Wanted.PRESENT,
            old_status__in=old_words(Endpoint.SERVING),
        ).order_by(*by_name("name"))

    def starting(self) -> Self:
        """Endpoints that are wanted and do not serve yet."""
        wanted = self.filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT, to_pause=False)
        return wanted.exclude(old_status__in=old_words(Endpoint.SERVING))

    def unfinished(self) -> Self:
        """Endpoints that are not gone: also one in service is looked at again."""
        return self.filter(gone_at=None)

    def named(self, name: str) -> Self:
        """Endpoints of this name; case is ignored, as CreateEndpoint does."""
        return self.filter(name__iexact=name)

    def in_state(self, state: str) -> Self:
        """Endpoints in a state, also those that the release before wrote last."""
        if state != Endpoint.State.UNRECOGNIZED:
            return self.filter(old_status__in=old_words([state]))
        return self.exclude(old_status__in=old_words(Endpoint.State.values))

    def with_time(self) -> Self:
        """With the time at which they are read, by the database's clock."""
        now: dict[str, Any] = {"read_at": Now()}
        return self.annotate(**now)

    def whole(self) -> Self:
        """With all that one answer of the API says of them."""
        told = self.select_related("created_by", "owner").annotate(**last_calls.columns())
        return told.prefetch_related("resources", "revisions")

    def called_by_others(self, pk: int, at: datetime) -> None:
        """Write down that others called it before ``at``; an earlier time changes nothing."""
        earlier = Q(others_called_at=None) | Q(others_called_at__lt=at)
        self.filter(earlier, pk=pk).update(others_called_at=at)

    def known_as(self, name: str) -> "Endpoint | None":
        """The one of exactly this name that is not gone; else the last that was torn down."""
        if "\0" in name:  # PostgreSQL has no such text
            return None
        rows = self.filter(name=name)
        return rows.filter(gone_at=None).first() or rows.gone().first()

    def next_revision(self, name: str) -> int:
        """One more than any endpoint of this name had, so that derived names are never reused.

        Nor is that of a config which somebody gave it outside the portal, and named as the portal
        would have.
        """
        rows = self.named(name)
        found = rows.aggregate(now=models.Max("revision"), ever=models.Max("revisions__number"))
        begin = f"{name}-r"
        known = Resource.objects.filter(endpoint__in=rows, name__istartswith=begin)
        ends = [one[len(begin) :] for one in known.values_list("name", flat=True)]
        used = [int(end) for end in ends if end.isascii() and end.isdigit() and len(end) < 9]
        return max(found["now"] or 0, found["ever"] or 0, *used, 0) + 1


class Endpoint(OldStatus, Leased):
    """An endpoint as its user asked for it, and as SageMaker last described it.

    Users change ``wanted``; the reconciler alone writes what was seen.
    """

    class Wanted(models.TextChoices):
        """What the user wants."""

        PRESENT = "present", _("Present")
        ABSENT = "absent", _("Absent")

    class State(models.TextChoices):
        """How far the endpoint is.

        The values between the first and FAILED are those of SageMaker (BC: EndpointStatus), and so
        are their English labels: AWS's console and documentation show the same words.
        """

        REQUESTED = "requested", _("Requested")
        CREATING = "creating", _("Creating")
        IN_SERVICE = "in_service", _("InService")
        UPDATING = "updating", _("Updating")
        SYSTEM_UPDATING = "system_updating", _("SystemUpdating")
        ROLLING_BACK = "rolling_back", _("RollingBack")
        UPDATE_ROLLBACK_FAILED = "update_rollback_failed", _("UpdateRollbackFailed")
        OUT_OF_SERVICE = "out_of_service", _("OutOfService")
        DELETING = "deleting", _("Deleting")
        FAILED = "failed", _("Failed")
        DELETED_OUTSIDE = "deleted_outside", _("Deleted outside the portal")
        PAUSED = "paused", _("Paused")
        GONE = "gone", _("Gone")
        UNRECOGNIZED = "unrecognized", _("Unrecognized")  # sagemaker_status has SageMaker's word

    class Update(models.TextChoices):
        """How far a change of a living endpoint is; none under way: empty."""

        WANTED = "requested", _("Requested")
        ASKED = "asked", _("Updating")
        CLEANING = "cleaning", _("Deleting what it used before")

    class Scaling(models.TextChoices):
        """How far the autoscaling is that is wanted, or was; ON also while it scales."""

        OFF = "", _("Off")
        WANTED = "requested", _("Requested")
        REGISTERED = "registered", _("Without its policy yet")
        ON = "on", _("On")
        PAUSED = "paused", _("Until an update is over")
        ENDING = "ending", _("Being switched off")

    class EndTold(models.TextChoices):
        """Which warning of its end date was given last."""

        NOTHING = "", _("None yet")
        DAY = "day", _("A day before")
        HOUR = "hour", _("An hour before")

    class FirstPause(models.TextChoices):
        """How far the first pause is after its working hours were set or changed."""

        NONE = "", _("No such pause")
        TO_TELL = "to_tell", _("To be told of")
        TOLD = "told", _("Told of")

    PORTAL_STATES = frozenset(
        {State.REQUESTED, State.DELETED_OUTSIDE, State.PAUSED, State.GONE, State.UNRECOGNIZED}
    )
    # Still serving in all of these (BC: EndpointStatus).
    SERVING = (
        State.IN_SERVICE,
        State.UPDATING,
        State.SYSTEM_UPDATING,
        State.ROLLING_BACK,
        State.UPDATE_ROLLBACK_FAILED,
    )
    # States in which a badge shows that something is under way.
    CHANGING = frozenset({State.REQUESTED, State.CREATING, State.UPDATING, State.DELETING})

    name = models.CharField(
        max_length=53,
        validators=[valid_endpoint_name],
        help_text="Also SageMaker's EndpointName.",
    )
    revision = models.PositiveIntegerField(default=1)
    # Of the store whose versions it serves now.
    bucket = models.CharField(max_length=63)
    prefix = models.CharField(max_length=900, blank=True)
    model_bucket = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="Of the store that it is to serve; empty: its store was never changed.",
    )
    model_prefix = models.CharField(
        max_length=900, blank=True, default="", db_default="", help_text="The same."
    )
    image = models.CharField(max_length=255)
    role_arn = models.CharField(max_length=2048)
    instance_type = models.CharField(max_length=40)
    instance_count = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    variants = models.JSONField(
        null=True,
        blank=True,
        help_text="Its variants (endpoints/variants.py); none: one of the type and count above. "
        "Else those are the types and the number of all.",
    )
    options = models.JSONField(
        null=True, blank=True, help_text="What else was chosen (options.py); none: all is preset."
    )
    tags_set = models.JSONField(
        null=True, blank=True, help_text="The chosen tags that the SageMaker endpoint bears."
    )

    # A change need not make a new SageMaker model or config: those of an earlier revision are
    # used on then. None: they are of this revision.
    model_revision = models.PositiveIntegerField(null=True, blank=True)
    config_revision = models.PositiveIntegerField(null=True, blank=True)
    config_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="What the config says, where the count alone was changed."
    )
    policy = models.JSONField(
        null=True,
        blank=True,
        help_text="How SageMaker is to make the change (endpoints/policies.py); none: at once.",
    )
    config_variants = models.JSONField(
        null=True,
        blank=True,
        help_text="What the config says of variants whose counts or weights alone were changed.",
    )
    model_given = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="The SageMaker model's name, where the portal did not make it.",
    )
    config_given = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="The endpoint config's name, where the portal did not make it.",
    )
    update_state = models.CharField(
        max_length=10, choices=Update, blank=True, default="", db_default=""
    )
    update_asked_at = models.DateTimeField(
        null=True, blank=True, help_text="When SageMaker took the update."
    )
    modified_at = models.DateTimeField(
        null=True, blank=True, help_text="SageMaker's LastModifiedTime, as last seen."
    )

    wanted = models.CharField(max_length=10, choices=Wanted, default=Wanted.PRESENT)
    state = models.CharField(
        max_length=30, choices=State, default=State.REQUESTED, db_default=State.REQUESTED
    )
    sagemaker_status = models.CharField(
        max_length=30,
        blank=True,
        default="",
        db_default="",
        help_text="SageMaker's EndpointStatus, as last seen.",
    )
    old_status = models.CharField(
        max_length=30,
        db_column="status",
        default="Requested",
        db_default="Requested",
        editable=False,
        help_text="What the release before reads and writes.",
    )
    config_in_use = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="The endpoint config that SageMaker says it uses, as last seen.",
    )
    running_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many instances SageMaker says run, as last seen."
    )
    running_variants = models.JSONField(
        null=True, blank=True, help_text="The same of each variant, with its weight."
    )
    deleted_outside_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was seen that somebody deleted it in AWS."
    )
    hours = models.CharField(
        max_length=60,
        blank=True,
        default="",
        db_default="",
        help_text="Its working hours, as mon-fri 08:00-19:00; outside of them it is paused.",
    )
    hours_zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    to_pause = models.BooleanField(
        default=False, db_default=False, help_text="It is to be paused: it is in SageMaker no more."
    )
    pauses_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is to be paused; none: it has no working hours."
    )
    pause_told = models.BooleanField(
        default=False, db_default=False, help_text="It was told that it is paused within an hour."
    )
    first_pause = models.CharField(
        max_length=7, choices=FirstPause, blank=True, default="", db_default=""
    )
    resumes_at = models.DateTimeField(
        null=True, blank=True, help_text="When it resumes; none: when somebody resumes it."
    )
    made_again = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It is to be made where it is missing, though it was there before.",
    )
    failure = models.TextField(blank=True, help_text="Why it stopped, as an English sentence.")
    failure_code = models.JSONField(
        null=True, blank=True, help_text="The same as a code with parameters (core/sentences.py)."
    )
    hint = models.TextField(blank=True, help_text="What is being waited for, or to do next.")
    hint_code = models.JSONField(
        null=True, blank=True, help_text="The same as a code with parameters."
    )
    attempts = models.PositiveIntegerField(default=0, help_text="Failed steps in a row.")

    scaling = models.CharField(
        max_length=10, choices=Scaling, blank=True, default="", db_default=""
    )
    scale_min = models.PositiveIntegerField(null=True, blank=True)
    scale_max = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most instances; none: autoscaling is not wanted."
    )
    scale_target = models.PositiveIntegerField(
        null=True, blank=True, help_text="Calls a minute for each instance."
    )
    scale_in_cooldown = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds.")
    scale_out_cooldown = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds.")
    scale_schedule = models.JSONField(
        null=True,
        blank=True,
        help_text="Other limits at times of the week (endpoints/limits.py); none: the same always.",
    )
    scaled_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many instances autoscaling left, as last seen."
    )
    scaling_told = models.JSONField(
        null=True, blank=True, help_text="The ids of AWS's activities that events tell of."
    )

    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="When its teardown is requested; none: it has no end date."
    )
    end_told = models.CharField(
        max_length=5, choices=EndTold, blank=True, default="", db_default=""
    )

    idle_hours = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Its teardown is requested after so many hours without a call; none: never.",
    )
    idle_from = models.DateTimeField(
        null=True, blank=True, help_text="Since when it serves, as last seen; none: it does not."
    )
    others_called_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The end of the last hour in which others called, by SageMaker's metrics.",
    )
    idle_call_at = models.DateTimeField(
        null=True, blank=True, help_text="The last call that SageMaker's metrics told of."
    )
    idle_asked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the metrics were last asked for, to tell of calls."
    )
    idle_not_before = models.DateTimeField(
        null=True, blank=True, help_text="It is not torn down as idle before."
    )
    idle_ends_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is torn down where nobody calls it, as last seen."
    )
    idle_told = models.CharField(
        max_length=5, choices=EndTold, blank=True, default="", db_default=""
    )
    idle_problem = models.JSONField(
        null=True, blank=True, help_text="Why the metrics are not known (core/sentences.py)."
    )

    teardown_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the teardown that was requested begins, at the earliest; until it begins "
        "it can be undone. None: it began, or none was requested.",
    )
    keep_config = models.BooleanField(
        default=False, db_default=False, help_text="The teardown leaves its configuration."
    )
    keep_model = models.BooleanField(
        default=False, db_default=False, help_text="The teardown leaves its SageMaker model."
    )

    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who answers for its cost; none: who created it.",
    )
    checked_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = GuardedManager.from_queryset(EndpointQuerySet)()
    #: What takes the change back that was just made (postponed.py); empty: nothing does.
    undo: str = ""
    activity_kind = "endpoint"

    #: What was done to the image that was asked for just now (images.py); unsaved.
    image_note = ""
    #: What to know of the account's quotas after it was asked for, each a sentence; not stored.
    quota_notes: Sequence[str] = ()
    #: When it was called last, where a query was annotated with it (last_calls.py).
    last_call_at: datetime | None = None
    #: When it was read, where a query was annotated with it (with_time()).
    read_at: datetime | None = None

    class Meta:
        ordering = ["-id"]
        permissions = [  # untranslated: names in the database
            ("invoke_endpoint", "Can invoke models on an endpoint"),
            ("teardown_endpoint", "Can tear an endpoint down"),
            ("change_image", "Can give an endpoint another container image"),
        ]
        constraints = [
            # "The name is case-insensitive in CreateEndpoint" (API: CreateEndpoint, EndpointName).
            models.UniqueConstraint(
                Lower("name"), condition=Q(gone_at=None), name="one_living_endpoint_a_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The endpoint's page; one that is gone keeps its page."""
        return link("endpoints:detail", self.pk)

    @property
    def model_data_url(self) -> str:
        """SageMaker's ModelDataUrl, as it is wanted: the store (DG/create-multi-model-endpoint)."""
        return data_url(self.place)

    @property
    def last_call_by_others(self) -> bool:
        """Whether the portal did not make the last call; of a row that was annotated with it."""
        at = self.last_call_at
        return at is not None and at in (self.others_called_at, self.idle_call_at)

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and prefix of the store that it is to serve."""
        if self.model_bucket:
            return self.model_bucket, self.model_prefix
        return self.serves_from

    @property
    def serves_from(self) -> tuple[str, str]:
        """The same of the store that it serves now; another one while that is being changed."""
        return self.bucket, self.prefix

    @property
    def store_url(self) -> str:
        """The ModelDataUrl of what serves now."""
        return data_url(self.serves_from)

    @property
    def all_data_urls(self) -> set[str]:
        """The ModelDataUrls of all that the portal made, or is to make, for it."""
        named = [one.place for one in self.revisions.all()]
        places = {self.place, self.serves_from, *(one for one in named if one is not None)}
        return {data_url(one) for one in places}

    @property
    def model_name(self) -> str:
        """The SageMaker model's name: derived, so that a retry after a crash uses the same.

        That of an adopted endpoint, or of an accepted change, is as others gave it.
        """
        return self.model_given or f"{self.name}-r{self.model_revision or self.revision}"

    @property
    def config_name(self) -> str:
        """The endpoint config's name, derived in the same way."""
        return self.config_given or f"{self.name}-r{self.config_revision or self.revision}"

    @property
    def outside_config(self) -> str:
        """The config that it uses where somebody gave it another one outside the portal."""
        if self.config_in_use in ("", self.config_name):
            return ""
        # In Python, since lists have fetched the resources of all their rows at once.
        for row in self.resources.all():
            if row.kind == Resource.Kind.CONFIG and row.name == self.config_in_use:
                return "" if row.revision is not None and row.exists else self.config_in_use
        return self.config_in_use

    @property
    def count_alone(self) -> bool:
        """Whether it uses the config that is wanted, so that a change is one of the count."""
        return self.config_count is not None and self.config_in_use == self.config_name

    @property
    def updating(self) -> bool:
        """Whether a change was requested that SageMaker has not made, or refused, yet."""
        return self.gone_at is None and self.update_state in (self.Update.WANTED, self.Update.ASKED)

    @property
    def refused_change(self) -> "Revision | None":
        """The last change, where SageMaker refused it or rolled it back."""
        last = max(self.revisions.all(), key=lambda one: one.number, default=None)
        return last if last is not None and last.failure else None

    @property
    def chosen(self) -> DeploymentOptions:
        """What else was chosen of it."""
        return DeploymentOptions.of(self.options)

    @property
    def owned_by(self) -> Any:
        """The user who answers for it: its owner, else who created it; None: nobody is known."""
        return self.owner or self.created_by

    def is_own(self, actor: Any) -> bool:
        """Whether somebody has the rights of one's own endpoint: its owner, and nobody beside.

        Who created it has them as long as nobody else was named its owner.
        """
        owner = self.created_by_id if self.owner_id is None else self.owner_id
        return owner is not None and owner == actor.pk

    @property
    def requested(self) -> "Running":
        """What was requested in the portal."""
        return _size(self)

    @property
    def in_config(self) -> "Running":
        """What its config says, which is what an endpoint begins with."""
        if self.config_variants is not None:
            return Running.of(variants.from_json(self.config_variants))
        if self.config_count is None or self.variants is not None:
            return self.requested
        return Running(self.config_count, self.instance_type)

    @property
    def deployed_by(self) -> "DeploymentPolicy | None":
        """How SageMaker is to make the change that is wanted; None: at once."""
        return policies.from_json(self.policy)

    @property
    def running(self) -> "Running":
        """What runs now, as last seen; what was asked for where nothing was seen yet."""
        said = self.requested
        if self.config_in_use not in ("", self.config_name):
            rows = [r for r in self.resources.all() if r.name == self.config_in_use]
            configs = [r for r in rows if r.kind == Resource.Kind.CONFIG]
            if configs:
                said = _size(configs[0])
        if self.running_count is None:
            return said
        seen = variants.from_json(self.running_variants)
        if not seen:
            return Running(self.running_count, said.instance_type)
        return Running.of(variants.with_types(seen, said.parts))

    @property
    def shown_size(self) -> "Running":
        """What pages show of its size: what runs, or what was requested while it comes up.

        SageMaker counts no instance until the endpoint is in service.
        """
        return self.requested if self.state == self.State.CREATING else self.running

    @property
    def changed_outside(self) -> bool:
        """Whether what runs is not what was asked for here, in number, type or config."""
        if self.gone_at is not None or not self.config_in_use:
            return False
        if self.outside_config:
            return True
        if not self.serving or self.updating:
            return False
        running, requested = self.running, self.requested
        if self.scales or self.left_scaled:
            return not variants.same_configs(running.parts, requested.parts)
        return running != requested

    @property
    def deleted_outside(self) -> bool:
        """Whether somebody deleted it outside the portal, and nobody has decided on it yet."""
        here = self.gone_at is None and not self.tearing_down and not self.made_again
        return here and not self.to_pause and self.state == self.State.DELETED_OUTSIDE

    @property
    def working_hours(self) -> "WorkingHours | None":
        """When it runs; None: always."""
        return WorkingHours.parse(self.hours, self.hours_zone) if self.hours else None

    @property
    def paused(self) -> bool:
        """Whether it is paused, so that it is not in SageMaker and can be resumed."""
        return self.may_pause and self.to_pause and self.state == self.State.PAUSED

    @property
    def pausing(self) -> bool:
        """Whether it is to be paused, and is not yet."""
        return self.may_pause and self.to_pause and self.state != self.State.PAUSED

    @property
    def may_pause(self) -> bool:
        """Whether it is neither gone nor torn down."""
        return self.gone_at is None and not self.tearing_down

    @property
    def pauses_soon(self) -> bool:
        """Whether somebody was told that it is paused within an hour."""
        return self.may_pause and self.pause_told and self.pauses_at is not None

    @property
    def pauses_first(self) -> bool:
        """Whether somebody was told of its first pause by other working hours, within a day."""
        told = self.first_pause == self.FirstPause.TOLD and not self.pauses_soon
        return told and self.may_pause and not self.to_pause and self.pauses_at is not None

    @property
    def limits(self) -> "Limits | None":
        """Between how many instances AWS scales it, and when; None: autoscaling is not wanted."""
        if self.scale_max is None:
            return None
        return Limits(
            least=self.scale_min or 1,
            most=self.scale_max,
            target=self.scale_target or 1,
            in_cooldown=COOLDOWN_S if self.scale_in_cooldown is None else self.scale_in_cooldown,
            out_cooldown=COOLDOWN_S if self.scale_out_cooldown is None else self.scale_out_cooldown,
            **schedule_of(self.scale_schedule),
        )

    @property
    def scaled_variant(self) -> str:
        """The name of the variant that AWS scales: what is scaled has one alone."""
        return self.running.parts[0].name

    @property
    def scales(self) -> bool:
        """Whether AWS changes its number of instances, or is being asked to."""
        return self.scaling != self.Scaling.OFF

    @property
    def must_not_be_scaled(self) -> bool:
        """Whether its autoscaling is to end before SageMaker takes the update that is wanted.

        SageMaker refuses another type for what is scaled (DG/endpoint-scaling-update).
        """
        if self.scaling in (self.Scaling.OFF, self.Scaling.PAUSED) or self.count_alone:
            return False
        return not variants.same_configs(self.running.parts, self.requested.parts)

    @property
    def left_scaled(self) -> bool:
        """Whether autoscaling was switched off, and left a number that nobody changed since."""
        counts = (self.scaled_count, self.running_count)
        return not self.scales and counts[0] is not None and counts[0] == counts[1]

    @property
    def failure_said(self) -> Sentence:
        """Why it stopped, in the reader's language; what AWS said in its own."""
        return _said(self.failure_code, self.failure)

    @property
    def hint_said(self) -> Sentence:
        """What is being waited for, or what to do next, in the reader's language."""
        return _said(self.hint_code, self.hint)

    def take(self, revision: "Revision") -> None:
        """Want what a revision wants; unsaved."""
        self.revision = revision.number
        for name in (*Revision.FACTS, *Revision.NAMES):
            setattr(self, name, getattr(revision, name))

    def say(self, *, failure: Sentence | None, hint: Sentence | None) -> None:
        """Set why it stopped and what comes next, each as a code and in English."""
        self.failure = failure.english() if failure else ""
        self.failure_code = failure.as_json() if failure else None
        self.hint = hint.english() if hint else ""
        self.hint_code = hint.as_json() if hint else None

    @property
    def kept(self) -> list["Resource"]:
        """What a teardown left in the AWS account, since it is not this portal's."""
        return [r for r in self.resources.all() if r.state == Resource.State.KEPT]

    @property
    def to_delete(self) -> list["Resource"]:
        """What a teardown deletes, in its order, as last seen."""
        return self.to_be_torn_down(keep_config=self.keep_config, keep_model=self.keep_model)[0]

    def to_be_torn_down(
        self, *, keep_config: bool, keep_model: bool
    ) -> "tuple[list[Resource], list[Resource]]":
        """What a teardown deletes, in its order, and what it leaves as it was asked to.

        Its configuration and its model are those that are wanted now. The configuration needs the
        model, so that both stay.
        """
        names = {
            Resource.Kind.CONFIG: self.config_name if keep_config else "",
            Resource.Kind.MODEL: self.model_name if keep_config or keep_model else "",
        }
        there = [one for one in self.resources.all().by_deletion() if one.exists]
        left = [one for one in there if names.get(Resource.Kind(one.kind)) == one.name]
        return [one for one in there if one not in left], left

    @property
    def normal(self) -> bool:
        """Whether it is as it should be, so that its state needs no attention."""
        return self.serving and self.settled and not self.failure

    @property
    def settled(self) -> bool:
        """Whether nothing is under way: pages stop polling, the sweep slows down."""
        if self.gone_at is not None:
            return True
        if self.failure:
            return True
        if self.to_pause and self.wanted == self.Wanted.PRESENT:
            return self.state == self.State.PAUSED
        if self.update_state or self.scaling not in (self.Scaling.OFF, self.Scaling.ON):
            return False
        return self.wanted == self.Wanted.PRESENT and self.state == self.State.IN_SERVICE

    @property
    def rollback_failed(self) -> bool:
        """Whether instances of two configurations serve, since an update could not be undone."""
        return self.gone_at is None and self.state == self.State.UPDATE_ROLLBACK_FAILED

    @property
    def may_be_changed(self) -> bool:
        """Whether it serves, so that SageMaker takes an update, and none is under way there."""
        return self.serving and not self.to_pause and self.update_state != self.Update.ASKED

    @property
    def tearing_down(self) -> bool:
        """Whether a teardown was requested and is not complete."""
        return self.gone_at is None and self.wanted == self.Wanted.ABSENT

    @property
    def may_be_undone(self) -> bool:
        """Whether its teardown was requested, and has not begun."""
        return self.tearing_down and self.teardown_at is not None

    @property
    def kept_as_asked(self) -> bool:
        """Whether somebody asked to leave its configuration or its model in the AWS account."""
        return self.keep_config or self.keep_model

    @property
    def serving(self) -> bool:
        """Whether it can be invoked now."""
        return (
            self.gone_at is None
            and self.wanted == self.Wanted.PRESENT
            and self.state in self.SERVING
        )

    @property
    def has_instances(self) -> bool:
        """Whether instances run for it, as last seen, so that it costs money on AWS."""
        return self.gone_at is None and self.state in self.SERVING

    @property
    def ends_soon(self) -> bool:
        """Whether somebody was told that its end date comes."""
        return self.expires_at is not None and bool(self.end_told) and self.may_be_torn_down

    @property
    def idles(self) -> bool:
        """Whether somebody was told that it is torn down soon, as nobody calls it."""
        told = self.idle_hours is not None and self.idle_ends_at is not None
        return told and bool(self.idle_told) and self.may_be_torn_down and self.gone_at is None

    @property
    def idle_unknown(self) -> bool:
        """Whether nobody can say if it is idle, so that it is not torn down as that."""
        there = self.may_be_torn_down and self.gone_at is None
        return there and self.idle_hours is not None and self.idle_problem is not None

    @property
    def idle_problem_said(self) -> Sentence:
        """Why the metrics are not known, in the reader's language; AWS's words in its own."""
        return Sentence.from_json(self.idle_problem, "")

    @property
    def may_be_torn_down(self) -> bool:
        """Whether no teardown was requested yet."""
        return self.wanted == self.Wanted.PRESENT

    @property
    def may_be_retried(self) -> bool:
        """Whether a retry may help; an endpoint that is Failed can only be deleted."""
        decided = (self.State.FAILED, self.State.DELETED_OUTSIDE)
        return bool(self.failure) and self.state not in decided

    @property
    def state_label(self) -> str:
        """The state as people read it; SageMaker's own word where the portal does not know it."""
        return _label(self)

    @property
    def badge(self) -> Badge:
        """What a list and the endpoint's page show of it."""
        state = self.State(self.state)
        stopped = bool(self.failure) and not self.serving
        if self.gone_at is not None:
            state, label = self.State.GONE, str(self.State.GONE.label)
        elif self.tearing_down:
            label = gettext("Teardown stopped") if self.failure else gettext("Being torn down")
            state = self.State.FAILED if self.failure else self.State.DELETING
        elif self.paused and not self.failure:
            state, label = self.State.GONE, self.state_label
        elif self.pausing and not self.failure:
            state, label = self.State.DELETING, gettext("Pausing")
        elif self.deleted_outside:
            state, label = self.State.FAILED, self.state_label
        elif stopped and state != self.State.FAILED:
            state, label = self.State.FAILED, gettext("Stopped")
        elif self.updating and self.serving and not self.failure:
            state, label = self.State.UPDATING, str(self.State.UPDATING.label)
        else:
            label = self.state_label
        return Badge(state, label, spinning=state in self.CHANGING)


class Revision(models.Model):
    """What an endpoint was asked to be: its creation is the first, each change is one more.

    Rows say what was wanted, and what came of it; the endpoint's own columns are those of the one
    that is wanted now.
    """

    class State(models.TextChoices):
        """What came of it."""

        WANTED = "requested", _("Requested")
        SERVING = "serves", _("Serving")
        REPLACED = "superseded", _("Replaced")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        REFUSED = "refused", _("Refused")
        ROLLED_BACK = "rolled_back", _("Rolled back")

    #: SageMaker did not make these: another one went on serving.
    NOT_MADE = (State.WITHDRAWN, State.REFUSED, State.ROLLED_BACK)
    FACTS = (
        *("image", "role_arn", "instance_type", "instance_count", "variants", "options"),
        *("model_bucket", "model_prefix"),
    )
    # With these, what an endpoint's row takes over from a revision.
    NAMES = (
        *("model_revision", "config_revision", "config_count", "config_variants"),
        *("model_given", "config_given", "policy"),
    )

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.WANTED)
    image = models.CharField(max_length=255)
    role_arn = models.CharField(max_length=2048)
    instance_type = models.CharField(max_length=40)
    instance_count = models.PositiveIntegerField()
    variants = models.JSONField(null=True, blank=True)
    options = models.JSONField(null=True, blank=True, help_text="As the endpoint's.")
    model_bucket = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="Of its store; empty: the endpoint's, which was never changed.",
    )
    model_prefix = models.CharField(max_length=900, blank=True, default="", db_default="")
    model_revision = models.PositiveIntegerField(null=True, blank=True)
    config_revision = models.PositiveIntegerField(null=True, blank=True)
    config_count = models.PositiveIntegerField(null=True, blank=True)
    config_variants = models.JSONField(null=True, blank=True)
    policy = models.JSONField(null=True, blank=True)
    model_given = models.CharField(max_length=63, blank=True, default="", db_default="")
    config_given = models.CharField(max_length=63, blank=True, default="", db_default="")
    back_to = models.PositiveIntegerField(
        null=True, blank=True, help_text="The revision that it goes back to."
    )
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    accepted = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Somebody made it outside the portal, and it was accepted here.",
    )
    failure = models.TextField(blank=True, help_text="Why SageMaker did not make it, in English.")
    failure_code = models.JSONField(null=True, blank=True, help_text="The same as a code.")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When its outcome was seen.")

    #: What is other than in the revision before, as (before, after); set by tables.py.
    differs: "list[Any]" = []

    class Meta:
        ordering = ["endpoint", "-number"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "number"], name="one_revision_a_number")
        ]

    def __str__(self) -> str:
        return f"{self.endpoint.name} r{self.number}"

    @property
    def place(self) -> tuple[str, str] | None:
        """Bucket and prefix of its store; None: the endpoint's, which was never changed."""
        return (self.model_bucket, self.model_prefix) if self.model_bucket else None

    @property
    def size(self) -> Running:
        """How many instances of which type."""
        return _size(self)

    @property
    def chosen(self) -> DeploymentOptions:
        """What else was chosen."""
        return DeploymentOptions.of(self.options)

    @property
    def deployed_by(self) -> "DeploymentPolicy | None":
        """How SageMaker was to make it; None: at once."""
        return policies.from_json(self.policy)

    @property
    def failure_said(self) -> Sentence:
        """Why SageMaker did not make it, in the reader's language; AWS's words in its own."""
        return _said(self.failure_code, self.failure)

    @property
    def badge(self) -> Badge:
        """What the list of revisions shows of it; it looks as an endpoint in such a state."""
        looks = {
            self.State.WANTED: Endpoint.State.UPDATING,
            self.State.SERVING: Endpoint.State.IN_SERVICE,
            self.State.REFUSED: Endpoint.State.FAILED,
            self.State.ROLLED_BACK: Endpoint.State.FAILED,
        }
        look = looks.get(self.State(self.state), Endpoint.State.GONE)
        return Badge(look, self.get_state_display(), spinning=self.state == self.State.WANTED)


class ResourceQuerySet(OldStatusQuerySet["Resource"]):
    """The resources of endpoints."""

    def by_deletion(self) -> list["Resource"]:
        """In the order of the teardown: endpoint, outside configs, config, model."""
        order = list(reversed(Resource.Kind.values))
        return sorted(self, key=lambda resource: (order.index(resource.kind), -resource.pk))


class Resource(OldStatus):
    """One of the SageMaker resources that an endpoint owns, as last seen.

    There are three from the beginning. A config that somebody gave the endpoint outside the portal
    is one more (an outside config), and so is the model of that one: what of them is the portal's,
    or bears its tags, is removed at the teardown. A change adds a config, and
    a model where its image differs; those of the revision before go when the new ones serve.
    """

    class Kind(models.TextChoices):
        """In the order of creation; teardown goes backwards."""

        MODEL = "model", _("Model")
        CONFIG = "config", _("Configuration")
        ENDPOINT = "endpoint", _("Endpoint")

    class State(models.TextChoices):
        """How far the resource is; model and config have no states of SageMaker's."""

        WAITING = "waiting", _("Waiting")
        CREATED = "created", _("Created")
        CREATING = "creating", _("Creating")
        IN_SERVICE = "in_service", _("InService")
        UPDATING = "updating", _("Updating")
        SYSTEM_UPDATING = "system_updating", _("SystemUpdating")
        ROLLING_BACK = "rolling_back", _("RollingBack")
        UPDATE_ROLLBACK_FAILED = "update_rollback_failed", _("UpdateRollbackFailed")
        OUT_OF_SERVICE = "out_of_service", _("OutOfService")
        DELETING = "deleting", _("Deleting")
        FAILED = "failed", _("Failed")
        GONE = "gone", _("Gone")
        KEPT = "kept", _("Kept")  # it is not ours, and was left as it is
        UNRECOGNIZED = "unrecognized", _("Unrecognized")  # sagemaker_status has SageMaker's word

        @classmethod
        def of_sagemaker(cls, word: str) -> "Resource.State":
            """The state that SageMaker names so (BC: EndpointStatus)."""
            value = state_value(word)
            return cls(value) if value in cls.values else cls.UNRECOGNIZED

    PORTAL_STATES = frozenset(
        {State.WAITING, State.CREATED, State.GONE, State.KEPT, State.UNRECOGNIZED}
    )
    # SageMaker allows no delete, update or rescale in these (BC: EndpointStatus).
    IN_PROGRESS = frozenset(
        {
            State.CREATING,
            State.UPDATING,
            State.SYSTEM_UPDATING,
            State.ROLLING_BACK,
            State.DELETING,
        }
    )
    # States in which a badge shows that something is under way.
    CHANGING = frozenset({State.CREATING, State.UPDATING, State.DELETING})

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="resources")
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=63)
    arn = models.CharField(max_length=2048, blank=True)
    state = models.CharField(
        max_length=30, choices=State, default=State.WAITING, db_default=State.WAITING
    )
    sagemaker_status = models.CharField(
        max_length=30,
        blank=True,
        default="",
        db_default="",
        help_text="SageMaker's EndpointStatus, as last seen.",
    )
    old_status = models.CharField(
        max_length=30,
        db_column="status",
        default="Waiting",
        db_default="Waiting",
        editable=False,
        help_text="What the release before reads and writes.",
    )
    revision = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="The revision that made it; none: the endpoint was never changed, or an outside "
        "config or model.",
    )
    instance_type = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="Of a config that is outside, or of an earlier revision.",
    )
    instance_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of a config that is outside, or of an earlier revision."
    )
    variants = models.JSONField(
        null=True, blank=True, help_text="Of such a config, where it has others than the plain one."
    )
    created_at = models.DateTimeField(null=True, blank=True, help_text="SageMaker's time.")
    changed_at = models.DateTimeField(null=True, blank=True, help_text="When we saw it change.")
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = ResourceQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "kind", "name"], name="one_resource_a_kind_and_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}"

    @property
    def exists(self) -> bool:
        """Whether it was there when last looked at."""
        return self.state not in (self.State.WAITING, self.State.GONE)

    @property
    def state_label(self) -> str:
        """The state as people read it; SageMaker's own word where the portal does not know it."""
        return _label(self)

    @property
    def icon(self) -> str:
        """The name of its picture (core/templatetags/portal.py)."""
        return {
            self.Kind.MODEL: "model",
            self.Kind.CONFIG: "config",
            self.Kind.ENDPOINT: "endpoint",
        }[self.Kind(self.kind)]

    @property
    def badge(self) -> Badge:
        """What the endpoint's page shows of it."""
        return Badge(self.state, self.state_label, spinning=self.state in self.CHANGING)

    @property
    def progress(self) -> str:
        """How far it is in ``ol.steps`` (static/portal.css): done, failed, todo or now."""
        match self.State(self.state):
            case self.State.CREATED | self.State.IN_SERVICE:
                return "done"
            case self.State.FAILED:
                return "failed"
            case self.State.WAITING | self.State.GONE | self.State.KEPT:
                return "todo"
        return "now"

    @property
    def since(self) -> datetime | None:
        """When its state began, as far as it is known; for a model or config, SageMaker's time."""
        if self.state == self.State.CREATED:
            return self.created_at
        return self.gone_at or self.changed_at


class OrphanLookQuerySet(LeaseQuerySet["OrphanLook"]):
    """The look, as jobs claim it."""

    def unfinished(self) -> Self:
        """It: the account is looked at each night."""
        return self.all()


class OrphanLook(Leased):
    """The look at the whole AWS account for what no endpoint owns; one row (orphans.py)."""

    looked_at = models.DateTimeField(null=True, blank=True, help_text="When it was last complete.")
    attempts = models.PositiveIntegerField(default=0, help_text="That failed since then.")
    problems = models.JSONField(
        default=list, help_text="What AWS did not answer, each as a code (core/sentences.py)."
    )

    objects = OrphanLookQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return "look for orphans"

    @property
    def said(self) -> list[Sentence]:
        """What AWS did not answer, in the reader's language."""
        return [Sentence.from_json(code, "") for code in self.problems]


class OrphanQuerySet(LeaseQuerySet["Orphan"]):
    """Queries on what no endpoint owns, for pages and jobs."""

    def unfinished(self) -> Self:
        """What is to be deleted."""
        return self.filter(state__in=Orphan.UNDER_WAY)

    def there(self) -> Self:
        """What was there when last looked at."""
        return self.exclude(state__in=Orphan.OVER)

    def portals(self) -> Self:
        """What this portal made, by its tags."""
        return self.filter(ours=True)

    def waiting(self) -> Self:
        """What somebody should decide on: the portal's own that nobody has asked to delete."""
        return self.portals().filter(state=Orphan.State.FOUND)


class Orphan(Leased):
    """Something in the account that no endpoint of the portal owns.

    A SageMaker model, config or endpoint, or what endpoints leave beside them (leftovers.py). It
    bears the portal's tags, is of an endpoint that was the portal's, or was made by others. A row
    is what the last look found; it goes when the resource is gone, or when an endpoint owns it.
    """

    class Kind(models.TextChoices):
        """Those of `Resource.Kind`, with the same values, and more."""

        MODEL = "model", _("Model")
        CONFIG = "config", _("Configuration")
        ENDPOINT = "endpoint", _("Endpoint")
        TARGET = "target", _("Scalable target")
        ALARM = "alarm", pgettext_lazy("an orphan", "Alarm")
        LOG_GROUP = "log_group", _("Log group")
        STAGED = "staged", _("Object in staging")

    class State(models.TextChoices):
        """How far it is."""

        FOUND = "orphaned", _("Found")
        ASKED = "to_delete", _("To be deleted")
        DELETING = "deleting", _("Deleting")
        GONE = "gone", _("Gone")
        ADOPTED = "adopted", _("Adopted")

    UNDER_WAY = (State.ASKED, State.DELETING)
    OVER = (State.GONE, State.ADOPTED)

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(
        max_length=1024, help_text="ENDPOINT.VARIANT of a scalable target, a key in staging."
    )
    arn = models.CharField(max_length=2048)
    size_bytes = models.BigIntegerField(null=True, blank=True, help_text="What it keeps.")
    made_at = models.DateTimeField(help_text="SageMaker's time.")
    ours = models.BooleanField(
        null=True, help_text="It bears the tags of this portal; none: AWS does not say."
    )
    made_for = models.CharField(
        max_length=256, blank=True, default="", db_default="", help_text="What its tag says."
    )
    state = models.CharField(max_length=10, choices=State, default=State.FOUND)
    sagemaker_status = models.CharField(
        max_length=30, blank=True, default="", db_default="", help_text="SageMaker's word."
    )
    instance_type = models.CharField(max_length=40, blank=True, default="", db_default="")
    instance_count = models.PositiveIntegerField(null=True, blank=True)
    uses = models.CharField(
        max_length=63,
        blank=True,
        default="",
        db_default="",
        help_text="An endpoint's config, or a config's model.",
    )
    failure = models.TextField(blank=True, default="", db_default="", help_text="In English.")
    failure_code = models.JSONField(null=True, blank=True, help_text="The same as a code.")
    attempts = models.PositiveIntegerField(default=0, help_text="Failed steps in a row.")
    found_at = models.DateTimeField(help_text="When it was first seen.")
    told_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    over_at = models.DateTimeField(null=True, blank=True)
    adopted_by = models.ForeignKey(Endpoint, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = OrphanQuerySet.as_manager()
    #: What it costs while it is there; set by orphans.py.
    cost: Any = None

    class Meta:
        ordering = ["kind", "name"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], name="one_orphan_a_kind_and_name")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}"

    @property
    def under_way(self) -> bool:
        """Whether its deletion was asked for, and it is not gone."""
        return self.state in self.UNDER_WAY

    @property
    def to_decide(self) -> bool:
        """Whether it can be adopted or deleted."""
        return self.state == self.State.FOUND

    @property
    def size(self) -> Running | None:
        """How many instances of which type; None where it has none, or they are not known."""
        if not self.instance_type or self.instance_count is None:
            return None
        return Running(self.instance_count, self.instance_type)

    @property
    def failure_said(self) -> Sentence:
        """Why it is still there, in the reader's language; AWS's words in its own."""
        return _said(self.failure_code, self.failure)

    @property
    def adoptable(self) -> bool:
        """Whether it is of a kind that an endpoint of the portal can own."""
        return self.kind in Resource.Kind.values

    @property
    def icon(self) -> str:
        """The name of its picture."""
        if self.adoptable:
            return Resource(kind=self.kind).icon
        return {
            self.Kind.TARGET: "scaling",
            self.Kind.ALARM: "bell",
            self.Kind.LOG_GROUP: "scroll-text",
        }.get(self.Kind(self.kind), "package")

    @property
    def badge(self) -> Badge:
        """What the list shows of it; it looks as an endpoint in such a state."""
        looks = {
            self.State.FOUND: Endpoint.State.FAILED if self.failure else Endpoint.State.REQUESTED,
            self.State.ASKED: Endpoint.State.DELETING,
            self.State.DELETING: Endpoint.State.DELETING,
        }
        look = looks.get(self.State(self.state), Endpoint.State.GONE)
        label = self.get_state_display()
        if self.state == self.State.FOUND and self.failure:
            label = gettext("Left as it is")
        return Badge(look, label, spinning=self.under_way)


class AlarmWatchQuerySet(LeaseQuerySet["AlarmWatch"]):
    """The watch over alarms, as jobs claim it."""

    def unfinished(self) -> Self:
        """It: CloudWatch is asked each minute."""
        return self.all()


class AlarmWatch(Leased):
    """The look at all alarms that the portal made; one row (alarms.py)."""

    looked_at = models.DateTimeField(
        null=True, blank=True, help_text="When CloudWatch last told their states."
    )
    problem = models.TextField(blank=True, default="", db_default="", help_text="In English.")
    problem_code = models.JSONField(
        null=True, blank=True, help_text="What CloudWatch did not answer, as a code."
    )
    attempts = models.PositiveIntegerField(default=0, help_text="Failed looks in a row.")

    objects = AlarmWatchQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return "look at alarms"

    @property
    def problem_said(self) -> Sentence:
        """What CloudWatch did not answer, in the reader's language; AWS's words in its own."""
        return _said(self.problem_code, self.problem)


class PriceLook(models.Model):
    """What AWS's price list said of a region when it was last read; a row for each region."""

    region = models.CharField(max_length=32, unique=True)
    currency = models.CharField(max_length=3, blank=True, default="")
    per_hour = models.JSONField(
        default=dict, help_text="The price of an instance of each type, in decimal digits."
    )
    read_at = models.DateTimeField(null=True, blank=True, help_text="When the prices were read.")
    tried_at = models.DateTimeField(help_text="When AWS was last asked.")
    problem = models.TextField(blank=True, default="", help_text="In English.")
    problem_code = models.JSONField(
        null=True, blank=True, help_text="What AWS did not answer then, as a code."
    )

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"prices of {self.region}"

    @property
    def problem_said(self) -> Sentence:
        """What AWS did not answer, in the reader's language; AWS's words in its own."""
        return _said(self.problem_code, self.problem)


class EndpointAlarm(models.Model):
    """An alarm of CloudWatch that the portal makes for an endpoint, and its state as last seen.

    Users change what is wanted: the threshold, the minutes, and whether it is there at all, with
    ``asked`` one more each time. The job of alarms.py makes it so, and writes the state.
    """

    class State(models.TextChoices):
        """How far it is, and then CloudWatch's StateValue; the English labels are CloudWatch's."""

        REQUESTED = "requested", _("Requested")
        OK = "normal", _("OK")
        ALARM = "in_alarm", _("In alarm")
        NO_DATA = "insufficient_data", _("Insufficient data")
        REMOVING = "deleting", _("Being removed")

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=20, choices=AlarmKind)
    variant = models.CharField(max_length=63)
    threshold = models.PositiveIntegerField()
    minutes = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=State, default=State.REQUESTED)
    reason = models.TextField(
        blank=True, default="", db_default="", help_text="CloudWatch's StateReason."
    )
    changed_at = models.DateTimeField(
        null=True, blank=True, help_text="CloudWatch's time of the last change of its state."
    )
    told = models.BooleanField(
        default=False, db_default=False, help_text="An event told that it went off."
    )
    asked = models.PositiveIntegerField(default=0, help_text="How often something was asked of it.")
    failure = models.TextField(blank=True, default="", db_default="", help_text="In English.")
    failure_code = models.JSONField(null=True, blank=True, help_text="The same as a code.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["kind", "variant"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "kind", "variant"], name="one_alarm_a_kind_and_variant"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """CloudWatch's AlarmName; endpoints and variants have no dot in theirs."""
        return f"{alarm_prefix(self.endpoint.name)}{self.kind}.{self.variant}"

    @property
    def key(self) -> str:
        """What addresses and commands call it: the kind, with the variant where it is named."""
        return self.kind if self.variant == variants.ALONE else f"{self.kind}.{self.variant}"

    @property
    def condition(self) -> Sentence:
        """When it goes off, in the reader's language."""
        return condition(self.kind, self.threshold, self.minutes)

    @property
    def fixed(self) -> bool:
        """Whether nobody chooses its threshold."""
        return PRESETS[self.kind].fixed

    @property
    def removing(self) -> bool:
        """Whether it is to go."""
        return self.state == self.State.REMOVING

    @property
    def under_way(self) -> bool:
        """Whether CloudWatch is being asked for it, or to delete it."""
        return self.state in (self.State.REQUESTED, self.State.REMOVING) and not self.failure

    @property
    def failure_said(self) -> Sentence:
        """Why it is not as it is wanted, in the reader's language; AWS's words in its own."""
        return _said(self.failure_code, self.failure)

    @property
    def badge(self) -> Badge:
        """What the list shows of it; it looks as an endpoint in such a state."""
        looks = {
            self.State.OK: Endpoint.State.IN_SERVICE,
            self.State.ALARM: Endpoint.State.FAILED,
            self.State.NO_DATA: Endpoint.State.GONE,
            self.State.REMOVING: Endpoint.State.DELETING,
        }
        look = looks.get(self.State(self.state), Endpoint.State.REQUESTED)
        if self.failure and self.state in (self.State.REQUESTED, self.State.REMOVING):
            return Badge(Endpoint.State.FAILED, gettext("Refused"))
        return Badge(look, self.get_state_display(), spinning=self.under_way)


#: What the names of all alarms begin with that the portal makes.
ALARM_PREFIX = "mme-portal."


def alarm_prefix(endpoint: str) -> str:
    """What the names of the alarms of an endpoint begin with."""
    return f"{ALARM_PREFIX}{endpoint}."


class InstanceRunQuerySet(models.QuerySet["InstanceRun"]):
    """Queries on what ran."""

    def going_on(self) -> Self:
        """What runs now, as last seen."""
        return self.filter(ended_at=None)

    def between(self, begin: datetime, end: datetime) -> Self:
        """What ran at some moment between two times."""
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=begin), begun_at__lt=end)

    def lasted(self, until: datetime | None = None) -> Iterable[Mapping[str, Any]]:
        """How long so many instances of a type ran for each endpoint, until then at most, or now.

        Each has endpoint_id, instance_type, instance_count and length.
        """
        moment = Value(until, output_field=models.DateTimeField()) if until else Now()
        end = Coalesce("ended_at", moment)
        length = models.Sum(end - models.F("begun_at"), output_field=models.DurationField())
        sizes = self.order_by().values("endpoint_id", "instance_type", "instance_count")
        found: Iterable[Mapping[str, Any]] = sizes.annotate(length=length)
        return found


class InstanceRun(models.Model):
    """How many instances of one type ran for a variant of an endpoint, from a time to a time.

    A row is written when a change is seen (instance_runs.py), and is never deleted: an endpoint
    that was torn down keeps what it ran.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="runs")
    variant = models.CharField(max_length=63)
    instance_type = models.CharField(
        max_length=40, blank=True, help_text="Empty where SageMaker did not say."
    )
    instance_count = models.PositiveIntegerField()
    begun_at = models.DateTimeField(help_text="When it was first seen so.")
    ended_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was seen to be otherwise; none: it runs."
    )
    assumed = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It was not seen, but reckoned from the history before runs were kept.",
    )

    objects = InstanceRunQuerySet.as_manager()

    class Meta:
        ordering = ["begun_at", "pk"]
        default_permissions = ()
        indexes = [models.Index("ended_at", "begun_at", name="runs_by_their_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "variant"],
                condition=Q(ended_at=None),
                name="one_run_of_a_variant_goes_on",
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_id}: {self.instance_count} × {self.instance_type}"


class Budget(models.Model):
    """What a month may cost: of all endpoints, of those of an owner, or of those with a tag.

    The amount is in the currency of the prices (prices.py).
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    tag = models.CharField(
        max_length=400, blank=True, default="", db_default="", help_text="As key=value."
    )
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    told_month = models.CharField(
        max_length=7, blank=True, default="", db_default="", help_text="As 2026-11."
    )
    told_percent = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="At which of the levels it was told of in that month."
    )

    activity_kind = "budget"

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        permissions = [("set_budget", "Can set what a month may cost")]  # untranslated: a name
        constraints = [
            models.UniqueConstraint(
                fields=["owner"], condition=Q(owner__isnull=False), name="one_budget_an_owner"
            ),
            models.UniqueConstraint(
                fields=["tag"], condition=Q(owner=None), name="one_budget_a_tag_and_one_of_all"
            ),
            models.CheckConstraint(
                condition=Q(owner=None) | Q(tag=""), name="budget_of_an_owner_or_of_a_tag"
            ),
        ]

    def __str__(self) -> str:
        return self.owner.get_username() if self.owner is not None else self.tag or "AWS"

    def get_absolute_url(self) -> str:
        """The page of what the month cost."""
        return reverse("endpoints:cost")

    @property
    def of_all(self) -> bool:
        """Whether it is of all endpoints."""
        return self.owner_id is None and not self.tag

    @property
    def what(self) -> Sentence:
        """What it is of, as a part of sentences."""
        if self.owner is not None:
            return phrase("endpoints of %(owner)s", owner=self.owner.get_username())
        if self.tag:
            return phrase("endpoints with the tag %(tag)s", tag=self.tag)
        return phrase("all endpoints")


class MonthSoFarQuerySet(models.QuerySet["MonthSoFar"]):
    """The figures of the month, for the home page."""

    def present(self) -> Self:
        """The row, where it is of the month that goes on, by the database's clock."""
        return self.filter(until__gt=Now())


class MonthSoFar(models.Model):
    """What the present month cost, as beat added it up (budgets.py); one row, for the home page."""

    until = models.DateTimeField(help_text="The end of the month.")
    figures = models.JSONField()

    objects = MonthSoFarQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"the month until {self.until}"


def _size(row: Endpoint | Revision | Resource) -> Running:
    """How many instances of which type, by the columns that say so."""
    rows = variants.from_json(row.variants)
    return Running.of(rows) if rows else Running(row.instance_count or 0, row.instance_type)


def _said(code: object, text: str) -> Sentence:
    """The sentence of a stored code; the text itself where the code says another one.

    Rows from before have no code, and the release before writes a text and leaves the code.
    """
    said = Sentence.from_json(code, text)
    return said if said.english() == text else Sentence.verbatim(text)


def _label(row: Endpoint | Resource) -> str:
    if row.state == row.State.UNRECOGNIZED:
        return row.sagemaker_status
    return str(row.State(row.state).label)
