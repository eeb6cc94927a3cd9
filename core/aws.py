"""boto3 clients, cached, with their exceptions translated to :mod:`core.errors`.

No other module of the portal imports boto3 or botocore. On one machine the standard
``AWS_ENDPOINT_URL_*`` variables point the clients at local servers; no code of the portal depends
on which of them answers.
"""

import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import quote, urlsplit

import boto3
import botocore.auth
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore import httpsession
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.response import StreamingBody
from django.conf import settings
from s3transfer.futures import BoundedExecutor

from core import (
    aws_refusals,
    errors,
    http_exchange,
    pace,
    prometheus,
    request_id,
    signature_v4,
)
from core.encryption import Encryption
from core.sentences import Sentence, phrase

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=BaseClient)

# Threads may share a client, but not the session that creates it (Boto3 guide, "Multithreading").
_client_lock = Lock()

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalError",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "RequestAbortedException",
    # Of Application Auto Scaling, ECR, Service Quotas and IAM, which is 500.
    "InternalServiceException",
    "InternalErrorException",  # of its price list
    "InternalDependencyException",  # of SageMaker's runtime
    "ServerException",
    "ServiceException",
    "ServiceFailure",
    # Errors of KMS itself, passed on by S3.
    "KMS.ThrottlingException",
    "KMS.KMSInternalException",
    "KMS.DependencyTimeoutException",
    "KMS.KeyUnavailableException",
    "NoSuchUpload",  # the store gave the upload up, as one does whose disk is full
    "ConditionalRequestConflict",  # S3: two conditional writes at once; the loser tries again
}
# Error codes of other S3 servers whose disk or quota is full.
_FULL = {"XMinioStorageFull", "StorageFull", "QuotaExceeded"}
# Replaces a server's text, which only repeats the code.
_SAID = {"NoSuchUpload": phrase("The store gave the upload up, as one does whose disk is full.")}
_NOT_FOUND = {
    *("404", "NoSuchKey", "NotFound", "ResourceNotFound"),
    # Of CloudWatch Logs, ECR, Service Quotas and its price list, all with 400.
    *("ResourceNotFoundException", "RepositoryNotFoundException", "ImageNotFoundException"),
    *("NoSuchResourceException", "NotFoundException"),
}
# What a service does not know that has all operations that the portal calls.
_OF_ANOTHER = {"UnknownOperationException", "UnknownOperation"}
# Of CloudWatch Logs and CloudWatch: something else changes it.
_BUSY = {"OperationAbortedException", "ResourceConflict"}
_TOO_MANY = re.compile(r"Throttl|TooManyRequests|RequestLimitExceeded|SlowDown")
# What an error means, before AWS's own words; those that somebody must mend have more of it
# (aws_refusals.py).
_TOO_MANY_CALLS = phrase("AWS takes no more calls for the moment.")
_ITS_FAULT = phrase("AWS could not do it just now; the fault is on its side.")
_CAUSES: dict[type[errors.AwsError], Sentence] = {
    errors.NotFound: phrase("AWS does not have it."),
    errors.Busy: phrase("AWS is changing it at the moment."),
    errors.Invalid: phrase("AWS does not take the request as it is."),
}
# boto3 found no credentials, or could not fetch them.
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
)
_EXISTS = {"412", "PreconditionFailed"}
# What a code of AWS looks like; anything else that a server says makes no series of its own.
_CODE = re.compile(r"[\w.]{1,60}", re.ASCII)


@dataclass(frozen=True)
class Timeouts:
    """Timeouts of a client for a connection and an answer, in seconds, and its attempts."""

    read_s: float
    attempts: int
    connect_s: float | None = None


JOB = Timeouts(60, 4)
"""For S3 in jobs: a large copy is slow, and no user waits."""
PAGE = Timeouts(20, 2)
"""For S3 where a user waits."""
PROBE = Timeouts(1, 1, connect_s=1)
"""For readiness checks."""


@dataclass(frozen=True)
class BucketFacts:
    """What must be known of a bucket to write there: its region, and how S3 is to encrypt.

    An empty region and an ``encryption`` of None are those of the settings.
    """

    region: str = ""
    encryption: str | None = None
    kms_key_id: str = ""


OF_SETTINGS = BucketFacts()


