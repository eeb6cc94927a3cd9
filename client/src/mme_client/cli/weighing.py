"""``--variant`` of ``mme deploy`` and ``mme endpoint update``, and ``mme endpoint weights``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mme_client.cli import planning
from mme_client.cli.running import WrongUse, running
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mme_client.records import EndpointVariant

_VARIANT = re.compile(r"([^=]+)=([^:]+)(?::(\d+))?(?::(\d+(?:\.\d+)?))?")
_POLICY = re.compile(r"(all-at-once|canary|linear|rolling)(?::(\d{1,3})%)?(?::(\d{1,5})s)?")
_WEIGHT = re.compile(r"([^=]+)=(\d+(?:\.\d+)?)")


def variants(given: Iterable[str]) -> list[dict[str, Any]] | None:
    """What ``--variant NAME=TYPE:COUNT:WEIGHT`` says; None where it was not given."""
    found = []
    for text in given:
        match = _VARIANT.fullmatch(text)
        if match is None:
            raise WrongUse(
                _("Write a variant as NAME=TYPE:COUNT:WEIGHT, not {text}.").format(text=text)
            )
        name, kind, count, weight = match.groups()
        found.append(
            {
                "name": name,
                "instance_type": kind,
                "instance_count": int(count or 1),
                "weight": float(weight or 1),
            }
        )
    return found or None


def policy(text: str, alarms: list[str]) -> dict[str, Any] | None:
    """What ``--policy KIND:PERCENT%:SECONDSs`` and ``--alarm`` say; None: neither was given."""
    if not text and not alarms:
        return None
    match = _POLICY.fullmatch(text or "all-at-once")
    if match is None:
        said = _(
            "Write a policy as canary:10%:300s, linear:20%:60s, rolling:50%:60s or "
            "all-at-once:300s."
        )
        raise WrongUse(said)
    kind, percent, wait = match.groups()
    found = {"kind": kind.replace("-", "_"), "percent": int(percent or 0), "wait_s": int(wait or 0)}
    return found | {"alarms": alarms}


def weigh(
    name: str,
    given: list[str],
    *,
    reason: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Share the calls in another way; with ``wait``, until it is so; or show its plan."""
    planning.check(plan=plan, wait=wait)
    weights = {}
    for text in given:
        match = _WEIGHT.fullmatch(text)
        if match is None:
            raise WrongUse(_("Write a weight as NAME=NUMBER, not {text}.").format(text=text))
        weights[match[1]] = float(match[2])
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.endpoints.preview_change(name, weights=weights)
            planning.show(terminal, planned, is_new=False)
            return
        endpoint = portal.endpoints.weigh(name, weights, reason=reason)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            with terminal.goes_on(said.format(name=name)):
                endpoint = portal.endpoints.wait_for_change(endpoint)
        if terminal.json:
            terminal.document(endpoint.document)
        elif terminal.quiet:
            terminal.line(endpoint.name)
        else:
            terminal.line(f"{endpoint.name}  {told(endpoint.variants)}")


def told(rows: list[EndpointVariant]) -> str:
    """Each variant with its instances and its share of the calls; one alone without a name."""
    if len(rows) == 1:
        return f"{rows[0].instance_count} × {rows[0].instance_type}"
    whole = sum(one.weight for one in rows)
    shares = [one.weight / whole if whole else 1 / len(rows) for one in rows]
    return ", ".join(
        f"{one.name} {one.instance_count} × {one.instance_type} ({share:.0%})"
        for one, share in zip(rows, shares, strict=True)
    )
