"""Wanted absent: endpoint, config, SageMaker model, in this order, each confirmed gone."""

from collections.abc import Callable

from activity.models import Event
from core import errors
from endpoints import sagemaker
from endpoints.reconciler.ownership import check_own_config, check_own_endpoint, check_own_model
from endpoints.reconciler.step import (
    AT_ONCE,
    CONFIG,
    ENDPOINT,
    IN_PROGRESS,
    MODEL,
    NOUN,
    SOON,
    Refused,
    Seen,
    Step,
    found_or_none,
    hold,
    patience,
    see,
    see_endpoint,
)


def toward_absent(step: Step) -> None:
    for kind, remove in (
        (ENDPOINT, _remove_endpoint),
        (CONFIG, _remove_config),
        (MODEL, _remove_model),
    ):
        if step.resources[kind].status in {"Gone", "Kept"}:
            continue
        if not remove(step):
            return
    step.gone = True


def _remove_endpoint(step: Step) -> bool:
    """Whether the endpoint is gone, or not ours; else asks for its deletion, or waits."""
    found = found_or_none(sagemaker.describe_endpoint, step.endpoint.name)
    if found is not None:
        if not _is_own(step, lambda: check_own_endpoint(step, found), ENDPOINT):
            return True
        see_endpoint(step, found)
        if found.status in IN_PROGRESS:
            step.again_in = patience(step)
            step.hint = (
                "SageMaker is stopping the instances."
                if found.status == "Deleting"
                else f"SageMaker deletes no endpoint that is {found.status}; it is deleted as "
                "soon as that is over."
            )
            return False
    return _remove(step, ENDPOINT, sagemaker.delete_endpoint, found is not None)


def _remove_config(step: Step) -> bool:
    found = found_or_none(sagemaker.describe_config, step.resources[CONFIG].name)
    if found and not _is_own(step, lambda: check_own_config(step, found), CONFIG):
        return True
    return _remove(step, CONFIG, sagemaker.delete_config, found is not None)


def _remove_model(step: Step) -> bool:
    found = found_or_none(sagemaker.describe_model, step.resources[MODEL].name)
    if found and not _is_own(step, lambda: check_own_model(step, found), MODEL):
        return True
    return _remove(step, MODEL, sagemaker.delete_model, found is not None)


def _remove(step: Step, kind: str, delete: Callable[[str], None], found: bool) -> bool:
    """Whether it is confirmed gone.

    The deletion is asked for once even where the read found nothing: it may lag behind the
    write of a moment ago, and a delete that finds nothing does no harm.
    """
    resource = step.resources[kind]
    if not found and resource.status == "Deleting":
        see(step, kind, Seen("Gone"))
        return True
    hold(step)
    try:
        delete(resource.name)
    except errors.NotFound:
        see(step, kind, Seen("Gone"))
        step.again_in = AT_ONCE
    else:
        see(step, kind, Seen("Deleting"))
        step.again_in = AT_ONCE if kind != ENDPOINT else SOON
        if kind == ENDPOINT:
            step.status = "Deleting"
            step.hint = "SageMaker is stopping the instances."
    return False


def _is_own(step: Step, check: Callable[[], None], kind: str) -> bool:
    """Whether ``check`` passes; where it does not, the thing is left alone, and that is told."""
    try:
        check()
    except Refused:
        resource = step.resources[kind]
        see(step, kind, Seen("Kept"))
        step.tell(
            Event.Level.WARNING,
            "endpoint.kept",
            f"The {NOUN[kind]} {resource.name} in the AWS account is not the one that this "
            "portal created. It was left as it is.",
        )
        return False
    return True
