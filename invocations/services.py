"""Send a picture to a model, wait for a model that is still loading, and keep the answer.

Calls run in a pool of threads of the web process, so that a model which loads for minutes holds
neither the server nor a worker. A page waits a moment for its answer, then looks at the row.
"""

import atexit
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from core import clock, errors, web_threads
from core.lease import LeaseLost
from core.sentences import Sentence, phrase
from endpoints.end_dates import in_words
from endpoints.models import Endpoint
from invocations import answers, pictures_kept, recording, runtime
from invocations.models import Invocation, Picture
from invocations.payload import Payload
from invocations.pool import Pool, PoolFull
from invocations.recording import Recorded
from invocations.under_way import UnderWay
from models_catalog.models import Version

logger = logging.getLogger(__name__)

# The pause before a call is retried, after SageMaker throttled it or while the model loads.
BETWEEN_TRIES_S = 1.0
_THROTTLED_TRIES = 4
REFUSALS = (400, 413, 415)
"""The statuses with which a container says that it cannot take a payload."""
# How long a call waits for a thread; one of a model that is loaded is over in milliseconds.
_PLACE_WAIT_S = 0.5


class CallRefused(Exception):
    """The call was not made; ``str()`` says why, in the reader's language.

    ``sentence`` is what a row stores; ``code`` that of the API's problem (core/api/problems.py).
    """

    def __init__(self, said: Sentence | str, code: str = "conflict") -> None:
        super().__init__(said)
        self.sentence = Sentence.of(said)
        self.code = code


@dataclass
class Outcome:
    """What came of a call: the container's answer, or what went wrong."""

    answer: runtime.Answer | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Call:
    """What a thread needs to make a call, so that it reads no row."""

    recorded: Recorded
    endpoint_name: str
    target_model: str
    body: bytes
    content_type: str
    accept: str
    own_bytes: bool
    outcome: Outcome
    variant: str = ""
    custom_attributes: str = ""


@cache
def pool() -> Pool:
    """This process's pool, made when it is first needed: threads do not survive a fork."""
    atexit.register(_give_up_the_rest)
    return Pool(threads=settings.INVOKE_THREADS, waiting=settings.INVOKE_THREADS)


_under_way = UnderWay()


def _give_up_the_rest() -> None:
    """At a shutdown: mark this process's calls as failed, as no thread waits for them any more.

    After a kill the sweep does the same, when their leases are over.
    """
    Invocation.objects.filter(pk__in=_under_way.pks()).give_up()


class Started:
    """A call that a thread of the pool makes."""

    def __init__(self, recorded: Recorded, future: "Future[None]") -> None:
        self._recorded = recorded
        self._future = future

    def keep(self, payload: Payload) -> Picture | None:
        """Keep the picture, with its thumbnail; None where it cannot be read.

        Done while the model works: the answer waits for neither.
        """
        kept = pictures_kept.keep(payload, self._recorded.uid)
        if kept is not None:
            self._recorded.set_thumbnail(bytes(kept.thumbnail))
        return kept

    def answered(self, within_s: float) -> Invocation:
        """The call's row, with its answer where that comes in time."""
        try:
            self._future.exception(timeout=within_s)  # what went wrong is on the row
        except StillRunning:
            pass
        finally:
            self._recorded.write_now()
        return self._recorded.row


def start(
    *,
    endpoint: Endpoint,
    version: Version,
    payload: Payload,
    actor: User | None,
    asked: str = "",
    variant: str = "",
    warming: bool = False,
) -> Started:
    """Begin a call in a thread.

    ``asked``: the reference that was resolved to ``version``. ``variant``: which of the endpoint's
    is to answer; empty: SageMaker chooses one, by their weights. ``warming``: it is made to load
    the model, and is no traffic.

    Raises CallRefused, with no row left, where the endpoint does not serve this version, or where
    too many calls are waiting already.
    """
    call = _begin(endpoint, version, payload, actor, asked=asked, variant=variant, warming=warming)
    try:
        return Started(call.recorded, pool().submit(partial(_run, call)))
    except PoolFull:
        _under_way.discard(call.recorded)
        call.recorded.drop()
        raise _too_many() from None


def call(
    *,
    endpoint: Endpoint,
    version: Version,
    payload: Payload,
    actor: User | None,
    accept: str = answers.JSON,
    own_bytes: bool = False,
    asked: str = "",
    variant: str = "",
    custom_attributes: str = "",
) -> tuple[Invocation, Outcome]:
    """Make a call in this thread, and wait for its end; returns its row and what came of it.

    The row is written after the answer, mostly (invocations/recording.py): what it is asked for
    is in memory. It takes until the model is loaded, INVOKE_WAIT_S at most. ``accept``: what the
    container is asked for. ``own_bytes``: its caller reads the answer, so one without labels is
    no failure. ``custom_attributes``: as runtime.invoke() takes them. Raises CallRefused as
    start().
    """
    if not _places().acquire(timeout=_PLACE_WAIT_S):
        raise _too_many()
    try:
        made = _begin(
            endpoint,
            version,
            payload,
            actor,
            accept,
            own_bytes,
            asked=asked,
            variant=variant,
            custom_attributes=custom_attributes,
        )
        try:
            _run(made)
        finally:
            recording.recorder().hand_over(made.recorded)
    finally:
        _places().release()
    return made.recorded.row, made.outcome


