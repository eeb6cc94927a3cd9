"""``mme experiment`` and ``mme experiments``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mme_client.cli import exits
from mme_client.cli.calling import SomeFailed
from mme_client.cli.comparing import is_picture
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import at, ms
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.cli.terminal import Terminal
    from mme_client.portal import Portal
    from mme_client.records import ComparedExperiments, Experiment, ExperimentPlan

_PICTURES = ("samples", "test-set", "kept")
#: Labels of one target that are printed.
_LABELS = 3
#: Lines of the histogram that is printed, and the columns of its longest bar.
_BARS, _LONGEST = 16, 24
#: Columns of the line on which marks say when a target was loaded.
_STRIP = 48


def experiment(
    endpoint: str,
    *,
    models: str,
    calls: int,
    callers: int | None,
    rate: float | None,
    draw: str,
    seed: int | None,
    pictures: str,
    files: Sequence[str],
    name: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Have the portal call versions many times; with ``plan`` only say what that would be."""
    own = _own(files)
    if pictures not in _PICTURES:
        own = [*_own([pictures]), *own]
        pictures = _PICTURES[0]
    given: dict[str, Any] = {
        "calls": calls, "callers": callers, "rate": rate, "draw": draw, "seed": seed,
        "pictures": pictures, "files": own,
    }  # fmt: skip
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            _tell_plan(terminal, portal.experiments.preview(endpoint, models, **given))
            return
        found = portal.experiments.create(endpoint, models, **given, name=name)
        if wait:
            found = _waited(portal, terminal, found)
        _show(portal, terminal, found)
    if found.state == "failed":
        raise SomeFailed(exits.Exit.FAILED)


def _own(named: Sequence[str]) -> list[Path]:
    """Files, and the pictures below folders, by name. Raises WrongUse."""
    found: list[Path] = []
    for one in named:
        path = Path(one)
        inside = sorted(each for each in path.rglob("*") if each.is_file() and is_picture(each))
        if not path.is_file() and not inside:
            said = _("{file} is no file; --pictures takes files, folders, or one of: {names}.")
            raise WrongUse(said.format(file=one, names=", ".join(_PICTURES)))
        found += inside if path.is_dir() else [path]
    return found


def _waited(portal: Portal, terminal: Terminal, found: Experiment) -> Experiment:
    goes_on = _("The portal goes on with it. See {address}").format(address=_address(portal, found))
    said = _("{done} of {all} calls, {rate} a second")

    def told(now: Experiment) -> None:
        rate = now.calls_per_second or 0.0
        step(said.format(done=now.calls, all=now.asked["calls"], rate=f"{rate:.1f}"))

    with terminal.goes_on(goes_on), terminal.steps() as step:
        return found.wait(seen=told)


