"""Endpoints with the SageMaker resources that they own, and invocations."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from mmeportal import clock

# SageMaker takes 63 (BC: EndpointName); `-r` and a revision must still fit behind it.
valid_endpoint_name = RegexValidator(
    r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,52}$",
    "Use 1 to 53 letters, digits and hyphens; begin and end with a letter or digit.",
)


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    """The questions that pages and jobs ask of the endpoints."""

    def shown(self) -> Self:
        """Those that are not gone, newest first, with their resources."""
        return self.filter(gone_at=None).order_by("-id").prefetch_related("resources")

    def gone(self) -> Self:
        """Those that were torn down, the last first."""
        return self.exclude(gone_at=None).order_by("-gone_at")

    def serving(self) -> Self:
        """Those that can be invoked now."""
        return self.filter(
            gone_at=None, wanted=Endpoint.Wanted.PRESENT, status__in=Endpoint.SERVING
        ).order_by("name")

    def starting(self) -> Self:
        """Those that are wanted and do not serve yet."""
        return self.filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT).exclude(
            status__in=Endpoint.SERVING
        )

    def due(self) -> Self:
        """Those to look at now that nobody holds the lease of."""
        now = clock.now()
        free = Q(leased_until=None) | Q(leased_until__lte=now)
        return self.filter(free, gone_at=None, check_after__lte=now).order_by("check_after")

    def named(self, name: str) -> Self:
        """Those of this name, in whatever case: CreateEndpoint tells no cases apart."""
        return self.filter(name__iexact=name)

    def next_revision(self, name: str) -> int:
        """One more than any endpoint of this name ever had, so that no derived name comes twice."""
        last: int | None = self.named(name).aggregate(last=models.Max("revision"))["last"]
        return (last or 0) + 1

    def claim(self, pk: int, *, lease: timedelta) -> datetime | None:
        """Take the lease of one endpoint that is due, for the time ``lease``.

        Returns when it ends, which is also the mark to give it back with; None where somebody
        else has it, or where the endpoint is not due.
        """
        until = clock.now() + lease
        return until if self.due().filter(pk=pk).update(leased_until=until) == 1 else None

    def renew(self, endpoint: "Endpoint", *, lease: timedelta) -> datetime | None:
        """Prolong a lease that is still held, unless the user's wish has changed meanwhile."""
        until = clock.now() + lease
        held = self.filter(
            pk=endpoint.pk, leased_until=endpoint.leased_until, wanted=endpoint.wanted
        )
        return until if held.update(leased_until=until) == 1 else None


class Endpoint(models.Model):
    """What the user asked for, and what was last seen of it.

    ``wanted`` is the user's word; everything seen is written by
    :func:`endpoints.services.advance` alone.
    """

    class Wanted(models.TextChoices):
        """What the user wants."""

        PRESENT = "present"
        ABSENT = "absent"

    # Still serving in all of these (BC: EndpointStatus).
    SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")

    name = models.CharField(
        max_length=53,
        validators=[valid_endpoint_name],
        help_text="Also SageMaker's EndpointName.",
    )
    revision = models.PositiveIntegerField(default=1)
    bucket = models.CharField(max_length=63)
    prefix = models.CharField(max_length=900, blank=True)
    image = models.CharField(max_length=255)
    role_arn = models.CharField(max_length=2048)
    instance_type = models.CharField(max_length=40)
    instance_count = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])

    wanted = models.CharField(max_length=10, choices=Wanted, default=Wanted.PRESENT)
    status = models.CharField(
        max_length=30, default="Requested", help_text="SageMaker's word, or Requested, or Gone."
    )
    failure = models.TextField(blank=True, help_text="Why it stands still, as a sentence.")
    hint = models.TextField(blank=True, help_text="What is being waited for, or to do next.")
    attempts = models.PositiveIntegerField(default=0, help_text="Failed steps in a row.")

    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    check_after = models.DateTimeField(default=clock.now, db_index=True)
    leased_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker alone acts on it."
    )
    checked_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = EndpointQuerySet.as_manager()
    activity_kind = "endpoint"

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("invoke_endpoint", "Can invoke models on an endpoint"),
            ("teardown_endpoint", "Can tear an endpoint down"),
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
        return reverse("endpoints:detail", args=[self.pk])

    @property
    def model_data_url(self) -> str:
        """SageMaker's ModelDataUrl: the store (DG/create-multi-model-endpoint)."""
        return f"s3://{self.bucket}/{self.prefix}/" if self.prefix else f"s3://{self.bucket}/"

    @property
    def model_name(self) -> str:
        """The SageMaker model's name, derived, so that a crash cannot make two."""
        return f"{self.name}-r{self.revision}"

    @property
    def config_name(self) -> str:
        """The endpoint config's name, derived likewise."""
        return f"{self.name}-r{self.revision}"

    @property
    def settled(self) -> bool:
        """Whether nothing is under way: pages stop polling, the sweep slows down."""
        if self.gone_at is not None:
            return True
        if self.failure:
            return True
        return self.wanted == self.Wanted.PRESENT and self.status == "InService"

    @property
    def tearing_down(self) -> bool:
        """Whether it was asked to go and is not wholly gone."""
        return self.gone_at is None and self.wanted == self.Wanted.ABSENT

    @property
    def serving(self) -> bool:
        """Whether it can be invoked now."""
        return (
            self.gone_at is None
            and self.wanted == self.Wanted.PRESENT
            and self.status in self.SERVING
        )


