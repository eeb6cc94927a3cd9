"""What a new endpoint, or a change of one, would call in AWS and cost, before anything is made."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from endpoints import options, prices, quotas, scaling, services
from endpoints.limits import Limits
from endpoints.models import Endpoint, Revision, Running
from endpoints.options import PRESET, DeploymentOptions
from endpoints.prices import Cost, PriceList
from endpoints.reconciler import change_calls, creation_calls, scaling_calls
from endpoints.sagemaker import Call
from endpoints.variants import Variants
from models_catalog.models import Version

#: The facts that a plan compares, as the API names them, in the order of the page.
_FACTS = {
    "instance_type": gettext_lazy("Instance type"),
    "instance_count": gettext_lazy("Number of instances"),
    "variants": gettext_lazy("Variants"),
    "image": gettext_lazy("Container image"),
    "role_arn": gettext_lazy("Execution role"),
    "store": gettext_lazy("Store"),
    "scaling": gettext_lazy("Autoscaling"),
    "state": gettext_lazy("State"),
    "hours": gettext_lazy("Working hours"),
    "alarm": gettext_lazy("Alarm"),
    "owner": gettext_lazy("Owner"),
    **options.LABELS,
}
#: Boto3's waiters.
IN_SERVICE, DELETED = "endpoint_in_service", "endpoint_deleted"
_OF_ROW = ("instance_type", "instance_count", "image", "role_arn")


@dataclass(frozen=True)
class Difference:
    """What one fact is now and would be; ``name`` is the API's."""

    name: str
    before: str
    after: str

    @property
    def label(self) -> str:
        """Its name in the reader's language."""
        return str(_FACTS[self.name])

    @property
    def is_option(self) -> bool:
        """Whether it needs its name beside it to be understood."""
        return self.name == "store" or self.name in options.LABELS


@dataclass(frozen=True)
class EndpointPlan:
    """The calls of a creation or a change, what would be other, and what it would cost.

    ``calls`` are made one after the other; ``afterwards`` when the endpoint serves as it was asked
    for. ``stays`` are the facts of `Difference` that are not other. ``before``: what runs now
    costs; None for a new endpoint. A cost is None where its price is not known. ``expires_at`` is
    its end date; ``withdraws`` the number of the revision that was waiting.
    """

    name: str
    expires_at: datetime | None
    is_new: bool
    withdraws: int | None
    calls: list[Call]
    afterwards: list[Call]
    differs: list[Difference]
    stays: list[Difference]
    prices: PriceList
    before: Cost | None
    after: Cost | None
    #: What was chosen of a new endpoint that could be left out; ``before`` is empty.
    chosen: list[Difference] = field(default_factory=list)
    #: What else to know before it is made, each as a sentence.
    notes: list[str] = field(default_factory=list)
    #: What it costs with as many instances as autoscaling may give it.
    up_to: Cost | None = None
    #: It is torn down after so many hours without a call; None: it is not.
    idle_hours: int | None = None
    #: Boto3's waiter for what ``calls`` begin, before ``afterwards``; empty: there is nothing.
    waits: str = IN_SERVICE
    #: What else than of a change is so meanwhile, and where its costs come from.
    said: str = ""
    of_costs: str = ""

    @property
    def code(self) -> str:
        """Its calls as a Python script that does with boto3 what the portal would do."""
        if not self.calls and not self.afterwards:
            return ""
        waits = bool(self.calls and self.waits)
        used = {"sagemaker": "sagemaker"} if waits else {}
        used |= {call.client: call.service for call in [*self.calls, *self.afterwards]}
        clients = [
            f'{name} = boto3.client("{service}", region_name="{settings.AWS_REGION}")'
            for name, service in used.items()
        ]
        calls = [call.code for call in self.calls]
        if waits:
            calls.append(f'sagemaker.get_waiter("{self.waits}").wait(EndpointName="{self.name}")')
        calls += [call.code for call in self.afterwards]
        return "\n".join(["import boto3", "", *clients, *calls, ""])

    @property
    def meanwhile(self) -> str:
        """What serves while it is being made, and what happens where SageMaker refuses it."""
        if self.said:
            return self.said
        if self.is_new:
            return _(
                "No other endpoint is touched. It can be called when SageMaker has started it."
            )
        if self.withdraws is not None:
            said = _("Revision %(number)s, which SageMaker was not asked for yet, is withdrawn.")
            return f"{said % {'number': self.withdraws}} {self._what_serves}"
        return self._what_serves

    @property
    def _what_serves(self) -> str:
        if not self.calls and not self.afterwards:
            return _("It is so already: nothing would be called.")
        if not self.calls:
            return _("It is so already. What it used before is deleted.")
        if all(call.client == "autoscaling" for call in self.calls):
            return _("It serves as it is, and calls go on.")
        return _(
            "It serves as it is until SageMaker has made the change, and calls go on. Where "
            "SageMaker refuses the change or rolls it back, it goes on as before."
        )

    @property
    def then(self) -> str:
        """When ``afterwards`` are called."""
        return _("when it is gone") if self.waits == DELETED else _("when the change is made")

    @property
    def estimate(self) -> str:
        """Where the prices come from, and what the cost leaves out."""
        return self.of_costs or self.prices.estimate


