"""Send a picture to a model, wait for a model that is still loading, and keep the answer.

Calls run in a pool of threads of the web process, so that a model which loads for minutes holds
neither the server nor a worker. A page waits a moment for its answer, then looks at the row.
"""

import atexit
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.utils.translation import gettext as _

from core import clock, errors
from core.lease import LeaseLost
from core.sentences import Sentence, phrase
from endpoints.models import Endpoint
from invocations import answers, runtime
from invocations.models import Invocation, Picture
from invocations.pictures import Prepared
from invocations.pool import Pool, PoolFull
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
# How long an answer is kept while the database is locked, full or away.
WRITE_FOR_S = 120.0


class CallRefused(Exception):
    """The call was not made; ``str()`` says why, in the reader's language.

    ``code`` is that of the API's problem (core/api/problems.py).
    """

    def __init__(self, said: str, code: str = "conflict") -> None:
        super().__init__(said)
        self.code = code


@dataclass(frozen=True)
class Payload:
    """What is sent where no picture is kept; the names are those of a Picture."""

    name: str
    content_type: str
    data: bytes
    thumbnail: bytes = b""
    scaled: str = ""
    scaled_code: object = None

    @property
    def sha256(self) -> str:
        """Of the bytes that are sent, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass
class Outcome:
    """What came of a call: the container's answer, or what went wrong."""

    answer: runtime.Answer | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Call:
    """What a thread of the pool needs to make a call, so that it reads no row."""

    invocation_pk: int
    endpoint_name: str
    target_model: str
    body: bytes
    content_type: str
    accept: str
    own_bytes: bool
    outcome: Outcome


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


def start(
    *, endpoint: Endpoint, version: Version, picture: Picture, actor: User | None
) -> "tuple[Invocation, Future[None]]":
    """Begin a call; returns its row, and a future that is done when the row is settled.

    Raises CallRefused, with no row left, where the endpoint does not serve this version, or where
    too many calls are waiting already. The picture stays kept, so that it can be sent again.
    """
    invocation, call = _begin(endpoint, version, picture, actor)
    try:
        return invocation, pool().submit(partial(_run, call))
    except PoolFull:
        _under_way.discard(invocation.pk)
        invocation.delete()
        raise _too_many() from None


def call(
    *,
    endpoint: Endpoint,
    version: Version,
    payload: "Picture | Payload",
    actor: User | None,
    accept: str = answers.JSON,
    own_bytes: bool = False,
) -> tuple[Invocation, Outcome]:
    """Make a call in this thread, and wait for its end; returns its row and what came of it.

    It takes until the model is loaded, INVOKE_WAIT_S at most. ``accept``: what the container is
    asked for. ``own_bytes``: its caller reads the answer, so one without labels is no failure.
    Raises CallRefused as start().
    """
    if not _places().acquire(timeout=_PLACE_WAIT_S):
        raise _too_many()
    try:
        invocation, made = _begin(endpoint, version, payload, actor, accept, own_bytes)
        _run(made)
    finally:
        _places().release()
    invocation.refresh_from_db()
    return invocation, made.outcome


@cache
def _places() -> threading.BoundedSemaphore:
    """As many calls wait for their answers in threads of the web server: half of these.

    The others answer everybody else, however long the models load.
    """
    return threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 2))


def _too_many() -> CallRefused:
    return CallRefused(
        _("Too many calls are waiting for an answer. Try again in a moment."), "too-many-calls"
    )


