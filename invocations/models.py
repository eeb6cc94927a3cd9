"""Calls of models on endpoints, and the pictures that were sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, Self, cast
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import clock, guarded
from core.badges import Badge
from core.guarded import GuardedManager
from core.lease import Leased, LeaseQuerySet
from core.links import link
from core.sentences import Sentence, phrase
from endpoints.models import Endpoint, on_hidden_stores
from endpoints.variants import ALONE
from invocations import seeing
from models_catalog.hidden import Hidden
from models_catalog.models import RegisteredModel
from models_catalog.validation_result import LEAST_SHOWN

# For what is usual, so many calls are looked at, among those of the rows so near.
_SOME, _NEAR = 9, 1000
# Of a list of calls: among the warm ones of so many rows, so many are looked at.
_LIST, _WARM_OF_A_LIST = 20_000, 500
LABEL_LENGTH = 200
"""Characters of a right label that somebody gives."""
EXPERIMENT_NAME_LENGTH = 100


class PictureQuerySet(models.QuerySet["Picture"]):
    """The questions that jobs ask of the kept pictures."""

    def expired(self) -> Self:
        """Those that were last sent more than a day ago."""
        return self.filter(used_at__lt=clock.now() - Picture.kept_for())


class Picture(models.Model):
    """A picture as it was sent, kept for PICTURES_KEPT_HOURS so that it can be sent again.

    The bytes lie in ``data`` up to 64 KB (invocations/pictures_kept.py), larger ones in S3 at
    ``key``; those of the release before in ``data``, whatever their size.
    """

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=40)
    data = models.BinaryField()
    bucket = models.CharField(max_length=63, blank=True, db_default="")
    key = models.CharField(max_length=1024, blank=True, db_default="")
    thumbnail = models.BinaryField(help_text="A small JPEG; empty until somebody looks at it.")
    preview = models.BinaryField(
        null=True, help_text="A larger JPEG, for the answer; None until somebody looks at it."
    )
    scaled = models.CharField(max_length=200, blank=True)
    scaled_code = models.JSONField(null=True, help_text="The same as a code with parameters.")
    used_at = models.DateTimeField(default=clock.now, db_index=True)

    objects = PictureQuerySet.as_manager()

    class Meta:
        db_table = "endpoints_picture"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def kept_for() -> timedelta:
        """How long a picture is kept after it was last sent."""
        return timedelta(hours=settings.PICTURES_KEPT_HOURS)

    @property
    def made_smaller(self) -> Sentence | None:
        """How it was made smaller, if it was."""
        return Sentence.from_json(self.scaled_code, self.scaled) if self.scaled else None


class PictureGiver(models.Model):
    """Who gave a picture that need not be that of any call: to an experiment, say.

    As long as the picture is kept; its giver may see it and send it, whoever else may not.
    """

    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255, help_text="As they named it.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["user", "sha256"], name="one_giver_of_a_picture")
        ]

    def __str__(self) -> str:
        return self.sha256


def new_uid() -> str:
    """An id that does not tell how many calls there are."""
    return uuid4().hex


def _network_ms(timings: dict[str, float]) -> float | None:
    """What of a warm call is SageMaker and the network; None: nobody measured it."""
    if "call_ms" not in timings:
        return None
    return timings["call_ms"] - timings.get("decode_ms", 0.0) - timings.get("infer_ms", 0.0)


def _hidden_endpoints(hidden: Hidden) -> "models.QuerySet[Endpoint]":
    return Endpoint._base_manager.filter(on_hidden_stores(hidden))


class InvocationQuerySet(LeaseQuerySet["Invocation"]):
    """The questions that pages and jobs ask of the invocations."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those on endpoints that serve hidden stores out."""
        return self.exclude(endpoint__in=_hidden_endpoints(hidden))

    def traffic(self) -> Self:
        """Those that were made for their answer, and not to load a model."""
        return self.filter(warming=False)

    def recent(self) -> Self:
        """The newest, with what their line names; the pictures themselves are fetched singly."""
        return self.listed().order_by("-id")

    def listed(self) -> Self:
        """With what a line of a list names; the pictures themselves are fetched singly."""
        rows = self.select_related("endpoint", "version__model", "created_by")
        return rows.defer("thumbnail", "version__report", "version__model__description")

    def cold_before(self, invocation: "Invocation") -> "Invocation | None":
        """The latest cold call of the same model on the same endpoint before this one."""
        return (
            self.filter(
                endpoint=invocation.endpoint_id,
                target_model=invocation.target_model,
                state=Invocation.State.DONE,
                cold=True,
                pk__lt=invocation.pk,
            )
            .order_by("-id")
            .first()
        )

    def usual_networks(self, calls: "Sequence[Invocation]") -> "dict[str | None, float]":
        """How long SageMaker and the network take with warm calls, for each cold one of a list.

        By its id; one that is left out is warm, or nobody knows. As `usual_network_ms`, in one
        query for all; of a long list the warm calls about the newest ones count.
        """
        cold = [one for one in calls if one.cold and one.state == Invocation.State.DONE]
        if not cold:
            return {}
        warm = self.filter(
            endpoint__in={one.endpoint_id for one in cold}, state=Invocation.State.DONE, cold=False
        )
        pks = [one.pk for one in cold if one.pk is not None]
        if len(pks) == len(cold):  # else one has no row yet: it is the newest
            warm = warm.filter(pk__lte=max(pks) + _NEAR)
        newest = max(pks, default=None) or self.aggregate(last=models.Max("pk"))["last"] or 0
        warm = warm.filter(pk__gte=max(min(pks, default=newest), newest - _LIST) - _NEAR)
        columns = warm.order_by("-pk").values_list("pk", "endpoint_id", "timings")
        near: dict[int, list[tuple[int, float]]] = {}
        for pk, endpoint, timings in columns[:_WARM_OF_A_LIST]:
            if (network := _network_ms(timings)) is not None:
                near.setdefault(endpoint, []).append((pk, network))
        found = {}
        for one in cold:
            at = newest + 1 if one.pk is None else one.pk
            known = sorted(near.get(one.endpoint_id, ()), key=lambda row: abs(row[0] - at))
            if known:
                found[one.uid] = max(0.0, median(network for _pk, network in known[:_SOME]))
        return found

    def usual_network_ms(self, invocation: "Invocation") -> float | None:
        """How long SageMaker and the network take with a warm call of this endpoint; None: unknown.

        The median of some that were made at about the same time.
        """
        near = self.filter(
            endpoint=invocation.endpoint_id,
            state=Invocation.State.DONE,
            cold=False,
            pk__range=(invocation.pk - _NEAR, invocation.pk + _NEAR),
        )
        times = near.values_list("timings", flat=True)[:_SOME]
        found = [ms for ms in map(_network_ms, times) if ms is not None]
        return max(0.0, median(found)) if found else None

    def unfinished(self) -> Self:
        """Calls that wait in the queue or run; a finished row is never written again."""
        return self.filter(state__in=Invocation.UNSETTLED)

    def name_old(self, *, most: int = 2000) -> int:
        """Give ids to rows that the release before has written; returns to how many."""
        rows = list(self.filter(uid=None).only("pk")[:most])
        for row in rows:
            row.uid = new_uid()
        return self.bulk_update(rows, ["uid"], batch_size=200)

    def due(self) -> Self:
        """Unfinished calls whose process no longer renews their lease, so that they have failed.

        A call that the release before has started has no lease; its heartbeat is ``seen_at``.
        """
        lost = Q(leased_until__isnull=False) | Q(seen_at__lt=clock.now() - Invocation.LEASE)
        return super().due().filter(lost)

    def renew_all(self, *, lease: timedelta) -> int:
        """Renew the leases of all that are unfinished: the heartbeat of their process.

        It needs no earlier lease, as renew() does: the only one to take a call over is the sweep,
        which finishes it in the same UPDATE.
        """
        now = clock.now()
        return self.unfinished().update(leased_until=now + lease, seen_at=now)

    def give_up(self) -> int:
        """Mark the unfinished ones as failed: no process waits for their answers."""
        return self.unfinished().update(leased_until=None, **Invocation.given_up())