#: Clients of a kind that are kept, where people type what they are of: a region, a key of KMS. Each
#: takes a third of a megabyte and more.
_MOST_CLIENTS = 256


@lru_cache(_MOST_CLIENTS)
def s3(
    timeouts: Timeouts = JOB, facts: BucketFacts = OF_SETTINGS, *, signs_bodies: bool = True
) -> "S3Client":
    """The S3 client with these timeouts, for a bucket of which this is known.

    ``signs_bodies``: whether it takes the SHA-256 of a body to sign it over plain HTTP; over TLS
    boto3 does so for no body. A CRC-32 is signed in any case.
    """
    with _client_lock:
        config = _config(timeouts)
        if not signs_bodies:
            config = config.merge(Config(s3={"payload_signing_enabled": False}))
        if facts.region:
            config = config.merge(Config(region_name=facts.region))
        client = boto3.client("s3", config=config)
        return _encrypting(_with_clock_correction(client), facts)


def _with_clock_correction(client: C) -> C:
    events: Any = client.meta.events  # the type stubs have no handler that returns a value
    events.register_last("request-created", _name_request)
    events.register("after-call", _log_call)
    events.register("before-sign", _note_signing_time)
    events.register("needs-retry", _count_attempt)
    events.register("needs-retry", _correct_clock)
    return client


