"""Two versions called with the same pictures on one endpoint, or one alone, and their answers.

What is to be sent is written first: a comparison, and a row for each picture. A job then takes one
picture: it calls either version, and writes each answer as soon as it is there, with the renewal of
its lease. So a worker that is killed loses one answer at most, and the next one calls again for
that alone. The calls are made by services.py, as those of the page: with its limits, its timeouts
and its journal, and they are in the lists of calls.
"""

import io
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from activity.services import record
from core import backoff, clock, errors, spreadsheet, waiting
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence, phrase
from endpoints.models import Endpoint
from invocations import labelled, payload, pictures_kept, samples, seeing, services
from invocations.models import (
    LABEL_LENGTH,
    AnswerComparison,
    ComparedPicture,
    Invocation,
    LabelledPicture,
    Picture,
)
from invocations.payload import Payload
from invocations.pictures import NotAPicture
from models_catalog.models import RegisteredModel, Version

log = logging.getLogger(__name__)

MOST_PICTURES = 200
"""At most this many pictures are sent: those of the test set first, of them the newest."""
MOST_RUNNING = 3
"""At most this many comparisons of one person go on at a time."""
LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 5
"""After so many at one picture it is given up, and the next one is sent."""
_LOOK_EVERY_S = 5.0  # while a call goes on; far below the lease
_TASK = "invocations.tasks.compare_answers"
REQUESTED, REQUESTED_OF_ONE = "comparison.requested", "comparison.requested_of_one"
MAY_DELETE = "invocations.empty_test_set"
"""Who may stop and delete the comparisons of others: who empties test sets."""


class ComparisonRefused(Exception):
    """Nothing was called; ``str()`` says why, in the reader's language.

    ``code`` is that of the API's problem (core/api/problems.py).
    """

    def __init__(self, said: str, code: str = "conflict") -> None:
        super().__init__(said)
        self.code = code


class _Later(Exception):
    """The picture cannot be sent now; ``counts``: and is given up after some attempts."""

    def __init__(self, said: Sentence, *, counts: bool) -> None:
        super().__init__(said)
        self.said = said
        self.counts = counts


# --- what came of it ---------------------------------------------------------------------------


@dataclass(frozen=True)
class GivenAnswer:
    """What a version answered to a picture: the first label; or ``said``, what went wrong.

    ``call`` is the id of the call; empty where none was made. ``latency_ms`` is that of the call.
    """

    label: str = ""
    probability: float | None = None
    latency_ms: float | None = None
    cold: bool | None = None
    call: str = ""
    said: Sentence | None = None

    @classmethod
    def of_call(cls, call: Invocation) -> "GivenAnswer":
        """What a call that has ended says."""
        best = call.best or {}
        said = call.said
        if said is None and not best:
            said = phrase("The model answered without a label.")
        return cls(
            label=str(best.get("label", "")).strip(),
            probability=best.get("probability"),
            latency_ms=call.latency_ms,
            cold=call.cold,
            call=call.uid or "",
            said=said,
        )

    @classmethod
    def from_json(cls, stored: Any) -> "GivenAnswer | None":
        """What a row has; None: the version was not called yet."""
        if stored is None:
            return None
        known = {name: stored.get(name) for name in ("probability", "latency_ms", "cold")}
        said = None
        if stored.get("error"):
            said = Sentence.from_json(stored.get("error_code"), stored["error"])
        return cls(label=stored["label"], call=stored["call"], said=said, **known)

    def as_json(self) -> dict[str, Any]:
        """What a row stores; the sentence as a code, and in English."""
        return {
            "label": self.label,
            "probability": self.probability,
            "latency_ms": self.latency_ms,
            "cold": self.cold,
            "call": self.call,
            "error": self.said.english() if self.said else "",
            "error_code": self.said.as_json() if self.said else None,
        }


