"""``mme cost``: what instances cost in a month, and may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli import orphaned
from mme_client.cli.many import csv_line
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.cli.terminal import Terminal
    from mme_client.records import CostBudget, CostItem, CostReport

_COLUMNS = ("instance_hours", "cost", "forecast", "currency", "idle_days", "unpriced_types")


def cost(month: str, *, by: str, csv: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Print what a month cost; quiet: the sum so far alone."""
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.costs.get(month, by=by)
        if terminal.json:
            terminal.document(found.document)
        elif csv:
            _print_csv(terminal, found)
        elif terminal.quiet:
            terminal.line(f"{found.cost} {found.currency}")
        else:
            _show(terminal, found)


def _print_csv(terminal: Terminal, found: CostReport) -> None:
    terminal.line(csv_line([found.by, *_COLUMNS]))
    for one in found.items:
        idle = "" if one.idle_days is None else one.idle_days
        cells = (
            *(one.name, one.instance_hours, one.cost, one.forecast, found.currency, idle),
            " ".join(one.unpriced_types),
        )
        terminal.line(csv_line(cells))


def _show(terminal: Terminal, found: CostReport) -> None:
    named = {"endpoint": _("endpoint"), "owner": _("owner"), "tag": _("tag"), "day": _("day")}
    money = (_("cost, {currency}"), _("forecast, {currency}"))
    headings = [
        named.get(found.by, found.by),
        _("instance-hours"),
        *(one.format(currency=found.currency) for one in money),
        "",
    ]
    rows = [
        (_named(found, one), one.instance_hours, one.cost, one.forecast, _remarks(one))
        for one in found.items
    ]
    if rows:
        terminal.table(headings, rows)
    else:
        terminal.note(_("No instance ran in {month}.").format(month=found.month))
    said = _("{month}: {cost} {currency} so far, {forecast} {currency} at its end.")
    if found.forecast == found.cost:
        said = _("{month}: {cost} {currency}.")
    whole = said.format(
        month=found.month, cost=found.cost, forecast=found.forecast, currency=found.currency
    )
    terminal.line(whole)
    if found.unpriced_types:
        said = _("Not in the cost, as no price is known: {types}")
        terminal.line(said.format(types=", ".join(found.unpriced_types)))
    if found.budgets:
        terminal.line("")
        _show_budgets(terminal, found.budgets)
    terminal.note(found.estimate)
    orphaned.note_others(terminal, found.others)


def budget(
    amount: str,
    *,
    owner: str,
    tag: str,
    remove: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Set a budget, remove one, or list all."""
    if amount and remove:
        raise WrongUse(_("Give an amount or --remove."))
    if (owner or tag) and not amount and not remove:
        raise WrongUse(_("Give an amount, or --remove."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if amount:
            found = [portal.costs.set_budget(amount, owner=owner, tag=tag)]
        elif remove:
            portal.costs.remove_budget(owner=owner, tag=tag)
            terminal.note(_("The budget is removed."))
            return
        else:
            found = portal.costs.get().budgets
        if terminal.json:
            documents = [one.document for one in found]
            terminal.document(documents[0] if amount else {"items": documents, "next": None})
        elif terminal.quiet:
            for one in found:
                terminal.line(f"{one.amount} {one.currency}")
        elif found:
            _show_budgets(terminal, found)
        else:
            terminal.note(_("There is no budget. Set one: mme cost budget 500"))


def _show_budgets(terminal: Terminal, found: Sequence[CostBudget]) -> None:
    headings = (_("budget of"), _("amount"), _("used"), _("cost"), _("forecast"))
    rows = [
        (
            one.owner or one.tag or _("all endpoints"),
            f"{one.amount} {one.currency}",
            f"{one.percent} %",
            one.cost,
            one.forecast,
        )
        for one in found
    ]
    terminal.table(headings, rows)


def _named(found: CostReport, one: CostItem) -> str:
    if one.name:
        return one.name
    return _("without a tag") if found.by == "tag" else _("nobody")


def _remarks(one: CostItem) -> str:
    said = []
    if one.idle_days:
        said.append(_("idle for {days} days").format(days=one.idle_days))
    if one.unpriced_types:
        said.append(_("without {types}").format(types=", ".join(one.unpriced_types)))
    return ", ".join(said)


def prices(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """List the prices; quiet: the instance types alone."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.costs.prices()
        if terminal.json:
            terminal.document(found.document)
            return
        said = _("Prices of {region}, collected on {day}. Source: {source}")
        say(said.format(region=found.region, day=found.collected, source=found.source))
        if found.problem:
            say(found.problem)
        headings = (_("type"), _("an hour, {currency}").format(currency=found.currency))
        rows = [(one.instance_type, one.per_hour) for one in found.items]
        names = [one.instance_type for one in found.items]
        terminal.listed(found.items, headings, rows, names=names)