class _Threads(ThreadPoolExecutor):
    """The threads of boto3's transfers, with the id of the request that each works for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        return super().submit(copy_context().run, fn, *args, **kwargs)


# s3transfer has it as an attribute of the class, to be replaced, and boto3 no setting for it.
BoundedExecutor.EXECUTOR_CLS = _Threads


def _name_request(request: Any, **_: Any) -> None:
    """Add the request's id to the User-Agent, which CloudTrail and S3's access logs keep.

    Called last: botocore sets the header again for each request. It is not signed.
    """
    given = request_id.current()
    if given:
        agent = request.headers["User-Agent"]
        request.headers.replace_header("User-Agent", f"{agent} request-id/{given}")


def _log_call(http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
    logger.debug(
        "AWS answered %s %s with %s, its request id %s.",
        model.service_model.service_id,
        model.name,
        http_response.status_code,
        parsed.get("ResponseMetadata", {}).get("RequestId", "unknown"),
    )


def _count_attempt(
    response: Any = None,
    operation: Any = None,
    request_dict: Any = None,
    caught_exception: BaseException | None = None,
    **_: Any,
) -> None:
    """Count an attempt for Prometheus; botocore calls this after each, and None means no retry."""
    code = type(caught_exception).__name__ if response is None else "ok"
    if response is not None and response[0].status_code >= HTTPStatus.MULTIPLE_CHOICES:
        code = str((response[1] or {}).get("Error", {}).get("Code", response[0].status_code))
    signed = request_dict["context"].get(_SIGNED)
    prometheus.note_aws_call(
        operation.service_model.service_id,
        operation.name,
        code=code if _CODE.fullmatch(code) else "other",
        throttled=code in _THROTTLED,
        seconds=None if signed is None else time.monotonic() - signed[1],
    )


def encryption(facts: BucketFacts = OF_SETTINGS) -> dict[str, str]:
    """The parameters of writes that have S3 encrypt an object as these facts or the settings say.

    Empty where the bucket decides (S3 API, PutObject: ServerSideEncryption, SSEKMSKeyId).
    """
    how, key = facts.encryption, facts.kms_key_id
    if how is None:
        how, key = settings.S3_ENCRYPTION, settings.S3_KMS_KEY_ID
    if how == Encryption.SSE_S3:
        return {"ServerSideEncryption": "AES256"}
    if how == Encryption.SSE_KMS:
        return {"ServerSideEncryption": "aws:kms"} | ({"SSEKMSKeyId": key} if key else {})
    return {}


def _encrypting(client: C, facts: BucketFacts) -> C:
    """Add these parameters to all writes of the client, including boto3's transfers.

    The parts of a multipart upload are encrypted as CreateMultipartUpload said.
    """

    def with_encryption(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return params if "ServerSideEncryption" in params else encryption(facts) | params

    events: Any = client.meta.events
    for operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        events.register(f"provide-client-params.s3.{operation}", with_encryption)
    return client


# --- the clock by which requests are signed ------------------------------------------------------

# How far AWS's clock is ahead of this host's, in seconds; 0 where they are not far apart.
_ahead_s = 0.0
# AWS refuses signatures that are older than 5 minutes, S3 those older than 15 (IAM User Guide,
# "Signature Version 4"); the address of a download expires after one minute.
_APART_S = 30.0
# Some answers begin long before they end (S3 API, CopyObject); their Date is that of the beginning.
_PROMPT_S = 5.0
_SIGNED = "mme_signed"  # in a request's context: _ahead_s as it was signed, and when that was


def _signing_time(remove_tzinfo: bool = True) -> datetime:
    at = datetime.now(UTC) + timedelta(seconds=_ahead_s)
    return at.replace(tzinfo=None) if remove_tzinfo else at


# botocore signs by the host's clock and has no setting for it. A test checks that this works.
setattr(botocore.auth, "get_current_datetime", _signing_time)  # noqa: B010  # it has no types


def _note_signing_time(request: Any = None, **_: Any) -> None:
    """Note the clock that a request is signed by, as other threads may correct it meanwhile."""
    request.context[_SIGNED] = _ahead_s, time.monotonic()


def _correct_clock(
    response: Any = None, attempts: int = 1, request_dict: Any = None, **_: Any
) -> int | None:
    """Sign by AWS's clock from now on if this host's is far from it.

    botocore calls this after each answer. A returned number means that the request is sent again
    after so many seconds, which is done for one that was refused; None means nothing. Each answer
    has the server's time in its header Date.
    """
    global _ahead_s
    server = date_of(response[0].headers) if response else None
    if server is None:
        return None
    refused = response[0].status_code in {400, 401, 403}
    signed_ahead_s, signed_at = request_dict["context"].get(_SIGNED, (0.0, 0.0))
    if not refused and time.monotonic() - signed_at > _PROMPT_S:
        return None
    ahead_s = (server - datetime.now(UTC)).total_seconds()
    if abs(ahead_s - signed_ahead_s) < _APART_S:
        return None
    if abs(ahead_s) < _APART_S:
        _ahead_s = 0.0
        logger.info("This host's clock agrees with AWS's again; requests are signed by it.")
    else:
        _ahead_s = ahead_s
        logger.warning(
            "AWS's clock is %.0f s %s this host's; requests are signed by AWS's. Set up NTP.",
            abs(ahead_s),
            "ahead of" if ahead_s > 0 else "behind",
        )
    return 0 if refused and attempts <= 2 else None


def date_of(headers: Any) -> datetime | None:
    """The server's time in an answer's header ``Date``, to the second; None without a valid one."""
    try:
        return _date(headers.get("Date") or headers.get("date"))
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=8)
def _date(text: str) -> datetime:
    """It is the same for all answers of a second."""
    return parsedate_to_datetime(text).astimezone(UTC)


@lru_cache(_MOST_CLIENTS)
def s3_for_browsers(region: str = "") -> "S3Client":
    """The S3 client that signs addresses for browsers: at S3_BROWSER_URL, if that is set.

    It makes no calls. Addresses are signed with version 4, which all regions accept; by default
    botocore uses version 2 for some. They name the region: a new bucket is not known everywhere at
    once, and S3 would redirect to an address with another signature
    (S3 User Guide, "Request redirection"). Without a region it is the settings'.
    """
    address = settings.S3_BROWSER_URL or s3(PAGE).meta.endpoint_url
    of_amazon = (urlsplit(address).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
    style: Literal["virtual", "path"] = "virtual" if of_amazon else "path"
    config = _config(PAGE).merge(Config(signature_version="s3v4", s3={"addressing_style": style}))
    if region:
        config = config.merge(Config(region_name=region))
    with _client_lock:
        return boto3.client("s3", endpoint_url=settings.S3_BROWSER_URL, config=config)


def _config(timeouts: Timeouts) -> Config:
    return Config(
        region_name=settings.AWS_REGION,
        connect_timeout=timeouts.connect_s or settings.AWS_CONNECT_TIMEOUT_S,
        read_timeout=timeouts.read_s,
        retries={"mode": "standard", "total_max_attempts": timeouts.attempts},
        max_pool_connections=32,
    )


# Streams in parts of 8 MiB, four at a time: 32 MiB of memory for an archive of any size.
TRANSFER = TransferConfig(
    multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4
)
# s3transfer reads ten parts ahead otherwise; boto3's class does not take this as an argument.
TRANSFER.max_in_memory_upload_chunks = 4

# Of what is read from S3 itself meanwhile, so each part is in memory twice for a moment.
JOINING = TransferConfig(
    multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=2
)
JOINING.max_in_memory_upload_chunks = 1


#: What is larger is published in parts of this size; S3 takes none below 5 MiB but the last.
PART_BYTES = 16 << 20
# A call copies at most 5 GB (S3 API, CopyObject), and one of 1 GiB ends well within JOB's time.
COPY = TransferConfig(multipart_threshold=1 << 30, multipart_chunksize=256 << 20, max_concurrency=4)

_ASKED_BY_PEOPLE = Timeouts(5, 2, connect_s=3)


@cache
def sagemaker(timeouts: Timeouts | None = None) -> "SageMakerClient":
    """The SageMaker control-plane client; by default it waits for ``AWS_READ_TIMEOUT_S``.

    It does not retry: the reconciler retries by itself, and describes before it acts again; and a
    call must end before the lease that the reconciler holds.
    """
    with _client_lock:
        config = _config(timeouts or Timeouts(settings.AWS_READ_TIMEOUT_S, 1))
        client = boto3.client("sagemaker", config=config)
        return _paced(_with_clock_correction(client))


def _paced(client: C) -> C:
    """Have each call of the client take a token (core/pace.py)."""
    client.meta.events.register("before-call", _take_token)
    return client


def _take_token(**_: Any) -> None:
    pace.CONTROL_PLANE.took()


@cache
def autoscaling() -> Any:
    """The client of Application Auto Scaling; like that of SageMaker it does not retry."""
    with _client_lock:
        config = _config(Timeouts(settings.AWS_READ_TIMEOUT_S, 1))
        return _paced(
            _with_clock_correction(boto3.client("application-autoscaling", config=config))
        )


@lru_cache(_MOST_CLIENTS)
def ecr(region: str) -> Any:
    """The client of ECR in a region; people wait for it."""
    with _client_lock:
        config = _config(_ASKED_BY_PEOPLE).merge(Config(region_name=region))
        return _with_clock_correction(boto3.client("ecr", config=config))


@cache
def service_quotas() -> Any:
    """The client of Service Quotas; people wait for it."""
    with _client_lock:
        config = _config(_ASKED_BY_PEOPLE)
        return _with_clock_correction(boto3.client("service-quotas", config=config))


@cache
def pricing() -> Any:
    """The client of AWS's Price List, for jobs.

    It has an address in a few regions only, and tells the prices of all of them at each
    (Price List Query API, "Endpoints").
    """
    with _client_lock:
        config = _config(JOB).merge(Config(region_name="us-east-1"))
        return _with_clock_correction(boto3.client("pricing", config=config))


def client_of(service: str) -> Any:
    """The client of a service that plans show calls of."""
    clients: dict[str, Callable[[], Any]] = {
        "sagemaker": sagemaker,
        "application-autoscaling": autoscaling,
        "cloudwatch": cloudwatch,
    }
    return clients[service]()


@cache
def sagemaker_runtime() -> "SageMakerRuntimeClient":
    """The client for InvokeEndpoint, without retries, and with a read timeout of 70 s.

    A container has 60 s to answer; clients should read for 70
    (Developer Guide, invoke-multi-model-endpoint).
    """
    with _client_lock:
        return _with_clock_correction(
            boto3.client("sagemaker-runtime", config=_config(Timeouts(70, 1)))
        )


# Where botocore has urllib3's exceptions; its type stubs do not.
_SESSION: Any = httpsession

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
"""The header with what a caller tells the container, and the container its caller."""


@dataclass(frozen=True)
class Invoked:
    """What InvokeEndpoint answered."""

    body: bytes
    content_type: str
    custom_attributes: str
    request_id: str
    variant: str
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)


def invoke_endpoint(
    *,
    endpoint_name: str,
    target_model: str,
    body: bytes,
    content_type: str,
    accept: str,
    target_variant: str = "",
    custom_attributes: str = "",
) -> Invoked:
    """InvokeEndpoint as the client of sagemaker_runtime() calls it, without building its parts.

    A call of the client validates, serializes and parses for some 2 ms; this one signs and sends,
    over the client's own connections, with its credentials, timeouts, proxies and certificates.
    Raises what the client raises: call it within translated().
    """
    client: Any = sagemaker_runtime()
    where = _invoke_address(client)
    headers = {
        "Host": where.host,
        "Content-Type": content_type,
        "Accept": accept,
        "X-Amzn-SageMaker-Target-Model": target_model,
    }
    if target_variant:
        headers["X-Amzn-SageMaker-Target-Variant"] = target_variant
    if custom_attributes:
        headers[CUSTOM_ATTRIBUTES] = custom_attributes
    path = f"{where.path}/endpoints/{quote(endpoint_name, safe='')}/invocations"
    for attempt in (1, 2):
        attempted = {
            "operation": where.operation,
            "request_dict": {"context": {_SIGNED: (_ahead_s, time.monotonic())}},
        }
        given = where.signed(client, path, headers, body)
        try:
            answer = where.send(client, path, given, body)
        except BotoCoreError as error:
            _count_attempt(caught_exception=error, **attempted)
            raise
        if _correct_clock((answer, None), attempt, attempted["request_dict"]) is None:
            break
    request_id_ = answer.headers.get("x-amzn-RequestId", "")
    parsed: dict[str, Any] = {"ResponseMetadata": {"RequestId": request_id_ or "unknown"}}
    if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        parsed = _parsed_error(client, where.operation, answer)
    _count_attempt((answer, parsed), **attempted)
    _log_call(answer, parsed, where.operation)
    if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        kind = client.exceptions.from_code(parsed.get("Error", {}).get("Code"))
        raise kind(parsed, where.operation.name)
    return Invoked(
        body=answer.content,
        content_type=answer.headers.get("Content-Type", ""),
        custom_attributes=answer.headers.get(CUSTOM_ATTRIBUTES, ""),
        request_id=request_id_,
        variant=answer.headers.get("x-Amzn-Invoked-Production-Variant", ""),
        headers=answer.headers,
    )


@dataclass(frozen=True)
class _Address:
    """Where a client sends InvokeEndpoint, and how it signs it.

    ``pool`` has its connections; None where a proxy is between.
    """

    url: str
    host: str
    path: str
    agent: str
    signing_name: str
    region: str
    operation: Any
    pool: Any

    def signed(
        self, client: Any, path: str, headers: dict[str, str], body: bytes
    ) -> dict[str, str]:
        """Headers with the signature, with credentials that botocore refreshes."""
        if client._request_signer._credentials is None:
            raise NoCredentialsError
        credentials = client._request_signer._credentials.get_frozen_credentials()
        found = signature_v4.signed(
            method="POST",
            path=path,
            headers=headers,
            body=body,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            token=credentials.token,
            region=self.region,
            service=self.signing_name,
            at=_signing_time(),
        )
        named = request_id.current()
        found["User-Agent"] = f"{self.agent} request-id/{named}" if named else self.agent
        return found

    def send(self, client: Any, path: str, headers: dict[str, str], body: bytes) -> Any:
        """The answer: its status_code, headers and content. Raises BotoCoreError."""
        if self.pool is None:
            url = f"{self.url}{path.removeprefix(self.path)}"
            request = AWSRequest(method="POST", url=url, data=body, headers=headers)
            return client._endpoint.http_session.send(request.prepare())
        return _sent_by_pool(self.pool, self.url, path, headers, body)


def _sent_by_pool(
    pool: Any, url: str, path: str, headers: dict[str, str], body: bytes
) -> http_exchange.ReadAnswer:
    """Send over a connection of urllib3's pool; raises the exceptions of botocore's session."""
    connection = None
    stays = False
    try:
        header = http_exchange.head(
            "POST",
            path,
            headers | {"Accept-Encoding": "identity", "Content-Length": str(len(body))},
        )
        connection = pool._get_conn()
        if connection.is_closed:
            connection.connect()
        connection.sock.settimeout(pool.timeout.read_timeout)
        answer = http_exchange.exchange(connection.sock, header, body)
        stays = answer.stays
        return answer
    except (_SESSION.URLLib3SSLError, ssl.SSLError) as error:
        raise SSLError(endpoint_url=url, error=error) from error
    except (_SESSION.NewConnectionError, socket.gaierror) as error:
        raise EndpointConnectionError(endpoint_url=url, error=error) from error
    except _SESSION.URLLib3ConnectTimeoutError as error:
        raise ConnectTimeoutError(endpoint_url=url, error=error) from error
    except TimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from error
    except (http_exchange.Broken, OSError) as error:
        raise ConnectionClosedError(endpoint_url=url, error=error, request=None) from error
    except ValueError as error:
        raise HTTPClientError(error=error) from error
    finally:
        if connection is not None:
            if not stays:
                connection.close()
            pool._put_conn(connection)


@lru_cache(maxsize=1)
def _invoke_address(client: Any) -> _Address:
    """As botocore resolves it: FIPS, dual stack, and ``AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME``.

    It is kept for one client: one whose credentials were refused is not used again.
    """
    operation = client.meta.service_model.operation_model("InvokeEndpoint")
    context = {
        "client_region": client.meta.region_name,
        "client_config": client.meta.config,
        "auth_type": operation.resolved_auth_type,
    }
    found, _headers, _properties = client._resolve_endpoint_ruleset(operation, {}, context)
    url = found.rstrip("/")
    signing = context.get("signing") or {}
    return _Address(
        url=url,
        host=cast(Any, botocore.auth)._host_from_url(url),
        path=urlsplit(url).path,
        agent=client._user_agent_creator.to_string(),
        signing_name=signing.get("signing_name") or client.meta.service_model.signing_name,
        region=signing.get("region") or client.meta.region_name,
        operation=operation,
        pool=_pool(client._endpoint.http_session, url),
    )


def _pool(session: Any, url: str) -> Any:
    """The pool that botocore's session has for an address; None where it uses a proxy."""
    if session._proxy_config.proxy_url_for(url):
        return None
    pool = session._get_connection_manager(url).connection_from_url(url)
    session._setup_ssl_cert(pool, url, session._verify)
    return pool