def _begin(
    endpoint: Endpoint,
    version: Version,
    picture: "Picture | Payload",
    actor: User | None,
    accept: str = answers.JSON,
    own_bytes: bool = False,
) -> tuple[Invocation, _Call]:
    """The row of a call that is to be made at once; raises CallRefused."""
    if not endpoint.serving:
        raise CallRefused(
            _(
                "The endpoint %(name)s is not in service now. Its page says why. Choose another "
                "endpoint, or try again later."
            )
            % {"name": endpoint.name},
            "endpoint-not-in-service",
        )
    if version.state != Version.State.READY:
        raise CallRefused(
            _("%(version)s cannot be called: it is not ready.") % {"version": version},
            "model-not-ready",
        )
    if (version.bucket, version.prefix) != (endpoint.bucket, endpoint.prefix):
        raise CallRefused(
            _("%(version)s is not in the store of the endpoint %(name)s. Choose another endpoint.")
            % {"version": version, "name": endpoint.name},
            "model-not-served",
        )
    invocation = Invocation.objects.create(
        endpoint=endpoint,
        version=version,
        target_model=version.target_model,
        created_by=actor,
        picture_name=picture.name,
        picture_sha256=picture.sha256,
        thumbnail=bytes(picture.thumbnail),
        sent_bytes=len(picture.data),
        scaled=picture.scaled,
        scaled_code=picture.scaled_code,
        leased_until=clock.now() + Invocation.LEASE,
    )
    call = _Call(
        invocation.pk,
        endpoint.name,
        version.target_model,
        bytes(picture.data),
        picture.content_type,
        accept,
        own_bytes,
        Outcome(),
    )
    _under_way.add(invocation.pk)
    return invocation, call


def keep(picture: Prepared) -> Picture:
    """Keep the picture for a day, so that it can be sent again."""
    kept, _created = Picture.objects.update_or_create(
        sha256=picture.sha256,
        defaults={
            "name": picture.name,
            "content_type": picture.content_type,
            "data": picture.data,
            "thumbnail": picture.thumbnail,
            "preview": picture.preview,
            "scaled": picture.scaled.english()[:200] if picture.scaled else "",
            "scaled_code": picture.scaled.as_json() if picture.scaled else None,
            "used_at": clock.now(),
        },
    )
    return kept


def sweep() -> None:
    """Give up the calls whose process is gone, and drop the pictures that were kept long enough.

    Rows that have no id of the API get one.
    """
    # Asked first: a write that changes nothing takes SQLite's one lock all the same.
    if Invocation.objects.due().exists():
        Invocation.objects.due().give_up()
    if Invocation.objects.filter(uid=None).exists():
        Invocation.objects.name_old()
    if Picture.objects.expired().exists():
        Picture.objects.expired().delete()


def _run(call: _Call) -> None:
    """Call until the row is finished; stop where the sweep has given the call up meanwhile."""
    try:
        _call_until_finished(call)
    except LeaseLost:
        logger.warning("call %s was given up before it had an answer", call.invocation_pk)
    finally:
        _under_way.discard(call.invocation_pk)


def _call_until_finished(call: _Call) -> None:
    """Call until there is an answer, a permanent error, or INVOKE_WAIT_S is over.

    Raises LeaseLost where the row is finished by then: the page has shown that it failed.
    """
    row = Invocation.objects.unfinished().filter(pk=call.invocation_pk)
    began = time.perf_counter()

    def note(**fields: object) -> None:
        if _write(lambda: row.update(**fields)) != 1:
            raise LeaseLost

    def finish(**fields: object) -> None:
        latency_ms = (time.perf_counter() - began) * 1000
        note(latency_ms=latency_ms, leased_until=None, **fields)

    def fail(said: Sentence, code: str, request_id: str = "") -> None:
        told = Invocation.told(said.named(code))
        finish(state=Invocation.State.FAILED, request_id=request_id, **told)

    try:
        _try_until_answered(call, began, note, finish)
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


def _write(write: Callable[[], int]) -> int:
    """Write to the database, and return what ``write`` does.

    Retried for two minutes where the database is locked, full or away: a backup that locks it must
    not lose an answer of SageMaker. Raises what the last try raised.
    """
    until = time.monotonic() + WRITE_FOR_S
    while True:
        try:
            return write()
        except (OperationalError, InternalError, InterfaceError) as error:
            if time.monotonic() > until:
                raise
            logger.warning("an answer waits for the database: %s", error)
            connection.close_if_unusable_or_obsolete()
        time.sleep(BETWEEN_TRIES_S)


def _try_until_answered(
    call: _Call, began: float, note: Callable[..., object], finish: Callable[..., None]
) -> None:
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
        note(state=Invocation.State.LOADING, attempts=attempts)
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
