"""Create endpoints and tear them down; queue those that are due."""

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from activity.models import Event
from activity.services import record
from core import clock, errors
from core.jobs import enqueue_on_commit
from endpoints import sagemaker
from endpoints.events import size_of
from endpoints.models import Endpoint, Resource, name_taken, valid_instance_count

ADVANCE = "endpoints.tasks.advance"


def create_endpoint(
    *, name: str, instance_type: str, instance_count: int, actor: User | None
) -> Endpoint:
    """Record that an endpoint is wanted; the reconciler creates it.

    It serves the portal's store with the image and the role of the settings. Raises
    ValidationError, by field, for what the user can put right; an AwsError where the account
    could not be asked whether the name is free. Either way nothing was created.
    """
    _check_size(instance_type, instance_count)
    endpoint = Endpoint(
        name=name,
        revision=Endpoint.objects.next_revision(name),
        bucket=settings.MODEL_BUCKET,
        prefix=settings.MODEL_PREFIX,
        image=settings.CONTAINER_IMAGE,
        role_arn=settings.EXECUTION_ROLE_ARN,
        instance_type=instance_type,
        instance_count=instance_count,
        created_by=actor,
    )
    endpoint.full_clean(exclude=["created_by"], validate_constraints=False)
    _refuse_taken(name)
    _check_free_in_account(name)
    try:
        with transaction.atomic():
            endpoint.save()
            Resource.objects.bulk_create(_resources(endpoint))
            record(
                action="endpoint.requested",
                subject=endpoint,
                actor=actor,
                parameters={"name": name, **size_of(endpoint)},
            )
            enqueue_on_commit(ADVANCE, endpoint.pk)
    except IntegrityError:
        _refuse_taken(name)
        raise
    return endpoint


def _check_size(instance_type: str, instance_count: int) -> None:
    if instance_type not in settings.INSTANCE_TYPES:
        raise ValidationError(
            {"instance_type": f"Choose one of: {', '.join(settings.INSTANCE_TYPES)}."}
        )
    try:
        valid_instance_count(instance_count)
    except ValidationError as error:
        raise ValidationError({"instance_count": error}) from None


def _check_free_in_account(name: str) -> None:
    try:
        found = sagemaker.describe_endpoint(name)
    except errors.NotFound:
        return
    # Somebody else may have asked the portal for it since we looked, and the portal made it.
    _refuse_taken(name)
    raise ValidationError(
        {
            "name": f"The AWS account already has an endpoint {name} ({found.status}) that was "
            "not created here. Choose another name."
        }
    )


def _refuse_taken(name: str) -> None:
    """Raise ValidationError where there is an endpoint of this name, in whatever case."""
    living = Endpoint.objects.filter(gone_at=None).named(name).first()
    if living is not None:
        raise ValidationError({"name": name_taken(living.name)}) from None


def _resources(endpoint: Endpoint) -> list[Resource]:
    names = {
        Resource.Kind.MODEL: endpoint.model_name,
        Resource.Kind.CONFIG: endpoint.config_name,
        Resource.Kind.ENDPOINT: endpoint.name,
    }
    return [Resource(endpoint=endpoint, kind=kind, name=name) for kind, name in names.items()]


@transaction.atomic
def request_teardown(*, endpoint: Endpoint, typed_name: str, actor: User | None) -> Endpoint:
    """Record that the endpoint is to be torn down; the reconciler deletes it.

    ``typed_name`` must be the endpoint's name, else ValidationError. Idempotent. The
    artifacts in S3 stay.
    """
    if typed_name.strip() != endpoint.name:
        raise ValidationError(
            {"typed_name": f"Type the endpoint's name, {endpoint.name}, to tear it down."}
        )
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if row.gone_at is not None or row.wanted == Endpoint.Wanted.ABSENT:
        return row
    row.wanted = Endpoint.Wanted.ABSENT
    row.failure, row.attempts, row.check_after = "", 0, clock.now()
    row.hint = "The teardown begins within seconds."
    row.save(update_fields=["wanted", "failure", "attempts", "check_after", "hint"])
    record(
        action="endpoint.teardown_requested",
        subject=row,
        actor=actor,
        level=Event.Level.WARNING,
        parameters={"name": row.name},
    )
    enqueue_on_commit(ADVANCE, row.pk)
    return row


def check_now(*, endpoint: Endpoint) -> None:
    """Look at the endpoint at once instead of when it is due."""
    Endpoint.objects.filter(pk=endpoint.pk, gone_at=None).update(
        check_after=clock.now(), attempts=0
    )
    enqueue_on_commit(ADVANCE, endpoint.pk)


def sweep() -> int:
    """Send a task for every endpoint that is due; returns how many were due."""
    due = list(Endpoint.objects.due().values_list("pk", flat=True))
    for pk in due:
        enqueue_on_commit(ADVANCE, pk)
    return len(due)