def _parsed_error(client: Any, operation: Any, answer: Any) -> dict[str, Any]:
    """The error that a service answered with, as the client reads it."""
    given = convert_to_response_dict(answer, operation)
    parser = client._response_parser
    parsed: dict[str, Any] = parser.parse(given, operation.output_shape)
    client._endpoint._add_modeled_error_fields(given, parsed, operation, parser)
    return parsed


# A page that shows measurements waits no longer for them.
_TELEMETRY = Timeouts(4, 1, connect_s=2)


@cache
def cloudwatch() -> Any:
    """The CloudWatch client, for pages: 6 s at most, without retries; who looks, looks again."""
    with _client_lock:
        return _with_clock_correction(boto3.client("cloudwatch", config=_config(_TELEMETRY)))


# Whose signatures the address of the containers' pages takes (docs/localaws.md, "Who may call").
_PAGES_SERVICE = "localaws"


@dataclass(frozen=True)
class PageAnswer:
    """What an address answered: its status, and so many bytes of its body as were asked for."""

    status: int
    body: bytes


def signed_page(url: str, *, most_bytes: int) -> PageAnswer:
    """What ``url`` answers to a signed GET, at most ``most_bytes`` of it.

    It takes no longer than a call of cloudwatch(), and raises what a client raises: call it within
    translated().
    """
    client: Any = cloudwatch()
    agent = client._user_agent_creator.to_string()
    request = AWSRequest("GET", url, headers={"User-Agent": agent}, stream_output=True)
    _note_signing_time(request)
    signer = client._request_signer
    signer.get_auth_instance(_PAGES_SERVICE, client.meta.region_name, "v4").add_auth(request)
    _name_request(request)
    answer = client._endpoint.http_session.send(request.prepare())
    # It turns what breaks off into botocore's exceptions. That all has come is not checked.
    body: Any = StreamingBody(answer.raw, content_length=cast("int", None))
    with closing(body):
        return PageAnswer(answer.status_code, body.read(most_bytes))


