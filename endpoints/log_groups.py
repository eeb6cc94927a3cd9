"""The log groups of endpoints in CloudWatch Logs: listed and deleted."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from core import aws, errors
from core.sentences import Sentence, phrase

#: SageMaker's group of an endpoint is this and its name (DG/logging-cloudwatch).
PREFIX = "/aws/sagemaker/Endpoints/"
_CODES = {
    "ResourceNotFoundException": errors.NotFound,
    "OperationAbortedException": errors.Busy,
}


@dataclass(frozen=True)
class LogGroup:
    """The log group of an endpoint; ``size_bytes``: what it keeps."""

    endpoint: str
    arn: str
    created_at: datetime
    size_bytes: int


def _translated(doing: Sentence) -> AbstractContextManager[None]:
    def first(error: aws.ServiceError) -> errors.AwsError | None:
        kind = _CODES.get(error.code)
        return aws.known_error(kind, error, doing) if kind else None

    return aws.translated(doing, first)


def listed_log_groups(endpoint: str = "") -> Iterator[LogGroup]:
    """Those of endpoints whose names begin so; asks for a page when needed. Raises an AwsError."""
    with _translated(phrase("listing the log groups")):
        pages = aws.logs().get_paginator("describe_log_groups")
        for page in pages.paginate(logGroupNamePrefix=f"{PREFIX}{endpoint}"):
            for one in page["logGroups"]:
                yield LogGroup(
                    endpoint=one["logGroupName"].removeprefix(PREFIX),
                    arn=one["arn"],
                    created_at=datetime.fromtimestamp(one["creationTime"] / 1000, UTC),
                    size_bytes=one.get("storedBytes", 0),
                )


def delete_log_group(endpoint: str) -> None:
    """Delete the log group of an endpoint with all its lines; raises NotFound."""
    with _translated(phrase("deleting the log group of %(name)s", name=endpoint)):
        aws.logs().delete_log_group(logGroupName=f"{PREFIX}{endpoint}")
