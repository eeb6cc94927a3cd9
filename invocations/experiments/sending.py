"""One call of an experiment: the picture, the request, what came of it."""

import io
import logging
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from core import clock, errors, request_id
from invocations import answers, labelled, payload, pictures_kept, runtime, samples, services
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.tally import MadeCall
from invocations.experiments.targets import CallTarget
from invocations.models import Experiment, LabelledPicture, Picture
from invocations.payload import Payload
from invocations.pictures import NotAPicture
from models_catalog.models import Version

logger = logging.getLogger(__name__)

Stored = TypeVar("Stored")

MOST_PICTURES = 100
"""At most this many pictures of each model's test set, or of those kept, are sent: the newest."""
_MOST_BYTES = 100_000_000
# Of the pictures of one kind that are held in memory; further ones are not sent.
_THROTTLED_TRIES = 4


def check_pictures(
    pictures: str, targets: Sequence[CallTarget], given: Sequence[str], actor: User
) -> None:
    """Raise ExperimentRefused where there is nothing to send, or more than may be."""
    if pictures == Experiment.Pictures.GIVEN:
        _check_given(set(given), actor)
        return
    if pictures == Experiment.Pictures.SAMPLES:
        if not samples.all_samples():
            raise ExperimentRefused(
                _(
                    "The portal has no sample pictures (SAMPLES_DIR). Nothing was called. Send "
                    "the pictures of calls of the last day, or the test sets."
                )
            )
        return
    if pictures == Experiment.Pictures.KEPT:
        if not pictures_kept.seen_by(actor).exists():
            raise ExperimentRefused(
                _(
                    "No picture of a call is kept. Nothing was called. Call a model with some "
                    "pictures first."
                )
            )
        return
    having = set(_test_set(targets).values_list("model", flat=True).distinct())
    models = dict(
        Version.objects.filter(pk__in=[one.version for one in targets]).values_list(
            "model", "model__name"
        )
    )
    without = sorted(name for pk, name in models.items() if pk not in having)
    if without:
        said = _(
            "The test set of %(model)s is empty. Nothing was called. Send the samples, or press "
            "“Wrong?” under an answer to put its picture into the test set."
        )
        raise ExperimentRefused(said % {"model": without[0]})


def _check_given(given: set[str], actor: User) -> None:
    if not given:
        raise ExperimentRefused(
            _("Give the pictures to send. Nothing was called."), "invalid", "given"
        )
    if len(given) > settings.EXPERIMENT_PICTURES:
        said = _("Give %(most)s pictures at most. Nothing was called.")
        raise ExperimentRefused(said % {"most": settings.EXPERIMENT_PICTURES}, "invalid", "given")
    _refuse_missing(len(given) - pictures_kept.seen_by(actor).filter(sha256__in=given).count())


def _refuse_missing(count: int) -> None:
    if count:
        said = _(
            "Pictures that are not kept (any more): %(count)s. Send them again; nothing was called."
        )
        raise ExperimentRefused(said % {"count": count}, "invalid", "given")


def keep_longer(given: Sequence[str]) -> None:
    """Have the pictures that somebody gave kept from now on as long as any other.

    Raises ExperimentRefused where one was deleted since it was looked for.
    """
    if given:
        kept = Picture.objects.filter(sha256__in=given).update(used_at=clock.now())
        _refuse_missing(len(set(given)) - kept)


def _test_set(targets: Sequence[CallTarget]) -> QuerySet[LabelledPicture]:
    models = Version.objects.filter(pk__in=[one.version for one in targets]).values("model")
    return LabelledPicture.objects.filter(model__in=models)


def payloads(
    pictures: str,
    targets: Sequence[CallTarget],
    given: Sequence[str] = (),
    *,
    person: User | None = None,
) -> list[list[Payload]]:
    """What can be sent to each target; ``given``: pictures of somebody's own, by their SHA-256.

    ``person``: whose experiment it is. Of the pictures of calls theirs are sent, or, where they see
    everybody's calls, all.

    Raises ExperimentRefused and AwsError.
    """
    with translation.override("en"):
        if pictures == Experiment.Pictures.SAMPLES:
            found = [_sample(one.name) for one in samples.all_samples()]
            every = [one for one in found if one is not None]
            if not every:
                raise ExperimentRefused(_("The portal has no sample pictures (SAMPLES_DIR)."))
            return [every] * len(targets)
        if pictures == Experiment.Pictures.KEPT:
            seen = Picture.objects.none() if person is None else pictures_kept.seen_by(person)
            every = _kept(seen.order_by("-used_at")[:MOST_PICTURES])
            if not every:
                raise ExperimentRefused(_("No picture of a call is kept any more."))
            return [every] * len(targets)
        if pictures == Experiment.Pictures.GIVEN:
            every = _kept(Picture.objects.filter(sha256__in=given).order_by("sha256"))
            if not every:
                raise ExperimentRefused(_("The pictures that were given are not kept any more."))
            return [every] * len(targets)
        models = dict(
            Version.objects.filter(pk__in=[one.version for one in targets]).values_list(
                "pk", "model"
            )
        )
        kept: dict[int, list[Payload]] = {}
        for model in set(models.values()):
            kept[model] = _of_test_set(LabelledPicture.objects.filter(model=model))
            if not kept[model]:
                raise ExperimentRefused(_("A test set has no picture any more."))
        return [kept[models[one.version]] for one in targets]


