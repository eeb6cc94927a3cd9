"""InvokeEndpoint: from the request to the model's response, with AWS's errors.

Texts and statuses are in docs/localaws.md, section "Errors", with their sources.
"""

import contextlib
import datetime
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from . import rules, shapes
from .aws_errors import (
    NO_SUCH_ENDPOINT,
    NO_TARGET_MODEL_HERE,
    AwsError,
    internal_dependency,
    internal_failure,
    model_error,
    model_not_ready,
    service_unavailable,
    validation_error,
)
from .cache import ModelReference
from .cached_model import ModelLoadError, ModelNotReady
from .container_client import ContainerGone, ContainerResponse, ContainerTimeout
from .data_capture import Captured, DataCapture
from .fetch import FetchError
from .fleet import Fleet, NoInstance, RunningEndpoint, ServingInstance, Variant
from .naming import relative
from .options import MAX_PAYLOAD_BYTES, Options
from .resource_store import ResourceStore
from .statuses import EndpointStatus

log = logging.getLogger(__name__)

_SERVING = {
    EndpointStatus.IN_SERVICE,
    EndpointStatus.UPDATING,
    EndpointStatus.SYSTEM_UPDATING,
    EndpointStatus.ROLLING_BACK,
    EndpointStatus.UPDATE_ROLLBACK_FAILED,
}
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True, slots=True)
class InvokeRequest:
    """One call; header values are None where absent."""

    endpoint: str
    body: bytes
    request_id: str
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    target_model: str | None = None
    target_variant: str | None = None
    inference_id: str | None = None
    prefix_aware_id: str | None = None
    region: str | None = None
    """The region of the request's signature; None: the one that is served."""