@cache
def logs() -> Any:
    """The client of CloudWatch Logs, for pages: as cloudwatch()."""
    with _client_lock:
        return _with_clock_correction(boto3.client("logs", config=_config(_TELEMETRY)))


@cache
def _sts() -> Any:
    with _client_lock:
        return _with_clock_correction(boto3.client("sts", config=_config(PROBE)))


@cache
def _iam() -> Any:
    with _client_lock:
        return _with_clock_correction(boto3.client("iam", config=_config(PROBE)))


@dataclass(frozen=True)
class Identity:
    """Whose credentials the portal has: the account, its alias ("" without one), and the role."""

    account: str
    alias: str
    role: str


def identity() -> Identity:
    """Ask STS whose credentials these are, and IAM for the account's alias.

    GetCallerIdentity needs no permission (STS API); where iam:ListAccountAliases is denied, or IAM
    cannot be reached, there is no alias. Takes a few seconds at most. Raises core.errors.
    """
    with translated(phrase("looking up the account")):
        caller = _sts().get_caller_identity()
    try:
        with translated(phrase("looking up the account's alias")):
            aliases = [str(one) for one in _iam().list_account_aliases()["AccountAliases"]]
    except errors.AwsError as error:
        logger.info("The account's number is shown, as its alias is not known: %s", error)
        aliases = []
    return Identity(caller["Account"], aliases[0] if aliases else "", _role(caller["Arn"]))