@dataclass(frozen=True)
class Line:
    """A picture with both answers; None: not there yet. ``alone``: one version is called."""

    picture: ComparedPicture
    one: GivenAnswer | None
    other: GivenAnswer | None
    alone: bool = False

    @property
    def kind(self) -> str:
        """``differ``, ``error`` (of either of them), ``same`` or ``open``.

        Of one version alone: ``wrong``, ``error``, ``right``, ``answered`` (the right label is
        not known) or ``open``.
        """
        if self.alone:
            if self.one is None:
                return "open"
            if self.one.said:
                return "error"
            return {True: "right", False: "wrong", None: "answered"}[self.one_right]
        if self.one is None or self.other is None:
            return "open"
        if self.one.said or self.other.said:
            return "error"
        return "same" if self.one.label == self.other.label else "differ"

    @property
    def of_test_set_or_sample(self) -> bool:
        """Whether the picture is of the test set or a sample, and nobody gave it for this alone."""
        return bool(self.picture.labelled_id or self.picture.sample)

    def right(self, answer: GivenAnswer | None) -> bool | None:
        """Whether an answer is the right one; None: not known."""
        if answer is None or answer.said or not self.picture.label:
            return None
        return answer.label == self.picture.label.strip()

    @property
    def one_right(self) -> bool | None:
        """Whether the one version is right."""
        return self.right(self.one)

    @property
    def other_right(self) -> bool | None:
        """Whether the other version is right."""
        return self.right(self.other)


# Differences first, and what is wrong.
_ORDER = ("differ", "wrong", "error", "same", "right", "answered", "open")
MOST_LABELS = 20
"""A table of right and given labels has so many rows; of more labels the commonest mistakes."""