@cache
def _places() -> threading.BoundedSemaphore:
    """As many calls wait for their answers in threads of the web server: half of these.

    The others answer everybody else, however long the models load.
    """
    return threading.BoundedSemaphore(max(1, web_threads.count() // 2))


def _too_many() -> CallRefused:
    return CallRefused(
        phrase("Too many calls are waiting for an answer. Try again in a moment."),
        "too-many-calls",
    )


def check_possible(endpoint: Endpoint, version: Version, variant: str = "") -> None:
    """Raise CallRefused where the endpoint does not serve this version, by this variant, now."""
    if endpoint.paused:
        moment = endpoint.resumes_at
        until = (
            phrase("until %(at)s", at=in_words(moment)) if moment else phrase("until it is resumed")
        )
        raise CallRefused(
            phrase(
                "The endpoint %(name)s is paused %(until)s. Resume it on its page, or choose "
                "another endpoint.",
                name=endpoint.name,
                until=until,
            ),
            "endpoint-not-in-service",
        )
    if not endpoint.serving:
        raise CallRefused(
            phrase(
                "The endpoint %(name)s is not in service now. Its page says why. Choose another "
                "endpoint, or try again later.",
                name=endpoint.name,
            ),
            "endpoint-not-in-service",
        )
    if version.state != Version.State.READY:
        named = str(version)
        said = phrase("%(version)s cannot be called: it is not ready.", version=named)
        if version.state == Version.State.RETIRED:
            said = phrase(
                "%(version)s cannot be called: it is retired. Restore it on its page first.",
                version=named,
            )
        elif version.state in Version.DISCARDED:
            said = phrase("%(version)s cannot be called: it was deleted.", version=named)
        raise CallRefused(said, "model-not-ready")
    if (version.bucket, version.prefix) != (endpoint.bucket, endpoint.prefix):
        raise CallRefused(
            phrase(
                "%(version)s is not in the store of the endpoint %(name)s. Choose another "
                "endpoint.",
                version=str(version),
                name=endpoint.name,
            ),
            "model-not-served",
        )
    if variant:
        names = [one.name for one in endpoint.running.parts]
        if variant not in names:
            said = phrase(
                "The endpoint %(endpoint)s has no variant %(variant)s. It has: %(names)s.",
                endpoint=endpoint.name,
                variant=variant,
                names=", ".join(names),
            )
            raise CallRefused(said, "invalid")


def _begin(
    endpoint: Endpoint,
    version: Version,
    payload: Payload,
    actor: User | None,
    accept: str = answers.JSON,
    own_bytes: bool = False,
    *,
    asked: str = "",
    variant: str = "",
    warming: bool = False,
    custom_attributes: str = "",
) -> _Call:
    """A call that is to be made at once, in the journal; raises CallRefused."""
    check_possible(endpoint, version, variant)
    now = clock.now()
    row = Invocation(
        endpoint=endpoint,
        version=version,
        target_model=version.target_model,
        asked=asked,
        asked_variant=variant,
        warming=warming,
        created_by=actor,
        created_at=now,
        # Both count for a row that is unfinished alone, and that has a lease.
        seen_at=now,
        check_after=now,
        picture_name=payload.name,
        picture_sha256=payload.sha256,
        thumbnail=payload.thumbnail,
        sent_bytes=len(payload.data),
        scaled=payload.scaled,
        scaled_code=payload.scaled_code,
        sent_as=payload.sent_as.as_json() if payload.sent_as else None,
    )
    recorded = Recorded(row, payload if payload.kept_type else None)
    recorded.begin()
    _under_way.add(recorded)
    return _Call(
        recorded,
        endpoint.name,
        version.target_model,
        payload.data,
        payload.content_type,
        accept,
        own_bytes,
        Outcome(),
        variant,
        custom_attributes,
    )


def sweep() -> None:
    """Give up the calls whose process is gone, and drop the pictures that were kept long enough.

    What such a process had answered becomes rows first. Rows that have no id of the API get one.
    """
    recording.replay()
    # Asked first: a write that changes nothing takes SQLite's one lock all the same.
    if Invocation.objects.due().exists():
        Invocation.objects.due().give_up()
    if Invocation.objects.filter(uid=None).exists():
        Invocation.objects.name_old()
    pictures_kept.sweep()


def _run(call: _Call) -> None:
    """Call until the row is finished; stop where the sweep has given the call up meanwhile."""
    try:
        _call_until_finished(call)
    except LeaseLost:
        logger.warning("call %s was given up before it had an answer", call.recorded.row.pk)
        call.recorded.row.refresh_from_db()
    finally:
        _under_way.discard(call.recorded)


def _call_until_finished(call: _Call) -> None:
    """Call until there is an answer, a permanent error, or INVOKE_WAIT_S is over.

    Raises LeaseLost where the row is finished by then: the page has shown that it failed.
    """
    began = time.perf_counter()

    def finish(**fields: object) -> None:
        call.recorded.finish(latency_ms=(time.perf_counter() - began) * 1000, **fields)

    def fail(said: Sentence, code: str, request_id: str = "") -> None:
        told = Invocation.told(said.named(code))
        finish(state=Invocation.State.FAILED, request_id=request_id, **told)

    try:
        _try_until_answered(call, began, finish)
    except errors.ModelFailed as error:
        call.outcome.error = error
        fail(_model_said(error), code_of(error), _request_id(error))
    except (errors.AwsError, answers.UnreadableAnswer) as error:
        call.outcome.error = error
        fail(error.sentence, code_of(error), _request_id(error))
    except LeaseLost:
        raise
    except BaseException:
        fail(phrase("The portal failed; its log says why. Call the model again."), "internal")
        call.recorded.write_now()
        raise


def code_of(error: Exception | None) -> str:
    """What programs know a failure by: a code of core/api/problems.py, also in the call's row."""
    if isinstance(error, errors.ModelFailed):
        return "model-refused" if error.status in REFUSALS else "model-failed"
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), "aws-failed")


