"""Whether what is in the AWS account under our names is ours."""

from datetime import datetime
from typing import NoReturn

from endpoints import sagemaker
from endpoints.models import Resource
from endpoints.reconciler.step import CONFIG, ENDPOINT, MODEL, NOUN, Refused, Step


def check_own_model(step: Step, found: sagemaker.SageMakerModel) -> None:
    endpoint = step.endpoint
    same = (
        found.multi_model
        and found.image == endpoint.image
        and found.data_url == endpoint.model_data_url
    )
    if not same and not _known(step.resources[MODEL], found.created_at):
        _refuse(MODEL, found.name, f"it serves {found.data_url or 'nothing'} with {found.image}")


def check_own_config(step: Step, found: sagemaker.SageMakerConfig) -> None:
    endpoint = step.endpoint
    same = (found.model_name, found.instance_type, found.instance_count) == (
        endpoint.model_name,
        endpoint.instance_type,
        endpoint.instance_count,
    )
    if not same and not _known(step.resources[CONFIG], found.created_at):
        what = f"{found.instance_count} × {found.instance_type} for the model {found.model_name}"
        _refuse(CONFIG, found.name, f"it says {what}")


def check_own_endpoint(step: Step, found: sagemaker.SageMakerEndpoint) -> None:
    if found.config_name != step.endpoint.config_name and not _known(
        step.resources[ENDPOINT], found.created_at
    ):
        _refuse(ENDPOINT, found.name, f"it uses the config {found.config_name}")


def _known(resource: Resource, created_at: datetime) -> bool:
    """Whether it is the very one seen before, though somebody may have changed it since."""
    return resource.created_at == created_at


def _refuse(kind: str, name: str, how: str) -> NoReturn:
    raise Refused(
        f"The AWS account has a {NOUN[kind]} named {name} that is not this portal's: {how}. "
        "Nothing of it was changed. Tear this endpoint down (which leaves the other alone) and "
        "create one under another name."
    )
