"""``mme calls``: what was called, once more, and forgotten."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from mme_client.cli.many import csv_line
from mme_client.cli.moments import past
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import at, ms
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.cli.terminal import Terminal
    from mme_client.records import Invocation

_TIMES = (
    "portal_ms", "sagemaker_ms", "fetch_ms", "load_ms", "ready_ms", "decode_ms", "infer_ms",
)  # fmt: skip
_CSV = (
    "id", "created_at", "endpoint", "version", "variant", "state", "by", "answer", "probability",
    "cold", "latency_ms", *_TIMES, "error_code",
)  # fmt: skip


def listing(
    *,
    endpoint: str,
    model: str,
    state: str,
    cold: bool | None,
    label: str,
    slower_than: float | None,
    by: str,
    since: str,
    most: int,
    csv: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """The latest calls that match. Raises WrongUse."""
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    begin = past(since).isoformat() if since else ""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(
            islice(
                portal.invocations.list(
                    endpoint=endpoint, model=model, state=state, cold=cold, label=label,
                    slower_than_ms=slower_than, by=by, since=begin,
                ),
                most,
            )
        )  # fmt: skip
        if csv:
            terminal.line(csv_line(_CSV))
            for one in found:
                terminal.line(csv_line(_cells(one)))
            return
        headings = (
            _("id"), _("version"), _("endpoint"), _("answer"), _("time"), _("cold"), _("by"),
            _("when"),
        )  # fmt: skip
        rows = [
            (
                one.id,
                f"{one.model}:{one.number}",
                one.endpoint,
                _answer(one),
                ms(one.latency_ms),
                _warmth(one),
                one.created_by or "",
                at(one.created_at),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.id for one in found])


def _cells(call: Invocation) -> list[Any]:
    best = call.predictions[0] if call.predictions else None
    return [
        call.id, call.created_at.isoformat(), call.endpoint, f"{call.model}:{call.number}",
        call.variant, call.state, call.created_by, best.label if best else None,
        best.probability if best else None, call.cold, call.latency_ms,
        *(getattr(call.timings, name) for name in _TIMES), call.error_code,
    ]  # fmt: skip


def repeat(id: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Call once more what was called."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        before = portal.invocations.get(id)
        after = portal.invocations.repeat(id)
        if json:
            terminal.document(after.document)
        elif quiet:
            terminal.line(after.id)
        else:
            _show(terminal, before, after)


def forget(ids: list[str], *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Forget the pictures of calls."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        for id in ids:
            found = portal.invocations.forget(id)
            if json:
                terminal.document_line(found.document)
                continue
            terminal.note(_("The picture of {id} is forgotten. The answer stays.").format(id=id))
            if found.others:
                terminal.note(_("Somebody else has sent the same one: it stays with their calls."))
            if found.in_test_set:
                terminal.note(_("Its copy in a test set stays. Take it out on the model's page."))


def _show(terminal: Terminal, before: Invocation, after: Invocation) -> None:
    """Both answers, one below the other."""
    headings = (_("id"), _("version"), _("answer"), _("time"), _("cold"))
    rows = [
        (one.id, f"{one.model}:{one.number}", _answer(one), ms(one.latency_ms), _warmth(one))
        for one in (before, after)
    ]
    terminal.table(headings, rows)


def _answer(call: Invocation) -> str:
    if call.predictions:
        best = call.predictions[0]
        return f"{best.label} {best.probability:.1%}"
    return call.error or call.state


def _warmth(call: Invocation) -> str:
    return {True: _("cold start"), False: _("warm"), None: ""}[call.cold]