def plan_creation(
    *,
    name: str,
    instance_type: str = "",
    instance_count: int = 1,
    variants: Variants = (),
    expires_at: datetime | None = None,
    never_ends: bool = False,
    idle_hours: int | None = None,
    warm_aliases: bool = False,
    image: str = "",
    role_arn: str = "",
    options: DeploymentOptions = PRESET,
    store: str = "",
    owner: str = "",
    reason: str = "",
    actor: User | None,
) -> EndpointPlan:
    """What `services.create_endpoint` would do. Raises what that raises; makes nothing.

    The ``reason`` is not read: it is here since the forms of both have it.
    """
    wanted = services.new_endpoint(
        name=name,
        instance_type=instance_type,
        instance_count=instance_count,
        variants=variants,
        expires_at=expires_at,
        never_ends=never_ends,
        idle_hours=idle_hours,
        image=image,
        role_arn=role_arn,
        options=options,
        store=store,
        owner=owner,
        actor=actor,
    )
    known = prices.known()
    chosen = wanted.chosen.said()
    return EndpointPlan(
        name=name,
        expires_at=wanted.expires_at,
        idle_hours=wanted.idle_hours,
        is_new=True,
        withdraws=None,
        calls=creation_calls(wanted),
        afterwards=[],
        differs=[],
        stays=[],
        notes=[
            *filter(None, [wanted.image_note, _of_warming(warm_aliases)]),
            *quotas.notes(wanted.requested.parts),
        ],
        chosen=[Difference(one, "", chosen[one]) for one in wanted.options or {}],
        prices=known,
        before=None,
        after=known.cost_of(wanted.requested),
    )


def _of_warming(warm_aliases: bool) -> str:
    if not warm_aliases:
        return ""
    return _(
        "Once it serves, the portal loads the models that aliases point at; so it does after each "
        "change."
    )


def plan_change(
    *, endpoint: Endpoint, change: services.SettingsChange, actor: User | None
) -> EndpointPlan:
    """What `services.request_change` would do. Raises what that raises; changes nothing.

    The change is requested in a transaction that is rolled back, so that the plan cannot differ
    from what is done.
    """
    asked, note = services.asked_before(endpoint=endpoint, change=change, actor=actor)
    found = of_change(
        endpoint,
        lambda: services.write_change(endpoint=endpoint, change=asked, actor=actor),
        facts_now(endpoint),
    )
    return replace(found, notes=[*filter(None, [note]), *found.notes])


def facts_now(endpoint: Endpoint) -> dict[str, str]:
    """What serves now, as last seen."""
    running = endpoint.running
    # A change that waits is withdrawn by the next one.
    serving = endpoint.revisions.filter(state=Revision.State.SERVING).first()
    return _facts(endpoint) | {
        "image": serving.image if serving is not None else endpoint.image,
        "role_arn": serving.role_arn if serving is not None else endpoint.role_arn,
        "store": endpoint.store_url,
        "instance_type": running.instance_type or endpoint.instance_type,
        "instance_count": str(running.instance_count),
        "variants": str(running),
        **_options(endpoint if serving is None else serving),
    }


def of_change(
    endpoint: Endpoint, ask: Callable[[], Endpoint], now: Mapping[str, str]
) -> EndpointPlan:
    """What follows where ``ask`` asks for a change, which is rolled back. ``now``: what serves."""
    running = endpoint.running
    with rolled_back():
        row = ask()
        calls, afterwards = change_calls(row)
    compared = compared_with(now, row, named=bool(running.variants))
    known, hours = prices.known(), endpoint.working_hours
    after = (
        known.cost_of(row.requested)
        if row.limits is None
        else known.cost(row.instance_type, running.instance_count)
    )
    return plan_of(
        row,
        withdraws=endpoint.revision if endpoint.updating else None,
        notes=[*_of_stores(endpoint, row), *_of_quotas(calls, running, row)],
        calls=calls,
        afterwards=afterwards,
        compared=compared,
        costs=(
            prices.in_hours(known.cost_of(running), hours),
            prices.in_hours(after, hours),
        ),
        up_to=None if row.limits is None else known.cost(row.instance_type, row.limits.highest),
    )