_StoreGuarded = GuardedManager.from_queryset(InvocationQuerySet)


class CallManager(_StoreGuarded["Invocation"]):
    """Gives the calls that who reads may see (invocations/seeing.py)."""

    def get_queryset(self) -> InvocationQuerySet:
        """Those on endpoints that are not hidden, everybody's or one's own."""
        rows = cast(InvocationQuerySet, super().get_queryset())
        reader = guarded.reader()
        if reader is None or seeing.sees_all(reader):
            return rows
        return rows.filter(created_by=reader.pk) if reader.pk else rows.none()


class Invocation(Leased):
    """One call: target, latency, cold or warm, labels, status."""

    class State(models.TextChoices):
        """How far the call has come."""

        RUNNING = "running", _("Running")
        LOADING = "loading", _("The model is loading")
        DONE = "done", _("Answered")
        FAILED = "failed", _("Failed")

    UNSETTLED = (State.RUNNING, State.LOADING)
    # Five heartbeats; the last of them may have waited long for SQLite's one lock.
    LEASE = timedelta(seconds=25)

    uid = models.CharField(  # noqa: DJ001  # the release before writes none, and "" is not unique
        max_length=32,
        unique=True,
        null=True,
        editable=False,
        default=new_uid,
        help_text="Its id in the API; None in rows of the release before, until the sweep.",
    )
    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="invocations"
    )
    version = models.ForeignKey(
        "models_catalog.Version", on_delete=models.PROTECT, related_name="invocations"
    )
    target_model = models.CharField(max_length=1024)
    asked = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="What was named, as digits@live; empty: the target model, or it is not known.",
    )
    created_at = models.DateTimeField(default=clock.now, editable=False, db_index=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING, db_index=True)
    seen_at = models.DateTimeField(
        default=clock.now,
        help_text="When its process renewed the lease; read by the release before.",
    )
    # The release before writes no value.
    check_after = models.DateTimeField(default=clock.now, db_default=Now())
    error = models.TextField(blank=True, help_text="What went wrong, as a sentence in English.")
    error_code = models.JSONField(
        null=True,
        help_text="The same as a code with parameters; None in rows of the release before.",
    )

    picture_name = models.CharField(max_length=255, blank=True)
    picture_sha256 = models.CharField(max_length=64, blank=True)
    thumbnail = models.BinaryField(blank=True, help_text="A small JPEG, for the history.")
    sent_bytes = models.PositiveIntegerField(default=0)
    scaled = models.CharField(
        max_length=200, blank=True, help_text="How the picture was made smaller, if it was."
    )
    scaled_code = models.JSONField(null=True, help_text="The same as a code with parameters.")
    sent_as = models.JSONField(
        null=True, help_text="Of a picture: content_type, width, height, turned (pictures.SentAs)."
    )

    predictions = models.JSONField(
        default=list, help_text='Best first: [{"label": str, "probability": float}].'
    )
    answer = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="The first label, once the call is counted (invocations/roll_ups.py).",
    )
    cold = models.BooleanField(null=True, help_text="None where the container does not say.")
    put_out = models.JSONField(
        null=True,
        help_text="What was unloaded to make room for it (answers.put_out); None: nothing.",
    )
    warming = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Made to load the model, not for its answer: it counts not as traffic.",
    )
    counted = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It is in EndpointHour and VersionHalfDay (invocations/roll_ups.py).",
    )
    attempts = models.PositiveIntegerField(default=0, help_text="Calls made; more than 1: waited.")
    latency_ms = models.FloatField(null=True, help_text="From the first call to the answer.")
    timings = models.JSONField(
        default=dict, help_text="Where the time went, in ms: load_ms, decode_ms, infer_ms, …"
    )
    request_id = models.CharField(max_length=64, blank=True, help_text="x-amzn-RequestId.")
    variant = models.CharField(max_length=63, blank=True, help_text="Which answered.")
    asked_variant = models.CharField(
        max_length=63,
        blank=True,
        db_default="",
        default="",
        help_text="Which was named; empty: SageMaker was to choose.",
    )

    objects = CallManager()
    #: For sums, which name no picture and nobody.
    everybodys = _StoreGuarded()

    class Meta:
        db_table = "endpoints_invocation"
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("view_all_calls", _("Can see everybody's calls"))]
        indexes = [
            models.Index(
                fields=["endpoint", "target_model", "-id"], name="endpoints_i_endpoin_c4c91d_idx"
            ),
            # For cold_before(): by the index above it passes all warm calls since. The condition
            # is a bare column, which SQLite recognises in a query with parameters.
            models.Index(
                fields=["endpoint", "target_model", "-id"],
                name="invocation_cold",
                condition=Q(cold=True),
            ),
            # Few rows: what is to be counted next.
            models.Index(
                fields=["created_at"], name="invocation_uncounted", condition=Q(counted=False)
            ),
            models.Index(fields=["answer", "-created_at"], name="invocation_answer"),
            # Ascending: read backwards, it has the order of a list by time, of equal times the
            # newest first. An index that descends has these the other way round.
            models.Index(fields=["latency_ms"], name="invocation_by_latency"),
            # For the list of cold starts, newest first.
            models.Index(
                fields=["created_at"], name="invocation_cold_by_time", condition=Q(cold=True)
            ),
            # For when a version was called last, and whether it was since some day.
            models.Index(fields=["version", "-created_at"], name="invocation_of_version"),
        ]

    def __str__(self) -> str:
        return f"{self.target_model} on {self.endpoint.name}"

    def get_absolute_url(self) -> str:
        """The page with the answer."""
        return link("invocations:result", self.pk)

    @staticmethod
    def told(said: Sentence) -> dict[str, Any]:
        """The columns that say what went wrong."""
        return {"error": said.english(), "error_code": said.as_json()}

    @classmethod
    def given_up(cls) -> dict[str, Any]:
        """The columns of a call whose process is gone."""
        said = phrase(
            "The portal was stopped while it waited for the answer. Call the model again."
        ).named("interrupted")
        return {"state": cls.State.FAILED} | cls.told(said)

    @property
    def said(self) -> Sentence | None:
        """What went wrong, in the reader's language; None where nothing did."""
        if not self.error:
            return None
        return Sentence.from_json(self.error_code, self.error)

    @property
    def scaled_said(self) -> Sentence:
        """How the picture was made smaller, in the reader's language; empty if it was not."""
        return Sentence.from_json(self.scaled_code, self.scaled)

    @property
    def by_alias(self) -> str:
        """What was asked for, where that was not this very version: an alias, or the model."""
        return (
            "" if self.asked == f"{self.version.model.name}:{self.version.number}" else self.asked
        )

    @property
    def named(self) -> str:
        """What names the version to the API: as it was asked for, or its number."""
        return self.asked or f"{self.version.model.name}:{self.version.number}"

    @property
    def named_version(self) -> str:
        """What the form names it by: the alias that was asked for, or the id of the version."""
        return self.asked if "@" in self.asked else str(self.version_id)

    @property
    def named_variant(self) -> str:
        """Which variant of the endpoint answered, where that is not the one that nobody named."""
        return "" if self.variant == ALONE else self.variant

    @property
    def settled(self) -> bool:
        """Whether an answer, or an error, is there."""
        return self.state not in self.UNSETTLED

    @property
    def loading(self) -> bool:
        """Whether SageMaker has said that the model is being loaded for it."""
        return self.state == self.State.LOADING

    @property
    def badge(self) -> Badge:
        """What the home page shows of a call that has no answer."""
        return Badge(self.state, self.get_state_display(), spinning=not self.settled)

    @property
    def warmth_badge(self) -> Badge | None:
        """Whether the model had to be loaded; None where the container does not say."""
        if self.cold is None:
            return None
        if self.cold:
            return Badge("cold", gettext("Cold start"), icon="snow")
        return Badge("warm", gettext("Warm"), icon="flame")

    @property
    def best(self) -> dict[str, Any] | None:
        """The first prediction."""
        return self.predictions[0] if self.predictions else None

    @property
    def others(self) -> list[dict[str, Any]]:
        """The other labels that a page can show as bars: those of 0.1 % and more."""
        return [row for row in self.predictions[1:] if row["probability"] >= LEAST_SHOWN]

    @property
    def tiny(self) -> int:
        """How many of the other labels have less than 0.1 %."""
        return len(self.predictions[1:]) - len(self.others)

    @property
    def load_ms(self) -> float | None:
        """How long this call waited for the model to be loaded, as in ``where_time_went``."""
        if not self.cold:
            return None
        found = self.timings.get("ready_ms", self.timings.get("load_ms"))
        return float(found) if found is not None else None

    @property
    def waiting_s(self) -> int:
        """Whole seconds since it was sent, for a call that is under way."""
        return int((clock.now() - self.created_at).total_seconds())

    def fetch_ms(self, network_ms: float | None) -> float | None:
        """About how long SageMaker fetched and unpacked the archive for this call; None: unknown.

        ``network_ms``: as of `where_time_went`.
        """
        if network_ms is None or not self.cold or self.attempts > 1 or self.latency_ms is None:
            return None
        spans = self.where_time_went(network_ms)
        return next((one.ms for one in spans if one.kind == "fetch"), 0.0)

    def times(self, network_ms: float | None) -> dict[str, float | None]:
        """The parts of its latency in ms, by the names that the API gives them; None: unknown.

        ``network_ms``: as of `where_time_went`.
        """
        told = self.timings
        sagemaker_ms, portal_ms = told.get("call_ms"), None
        if self.latency_ms is not None and sagemaker_ms is not None:
            portal_ms = max(0.0, self.latency_ms - sagemaker_ms - told.get("waited_ms", 0.0))
        return {
            "portal_ms": portal_ms,
            "sagemaker_ms": sagemaker_ms,
            **{name: told.get(name) for name in ("load_ms", "ready_ms", "decode_ms", "infer_ms")},
            "fetch_ms": self.fetch_ms(network_ms),
        }

    def where_time_went(self, network_ms: float | None = None) -> list["Span"]:
        """The latency in parts, as far as they are known; they add up to the whole.

        ``load_ms`` is told with every answer, but is part of this call's time only where the
        call found the model not loaded and waited for it in one go. Nobody tells how long SageMaker
        fetched the archive: what is more than ``network_ms``, the usual time of a warm call's
        network, is taken for that.
        """
        if self.latency_ms is None:
            return []
        waited = self.timings.get("waited_ms", 0.0) if self.attempts > 1 else 0.0
        in_one_go = bool(self.cold) and not waited
        call_ms = self.timings.get("call_ms", self.latency_ms - waited)
        decode_ms = self.timings.get("decode_ms", 0.0)
        infer_ms = self.timings.get("infer_ms", 0.0)
        parts = [("waiting", gettext("Waiting while the model was loaded"), waited)]
        if in_one_go:
            load_ms = self.timings.get("ready_ms", self.timings.get("load_ms", 0.0))
            load_ms = min(load_ms, max(0.0, call_ms - decode_ms - infer_ms))
            parts.append(("load", gettext("Loading the model into memory"), load_ms))
        parts.append(("decode", gettext("Decoding the picture"), decode_ms))
        parts.append(("infer", gettext("The model itself"), infer_ms))
        portal = max(0.0, self.latency_ms - waited - call_ms)
        rest = max(0.0, self.latency_ms - portal - sum(ms for _, _, ms in parts))
        if in_one_go and network_ms is not None:
            fetch = max(0.0, rest - network_ms)
            said = gettext("Fetching and unpacking the archive, about")
            parts.insert(0, ("fetch", said, fetch))
            rest -= fetch
        warm_rest = gettext("SageMaker and network")
        cold_rest = gettext("Fetching and unpacking the archive, starting it, network")
        known = not in_one_go or network_ms is not None
        parts.insert(0, ("rest", warm_rest if known else cold_rest, rest))
        parts.insert(0, ("portal", gettext("The portal"), portal))
        whole = sum(ms for _, _, ms in parts) or 1.0
        return [Span(kind, label, ms, 100 * ms / whole) for kind, label, ms in parts if ms > 0]


