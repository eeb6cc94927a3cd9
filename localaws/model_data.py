"""Checks that a model's archive exists in S3, with SageMaker's error messages."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .aws_errors import AwsError, validation_exception
from .fetch import FetchError
from .naming import S3Prefix

_CONTAINER = "container_1"
"""SageMaker's name for a container that was given none."""


def check_model_data(s3: Any, source: S3Prefix, url: str, *, role: str, region: str) -> None:
    """Raise CreateModel's error where the object at ``url`` is missing or not readable.

    Seen: gh:aws/aws-step-functions-data-science-sdk-python#61 (missing) and
    gh:philschmid/llm-sagemaker-sample#2 (not readable). Where S3 does not answer:
    ServiceUnavailable, on which clients retry.
    """
    try:
        s3.head_object(Bucket=source.bucket, Key=source.prefix)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in (400, 404):
            raise validation_exception(f"Could not find model data at {url}.") from None
        if status == 403:
            raise validation_exception(
                f'Could not access model data at {url}. Please ensure that the role "{role}" '
                'exists and that its trust relationship policy allows the action "sts:AssumeRole" '
                'for the service principal "sagemaker.amazonaws.com". Also ensure that the role '
                f'has "s3:GetObject" permissions and that the object is located in {region}. If '
                "your Model uses multiple models or uncompressed models, please ensure that the "
                'role has "s3:ListBucket" permission.'
            ) from None
        raise _s3_unavailable(url, error) from error
    except (BotoCoreError, OSError) as error:
        raise _s3_unavailable(url, error) from error


def _s3_unavailable(url: str, error: Exception) -> AwsError:
    message = f"S3 did not say whether there is an object at {url}: {error}"
    return AwsError("ServiceUnavailable", message, status=503)


def failure_reason(error: FetchError, url: str) -> str:
    """FailureReason of an endpoint whose model data could not be downloaded.

    Seen: gh:aws/deep-learning-containers#569 and
    gh:aws-solutions-library-samples/fraud-detection-using-machine-learning#9.
    """
    if error.kind == "archive":
        return (
            f'Failed to extract model data archive for container "{_CONTAINER}" from URL "{url}". '
            f"Please ensure that the object located at the URL is a valid tar.gz archive. ({error})"
        )
    text = f'Failed to download model data for container "{_CONTAINER}" from URL: "{url}". '
    if error.kind == "missing":
        return text + (
            "Please ensure that there is an object located at the URL and that the role passed to "
            "CreateModel has permissions to download the object."
        )
    return text + f"({error})"