@dataclass(frozen=True)
class Share:
    """So many ``of`` so many; ``value`` 0 to 1, None of none."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True)
class Confusion:
    """How often a version gave which label to pictures of which right label.

    ``labels``: the columns, and the rows of ``counts``; empty where there are more than
    MOST_LABELS. ``mistakes``: right label, given label and how often, the commonest first.
    """

    labels: list[str]
    counts: list[tuple[str, list[int]]]
    mistakes: list[tuple[str, str, int]]


def confusion(lines: Sequence[Line], side: str) -> Confusion | None:
    """Of the answers of a side to pictures whose right label is known; None: of none."""
    pairs: Counter[tuple[str, str]] = Counter()
    for line in lines:
        answer: GivenAnswer | None = getattr(line, side)
        if line.right(answer) is not None and answer is not None:
            pairs[line.picture.label.strip(), answer.label] += 1
    if not pairs:
        return None
    labels = sorted({label for pair in pairs for label in pair})
    if len(labels) > MOST_LABELS:
        labels = []
    counts = [(right, [pairs[right, given] for given in labels]) for right in labels]
    wrong = [(right, given, count) for (right, given), count in pairs.items() if right != given]
    wrong.sort(key=lambda one: (-one[2], one[0], one[1]))
    return Confusion(labels, counts, wrong[:MOST_LABELS])


@dataclass(frozen=True)
class Findings:
    """What a comparison has found so far.

    ``one_right`` and ``other_right``: of the answers to pictures whose right label is known.
    ``agreement``: pictures with the same first label, of those that both answered.
    ``hidden``: of the ``total`` pictures those that somebody else gave, where who reads sees no
    calls of others; they count in the shares, and have no line.
    """

    lines: list[Line]
    total: int
    hidden: int
    sent: int
    errors: int
    one_right: Share
    other_right: Share
    agreement: Share


def result(comparison: AnswerComparison) -> Findings:
    """The lines, differences first, and the shares; one query."""
    lines = [
        Line(
            row,
            GivenAnswer.from_json(row.one),
            None if comparison.alone else GivenAnswer.from_json(row.other),
            comparison.alone,
        )
        for row in comparison.pictures.order_by("pk")
    ]
    kinds = [line.kind for line in lines]
    lines.sort(key=lambda line: _ORDER.index(line.kind))
    same = kinds.count("same")
    shown = lines
    if not seeing.may_see(comparison.created_by_id):
        shown = [line for line in lines if line.of_test_set_or_sample]
    return Findings(
        lines=shown,
        total=len(lines),
        hidden=len(lines) - len(shown),
        sent=len(lines) - kinds.count("open"),
        errors=kinds.count("error"),
        one_right=_share([line.one_right for line in lines]),
        other_right=_share([line.other_right for line in lines]),
        agreement=Share(same, same + kinds.count("differ")),
    )


def _share(right: Sequence[bool | None]) -> Share:
    return Share(right.count(True), len(right) - right.count(None))


def csv_of(comparison: AnswerComparison) -> Iterator[str]:
    """The lines of a CSV file; the sentences are in English."""
    head = ["picture", "label"]
    for side in comparison.sides:
        names = ("version", "answer", "probability", "latency_ms", "cold", "error", "call")
        head += [f"{side}_{name}" for name in names]
    head.append("result")
    versions = (str(comparison.one), str(comparison.other))
    table: list[list[Any]] = []
    for line in result(comparison).lines:
        row: list[Any] = [line.picture.name, line.picture.label]
        both = tuple(zip(versions, (line.one, line.other), strict=True))
        for version, answer in both[: len(comparison.sides)]:
            given = answer or GivenAnswer()
            said = given.said.english() if given.said else ""
            row += [version, given.label, given.probability, given.latency_ms, given.cold]
            row += [said, given.call]
        table.append([*row, line.kind])
    return spreadsheet.lines(head, table)


def wait_until_done(uid: str, *, seconds: float) -> None:
    """Return when it is done, or after ``seconds``; see core/waiting.py."""
    state = AnswerComparison.objects.filter(uid=uid).values_list("state", flat=True)
    waiting.until(
        state.first, lambda found: found != AnswerComparison.State.RUNNING, seconds=seconds
    )


# --- to begin one ------------------------------------------------------------------------------


@dataclass(frozen=True)
class GivenPicture:
    """A picture that was sent before and is kept (pictures_kept.keep_now), and what is known of it.

    ``name``: empty: as it was sent. ``label``: the right one; empty: not known.
    """

    sha256: str
    name: str = ""
    label: str = ""


@dataclass(frozen=True)
class Choices:
    """What two versions can be compared with."""

    endpoints: list[Endpoint]
    labelled: int
    samples: int

    @property
    def possible(self) -> bool:
        """Whether there is an endpoint, and a picture."""
        return bool(self.endpoints and (self.labelled or self.samples))


def choices(one: Version, other: Version) -> Choices:
    """The endpoints that serve both, and how many pictures there are."""
    endpoints: list[Endpoint] = []
    if (one.bucket, one.prefix) == (other.bucket, other.prefix):
        serving = Endpoint.objects.serving().filter(bucket=one.bucket, prefix=one.prefix)
        endpoints = [endpoint for endpoint in serving if endpoint.serving]
    return Choices(endpoints, _labelled(one, other).count(), len(_samples(one, other)))


def _samples(one: Version, other: Version) -> list[samples.Sample]:
    return samples.that_fit(one.model.name, other.model.name)


def _labelled(one: Version, other: Version) -> Any:
    models = RegisteredModel.objects.filter(pk__in={one.model_id, other.model_id})
    return LabelledPicture.objects.filter(model__in=models)


def start(
    *,
    one: Version,
    other: Version | None,
    endpoint: Endpoint,
    actor: User,
    test_set: bool = True,
    with_samples: bool = True,
    given: Sequence[GivenPicture] = (),
) -> AnswerComparison:
    """Have a job call the versions with the given pictures, those of the test set and the samples.

    ``other`` None: ``one`` is called alone. Of more than MOST_PICTURES the first are taken. Raises
    ComparisonRefused, with nothing written.
    """
    if other is not None and one.pk == other.pk:
        raise ComparisonRefused(_("Choose two different versions. Nothing was called."), "invalid")
    for version in filter(None, (one, other)):
        try:
            services.check_possible(endpoint, version)
        except services.CallRefused as refused:
            raise ComparisonRefused(str(refused), refused.code) from None
    other = other or one
    pictures, left_out = _pictures(one, other, test_set=test_set, with_samples=with_samples)
    pictures = [*_given(given, actor), *pictures]
    left_out += max(0, len(pictures) - MOST_PICTURES)
    pictures = pictures[:MOST_PICTURES]
    with transaction.atomic():
        pictures = _still_there(pictures)
        if not pictures:
            raise ComparisonRefused(
                _(
                    "There is no picture to call them with. Nothing was called. Choose the "
                    "samples, or press “Wrong?” under an answer to put its picture into the test "
                    "set."
                )
            )
        # Two requests at a time must not both find room: the second waits for the first.
        User.objects.select_for_update().get(pk=actor.pk)
        running = AnswerComparison.objects.unfinished().filter(created_by=actor)
        if running.count() >= MOST_RUNNING:
            said = _(
                "%(count)s of your comparisons are running. Start the next one when one is done."
            )
            raise ComparisonRefused(said % {"count": MOST_RUNNING})
        comparison = AnswerComparison.objects.create(
            one=one,
            other=other,
            endpoint=endpoint,
            created_by=actor,
            created_by_name=actor.get_username(),
            left_out=left_out,
        )
        for picture in pictures:
            picture.comparison = comparison
        ComparedPicture.objects.bulk_create(pictures)
        record(
            action=REQUESTED_OF_ONE if comparison.alone else REQUESTED,
            subject=comparison,
            parameters={
                "one": str(one),
                "endpoint": endpoint.name,
                "count": len(pictures),
                **({} if comparison.alone else {"other": str(other)}),
            },
            actor=actor,
        )
        enqueue_on_commit(_TASK, comparison.pk)
    return comparison


def _given(given: Sequence[GivenPicture], actor: User) -> list[ComparedPicture]:
    """The rows of pictures that are kept; raises ComparisonRefused where one no longer is."""
    if not given:
        return []
    wanted = {picture.sha256 for picture in given}
    known = pictures_kept.names_of(actor, pictures_kept.seen_by(actor).filter(sha256__in=wanted))
    if wanted <= set(known):
        # So that they are kept from now on; one may be deleted in this moment.
        kept = Picture.objects.filter(sha256__in=wanted).update(used_at=clock.now())
    else:
        kept = len(known)
    if missing := len(wanted) - kept:
        said = _(
            "Pictures that are not kept (any more): %(count)s. Send them again; nothing was called."
        )
        raise ComparisonRefused(said % {"count": missing}, "invalid")
    return [
        ComparedPicture(
            sha256=picture.sha256,
            name=(picture.name or known[picture.sha256])[:255],
            label=picture.label.strip()[:LABEL_LENGTH],
        )
        for picture in given
    ]


def _pictures(
    one: Version, other: Version, *, test_set: bool, with_samples: bool
) -> tuple[list[ComparedPicture], int]:
    """The rows to write, and how many pictures there are besides."""
    found: list[ComparedPicture] = []
    known: set[str] = set()  # versions of two models may have the same picture in both sets
    for row in _labelled(one, other).only("name", "label", "sha256") if test_set else ():
        if row.sha256 not in known:
            known.add(row.sha256)
            found.append(ComparedPicture(labelled=row, name=row.name, label=row.label))
    for sample in _samples(one, other) if with_samples else ():
        found.append(ComparedPicture(sample=sample.name, name=sample.name))
    return found[:MOST_PICTURES], max(0, len(found) - MOST_PICTURES)


def _still_there(pictures: list[ComparedPicture]) -> list[ComparedPicture]:
    """Those that nobody has taken out of a test set, and nobody does until the transaction ends."""
    named = [one.labelled_id for one in pictures if one.labelled_id is not None]
    rows = LabelledPicture.objects.select_for_update(no_key=True).filter(pk__in=named)
    there = set(rows.order_by("pk").values_list("pk", flat=True))
    return [one for one in pictures if one.labelled_id is None or one.labelled_id in there]


def may_change(user: User, comparison: AnswerComparison) -> bool:
    """Whether the user may stop and delete it: who began it, and who may delete others'."""
    return comparison.created_by_id == user.pk or user.has_perm(MAY_DELETE)