def _role(arn: str) -> str:
    """Who is named by an ARN: ``x`` of ``assumed-role/x/session`` and of ``user/path/x``.

    IAM User Guide, "IAM identifiers".
    """
    kind, *names = arn.split(":", 5)[-1].split("/")
    if kind == "assumed-role":
        return names[0]
    return names[-1] if names else kind


def create_clients(*clients: "_lru_cache_wrapper[Any]") -> None:
    """Create ``clients`` at the start, so that no request has to wait for it.

    None has opened a connection yet, so a process may fork afterwards. An
    error of the configuration is logged, and raised again where a client is needed. A client that
    was created without credentials would never get any, so it is created again when needed.
    """
    for client in clients:
        try:
            client()
        except (BotoCoreError, ValueError) as error:
            logger.error("There is no client for AWS: %s", error)
    session = boto3.DEFAULT_SESSION
    if session is None or session.get_credentials() is None:
        logger.warning("There are no credentials for AWS yet.")
        for client in clients:
            client.cache_clear()


@dataclass(frozen=True)
class ServiceError:
    """An error that a service answered with: its code, its text, and the whole response."""

    code: str
    message: str
    response: Mapping[str, Any]


@contextmanager
def translated(
    doing: Sentence | str, first: Callable[[ServiceError], errors.AwsError | None] | None = None
) -> Iterator[None]:
    """Turn botocore's exceptions into :mod:`core.errors`; ``doing`` says what was tried: a phrase.

    SageMaker says some things only in the text of a ValidationException. ``first`` is asked about
    each error that a service answered with; where it returns None, the rules of this module apply.
    """
    try:
        yield
    except ClientError as error:
        known = first(_service_error(error)) if first else None
        raise known or from_client_error(error, doing) from error
    except (ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError) as error:
        said = phrase(
            "AWS did not answer while %(doing)s: %(error)s", doing=doing, error=str(error)
        )
        raise errors.Throttled(said) from error
    except _NO_CREDENTIALS as error:
        said = phrase("%(error)s (while %(doing)s)", error=str(error), doing=doing)
        raise _refused(aws_refusals.NO_CREDENTIALS, said) from error
    except Boto3Error as error:
        # boto3's transfers wrap the error of the service, which says more.
        if isinstance(error.__context__, ClientError):
            raise from_client_error(error.__context__, doing) from error
        said = phrase(
            "The transfer failed while %(doing)s: %(error)s", doing=doing, error=str(error)
        )
        raise errors.Throttled(said) from error
    except BotoCoreError as error:
        # Lost connections and the like are temporary; wrong parameters are not.
        kind: type[errors.AwsError] = errors.Throttled
        if type(error).__name__ in {"ParamValidationError", "NoRegionError"}:
            kind = errors.Invalid
        said = phrase("The call failed while %(doing)s: %(error)s", doing=doing, error=str(error))
        raise kind(said) from error


