"""``mme compare``: two versions beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import ms
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.cli.terminal import Terminal
    from mme_client.records import ComparedAnswers, ComparedSide, OneAnswer

_PICTURES = ("all", "test-set", "samples")


def compare(
    one: str, other: str, *, everything: bool, json: bool, quiet: bool, timeout: float | None
) -> None:
    """Where two versions differ; ``everything``: also what is the same."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.models.compare(one, other)
        if json:
            terminal.document(found.document)
            return
        facts = [*found.facts, *found.calls, *found.metadata, *found.layers]
        rows = [
            (fact.name, _said(fact.one), _said(fact.other))
            for fact in facts
            if fact.differs or everything
        ]
        if quiet:
            for row in rows:
                terminal.line("\t".join(row))
            return
        first, second = (
            f"{found.document[side]['model']}:{found.document[side]['number']}"
            for side in ("one", "other")
        )
        terminal.table(("", first, second), rows)
        if found.calls:
            terminal.line(
                _("calls, p50_ms, cold_share: of the last {days} days").format(
                    days=found.calls_days
                )
            )
        for label in found.labels.get("added", []):
            terminal.line(_("label only in {name}: {label}").format(name=second, label=label))
        for label in found.labels.get("removed", []):
            terminal.line(_("label only in {name}: {label}").format(name=first, label=label))
        for moved in found.labels.get("moved", []):
            terminal.line(_("label {label} moved: {one} → {other}").format(**moved))


def _said(value: object) -> str:
    return "" if value is None else str(value)


def answers(
    one: str,
    other: str,
    *,
    endpoint: str,
    pictures: str,
    everything: bool,
    csv: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Have both called with the same pictures, wait, and print where their answers differ."""
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    if not endpoint:
        raise WrongUse(_("Say with --endpoint NAME on which endpoint both are called."))
    if pictures not in _PICTURES:
        raise WrongUse(_("--pictures is one of: {names}.").format(names=", ".join(_PICTURES)))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        # Which ones they are now: the other one may be left out, or be an alias.
        both = portal.models.compare(one, other).document
        names = [f"{both[side]['model']}:{both[side]['number']}" for side in ("one", "other")]
        made = portal.comparisons.create(
            *names,
            endpoint=endpoint,
            test_set=pictures != "samples",
            samples=pictures != "test-set",
        )
        address = f"{portal.url}/invoke/comparisons/{made.id}/"
        goes_on = _("The portal goes on with it. See {address}").format(address=address)
        with terminal.goes_on(goes_on), terminal.steps() as step:
            said = _("{done} of {all} pictures")
            found = made.wait(seen=lambda now: step(said.format(done=now.sent, all=now.total)))
        if csv:
            text = portal.comparisons.csv(found.id).decode("utf-8-sig")
            for line in text.rstrip().replace("\r\n", "\n").split("\n"):
                terminal.line(line)
        elif json:
            terminal.document(found.document)
        else:
            _tell(terminal, found, names, everything=everything)
            terminal.note(_("To look at and to send: {address}").format(address=address))


def _tell(
    terminal: Terminal, found: ComparedAnswers, names: list[str], *, everything: bool
) -> None:
    rows = [
        (picture.name, picture.label, _answer(picture.one), _answer(picture.other))
        for picture in found.pictures
        if picture.result != "same" or everything
    ]
    if terminal.quiet:
        for row in rows:
            terminal.line("\t".join(row))
        return
    if rows:
        terminal.table((_("picture"), _("right label"), *names), rows)
    same = _("The same label: {same} of {all}")
    terminal.line(same.format(same=found.same, all=found.compared))
    for name, side in zip(names, (found.one, found.other), strict=True):
        terminal.line(_right(name, side))
    if found.errors:
        terminal.line(_("Failed: {failed} of {all}").format(failed=found.errors, all=found.total))
    if found.left_out:
        terminal.line(_("Left out, over the limit: {count}").format(count=found.left_out))


def _right(name: str, side: ComparedSide) -> str:
    if not side.labelled:
        return _("Right, {name}: not known without a test set").format(name=name)
    right = _("Right, {name}: {right} of {all}")
    return right.format(name=name, right=side.right, all=side.labelled)


def _answer(answer: OneAnswer | None) -> str:
    if answer is None:
        return ""
    if answer.error:
        return answer.error
    share = "" if answer.probability is None else f" {100 * answer.probability:.1f} %"
    return f"{answer.label}{share}, {ms(answer.latency_ms)}"
