"""``mme deploy``, ``endpoints``, ``endpoint update`` and the like, ``teardown``, ``events``."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mme_client.cli import choosing, orphaned, planning, scaling, weighing
from mme_client.cli.many import csv_line
from mme_client.cli.moments import moment
from mme_client.cli.running import WrongUse, each, running
from mme_client.cli.terminal import Terminal, at, lasted, say
from mme_client.cli.words import _
from mme_client.errors import ProblemError
from mme_client.records import Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.portal import Portal
    from mme_client.records import Endpoint, Event, Revision, TeardownPlan


#: What says that a new endpoint has no end date, though the portal presets one.
NEVER = "never"
#: States that say themselves that an endpoint goes, or is gone.
_GOING = ("deleting", "gone")


def deploy(
    name: str,
    *,
    instance_type: str,
    instance_count: int | None,
    variants: list[str],
    expires: str | None,
    idle: int | None,
    warm_aliases: bool,
    preset: str,
    image: str,
    role: str,
    options: dict[str, Any],
    store: str,
    owner: str,
    reason: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Ask for an endpoint; with ``wait``, until it serves; or show its plan."""
    planning.check(plan=plan, wait=wait)
    rows = weighing.variants(variants)
    never = expires == NEVER
    expires_at = moment(expires) if expires is not None and not never else None
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.endpoints.preview(
                name,
                instance_type=instance_type,
                instance_count=instance_count,
                variants=rows,
                expires_at=expires_at,
                never_ends=never,
                idle_hours=idle,
                warm_aliases=warm_aliases or None,
                preset=preset,
                image=image,
                role_arn=role,
                options=options,
                store=store,
                owner=owner,
            )
            planning.show(terminal, planned, is_new=True)
            return
        endpoint = portal.endpoints.create(
            name,
            instance_type=instance_type,
            instance_count=instance_count,
            variants=rows,
            expires_at=expires_at,
            never_ends=never,
            idle_hours=idle,
            warm_aliases=warm_aliases or None,
            preset=preset,
            image=image,
            role_arn=role,
            options=options,
            store=store,
            owner=owner,
            reason=reason,
        )
        planning.tell(terminal, endpoint)
        if wait:
            said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
            endpoint = _waited(terminal, endpoint, said.format(name=name))
        # Also one that was not asked for: the portal may preset it.
        told = (_ends(endpoint) if endpoint.expires_at else "", planning.idle(endpoint.idle_hours))
        _result(terminal, endpoint, "  ".join(filter(None, told)))