def _sample(name: str) -> Payload | None:
    found = samples.read(name)
    return None if found is None else _readable(found[0], name)


def _kept(rows: QuerySet[Picture]) -> list[Payload]:
    """Pictures that are kept; those whose object is gone are left out. Raises AwsError."""
    found: list[Payload] = []
    for pk in list(rows.values_list("pk", flat=True)):
        picture = Picture.objects.filter(pk=pk).first()
        if picture is None or sum(len(one.data) for one in found) > _MOST_BYTES:
            continue
        given = _stored(picture.name, partial(pictures_kept.payload_of, picture))
        if given is not None:
            found.append(given)
    return found


def _of_test_set(rows: QuerySet[LabelledPicture]) -> list[Payload]:
    """The pictures of a test set; those whose object is gone are left out. Raises AwsError."""
    found: list[Payload] = []
    for pk in rows.values_list("pk", flat=True)[:MOST_PICTURES]:
        row = rows.filter(pk=pk).first()
        if row is None or sum(len(one.data) for one in found) > _MOST_BYTES:
            continue
        data = _stored(row.name, partial(labelled.content, row))
        given = None if data is None else _readable(data, row.name)
        if given is not None:
            found.append(given)
    return found


def _stored(name: str, read: Callable[[], Stored]) -> Stored | None:
    """What is read from S3; None where it is not there any more. Raises AwsError."""
    try:
        return read()
    except errors.NotFound as problem:
        logger.warning("The picture %s is left out: %s", name, problem)
        return None


def _readable(data: bytes, name: str) -> Payload | None:
    try:
        return payload.read(io.BytesIO(data), name)
    except NotAPicture as problem:
        logger.warning("The picture %s is left out: %s", name, problem)
        return None


def _not_taken(problem: errors.Throttled) -> bool:
    """Whether the service itself says that it did not take the call.

    After a lost connection or a time-out nobody knows: then the call is not made again.
    """
    response = getattr(problem.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def send(
    number: int,
    *,
    named: str,
    endpoint_name: str,
    target_model: str,
    given: Payload,
    planned: float,
    began: float,
    now: Callable[[], float],
    pause: Callable[[float], bool],
) -> MadeCall:
    """Make a call, and wait for its end; what goes wrong is an error of it.

    A call that SageMaker did not take, as the model is being loaded or as it throttles, is tried
    again, as by the page (invocations/services.py). ``named``: its id in the log lines of the
    portal and of the container. ``planned``: the moment of ``now()`` from which
    its latency counts; ``began``: that of the experiment. ``pause`` waits, and says whether to go
    on.
    """
    waited = False
    attempts = throttled = 0
    error = ""
    label, probability, cold = "", None, None
    told: dict[str, Any] = {}
    sent = now()
    while True:
        attempts += 1
        tried = now()
        try:
            with request_id.bound(named):
                answer = runtime.invoke(
                    endpoint_name=endpoint_name,
                    target_model=target_model,
                    body=given.data,
                    content_type=given.content_type,
                    custom_attributes=runtime.named(named),
                )
            answered = now()
            found = answers.predictions(answer.body)
            said_cold, timings = answers.timings(answer.custom_attributes)
            cold = True if waited else said_cold
            timings["call_ms"] = (answered - tried) * 1000
            timings["waited_ms"] = (tried - sent) * 1000
            told = {
                "attempts": attempts,
                "timings": timings,
                "put_out": answers.put_out(answer.custom_attributes) if cold else None,
                "variant": answer.variant[:63],
            }
            if found:
                label, probability = found[0]["label"].strip(), found[0]["probability"]
        except errors.NotReady as problem:
            waited = True
            if now() - sent < settings.INVOKE_WAIT_S and pause(services.BETWEEN_TRIES_S):
                continue
            error = services.code_of(problem)
        except errors.Throttled as problem:
            throttled += 1
            tried_again = throttled < _THROTTLED_TRIES and _not_taken(problem)
            if tried_again and pause(services.BETWEEN_TRIES_S):
                continue
            error = services.code_of(problem)
        except (errors.ModelFailed, errors.AwsError, answers.UnreadableAnswer) as problem:
            error = services.code_of(problem)
        except Exception:
            logger.exception("The call %s of an experiment failed.", number)
            error = "internal"
        ended = now()
        return MadeCall(
            number, ended - began, (ended - planned) * 1000, cold, label, probability, error, told
        )