@dataclass(frozen=True)
class Span:
    """A part of a call's latency: ``ms``, and ``share`` of the whole in percent."""

    kind: str
    label: str
    ms: float
    share: float


class LabelledPictureQuerySet(models.QuerySet["LabelledPicture"]):
    """The questions that pages ask of the test sets."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those of models in hidden stores out."""
        hidden_models = RegisteredModel._base_manager.filter(hidden.of_store("store"))
        return self.exclude(model__in=hidden_models)

    def listed(self) -> Self:
        """With what a line of a list names, without the pictures."""
        return self.select_related("version__model").defer(
            "data", "thumbnail", "version__report", "version__model__description"
        )


class LabelledPicture(models.Model):
    """A picture of a model's test set, with its right label, and what the model said.

    The bytes lie in ``data`` up to 64 KB (invocations/labelled.py), larger ones in S3 at ``key``.
    The row keeps its model and version from being deleted; names stay when a user is deleted.
    """

    model = models.ForeignKey(
        "models_catalog.RegisteredModel", on_delete=models.PROTECT, related_name="test_set"
    )
    version = models.ForeignKey(
        "models_catalog.Version", on_delete=models.PROTECT, related_name="+"
    )
    invocation = models.ForeignKey(
        Invocation, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    label = models.CharField(max_length=LABEL_LENGTH, help_text="The right one.")
    predicted = models.TextField(help_text="The label that the model gave.")
    probability = models.FloatField(help_text="Of the predicted label.")
    flagged_at = models.DateTimeField(default=clock.now)
    flagged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    flagged_by_name = models.CharField(max_length=150, blank=True)

    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField(help_text="Bytes.")
    data = models.BinaryField(blank=True)
    thumbnail = models.BinaryField()
    bucket = models.CharField(max_length=63, blank=True)
    key = models.CharField(max_length=1024, blank=True)

    objects = GuardedManager.from_queryset(LabelledPictureQuerySet)()

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("empty_test_set", _("Can empty a model's test set"))]
        constraints = [
            models.UniqueConstraint(fields=["model", "sha256"], name="one_label_a_picture"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.label}"


class AnswerComparisonQuerySet(LeaseQuerySet["AnswerComparison"]):
    """The questions that pages and jobs ask of the comparisons of answers."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those on endpoints that serve hidden stores out."""
        return self.exclude(endpoint__in=_hidden_endpoints(hidden))

    def listed(self) -> Self:
        """With what a line of a list names."""
        rows = self.select_related("endpoint", "one__model", "other__model", "created_by")
        return rows.defer(
            *(f"{side}__report" for side in AnswerComparison.SIDES),
            *(f"{side}__model__description" for side in AnswerComparison.SIDES),
        )

    def unfinished(self) -> Self:
        """Those with pictures that were not sent to both versions yet."""
        return self.filter(state=AnswerComparison.State.RUNNING)

    def claim_columns(self) -> dict[str, Any]:
        """Count the attempts, so that a picture that kills its worker is given up."""
        return {"attempts": F("attempts") + 1}


class AnswerComparison(Leased):
    """Two versions that are called with the same pictures on one endpoint, or one alone.

    Where one is called alone, ``other`` is that very version. A job takes one picture after the
    other (invocations/side_by_side.py).
    """

    class State(models.TextChoices):
        """How far it is."""

        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        STOPPED = "stopped", _("Stopped")

    SIDES = ("one", "other")
    #: What events are about (activity/subjects.py).
    activity_kind = "comparison"

    uid = models.CharField(max_length=32, unique=True, editable=False, default=new_uid)
    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="answer_comparisons"
    )
    one = models.ForeignKey("models_catalog.Version", on_delete=models.PROTECT, related_name="+")
    other = models.ForeignKey("models_catalog.Version", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by_name = models.CharField(max_length=150, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    left_out = models.PositiveIntegerField(
        default=0, help_text="Pictures that were over the limit, and are not sent."
    )
    attempts = models.PositiveIntegerField(default=0, help_text="At the picture that is next.")

    objects = GuardedManager.from_queryset(AnswerComparisonQuerySet)()

    class Meta:
        ordering = ["-id"]
        default_permissions = ()

    def __str__(self) -> str:
        if self.alone:
            return str(self.one)
        return gettext("%(one)s and %(other)s") % {"one": self.one, "other": self.other}

    def get_absolute_url(self) -> str:
        """The page with both answers to each picture."""
        return reverse("invocations:comparison", args=[self.uid])

    @property
    def alone(self) -> bool:
        """Whether one version is called, and compared with none."""
        return self.one_id == self.other_id

    @property
    def sides(self) -> tuple[str, ...]:
        """The versions that are called, as the columns of the answers."""
        return self.SIDES[:1] if self.alone else self.SIDES

    @property
    def running(self) -> bool:
        """Whether there are pictures left to send."""
        return self.state == self.State.RUNNING

    def to_send(self) -> "ComparedPictureQuerySet":
        """The pictures that were not sent to each version yet, in their order."""
        return self.pictures.to_send(self.sides)

    @property
    def badge(self) -> Badge:
        """How far it is."""
        return Badge(self.state, self.get_state_display(), spinning=self.running)


class ComparedPictureQuerySet(models.QuerySet["ComparedPicture"]):
    """The questions that pages and jobs ask of the pictures of a comparison."""

    def to_send(self, sides: Sequence[str]) -> Self:
        """Those that were not sent to each of these versions yet, in their order."""
        missing = Q()
        for side in sides:
            missing |= Q(**{f"{side}__isnull": True})
        return self.filter(missing).order_by("pk")


class ComparedPicture(models.Model):
    """A picture that both versions of a comparison are called with, and what they answered.

    ``one`` and ``other`` are what invocations/side_by_side.py writes of a GivenAnswer; None: the
    version was not called with it yet. The picture itself is in the test set, a sample, or kept
    for a day as what is sent from the page (Picture).
    """

    comparison = models.ForeignKey(
        AnswerComparison, on_delete=models.CASCADE, related_name="pictures"
    )
    labelled = models.ForeignKey(
        LabelledPicture, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    sample = models.CharField(max_length=255, blank=True, help_text="A file of SAMPLES_DIR.")
    sha256 = models.CharField(
        max_length=64, blank=True, db_default="", help_text="Of a picture that somebody gave."
    )
    name = models.CharField(max_length=255)
    label = models.CharField(
        max_length=LABEL_LENGTH, blank=True, help_text="The right one; empty: not known."
    )
    one = models.JSONField(null=True)
    other = models.JSONField(null=True)

    objects = ComparedPictureQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class ExperimentQuerySet(LeaseQuerySet["Experiment"]):
    """The questions that pages and jobs ask of the experiments."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those on endpoints that serve hidden stores out."""
        return self.exclude(endpoint__in=_hidden_endpoints(hidden))

    def listed(self) -> Self:
        """With what a line of a list names, without what the job alone reads."""
        return self.select_related("endpoint", "created_by").defer("progress")

    def unfinished(self) -> Self:
        """Those that wait for their process, or run."""
        return self.filter(state__in=Experiment.UNSETTLED)

    def claim_columns(self) -> dict[str, Any]:
        """Count the attempts, so that one that ends its processes is given up."""
        return {"attempts": F("attempts") + 1}


class Experiment(Leased):
    """Many calls of several versions on one endpoint, drawn at random, and what came of them.

    A process of its own makes them (invocations/experiments/).
    """

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        STOPPED = "stopped", _("Stopped")
        FAILED = "failed", _("Failed")

    class Pictures(models.TextChoices):
        """What is sent."""

        SAMPLES = "samples", _("The samples")
        TEST_SET = "test-set", _("The test set of each model")
        KEPT = "kept", _("The pictures of calls of the last day")
        GIVEN = "given", _("Pictures of your own")

    UNSETTLED = (State.WAITING, State.RUNNING)
    #: What events are about (activity/subjects.py).
    activity_kind = "experiment"

    uid = models.CharField(max_length=32, unique=True, editable=False, default=new_uid)
    name = models.CharField(max_length=EXPERIMENT_NAME_LENGTH, blank=True)
    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="experiments"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by_name = models.CharField(max_length=150, blank=True)

    named = models.CharField(max_length=1000, help_text="What was named: digits:*, digits@live.")
    targets = models.JSONField(help_text="What that was when it began (experiments/targets.py).")
    calls = models.PositiveIntegerField(help_text="How many are to be made.")
    callers = models.PositiveIntegerField(help_text="So many calls are under way at a time.")
    rate = models.FloatField(
        null=True, blank=True, help_text="Calls a second; None: each caller calls after its answer."
    )
    draw = models.CharField(max_length=20, help_text="uniform, zipf:1.1 or day:2026-11-27.")
    seed = models.PositiveBigIntegerField(help_text="Of the draw: the same one, the same calls.")
    pictures = models.CharField(max_length=10, choices=Pictures, default=Pictures.SAMPLES)
    given = models.JSONField(
        null=True, blank=True, help_text="Of pictures that were given the SHA-256 of each."
    )
    recorded = models.JSONField(
        null=True,
        blank=True,
        help_text="Of a draw as of a day its calls (invocations/experiments/recorded_day.py).",
    )

    state = models.CharField(max_length=10, choices=State, default=State.WAITING, db_index=True)
    stop_wanted = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Why it ended early, in English.")
    error_code = models.JSONField(null=True, help_text="The same as a code with parameters.")
    attempts = models.PositiveIntegerField(default=0, help_text="Of processes, without a result.")
    progress = models.JSONField(
        default=dict, help_text="What the next process goes on from (experiments/running.py)."
    )
    result = models.JSONField(
        default=dict, help_text="What came of it so far (experiments/tally.py)."
    )

    objects = GuardedManager.from_queryset(ExperimentQuerySet)()

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("run_large_experiment", _("Can run large experiments"))]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("invocations:experiment", args=[self.uid])

    @property
    def title(self) -> str:
        """Its name; without one, what it calls."""
        if self.name:
            return self.name
        told = {"models": self.named, "endpoint": self.endpoint.name}
        return gettext("%(models)s on %(endpoint)s") % told

    @property
    def unsettled(self) -> bool:
        """Whether calls are left to be made."""
        return self.state in self.UNSETTLED

    @property
    def said(self) -> Sentence | None:
        """Why it ended early, in the reader's language."""
        return Sentence.from_json(self.error_code, self.error) if self.error else None

    @property
    def badge(self) -> Badge:
        """How far it is."""
        label = self.get_state_display()
        if self.unsettled and self.stop_wanted:
            label = gettext("Stopping")
        return Badge(self.state, label, spinning=self.unsettled)


class WarmingQuerySet(LeaseQuerySet["Warming"]):
    """The questions that pages and jobs ask of the warmings."""

    def without(self, hidden: Hidden) -> Self:
        """Leave those on endpoints that serve hidden stores out."""
        return self.exclude(endpoint__in=_hidden_endpoints(hidden))

    def listed(self) -> Self:
        """With what a line of a list names."""
        return self.select_related("endpoint", "created_by")

    def unfinished(self) -> Self:
        """Those with versions that were not called yet."""
        return self.filter(state=Warming.State.RUNNING)

    def claim_columns(self) -> dict[str, Any]:
        """Count the attempts, so that a version that ends its workers is given up."""
        return {"attempts": F("attempts") + 1}


class Warming(Leased):
    """Versions that are called once on an endpoint, so that their models are in memory.

    A job calls one after the other (invocations/warming/running.py).
    """

    class State(models.TextChoices):
        """How far it is."""

        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        STOPPED = "stopped", _("Stopped")

    class Reason(models.TextChoices):
        """What began it."""

        ASKED = "asked", _("Asked for")
        SCHEDULE = "schedule", _("Kept warm")
        CHANGE = "change", _("After a deploy or change")

    #: What events are about (activity/subjects.py).
    activity_kind = "warming"

    uid = models.CharField(max_length=32, unique=True, editable=False, default=new_uid)
    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="warmings"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by_name = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=10, choices=Reason, default=Reason.ASKED)
    named = models.CharField(max_length=1000, help_text="What was named: digits:*, @*.")
    targets = models.JSONField(help_text="What that was when it began (experiments/targets.py).")
    results = models.JSONField(
        default=list, help_text="What came of each target so far (warming/running.py)."
    )
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="At the target that is next.")

    objects = GuardedManager.from_queryset(WarmingQuerySet)()

    class Meta:
        ordering = ["-id"]
        default_permissions = ()

    def __str__(self) -> str:
        told = {"models": self.named, "endpoint": self.endpoint.name}
        return gettext("%(models)s on %(endpoint)s") % told

    def get_absolute_url(self) -> str:
        """The page of its endpoint's warmings."""
        return reverse("capacity:warm", args=[self.endpoint_id])

    @property
    def running(self) -> bool:
        """Whether there are versions left to call."""
        return self.state == self.State.RUNNING

    @property
    def made(self) -> int:
        """How many versions were called."""
        return len(self.results)

    @property
    def loaded(self) -> int:
        """How many of them had to be loaded."""
        return sum(one["cold"] is True for one in self.results)

    @property
    def refused(self) -> int:
        """How many calls failed."""
        return sum(bool(one["error"]) for one in self.results)

    @property
    def badge(self) -> Badge:
        """How far it is."""
        return Badge(self.state, self.get_state_display(), spinning=self.running)


