"""The errors of the control plane and the runtime, as exceptions with code and HTTP status.

Codes and HTTP statuses are those of botocore's service models for ``sagemaker`` and
``sagemaker-runtime``; the texts are those that AWS sends, as far as public sources show them.
"""

from collections.abc import Mapping


class AwsError(Exception):
    """An error response.

    ``code`` is what boto3 shows as ``Error.Code``, ``status`` the HTTP status, ``fields``
    further members of the error's shape (for example ``OriginalStatusCode``).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})


# --- control plane (JSON protocol) ---------------------------------------------------------


def validation_exception(message: str) -> AwsError:
    """The control plane's error for every input that it does not accept, unknown names included."""
    return AwsError("ValidationException", message)


def unknown_operation(message: str) -> AwsError:
    return AwsError("UnknownOperationException", message)


def serialization_exception(message: str) -> AwsError:
    return AwsError("SerializationException", message)


# --- runtime (REST JSON) -------------------------------------------------------------------


# The runtime's errors have an ErrorCode besides, which is not in the service model. Sources of
# these: gh:aws/amazon-sagemaker-examples#1216, gh:opensearch-project/ml-commons (tests).
NO_SUCH_ENDPOINT = "NO_SUCH_ENDPOINT"
NO_TARGET_MODEL_HERE = "TARGET_MODEL_HEADER_NOT_SUPPORTED"
CLIENT_ERROR = "CLIENT_ERROR_FROM_MODEL"
SERVER_ERROR = "INTERNAL_FAILURE_FROM_MODEL"


def validation_error(message: str, error_code: str | None = None) -> AwsError:
    fields = {"ErrorCode": error_code} if error_code else {}
    return AwsError("ValidationError", message, fields=fields)


def model_not_ready(message: str) -> AwsError:
    return AwsError("ModelNotReadyException", message, status=429)


def service_unavailable(message: str) -> AwsError:
    return AwsError("ServiceUnavailable", message, status=503)


def internal_dependency(message: str) -> AwsError:
    return AwsError("InternalDependencyException", message, status=530)


def internal_failure(message: str) -> AwsError:
    return AwsError("InternalFailure", message, status=500)


def model_error(
    message: str, *, original_status: int, original_message: str, log_stream_arn: str
) -> AwsError:
    """The container answered something other than 2xx, or nothing (``original_status`` 0)."""
    return AwsError(
        "ModelError",
        message,
        status=424,
        fields={
            "ErrorCode": CLIENT_ERROR if 400 <= original_status < 500 else SERVER_ERROR,
            "OriginalStatusCode": original_status,
            "OriginalMessage": original_message,
            "LogStreamArn": log_stream_arn,
        },
    )
