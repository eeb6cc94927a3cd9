"""``mme metrics`` and ``mme logs``: what is measured of an endpoint, and what it logs."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from mme_client.cli.moments import past
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, at, ms, print_, size
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.records import ContainersTold, LogLine, Metrics, ModelTold, Series

_BARS = "▁▂▃▄▅▆▇█"
#: What is no number of a bin: nothing was measured.
_GAP = "·"
_HOUR_S = 3600
#: As many letters as a line of bars has.
_WIDTH = 36


def metrics(
    name: str,
    *,
    range: str,
    variant: str,
    as_csv: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Print what is measured, with a line of bars for each metric; or as CSV."""
    if as_csv and json:
        raise WrongUse(_("Give one of --json and --csv."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.endpoints.metrics(name, range=range, variant=variant)
        if json:
            terminal.document(found.document)
        elif as_csv:
            _print_csv(found)
        else:
            _show(terminal, found)


def _print_csv(found: Metrics) -> None:
    """A line for each time, a column for each metric."""
    columns = [("sagemaker", one) for one in found.sagemaker.series]
    columns += [("portal", one) for one in found.portal.series]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["at", *(f"{whose}_{one.name}_{one.unit}" for whose, one in columns)])
    for number, time in enumerate(found.times):
        writer.writerow([time.isoformat(), *(_cell(one.values[number]) for _whose, one in columns)])
    print_(text.getvalue().rstrip("\n"))


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value) if value == int(value) else value)


def _show(terminal: Terminal, found: Metrics) -> None:
    span = _("{since} to {until}, in bins of {minutes} min").format(
        since=at(found.since), until=at(found.until), minutes=found.period_s // 60
    )
    terminal.line(f"{found.endpoint}: {span}")
    if found.changes:
        terminal.line("")
        terminal.line(_("what changed then"))
        for change in found.changes:
            terminal.line(f"{at(change.at)}  {change.sentence}")
    whose = [
        (_("all calls, by SageMaker"), found.sagemaker.series, found.sagemaker.problem),
        (_("calls by the portal"), found.portal.series, None),
    ]
    headings = (_("metric"), _("bins"), _("highest"), _("last"))
    for title, series, problem in whose:
        terminal.line("")
        terminal.line(title)
        known = [one for one in series if any(value is not None for value in one.values)]
        hours = found.period_s >= _HOUR_S and series is found.sagemaker.series
        if problem:
            terminal.line(problem)
        if hours and found.period_s > _HOUR_S and known:
            terminal.line(_("p50, p90 and p99 are those of the slowest hour of each bin."))
        if not known and not problem:
            terminal.line(_("Nothing was measured in this time."))
        elif known and (hours or not problem):  # the portal keeps the hours that are over
            terminal.table(headings, [_row(one) for one in known])
    if found.versions:
        terminal.line("")
        _show_versions(terminal, found)
    if found.containers is not None:
        terminal.line("")
        _show_containers(terminal, found.containers)


def _show_containers(terminal: Terminal, told: ContainersTold) -> None:
    terminal.line(
        _("all calls, as the containers counted them since {since}").format(since=at(told.since))
        if told.since is not None
        else _("all calls, as the containers count them")
    )
    if told.problem:
        terminal.line(told.problem)
        return
    for one in told.instances:
        if not one.up:
            said = _("The page of {instance} could not be read; its calls are not counted.")
            terminal.line(said.format(instance=one.instance))
    if not told.models:
        terminal.line(_("They have loaded no model yet."))
    else:
        headings = (
            *(_("model"), _("calls"), _("by the portal"), _("cold"), _("errors"), _("memory")),
            *(_("load"), _("last call"), _("evictions")),
        )
        terminal.table(headings, [_told_row(one) for one in told.models])
    if told.least_recent is not None:
        said = _("least recently used in memory: {model}, {when}")
        when = at(told.least_recent_call_at) or _("never")
        terminal.line(said.format(model=told.least_recent, when=when))
    if told.eviction_age_ms is not None:
        said = _("not called for {age} on average when unloaded to make room")
        terminal.line(said.format(age=ms(told.eviction_age_ms)))
    if told.uncalled:
        names = ", ".join(f"{one.model}:{one.number}" for one in told.uncalled)
        terminal.line(_("Not called since: {names}").format(names=names))


