"""One picture sent to several versions, and what they answered side by side.

The calls are those of services.py, with its limits, its leases and its journal; each is a call of
its own, and the page of several is but a list of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from core.sentences import Sentence, phrase
from endpoints.models import Endpoint
from invocations import services
from invocations.models import Invocation
from invocations.payload import Payload
from models_catalog.models import Version

MOST = 6
"""At most this many versions are called with one picture."""


@dataclass(frozen=True)
class AskedVersion:
    """A version to call, and the reference that named it: ``digits@live`` may be ``digits:2``."""

    version: Version
    asked: str


@dataclass(frozen=True)
class Begun:
    """The calls that were begun, and why others were not: the name, and the reason."""

    started: list[services.Started]
    refused: list[tuple[str, Sentence]]


def start(
    *,
    endpoint: Endpoint,
    targets: Sequence[AskedVersion],
    payload: Payload,
    actor: User | None,
    variant: str = "",
) -> Begun:
    """Begin a call of each target with the same payload; ``variant``: which of the endpoint's.

    Raises CallRefused, with nothing called, where one of them cannot be called, or where there is
    room for none. Where there is room for some, the others are ``refused``.
    """
    if len(targets) > MOST:
        raise services.CallRefused(
            phrase("At most %(most)s versions are called with one picture.", most=MOST), "invalid"
        )
    for target in targets:
        services.check_possible(endpoint, target.version, variant)
    begun = Begun([], [])
    for target in targets:
        try:
            started = services.start(
                endpoint=endpoint,
                version=target.version,
                payload=payload,
                actor=actor,
                asked=target.asked,
                variant=variant,
            )
        except services.CallRefused as refused:
            if not begun.started:
                raise
            begun.refused.append((target.asked, refused.sentence))
        else:
            begun.started.append(started)
    return begun


@dataclass(frozen=True)
class Answered:
    """One of several calls.

    ``share``: its latency in percent of the longest. ``agrees``: whether it has the label that
    most of them have; None: there is nothing to agree with.
    """

    call: Invocation
    share: float | None
    agrees: bool | None


@dataclass(frozen=True)
class SideBySide:
    """Several calls in the order in which they were asked for, as far as they are.

    ``label``: the first label of most of those that answered; empty where no label has the most.
    """

    answers: list[Answered]
    label: str
    agreeing: int
    answered: int

    @property
    def key(self) -> str:
        """What names them in an address."""
        return "-".join(str(one.call.pk) for one in self.answers)

    @property
    def named(self) -> str:
        """The versions as ``mme invoke --models`` takes them."""
        return ",".join(call.named for call in self.calls)

    @property
    def asked_variant(self) -> str:
        """The variant that was named for all of them; empty: none, or not the same."""
        named = {call.asked_variant for call in self.calls}
        return named.pop() if len(named) == 1 else ""

    @property
    def calls(self) -> list[Invocation]:
        """The calls."""
        return [one.call for one in self.answers]

    @property
    def settled(self) -> bool:
        """Whether all have an answer, or an error."""
        return all(call.settled for call in self.calls)

    @property
    def first(self) -> Invocation:
        """The one that was asked for first."""
        return self.answers[0].call

    @property
    def of_one_picture(self) -> bool:
        """Whether all got the same picture."""
        return len({call.picture_sha256 for call in self.calls}) == 1

    @property
    def on_one_endpoint(self) -> bool:
        """Whether all were made on the same endpoint."""
        return len({call.endpoint_id for call in self.calls}) == 1

    @property
    def said(self) -> str:
        """In how far they agree, in the reader's language; empty while that is not known."""
        if self.answered < 2:
            return ""
        if not self.label:
            return _("They disagree.")
        if self.agreeing == self.answered:
            text = _("All %(all)s say: %(label)s")
        else:
            text = _("%(count)s of %(all)s say: %(label)s")
        return text % {"all": self.answered, "count": self.agreeing, "label": self.label}


def of(calls: Sequence[Invocation]) -> SideBySide:
    """What these calls have answered so far."""
    labels = [_label(call) for call in calls]
    known = Counter(label for label in labels if label is not None)
    ranked = known.most_common(2)
    leads = len(ranked) == 1 or (len(ranked) == 2 and ranked[0][1] > ranked[1][1])
    most, count = ranked[0] if leads else ("", 0)
    answered = known.total()
    slowest = max((call.latency_ms or 0.0 for call in calls), default=0.0)
    answers = []
    for call, label in zip(calls, labels, strict=True):
        share = None
        if call.latency_ms is not None and slowest:
            share = 100 * call.latency_ms / slowest
        agrees = None
        if label is not None and answered > 1:
            agrees = bool(most) and label == most
        answers.append(Answered(call, share, agrees))
    return SideBySide(answers, most, count, answered)


def _label(call: Invocation) -> str | None:
    """The first label; None: it has not answered, or without a label."""
    best = call.best if call.state == Invocation.State.DONE else None
    return str(best["label"]).strip() if best else None
