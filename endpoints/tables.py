"""The tables of the endpoint pages: endpoints, what one can serve, and what happened to it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, Count, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from django.utils.translation import gettext as _

from activity.models import Event
from core import clock
from core.tables import WITH_ROWS, Choice, Column, Search, Table
from endpoints import last_calls, prices
from endpoints.last_calls import CallsToday
from endpoints.models import Endpoint, EndpointQuerySet, OrphanLook, Revision, data_url
from endpoints.planning import Difference
from endpoints.prices import Total
from endpoints.spending import IDLE_TOLD, so_far
from models_catalog.models import Version, VersionQuerySet

# The values of the filters, as they stand in the address.
_ANSWERING, _UNDER_WAY = "answering", "under-way"
HALTED, CHANGED, IDLE, ENDING = "halted", "changed", "idle", "ending"
_NEWEST = "newest"


def _in_condition(rows: EndpointQuerySet, condition: str) -> EndpointQuerySet:
    if condition == _ANSWERING:
        return rows.serving()
    if condition == HALTED:
        return rows.exclude(failure="")
    if condition == ENDING:
        return rows.exclude(expires_at=None, idle_hours=None)
    if condition == IDLE:
        since = Now() - IDLE_TOLD
        idle = rows.serving().filter(created_at__lt=since)
        return idle.filter(**{f"{last_calls.ORDER}__lt": since})
    fits = _differs if condition == CHANGED else _is_under_way
    return rows.filter(pk__in=[row.pk for row in rows if fits(row)])


def _differs(endpoint: Endpoint) -> bool:
    return endpoint.changed_outside


def _is_under_way(endpoint: Endpoint) -> bool:
    return not endpoint.settled


def running(request: HttpRequest) -> Table:
    """The endpoints that are not torn down."""
    return Table(
        request,
        Endpoint.objects.shown()
        .select_related("created_by", "owner")
        .annotate(
            **last_calls.columns(),
            owned=Coalesce("owner__username", "created_by__username", Value("")),
        ),
        columns=[
            Column("name", _("Endpoint"), sort="name", natural=True),
            Column("state", _("State"), sort="state"),
            Column("size", _("Runs on"), sort=("instance_type", "instance_count")),
            Column("versions", _("Versions"), numeric=True),
            Column("cost", _("Cost a month, so far"), numeric=True),
            Column("today", _("Calls today"), numeric=True),
            Column("called", _("Last call"), sort=last_calls.ORDER),
            Column("owner", _("Owner"), sort="owned"),
            Column("ends", _("Ends"), sort="expires_at"),
            Column("made", _("Created"), sort="created_at"),
            Column("actions", ""),
        ],
        filters=[
            Search("q", _("Name"), fields=("name__icontains",)),
            Choice(
                "state",
                _("Any state"),
                [
                    (_ANSWERING, _("Can be called")),
                    (_UNDER_WAY, _("Working…")),
                    (HALTED, _("Stopped")),
                    (CHANGED, _("Changed outside the portal")),
                    (IDLE, _("Idle for a week")),
                    (ENDING, _("Ends by itself")),
                ],
                narrow=_in_condition,
            ),
        ],
        default_sort="-made",
        counts=WITH_ROWS,
    )


def with_money(table: Table) -> Total:
    """Tell each row of the page what it costs and how long it is idle; what all rows cost.

    ``cost`` is None where nothing runs or the price is not known; ``spent`` is what it cost so far;
    ``idle_days`` counts from the last call, or from the creation where there was none.
    """
    known, now = prices.known(), clock.now()
    spent = so_far(table.rows, now)
    for row in table.rows:
        row.cost, row.spent = known.of(row), spent[row.pk]
        idle = now - (row.last_call_at or row.created_at)
        row.idle_days = idle.days if row.has_instances else 0
        row.forgotten = row.has_instances and idle >= IDLE_TOLD
    return known.total(table.matching)


@dataclass(frozen=True)
class Counted:
    """How many were torn down, whether the account was looked at for others' endpoints, how many
    versions each store has, by bucket and prefix, and the calls of today of each endpoint, by its
    pk.
    """

    torn_down: int
    looked: bool
    versions: Counter[tuple[str, str]]
    calls: dict[int, CallsToday]


def counted() -> Counted:
    """What the list counts beside its rows; one query."""
    looks = OrphanLook.objects.exclude(looked_at=None)
    empty: Any = Value("", output_field=CharField())

    def numbers(
        what: str, rows: QuerySet[Any], bucket: Any = empty, prefix: Any = empty
    ) -> QuerySet[Any]:
        named = rows.order_by().values(what=Value(what), of=bucket, below=prefix)
        found: QuerySet[Any] = named.annotate(count=Count("pk"))
        return found.values_list("what", "of", "below", "count")

    stores = numbers("versions", Version.objects.ready(), F("bucket"), F("prefix"))
    torn_down = numbers("torn_down", Endpoint.objects.gone())
    others = [torn_down, numbers("looks", looks)]
    calls, of, cold = last_calls.today_by_temperature()
    if calls is not None:
        others.append(numbers("calls", calls, of, cold))
    found = list(stores.union(*others, all=True))
    alone = {what: count for what, _bucket, _prefix, count in found}
    versions = {row[1:3]: row[3] for row in found if row[0] == "versions"}
    today: dict[int, CallsToday] = {}
    for what, pk, temperature, count in found:
        if what == "calls":
            before = today.get(int(pk), CallsToday())
            colds = before.cold + (count if temperature else 0)
            today[int(pk)] = CallsToday(before.all + count, colds)
    torn, looked = alone.get("torn_down", 0), bool(alone.get("looks", 0))
    return Counted(torn, looked, Counter(versions), today)


def torn_down(request: HttpRequest) -> Table:
    """The endpoints that were torn down."""
    return Table(
        request,
        Endpoint.objects.gone().select_related("created_by"),
        columns=[
            Column("name", _("Endpoint"), sort="name", natural=True),
            Column("size", _("Ran on"), sort=("instance_type", "instance_count")),
            Column("by", _("Created by"), sort="created_by__username"),
            Column("made", _("Created"), sort="created_at"),
            Column("ended", _("Torn down"), sort="gone_at"),
        ],
        filters=[Search("q", _("Name"), fields=("name__icontains",))],
        default_sort="-ended",
    )


def servable(endpoint: Endpoint) -> VersionQuerySet:
    """The versions in the endpoint's store: it can serve all of them."""
    found: VersionQuerySet = Version.objects.ready().filter(
        bucket=endpoint.bucket, prefix=endpoint.prefix
    )
    return found


