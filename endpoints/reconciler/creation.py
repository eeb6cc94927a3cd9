"""Wanted present: SageMaker model, endpoint config, endpoint, in this order."""

from activity.models import Event
from core import clock
from endpoints import sagemaker
from endpoints.models import Endpoint, Resource
from endpoints.reconciler.ownership import check_own_config, check_own_endpoint, check_own_model
from endpoints.reconciler.step import (
    AT_ONCE,
    CONFIG,
    ENDPOINT,
    IN_PROGRESS,
    MODEL,
    NOUN,
    READ_LAG,
    WHEN_SETTLED,
    Seen,
    Step,
    found_or_none,
    hold,
    patience,
    see,
    see_endpoint,
    stand_still,
)


def toward_present(step: Step) -> None:
    endpoint = step.endpoint
    found = found_or_none(sagemaker.describe_endpoint, endpoint.name)
    if found is not None:
        check_own_endpoint(step, found)
        see_endpoint(step, found)
        if found.status in IN_PROGRESS:
            step.hint = _WAITING_FOR.get(found.status, "")
            step.again_in = patience(step)
            return
    if not _ensure_model(step) or not _ensure_config(step):
        return
    if found is None:
        _create_endpoint(step)
    elif found.status == "Failed":
        stand_still(
            step,
            f"SageMaker could not start the endpoint: {found.failure or 'it gives no reason.'}",
            "A Failed endpoint can only be deleted. Tear it down, then create it anew.",
        )
    else:
        step.again_in = WHEN_SETTLED
        if found.status != "InService":
            step.hint = f"SageMaker calls its state {found.status}."


_WAITING_FOR = {
    "Creating": "SageMaker starts the instances and the container; on AWS this takes 2 to 6 "
    "minutes.",
    "Updating": "SageMaker is updating the endpoint; it goes on serving.",
    "SystemUpdating": "SageMaker is doing maintenance; the endpoint goes on serving.",
    "RollingBack": "SageMaker is going back to the configuration before; it goes on serving.",
    "Deleting": "SageMaker is deleting the endpoint, which nobody asked for here. It is created "
    "again when it is gone.",
}


def _ensure_model(step: Step) -> bool:
    """Whether the model is there; where it is not, creates it."""
    endpoint, name = step.endpoint, step.resources[MODEL].name
    found = found_or_none(sagemaker.describe_model, name)
    if found is not None:
        check_own_model(step, found)
        see(step, MODEL, Seen("Created", found.arn, found.created_at))
        return True
    if _may_be_unseen(step.resources[MODEL]):
        return True
    hold(step)
    arn = sagemaker.create_model(
        name=name,
        image=endpoint.image,
        role_arn=endpoint.role_arn,
        data_url=endpoint.model_data_url,
        tags=_tags(endpoint),
    )
    _note_drift(step, MODEL)
    see(step, MODEL, Seen("Created", arn))
    step.again_in = AT_ONCE
    return False


def _ensure_config(step: Step) -> bool:
    """Whether the config is there; where it is not, creates it."""
    endpoint, name = step.endpoint, step.resources[CONFIG].name
    found = found_or_none(sagemaker.describe_config, name)
    if found is not None:
        check_own_config(step, found)
        see(step, CONFIG, Seen("Created", found.arn, found.created_at))
        return True
    if _may_be_unseen(step.resources[CONFIG]):
        return True
    hold(step)
    arn = sagemaker.create_config(
        name=name,
        model_name=endpoint.model_name,
        instance_type=endpoint.instance_type,
        instance_count=endpoint.instance_count,
        tags=_tags(endpoint),
    )
    _note_drift(step, CONFIG)
    see(step, CONFIG, Seen("Created", arn))
    step.again_in = AT_ONCE
    return False


def _create_endpoint(step: Step) -> None:
    endpoint = step.endpoint
    if _may_be_unseen(step.resources[ENDPOINT]):
        step.hint = "SageMaker has taken the request, but does not show the endpoint yet."
        return
    hold(step)
    arn = sagemaker.create_endpoint(
        name=endpoint.name, config_name=endpoint.config_name, tags=_tags(endpoint)
    )
    _note_drift(step, ENDPOINT)
    see(step, ENDPOINT, Seen("Creating", arn))
    step.status = "Creating"
    step.hint = _WAITING_FOR["Creating"]


def _may_be_unseen(resource: Resource) -> bool:
    """Whether it was made so recently that a read which misses it says nothing."""
    changed = resource.changed_at
    return (
        resource.status in {"Created", "Creating"}
        and changed is not None
        and clock.now() - changed < READ_LAG
    )


def _note_drift(step: Step, kind: str) -> None:
    resource = step.resources[kind]
    if resource.exists:
        step.tell(
            Event.Level.WARNING,
            "endpoint.drift",
            f"The {NOUN[kind]} {resource.name} is no longer in the AWS account, though nobody "
            "tore it down here: somebody deleted it outside the portal. It is being created again.",
        )


def _tags(endpoint: Endpoint) -> dict[str, str]:
    return {"mme-portal:endpoint": endpoint.name}
