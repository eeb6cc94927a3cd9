"""Whether the models of an endpoint take turns in memory, in words, and what would help."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.remembered import Shared
from core.templatetags.portal import ms
from endpoints import instance_memory, prices
from endpoints.models import Endpoint
from endpoints.prices import Cost, PriceList
from invocations import cache_simulation
from invocations.capacity import choices, traffic
from invocations.capacity.choices import InstanceChoice
from invocations.capacity.traffic import Traffic
from models_catalog.models import Version

FEWEST_CALLS = 50
"""Of fewer calls nothing is said."""
THRASH_SHARE = 0.05
"""With so many calls whose model had been unloaded for others, there is something to say."""
SPARED_SHARE = 0.01
"""Advice is to leave no more of them."""
MOST_LESS = 8
"""Calling more models than these less is no advice."""
MOST_MORE = 3
"""At most this many more instances of the type that runs are looked at."""
_KEEP_S = 20.0


class Verdict(models.TextChoices):
    """What is found of the calls lately."""

    FEW_CALLS = "few-calls", gettext_lazy("Too few calls to say")
    NOT_KNOWN = "not-known", gettext_lazy("Not known")
    FITS = "fits", gettext_lazy("The models fit into memory")
    THRASH = "thrash", gettext_lazy("Models take turns in memory")
    OTHERWISE = "otherwise", gettext_lazy("The simulation and the calls do not agree")


@dataclass(frozen=True)
class CalledVersion:
    """A version that was called: how often, its memory, and its cold starts.

    ``memory_mb``: what its validation measured, None where it did not. ``cold``: as the calls say;
    ``again``: how many there are by the simulation, first loads left out.
    """

    pk: int
    model: str
    number: int
    calls: int
    memory_mb: float | None
    cold: int
    again: int

    @property
    def name(self) -> str:
        """As references name it."""
        return f"{self.model}:{self.number}"


@dataclass(frozen=True)
class Thrash:
    """What the calls of an endpoint met lately, and what they would meet elsewhere.

    ``room_mb``: for models, of one instance; ``needed_mb``: what all called versions take, of which
    ``estimated`` were never measured and are taken for the average. ``predicted``: the share of
    calls whose model had been unloaded for others, by the simulation; ``measured``: the same by
    the calls themselves. Either is None where it is not known. ``held``: versions in memory at a
    time. ``better``: the cheapest instances that would hold what was called; ``less``: the versions
    without which the others fit.
    """

    endpoint: Endpoint
    verdict: Verdict
    traffic: Traffic
    instance_type: str
    instance_count: int
    room_mb: float | None
    needed_mb: float | None
    estimated: int
    held: int
    predicted: float | None
    measured: float | None
    cost: Cost | None
    better: InstanceChoice | None
    less: Sequence[CalledVersion]
    versions: Sequence[CalledVersion]

    @property
    def calls(self) -> int:
        """How many it is based on."""
        return len(self.traffic.versions)

    @property
    def share(self) -> float:
        """The share of calls that wait for their model: as measured, else as predicted."""
        return (self.predicted or 0.0) if self.measured is None else self.measured

    @property
    def more_per_hour(self) -> Decimal | None:
        """What the better instances cost more than those that run; negative: less."""
        if self.better is None or self.better.cost is None or self.cost is None:
            return None
        return self.better.cost.per_hour - self.cost.per_hour

    @property
    def sentences(self) -> list[str]:
        """What is found, and what would help, in the reader's language."""
        if self.verdict == Verdict.FEW_CALLS:
            return [_few(self.calls)]
        if self.verdict == Verdict.NOT_KNOWN:
            return [_not_known(self)]
        if self.verdict == Verdict.FITS:
            return [_fits(len(self.versions))]
        if self.verdict == Verdict.OTHERWISE:
            return [_otherwise(self)]
        said = [_thrash(self)]
        if self.better is not None:
            said.append(_better(self))
        if self.less:
            said.append(_less(self.less, alone=self.better is None))
        if len(said) == 1:
            said.append(
                _("No instance type that this portal offers would change that. Fewer models would.")
            )
        return said

    @property
    def basis(self) -> str:
        """What it is based on, in a sentence."""
        said = ngettext(
            "Based on %(calls)s call of %(models)s versions in the last %(time)s, by the portal "
            "and its experiments; calls by others are not known here.",
            "Based on %(calls)s calls of %(models)s versions in the last %(time)s, by the portal "
            "and its experiments; calls by others are not known here.",
            self.calls,
        )
        told = {
            "calls": number_format(self.calls, force_grouping=True),
            "models": len(self.versions),
            "time": _span((self.traffic.until - self.traffic.since).total_seconds()),
        }
        return said % told


