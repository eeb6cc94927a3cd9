"""InvokeEndpoint, with errors of core.errors."""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from core import aws, errors
from core.sentences import phrase

logger = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 6_291_456
"""Largest body of an invocation (BC: sagemaker-runtime, BodyBlob)."""

# Seen as: Failed to download model data (bucket: …, key: …)
_NO_ARTIFACT = re.compile(r"failed to download model data|no such key|NoSuchKey", re.I)
# Seen as: Endpoint NAME of account 123456789012 not found.
_NO_ENDPOINT = re.compile(r"^endpoint .* not found", re.I)
_PASSING = {"ServiceUnavailable", "InternalFailure", "InternalDependencyException"}


def named(request_id: str) -> str:
    """The custom attributes by which the container's lines name a call (container/README.md)."""
    return f"request_id={request_id}"


Answer = aws.Invoked
"""What the model's container answered, with what SageMaker adds."""


def invoke(
    *,
    endpoint_name: str,
    target_model: str,
    body: bytes,
    content_type: str,
    accept: str = "application/json",
    variant: str = "",
    custom_attributes: str = "",
) -> Answer:
    """Send ``body`` to ``target_model`` and wait for the answer: up to 70 s, no retries.

    Without ``variant`` SageMaker chooses one of the endpoint's, by their weights.
    ``custom_attributes`` are for the container: 1,024 visible characters of ASCII at most.

    Raises NotReady while the model is being loaded, NotFound where the endpoint or the artifact
    is missing, ModelFailed where the container answered with an error, Invalid for more than
    ``MAX_PAYLOAD_BYTES``, and the other errors of :mod:`core.errors`.
    """
    if len(body) > MAX_PAYLOAD_BYTES:
        raise errors.Invalid(
            phrase(
                "The request has %(bytes)s bytes; SageMaker takes %(most)s at most.",
                bytes=f"{len(body):,}",
                most=f"{MAX_PAYLOAD_BYTES:,}",
            )
        )
    known = partial(_known_error, endpoint_name=endpoint_name, target_model=target_model)
    doing = phrase("calling %(model)s on %(endpoint)s", model=target_model, endpoint=endpoint_name)
    with _logged(endpoint_name, target_model) as answered, aws.translated(doing, known):
        answer = aws.invoke_endpoint(
            endpoint_name=endpoint_name,
            target_model=target_model,
            body=body,
            content_type=content_type,
            accept=accept,
            target_variant=variant,
            custom_attributes=custom_attributes,
        )
        answered.append(answer.request_id)
        return answer


@contextmanager
def _logged(endpoint_name: str, target_model: str) -> Iterator[list[str]]:
    """Log what comes of a request, by whomever it is made; takes AWS's id of what is answered.

    The line has the id of the portal's request, job or experiment that it belongs to. What is
    answered is logged for LOG_LEVEL=DEBUG alone: there may be hundreds of them a second.
    """
    began, answered = time.perf_counter(), list[str]()
    outcome, level = "broken off", logging.INFO
    try:
        yield answered
        outcome, level = f"answered, AWS's request id {answered[0]}", logging.DEBUG
    except errors.AwsError as error:
        outcome = f"{type(error).__name__}: {error.sentence.english()}"
        raise
    finally:
        lasted_ms = (time.perf_counter() - began) * 1000
        logger.log(
            level, "Call of %s on %s, %.0f ms: %s", target_model, endpoint_name, lasted_ms, outcome
        )


def _known_error(
    error: aws.ServiceError, *, endpoint_name: str, target_model: str
) -> errors.AwsError | None:
    code, text = error.code, error.message
    if code == "ModelError":
        return _model_failed(error.response, text)
    if code == "ModelNotReadyException":
        return errors.NotReady(
            phrase(
                "SageMaker is still loading %(model)s. SageMaker says: “%(said)s”",
                model=target_model,
                said=text,
            )
        )
    if code in {"ValidationError", "ValidationException"}:
        if _NO_ARTIFACT.search(text):
            return errors.NotFound(
                phrase(
                    "SageMaker could not fetch the archive %(model)s from the endpoint's store. "
                    "See that it is still there, and that the execution role may read it. "
                    "SageMaker says: “%(said)s”",
                    model=target_model,
                    said=text,
                )
            )
        if _NO_ENDPOINT.search(text):
            return errors.NotFound(
                phrase(
                    "AWS has no endpoint %(name)s. Its page says what became of it. SageMaker "
                    "says: “%(said)s”",
                    name=endpoint_name,
                    said=text,
                )
            )
    if code in _PASSING:
        return errors.Throttled(
            phrase(
                "SageMaker could not take the call just now. It says: “%(said)s”", said=text or code
            )
        )
    return None


def _model_failed(response: Mapping[str, Any], text: str) -> errors.ModelFailed:
    status = int(response.get("OriginalStatusCode") or 0)
    said = str(response.get("OriginalMessage") or text).strip()
    return errors.ModelFailed(said, status=status)
