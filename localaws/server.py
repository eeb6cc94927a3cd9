"""The HTTP server: routes requests to SageMaker, its runtime, the admin pages or moto."""

import http.client
import io
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

import waitress
from waitress.channel import ClientDisconnected
from waitress.server import BaseWSGIServer

from . import error_responses, guard, shapes
from .admin_pages import AdminPages, admin_token
from .alarms import Alarms
from .aws_errors import AwsError, internal_failure, unknown_operation, validation_error
from .clock import Clock
from .controlplane import ControlPlane
from .data_capture import DataCapture
from .faults import Fault, FaultPlan
from .fetch import s3_client
from .fleet import Fleet
from .guard import Guard, RequestCheck
from .invoke_endpoint import InvocationHandler, InvokeRequest
from .keys import KeyRing, KeysMissing, own_keys
from .lifecycle import Lifecycle
from .moto_services import MotoServices
from .naming import request_id
from .options import Options
from .pricing import Pricing
from .quotas import Quotas, is_about_sagemaker
from .resource_store import ResourceStore, lock_folder
from .scaling import Autoscaling, is_ours
from .scaling_evaluator import Evaluator
from .telemetry import Telemetry

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

_JSON_PROTOCOL = "application/x-amz-json-1.1"
_SCALING = "AnyScaleFrontendService"  # BC, application-autoscaling: targetPrefix
_QUOTAS = "ServiceQuotasV20190624"  # BC, service-quotas: targetPrefix
_PRICING = "AWSPriceListService"  # BC, pricing: targetPrefix
_NOT_OFFERED = {
    "InferenceComponentName": "HTTP_X_AMZN_SAGEMAKER_INFERENCE_COMPONENT",
    "TargetContainerHostname": "HTTP_X_AMZN_SAGEMAKER_TARGET_CONTAINER_HOSTNAME",
    "SessionId": "HTTP_X_AMZN_SAGEMAKER_SESSION_ID",
    "EnableExplanations": "HTTP_X_AMZN_SAGEMAKER_ENABLE_EXPLANATIONS",
}
_OTHER_INVOCATION = unknown_operation(
    "localaws offers InvokeEndpoint, not InvokeEndpointAsync or InvokeEndpointWithResponseStream."
)


