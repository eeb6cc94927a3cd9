"""The readiness check of SageMaker."""

from core import errors
from core.readiness import NotWell
from endpoints import sagemaker


def look_at_sagemaker() -> str:
    """SageMaker's control plane answers."""
    try:
        sagemaker.look()
    except errors.AwsError as error:
        raise NotWell(str(error)) from error
    return "It answers."