def stop(*, comparison: AnswerComparison, actor: User) -> None:
    """Send no more pictures; the answers that are there stay. Idempotent.

    A call that is under way ends by itself, and its answer is in the list of calls.
    """
    now = clock.now()
    with transaction.atomic():
        rows = AnswerComparison.objects.unfinished().filter(pk=comparison.pk)
        if rows.update(state=AnswerComparison.State.STOPPED, finished_at=now):
            record(
                action="comparison.stopped",
                subject=comparison,
                parameters={"versions": str(comparison)},
                actor=actor,
            )
    comparison.refresh_from_db(fields=["state", "finished_at"])


def delete(*, comparison: AnswerComparison, actor: User) -> None:
    """Delete it with its answers; the calls stay, and the pictures until they are a day old.

    One that is running ends with it: its job finds no row.
    """
    with transaction.atomic():
        record(
            action="comparison.deleted",
            subject=comparison,
            parameters={"versions": str(comparison)},
            actor=actor,
        )
        AnswerComparison.objects.filter(pk=comparison.pk).delete()


# --- the job -----------------------------------------------------------------------------------


def resume() -> None:
    """Queue each comparison that is due: what Redis lost, was cut off, or waits."""
    for pk in AnswerComparison.objects.due().values_list("pk", flat=True)[:20]:
        enqueue_on_commit(_TASK, pk)


def step(*, comparison_pk: int) -> None:
    """Call both versions with the next picture, and queue the step after; idempotent."""
    comparison = AnswerComparison.objects.listed().claim(comparison_pk, lease=LEASE)
    if comparison is None:
        return
    lease = Lease(AnswerComparison.objects.all(), comparison, LEASE)
    try:
        _step(comparison, lease)
    except LeaseLost:
        log.warning("Another worker has taken over the comparison %s.", comparison.uid)


