"""``mme invoke``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mme_client import errors
from mme_client.cli import exits, reasons
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, ms, say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.portal import Portal
    from mme_client.records import Invocation

STDIN = "-"
#: Less than that is printed as 0.0 ms.
_ROUNDED_MS = 0.05


class SomeFailed(Exception):
    """Some of several pictures failed; the first one's exit code is that of the command."""

    def __init__(self, code: exits.Exit) -> None:
        self.code = code
        super().__init__()


@dataclass(frozen=True)
class RawOptions:
    """``--raw``, and what goes with it: the call as it is sent, and the answer as it came."""

    wanted: bool = False
    content_type: str = ""
    accept: str = ""
    attributes: str = ""
    headers: bool = False


def invoke(
    endpoint: str,
    model: str,
    pictures: list[str],
    *,
    target: bool,
    variant: str,
    top: int,
    raw: RawOptions,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Call a model with each picture, one after the other."""
    if raw.wanted and json:
        raise WrongUse(_("Choose one of --raw and --json."))
    if raw != RawOptions() and not raw.wanted:
        raise WrongUse(_("--type, --accept, --attributes and --headers go with --raw."))
    if pictures.count(STDIN) > 1:
        raise WrongUse(_("Standard input can be one picture."))
    failed: exits.Exit | None = None
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        for picture in pictures:
            try:
                _one(portal, terminal, endpoint, model, picture, target=target, variant=variant,
                     top=top, raw=raw, alone=len(pictures) == 1)  # fmt: skip
            except errors.ProblemError as error:
                if len(pictures) == 1 or isinstance(error, errors.NotAllowed):
                    raise
                failed = failed or exits.of_error(error)
                if json:
                    terminal.document_line(error.document)
                for sentence in error.sentences():
                    say(f"{picture}: {sentence}")
            except OSError as error:
                if len(pictures) == 1 or isinstance(error, BrokenPipeError):
                    raise
                failed = failed or exits.Exit.FAILED
                say(f"{picture}: {reasons.of_file(error)}")
    if failed is not None:
        raise SomeFailed(failed)


def _one(
    portal: Portal,
    terminal: Terminal,
    endpoint: str,
    model: str,
    picture: str,
    *,
    target: bool,
    variant: str,
    top: int,
    raw: RawOptions,
    alone: bool,
) -> None:
    payload = sys.stdin.buffer.read() if picture == STDIN else picture
    model, key = ("", model) if target else (model, "")
    said = _("A call that has begun goes on in the portal; its answer is on the page Calls.")
    with terminal.goes_on(said):
        if raw.wanted:
            answered = portal.invocations.raw_answer(
                endpoint, model, payload, target=key, variant=variant,
                content_type=raw.content_type, accept=raw.accept or "*/*",
                attributes=raw.attributes,
            )  # fmt: skip
            if raw.headers:  # not among the bytes, which may go to a file
                for name, value in answered.headers.items():
                    say(f"{name}: {value}")
            sys.stdout.buffer.write(answered.body)
            sys.stdout.buffer.flush()
            return
        answer = portal.invoke(endpoint, model, payload, target=key, variant=variant)
    if terminal.json:
        (terminal.document if alone else terminal.document_line)(answer.document)
    elif terminal.quiet:
        terminal.line(answer.predictions[0].label if answer.predictions else "")
    else:
        _show(terminal, picture, answer, top)


def _time_parts(answer: Invocation) -> list[tuple[str, float]]:
    """The parts of the latency, which add up to it; those that took no time are left out.

    The container tells the load with each answer, but it is part of a cold call alone. A call that
    SageMaker did not take at first, as it loaded the model, waited between its tries.
    """
    times = answer.timings
    if answer.latency_ms is None or times.portal_ms is None or times.sagemaker_ms is None:
        return []
    inside = (times.decode_ms or 0.0) + (times.infer_ms or 0.0)
    waited = max(0.0, answer.latency_ms - times.portal_ms - times.sagemaker_ms)
    load = 0.0
    if answer.cold and waited < _ROUNDED_MS:
        load = times.load_ms or 0.0 if times.ready_ms is None else times.ready_ms
        load = min(load, max(0.0, times.sagemaker_ms - inside))
    rest = max(0.0, times.sagemaker_ms - inside - load)
    fetch = min(times.fetch_ms or 0.0, rest)
    parts = [
        (_("portal"), times.portal_ms),
        (_("waiting for the model"), waited),
        (_("network and SageMaker"), rest - fetch),
        (_("fetching the archive, about"), fetch),
        (_("load"), load),
        (_("decoding"), times.decode_ms or 0.0),
        (_("inference"), times.infer_ms or 0.0),
    ]
    return [(name, value) for name, value in parts if value >= _ROUNDED_MS]


def _share(probability: float) -> str:
    """As a percentage; what is not quite certain is not told as certain."""
    shown = f"{probability:.2%}"
    return "> 99.99%" if shown == "100.00%" and probability < 1 else shown


def _show(terminal: Terminal, picture: str, answer: Invocation, top: int) -> None:
    how = {True: _("cold start"), False: _("warm"), None: ""}[answer.cold]
    parts = [
        _("standard input") if picture == STDIN else picture,
        f"{answer.model}:{answer.number}",
        ms(answer.latency_ms),
        how,
        answer.variant if answer.variant != "AllTraffic" else "",
    ]
    terminal.line("  ".join(filter(None, parts)))
    for one in answer.predictions[:top]:
        terminal.line(f"  {_share(one.probability):>8}  {one.label}")
    if spent := _time_parts(answer):
        said = ", ".join(f"{name} {ms(value)}" for name, value in spent)
        terminal.line("  " + _("where the time went: {parts}").format(parts=said))
    if answer.put_out_count:
        said = _("unloaded to make room for it ({count}): {names}")
        terminal.line(
            "  " + said.format(count=answer.put_out_count, names=", ".join(answer.put_out))
        )
