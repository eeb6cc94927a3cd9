"""The readiness check of SageMaker."""

from core import errors
from core.readiness import Unhealthy
from core.sentences import Sentence, phrase
from endpoints import sagemaker


def probe_sagemaker() -> Sentence:
    """SageMaker's control plane answers."""
    try:
        sagemaker.look()
    except errors.AwsError as error:
        raise Unhealthy(error.sentence) from error
    return phrase("It answers.")