def _told_row(one: ModelTold) -> tuple[str, ...]:
    name = f"{one.model}:{one.number}" if one.model else one.target_model or _("(others)")
    return (
        name,
        str(one.calls),
        "" if one.portal_calls is None else str(one.portal_calls),
        str(one.cold),
        ", ".join(f"{each.kind} {each.calls}" for each in one.errors),
        "" if one.memory_bytes is None else size(one.memory_bytes),
        ms(one.load_ms),
        at(one.last_call_at) or _("never"),
        ", ".join(f"{each.reason} {each.times}" for each in one.evictions),
    )


def _show_versions(terminal: Terminal, found: Metrics) -> None:
    headings = (
        *(_("version"), _("calls"), _("failed"), _("cold"), _("p50"), _("p99")),
        _("last call"),
    )
    rows = [
        (
            f"{one.model}:{one.number}",
            str(one.calls),
            str(one.failed),
            "" if one.cold_share is None else _written(one.cold_share, "share"),
            ms(one.p50_ms),
            ms(one.p99_ms),
            at(one.last_call_at) or _("never"),
        )
        for one in found.versions
    ]
    terminal.table(headings, rows)
    if found.portal.versions_left_out:
        terminal.line(
            _("Further versions, with fewer calls: {count}").format(
                count=found.portal.versions_left_out
            )
        )


def _row(one: Series) -> tuple[str, str, str, str]:
    known = [value for value in one.values if value is not None]
    return (
        one.name,
        bars(one.values),
        _written(max(known), one.unit),
        _written(known[-1], one.unit),
    )


def bars(values: Sequence[float | None]) -> str:
    """Values as letters of different height, from zero on; of many bins the highest of some."""
    every = -(-len(values) // _WIDTH) or 1
    parts = [values[n : n + every] for n in range(0, len(values), every)]
    highest = [max((value for value in part if value is not None), default=None) for part in parts]
    top = max((value for value in highest if value is not None), default=0) or 1
    return "".join(
        _GAP if value is None else _BARS[min(7, int(value / top * 7 + 0.5))] for value in highest
    )


def _written(value: float, unit: str) -> str:
    if unit == "ms":
        return ms(value)
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "percent":
        return f"{value:.1f} %"
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def logs(
    name: str,
    *,
    follow: bool,
    since: str,
    search: str,
    model: str,
    request: str,
    instance: str,
    level: str,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Print the lines of an endpoint's containers; with ``follow``, those that come, too."""
    # Of a call that the portal made it knows when that was.
    begin = past(since or "1h") if since or not request else None
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        read = portal.endpoints.follow_logs if follow else portal.endpoints.logs
        lines = read(
            name,
            since=begin,
            search=search,
            model=model,
            request=request,
            instance=instance,
            level=level,
        )
        if json and not follow:
            terminal.document({"items": [one.document for one in lines], "next": None})
            return
        found = False
        for line in lines:
            found = True
            _log_line(terminal, line)
        if not found:
            terminal.note(_("There are no such lines. Look further back with --since."))


def _log_line(terminal: Terminal, line: LogLine) -> None:
    if terminal.json:
        terminal.document_line(line.document)
    elif terminal.quiet:
        terminal.line(line.text)
    else:
        when = line.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        named = [line.event, line.message or line.text]
        if line.event:  # of another line all is said already
            named[1:1] = [line.target_model, line.request_id]
        said = "  ".join(filter(None, named))
        terminal.line(f"{when}  {line.instance}  {(line.level or '-'):7}  {said}")