_CODES: dict[type[Exception], str] = {
    errors.NotReady: "model-loading",
    errors.Throttled: "unavailable",
    errors.NotFound: "not-found",
    errors.Denied: "aws-denied",
    answers.UnreadableAnswer: "model-failed",
}


def _try_until_answered(call: _Call, began: float, finish: Callable[..., None]) -> None:
    attempts = throttled = 0
    while True:
        attempts += 1
        sent = time.perf_counter()
        try:
            answer = runtime.invoke(
                endpoint_name=call.endpoint_name,
                target_model=call.target_model,
                body=call.body,
                content_type=call.content_type,
                accept=call.accept,
                variant=call.variant,
                # What a caller says himself is handed on as it is.
                custom_attributes=call.custom_attributes
                or runtime.named(call.recorded.row.uid or ""),
            )
            break
        except errors.NotReady:
            if time.perf_counter() - began >= settings.INVOKE_WAIT_S:
                raise errors.NotReady(
                    phrase(
                        "The model was still loading after %(seconds)s s, when SageMaker gives up "
                        "too. The endpoint's log says what its container is doing.",
                        seconds=settings.INVOKE_WAIT_S,
                    )
                ) from None
        except errors.Throttled:
            throttled += 1
            if throttled >= _THROTTLED_TRIES:
                raise
        call.recorded.change(state=Invocation.State.LOADING, attempts=attempts)
        time.sleep(BETWEEN_TRIES_S)
    answered = time.perf_counter()
    cold, timings = answers.timings(answer.custom_attributes)
    timings["call_ms"] = (answered - sent) * 1000
    timings["waited_ms"] = (sent - began) * 1000
    call.outcome.answer = answer
    finish(
        state=Invocation.State.DONE,
        error="",
        error_code=None,
        predictions=_labels(call, answer),
        cold=cold,
        put_out=answers.put_out(answer.custom_attributes) if cold else None,
        attempts=attempts,
        timings=timings,
        request_id=answer.request_id[:64],
        variant=answer.variant[:63],
    )


def _labels(call: _Call, answer: runtime.Answer) -> list[dict[str, Any]]:
    """The labels of the answer; none where its caller asked for the container's own bytes.

    Raises UnreadableAnswer where the portal was to read it.
    """
    try:
        return answers.predictions(answer.body)
    except answers.UnreadableAnswer:
        if call.own_bytes:
            return []
        raise


def _request_id(error: Exception) -> str:
    """SageMaker's id of the request that failed, where it answered at all."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("ResponseMetadata", {}).get("RequestId", ""))[:64]


def _model_said(error: errors.ModelFailed) -> Sentence:
    """What the container said, quoted, with what it means."""
    text = _text(error)
    if error.status in REFUSALS:
        return phrase(
            "The model cannot take this picture. The container says: “%(said)s”", said=text
        )
    if error.status == 507:
        return phrase(
            "The endpoint's instances have too little memory for this model, even without other "
            "models. Choose a larger instance type. The container says: “%(said)s”",
            said=text,
        )
    return phrase(
        "The model's container failed with status %(status)s. It says: “%(said)s”",
        status=error.status,
        said=text,
    )


def _text(error: errors.ModelFailed) -> str:
    """What MMS's JSON error says, or the text itself."""
    try:
        given = json.loads(str(error))
        text = given["message"] if isinstance(given, dict) else str(error)
    except (ValueError, KeyError):
        text = str(error)
    return str(text)[:1000]
