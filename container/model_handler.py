"""What MMS calls in a worker: ``handle(None, context)`` loads, ``handle(data, context)`` answers.

Each worker has one model, so this module holds one network. ``handle`` is a function, because MMS
ignores the exceptions of a class's ``initialize`` (mms/model_loader.py), and a model that could not
be loaded would look loaded.
"""

import csv
import io
import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from container import accept, memory, payload
from container.artifact import read_artifact
from container.findings import ArtifactError
from container.json_log import log
from container.network import Network, Prediction
from container.processors import Share
from container.serving_state import Draining, RequestLock

# The content types of answers, in the order of preference.
_JSON, _CSV, _PLAIN = "application/json", "text/csv", "text/plain"
_OFFERED = (_JSON, _CSV, _PLAIN)
# An id that a caller may give a call in its custom attributes, to find the call's lines by.
_REQUEST_ID = re.compile(r"(?:^|;)request_id=([\w.-]{1,64})(?:;|$)", re.ASCII)

_network: Network | None = None
_lock: RequestLock | None = None
_share: Share | None = None
_load_ms = 0.0
_cold = True
_target_logged = ""


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[str] | None:
    """MMS's entry point. ``data`` is None once, at load time; then one dict a request."""
    if data is None:
        _load(context.model_name, Path(context.system_properties["model_dir"]))
        return None
    if _network is None or _lock is None or _share is None:  # MMS never does this
        raise RuntimeError("The worker was asked before it had loaded its model.")
    with _lock.busy(), _share.taken() as threads:
        return [
            _answer(_network, _lock, parameters, context, index, threads)
            for index, parameters in enumerate(data)
        ]


def _load(name: str, directory: Path) -> None:
    global _network, _lock, _share, _load_ms, _cold
    started = time.perf_counter()
    _lock = RequestLock()
    if _lock.draining():
        raise Draining
    _share = Share(_lock.folder)
    try:
        with _share.held():
            _network = Network(read_artifact(directory), admit=memory.admitted)
    except OSError as error:
        raise ArtifactError("load_failed", f"The artifact cannot be read: {error}") from error
    _load_ms = (time.perf_counter() - started) * 1000
    _cold = True
    log(
        "model_loaded",
        model=name,
        artifact=_network.artifact.name,
        load_ms=round(_load_ms, 1),
        parameter_mb=round(_network.artifact.parameter_bytes / memory.MEGABYTE, 1),
    )


def _answer(
    network: Network,
    lock: RequestLock,
    parameters: dict[str, Any],
    context: Any,
    index: int,
    threads: int,
) -> str:
    """The body for one request; status and headers are set on ``context``."""
    global _cold
    headers = {
        name.lower(): value
        for name, value in context.get_all_request_header(index).items()
        if isinstance(value, str)
    }
    target = headers.get("x-amzn-sagemaker-target-model", "")
    _log_target(target, context.model_name)
    named = _REQUEST_ID.search(headers.get("x-amzn-sagemaker-custom-attributes", ""))
    told = {"model": context.model_name, "target_model": target}
    if named is not None:
        told["request_id"] = named[1]
    if lock.draining():
        return _refuse(payload.ShuttingDown(), told, context, index)
    started = time.perf_counter()
    try:
        write, content_type = _writer(headers.get("accept", ""))
        request = payload.read(parameters, headers, network)
        decoded = time.perf_counter()
        answers = network.predict_rows(request.rows)
        _check(answers)
    except payload.BadRequest as error:
        return _refuse(error, told, context, index)
    except Exception as error:
        if named is not None:
            message = f"{type(error).__name__}: {error}"
            log("call_failed", level="ERROR", **told, message=message)
        raise
    inferred = time.perf_counter()

    timing = (
        f"cold={int(_cold)};load_ms={_load_ms:.1f};"
        f"decode_ms={(decoded - started) * 1000:.1f};infer_ms={(inferred - decoded) * 1000:.1f};"
        f"threads={threads}"
    )
    if named is not None:
        log("call_answered", **told, message=timing)
    _cold = False
    context.set_response_status(code=200, phrase="OK", idx=index)
    context.set_response_header(index, "X-Amzn-SageMaker-Custom-Attributes", timing)
    context.set_response_content_type(index, content_type)
    return write(answers, request.batched)


def _log_target(target: str, name: str) -> None:
    """Log once what callers name the model: SageMaker gives it an opaque name when it is loaded."""
    global _target_logged
    if target and target != _target_logged:
        _target_logged = target
        log("model_named", model=name, target_model=target)


def _writer(header: str) -> tuple[Callable[[list[list[Prediction]], bool], str], str]:
    """The function that writes the answer as the caller's Accept asks for, and its content type.

    JSON comes in two forms: objects for who names ``application/json``, and the notebook's strings
    for who takes anything. Raises :class:`payload.NotAcceptable`.
    """
    chosen = accept.choose(header, _OFFERED)
    if chosen is None:
        raise payload.NotAcceptable(
            f"None of the types in Accept is offered ({header[:200]}): ask for application/json, "
            "text/csv, text/plain or */*."
        )
    media_type, match = chosen
    if media_type == _CSV:
        return _csv, "text/csv; charset=utf-8; header=present"  # RFC 4180, section 3
    if media_type == _PLAIN:
        return _lines, "text/plain; charset=utf-8"
    return (_objects if match.specificity == 2 else _lines), _JSON


def _check(answers: list[list[Prediction]]) -> None:
    """Refuse an answer that overflowed inside the network: JSON has no NaN."""
    if not all(math.isfinite(p.probability) for answer in answers for p in answer):
        raise payload.BadRequest(
            "The network's answer is not finite numbers: what was sent is too large for it."
        )


# One picture gets one list; a request that came as a batch gets a list of them.


def _lines(answers: list[list[Prediction]], batched: bool) -> str:
    """The notebook's strings, with six decimals as the notebook's own handler writes them."""
    lines = [[f"probability={p.probability:f}, class={p.label}" for p in a] for a in answers]
    return json.dumps(lines if batched else lines[0])


def _objects(answers: list[list[Prediction]], batched: bool) -> str:
    found = [[{"label": p.label, "probability": p.probability} for p in a] for a in answers]
    return json.dumps({"predictions": found if batched else found[0]})


def _csv(answers: list[list[Prediction]], _batched: bool) -> str:
    """One line a label below a header; ``row`` counts the pictures of the request from 0."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)  # RFC 4180: commas, quotes where they are needed, CRLF
    writer.writerow(["row", "label", "probability"])
    for row, answer in enumerate(answers):
        writer.writerows([row, p.label, p.probability] for p in answer)
    return out.getvalue()


def _refuse(error: payload.BadRequest, told: dict[str, str], context: Any, index: int) -> str:
    """Answer a bad request with its sentence, in the shape of MMS's own errors."""
    log(
        "request_refused",
        level="WARNING",
        **told,
        status=error.status,
        message=str(error),
    )
    context.set_response_status(code=error.status, phrase=error.reason, idx=index)
    context.set_response_content_type(index, "application/json")
    return json.dumps(
        {"code": error.status, "type": f"{type(error).__name__}Exception", "message": str(error)}
    )