def _refused(refusal: aws_refusals.AwsRefusal, text: Sentence) -> errors.Denied:
    if refusal.credentials:
        _read_credentials_again()
    said = refusal.what + refusal.todo + phrase("AWS says: %(text)s", text=text)
    return errors.Denied(said, todo=refusal.todo)


_read_again_at = 0.0
_KEPT_CLIENTS: tuple[Any, ...] = (
    *(s3, s3_for_browsers, sagemaker, sagemaker_runtime, autoscaling, cloudwatch, logs),
    *(ecr, service_quotas, pricing, _sts, _iam),
)


def _read_credentials_again() -> None:
    """Let the next call read the credentials again; at most once in ten seconds.

    A session caches the credentials that it found in a file, and also that it found none.
    """
    global _read_again_at
    with _client_lock:
        now = time.monotonic()
        if now < _read_again_at:
            return
        _read_again_at = now + 10
        boto3.DEFAULT_SESSION = None
        for client in _KEPT_CLIENTS:
            client.cache_clear()


def _service_error(error: ClientError) -> ServiceError:
    detail: Any = error.response.get("Error", {})
    code, message = str(detail.get("Code", "")), str(detail.get("Message", ""))
    return ServiceError(code, message, cast("Mapping[str, Any]", error.response))


def told(text: Sentence | str, code: str, doing: Sentence | str) -> Sentence:
    """What a service answered, quoted, with its code and what was tried."""
    return phrase("%(text)s (%(code)s, while %(doing)s)", text=text, code=code, doing=doing)