class Resource(models.Model):
    """One of the three SageMaker things that an endpoint owns, as last seen."""

    class Kind(models.TextChoices):
        """In the order of creation; teardown goes backwards."""

        MODEL = "model", "Model"
        CONFIG = "config", "Endpoint config"
        ENDPOINT = "endpoint", "Endpoint"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="resources")
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=63)
    arn = models.CharField(max_length=2048, blank=True)
    status = models.CharField(
        max_length=30, default="Waiting", help_text="Waiting, Created, SageMaker's word, or Gone."
    )
    created_at = models.DateTimeField(null=True, blank=True, help_text="SageMaker's time.")
    changed_at = models.DateTimeField(null=True, blank=True, help_text="When we saw it change.")
    gone_at = models.DateTimeField(null=True, blank=True)

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
        return self.status not in {"Waiting", "Gone"}


class PictureQuerySet(models.QuerySet["Picture"]):
    """The questions that jobs ask of the kept pictures."""

    def expired(self) -> Self:
        """Those that were last sent more than a day ago."""
        return self.filter(used_at__lt=clock.now() - timedelta(days=1))


class Picture(models.Model):
    """A picture as it was sent, kept for a day so that it can be sent again."""

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=40)
    data = models.BinaryField()
    thumbnail = models.BinaryField()
    scaled = models.CharField(max_length=200, blank=True)
    used_at = models.DateTimeField(default=clock.now, db_index=True)

    objects = PictureQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class InvocationQuerySet(models.QuerySet["Invocation"]):
    """The questions that pages and jobs ask of the invocations."""

    def for_home(self) -> Self:
        """The newest, with what their line names."""
        return self.select_related("endpoint", "version__model", "created_by").order_by("-id")

    def recent(self) -> Self:
        """The newest, for a strip of thumbnails; the pictures themselves are fetched one by one."""
        return self.for_home().defer("thumbnail")

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

    def under_way(self) -> Self:
        """Those that wait in line or run; a row that is settled is never written again."""
        return self.filter(state__in=Invocation.UNSETTLED)

    def note_alive(self) -> int:
        """Say of those that are under way that their process lives."""
        return self.under_way().update(seen_at=clock.now())

    def lost(self) -> Self:
        """Those under way whose process has sent no heartbeat for too long."""
        return self.under_way().filter(seen_at__lt=clock.now() - Invocation.SEEN_WITHIN)

    def give_up(self) -> int:
        """Mark those that are under way as failed, since nobody waits for their answers."""
        return self.under_way().update(
            state=Invocation.State.FAILED,
            error="The portal was stopped while it waited for the answer. Send the picture again.",
        )