def update(
    name: str,
    *,
    instance_type: str,
    instance_count: int | None,
    variants: list[str],
    image: str,
    role: str,
    store: str,
    options: dict[str, Any],
    owner: str,
    policy: str,
    alarms: list[str],
    reason: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Change a living endpoint; with ``wait``, until it serves so; or show its plan."""
    rows = weighing.variants(variants)
    by_policy = weighing.policy(policy, alarms)
    said = (instance_type, instance_count, rows, image, role, store, options, owner)
    if not any(said):
        raise WrongUse(
            _("Say what to change: --type, --count, --variant, --image, or another option.")
        )
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.endpoints.preview_change(
                name,
                instance_type=instance_type,
                instance_count=instance_count,
                variants=rows,
                image=image,
                role_arn=role,
                store=store,
                options=options,
                owner=owner,
                policy=by_policy,
            )
            planning.show(terminal, planned, is_new=False)
            return
        endpoint = portal.endpoints.update(
            name,
            instance_type=instance_type,
            instance_count=instance_count,
            variants=rows,
            image=image,
            role_arn=role,
            store=store,
            options=options,
            owner=owner,
            policy=by_policy,
            reason=reason,
        )
        _changed(terminal, portal, endpoint, wait=wait)


def rollback(
    name: str,
    revision: int,
    *,
    reason: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Make an endpoint what it was; with ``wait``, until it serves so; or show its plan."""
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planned = portal.endpoints.preview_change(name, back_to=revision)
            planning.show(terminal, planned, is_new=False)
            return
        endpoint = portal.endpoints.rollback(name, revision, reason=reason)
        _changed(terminal, portal, endpoint, wait=wait)


def expire(
    name: str,
    *,
    when: str | None,
    never: bool,
    idle: int | None,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Give an endpoint an end date, another one, or none; and idle hours."""
    if when is None and not never and idle is None:
        raise WrongUse(_("Say when it ends: --at WHEN, --never, or --idle HOURS."))
    if when is not None and never:
        raise WrongUse(_("Give one of --at and --never."))
    expires_at = moment(when) if when is not None else None
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        told = []
        if when is not None or never:
            endpoint = portal.endpoints.expire(name, expires_at)
            told.append(_ends(endpoint))
        if idle is not None:
            endpoint = portal.endpoints.set_idle_hours(name, idle)
            told.append(_ends_idle(endpoint))
        _result(terminal, endpoint, "  ".join(told))


def postpone(name: str, *, idle: bool, json: bool, quiet: bool, timeout: float | None) -> None:
    """Move the end date of an endpoint a day later, or the time at which it ends as idle."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if idle:
            endpoint = portal.endpoints.postpone_idle(name)
            _result(terminal, endpoint, _ends_idle(endpoint))
            return
        endpoint = portal.endpoints.postpone(name)
        _result(terminal, endpoint, _ends(endpoint))


def accept(
    name: str,
    *,
    reason: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Want what somebody changed or deleted outside the portal; with ``wait``, until it is so.

    With ``plan`` only say what that would be.
    """
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planning.show(terminal, portal.endpoints.preview_accept(name), is_new=False)
            return
        endpoint = portal.endpoints.accept(name, reason=reason)
        _decided(terminal, endpoint, wait=wait)


def put_back(
    name: str,
    *,
    reason: str,
    plan: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Make an endpoint again as it is wanted; with ``wait``, until it serves so.

    With ``plan`` only say what that would be.
    """
    planning.check(plan=plan, wait=wait)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            planning.show(terminal, portal.endpoints.preview_put_back(name), is_new=False)
            return
        endpoint = portal.endpoints.put_back(name, reason=reason)
        _decided(terminal, endpoint, wait=wait)


def _decided(terminal: Terminal, endpoint: Endpoint, *, wait: bool) -> None:
    planning.tell(terminal, endpoint)
    if wait:
        said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
        endpoint = _waited(terminal, endpoint, said.format(name=endpoint.name))
    _result(terminal, endpoint)


def _ends(endpoint: Endpoint) -> str:
    if endpoint.expires_at is None:
        return _("no end date")
    return _("ends {at}").format(at=at(endpoint.expires_at))


def _ends_idle(endpoint: Endpoint) -> str:
    if endpoint.idle_hours is None:
        return _("no idle hours")
    told = _("ends {idle}").format(idle=planning.idle(endpoint.idle_hours))
    if endpoint.idle_ends_at is None:
        return told
    return _("{told}, at {at} if nobody calls").format(told=told, at=at(endpoint.idle_ends_at))


def _changed(terminal: Terminal, portal: Portal, endpoint: Endpoint, *, wait: bool) -> None:
    planning.tell(terminal, endpoint)
    if wait:
        said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
        with terminal.goes_on(said.format(name=endpoint.name)), terminal.steps() as step:
            endpoint = portal.endpoints.wait_for_change(
                endpoint, seen=lambda now: step(f"{now.name}: {_word(now)}")
            )
    _result(terminal, endpoint)


def revisions(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """What an endpoint was asked to be, the newest first."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(portal.endpoints.revisions(name))
        headings = (
            *(_("revision"), _("state"), _("instances"), _("differs"), _("created"), _("took")),
            *(_("by"), _("reason")),
        )
        rows = [
            (
                str(one.revision),
                _outcome(one.state),
                _size(one),
                _differs(one),
                at(one.created_at),
                lasted(one.took_s),
                one.created_by or "",
                one.failure or "  ".join(filter(None, (_accepted(one), one.reason))),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[str(one.revision) for one in found])


def _differs(revision: Revision) -> str:
    """What it has other than served before it, in the names of the API."""
    rows = revision.differences or []
    return ", ".join(f"{one.name}: {one.before} → {one.after}" for one in rows)


def _accepted(revision: Revision) -> str:
    return _("accepted from outside") if revision.accepted_outside else ""


def _outcome(state: str) -> str:
    """The state of a revision, in the language of the locale."""
    return {
        "requested": _("requested"),
        "serves": _("serving"),
        "superseded": _("replaced"),
        "withdrawn": _("withdrawn"),
        "refused": _("refused"),
        "rolled_back": _("rolled_back"),
    }.get(state, state)


def teardown(
    names: list[str],
    *,
    keep_config: bool,
    keep_model: bool,
    plan: bool,
    undo: bool,
    yes: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Tear endpoints down, after each name was typed; with ``wait``, until they are gone.

    Or show what that deletes and keeps, or undo it where it has not begun.
    """
    planning.check(plan=plan, wait=wait)
    if undo:
        if plan or wait or keep_config or keep_model:
            raise WrongUse(_("Give --undo alone."))
        _undo_teardown(names, json=json, quiet=quiet, timeout=timeout)
        return
    if not yes and not plan:
        if not sys.stdin.isatty():
            raise WrongUse(_("Standard input is no terminal: confirm the teardown with --yes."))
        for name in names:
            _confirm(name)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if plan:
            preview, kept = portal.endpoints.preview_teardown, (keep_config, keep_model)
            plans = [preview(one, keep_config=kept[0], keep_model=kept[1]) for one in names]
            _show_teardown(terminal, plans)
            return
        if len(names) > 1:
            _all_there(portal, terminal, names)
        asked = each(
            names,
            lambda name: portal.endpoints.teardown(
                name, keep_config=keep_config, keep_model=keep_model
            ),
            lambda done: _torn_down(terminal, done, several=True),
        )
        if wait:
            said = _("The portal goes on with the teardown. See: mme endpoints {name}")
            asked = [_waited(terminal, one, said.format(name=one.name)) for one in asked]
        _torn_down(terminal, asked, several=len(names) > 1)


def _torn_down(terminal: Terminal, asked: list[Endpoint], *, several: bool) -> None:
    _results(terminal, asked, several=several)
    if terminal.json and several:
        return
    for one in asked:
        if one.teardown_at is not None:
            said = _("Until it begins it can be undone: mme teardown {name} --undo")
            terminal.note(said.format(name=one.name))


def _results(terminal: Terminal, found: list[Endpoint], *, several: bool) -> None:
    if terminal.json and several:
        terminal.document({"items": [one.document for one in found], "next": None})
        return
    for one in found:
        _result(terminal, one)


def _undo_teardown(names: list[str], *, json: bool, quiet: bool, timeout: float | None) -> None:
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        undone = each(
            names,
            portal.endpoints.undo_teardown,
            lambda done: _results(terminal, done, several=True),
        )
        _results(terminal, undone, several=len(names) > 1)


def _show_teardown(terminal: Terminal, plans: list[TeardownPlan]) -> None:
    if terminal.json:
        documents = [one.document for one in plans]
        many = {"items": documents, "next": None}
        terminal.document(many if len(documents) > 1 else documents[0])
        return
    for plan in plans:
        if terminal.quiet:
            for one in plan.deletes:
                terminal.line(f"{one.kind} {one.name}")
            continue
        terminal.line(plan.endpoint)
        for one in plan.deletes:
            told = _("is deleted")
            terminal.line(f"  {_kind(one.kind)}  {one.name}  {told}")
        for one in plan.keeps:
            told = _("stays")
            terminal.line(f"  {_kind(one.kind)}  {one.name}  {told}")
        terminal.line(_("The archives in {store} stay.").format(store=plan.store))
        if plan.calls is not None:
            cost = _("It costs now, and then no more: {cost}")
            terminal.line(cost.format(cost=planning.told(plan.cost_before)))
            called = ", ".join(one.action for one in plan.calls)
            terminal.line(_("Calls of AWS: {calls}").format(calls=called))


def _all_there(portal: Portal, terminal: Terminal, names: list[str]) -> None:
    """Let a wrong name end it before anything is asked for."""
    try:
        for name in names:
            portal.endpoints.get(name)
    except ProblemError:
        terminal.note(_("Nothing was changed."))
        raise


def _confirm(name: str) -> None:
    say(_("This deletes the endpoint {name} from SageMaker; archives stay.").format(name=name))
    sys.stderr.write(_("Type its name: "))
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise WrongUse(_("That is not its name. Nothing was changed."))


def _waited(terminal: Terminal, endpoint: Endpoint, goes_on: str) -> Endpoint:
    with terminal.goes_on(goes_on), terminal.steps() as step:
        return endpoint.wait(seen=lambda now: step(f"{now.name}: {_word(now)}{_usual(now)}"))


def _usual(endpoint: Endpoint) -> str:
    """How long what is under way usually takes, in minutes; empty where it is seconds."""
    usual = endpoint.progress
    if usual is None or usual.usually_from_s is None or usual.usually_to_s is None:
        return ""
    low, high = round(usual.usually_from_s / 60), round(usual.usually_to_s / 60)
    if high < 1:
        return ""
    told = str(high) if low == high else f"{low}–{high}"
    return " " + _("(usually takes {minutes} min)").format(minutes=told)


def _word(endpoint: Endpoint) -> str:
    word = _state(endpoint.state)
    if endpoint.wanted == "absent" and endpoint.state not in _GOING:
        word = _("to be torn down")
    if endpoint.sagemaker_status and not endpoint.settled:
        return f"{word} ({endpoint.sagemaker_status})"
    return word


def _state(state: str) -> str:
    """A state of an endpoint or resource, in the language of the locale."""
    return {
        "requested": _("requested"),
        "waiting": _("waiting"),
        "created": _("created"),
        "creating": _("creating"),
        "in_service": _("in_service"),
        "updating": _("updating"),
        "system_updating": _("system_updating"),
        "rolling_back": _("rolling_back"),
        "update_rollback_failed": _("update_rollback_failed"),
        "out_of_service": _("out_of_service"),
        "deleting": _("deleting"),
        "failed": _("failed"),
        "deleted_outside": _("deleted_outside"),
        "paused": _("paused"),
        "gone": _("gone"),
        "kept": _("kept"),
    }.get(state, state)


def _result(terminal: Terminal, endpoint: Endpoint, more: str = "") -> None:
    if terminal.json:
        terminal.document(endpoint.document)
    elif terminal.quiet:
        terminal.line(endpoint.name)
    else:
        terminal.line("  ".join(filter(None, (endpoint.name, _word(endpoint), more))))


def endpoints(
    name: str,
    *,
    gone: bool,
    others: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """The endpoints, or one of them with its resources; with ``wait``, once it is settled.

    ``others``: those in the account that are not the portal's.
    """
    if others and (name or gone):
        raise WrongUse(_("Give --others alone: it lists what the portal does not own."))
    if wait and not name:
        raise WrongUse(_("Say which endpoint to wait for."))
    if others:
        orphaned.endpoints(json=json, quiet=quiet, timeout=timeout)
        return
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if name:
            one = portal.endpoints.get(name)
            if wait:
                said = _("The portal goes on with the endpoint. See: mme endpoints {name}")
                one = _waited(terminal, one, said.format(name=name))
            if json:
                terminal.document(one.document)
            elif quiet:
                terminal.line(one.state)
            else:
                _show(terminal, one)
            return
        whole = portal.endpoints.whole(gone=gone)
        if json:
            terminal.document(whole.document)
            return
        found = whole.items
        headings = (
            *(_("endpoint"), _("state"), _("instances"), _("cost a month"), _("so far")),
            *(_("calls today"), _("last call"), _("owner"), _("ends"), _("created")),
        )
        rows = [
            (
                one.name,
                _word(one),
                _instances(one),
                f"{one.cost.per_month} {one.cost.currency}" if one.cost else "",
                _so_far(one),
                _calls(one),
                _last_call(one),
                one.owner or "",
                at(one.expires_at),
                at(one.created_at),
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.name for one in found])
        if not gone:
            _total(terminal, found)
            orphaned.note_others(terminal, whole.others)


def _total(terminal: Terminal, found: Sequence[Endpoint]) -> None:
    """Below the table: what all that run cost together, as the foot of the page says."""
    costs = [one.cost for one in found if one.cost is not None]
    unpriced = sum(one.cost is None and one.serving for one in found)
    if terminal.quiet or not (costs or unpriced):
        return
    parts = []
    if costs:
        hour = sum((Decimal(one.per_hour) for one in costs), Decimal(0))
        month = sum((Decimal(one.per_month) for one in costs), Decimal(0))
        whole = Cost(
            per_hour=f"{hour.normalize():f}", per_month=str(month), currency=costs[0].currency
        )
        parts.append(_("Together: {cost}").format(cost=planning.told(whole)))
    if unpriced:
        said = _("Not counted, as no price is known: {count}")
        parts.append(said.format(count=unpriced))
    terminal.line("; ".join(parts))


def _so_far(endpoint: Endpoint) -> str:
    """What it cost since it was created."""
    spent = endpoint.spent
    if spent is None or (not float(spent.instance_hours) and not float(spent.cost)):
        return ""
    told = f"{spent.cost} {spent.currency}"
    if not spent.unpriced_types:
        return told
    return _("{cost} without {types}").format(cost=told, types=", ".join(spent.unpriced_types))


def _last_call(endpoint: Endpoint) -> str:
    said = at(endpoint.last_call_at)
    return _("{at}, not by the portal").format(at=said) if endpoint.last_call_by_others else said


def _calls(endpoint: Endpoint) -> str:
    """The portal's calls since midnight, and the share of those that waited for their model."""
    calls = endpoint.calls_today
    if calls is None or not calls.all:
        return ""
    return _("{calls}, {share} % cold").format(
        calls=calls.all, share=round(100 * calls.cold / calls.all)
    )


def _size(revision: Revision) -> str:
    if len(revision.variants) > 1:
        return weighing.told(revision.variants)
    return f"{revision.instance_count} × {revision.instance_type}"


def _instances(endpoint: Endpoint) -> str:
    if len(endpoint.variants) > 1:
        return weighing.told(endpoint.variants)
    count = endpoint.instance_count
    if endpoint.scaling is not None and endpoint.running is not None:
        count = endpoint.running.instance_count
    return f"{count} × {endpoint.instance_type}"


def _show(terminal: Terminal, endpoint: Endpoint) -> None:
    terminal.fields(
        [
            (_("endpoint"), endpoint.name),
            (_("state"), _word(endpoint)),
            (_("failure"), endpoint.failure or ""),
            (_("hint"), endpoint.hint or ""),
            (_("under way"), endpoint.progress.said if endpoint.progress else ""),
            (_("instances"), _instances(endpoint)),
            (_("costs"), planning.told(endpoint.cost) if endpoint.cost else ""),
            (_("cost so far"), _so_far(endpoint)),
            (_("autoscaling"), scaling.told(endpoint.scaling) if endpoint.scaling else ""),
            (_("calls today"), _calls(endpoint)),
            (_("last call"), _last_call(endpoint)),
            (_("working hours"), f"{endpoint.hours} {endpoint.hours_zone}".strip()),
            (_("pauses"), at(endpoint.pauses_at)),
            (_("resumes"), at(endpoint.resumes_at)),
            (_("ends"), at(endpoint.expires_at)),
            (_("ends idle"), planning.idle(endpoint.idle_hours)),
            (_("idle until"), at(endpoint.idle_ends_at)),
            (_("not known"), endpoint.idle_problem or ""),
            (_("store"), endpoint.store),
            (_("image"), endpoint.image),
            *(choosing.told(endpoint.options) if endpoint.options else []),
            (_("owner"), endpoint.owner or ""),
            (_("created"), " ".join(filter(None, (at(endpoint.created_at), endpoint.created_by)))),
            (_("checked"), at(endpoint.checked_at)),
            (_("gone"), at(endpoint.gone_at)),
        ]
    )
    for one in endpoint.resources:
        terminal.line(f"  {_kind(one.kind)}  {one.name}  {_state(one.state)}")


def _kind(kind: str) -> str:
    """A kind of resources, in the language of the locale."""
    known = {"model": _("model"), "config": _("config"), "endpoint": _("endpoint")}
    return known.get(kind, kind)


def events(
    *,
    follow: bool,
    count: int,
    person: str,
    kind: str,
    subject: str,
    level: str,
    channel: str,
    since: str,
    until: str,
    request: str,
    csv: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """The activity log, the oldest first; with ``follow``, what happens from then on, too.

    Raises WrongUse.
    """
    if follow and (csv or until or request):
        raise WrongUse(_("--follow does not go with --csv, --until or --request."))
    which = {"person": person, "kind": kind, "subject": subject, "level": level, "channel": channel}
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found: list[Event] = []
        span = {"since": since, "until": until, "request": request}
        for one in portal.events.list(**which, **span, limit=min(count, 200)):
            found.append(one)
            if len(found) == count:
                break
        found.reverse()
        if csv:
            terminal.line(csv_line(_EVENT_COLUMNS))
            for one in found:
                terminal.line(csv_line(_cells(one)))
            return
        if json and not follow:
            terminal.document({"items": [one.document for one in found], "next": None})
            return
        for one in found:
            _line(terminal, one)
        if follow:
            after = found[-1].id if found else ""
            for one in portal.events.follow(after=after, **which):
                _line(terminal, one)


_EVENT_COLUMNS = (
    *("at", "person", "kind", "subject", "action", "level", "sentence", "request_id"),
    *("channel", "address"),
)


def _cells(event: Event) -> tuple[object, ...]:
    subject = event.subject
    about = (subject.kind, subject.name) if subject is not None else ("", "")
    return (
        *(event.at.isoformat(), event.actor, *about, event.action, event.level, event.sentence),
        *(event.request_id, event.channel, event.address),
    )


def _line(terminal: Terminal, event: Event) -> None:
    if terminal.json:
        terminal.document_line(event.document)
    elif terminal.quiet:
        terminal.line(event.sentence)
    else:
        when = event.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        channel = " ".join(filter(None, (event.channel, event.address)))
        who = f"{event.actor or '-'}" + (f" ({channel})" if channel else "")
        terminal.line(f"{when}  {who}  {event.sentence}")