@dataclass(frozen=True, slots=True)
class InvokeResponse:
    """A model's response, as the caller gets it."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class InvocationHandler:
    """Handles invocations; thread-safe."""

    def __init__(
        self, options: Options, store: ResourceStore, fleet: Fleet, captures: DataCapture
    ) -> None:
        self._options = options
        self._store = store
        self._fleet = fleet
        self._captures = captures
        self._slots = threading.BoundedSemaphore(options.invocation_slots)

    def invoke(self, call: InvokeRequest) -> InvokeResponse:
        """Answer one invocation; raises AwsError."""
        if len(call.body) > MAX_PAYLOAD_BYTES:
            raise payload_too_large()
        _check(call)
        if not self._slots.acquire(blocking=False):
            raise service_unavailable("Too many invocations are under way; try again.")
        try:
            return self._invoke(call)
        finally:
            self._slots.release()

    def _invoke(self, call: InvokeRequest) -> InvokeResponse:
        deadline = time.monotonic() + self._options.invocation_timeout
        variant = self._variant(call)
        if variant.multi_model and call.target_model is None:
            raise validation_error(f"Request {call.request_id} is missing a target model header.")
        if not variant.multi_model and call.target_model is not None:
            raise validation_error(
                f"Endpoint {call.endpoint} is not a multi-model endpoint and does not support "
                "target model header.",
                NO_TARGET_MODEL_HERE,
            )
        target = relative(call.target_model or "")
        watch = _Stopwatch(variant)
        try:
            return self._invoke_with_retry(call, variant, target, deadline, watch)
        except AwsError as error:
            watch.failed(error)
            raise
        finally:
            watch.done()

    def _invoke_with_retry(
        self,
        call: InvokeRequest,
        variant: Variant,
        target: str,
        deadline: float,
        watch: "_Stopwatch",
    ) -> InvokeResponse:
        for last_try in (False, True):
            variant, serving, ticket = self._acquired(call, variant, target, deadline)
            with _caller_errors(self, call, variant, serving, target):
                try:
                    with (
                        watch.loading(ticket),
                        ticket.ready(deadline - time.monotonic()) as model,
                        watch.answering(),
                    ):
                        answer = self._call_container(serving, model.name, call)
                except ContainerGone as error:
                    serving.instance.recheck_health()
                    if error.sent or last_try:
                        raise
                    continue  # the container did not get the request: try another instance
                if answer.status == 404 and not last_try:
                    # The container lost the model, e.g. its worker was killed: load it again.
                    serving.cache.mark_unloaded(model)
                    continue
                return self._result(answer, call, variant, serving)
        raise AssertionError("unreachable")

    def _acquired(
        self, call: InvokeRequest, variant: Variant, target: str, deadline: float
    ) -> tuple[Variant, ServingInstance, ModelReference]:
        """An instance for the call; of the variant's successor where an update has replaced it."""
        while True:
            try:
                return variant, *variant.acquire(target, deadline - time.monotonic())
            except NoInstance:
                found = self._variant(call) if variant.stopped else variant
                if found is variant:
                    raise service_unavailable(
                        f"No instance of variant {variant.name} of endpoint {call.endpoint} is "
                        "healthy."
                    ) from None
                variant = found

    def _variant(self, call: InvokeRequest) -> Variant:
        here = call.region in (None, self._options.region)
        row = self._store.get("endpoint", call.endpoint) if here else None
        endpoint: RunningEndpoint | None = None
        if row is not None and row.status in _SERVING:
            endpoint = self._fleet.get(call.endpoint)
        if endpoint is None:
            raise validation_error(
                f"Endpoint {call.endpoint} of account {self._options.account} not found.",
                NO_SUCH_ENDPOINT,
            )
        variant = endpoint.pick(call.target_variant)
        if variant is None:
            raise validation_error(
                f"Variant {call.target_variant} not found for endpoint {call.endpoint}."
            )
        return variant

    def _call_container(
        self, serving: ServingInstance, name: str, call: InvokeRequest
    ) -> ContainerResponse:
        headers = {
            "Content-Type": call.content_type,
            "Accept": call.accept,
            _CUSTOM_ATTRIBUTES: call.custom_attributes,
            _TARGET_MODEL: call.target_model,
        }
        given = {key: value for key, value in headers.items() if value is not None}
        timeout = self._options.invocation_timeout
        return serving.instance.container.invoke(name, call.body, given, timeout)

    def _result(
        self,
        answer: ContainerResponse,
        call: InvokeRequest,
        variant: Variant,
        serving: ServingInstance,
    ) -> InvokeResponse:
        if not answer.ok:
            raise self.model_error(answer.status, answer.text, call, variant, serving)
        headers = {"x-Amzn-Invoked-Production-Variant": variant.name}
        attributes = answer.headers.get(_CUSTOM_ATTRIBUTES)
        if attributes is not None:
            headers[_CUSTOM_ATTRIBUTES] = attributes
        content_type = answer.headers.get("Content-Type") or "application/octet-stream"
        self._capture(call, variant, answer.body, content_type)
        return InvokeResponse(answer.body, content_type, headers)

    def _capture(self, call: InvokeRequest, variant: Variant, body: bytes, kind: str) -> None:
        row = self._store.get("endpoint", call.endpoint)
        settings = row.body.get("settings", {}).get("DataCaptureConfig") if row else None
        if not settings:
            return
        self._captures.offer(
            settings,
            Captured(
                endpoint=call.endpoint,
                variant=variant.name,
                event_id=call.request_id,
                at=datetime.datetime.now(datetime.UTC),
                sent=call.body,
                sent_type=call.content_type,
                got=body,
                got_type=kind,
                custom_attributes=call.custom_attributes,
                inference_id=call.inference_id,
            ),
        )

    def model_error(
        self,
        status: int,
        text: str,
        call: InvokeRequest,
        variant: Variant,
        serving: ServingInstance,
    ) -> AwsError:
        """424 with the container's status and message (seen: gh:aws/sagemaker-python-sdk#2955)."""
        region, account = self._options.region, self._options.account
        group = f"/aws/sagemaker/Endpoints/{call.endpoint}"
        stream = f"{variant.name}/{serving.instance.id}"
        whose = "client" if 400 <= status < 500 else "server"
        console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        return model_error(
            f'Received {whose} error ({status}) from primary with message "{text}". See '
            f"{console}#logEventViewer:group={group} in account {account} for more information.",
            original_status=status,
            original_message=text,
            log_stream_arn=f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}",
        )