def known_error(
    kind: type[errors.AwsError], error: ServiceError, doing: Sentence | str
) -> errors.AwsError:
    """An error of this kind, which says what it means, and what AWS said."""
    cause = _CAUSES.get(kind)
    if kind is errors.Throttled:
        cause = _TOO_MANY_CALLS if _TOO_MANY.search(error.code) else _ITS_FAULT
    said = told(_SAID.get(error.code, error.message or error.code), error.code, doing)
    plain = cause is None or error.code in _SAID
    return kind(said if plain or cause is None else cause + said)


def not_of_it(error: ServiceError, doing: Sentence | str) -> errors.AwsError | None:
    """The error where something else than the service answered, by HTTP's 404; None: it did.

    For services that answer 400 for what is not there: a proxy's or another server's 404 must not
    be taken for it. What is there counts as it was until the service answers again.
    """
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status != HTTPStatus.NOT_FOUND:
        return None
    return _of_another(error, doing)


def _of_another(error: ServiceError, doing: Sentence | str) -> errors.AwsError:
    said = phrase(
        "Something else than AWS answered while %(doing)s, by HTTP 404. See that the address of "
        "the service is right, and what stands between the portal and it. It says: %(text)s",
        doing=doing,
        text=error.message or error.code,
    )
    return errors.Throttled(said)


def refused(code: str, message: str, operation: str) -> ClientError:
    """What an answer says of a part of a request that was not done, as `translated` takes it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def from_client_error(error: ClientError, doing: Sentence | str) -> errors.AwsError:
    """Translate by AWS's error code; an unknown one becomes :class:`~core.errors.Invalid`."""
    detail: Any = error.response.get("Error", {})
    code = str(detail.get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = str(detail.get("Message", "")) or code
    text = told(_SAID.get(code, message), code, doing)
    if code in _FULL or status == 507:
        return errors.StorageFull(text)
    if code in _THROTTLED or status in {408, 429, 500, 502, 503, 504}:
        return known_error(errors.Throttled, _service_error(error), doing)
    if code in aws_refusals.QUOTA_CODES:
        quota = aws_refusals.QUOTA
        said = quota.what + quota.todo + phrase("AWS says: %(text)s", text=text)
        return errors.QuotaReached(said, todo=quota.todo)
    refusal = aws_refusals.recognised(code, message, error.operation_name, status)
    if refusal is not None:
        return _refused(refusal, text)
    if code in _OF_ANOTHER:
        return _of_another(_service_error(error), doing)
    if code in _NOT_FOUND or status == 404:
        return known_error(errors.NotFound, _service_error(error), doing)
    if code in _BUSY:
        return known_error(errors.Busy, _service_error(error), doing)
    if code in _EXISTS or status == 412:
        return errors.AlreadyExists(text)
    return known_error(errors.Invalid, _service_error(error), doing)
