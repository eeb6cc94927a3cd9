"""``mme webhook`` and ``mme mails``: who is told what happens, and what they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mme_client.cli import exits
from mme_client.cli.calling import SomeFailed
from mme_client.cli.running import WrongUse, each, running
from mme_client.cli.terminal import Terminal, at
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.records import Delivery, Webhook


def list_all(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """All webhooks."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.webhooks.list())
        headings = (_("id"), _("address"), _("note"), _("kinds"), _("models"), _("state"))
        rows = [
            (
                one.id,
                one.url,
                one.note,
                ", ".join(one.kinds),
                ", ".join(one.models) or _("all"),
                _state(one),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.id for one in found])


def _state(webhook: Webhook) -> str:
    if webhook.paused:
        return _("paused: it failed for a day") if webhook.paused_by_portal else _("paused")
    if webhook.failing_since_at is not None:
        return _("failing since {at}").format(at=at(webhook.failing_since_at))
    return _("active")


def kinds(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """What they can be told of."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.webhooks.kinds())
        rows = [(one.name, one.label) for one in found]
        terminal.listed(
            found, (_("kind"), _("what it is")), rows, names=[one.name for one in found]
        )


def add(
    url: str,
    kinds: Sequence[str],
    *,
    models: Sequence[str],
    note: str,
    language: str,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Make a webhook; its secret is the result."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        made = portal.webhooks.create(url, kinds, models=models, note=note, language=language)
        _secret(terminal, made, json=json)
        if not json:
            terminal.note(_("Try it: mme webhook test {id}").format(id=made.id))


def _secret(terminal: Terminal, made: Webhook, *, json: bool) -> None:
    if json:
        terminal.document(made.document)
        return
    terminal.line(made.secret)
    terminal.note(
        _("It is the secret of {id}, and is shown this once. Give it to the receiver.").format(
            id=made.id
        )
    )
    if made.old_secret_ends_at is not None:
        until = at(made.old_secret_ends_at)
        terminal.note(_("The old secret counts until {at}.").format(at=until))


def change(
    id: str,
    *,
    url: str | None,
    kinds: Sequence[str] | None,
    models: Sequence[str] | None,
    note: str | None,
    language: str | None,
    pause: bool,
    resume: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Change a webhook; what is None stays."""
    if pause and resume:
        raise WrongUse(_("Give one of --pause and --resume."))
    paused = True if pause else False if resume else None
    if all(one is None for one in (url, kinds, models, note, language, paused)):
        raise WrongUse(_("Say what to change, as --kind or --pause."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        changed = portal.webhooks.change(
            id, url=url, kinds=kinds, models=models, note=note, language=language, paused=paused
        )
        if json:
            terminal.document(changed.document)
        elif quiet:
            terminal.line(changed.id)
        else:
            terminal.fields(
                [
                    (_("id"), changed.id),
                    (_("address"), changed.url),
                    (_("note"), changed.note),
                    (_("kinds"), ", ".join(changed.kinds)),
                    (_("models"), ", ".join(changed.models) or _("all")),
                    (_("state"), _state(changed)),
                ]
            )


def test(id: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Send a test; one that fails is exit code 1."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.webhooks.test(id)
        if json:
            terminal.document(found.document)
        elif quiet:
            terminal.line(found.state)
        else:
            _told(terminal, found)
        if found.state != "delivered":
            raise SomeFailed(exits.Exit.FAILED)


def _told(terminal: Terminal, delivery: Delivery) -> None:
    terminal.fields(
        [
            (_("state"), delivery_state(delivery)),
            (_("answer"), _last(delivery)),
            ("webhook-id", delivery.id),
        ]
    )
    if delivery.attempts and delivery.attempts[-1].answer:
        terminal.line()
        terminal.line(delivery.attempts[-1].answer)


def delivery_state(delivery: Delivery) -> str:
    """How it went, as a word."""
    names = {
        "pending": _("on its way"), "delivered": _("delivered"), "failed": _("failed")
    }  # fmt: skip
    return names.get(delivery.state, delivery.state)


def _last(delivery: Delivery) -> str:
    """What the receiver answered the last time."""
    if not delivery.attempts:
        return ""
    last = delivery.attempts[-1]
    return f"{last.problem or last.http_status} ({last.ms} ms)"


def deliveries(
    id: str, *, state: str, kind: str, json: bool, quiet: bool, timeout: float | None
) -> None:
    """What was sent to a webhook."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.webhooks.deliveries(id, state=state, kind=kind))
        headings = ("webhook-id", _("when"), _("kind"), _("state"), _("tries"), _("answer"))
        rows = [
            (
                one.id,
                at(one.created_at),
                one.kind,
                delivery_state(one),
                str(len(one.attempts)),
                _last(one),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.id for one in found])


def redeliver(
    id: str, message: str, *, failed: bool, json: bool, quiet: bool, timeout: float | None
) -> None:
    """Send a message again, or all that failed."""
    if bool(message) == failed:
        raise WrongUse(_("Give a message, or --failed."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        # The oldest first, as it was.
        messages = [message]
        if failed:
            found = portal.webhooks.deliveries(id, state="failed")
            messages = [one.id for one in found if one.kind != "webhook.test"][::-1]

        def tell(again: list[Delivery]) -> None:
            if json:
                terminal.document({"items": [one.document for one in again], "next": None})
                return
            for one in again:
                terminal.line(one.id)
            terminal.note(_("See: mme webhook deliveries {id}").format(id=id))

        tell(each(messages, lambda one: portal.webhooks.redeliver(id, one), tell))


def rotate(id: str, *, at_once: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Make a new secret; it is the result."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        _secret(terminal, portal.webhooks.rotate(id, at_once=at_once), json=json)


def remove(id: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Remove a webhook."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        removed = portal.webhooks.get(id)
        portal.webhooks.remove(id)
        if json:
            terminal.document(removed.document)
        else:
            terminal.note(_("Removed: {name}").format(name=removed.note or removed.url))


def mails(
    kinds: Sequence[str],
    *,
    none: bool,
    all: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """What the caller is told of by mail; with ``kinds`` or ``none`` another choice."""
    if none and kinds:
        raise WrongUse(_("Give --kind or --none."))
    if all and not kinds:
        raise WrongUse(_("Say with --kind of what."))
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if none or kinds:
            choice = portal.mails.choose(kinds, only_own=not all)
        else:
            choice = portal.mails.get()
        if json:
            terminal.document(choice.document)
        elif quiet:
            for one in choice.kinds:
                terminal.line(one)
        else:
            terminal.fields(
                [
                    (_("kinds"), ", ".join(choice.kinds) or _("none")),
                    (_("of"), _("your own") if choice.only_own else _("everybody's")),
                    (_("address"), choice.address),
                    (_("offered"), ", ".join(choice.offered)),
                ]
            )
            if not choice.possible:
                terminal.note(_("This portal has no mail server, so it sends no mails."))
            elif not choice.address:
                terminal.note(_("Your account has no mail address: an admin can add it."))