class _Stopwatch:
    """The metrics of one invocation (DG/multi-model-endpoint-cloudwatch-metrics)."""

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._start = time.perf_counter()
        self._model = 0.0
        self._wait: float | None = None
        self._errors = {"Invocation4XXErrors": 0, "Invocation5XXErrors": 0}

    @contextlib.contextmanager
    def loading(self, ticket: ModelReference) -> Iterator[None]:
        self._variant.metric("ModelCacheHit", 0.0 if ticket.cold else 1.0)
        self._wait = time.perf_counter() if ticket.cold else None
        yield

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        start = time.perf_counter()
        if self._wait is not None:
            self._variant.metric("ModelLoadingWaitTime", (start - self._wait) * 1e6)
        try:
            yield
        finally:
            self._model += time.perf_counter() - start

    def failed(self, error: AwsError) -> None:
        status = error.fields.get("OriginalStatusCode", error.status)
        callers_fault = isinstance(status, int) and 400 <= status < 500
        self._errors["Invocation4XXErrors" if callers_fault else "Invocation5XXErrors"] = 1

    def done(self) -> None:
        total = time.perf_counter() - self._start
        self._variant.metric("Invocations", 1)
        # DG/monitoring-cloudwatch: 1/numberOfInstances of each request; here those asked for.
        self._variant.metric("InvocationsPerInstance", 1 / self._variant.spec["count"])
        for name, count in self._errors.items():
            self._variant.metric(name, count)
        if self._model:
            self._variant.metric("ModelLatency", self._model * 1e6)
            self._variant.metric("OverheadLatency", (total - self._model) * 1e6)


def payload_too_large() -> AwsError:
    """413 with no code but its number (seen: gh:aws/sagemaker-python-sdk#171)."""
    return AwsError("413", f"HTTP content length exceeded {MAX_PAYLOAD_BYTES} bytes.", status=413)


def _check(call: InvokeRequest) -> None:
    """Check the call's headers against the service model; raises AWS's ValidationError."""
    members = {
        "EndpointName": call.endpoint,
        "Body": "",  # its length is checked by itself
        "ContentType": call.content_type,
        "Accept": call.accept,
        "CustomAttributes": call.custom_attributes,
        "TargetModel": call.target_model,
        "TargetVariant": call.target_variant,
        "InferenceId": call.inference_id,
        "PrefixAwareId": call.prefix_aware_id,
    }
    shape = shapes.service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
    assert shape is not None
    given = {key: value for key, value in members.items() if value is not None}
    try:
        shapes.check(shape, given)
        rules.check_attributes(call.custom_attributes)
    except AwsError as error:
        raise validation_error(error.message) from None


class _caller_errors:
    """Translates internal errors to those that a caller of SageMaker gets."""

    def __init__(
        self,
        runtime: InvocationHandler,
        call: InvokeRequest,
        variant: Variant,
        serving: ServingInstance,
        target: str,
    ) -> None:
        self._about = (call, variant, serving)
        self._runtime = runtime
        self._target = target

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, AwsError):
            return
        raise self._translated(error) from error

    def _translated(self, error: BaseException) -> BaseException:
        call = self._about[0]
        match error:
            case ModelNotReady():
                return model_not_ready(
                    f"Model {self._target} for endpoint {call.endpoint} is not ready for "
                    "inference: it is still being loaded. Please try again."
                )
            case FetchError():
                return self._fetch_error(error)
            case ModelLoadError():
                return self._runtime.model_error(error.status, str(error), *self._about)
            case ContainerTimeout():
                return self._runtime.model_error(0, _TIMED_OUT, *self._about)
            case ContainerGone():
                text = "The container ended, or closed the connection, before it answered."
                return self._runtime.model_error(0, text, *self._about)
            case Exception():
                log.exception("invocation of %s at %s broke", self._target, call.endpoint)
                return internal_failure(f"localaws itself failed: {error!r}")
        return error

    def _fetch_error(self, error: FetchError) -> AwsError:
        variant = self._about[1]
        bucket = variant.source.bucket
        key = variant.source.key(self._target) if variant.multi_model else variant.source.prefix
        match error.kind:
            case "missing":
                return validation_error(
                    f"Failed to download model data (bucket: {bucket}, key: {key}). Please ensure "
                    "that there is an object located at the URL and that the role passed to "
                    "CreateModel has permissions to download the model."
                )
            case "archive":
                return validation_error(
                    f"Failed to extract model data archive (bucket: {bucket}, key: {key}). Please "
                    "ensure that the object located at the URL is a valid tar.gz archive. "
                    f"({error})"
                )
            case "disk" | "size":
                return self._runtime.model_error(
                    507, f"No room on the instance's disk for {self._target}: {error}", *self._about
                )
        return internal_dependency(
            f"Failed to download model data (bucket: {bucket}, key: {key}): S3 did not answer as "
            f"it should ({error}). The model was not loaded; try again."
        )
