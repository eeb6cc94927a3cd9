"""``mme stores``: which stores there are, and what the portal may do there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mme_client.cli import exits
from mme_client.cli.calling import SomeFailed
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.records import Store

_URL = re.compile(r"s3://([^/]+)/(.+?)/?")


def list_all(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """All stores."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.stores.list())
        headings = (_("name"), _("address"), _("region"), _("encryption"), _("state"))
        rows = [(one.name, one.url, one.region, _encryption(one), _state(one)) for one in found]
        terminal.listed(found, headings, rows, names=[one.name for one in found])


def _encryption(store: Store) -> str:
    return store.encryption or _("as the bucket says")


def _state(store: Store) -> str:
    if store.retired_at is not None:
        return _("retired")
    if store.tested_at is None:
        return _("not tested")
    if any(one.outcome == "refused" for one in store.rights):
        return _("rights are refused")
    return _("ready")


def add(
    name: str,
    url: str,
    *,
    region: str,
    encryption: str,
    kms_key: str,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Test a bucket and a prefix, and add them as a store."""
    where = _URL.fullmatch(url)
    if where is None:
        raise WrongUse(_("Write the store as s3://BUCKET/PREFIX."))
    bucket, prefix = where.groups()
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        made = portal.stores.create(
            name, bucket, prefix, region=region, encryption=encryption, kms_key_id=kms_key
        )
        _told(terminal, made, json=json, quiet=quiet)


def show(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """One store."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _told(terminal, portal.stores.get(name), json=json, quiet=quiet)


def test(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Test a store; a right that is needed and refused is exit code 1."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.stores.test(name)
        _told(terminal, found, json=json, quiet=quiet)
        if any(one.needed and one.outcome == "refused" for one in found.rights):
            raise SomeFailed(exits.Exit.FAILED)


def set_groups(
    name: str,
    *,
    sees: Sequence[str],
    writes: Sequence[str],
    everybody: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Have a store name groups, or none."""
    if everybody == bool(sees or writes):
        raise WrongUse(_("Name groups with --sees and --writes, or say --everybody."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.stores.set_groups(name, sees=sees, writes=writes)
        _told(terminal, found, json=json, quiet=quiet)


def _groups(store: Store) -> str:
    named = [
        _("{name} (writes)").format(name=one.name) if one.may_write else one.name
        for one in store.groups
    ]
    return ", ".join(named) or _("everybody")


def retire(name: str, *, undo: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Retire an empty store, or restore it."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.stores.restore(name) if undo else portal.stores.retire(name)
        if json:
            terminal.document(found.document)
        else:
            said = _("Restored: {name}") if undo else _("Retired: {name}")
            terminal.note(said.format(name=found.name))


def _told(terminal: Terminal, store: Store, *, json: bool, quiet: bool) -> None:
    if json:
        terminal.document(store.document)
        return
    if quiet:
        terminal.line(store.name)
        return
    terminal.fields(
        [
            (_("name"), store.name),
            (_("address"), store.url),
            (_("region"), store.region),
            (_("encryption"), " ".join(filter(None, [_encryption(store), store.kms_key_id]))),
            (_("seen by"), _groups(store)),
            (_("state"), _state(store)),
            (_("tested"), at(store.tested_at)),
        ]
    )
    for use in store.uses or ():
        terminal.line(use)
    if store.rights:
        terminal.line()
        outcomes = {
            "allowed": _("allowed"), "refused": _("refused"), "unknown": _("unknown")
        }  # fmt: skip
        rows = [
            (one.place, one.right, outcomes.get(one.outcome, one.outcome), one.sentence)
            for one in store.rights
        ]
        terminal.table((_("where"), _("permission"), _("result"), _("what was said")), rows)
