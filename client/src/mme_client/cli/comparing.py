"""``mme compare``: two versions beside each other."""

from __future__ import annotations

from mme_client.cli.running import running
from mme_client.cli.words import _


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
