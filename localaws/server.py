"""The one port: SageMaker, its runtime and the admin pages here, everything else moto's."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

import waitress
from waitress.channel import ClientDisconnected
from waitress.server import BaseWSGIServer

from . import shapes
from .admin import Admin
from .controlplane import ControlPlane
from .errors import AwsError, internal_failure, unknown_operation, validation_error
from .faults import Fault, FaultPlan
from .fetch import s3_client
from .fleet import Fleet
from .lifecycle import Lifecycle
from .naming import request_id
from .runtime import Invocation, Runtime, payload_too_large
from .settings import MAX_PAYLOAD_BYTES, Settings
from .store import Store, lock_folder
from .telemetry import Telemetry, import_moto

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

_JSON_PROTOCOL = "application/x-amz-json-1.1"
_NOT_OFFERED = {
    "InferenceComponentName": "HTTP_X_AMZN_SAGEMAKER_INFERENCE_COMPONENT",
    "TargetContainerHostname": "HTTP_X_AMZN_SAGEMAKER_TARGET_CONTAINER_HOSTNAME",
    "SessionId": "HTTP_X_AMZN_SAGEMAKER_SESSION_ID",
}
_OTHER_INVOCATION = unknown_operation(
    "localaws offers InvokeEndpoint, not InvokeEndpointAsync or InvokeEndpointWithResponseStream."
)
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class LocalAws:
    """Everything of one run, put together; ``wsgi`` is its application."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = FaultPlan(settings.faults)
        self._lock = lock_folder(settings.data)
        self.store = Store(settings.data / "state.sqlite3")
        self.telemetry = Telemetry(settings)
        s3 = s3_client(settings.region, settings.s3_endpoint)
        self.fleet = Fleet(settings, s3, self.telemetry)
        self.lifecycle = Lifecycle(settings, self.store, self.fleet)
        self.control_plane = ControlPlane(settings, self.store, self.lifecycle)
        self.runtime = Runtime(settings, self.store, self.fleet)
        self.admin = Admin(settings, self.store, self.fleet, self.faults)
        self._moto = _LazyMoto()
        self._server: BaseWSGIServer | None = None

    def serve(self, on_ready: Callable[[], None] | None = None) -> None:
        """Answer requests until :meth:`stop`."""
        self._server = waitress.create_server(
            self.wsgi,
            host=self.settings.host,
            port=self.settings.port,
            threads=self.settings.threads,
            connection_limit=1000,
            channel_timeout=120,
            max_request_body_size=256 * 1024 * 1024,
            ident="localaws",
        )
        self.lifecycle.resume()
        self._moto.warm_up()
        if on_ready is not None:
            on_ready()
        self._server.run()

    def end_instances(self) -> None:
        """End every instance; statuses stay as they are, for the next start."""
        self.lifecycle.stop()
        self.fleet.stop()

    def stop(self) -> None:
        """End everything; may follow :meth:`end_instances`."""
        self.end_instances()
        if self._server is not None:
            self._server.close()
        self.store.close()
        os.close(self._lock)

    # --- requests --------------------------------------------------------------------------

    def wsgi(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith("SageMaker."):
            return self._control(target.partition(".")[2], environ, start_response)
        if path.startswith("/endpoints/"):
            name, _, what = path.removeprefix("/endpoints/").rpartition("/")
            if what == "invocations":
                return self._invocation(unquote(name), environ, start_response)
            return _refusal(start_response, [("x-amzn-RequestId", request_id())], _OTHER_INVOCATION)
        if path.startswith("/_localaws/"):
            return self.admin.wsgi(environ, start_response)
        self.telemetry.flush()  # moto answers what has happened until now
        return self._moto.app(environ, start_response)

    def _control(
        self, operation: str, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = request_id()
        start = time.perf_counter()
        sent = _body(environ)
        faults = self.faults.next(operation, sent)
        try:
            _strike_before(faults)
            body = self.control_plane.call(operation, sent, faults)
            status, error_code = 200, ""
        except ClientDisconnected:
            raise
        except Exception as caught:
            error = _as_aws_error(caught, operation)
            status, error_code = error.status, error.code
            body = json.dumps(
                {"__type": error.code, "message": error.message} | error.fields
            ).encode()
        milliseconds = (time.perf_counter() - start) * 1000
        quiet = status == 200 and operation.startswith(("Describe", "List"))
        level = logging.DEBUG if quiet else logging.INFO
        log.log(level, "%s %s %s %.1f ms", operation, status, error_code, milliseconds)
        _strike_after(faults)
        headers = [("Content-Type", _JSON_PROTOCOL), ("x-amzn-RequestId", request)]
        return _respond(start_response, status, headers, body)

    def _invocation(
        self, name: str, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = request_id()
        headers = [("x-amzn-RequestId", request)]
        if environ["REQUEST_METHOD"] != "POST":
            return _respond(start_response, 405, headers, b"Use POST.")
        faults = self.faults.next("InvokeEndpoint", name=name)
        try:
            _strike_before(faults)
            _refuse_what_is_not_offered(environ)
            if int(environ.get("CONTENT_LENGTH") or 0) > MAX_PAYLOAD_BYTES:
                raise payload_too_large()
            result = self.runtime.invoke(
                Invocation(
                    endpoint=name,
                    body=_body(environ),
                    request_id=request,
                    content_type=environ.get("CONTENT_TYPE") or None,
                    accept=environ.get("HTTP_ACCEPT"),
                    custom_attributes=environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"),
                    target_model=environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_MODEL"),
                    target_variant=environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT"),
                )
            )
        except ClientDisconnected:
            raise
        except Exception as caught:
            error = _as_aws_error(caught, "InvokeEndpoint")
            log.info("InvokeEndpoint %s %s %s: %s", name, error.status, error.code, error.message)
            _strike_after(faults)
            return _refusal(start_response, headers, error)
        _strike_after(faults)
        headers.append(("Content-Type", result.content_type))
        headers += result.headers.items()
        return _respond(start_response, 200, headers, result.body)


class _LazyMoto:
    """moto's WSGI application for all other services; importing it takes a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Wsgi | None = None

    def warm_up(self) -> None:
        threading.Thread(target=lambda: self.app, name="moto", daemon=True).start()

    @property
    def app(self) -> Wsgi:
        with self._lock:
            if self._app is None:
                import_moto()
                from moto.moto_server.werkzeug_app import (
                    DomainDispatcherApplication,
                    create_backend_app,
                )

                self._app = DomainDispatcherApplication(create_backend_app)
            return self._app


def _strike_before(faults: list[Fault]) -> None:
    """What is to go wrong before anything is done: wait, refuse, or hang up."""
    for fault in faults:
        if fault.action == "delay":
            time.sleep(fault.seconds)
        elif fault.action in ("throttle", "error"):
            raise fault.as_error()
        elif fault.action == "drop" and fault.before:
            raise ClientDisconnected


def _strike_after(faults: list[Fault]) -> None:
    """Hang up after having acted: waitress closes the connection on this exception."""
    if any(fault.action == "drop" for fault in faults):
        raise ClientDisconnected


def _as_aws_error(error: Exception, what: str) -> AwsError:
    if isinstance(error, AwsError):
        return error
    log.exception("%s broke", what)
    return internal_failure(f"localaws itself failed: {error!r}")


def _refuse_what_is_not_offered(environ: Environ) -> None:
    """Headers of InvokeEndpoint that ask for another call than the one that would be made."""
    for member, header in _NOT_OFFERED.items():
        if environ.get(header) is not None:
            raise validation_error(f"localaws does not offer {member}.")


def _refusal(
    start_response: StartResponse, headers: list[tuple[str, str]], error: AwsError
) -> Iterable[bytes]:
    """An error as SageMaker's runtime sends it."""
    body = json.dumps({"Message": error.message} | error.fields).encode()
    headers = [*headers, ("Content-Type", "application/json")]
    if not error.code.isdigit():
        headers.append(("x-amzn-ErrorType", error.code))
    return _respond(start_response, error.status, headers, body)


def _body(environ: Environ) -> bytes:
    body: bytes = environ["wsgi.input"].read()
    return body


def _respond(
    start_response: StartResponse, status: int, headers: list[tuple[str, str]], body: bytes
) -> Iterable[bytes]:
    line = f"{status} {_REASONS.get(status, 'Error')}"
    start_response(line, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def preload() -> None:
    """Read the service models before the first request, which would wait for them."""
    shapes.service_model("sagemaker")
    shapes.service_model("sagemaker-runtime")
