"""All services but SageMaker and the scaling of its endpoints are moto's.

Services and operations that moto does not have, or that need a package which is not installed, get
"not offered" in the error format of the caller's protocol. So do CloudFormation, which would deploy
nothing, and S3, whose objects are on another server.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from botocore.model import OperationNotFoundError
from waitress.channel import ClientDisconnected

from . import error_responses
from .guard import RequestCheck
from .naming import request_id
from .telemetry import import_moto

log = logging.getLogger(__name__)

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

_S3 = ("s3", "s3bucket_path", "s3control")
_MISLEADING = {
    "cloudformation": "CloudFormation is not offered by localaws: it would deploy nothing.",
    "sagemaker": "This operation of SageMaker's is not offered by localaws.",
    "sagemakermetrics": "SageMaker Metrics is not offered by localaws.",
    "sagemakerruntime": "This operation of SageMaker's runtime is not offered by localaws.",
}
"""Services (by moto's names) that moto has, but that would mislead here."""


@runtime_checkable
class ClosableIterable(Protocol):
    """What a WSGI application may answer with (PEP 3333)."""

    def close(self) -> None: ...


class NotOffered(Exception):
    """localaws does not offer the operation; the message is for the caller.

    ``service`` is the service that moto detected, where it did.
    """

    def __init__(self, message: str, service: str = "") -> None:
        super().__init__(message)
        self.service = service


class MotoServices:
    """moto's WSGI application, with errors in the caller's protocol; loaded late, as it is slow."""

    def __init__(self, s3_endpoint: str | None) -> None:
        self._s3_endpoint = s3_endpoint
        self._lock = threading.Lock()
        self._app: Wsgi | None = None

    def warm_up(self) -> None:
        threading.Thread(target=self._load, name="moto", daemon=True).start()

    def answer(self, environ: Environ, verdict: RequestCheck) -> error_responses.HttpResponse:
        """moto's response to a request, or an error in the request's protocol."""
        claim = verdict.unverified_claim
        service = claim.service.lower() if claim else ""
        region = claim.region if claim else ""
        try:
            status, headers, body = _run(self._load(), environ)
        except ClientDisconnected:
            raise
        except NotOffered as error:
            return self._not_offered(str(error), verdict, service or error.service)
        except NotImplementedError as error:
            return self._not_offered(_sentence(service, str(error)), verdict, service)
        except OperationNotFoundError as error:
            return self._not_offered(_sentence(service, f"moto has no {error}"), verdict, service)
        except ImportError as error:
            log.info("%s: moto lacks %s", service, error.name)
            missing = f"its part of moto needs the package {error.name}, which is not installed"
            return self._not_offered(_sentence(service, missing), verdict, service)
        except Exception as error:
            if isinstance(error, KeyError) and error.args == (region,):
                elsewhere = f"moto has it in other regions than {region}"
                return self._not_offered(_sentence(service, elsewhere), verdict, service)
            log.exception("moto broke in a request for %s", service or "an unknown service")
            message = f"moto, which stands for {service or 'this service'} here, failed: {error!r}"
            return error_responses.failed(message, verdict.request, service, request_id())
        if _is_error_page(status, body, environ):
            message = _sentence(service, f"moto has no {environ['REQUEST_METHOD']} of this path")
            return self._not_offered(message, verdict, service)
        return status, headers, body

    def _not_offered(
        self, message: str, verdict: RequestCheck, service: str
    ) -> error_responses.HttpResponse:
        return error_responses.not_offered(message, verdict.request, service, request_id())

    def _load(self) -> Wsgi:
        with self._lock:
            if self._app is None:
                import_moto()
                from moto.moto_server.werkzeug_app import (
                    DomainDispatcherApplication,
                    create_backend_app,
                )

                def create(name: Any) -> Any:
                    self._check(name)
                    return create_backend_app(name)

                self._app = DomainDispatcherApplication(create)
            return self._app

    def _check(self, name: str | None) -> None:
        """Raise NotOffered for a service that is not offered; ``name`` is moto's, None: unknown."""
        if name is None:
            raise NotOffered("This service is not offered by localaws, and unknown to moto.")
        if name in _MISLEADING:
            raise NotOffered(_MISLEADING[name], name)
        if name in _S3:
            where = f", {self._s3_endpoint}," if self._s3_endpoint else ""
            raise NotOffered(
                "localaws has no S3: models and all other objects are on another server. Set "
                f"AWS_ENDPOINT_URL_S3 to the address of that server{where} besides "
                "AWS_ENDPOINT_URL.",
                "s3",
            )


def _run(app: Wsgi, environ: Environ) -> error_responses.HttpResponse:
    """The complete response of a WSGI application."""
    told: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, *_: object) -> None:
        told.append((status, headers))

    parts = app(environ, start)
    try:
        body = b"".join(parts)
    finally:
        if isinstance(parts, ClosableIterable):
            parts.close()
    status, headers = told[-1]
    return int(status.split(" ", 1)[0]), headers, body


def _is_error_page(status: int, body: bytes, environ: Environ) -> bool:
    """Whether an error is werkzeug's own page: moto has no such path or method."""
    if status not in (404, 405) or environ["REQUEST_METHOD"] == "HEAD":
        return False
    return not body or body[:15].lower() == b"<!doctype html>"


def _sentence(service: str, why: str) -> str:
    what = f"This operation of {service}" if service else "This operation"
    return f"{what} is not offered by localaws: {why.rstrip('.')}."
