"""``mme compare``: two versions beside each other."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

from mme_client.cli.many import Truth
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import at, ms
from mme_client.cli.words import _
from mme_client.comparisons import OwnPicture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mme_client.cli.terminal import Terminal
    from mme_client.portal import Portal
    from mme_client.records import ComparedAnswers, ComparedSide, Confusion, OneAnswer

MOST_PICTURES = 200
_SIDES = ("one", "other")
#: A confusion is printed as a table where it has so many labels at most.
_MOST_COLUMNS = 10
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
    alone: bool,
    endpoint: str,
    pictures: str,
    truth: str,
    everything: bool,
    csv: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Have the portal call both with the same pictures, wait, and print where they differ.

    ``alone``: one version alone. ``pictures``: which of the portal's, or a folder of one's own.
    """
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    if alone and other:
        raise WrongUse(_("Give one version with --alone."))
    if not endpoint:
        raise WrongUse(_("Say with --endpoint NAME on which endpoint both are called."))
    own: list[OwnPicture] = []
    if pictures not in _PICTURES:
        own = _own(Path(pictures), truth)
    elif truth:
        raise WrongUse(_("--truth goes with a folder of pictures: --pictures FOLDER."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if alone:
            versions = [one]
        else:
            # Which ones they are now: the other one may be left out, or be an alias.
            both = portal.models.compare(one, other).document
            versions = [f"{both[side]['model']}:{both[side]['number']}" for side in _SIDES]
        with terminal.steps() as step:
            sent = _("{done} of {all} pictures sent")

            def told() -> Iterator[OwnPicture]:
                for number, picture in enumerate(own, start=1):
                    yield picture
                    step(sent.format(done=number, all=len(own)))

            made = portal.comparisons.create(
                *versions,
                endpoint=endpoint,
                test_set=False if own else pictures != "samples",
                samples=False if own else pictures != "test-set",
                pictures=told(),
            )
        _print(portal, terminal, _waited(portal, terminal, made), everything=everything, csv=csv)


def show(
    id: str,
    *,
    everything: bool,
    csv: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """One comparison that was begun before: its answers, and what came of it so far."""
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.comparisons.get(id)
        if wait:
            found = _waited(portal, terminal, found)
        if not (csv or json or quiet):
            terminal.fields(
                [
                    (_("state"), found.state),
                    (_("endpoint"), found.endpoint),
                    (_("by"), found.created_by),
                    (_("begun"), at(found.created_at)),
                    (_("pictures"), f"{found.sent} / {found.total}"),
                ]
            )
        _print(portal, terminal, found, everything=everything, csv=csv)


def _address(portal: Portal, found: ComparedAnswers) -> str:
    return f"{portal.url}/invoke/comparisons/{found.id}/"


def _waited(portal: Portal, terminal: Terminal, found: ComparedAnswers) -> ComparedAnswers:
    goes_on = _("The portal goes on with it. See {address}").format(address=_address(portal, found))
    said = _("{done} of {all} pictures")
    with terminal.goes_on(goes_on), terminal.steps() as step:
        return found.wait(seen=lambda now: step(said.format(done=now.sent, all=now.total)))


def _print(
    portal: Portal, terminal: Terminal, found: ComparedAnswers, *, everything: bool, csv: bool
) -> None:
    """``everything``: also pictures with the same label; of one version alone always."""
    if csv:
        text = portal.comparisons.csv(found.id).decode("utf-8-sig")
        for line in text.rstrip().replace("\r\n", "\n").split("\n"):
            terminal.line(line)
    elif terminal.json:
        terminal.document(found.document)
    else:
        _tell(terminal, found, everything=everything or found.alone)
        address = _address(portal, found)
        terminal.note(_("To look at and to send: {address}").format(address=address))


def _own(folder: Path, truth: str) -> list[OwnPicture]:
    """The pictures below a folder, by name, with their right labels. Raises WrongUse."""
    if not folder.is_dir():
        raise WrongUse(
            _("--pictures is one of: {names}, or a folder.").format(names=", ".join(_PICTURES))
        )
    right = Truth(truth)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_picture(path))
    if not files:
        raise WrongUse(_("There is no picture in {folder}.").format(folder=folder))
    if len(files) > MOST_PICTURES:
        said = _("{folder} has {count} pictures; at most {most} are sent.")
        raise WrongUse(said.format(folder=folder, count=len(files), most=MOST_PICTURES))
    return [
        OwnPicture(path, str(path.relative_to(folder))[-255:], right.of(str(path)))
        for path in files
    ]


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return (mimetypes.guess_type(path.name)[0] or "").startswith("image/")


def listing(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """The comparisons of answers, the latest first."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.comparisons.list())
        headings = (
            _("id"), _("versions"), _("endpoint"), _("pictures"), _("state"), _("by"), _("begun")
        )  # fmt: skip
        rows = [
            (
                one.id,
                " ".join(filter(None, (one.one, one.other))),
                one.endpoint,
                str(one.total),
                one.state,
                one.created_by,
                at(one.created_at),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.id for one in found])


def stop(id: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Send no more pictures."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.comparisons.stop(id)
        if json:
            terminal.document(found.document)
        else:
            said = _("{state}: {done} of {all} pictures were sent.")
            terminal.note(said.format(state=found.state, done=found.sent, all=found.total))


def delete(ids: list[str], *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Delete comparisons; their calls stay. There is no document to print."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        for id in ids:
            portal.comparisons.delete(id)
            terminal.note(_("Deleted: {id}. The calls stay.").format(id=id))


def _tell(terminal: Terminal, found: ComparedAnswers, *, everything: bool) -> None:
    sides = [found.one] if found.alone else [found.one, found.other]
    names = [f"{side.model}:{side.number}" for side in sides]
    rows = [
        (
            picture.name,
            picture.label,
            *[_answer(answer) for answer in (picture.one, picture.other)][: len(names)],
        )
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
    if len(names) > 1:
        terminal.line(same.format(same=found.same, all=found.compared))
    for name, side in zip(names, (found.one, found.other), strict=False):
        terminal.line(_right(name, side))
    for name, confusion in zip(names, (found.confusion.one, found.confusion.other), strict=False):
        if confusion is not None and confusion.mistakes:
            _confused(terminal, name, confusion)
    if found.errors:
        terminal.line(_("Failed: {failed} of {all}").format(failed=found.errors, all=found.total))
    if found.hidden:
        said = _("Counted and not shown, as your role does not see the calls of others: {count}")
        terminal.line(said.format(count=found.hidden))
    if found.left_out:
        terminal.line(_("Left out, over the limit: {count}").format(count=found.left_out))


def _confused(terminal: Terminal, name: str, confusion: Confusion) -> None:
    """Which labels were given to which: a table of few labels, of many the mistakes."""
    said = _("Right labels (rows) and answers of {name} (columns)")
    if 0 < len(confusion.labels) <= _MOST_COLUMNS:
        terminal.line(said.format(name=name))
        rows = [
            (label, *(str(count) if count else "·" for count in counts))
            for label, counts in zip(confusion.labels, confusion.counts, strict=True)
        ]
        terminal.table((_("right label"), *confusion.labels), rows)
        return
    for one in confusion.mistakes:
        mistake = _("{name} took {label} for {answered}: {count}")
        terminal.line(
            mistake.format(name=name, label=one.label, answered=one.answered, count=one.pictures)
        )


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
