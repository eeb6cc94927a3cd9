"""The readiness check of SageMaker."""

from core import errors
from core.readiness import Unhealthy
from endpoints import sagemaker


def probe_sagemaker() -> str:
    """SageMaker's control plane answers."""
    try:
        sagemaker.look()
    except errors.AwsError as error:
        raise Unhealthy(str(error)) from error
    return "It answers."
