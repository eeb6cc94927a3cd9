"""``mme login``, ``whoami``, ``today``, ``status`` and ``token``."""

from __future__ import annotations

import getpass
import sys
import webbrowser
from typing import TYPE_CHECKING

from mme_client import errors
from mme_client.cli import config
from mme_client.cli.running import WrongUse, portal_of, running
from mme_client.cli.terminal import Terminal, at, ms, say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mme_client.records import Today


def login(url: str, token: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Keep an address and a token, once the portal has said whose it is."""
    terminal = Terminal(json=json, quiet=quiet)
    if token not in ("", "-"):
        raise WrongUse(
            _("A token in the command line is seen by others on this machine: "
              "give it on standard input, with --token -.")
        )  # fmt: skip
    url = config.address(url or config.load().url)
    host = config.host_of(url)
    if not host:
        raise WrongUse(_("Say which portal: mme login URL."))
    if url.startswith("http:") and not config.is_loopback(host):
        say(_("Warning: the address is not https, so the token can be read on its way."))
    secret = sys.stdin.readline().strip() if token == "-" else _pasted(url)  # noqa: S105
    if not secret:
        raise WrongUse(_("No token was given. Nothing was kept."))
    with portal_of(config.Login(url, secret), terminal) as portal, portal.within(timeout):
        me = portal.me()
    path = config.keep(config.Login(portal.url, secret))
    if json:
        terminal.document(me.document)
    else:
        terminal.note(_("Kept in {path}.").format(path=path))
        terminal.line(_("{name} at {url}").format(name=me.name, url=portal.url))


def _pasted(url: str) -> str:
    if not sys.stdin.isatty():
        raise WrongUse(_("Standard input is no terminal: give the token with --token -."))
    page = f"{url}/tokens/"
    say(_("Make a token on this page, and paste it here: {page}").format(page=page))
    webbrowser.open(page)
    return getpass.getpass(_("Token: ")).strip()


def whoami(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """Who calls."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        me = portal.me()
        if json:
            terminal.document(me.document)
        elif quiet:
            terminal.line(me.name)
        else:
            rows = [
                (_("name"), me.name),
                (_("role"), me.role or _("none")),
                (_("scopes"), ", ".join(me.scopes)),
                (_("portal"), portal.url),
            ]
            if me.token is not None:
                until = _("{name}, until {at}").format(
                    name=me.token.name, at=at(me.token.expires_at)
                )
                rows.append((_("token"), until))
            terminal.fields(rows)


def status(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """How the portal stands."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.status()
        if json:
            terminal.document(found.document)
            return
        if quiet:
            terminal.line(found.version)
            return
        terminal.fields(
            [
                (_("portal"), f"{portal.url} ({found.version})"),
                (_("where"), found.where),
                (_("region"), found.region),
                (_("store"), found.store),
                (_("worker"), found.worker_problem),
            ]
        )
        if found.parts:
            terminal.line()
            headings = (_("part"), _("state"), _("what was found"))
            terminal.table(headings, [(p.name, p.state, p.sentence) for p in found.parts])


def today(*, json: bool, quiet: bool, timeout: float | None) -> None:
    """What needs somebody, what runs and costs, what was called; ``quiet``: the first alone."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = portal.today()
        if json:
            terminal.document(found.document)
            return
        for need in found.needs:
            terminal.line(need.summary)
            for one in need.items if not quiet else ():
                terminal.line(f"  {one.text} {one.more}".rstrip())
                if one.command:
                    terminal.line(f"    {one.command}")
        if quiet:
            return
        if not found.needs:
            terminal.line(_("Nothing needs you."))
        terminal.line()
        terminal.fields([*_running(found), *_called(found)])
        ends = found.endpoints.ends if found.endpoints else []
        if ends:
            terminal.line()
            headings = (_("endpoint"), _("ends"), _("why"))
            why = {True: _("nobody calls it"), False: _("end date")}
            terminal.table(headings, [(one.endpoint, at(one.at), why[one.idle]) for one in ends])


def _running(found: Today) -> Iterator[tuple[str, str]]:
    told = found.endpoints
    if told is None:
        return
    yield _("endpoints"), str(told.all)
    cost = _("{hour} {currency} an hour, {month} {currency} a month")
    yield (
        _("cost"),
        cost.format(hour=told.cost_per_hour, month=told.cost_per_month, currency=told.currency),
    )
    if told.month is not None:
        month = _("{cost} {currency}, forecast {forecast} {currency}")
        yield (
            _("this month"),
            month.format(
                cost=told.month.cost, forecast=told.month.forecast, currency=told.month.currency
            ),
        )


def _called(found: Today) -> Iterator[tuple[str, str]]:
    calls = found.calls
    if calls is not None:
        said = _("{all}, {cold} of them cold, {failed} failed, half of them within {ms}")
        told = {"all": calls.all, "cold": calls.cold, "failed": calls.failed}
        yield _("calls today"), said.format(**told, ms=ms(calls.p50_ms) or "-")


def version(*, json: bool) -> None:
    """The versions of both ends; a portal that does not answer is no failure."""
    from mme_client import __version__

    own = Terminal(json=json)
    try:
        login = config.load()
    except config.ConfigError:
        login = config.Login("", "")
    other = ""
    if login.url:
        seen: list[str] = []
        try:
            from mme_client.portal import Portal

            portal = Portal(login.url, "", retries=0, seen_version=seen.append)
            with portal, portal.within(5):
                portal.me()
        except (errors.MmeError, ValueError):
            pass  # 401 says its version, too; and with none it is said below
        other = seen[0] if seen else ""
    if json:
        own.document({"mme": __version__, "portal": other or None, "url": login.url or None})
        return
    own.line(f"mme {__version__}")
    if login.url:
        found = other or _("not reached")
        own.line(_("portal {version} at {url}").format(version=found, url=login.url))


def token_create(
    name: str,
    scopes: list[str],
    days: int | None,
    *,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Make a token; its secret is the result."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        made = portal.tokens.create(name, scopes, days=days)
        if json:
            terminal.document(made.document)
            return
        terminal.line(made.token)
        terminal.note(
            _("It is shown this once. It is {id}, and counts until {at}.").format(
                id=made.id, at=at(made.expires_at)
            )
        )


def token_list(*, all: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """One's tokens; without ``all`` those that count."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.tokens.list(state="" if all else "valid"))
        states = {
            "valid": _("valid"), "expired": _("expired"), "revoked": _("revoked")
        }  # fmt: skip
        headings = (_("id"), _("name"), _("scopes"), _("state"), _("until"), _("last used"))
        rows = [
            (
                one.id,
                one.name,
                ", ".join(one.scopes),
                states.get(one.state, one.state),
                at(one.expires_at),
                " ".join(filter(None, (at(one.last_used_at), one.last_used_from))),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.id for one in found])


def token_revoke(id: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """Revoke one of one's tokens, by its id, or by a name that one valid token alone has."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        named = [one for one in portal.tokens.list(state="valid") if id in (one.id, one.name)]
        if len(named) > 1:
            raise WrongUse(_("Several tokens are called {name}: name its id.").format(name=id))
        revoked = named[0] if named else portal.tokens.get(id)
        portal.tokens.revoke(revoked.id)
        if json:
            terminal.document(portal.tokens.get(revoked.id).document)
        else:
            terminal.note(_("Revoked: {name}").format(name=revoked.name))