def of_endpoint(endpoint: Endpoint) -> Thrash:
    """What is found of an endpoint; the same for all who ask within some seconds."""
    found = _kept.get(
        (endpoint.pk, endpoint.revision, str(endpoint.running)), lambda: _find(endpoint)
    )
    assert found is not None
    return found


_kept: Shared[tuple[int, int, str], Thrash] = Shared(keep_s=_KEEP_S, most=256)


def with_average(pks: Sequence[int], measured: dict[int, float]) -> dict[int, float]:
    """What each version takes beside others, by what their validations measured, in MiB.

    Those without a measurement are taken for the average.
    """
    average = fmean(measured.values())
    return {pk: instance_memory.model_mb(measured.get(pk, average)) for pk in pks}


def _find(endpoint: Endpoint) -> Thrash:
    lately = traffic.lately(endpoint)
    running = endpoint.running
    counts = lately.counts
    # Two variants are not one memory, even of one type.
    alone = len(running.parts) == 1
    room = instance_memory.room_mb(running.instance_type) if alone else None
    instances = running.instance_count
    rows = Version.objects.filter(pk__in=counts).values_list(
        "pk", "model__name", "number", F("report__memory_mb")
    )
    found = {pk: (model, number, mb) for pk, model, number, mb in rows}
    measured = {
        pk: float(mb)
        for pk, (*_name, mb) in found.items()
        if isinstance(mb, int | float) and mb > 0
    }
    calls = [pk for pk in lately.versions if pk in found]
    known = bool(measured) and room is not None and instances > 0
    predicted = None
    needed = None
    held = 0
    again: Counter[int] = Counter()
    sizes: dict[int, float] = {}
    if known and room is not None:
        sizes = with_average(list(found), measured)
        needed = sum(sizes.values())
        met = cache_simulation.simulate(
            calls, sizes=sizes, room=room, instances=instances, pause_s=lately.pause_s
        )
        predicted, held = met.again_share, met.held
        again = Counter({pk: one.again for pk, one in met.models.items()})
    versions = [
        CalledVersion(pk, *found[pk][:2], number, measured.get(pk), lately.cold[pk], again[pk])
        for pk, number in counts.most_common()
        if pk in found
    ]
    share = lately.again_share(instances)
    verdict = _verdict(len(calls), predicted, share)
    cost = prices.known().of(endpoint)
    better, less = None, []
    if verdict == Verdict.THRASH and room is not None:
        better = _better_choice(endpoint, calls, sizes, lately.pause_s, predicted or 0.0)
        less = _call_less(versions, sizes, room, instances)
    return Thrash(
        endpoint=endpoint,
        verdict=verdict,
        traffic=lately,
        instance_type=running.instance_type,
        instance_count=instances,
        room_mb=room,
        needed_mb=needed,
        estimated=len(found) - len(measured),
        held=held,
        predicted=predicted,
        measured=share,
        cost=cost,
        better=better,
        less=less,
        versions=versions,
    )


def _verdict(calls: int, predicted: float | None, measured: float | None) -> Verdict:
    if calls < FEWEST_CALLS:
        return Verdict.FEW_CALLS
    if predicted is None:
        return Verdict.NOT_KNOWN
    if measured is not None and (predicted >= THRASH_SHARE) != (measured >= THRASH_SHARE):
        # One that is a little more, and one that is a little less, say the same.
        if abs(predicted - measured) > THRASH_SHARE:
            return Verdict.OTHERWISE
        return Verdict.FITS
    return Verdict.THRASH if predicted >= THRASH_SHARE else Verdict.FITS


def _better_choice(
    endpoint: Endpoint,
    calls: Sequence[int],
    sizes: dict[int, float],
    pause_s: float,
    now: float,
) -> InstanceChoice | None:
    """The cheapest change that spares the waits; else the one that halves them, or None."""
    running = endpoint.running
    sets = [(kind, running.instance_count) for kind in settings.INSTANCE_TYPES]
    if not endpoint.scales:
        most = min(running.instance_count + MOST_MORE, settings.MAX_INSTANCES)
        more = range(running.instance_count + 1, most + 1)
        sets += [(running.instance_type, number) for number in more]
    here = (running.instance_type, running.instance_count)
    known = prices.known()
    sets = sorted((one for one in sets if one != here), key=lambda one: _price(known, *one))
    best: InstanceChoice | None = None
    for one in sets:
        # One after the other: the cheapest that spares the waits ends it.
        for found in choices.weigh(calls, sizes=sizes, sets=[one], prices=known, pause_s=pause_s):
            if found.too_large:
                continue
            if found.cold_share <= SPARED_SHARE:
                return found
            if best is None or found.cold_share < best.cold_share:
                best = found
    return best if best is not None and best.cold_share <= now / 2 else None