@contextmanager
def rolled_back() -> Iterator[None]:
    """Ask a service for something, and take it back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def plan_of(
    endpoint: Endpoint,
    *,
    calls: list[Call],
    compared: Sequence[Difference],
    costs: tuple[Cost | None, Cost | None],
    afterwards: Sequence[Call] = (),
    withdraws: int | None = None,
    **more: Any,
) -> EndpointPlan:
    """The plan of what is done with a living endpoint. ``costs``: before and after, an hour."""
    return EndpointPlan(
        name=endpoint.name,
        expires_at=endpoint.expires_at,
        idle_hours=endpoint.idle_hours,
        is_new=False,
        withdraws=withdraws,
        calls=calls,
        afterwards=list(afterwards),
        differs=[one for one in compared if one.before != one.after],
        stays=[one for one in compared if one.before == one.after],
        prices=prices.known(),
        before=costs[0],
        after=costs[1],
        **more,
    )


def compared_with(now: Mapping[str, str], row: Endpoint, *, named: bool) -> list[Difference]:
    """What a row wants beside what serves now. ``named``: somebody gave its variants names."""
    then = _facts(row) | _options(row)
    if not (named or row.requested.variants):
        del then["variants"]
    preset = PRESET.said() | {name: then[name] for name in ("role_arn", "store")}
    # What was never chosen, and is not now, is not worth a line; nor is a role or store that stays.
    return [
        Difference(name, now[name], value)
        for name, value in then.items()
        if name not in preset or (now[name], value) != (preset[name], preset[name])
    ]


def _of_stores(endpoint: Endpoint, row: Endpoint) -> list[str]:
    """Which versions can be called no more, and which can, where the store is another one."""
    if endpoint.serves_from == row.place:
        return []
    before, after = (
        Version.objects.ready().filter(bucket=bucket, prefix=prefix).count()
        for bucket, prefix in (endpoint.serves_from, row.place)
    )
    no_more = ngettext(
        "%(number)s version of %(url)s is no longer served; callers of its target model get an "
        "error.",
        "%(number)s versions of %(url)s are no longer served; callers of their target models get "
        "an error.",
        before,
    )
    then = ngettext(
        "It serves %(number)s version of %(url)s then.",
        "It serves %(number)s versions of %(url)s then.",
        after,
    )
    return [
        no_more % {"number": before, "url": endpoint.store_url},
        then % {"number": after, "url": row.model_data_url},
    ]


def _of_quotas(calls: list[Call], running: Running, row: Endpoint) -> list[str]:
    """What to know of the quotas, where the change starts instances."""
    if not calls:
        return []
    anew = any(call.action == "UpdateEndpoint" for call in calls)
    return quotas.notes(quotas.started(running.parts, row.requested.parts, anew=anew))


def plan_scaling(*, endpoint: Endpoint, limits: Limits | None, actor: User | None) -> EndpointPlan:
    """What `scaling.set_scaling` would do. Raises what that raises; changes nothing."""
    running, earlier = endpoint.running, endpoint.limits
    with rolled_back():
        row = scaling.write_scaling(endpoint=endpoint, limits=limits, actor=actor)
        settled = row.scaling in (Endpoint.Scaling.ON, Endpoint.Scaling.OFF)
        calls = [] if settled else scaling_calls(row)
    known, kind, count = prices.known(), running.instance_type, running.instance_count
    then = count if limits is None else min(max(count, limits.least), limits.most)
    return plan_of(
        row,
        calls=calls,
        compared=[Difference("scaling", _said(earlier), _said(limits))],
        notes=quotas.notes(scaling.at_most(running, limits)) if calls else [],
        costs=(known.cost(kind, count), known.cost(kind, then)),
        up_to=None if limits is None else known.cost(kind, limits.highest),
    )


def _said(limits: Limits | None) -> str:
    if limits is None:
        return _("off")
    told = {"least": limits.least, "most": limits.most, "target": limits.target}
    said = _("%(least)s to %(most)s instances, for %(target)s calls a minute each") % told
    return f"{said}; {limits.scheduled}" if limits.schedule else said


def _facts(row: Endpoint) -> dict[str, str]:
    owner = row.owned_by
    facts = {name: str(getattr(row, name)) for name in _OF_ROW}
    facts |= {"owner": owner.get_username() if owner else "–"}
    return facts | {"store": row.model_data_url, "variants": str(row.requested)}


def _options(row: Endpoint | Revision) -> dict[str, str]:
    return row.chosen.said()