def experiments(
    id: str,
    *,
    endpoint: str,
    name: str | None,
    beside: str,
    stop: bool,
    csv: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """The experiments, or one of them: look at it, name it, stop it, take its CSV file.

    ``beside``: the id or the name of another one, whose figures are printed beside its own.
    """
    if not id and (stop or csv or wait or beside or name is not None):
        raise WrongUse(_("Say which experiment: its id, as `mme experiments` lists it."))
    if beside and (stop or csv or wait or name is not None):
        raise WrongUse(_("--beside does not go with --stop, --name, --csv or --wait."))
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if not id:
            _list(portal, terminal, endpoint)
            return
        if beside:
            _compare(terminal, portal.experiments.compare(id, beside))
            return
        if name is not None:
            portal.experiments.rename(id, name)
        found = portal.experiments.stop(id) if stop else portal.experiments.get(id)
        if wait:
            found = _waited(portal, terminal, found)
        if csv:
            text = portal.experiments.csv(id).decode("utf-8-sig")
            for line in text.rstrip().replace("\r\n", "\n").split("\n"):
                terminal.line(line)
        else:
            _show(portal, terminal, found)
    if wait and found.state == "failed":
        raise SomeFailed(exits.Exit.FAILED)


def _list(portal: Portal, terminal: Terminal, endpoint: str) -> None:
    found = list(portal.experiments.list(endpoint=endpoint))
    rows = [
        (
            one.id,
            one.name or one.asked["models"],
            one.endpoint,
            one.state,
            f"{one.calls} / {one.asked['calls']}",
            _percent(one.cold_share),
            at(one.created_at),
            one.created_by,
        )
        for one in found
    ]
    heads = (
        _("id"), _("name"), _("endpoint"), _("state"), _("calls"), _("cold"), _("began"), _("by"),
    )  # fmt: skip
    terminal.listed(found, heads, rows, names=[one.id for one in found])


def _address(portal: Portal, found: Experiment) -> str:
    return f"{portal.url}/invoke/experiments/{found.id}/"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _show(portal: Portal, terminal: Terminal, found: Experiment) -> None:
    if terminal.json:
        terminal.document(found.document)
        return
    if terminal.quiet:
        terminal.line(found.id)
        return
    rate = "" if found.calls_per_second is None else f"{found.calls_per_second:.1f}"
    terminal.fields(
        [
            (_("state"), found.state),
            (_("why"), found.error or ""),
            (_("calls"), f"{found.calls} / {found.asked['calls']}"),
            (_("succeeded"), str(found.succeeded)),
            (_("failed"), str(found.failed) if found.failed else ""),
            (_("unknown"), str(found.unknown) if found.unknown else ""),
            (_("cold"), _percent(found.cold_share)),
            (_("calls a second"), rate),
        ]
    )
    rows = [
        (label, *_times(found.latency_ms[key]))
        for key, label in (("all", _("all")), ("cold", _("cold")), ("warm", _("warm")))
    ]
    terminal.table((_("latency"), "p50", "p90", "p99"), rows)
    _parts(terminal, found)
    by_target = []
    for target, one in found.targets.items():
        labels = list(found.labels.get(target, {}).items())
        said = ", ".join(f"{label} {count}" for label, count in labels[:_LABELS])
        more = ", …" if len(labels) > _LABELS else ""
        calls = str(one["calls"])
        times = _times(one["latency_ms"])
        by_target.append((target, calls, _percent(one["cold_share"]), *times, said + more))
    heads = (_("target"), _("calls"), _("cold"), "p50", "p90", "p99", _("labels"))
    terminal.table(heads, by_target)
    _histogram(terminal, found)
    _loads(terminal, found)
    for code, count in found.errors.items():
        terminal.line(_("Failed with {code}: {count}").format(code=code, count=count))
    terminal.note(_("To look at and to send: {address}").format(address=_address(portal, found)))


def _compare(terminal: Terminal, found: ComparedExperiments) -> None:
    if terminal.json:
        terminal.document(found.document)
        return
    rows = [
        (one.name, _figure(one.kind, one.one), _figure(one.kind, one.other))
        for one in found.figures
    ]
    if terminal.quiet:
        for row in rows:
            terminal.line("\t".join(row))
        return
    shown = [(_label(name), *both) for name, *both in rows]
    shown.insert(0, (_("state"), found.one.state, found.other.state))
    titles = [one.name or one.asked["models"] for one in (found.one, found.other)]
    terminal.table(("", *titles), shown)


def _label(name: str) -> str:
    """What a figure is called; one that this version does not know has its name."""
    words = {
        "calls": _("calls"), "failed": _("failed"), "unknown": _("unknown"), "cold": _("cold"),
        "cold_share": _("share of cold calls"), "calls_per_second": _("calls a second"),
        "all": _("all"), "warm": _("warm"),
    }  # fmt: skip
    if name.startswith("latency_ms."):
        _place, kind, part = name.split(".", 2)
        return f"{_('latency')}, {words.get(kind, kind)}, {part}"
    return words.get(name, name)


def _figure(kind: str, value: float | None) -> str:
    if value is None:
        return ""
    shown = {"share": _percent, "ms": ms}.get(kind)
    return f"{value:.10g}" if shown is None else shown(value)


def _parts(terminal: Terminal, found: Experiment) -> None:
    """Where the time went, on average; nothing where no call tells it."""
    told = found.parts_ms
    kinds = [] if told is None else [(_("cold"), told.cold), (_("warm"), told.warm)]
    rows = []
    for name, one in kinds:
        if one is not None:
            parts = (one.network, one.fetch, one.load, one.decode, one.infer)
            rows.append((name, *(ms(part) if part else "" for part in parts)))
    if rows:
        heads = (
            _("where the time went (on average)"), _("network and SageMaker"), _("fetching"),
            _("load"), _("decoding"), _("inference"),
        )  # fmt: skip
        terminal.table(heads, rows)


def _histogram(terminal: Terminal, found: Experiment) -> None:
    """Cold calls beside the others; the longest bar of either kind is as long as the other's."""
    bars = found.histogram
    step = max(1, -(-len(bars) // _BARS))
    groups = [bars[first : first + step] for first in range(0, len(bars), step)]
    counts = [(sum(one.cold for one in of), sum(one.warm for one in of)) for of in groups]
    most = [max((pair[kind] for pair in counts), default=0) for kind in (0, 1)]
    rows = [
        (f"≤ {ms(of[-1].to_ms)}", *map(_bar, pair, most))
        for of, pair in zip(groups, counts, strict=True)
    ]
    if rows:
        terminal.line()
        terminal.table((_("latency"), _("cold"), _("warm")), rows)


def _bar(count: int, most: int) -> str:
    return f"{'█' * -(-_LONGEST * count // most)} {count}" if count else ""


def _loads(terminal: Terminal, found: Experiment) -> None:
    """Of each target that was loaded, when: from the begin on the left to the end on the right."""
    rows = []
    for target, times in found.loads.items():
        strip = ["·"] * _STRIP
        for second in times:
            strip[min(_STRIP - 1, int(_STRIP * second / (found.seconds or 1.0)))] = "█"
        if times:
            rows.append((target, str(len(times)), "".join(strip)))
    if rows:
        over = _("loaded when, over {seconds} s").format(seconds=f"{found.seconds:.1f}")
        terminal.line()
        terminal.table((_("target"), _("loads"), over), rows)


def _times(latency: dict[str, Any]) -> tuple[str, str, str]:
    return ms(latency["p50"]), ms(latency["p90"]), ms(latency["p99"])


def _tell_plan(terminal: Terminal, plan: ExperimentPlan) -> None:
    if terminal.json:
        terminal.document(plan.document)
        return
    rows = [
        (one.name, one.target_model, f"{one.calls:g}", "" if one.memory_mb is None
         else f"{one.memory_mb:.0f} MB")
        for one in plan.targets
    ]  # fmt: skip
    if terminal.quiet:
        for row in rows:
            terminal.line("\t".join(row))
        return
    terminal.table((_("target"), _("target model"), _("calls"), _("memory")), rows)
    terminal.line(_("About {seconds} s.").format(seconds=f"{plan.seconds:.0f}"))
    if plan.cost is not None:
        said = _("The instances cost {hour} {currency} an hour, {now} {currency} in that time.")
        told = {"hour": plan.cost.per_hour, "now": plan.cost_meanwhile}
        terminal.line(said.format(currency=plan.cost.currency, **told))
    if plan.other_models:
        said = _("Other versions that may be put out of memory for them: {count}")
        terminal.line(said.format(count=plan.other_models))
    terminal.note(_("Nothing was called."))
