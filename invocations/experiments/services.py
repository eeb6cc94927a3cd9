"""Begin, stop and name experiments, and say before what one would do."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, F
from django.utils.translation import gettext as _

from activity.services import record
from core import clock, spreadsheet, waiting
from core.jobs import enqueue_on_commit
from endpoints import instance_memory, prices
from endpoints.models import Endpoint
from endpoints.prices import Cost
from invocations import cache_simulation, services
from invocations.experiments import call_log, drawing, recorded_day, sending, tally, targets
from invocations.experiments.recorded_day import Recorded
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.tally import TargetTally
from invocations.experiments.targets import CallTarget
from invocations.models import Experiment
from models_catalog.models import Version

_CALLERS = 8  # where nobody says how many, nor a rate
MOST_RATE = 1000.0
MOST_HOURS = 12
"""For so long the calls of one experiment may be planned, by their rate."""
MOST_OPEN = 3
"""At most this many experiments of one person wait or run at a time."""
MAY_RUN_LARGE = "invocations.run_large_experiment"
_TASK = "invocations.tasks.experiment"
# Beside what the model itself takes; a warm call's own share of the network.
_AROUND_MS = 5.0
_UNTOLD_MS = 50.0


@dataclass(frozen=True)
class ExperimentLimits:
    """The most that a person's experiment may have."""

    calls: int
    callers: int