class Invocation(models.Model):
    """One call: target, latency, cold or warm, labels, status."""

    class State(models.TextChoices):
        """How far the call has come."""

        RUNNING = "running", "Running"
        LOADING = "loading", "The model is loading"
        DONE = "done", "Answered"
        FAILED = "failed", "Failed"

    UNSETTLED = (State.RUNNING, State.LOADING)
    # Five signs of life; the last of them may have waited long for SQLite's one lock.
    SEEN_WITHIN = timedelta(seconds=25)

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="invocations")
    version = models.ForeignKey(
        "models_catalog.Version", on_delete=models.PROTECT, related_name="invocations"
    )
    target_model = models.CharField(max_length=1024)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING, db_index=True)
    seen_at = models.DateTimeField(
        default=clock.now, help_text="When its process last said that it is under way."
    )
    error = models.TextField(blank=True, help_text="What went wrong, as a sentence.")

    picture_name = models.CharField(max_length=255, blank=True)
    picture_sha256 = models.CharField(max_length=64, blank=True)
    thumbnail = models.BinaryField(blank=True, help_text="A small JPEG, for the history.")
    sent_bytes = models.PositiveIntegerField(default=0)
    scaled = models.CharField(
        max_length=200, blank=True, help_text="How the picture was made smaller, if it was."
    )

    predictions = models.JSONField(
        default=list, help_text='Best first: [{"label": str, "probability": float}].'
    )
    cold = models.BooleanField(null=True, help_text="None where the container does not say.")
    attempts = models.PositiveIntegerField(default=0, help_text="Calls made; more than 1: waited.")
    latency_ms = models.FloatField(null=True, help_text="From the first call to the answer.")
    timings = models.JSONField(
        default=dict, help_text="Where the time went, in ms: load_ms, decode_ms, infer_ms, …"
    )
    request_id = models.CharField(max_length=64, blank=True, help_text="x-amzn-RequestId.")
    variant = models.CharField(max_length=63, blank=True)

    objects = InvocationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["endpoint", "target_model", "-id"])]

    def __str__(self) -> str:
        return f"{self.target_model} on {self.endpoint.name}"

    def get_absolute_url(self) -> str:
        """The page with the answer."""
        return reverse("invoke:result", args=[self.pk])

    @property
    def settled(self) -> bool:
        """Whether an answer, or an error, is there."""
        return self.state not in self.UNSETTLED

    @property
    def best(self) -> dict[str, Any] | None:
        """The first prediction."""
        return self.predictions[0] if self.predictions else None

    @property
    def waiting_s(self) -> int:
        """Whole seconds since it was sent, for a call that is under way."""
        return int((clock.now() - self.created_at).total_seconds())

    def where_time_went(self) -> list["Span"]:
        """The latency in parts, as far as the container tells; they add up to the whole.

        ``load_ms`` is told with every answer, but is part of this call's time only where the
        call found the model not loaded and waited for it in one go.
        """
        if self.latency_ms is None:
            return []
        waited = self.timings.get("waited_ms", 0.0) if self.attempts > 1 else 0.0
        parts = [("waiting", "Waiting while the model was loaded", waited)]
        if self.cold and not waited:
            parts.append(("load", "Loading it into memory", self.timings.get("load_ms", 0.0)))
        parts.append(("decode", "Decoding the picture", self.timings.get("decode_ms", 0.0)))
        parts.append(("infer", "The network itself", self.timings.get("infer_ms", 0.0)))
        rest = max(0.0, self.latency_ms - sum(ms for _, _, ms in parts))
        cold_rest = "Fetching, unpacking and starting it; the way there"
        parts.insert(0, ("rest", cold_rest if self.cold else "SageMaker and the way there", rest))
        whole = sum(ms for _, _, ms in parts) or 1.0
        return [Span(kind, label, ms, 100 * ms / whole) for kind, label, ms in parts if ms > 0]


@dataclass(frozen=True)
class Span:
    """A part of a call's latency: ``ms``, and ``share`` of the whole in percent."""

    kind: str
    label: str
    ms: float
    share: float
