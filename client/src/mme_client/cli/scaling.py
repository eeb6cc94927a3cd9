"""``mme endpoint scale``: autoscaling by instance."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mme_client.cli import planning
from mme_client.cli.running import WrongUse, running
from mme_client.cli.words import _

if TYPE_CHECKING:
    from mme_client.records import Scaling


def scale(
    name: str,
    *,
    least: int | None,
    most: int | None,
    target: int | None,
    in_cooldown: int | None,
    out_cooldown: int | None,
    at: list[str],
    zone: str,
    off: bool,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Have AWS scale an endpoint, or no more; with ``wait``, until it is so; or show its plan."""
    planning.check(plan=plan, wait=wait)
    given: dict[str, Any] = {
        "min_instances": least,
        "max_instances": most,
        "calls_per_minute": target,
        "in_cooldown_s": in_cooldown,
        "out_cooldown_s": out_cooldown,
        "schedule": [_scheduled(one) for one in at] or None,
        "zone": zone or None,
    }
    limits = {key: value for key, value in given.items() if value is not None}
    if off and limits:
        raise WrongUse(_("Give --off alone."))
    if at and not zone:
        raise WrongUse(_("Say the time zone of the times: --zone Asia/Seoul."))
    if not off and None in (least, most, target):
        raise WrongUse(_("Say how it is scaled: --min, --max and --target; or --off."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            preview = portal.endpoints.preview_scaling
            planned = portal.endpoints.preview_scale_off(name) if off else preview(name, **limits)
            planning.show(terminal, planned, is_new=False)
            return
        if off:
            endpoint = portal.endpoints.scale_off(name)
        else:
            endpoint = portal.endpoints.scale(name, **limits)
        planning.tell(terminal, endpoint)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            with terminal.goes_on(said.format(name=name)):
                endpoint = endpoint.wait()
        if terminal.json:
            terminal.document(endpoint.document)
        elif terminal.quiet:
            terminal.line(endpoint.name)
        else:
            scaling = endpoint.scaling
            terminal.line(f"{endpoint.name}  {told(scaling) if scaling else _('autoscaling off')}")


_AT = re.compile(r"(.+)=(\d{1,9})-(\d{1,9})")


def _scheduled(text: str) -> dict[str, Any]:
    found = _AT.fullmatch(text.strip())
    if found is None:
        said = _(
            "{text} is no --at. Write it as 'mon-fri 08:00=2-4': a time, the fewest, the most."
        )
        raise WrongUse(said.format(text=text))
    return {
        "when": found[1].strip(), "min_instances": int(found[2]), "max_instances": int(found[3]),
    }  # fmt: skip


def told(scaling: Scaling) -> str:
    """Between how many instances, and when, in the language of the locale."""
    said = _("{least} to {most} instances, for {target} calls a minute each").format(
        least=scaling.min_instances, most=scaling.max_instances, target=scaling.calls_per_minute
    )
    times = [
        f"{one.when} {one.min_instances}-{one.max_instances}" for one in scaling.schedule or ()
    ]
    return f"{said}; {'; '.join(times)} ({scaling.zone})" if times else said