def _price(known: PriceList, kind: str, number: int) -> Decimal:
    cost = known.cost(kind, number)
    return Decimal("Infinity") if cost is None else cost.per_hour


def _call_less(
    versions: Sequence[CalledVersion], sizes: dict[int, float], room: float, instances: int
) -> list[CalledVersion]:
    """The least called versions without which the others fit; none where those are too many."""
    free = [room] * instances
    left = []
    for one in versions:  # the most called first
        place = max(range(instances), key=lambda n: free[n])
        if sizes[one.pk] <= free[place]:
            free[place] -= sizes[one.pk]
        else:
            left.append(one)
    return left if len(left) <= min(MOST_LESS, len(versions) // 2) else []


# --- sentences -----------------------------------------------------------------------------------


def in_words(share: float) -> str:
    """A share of calls, as the beginning of a sentence's part: one call in three."""
    if share >= 0.75:
        return _("nearly each call waits")
    if share >= 0.58:
        return _("more than one call in two waits")
    number = max(2, round(1 / share)) if share else 0
    named = {
        2: _("one call in two waits"),
        3: _("one call in three waits"),
        4: _("one call in four waits"),
        5: _("one call in five waits"),
        6: _("one call in six waits"),
    }
    return named.get(number) or _("one call in %(number)s waits") % {"number": number}


def _few(calls: int) -> str:
    said = ngettext(
        "There was %(calls)s call lately. From %(fewest)s on, this says whether models take turns "
        "in memory.",
        "There were %(calls)s calls lately. From %(fewest)s on, this says whether models take "
        "turns in memory.",
        calls,
    )
    return said % {"calls": calls, "fewest": FEWEST_CALLS}


def _not_known(found: Thrash) -> str:
    if len(found.endpoint.running.parts) > 1:
        return _("Each of its variants has a memory of its own: nothing is said of two together.")
    if found.room_mb is None:
        said = _("The memory of %(type)s is not known here, so nothing is said of it.")
        return said % {"type": found.instance_type or _("this instance type")}
    return _("No validation measured the memory of what was called, so nothing is said of it.")


def _fits(versions: int) -> str:
    said = ngettext(
        "The %(count)s version that was called lately has room in memory.",
        "All %(count)s versions that were called lately have room in memory together.",
        versions,
    )
    return said % {"count": versions}


def _otherwise(found: Thrash) -> str:
    said = _(
        "By the simulation %(predicted)s %% of the calls wait for a model that was unloaded; the "
        "calls say %(measured)s %%. So the memory of an instance, or of a model, is not what was "
        "reckoned with, and there is no advice."
    )
    told = {
        "predicted": round(100 * (found.predicted or 0.0)),
        "measured": round(100 * (found.measured or 0.0)),
    }
    return said % told


def _thrash(found: Thrash) -> str:
    told = {
        "models": len(found.versions),
        "held": found.held,
        "share": in_words(found.share),
        "wait": ms(found.traffic.wait_ms),
    }
    if found.traffic.wait_ms is None:
        said = _("%(models)s models take turns in memory for %(held)s: %(share)s for its model.")
    else:
        said = _(
            "%(models)s models take turns in memory for %(held)s: %(share)s %(wait)s for its model."
        )
    return said % told


def _better(found: Thrash) -> str:
    better = found.better
    assert better is not None
    told = {
        "size": better.size,
        "models": len(found.versions),
        "more": _difference(found.more_per_hour, better.cost),
        "percent": _percent(better.cold_share),
    }
    if better.holds_all:
        return _("%(size)s would hold all %(models)s (%(more)s).") % told
    return _("With %(size)s, %(percent)s %% of the calls would wait (%(more)s).") % told


def _less(less: Sequence[CalledVersion], *, alone: bool) -> str:
    names = ", ".join(one.name for one in less)
    if alone:
        said = ngettext(
            "Without this version, the others would fit: %(names)s.",
            "Without these %(count)s versions, the others would fit: %(names)s.",
            len(less),
        )
    else:
        said = ngettext(
            "Or call this version less: %(names)s.",
            "Or call these %(count)s versions less: %(names)s.",
            len(less),
        )
    return said % {"count": len(less), "names": names}


def _difference(more: Decimal | None, cost: Cost | None) -> str:
    if more is None or cost is None:
        return _("its price is not known")
    sign = "−" if more < 0 else "+"
    told = {"sign": sign, "price": f"{abs(more).normalize():f}", "currency": cost.currency}
    return _("%(sign)s %(price)s %(currency)s an hour") % told


def _percent(share: float) -> str:
    value = 100 * share
    return str(number_format(round(value, 1) if value < 10 else round(value)))


def _span(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    hours = round(minutes / 60)
    return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
