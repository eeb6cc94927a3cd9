"""Endpoints with the SageMaker resources that they own."""

from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from core.lease import Leased, LeaseQuerySet

# SageMaker takes 63 (BC: EndpointName); `-r` and a revision must still fit behind it.
valid_endpoint_name = RegexValidator(
    r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,52}$",
    "Use 1 to 53 letters, digits and hyphens; begin and end with a letter or digit.",
)


class EndpointQuerySet(LeaseQuerySet["Endpoint"]):
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
        return super().due().filter(gone_at=None)

    def named(self, name: str) -> Self:
        """Those of this name, in whatever case: CreateEndpoint tells no cases apart."""
        return self.filter(name__iexact=name)

    def next_revision(self, name: str) -> int:
        """One more than any endpoint of this name ever had, so that no derived name comes twice."""
        last: int | None = self.named(name).aggregate(last=models.Max("revision"))["last"]
        return (last or 0) + 1


class Endpoint(Leased):
    """What the user asked for, and what was last seen of it.

    ``wanted`` is the user's word; everything seen is written by
    :func:`endpoints.reconciler.advance` alone.
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