def _step(comparison: AnswerComparison, lease: Lease[AnswerComparison]) -> None:
    picture = comparison.to_send().select_related("labelled").first()
    if picture is None:
        _finish(lease)
        return
    try:
        _send(comparison, picture, lease)
    except _Later as problem:
        if not problem.counts or comparison.attempts < MOST_ATTEMPTS:
            pause = backoff.pause(
                comparison.attempts, first=timedelta(seconds=1), longest=timedelta(seconds=30)
            )
            attempts = comparison.attempts if problem.counts else 0
            lease.release(check_after=clock.now() + pause, attempts=attempts)
            return
        _give_up(comparison, picture, lease, problem.said)
    if not comparison.to_send().exists():
        _finish(lease)
        return
    with transaction.atomic():
        lease.release(check_after=clock.now(), attempts=0)
        enqueue_on_commit(_TASK, comparison.pk)


def _finish(lease: Lease[AnswerComparison]) -> None:
    now = clock.now()
    lease.release(state=AnswerComparison.State.DONE, finished_at=now, attempts=0)


def _send(
    comparison: AnswerComparison, picture: ComparedPicture, lease: Lease[AnswerComparison]
) -> None:
    """Call the versions that have not answered yet. Raises _Later, and LeaseLost."""
    if comparison.attempts > MOST_ATTEMPTS:  # it has ended the workers before this one
        _give_up(
            comparison,
            picture,
            lease,
            phrase("The portal failed at this picture; its log says why."),
        )
        return
    try:
        given = _payload(picture)
    except NotAPicture as problem:
        _give_up(comparison, picture, lease, Sentence.verbatim(str(problem)))
        return
    except errors.NotFound:
        _give_up(comparison, picture, lease, phrase("The picture is no longer in the store."))
        return
    except errors.AwsError as problem:
        raise _Later(problem.sentence, counts=True) from None
    for side in comparison.sides:
        if getattr(picture, side) is None:
            version = getattr(comparison, side)
            _write(picture, side, _answer(comparison, version, given, lease), lease)


def _give_up(
    comparison: AnswerComparison,
    picture: ComparedPicture,
    lease: Lease[AnswerComparison],
    said: Sentence,
) -> None:
    for side in comparison.sides:
        if getattr(picture, side) is None:
            _write(picture, side, GivenAnswer(said=said), lease)


def _write(
    picture: ComparedPicture, side: str, answer: GivenAnswer, lease: Lease[AnswerComparison]
) -> None:
    setattr(picture, side, answer.as_json())
    with transaction.atomic():
        lease.renew()
        picture.save(update_fields=[side])


def _payload(picture: ComparedPicture) -> Payload:
    """What is sent. Raises NotAPicture, with an English sentence, and AwsError."""
    with translation.override("en"):
        if picture.sample:
            path = samples.path_of(picture.sample)
            if path is None:
                raise NotAPicture(_("That sample is no longer there."))
            with path.open("rb") as file:
                return payload.read(file, picture.name)
        if picture.sha256:
            kept = Picture.objects.filter(sha256=picture.sha256).first()
            if kept is None:
                raise NotAPicture(_("The picture is no longer kept."))
            return replace(pictures_kept.payload_of(kept), name=picture.name)
        if not picture.name:
            raise NotAPicture(_("The picture is forgotten."))
        if picture.labelled is None:
            raise NotAPicture(_("The picture was taken out of the test set."))
        return payload.read(io.BytesIO(labelled.content(picture.labelled)), picture.name)


def _answer(
    comparison: AnswerComparison,
    version: Version,
    given: Payload,
    lease: Lease[AnswerComparison],
) -> GivenAnswer:
    """Call a version and wait for its answer. Raises _Later, and LeaseLost."""
    try:
        started = services.start(
            endpoint=comparison.endpoint,
            version=version,
            payload=given,
            actor=comparison.created_by,
            asked=f"{version.model.name}:{version.number}",
        )
    except services.CallRefused as refused:
        if refused.code == "too-many-calls":
            raise _Later(refused.sentence, counts=False) from None
        return GivenAnswer(said=refused.sentence)
    try:
        started.keep(given)
    finally:
        call = started.answered(_LOOK_EVERY_S)
    while not call.settled:
        lease.keep()
        call = started.answered(_LOOK_EVERY_S)
    return GivenAnswer.of_call(call)