class WarmSchedule(models.Model):
    """Which versions of an endpoint are kept warm, and how; only while the endpoint stands."""

    endpoint = models.OneToOneField(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="warm_schedule"
    )
    named = models.CharField(max_length=1000, help_text="As of a warming.")
    every_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="None: not again and again."
    )
    after_change = models.BooleanField(
        default=True, help_text="Once the endpoint serves after its deploy, or a change."
    )
    next_at = models.DateTimeField(null=True, blank=True)
    warmed_revision = models.PositiveIntegerField(
        default=0, help_text="The last one after which it was warmed."
    )
    changed_at = models.DateTimeField(default=clock.now)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.endpoint.name}: {self.named}"


class CallSum(models.Model):
    """Some calls as sums (invocations/roll_ups.py): all but those that warmed a model."""

    calls = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cold = models.PositiveIntegerField(default=0)
    cold_known = models.PositiveIntegerField(
        default=0, help_text="Of so many the container said whether they were cold."
    )
    last_call_at = models.DateTimeField()
    times = models.TextField(
        blank=True, help_text="Latencies of the answered ones: an HdrHistogram in microseconds."
    )

    class Meta:
        abstract = True


class EndpointHour(CallSum):
    """The portal's calls of an endpoint in an hour."""

    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="call_hours"
    )
    begin = models.DateTimeField(help_text="A full hour.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "begin"], name="one_sum_an_endpoint_hour")
        ]

    def __str__(self) -> str:
        return f"{self.endpoint.name}, {self.begin:%Y-%m-%d %H:00}"


class VersionHalfDay(CallSum):
    """The portal's calls of a version on an endpoint in twelve hours."""

    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="version_half_days"
    )
    version = models.ForeignKey(
        "models_catalog.Version", on_delete=models.CASCADE, related_name="half_days"
    )
    begin = models.DateTimeField(help_text="Midnight or noon, UTC.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "begin", "version"], name="one_sum_a_version_half_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.endpoint.name}, {self.begin:%Y-%m-%d %H:00}"


class MeasuredHour(models.Model):
    """What SageMaker measured of a variant in an hour, whoever called (measured_hours.py)."""

    endpoint = models.ForeignKey(
        "endpoints.Endpoint", on_delete=models.CASCADE, related_name="measured_hours"
    )
    variant = models.CharField(max_length=63)
    begin = models.DateTimeField(help_text="A full hour.")
    figures = models.JSONField(
        help_text="By name (cloudwatch.py: OF_AN_HOUR); what was not measured is left out."
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "variant", "begin"], name="one_row_a_measured_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.variant} of {self.endpoint.name}, {self.begin:%Y-%m-%d %H:00}"