class LocalAws:
    """All parts of one localaws; ``wsgi`` is its application."""

    def __init__(self, options: Options) -> None:
        """Raises what its options lack.

        InvalidFaultPlan, PricesUnreadable, FolderUnusable, KeysMissing, InvalidHostName.
        """
        self.options = options
        keys = own_keys(options.keys_file, os.environ)
        if not keys and options.verify_signatures:
            raise KeysMissing(
                "there is no key to verify requests with: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or give --keys-file."
            )
        self.keys = KeyRing(keys)
        hosts = guard.addresses(options.host, options.port, options.answer_to)
        self.faults = FaultPlan(options.faults)
        self._lock = lock_folder(options.data)
        self.guard = Guard(
            hosts,
            self.keys,
            admin_token(options.data),
            verify_signatures=options.verify_signatures,
        )
        self.store = ResourceStore(options.data / "state.sqlite3")
        self.clock = Clock()
        self.telemetry = Telemetry(options, self.clock)
        s3 = s3_client(options.region, options.s3_endpoint, keys[0] if keys else None)
        self.fleet = Fleet(options, s3, self.telemetry, self.faults.lets_start)
        self.alarms = Alarms(options, self.telemetry, self.clock, self.store)
        self.lifecycle = Lifecycle(options, self.store, self.fleet, self.alarms, self.clock)
        self.control_plane = ControlPlane(options, self.store, self.lifecycle, s3, self.alarms)
        self.captures = DataCapture(s3)
        self.runtime = InvocationHandler(options, self.store, self.fleet, self.captures)
        self.scaling = Autoscaling(options, self.store, self.clock, self.control_plane.set_count)
        self.evaluator = Evaluator(
            self.store, self.scaling, self.telemetry, self.clock, self.alarms
        )
        self.quotas = Quotas(options)
        self.pricing = Pricing(options.prices)
        self.admin = AdminPages(options, self.store, self.fleet, self.faults, self.evaluator)
        self.others = MotoServices(options.s3_endpoint)
        self._server: BaseWSGIServer | None = None

    def serve(self, on_ready: Callable[[], None] | None = None) -> None:
        """Answer requests until :meth:`stop`."""
        self._server = waitress.create_server(
            self.wsgi,
            host=self.options.host,
            port=self.options.port,
            threads=self.options.threads,
            connection_limit=3000,
            asyncore_use_poll=True,
            channel_timeout=guard.CHANNEL_TIMEOUT,
            cleanup_interval=2,
            max_request_header_size=64 * 1024,
            # The guard has lower limits; this one is for the encoded size of chunks.
            max_request_body_size=4 * guard.MAX_BYTES,
            ident="localaws",
        )
        for server in getattr(self._server, "map", {None: self._server}).values():
            server.channel_class = guard.channel_class(self.guard)
        self.lifecycle.resume()
        self.evaluator.start()
        self.others.warm_up()
        if on_ready is not None:
            on_ready()
        self._server.run()

    def end_instances(self) -> None:
        """Stop all instances; the stored statuses stay for the next start."""
        self.evaluator.stop()
        self.lifecycle.stop()
        self.fleet.stop()
        self.captures.stop()

    def stop(self) -> None:
        """Stop everything; may be called after :meth:`end_instances`."""
        self.end_instances()
        if self._server is not None:
            self._server.close()
        self.store.close()
        os.close(self._lock)

    # --- requests --------------------------------------------------------------------------

    def wsgi(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response = guard.without_cors(start_response)
        verdict: RequestCheck = environ["localaws.check"]
        refusal = verdict.refusal
        if refusal is None and verdict.claim is not None:
            refusal = self.guard.verify(verdict, _peek(environ))
        if refusal is not None:
            return _send(start_response, refusal)
        if verdict.kind != "health":
            environ["localaws.signed"]()
        path = environ.get("PATH_INFO", "")
        if verdict.kind == "control":
            target = environ["HTTP_X_AMZ_TARGET"]
            return self._control(target.partition(".")[2], environ, start_response)
        service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        if verdict.kind == "service" and service == _SCALING and is_ours(_peek(environ)):
            return self._control(operation, environ, start_response, service=_SCALING)
        if (
            verdict.kind == "service"
            and service == _QUOTAS
            and operation in self.quotas.operations
            and is_about_sagemaker(_peek(environ))
        ):
            return self._control(operation, environ, start_response, service=_QUOTAS)
        if verdict.kind == "service" and service == _PRICING:
            return self._control(operation, environ, start_response, service=_PRICING)
        if verdict.kind == "runtime":
            name, _, what = path.removeprefix("/endpoints/").rpartition("/")
            if what == "invocations":
                return self._invocation(unquote(name), environ, start_response)
            return _refusal(start_response, [("x-amzn-RequestId", request_id())], _OTHER_INVOCATION)
        if path.startswith("/_localaws/"):
            return self.admin.wsgi(environ, start_response)
        self.telemetry.flush()  # so that moto's answer is up to date
        claim = verdict.claim
        if not _unpacked(environ, verdict.limit):
            return _send(start_response, guard.too_large(verdict.request, verdict.kind, claim))
        if claim is not None and claim.expires is not None:
            environ["HTTP_AUTHORIZATION"] = claim.as_header  # moto looks for the service there
        self.alarms.load()
        status, headers, body = self.others.answer(environ, verdict)
        self.alarms.keep()
        if status == 200 and claim is not None and claim.service.lower() == "sts":
            body = self.keys.replace_credentials(body)  # STS, whose keys are replaced by ours
        headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        return _respond(start_response, status, headers, body)

    def _control(
        self,
        operation: str,
        environ: Environ,
        start_response: StartResponse,
        *,
        service: str = "",
    ) -> Iterable[bytes]:
        request = request_id()
        start = time.perf_counter()
        sent = _body(environ)
        faults = self.faults.next(operation, sent)
        try:
            _apply_before(faults)
            region = environ["localaws.check"].region
            if service == _SCALING:
                body = self.scaling.call(operation, sent, region=region)
            elif service == _QUOTAS:
                body = self.quotas.call(operation, sent)
            elif service == _PRICING:
                body = self.pricing.call(operation, sent)
            else:
                body = self.control_plane.call(operation, sent, faults, region=region)
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
        _apply_after(faults)
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
            _apply_before(faults)
            _check_supported(environ)
            result = self.runtime.invoke(
                InvokeRequest(
                    endpoint=name,
                    body=_body(environ),
                    request_id=request,
                    content_type=environ.get("CONTENT_TYPE") or None,
                    accept=environ.get("HTTP_ACCEPT"),
                    custom_attributes=environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"),
                    target_model=environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_MODEL"),
                    target_variant=environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT"),
                    inference_id=environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID"),
                    prefix_aware_id=environ.get("HTTP_X_AMZN_SAGEMAKER_PREFIX_AWARE_ID"),
                    region=environ["localaws.check"].region,
                )
            )
        except ClientDisconnected:
            raise
        except Exception as caught:
            error = _as_aws_error(caught, "InvokeEndpoint")
            log.info("InvokeEndpoint %s %s %s: %s", name, error.status, error.code, error.message)
            _apply_after(faults)
            return _refusal(start_response, headers, error)
        _apply_after(faults)
        headers.append(("Content-Type", result.content_type))
        headers += result.headers.items()
        return _respond(start_response, 200, headers, result.body)


def _apply_before(faults: list[Fault]) -> None:
    """Apply the faults that come before the operation: delay, error, or drop."""
    for fault in faults:
        if fault.action == "delay":
            time.sleep(fault.seconds)
        elif fault.action in ("throttle", "error"):
            raise fault.as_error()
        elif fault.action == "drop" and fault.before:
            raise ClientDisconnected


def _apply_after(faults: list[Fault]) -> None:
    """Drop the connection after the operation: waitress closes it on this exception."""
    if any(fault.action == "drop" for fault in faults):
        raise ClientDisconnected


def _as_aws_error(error: Exception, what: str) -> AwsError:
    if isinstance(error, AwsError):
        return error
    log.exception("%s broke", what)
    return internal_failure(f"localaws itself failed: {error!r}")


def _check_supported(environ: Environ) -> None:
    """Refuse headers of InvokeEndpoint that localaws does not support."""
    for member, header in _NOT_OFFERED.items():
        if environ.get(header) is not None:
            raise validation_error(f"localaws does not offer {member}.")


def _refusal(
    start_response: StartResponse, headers: list[tuple[str, str]], error: AwsError
) -> Iterable[bytes]:
    """An error as SageMaker's runtime sends it."""
    return _send(
        start_response, error_responses.runtime_refusal(error, dict(headers)["x-amzn-RequestId"])
    )


def _send(start_response: StartResponse, answer: error_responses.HttpResponse) -> Iterable[bytes]:
    status, headers, body = answer
    return _respond(start_response, status, headers, body)


def _peek(environ: Environ) -> bytes:
    """The body, which can be read again."""
    body = _body(environ)
    environ["wsgi.input"].seek(0)
    return body


def _body(environ: Environ) -> bytes:
    body: bytes = environ["wsgi.input"].read()
    return body


def _unpacked(environ: Environ, limit: int) -> bool:
    """Decompress a gzipped body (PutMetricData), with a limit, which moto does not have.

    False where it is longer than ``limit``. A malformed body is left to moto.
    """
    if environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() != "gzip":
        return True
    unpacking = zlib.decompressobj(wbits=31)
    try:
        body = unpacking.decompress(_peek(environ), limit + 1)
    except zlib.error:
        return True
    if len(body) > limit:
        return False
    del environ["HTTP_CONTENT_ENCODING"]
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return True


def _respond(
    start_response: StartResponse, status: int, headers: list[tuple[str, str]], body: bytes
) -> Iterable[bytes]:
    line = f"{status} {http.client.responses.get(status, 'Error')}"
    start_response(line, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def preload() -> None:
    """Load the service models before the first request."""
    shapes.service_model("sagemaker")
    shapes.service_model("sagemaker-runtime")
