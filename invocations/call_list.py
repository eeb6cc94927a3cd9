"""The list of calls: what it can be narrowed to, and its CSV file."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core import spreadsheet
from core.natural import by_name
from core.spreadsheet import MOST_EXPORTED
from core.tables import UP_TO_MANY, Choice, Column, Day, Search, Table
from core.templatetags.portal import ms as as_time
from endpoints.models import Endpoint
from invocations import narrowing
from invocations.models import Invocation, InvocationQuerySet

_AT_ONCE = 500
_TIMES = (
    "portal_ms", "sagemaker_ms", "fetch_ms", "load_ms", "ready_ms", "decode_ms", "infer_ms",
)  # fmt: skip
# As `mme calls --csv` has them, and the API: in English in each language.
_HEAD = (
    "id", "created_at", "endpoint", "version", "variant", "state", "by", "answer", "probability",
    "cold", "latency_ms", *_TIMES, "error_code",
)  # fmt: skip


def table(request: HttpRequest) -> Table:
    """All calls that who asks may see, the newest first, as the address narrows them."""
    named = Endpoint.objects.values_list("pk", "name").order_by(*by_name("name"), "pk")
    # One probe of an index for each person, and not all calls.
    callers = User.objects.filter(Exists(Invocation.objects.filter(created_by=OuterRef("pk"))))
    return Table(
        request,
        Invocation.objects.listed(),
        columns=[
            Column("picture", _("Picture"), hidden_label=True),
            Column("answer", _("Answer")),
            Column("version", _("Version"), sort=("version__model__name", "version__number")),
            Column("endpoint", _("Endpoint"), sort="endpoint__name"),
            Column("person", _("By"), sort="created_by__username"),
            Column("when", _("When"), sort="created_at"),
            Column(
                "time", pgettext("how long a call took", "Time"), sort="latency_ms", numeric=True
            ),
            Column("cold", _("Cold or warm"), sort="cold"),
            Column("again", ""),
        ],
        filters=[
            Search("model", _("Model, version or alias"), narrow=narrowing.of_model),
            Search("label", _("Answer"), narrow=narrowing.of_label),
            Choice("endpoint", _("Endpoint"), named),
            Choice("state", _("State"), Invocation.State.choices),
            Choice("cold", _("Cold or warm"), [("1", _("Cold start")), ("0", _("Warm"))]),
            Choice("by", _("Person"), callers.values_list("pk", "username"), field="created_by"),
            Choice(
                "slow",
                pgettext("how long a call took", "Time"),
                [(str(ms), _("from %(time)s") % {"time": as_time(ms)}) for ms in narrowing.SLOW_MS],
                narrow=lambda rows, value: narrowing.slower_than(rows, float(value)),
            ),
            Day("day", _("Day"), "created_at"),
        ],
        default_sort="-when",
        counts=UP_TO_MANY,
    )


def exported(request: HttpRequest) -> Iterator[str]:
    """The lines of a CSV file of the calls that the address chooses, in its order.

    The last line says so where there are more than MOST_EXPORTED.
    """
    found = cast(InvocationQuerySet, table(request).matching)
    calls = found.iterator(chunk_size=_AT_ONCE)
    cut = _("Only the first %(count)s calls are in this file. Filters choose others.") % {
        "count": number_format(MOST_EXPORTED, force_grouping=True)
    }

    def rows() -> Iterator[list[Any]]:
        left = MOST_EXPORTED
        while some := list(islice(calls, min(_AT_ONCE, left))):
            networks = Invocation.everybodys.usual_networks(some)
            for call in some:
                yield _cells(call, networks.get(call.uid))
            left -= len(some)
            if not left:
                break
        if next(calls, None) is not None:
            yield [cut]

    return spreadsheet.lines(_HEAD, rows())


def _cells(call: Invocation, network_ms: float | None) -> list[Any]:
    best, said = call.best, call.said
    times = call.times(network_ms)
    return [
        call.uid,
        call.created_at.isoformat(),
        call.endpoint.name,
        f"{call.version.model.name}:{call.version.number}",
        call.variant,
        call.state,
        call.created_by.get_username() if call.created_by else None,
        best["label"] if best else None,
        best["probability"] if best else None,
        call.cold,
        call.latency_ms,
        *(times[name] for name in _TIMES),
        None if said is None else said.stable_code,
    ]