def limits_of(user: User) -> ExperimentLimits:
    """By the role: what the settings say for who may run large ones, and for all others."""
    if user.has_perm(MAY_RUN_LARGE):
        return ExperimentLimits(settings.EXPERIMENT_CALLS, settings.EXPERIMENT_CALLERS)
    return ExperimentLimits(
        min(settings.EXPERIMENT_CALLS, settings.EXPERIMENT_CALLS_VIEWER),
        min(settings.EXPERIMENT_CALLERS, settings.EXPERIMENT_CALLERS_VIEWER),
    )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for. ``seed`` None: any; ``rate`` None: a closed loop.

    ``given``: pictures that are kept, by their SHA-256; they are sent in place of ``pictures``.
    """

    models: str
    calls: int = 100
    callers: int | None = None
    rate: float | None = None
    draw: str = drawing.UNIFORM
    seed: int | None = None
    pictures: str = ""
    name: str = ""
    given: Sequence[str] = ()


@dataclass(frozen=True)
class Expected:
    """A target, and about how many calls it gets; ``memory_mb`` as its validation measured it."""

    target: CallTarget
    share: float
    calls: float
    memory_mb: float | None


@dataclass(frozen=True)
class ExperimentPlan:
    """What an experiment would do. ``seconds``: about so long; ``others``: ready versions on the
    endpoint's store that it does not call, which may be put out of memory for those that it calls.
    ``cost``: that of the endpoint's instances, called or not; None where it is not known.
    """

    wanted: Wanted
    endpoint: Endpoint
    targets: list[Expected]
    seconds: float
    memory_mb: float | None
    others: int
    cost: Cost | None = None

    @property
    def cost_meanwhile(self) -> str:
        """What the instances cost while it runs, as a decimal number; empty: it is not known."""
        if self.cost is None:
            return ""
        exact = self.cost.per_hour * Decimal(round(self.seconds)) / 3600
        return f"{exact.quantize(Decimal('0.000001')):f}"

    @property
    def called(self) -> int:
        """How many versions get a call, probably."""
        return sum(one.calls >= 0.5 for one in self.targets)


def plan(*, wanted: Wanted, endpoint: Endpoint, actor: User) -> ExperimentPlan:
    """What `start` would do; refuses what it would refuse, and writes nothing."""
    all_of_it = _checked(wanted, endpoint, actor)
    checked, found = all_of_it.wanted, all_of_it.targets
    shares = drawing.shares(checked.draw, len(found), all_of_it.recorded)
    rows = Version.objects.filter(pk__in=[one.version for one in found])
    measured = {
        pk: (_number(warm_ms), _number(load_ms), _number(memory_mb))
        for pk, warm_ms, load_ms, memory_mb in rows.values_list(
            "pk", F("report__warm_ms"), F("report__load_ms"), F("report__memory_mb")
        )
    }
    expected = []
    memory: list[float] = []
    warm_ms, cold_ms = [], []
    for share, target in zip(shares, found, strict=True):
        warm, load, mb = measured.get(target.version, (None, None, None))
        calls = share * checked.calls
        warm_ms.append((_UNTOLD_MS if warm is None else warm) + _AROUND_MS)
        cold_ms.append(load or 0.0)
        if mb is not None:
            memory.append(mb)
        expected.append(Expected(target, share, round(calls, 1), mb))
    drawn = drawing.drawn(
        checked.draw, seed=checked.seed or 0, calls=checked.calls, targets=len(found),
        recorded=all_of_it.recorded,
    ).targets  # fmt: skip
    sizes = [one.memory_mb for one in expected]
    busy_ms = sum(warm_ms[target] for target in drawn)
    busy_ms += sum(cold_ms[target] * n for target, n in _loads(endpoint, drawn, sizes).items())
    seconds = busy_ms / 1000 / _at_once(endpoint, checked.callers or 1, checked.calls)
    if checked.rate is not None:
        seconds = max(seconds, checked.calls / checked.rate)
    served = Version.objects.ready().filter(bucket=endpoint.bucket, prefix=endpoint.prefix)
    others = served.exclude(pk__in=[one.version for one in found]).aggregate(count=Count("pk"))
    whole = sum(memory) if len(memory) == len(found) else None
    cost = prices.known().of(endpoint)
    return ExperimentPlan(checked, endpoint, expected, seconds, whole, others["count"], cost)


def _at_once(endpoint: Endpoint, callers: int, calls: int) -> int:
    """How many calls are worked on at a time: one by each vCPU, where that is known.

    A call that waits for a vCPU lasts longer, so more callers than these make no call sooner.
    """
    parts = endpoint.running.parts
    cpus = [instance_memory.vcpus(one.instance_type) for one in parts]
    found = min(callers, calls)
    if None in cpus:
        return found
    of_all = sum((one or 0) * part.instance_count for one, part in zip(cpus, parts, strict=True))
    return min(found, max(1, of_all))


def _loads(endpoint: Endpoint, drawn: Sequence[int], sizes: Sequence[float | None]) -> Counter[int]:
    """How often each target is loaded: more than once where they take turns in memory.

    Where the memory of the instance, or of a model, is not known: once.
    """
    once = Counter(set(drawn))
    parts = endpoint.running.parts
    room = instance_memory.room_mb(parts[0].instance_type) if len(parts) == 1 else None
    known = {key: instance_memory.model_mb(mb) for key, mb in enumerate(sizes) if mb is not None}
    if room is None or len(known) < len(sizes) or not parts[0].instance_count:
        return once
    met = cache_simulation.simulate(
        drawn, sizes=known, room=room, instances=parts[0].instance_count
    )
    return once + Counter({key: one.again for key, one in met.models.items()})


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def start(*, wanted: Wanted, endpoint: Endpoint, actor: User) -> Experiment:
    """Have a job make the calls. Raises ExperimentRefused, with nothing written."""
    all_of_it = _checked(wanted, endpoint, actor)
    checked, found = all_of_it.wanted, all_of_it.targets
    with transaction.atomic():
        # Two requests at a time must not both find room: the second waits for the first.
        User.objects.select_for_update().get(pk=actor.pk)
        if Experiment.objects.unfinished().filter(created_by=actor).count() >= MOST_OPEN:
            said = _(
                "%(count)s of your experiments wait or run. Stop one, or wait until one is done."
            )
            raise ExperimentRefused(said % {"count": MOST_OPEN})
        sending.keep_longer(checked.given)
        experiment = Experiment.objects.create(
            name=checked.name,
            endpoint=endpoint,
            created_by=actor,
            created_by_name=actor.get_username(),
            named=checked.models,
            targets=[one.as_json() for one in found],
            calls=checked.calls,
            callers=checked.callers or 1,
            rate=checked.rate,
            draw=checked.draw,
            seed=checked.seed or 0,
            pictures=checked.pictures,
            given=list(checked.given) or None,
            recorded=all_of_it.recorded,
            result=tally.result([one.name for one in found], [TargetTally() for _ in found], 0.0),
        )
        record(
            action="experiment.requested",
            subject=experiment,
            parameters={
                "name": experiment.name or experiment.named,
                "endpoint": endpoint.name,
                "calls": checked.calls,
                "versions": len(found),
            },
            actor=actor,
        )
        enqueue_on_commit(_TASK, experiment.pk)
    return experiment


@dataclass(frozen=True)
class Checked:
    """What is wanted with all presets, what it calls, and of a draw as of a day its calls."""

    wanted: Wanted
    targets: list[CallTarget]
    recorded: Recorded | None


def _checked(wanted: Wanted, endpoint: Endpoint, actor: User) -> Checked:
    """The same with all presets. Raises ExperimentRefused."""
    limits = limits_of(actor)
    callers = limits.callers if wanted.rate is not None else min(_CALLERS, limits.callers)
    if wanted.callers is not None:
        callers = wanted.callers
    _within("calls", wanted.calls, limits.calls)
    _within("callers", callers, limits.callers)
    if wanted.rate is not None:
        _check_rate(wanted.rate, wanted.calls)
    seed = wanted.seed
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
    if not 0 <= seed <= drawing.MOST_SEED:
        said = _("The seed is a whole number from 0 to %(most)s. Nothing was called.")
        raise ExperimentRefused(said % {"most": drawing.MOST_SEED}, "invalid", "seed")
    day = drawing.day_of(wanted.draw)
    if day is None:
        drawing.shares(wanted.draw, 1)
    pictures = wanted.pictures or Experiment.Pictures.SAMPLES
    if wanted.given:
        pictures = Experiment.Pictures.GIVEN
    found = targets.resolve(wanted.models, endpoint)
    versions = Version.objects.select_related("model").defer("report")
    for version in versions.filter(pk__in=[one.version for one in found]):
        try:
            services.check_possible(endpoint, version)
        except services.CallRefused as refused:
            raise ExperimentRefused(str(refused), refused.code) from None
    sending.check_pictures(pictures, found, wanted.given, actor)
    recorded = None if day is None else recorded_day.read(endpoint, day, found)
    checked = Wanted(
        models=wanted.models.strip(),
        calls=wanted.calls,
        callers=callers,
        rate=wanted.rate,
        draw=wanted.draw,
        seed=seed,
        pictures=pictures,
        name=wanted.name.strip(),
        given=tuple(dict.fromkeys(wanted.given)),
    )
    return Checked(checked, found, recorded)


def _within(field: str, value: int, most: int) -> None:
    if 1 <= value <= most:
        return
    said = {
        "calls": _("Your role may make 1 to %(most)s calls. Nothing was called."),
        "callers": _("Your role may have 1 to %(most)s callers. Nothing was called."),
    }[field]
    raise ExperimentRefused(said % {"most": most}, "invalid", field)


def _check_rate(rate: float, calls: int) -> None:
    if not 0 < rate <= MOST_RATE:
        said = _("A rate is more than 0 and at most %(most)s calls a second. Nothing was called.")
        raise ExperimentRefused(said % {"most": f"{MOST_RATE:g}"}, "invalid", "rate")
    if calls / rate > timedelta(hours=MOST_HOURS).total_seconds():
        said = _("At this rate it would take more than %(hours)s hours. Nothing was called.")
        raise ExperimentRefused(said % {"hours": MOST_HOURS}, "invalid", "rate")


def may_change(user: User, experiment: Experiment) -> bool:
    """Whether the user may stop and name it: who began it, and who may run large ones."""
    return experiment.created_by_id == user.pk or user.has_perm(MAY_RUN_LARGE)


def _check_change(user: User, experiment: Experiment) -> None:
    if not may_change(user, experiment):
        said = _("This is an experiment of %(person)s. Ask them, or an operator, to change it.")
        raise ExperimentRefused(said % {"person": experiment.created_by_name})


def stop(*, experiment: Experiment, actor: User) -> None:
    """Begin no further call; what is under way is waited for. Of an ended one: does nothing.

    Raises ExperimentRefused.
    """
    _check_change(actor, experiment)
    with transaction.atomic():
        mine = Experiment.objects.unfinished().filter(pk=experiment.pk, stop_wanted=False)
        if mine.update(stop_wanted=True) == 1:
            record(
                action="experiment.stopped",
                subject=experiment,
                parameters={"name": experiment.title},
                actor=actor,
            )
        # One that no process works on, nor did, has nothing to wait for.
        waiting_one = Experiment.objects.filter(
            pk=experiment.pk, state=Experiment.State.WAITING, leased_until=None
        )
        waiting_one.update(state=Experiment.State.STOPPED, finished_at=clock.now())
    experiment.refresh_from_db()


def rename(*, experiment: Experiment, name: str, actor: User) -> None:
    """Give it another name; empty: none. Raises ExperimentRefused."""
    _check_change(actor, experiment)
    experiment.name = name.strip()
    experiment.save(update_fields=["name"])


def resume() -> None:
    """Queue each experiment that is due: what Redis lost, was cut off, or found no place.

    What a process left on this machine that was killed after its end goes.
    """
    for pk in Experiment.objects.due().values_list("pk", flat=True)[:20]:
        enqueue_on_commit(_TASK, pk)
    rows = Experiment.objects.unfinished()
    call_log.drop_ended(lambda uids: set(rows.filter(uid__in=uids).values_list("uid", flat=True)))


def wait_until_done(uid: str, *, seconds: float) -> None:
    """Return when it has ended, or after ``seconds``; see core/waiting.py."""
    state = Experiment.objects.filter(uid=uid).values_list("state", flat=True)
    waiting.until(state.first, lambda found: found not in Experiment.UNSETTLED, seconds=seconds)


_COLUMNS = ("calls", "succeeded", "failed", "unknown", "cold", "cold_share")


def csv_of(experiment: Experiment) -> Iterator[str]:
    """The lines of a CSV file: one for each target, with its labels."""
    models = {one.name: one.target_model for one in CallTarget.all_from(experiment.targets)}
    result = experiment.result
    head = ["target", "target_model", *_COLUMNS, "p50_ms", "p90_ms", "p99_ms", "labels"]
    table: list[list[Any]] = []
    for name, one in result.get("targets", {}).items():
        labels = "; ".join(f"{label}: {n}" for label, n in result["labels"].get(name, {}).items())
        times = list(one["latency_ms"].values())
        table.append([name, models.get(name, ""), *(one[key] for key in _COLUMNS), *times, labels])
    return spreadsheet.lines(head, table)