def _newest_of_each_model(rows: Any, value: str) -> Any:
    same_model = rows.filter(model=OuterRef("model")).order_by("-number")
    return rows.filter(number=Subquery(same_model.values("number")[:1]))


def versions(request: HttpRequest, endpoint: Endpoint) -> Table:
    """All that an endpoint can serve."""
    return Table(
        request,
        servable(endpoint),
        columns=[
            Column(
                "version",
                _("Version"),
                sort=("model__name", "number"),
                natural=True,
                stored_key="model__name_key",
            ),
            Column("target", _("Target model")),
            Column("size", _("Size"), sort="published_size", numeric=True),
            Column("added", _("Uploaded"), sort="created_at"),
            Column("actions", ""),
        ],
        filters=[
            Search("q", _("Name of the model"), fields=("model__name__icontains",)),
            Choice(
                "show",
                _("All versions"),
                [(_NEWEST, _("The newest of each model"))],
                narrow=_newest_of_each_model,
            ),
        ],
        default_sort="-added",
    )


def events(request: HttpRequest, endpoint: Endpoint) -> Table:
    """What happened to an endpoint, newest first; it has only its pages of a table."""
    rows = Event.objects.about(Endpoint.activity_kind, endpoint.pk)
    return Table(request, rows, columns=[], default_sort="-id")


def revisions(request: HttpRequest, endpoint: Endpoint) -> Table:
    """What it was asked to be."""
    return Table(
        request,
        endpoint.revisions.select_related("created_by"),
        columns=[
            Column("revision", _("Revision"), sort="number", numeric=True),
            Column("state", _("State")),
            Column("size", _("Runs on")),
            Column("differs", _("What differs")),
            Column("by", _("By"), sort="created_by__username"),
            Column("when", _("When"), sort="created_at"),
            Column("actions", ""),
        ],
        default_sort="-revision",
    )


def with_differences(rows: list[Revision]) -> list[Revision]:
    """The revisions of an endpoint, each with ``differs``: what it has other than served before it.

    Those are `Difference`s; one that SageMaker did not make is not what served. Of a page of them:
    one query finds what served before its earliest.
    """
    by_number = sorted(rows, key=lambda row: row.number)
    before: Revision | None = None
    if by_number:
        earlier = Revision.objects.filter(
            endpoint=by_number[0].endpoint_id, number__lt=by_number[0].number
        )
        before = earlier.exclude(state__in=Revision.NOT_MADE).order_by("-number").first()
    for row in by_number:
        row.differs = [] if before is None else [*_differences(before, row)]
        if row.state not in Revision.NOT_MADE:
            before = row
    return rows


def _differences(before: Revision, row: Revision) -> Iterator[Difference]:
    facts = {
        "variants": (str(before.size), str(row.size)),
        "image": (before.image, row.image),
        "role_arn": (before.role_arn, row.role_arn),
    }
    if before.place is not None and row.place is not None:
        facts["store"] = (data_url(before.place), data_url(row.place))
    for name, (was, now) in facts.items():
        if was != now:
            yield Difference(name, was, now)
    for one in before.chosen.differences(row.chosen):
        yield Difference(*one)
