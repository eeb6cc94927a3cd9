"""``--plan`` of ``mme deploy`` and ``mme endpoint``: what would be called in AWS, and its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli.running import WrongUse
from mme_client.cli.terminal import at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.cli.terminal import Terminal
    from mme_client.records import Cost, Endpoint, EndpointPlan, PlannedCall


def check(*, plan: bool, wait: bool) -> None:
    """Raise WrongUse where a command is to wait for what a plan does not make."""
    if plan and wait:
        raise WrongUse(_("Give one of --plan and --wait."))


def show(terminal: Terminal, plan: EndpointPlan, *, is_new: bool) -> None:
    """Print a plan; with ``--quiet`` its code alone, so that it can be run."""
    if terminal.json:
        terminal.document(plan.document)
        return
    if terminal.quiet:
        if plan.code:
            terminal.line(plan.code.rstrip("\n"))
        return
    terminal.fields(
        [
            (_("costs"), _costs(plan, is_new=is_new)),
            (_("at most"), told(plan.cost_up_to) if plan.cost_up_to else ""),
            *_rows(_("chosen"), [f"{one.name}: {one.after}" for one in plan.chosen]),
            *_rows(_("changes"), [f"{o.name}: {o.before} → {o.after}" for o in plan.differences]),
            *_rows(_("stays"), [f"{one.name}: {one.after}" for one in plan.stays]),
            (_("ends"), at(plan.expires_at)),
            (_("ends idle"), idle(plan.idle_hours)),
            (_("meanwhile"), plan.meanwhile),
            *_rows(_("calls"), [_call(one) for one in plan.calls]),
        ]
    )
    for one in plan.notes:
        terminal.line(one)
    terminal.line(plan.estimate)


def tell(terminal: Terminal, endpoint: Endpoint) -> None:
    """Note what is to be known of what was just asked for, as its plan would have said."""
    for one in endpoint.notes:
        terminal.note(one)


def idle(hours: int | None) -> str:
    """After how long it ends, in the language of the locale; empty: never."""
    if hours is None:
        return ""
    return _("after {hours} hours without a call").format(hours=hours)


def _rows(name: str, values: list[str]) -> list[tuple[str, str]]:
    """Fields of which the first alone is named."""
    return [("" if number else name, value) for number, value in enumerate(values)]


def _costs(plan: EndpointPlan, *, is_new: bool) -> str:
    cost = told(plan.cost)
    if is_new:
        return cost
    return _("{cost} (before: {before})").format(cost=cost, before=told(plan.cost_before))


def told(cost: Cost | None) -> str:
    """What instances cost, in the language of the locale."""
    if cost is None:
        return _("the price is not known")
    return _("{hour} {currency} an hour, {month} {currency} a month").format(
        hour=cost.per_hour, month=cost.per_month, currency=cost.currency
    )


def _call(call: PlannedCall) -> str:
    return _("{action} (afterwards)").format(action=call.action) if call.afterwards else call.action
