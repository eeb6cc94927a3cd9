"""Endpoints: created, waited for, torn down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mme_client import errors
from mme_client.noun import Noun, part
from mme_client.records import (
    Capacity,
    ContainerImages,
    Endpoint,
    EndpointList,
    EndpointPlan,
    LogLine,
    Metrics,
    Revision,
    TeardownPlan,
    Thrash,
    Warming,
    Warmth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Seconds that one request waits for a change; the portal's own most.
WAIT_S = 30
#: Seconds that one request waits for the end of a warming.
WARMING_WAIT_S = 2
#: Seconds between two looks at a log that is followed.
FOLLOW_EVERY_S = 2.0
_LATE = timedelta(seconds=15)


class Endpoints(Noun):
    """The endpoints of the portal."""

    def list(self, *, gone: bool = False, state: str = "") -> Iterator[Endpoint]:
        """Endpoints; ``gone``: those that were torn down, in place of the others.

        >>> "demo" in [endpoint.name for endpoint in portal.endpoints.list()]
        True
        """
        return self._portal.pages(Endpoint, "/endpoints", {"gone": gone, "state": state})

    def whole(self, *, gone: bool = False) -> EndpointList:
        """The same at once, with how many endpoints others made in the AWS account.

        ``portal.orphans.look(others=True, kind="endpoint")`` has these.

        >>> portal.endpoints.whole().others.endpoint_count
        0
        """
        query = {"gone": gone, "limit": 200}
        first = document = self._transport.call("GET", "/endpoints", query=query).document()
        items = [*first["items"]]
        while document["next"] is not None:
            more = {**query, "cursor": document["next"]}
            document = self._transport.call("GET", "/endpoints", query=more).document()
            items += document["items"]
        return EndpointList.of({**first, "items": items, "next": None}, self._portal)

    def get(self, name: str, *, wait: int = 0) -> Endpoint:
        """One endpoint; ``wait``: seconds to wait for a change where it is not settled.

        >>> portal.endpoints.get("demo").serving
        True
        """
        answer = self._transport.call("GET", f"/endpoints/{part(name)}", query=_waiting(wait))
        return Endpoint.of(answer.document(), self._portal)

    def images(self) -> ContainerImages:
        """The container images in ECR that an endpoint can be given; for admins."""
        answer = self._transport.call("GET", "/images")
        return ContainerImages.of(answer.document(), self._portal)

    def create(
        self,
        name: str,
        *,
        instance_type: str = "",
        instance_count: int | None = None,
        variants: Sequence[Mapping[str, Any]] | None = None,
        expires_at: datetime | None = None,
        never_ends: bool = False,
        idle_hours: int | None = None,
        warm_aliases: bool | None = None,
        preset: str = "",
        image: str = "",
        role_arn: str = "",
        options: Mapping[str, Any] | None = None,
        store: str = "",
        owner: str = "",
        reason: str = "",
    ) -> Endpoint:
        """Ask for an endpoint; ``.wait()`` of what this gives waits until it serves.

        ``variants``: two at most, each with ``name``, ``instance_type``, ``instance_count`` and
        ``weight``; in place of a type and a number of instances.
        ``expires_at``: when the portal requests its teardown; without a zone it is local time.
        None: what the portal presets; ``never_ends``: it has no end date all the same.
        ``idle_hours``: it ends after so many hours without a call; 0: never, None: what the portal
        presets. ``warm_aliases``: once it serves, and after each change, the models that aliases
        point at are loaded. ``preset``: ``try`` or ``production`` fills what is left out.
        ``options``: what else to set, by the names of ``Options``. ``store``: which it serves;
        empty: the default one.
        """
        given = _given(
            instance_type=instance_type,
            instance_count=instance_count,
            variants=variants,
            expires_at=_moment(expires_at),
            idle_hours=idle_hours,
            warm_aliases=warm_aliases,
            preset=preset,
            image=image,
            role_arn=role_arn,
            options=dict(options or {}),
            store=store,
            owner=owner,
            reason=reason,
        )
        document = {"name": name, **given, **({"expires_at": None} if never_ends else {})}
        answer = self._transport.call("POST", "/endpoints", document=document)
        return Endpoint.of(answer.document(), self._portal)

    def preview(
        self,
        name: str,
        *,
        instance_type: str = "",
        instance_count: int | None = None,
        variants: Sequence[Mapping[str, Any]] | None = None,
        expires_at: datetime | None = None,
        never_ends: bool = False,
        idle_hours: int | None = None,
        warm_aliases: bool | None = None,
        preset: str = "",
        image: str = "",
        role_arn: str = "",
        options: Mapping[str, Any] | None = None,
        store: str = "",
        owner: str = "",
    ) -> EndpointPlan:
        """What ``create`` would call in AWS, and what it would cost; makes nothing.

        What ``create`` would refuse is refused.

        >>> [call.action for call in portal.endpoints.preview("another").calls]
        ['CreateModel', 'CreateEndpointConfig', 'CreateEndpoint']
        """
        given = _given(
            instance_type=instance_type,
            instance_count=instance_count,
            variants=variants,
            expires_at=_moment(expires_at),
            idle_hours=idle_hours,
            warm_aliases=warm_aliases,
            preset=preset,
            image=image,
            role_arn=role_arn,
            options=dict(options or {}),
            store=store,
            owner=owner,
        )
        document = {"name": name, **given, **({"expires_at": None} if never_ends else {})}
        answer = self._transport.call("POST", "/endpoints/plan", document=document)
        return EndpointPlan.of(answer.document(), self._portal)

    def update(
        self,
        name: str,
        *,
        instance_type: str = "",
        instance_count: int | None = None,
        variants: Sequence[Mapping[str, Any]] | None = None,
        image: str = "",
        role_arn: str = "",
        store: str = "",
        options: Mapping[str, Any] | None = None,
        owner: str = "",
        policy: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> Endpoint:
        """Change a living endpoint; what is not named stays. It serves meanwhile.

        ``variants``: all that it is to have, as ``create`` takes them. ``store``: the name of the
        one that it is to serve in place of that before. ``policy``: how SageMaker is to make it,
        ``{"kind": "canary", "percent": 10, "wait_s": 300, "alarms": ["errors"]}``. Of ``options``,
        None is AWS's preset; in ``environment`` and ``tags`` it takes a name out.
        ``wait_for_change`` waits for what this gives.
        """
        document = _given(
            instance_type=instance_type,
            instance_count=instance_count,
            variants=variants,
            image=image,
            role_arn=role_arn,
            store=store,
            options=dict(options or {}),
            owner=owner,
            policy=policy,
            reason=reason,
        )
        answer = self._transport.call("PATCH", f"/endpoints/{part(name)}", document=document)
        return Endpoint.of(answer.document(), self._portal)

    def preview_change(
        self,
        name: str,
        *,
        instance_type: str = "",
        instance_count: int | None = None,
        variants: Sequence[Mapping[str, Any]] | None = None,
        weights: Mapping[str, float] | None = None,
        image: str = "",
        role_arn: str = "",
        store: str = "",
        options: Mapping[str, Any] | None = None,
        owner: str = "",
        policy: Mapping[str, Any] | None = None,
        back_to: int | None = None,
    ) -> EndpointPlan:
        """What ``update`` would call in AWS, what would differ and cost; changes nothing.

        ``weights``: what ``weigh`` would do. ``back_to``: what ``rollback`` to this revision would
        do; the rest is then not read. What they would refuse is refused.
        """
        document = _given(
            instance_type=instance_type,
            instance_count=instance_count,
            variants=variants,
            weights=weights,
            image=image,
            role_arn=role_arn,
            store=store,
            options=dict(options or {}),
            owner=owner,
            policy=policy,
            back_to=back_to,
        )
        path = f"/endpoints/{part(name)}/plan"
        answer = self._transport.call("POST", path, document=document)
        return EndpointPlan.of(answer.document(), self._portal)

    def rollback(self, name: str, revision: int, *, reason: str = "") -> Endpoint:
        """Make it again what it was in an earlier revision: one more change."""
        document = {"revision": revision, "reason": reason}
        path = f"/endpoints/{part(name)}/rollback"
        answer = self._transport.call("POST", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def weigh(self, name: str, weights: Mapping[str, float], *, reason: str = "") -> Endpoint:
        """Share the calls among its variants in another way; who is not named keeps its weight.

        That is one more change. No instance is started or stopped.
        """
        document = {"weights": dict(weights), "reason": reason}
        path = f"/endpoints/{part(name)}/weights"
        answer = self._transport.call("PUT", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def expire(self, name: str, expires_at: datetime | None) -> Endpoint:
        """Give it an end date, another one, or with None no more.

        At the end date the portal requests the teardown. It tells of it a day and an hour before.
        Without a zone ``expires_at`` is local time.
        """
        path = f"/endpoints/{part(name)}/expiry"
        document = {"expires_at": _moment(expires_at)}
        answer = self._transport.call("PUT", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def set_idle_hours(self, name: str, idle_hours: int | None) -> Endpoint:
        """Have it torn down after so many hours without a call, or with None no more.

        The portal tells of it before. Calls are those of anybody, by SageMaker's metrics too.
        """
        path, document = f"/endpoints/{part(name)}/idle", {"idle_hours": idle_hours}
        answer = self._transport.call("PUT", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def postpone_idle(self, name: str) -> Endpoint:
        """Let it be idle a day longer; a ``conflict`` where it has no such time."""
        answer = self._transport.call("POST", f"/endpoints/{part(name)}/idle/postpone")
        return Endpoint.of(answer.document(), self._portal)

    def scale(
        self,
        name: str,
        *,
        min_instances: int,
        max_instances: int,
        calls_per_minute: int,
        in_cooldown_s: int | None = None,
        out_cooldown_s: int | None = None,
        schedule: Sequence[Mapping[str, Any]] = (),
        zone: str = "",
    ) -> Endpoint:
        """Have AWS change its number of instances with the calls, or set other limits.

        Each instance is to have ``calls_per_minute``: with more there will be more instances, with
        less there will be fewer. ``wait`` of what this gives waits until AWS scales it. While it
        does, ``update`` refuses another ``instance_count``. ``schedule``: other limits at times of
        the week, on the clock of ``zone``, each with ``when`` (``mon-fri 08:00``),
        ``min_instances`` and ``max_instances``; each holds until the next one.
        """
        document = _limits(
            min_instances, max_instances, calls_per_minute, in_cooldown_s, out_cooldown_s,
            schedule, zone,
        )  # fmt: skip
        path = f"/endpoints/{part(name)}/scaling"
        answer = self._transport.call("PUT", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def scale_off(self, name: str) -> Endpoint:
        """Switch its autoscaling off; it keeps the number of instances that it has."""
        answer = self._transport.call("DELETE", f"/endpoints/{part(name)}/scaling")
        return Endpoint.of(answer.document(), self._portal)

    def preview_scaling(
        self,
        name: str,
        *,
        min_instances: int,
        max_instances: int,
        calls_per_minute: int,
        in_cooldown_s: int | None = None,
        out_cooldown_s: int | None = None,
        schedule: Sequence[Mapping[str, Any]] = (),
        zone: str = "",
    ) -> EndpointPlan:
        """What ``scale`` would call in AWS, and what it may cost; changes nothing."""
        document = _limits(
            min_instances, max_instances, calls_per_minute, in_cooldown_s, out_cooldown_s,
            schedule, zone,
        )  # fmt: skip
        path = f"/endpoints/{part(name)}/scaling/plan"
        answer = self._transport.call("POST", path, document=document)
        return EndpointPlan.of(answer.document(), self._portal)

    def preview_scale_off(self, name: str) -> EndpointPlan:
        """What ``scale_off`` would call in AWS; changes nothing."""
        return self._planned(name, "scaling/off")

    def postpone(self, name: str) -> Endpoint:
        """Move its end date a day later. One without an end date is refused: ``conflict``."""
        answer = self._transport.call("POST", f"/endpoints/{part(name)}/postpone")
        return Endpoint.of(answer.document(), self._portal)

    def set_hours(self, name: str, hours: str, *, zone: str = "") -> Endpoint:
        """Give it working hours, as ``mon-fri 08:00-19:00`` in ``Asia/Seoul``, or with "" none.

        Outside of them it is paused; the portal tells of it an hour before, and of the first pause
        by other hours a day before.
        """
        path, document = f"/endpoints/{part(name)}/hours", {"hours": hours, "zone": zone}
        answer = self._transport.call("PUT", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def preview_hours(self, name: str, hours: str, *, zone: str = "") -> EndpointPlan:
        """When ``set_hours`` would have it paused, and what a month would cost; changes nothing."""
        return self._planned(name, "hours", {"hours": hours, "zone": zone})

    def pause(self, name: str) -> Endpoint:
        """Pause it now; ``wait_paused`` of what this gives waits until it is."""
        answer = self._transport.call("POST", f"/endpoints/{part(name)}/pause")
        return Endpoint.of(answer.document(), self._portal)

    def preview_pause(self, name: str) -> EndpointPlan:
        """What ``pause`` would call in AWS, and what is saved; changes nothing."""
        return self._planned(name, "pause")

    def resume(self, name: str) -> Endpoint:
        """Resume it now; ``.wait()`` of what this gives waits until it serves."""
        answer = self._transport.call("POST", f"/endpoints/{part(name)}/resume")
        return Endpoint.of(answer.document(), self._portal)

    def preview_resume(self, name: str) -> EndpointPlan:
        """What ``resume`` would call in AWS, and what it costs; changes nothing."""
        return self._planned(name, "resume")

    def extend(self, name: str, *, day: bool = False) -> Endpoint:
        """Keep it running two hours longer this once, or a ``day``.

        Without working hours it is a ``conflict``.
        """
        path, query = f"/endpoints/{part(name)}/extend", {"day": "true"} if day else {}
        answer = self._transport.call("POST", path, query=query)
        return Endpoint.of(answer.document(), self._portal)

    def wait_paused(self, endpoint: Endpoint, *, timeout: float | None = None) -> Endpoint:
        """Wait until it is paused. Raises EndpointFailed where something else came of it."""
        now = endpoint
        with self._transport.within(timeout):
            while not now.settled:
                now = self.get(endpoint.name, wait=WAIT_S)
        if now.state != "paused" or now.failure:
            raise errors.EndpointFailed(now)
        return now

    def accept(self, name: str, *, reason: str = "") -> Endpoint:
        """Want what somebody changed outside the portal; of one that was deleted, its end.

        ``wait`` of what this gives waits until what it used before is deleted. Where nothing
        differs it is refused: ``conflict``.
        """
        path = f"/endpoints/{part(name)}/accept"
        answer = self._transport.call("POST", path, document={"reason": reason})
        return Endpoint.of(answer.document(), self._portal)

    def preview_accept(self, name: str) -> EndpointPlan:
        """What ``accept`` would delete in AWS, and what is wanted then; changes nothing."""
        return self._planned(name, "accept")

    def put_back(self, name: str, *, reason: str = "") -> Endpoint:
        """Make it again as it is wanted here, after somebody changed or deleted it outside."""
        path = f"/endpoints/{part(name)}/restore"
        answer = self._transport.call("POST", path, document={"reason": reason})
        return Endpoint.of(answer.document(), self._portal)

    def preview_put_back(self, name: str) -> EndpointPlan:
        """What ``put_back`` would call in AWS, and what it costs; changes nothing."""
        return self._planned(name, "restore")

    def _planned(
        self, name: str, what: str, document: Mapping[str, Any] | None = None
    ) -> EndpointPlan:
        path = f"/endpoints/{part(name)}/{what}/plan"
        answer = self._transport.call("POST", path, document=document)
        return EndpointPlan.of(answer.document(), self._portal)

    def revisions(self, name: str) -> Iterator[Revision]:
        """What it was asked to be, the newest first."""
        return self._portal.pages(Revision, f"/endpoints/{part(name)}/revisions", {})

    def metrics(self, name: str, *, range: str = "24h", variant: str = "") -> Metrics:
        """What is measured of it, over ``1h``, ``6h``, ``24h``, ``7d`` or ``28d``.

        SageMaker measures each variant by itself; without ``variant`` it is the first.

        ``sagemaker``: all calls, whoever made them; ``portal``: those of its pages and its API.

        >>> [one.name for one in portal.endpoints.metrics("demo", range="1h").portal.series]
        ['calls', 'failed', 'cold', 'latency_p50', 'latency_p99']
        """
        path = f"/endpoints/{part(name)}/metrics"
        answer = self._transport.call("GET", path, query={"range": range, "variant": variant})
        return Metrics.of(answer.document(), self._portal)

    def thrash(self, name: str) -> Thrash:
        """Whether its models take turns in memory, from the calls of the last day.

        ``sentences`` says it in words; ``better``: the cheapest instances that would help.

        >>> portal.endpoints.thrash("demo").calls >= 0
        True
        """
        answer = self._transport.call("GET", f"/endpoints/{part(name)}/thrash")
        return Thrash.of(answer.document(), self._portal)

    def warm(self, name: str, models: str = "@*") -> Warming:
        """Have the portal call versions once, so that their models are in memory; does not wait.

        ``models``: ``@*`` is every version that an alias points at, ``*`` all ready versions;
        or as experiments name them.

        >>> made = portal.endpoints.warm("demo", "digits:*")
        >>> portal.endpoints.wait_for_warming(made).state
        'done'
        """
        path = f"/endpoints/{part(name)}/warmings"
        answer = self._transport.call("POST", path, document={"models": models})
        return Warming.of(answer.document(), self._portal)

    def wait_for_warming(
        self,
        warming: Warming,
        *,
        timeout: float | None = None,
        seen: Callable[[Warming], None] | None = None,
    ) -> Warming:
        """Wait until it has ended; ``seen`` is told how far it is, every few seconds."""
        path = f"/endpoints/{part(warming.endpoint)}/warmings/{part(warming.id)}"
        with self._portal.within(timeout):
            while warming.state == "running":
                if seen is not None:
                    seen(warming)
                answer = self._transport.call("GET", path, query={"wait": WARMING_WAIT_S})
                warming = Warming.of(answer.document(), self._portal)
        return warming

    def stop_warming(self, warming: Warming) -> Warming:
        """Have no further version called."""
        path = f"/endpoints/{part(warming.endpoint)}/warmings/{part(warming.id)}/stop"
        return Warming.of(self._transport.call("POST", path).document(), self._portal)

    def warmth(self, name: str) -> Warmth:
        """What of it is kept warm, and what was warmed lately.

        >>> portal.endpoints.warmth("demo").kept is None
        True
        """
        answer = self._transport.call("GET", f"/endpoints/{part(name)}/warmth")
        return Warmth.of(answer.document(), self._portal)

    def keep_warm(
        self,
        name: str,
        models: str = "@*",
        *,
        every_minutes: int | None = None,
        after_change: bool = True,
    ) -> Warmth:
        """Keep models warm while it stands: again and again, and after each deploy and change."""
        document = {
            "models": models, "every_minutes": every_minutes, "after_change": after_change,
        }  # fmt: skip
        path = f"/endpoints/{part(name)}/warmth"
        answer = self._transport.call("PUT", path, document=document)
        return Warmth.of(answer.document(), self._portal)

    def keep_warm_no_more(self, name: str) -> Warmth:
        """Keep nothing of it warm any more."""
        answer = self._transport.call("DELETE", f"/endpoints/{part(name)}/warmth")
        return Warmth.of(answer.document(), self._portal)

    def plan_capacity(
        self,
        models: str = "*",
        *,
        store: str = "",
        calls_per_hour: float = 600.0,
        draw: str = "zipf:1.1",
        like: str = "",
        cold_share: float = 0.01,
        most_instances: int = 3,
    ) -> Capacity:
        """Which instances would hold models under calls, at which cost; makes nothing.

        ``models``: as experiments name them. ``store``: where they are; by default the store of
        ``like``, or else of the portal's settings. ``like``: an endpoint whose calls lately say how
        they are drawn, in place of ``draw``. ``cold_share``: so many calls, of 1, may wait.

        >>> plan = portal.endpoints.plan_capacity("digits:*", calls_per_hour=60)
        >>> plan.choices[0].holds_all
        True
        """
        query = _given(
            models=models, store=store, calls_per_hour=calls_per_hour, draw=draw, like=like,
            cold_share=cold_share, most_instances=most_instances,
        )  # fmt: skip
        answer = self._transport.call("GET", "/capacity", query=query)
        return Capacity.of(answer.document(), self._portal)

    def logs(
        self,
        name: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        search: str = "",
        model: str = "",
        instance: str = "",
        level: str = "",
        request: str = "",
    ) -> Iterator[LogLine]:
        """The log of its containers, the oldest line first; without ``since`` of the last hour.

        ``search``: a text that is in the line; ``model``: as ``digits:2``; ``level``: as bad as
        this, or worse; ``request``: lines that name a call, by its ``id`` or SageMaker's request
        ID. Times without a zone are local.

        >>> [one for one in portal.endpoints.logs("demo", search="no such text")]
        []
        """
        query = _given(
            since=_moment(since), until=_moment(until),
            search=search, model=model, request=request, instance=instance, level=level, limit=1000,
        )  # fmt: skip
        return self._portal.pages(LogLine, f"/endpoints/{part(name)}/logs", query)

    def follow_logs(
        self,
        name: str,
        *,
        since: datetime | None = None,
        search: str = "",
        model: str = "",
        instance: str = "",
        level: str = "",
        request: str = "",
    ) -> Iterator[LogLine]:
        """The same, and then lines as they come, without an end."""
        seen: dict[str, datetime] = {}
        while True:
            for one in self.logs(
                name,
                since=since,
                search=search,
                model=model,
                instance=instance,
                level=level,
                request=request,
            ):
                if one.id not in seen:
                    seen[one.id] = one.at
                    yield one
            if seen:
                # Lines come late, and not in order.
                since = max(seen.values()) - _LATE
                seen = {id: at for id, at in seen.items() if at >= since}
            self._transport.pause(FOLLOW_EVERY_S)

    def wait_for_change(
        self,
        endpoint: Endpoint,
        *,
        timeout: float | None = None,
        seen: Callable[[Endpoint], None] | None = None,
    ) -> Endpoint:
        """Wait until the change that ``endpoint`` is an answer to is made.

        Raises ChangeRefused where SageMaker refused it or rolled it back: the endpoint serves as
        before. Raises EndpointFailed and TimedOut, as ``wait``.
        """
        now = self.wait(endpoint, timeout=timeout, seen=seen)
        refused = now.refused_change
        if refused is not None and refused.revision == endpoint.revision:
            raise errors.ChangeRefused(now)
        return now

    def check(self, name: str) -> Endpoint:
        """Have the portal look at AWS now."""
        answer = self._transport.call("POST", f"/endpoints/{part(name)}/check")
        return Endpoint.of(answer.document(), self._portal)

    def teardown(
        self, name: str, *, keep_config: bool = False, keep_model: bool = False
    ) -> Endpoint:
        """Ask for the teardown; ``.wait()`` of what this gives waits until it is gone.

        ``keep_config``: its configuration stays in the AWS account, and the model that this needs.
        ``keep_model``: its SageMaker model stays. What stays is among the orphans then.
        """
        document: dict[str, Any] = {"name": name}
        document |= {"keep_config": True} if keep_config else {}
        document |= {"keep_model": True} if keep_model else {}
        path = f"/endpoints/{part(name)}/teardown"
        answer = self._transport.call("POST", path, document=document)
        return Endpoint.of(answer.document(), self._portal)

    def preview_teardown(
        self, name: str, *, keep_config: bool = False, keep_model: bool = False
    ) -> TeardownPlan:
        """What ``teardown`` would delete, in its order, and what would stay; deletes nothing.

        >>> [one.kind for one in portal.endpoints.preview_teardown("demo", keep_model=True).keeps]
        ['model']
        """
        document = {"keep_config": keep_config, "keep_model": keep_model}
        path = f"/endpoints/{part(name)}/teardown/plan"
        answer = self._transport.call("POST", path, document=document)
        return TeardownPlan.of(answer.document(), self._portal)

    def undo_teardown(self, name: str) -> Endpoint:
        """Undo a teardown that has not begun (``teardown_at``); else refused: ``conflict``."""
        answer = self._transport.call("POST", f"/endpoints/{part(name)}/teardown/undo")
        return Endpoint.of(answer.document(), self._portal)

    def wait(
        self,
        endpoint: Endpoint,
        *,
        timeout: float | None = None,
        seen: Callable[[Endpoint], None] | None = None,
    ) -> Endpoint:
        """Wait until it serves or is gone (``Endpoint.wait``)."""
        gone = endpoint.wanted == "absent"
        now = endpoint
        with self._transport.within(timeout):
            while True:
                if seen is not None:
                    seen(now)
                if now.gone_at is not None:
                    if gone:
                        return now
                    raise errors.EndpointFailed(now)
                if now.settled and (now.failure or not gone):
                    if now.serving and not gone and not now.failure:
                        return now
                    raise errors.EndpointFailed(now)
                now = self.get(endpoint.name, wait=WAIT_S)


def _waiting(seconds: int) -> dict[str, Any]:
    return {"wait": seconds} if seconds else {}


def _limits(
    least: int,
    most: int,
    calls_per_minute: int,
    in_cooldown: int | None,
    out_cooldown: int | None,
    schedule: Sequence[Mapping[str, Any]],
    zone: str,
) -> dict[str, Any]:
    return _given(
        min_instances=least,
        max_instances=most,
        calls_per_minute=calls_per_minute,
        in_cooldown_s=in_cooldown,
        out_cooldown_s=out_cooldown,
        schedule=[dict(one) for one in schedule] or None,
        zone=zone,
    )


def _moment(moment: datetime | None) -> str | None:
    """A time as the API takes it; one without a zone is local."""
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def _given(**asked: object) -> dict[str, Any]:
    """The body of a request; what was not given is left out, so that the portal's preset holds."""
    return {key: value for key, value in asked.items() if value not in ("", None, {})}
