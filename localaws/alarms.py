"""CloudWatch's alarms: moto holds them, localaws keeps them and evaluates them by its own metrics.

moto never changes the state of an alarm, and forgets all at its end. Here each alarm of one metric
is looked at when a minute is over, by the clock of localaws, and each change is written to the
store. An alarm whose state was set (SetAlarmState) has it until then.
"""

import logging
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from .clock import Clock
from .options import Options
from .resource_store import Resource, ResourceStore
from .statuses import AlarmState
from .telemetry import Telemetry, Values, import_moto

log = logging.getLogger(__name__)

MINUTE = 60
MORE_PERIODS = 2
"""Where data are missing, this many periods before the evaluated ones are read: CloudWatch's
"evaluation range", which is 5 for 3 in its example (User Guide, "How CloudWatch alarms treat
missing data")."""
_COMPARED: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


class Alarms:
    """The alarms of this region."""

    def __init__(
        self, options: Options, telemetry: Telemetry, clock: Clock, store: ResourceStore
    ) -> None:
        self._options = options
        self._telemetry = telemetry
        self._clock = clock
        self._store = store
        self._lock = threading.RLock()
        self._loaded = False
        self._started = clock.now()
        #: What the store has, by name.
        self._stored: dict[str, dict[str, Any]] = {}
        #: Those of before the start, whose metrics are lost.
        self._of_before: set[str] = set()

    def load(self) -> None:
        """Give moto what was kept; the first time alone."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            import_moto()
            from . import moto_alarms

            backend = self._backend()
            for row in self._store.all("alarm"):
                try:
                    alarm = moto_alarms.from_json(row.body["alarm"])
                except (AttributeError, KeyError, TypeError, ValueError):
                    log.exception("the alarm %s cannot be read: it is left out", row.name)
                    continue
                backend.alarms[row.name] = alarm
                tags = [{"Key": key, "Value": value} for key, value in row.body["tags"].items()]
                backend.tagger.tag_resource(alarm.alarm_arn, tags)
                self._stored[row.name] = row.body
                self._of_before.add(row.name)

    def keep(self) -> None:
        """Write what clients changed since the last time, before they are answered."""
        import_moto()
        from . import moto_alarms

        if moto_alarms.changed.is_set():
            moto_alarms.changed.clear()
            self._write()

    def _write(self) -> None:
        from . import moto_alarms

        with self._lock:
            backend = self._backend()
            now = {}
            for name, alarm in list(backend.alarms.items()):
                alarm.history.clear()
                tags = backend.tagger.get_tag_dict_for_resource(alarm.alarm_arn)
                now[name] = {"alarm": moto_alarms.to_json(alarm), "tags": dict(tags)}
            with self._store.transaction():
                for name in self._stored.keys() - now.keys():
                    self._store.remove("alarm", name)
                for name, body in now.items():
                    if self._stored.get(name) != body:
                        at = self._clock.now()
                        arn = backend.alarms[name].alarm_arn
                        self._store.put(Resource("alarm", name, arn, at, at, body=body))
            self._stored = now
            self._of_before &= now.keys()

    def _backend(self) -> Any:
        from moto.cloudwatch.models import cloudwatch_backends

        return cloudwatch_backends[self._options.account][self._options.region]

    def _all(self) -> dict[str, Any]:
        self.load()
        return dict(self._backend().alarms)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of these names that are no alarms."""
        known = self._all()
        return [name for name in names if name not in known]

    def tripped(self, names: Iterable[str]) -> list[str]:
        """Those of these names that are in ALARM."""
        known = self._all()
        return [
            name for name in names if name in known and known[name].state_value == AlarmState.ALARM
        ]

    def evaluate(self) -> None:
        """Give each alarm the state that its metric says."""
        changed = False
        for alarm in self._all().values():
            try:
                changed = self._evaluate(alarm) or changed
            except Exception:
                log.exception("the alarm %s could not be evaluated", alarm.name)
        if changed:
            self._write()

    def _evaluate(self, alarm: Any) -> bool:
        compared = _COMPARED.get(alarm.comparison_operator)
        statistic = alarm.statistic or alarm.extended_statistic
        if alarm.rule or alarm.metric_data_queries or not statistic or compared is None:
            return False  # composite, of metric math, of an anomaly
        exceeds, words = compared
        threshold = float(alarm.threshold)
        seconds = max(MINUTE, int(alarm.period))  # metrics here are those of whole minutes
        end = self._clock.now() // seconds * seconds
        if alarm.name in self._of_before:
            # What was measured before the start is lost, so that nothing follows from its absence.
            if end - seconds * alarm.evaluation_periods < self._started:
                return False
            self._of_before.discard(alarm.name)
        values = self._periods(alarm, statistic, seconds, end)
        breaches = [None if value is None else exceeds(value, threshold) for value in values]
        needed = alarm.datapoints_to_alarm or alarm.evaluation_periods
        missing = alarm.treat_missing_data or "missing"
        state = state_of(breaches, alarm.evaluation_periods, needed, missing)
        if state is None or state == alarm.state_value:
            return False
        known = [value for value in values if value is not None][: alarm.evaluation_periods]
        reason = "Insufficient Data: there were no datapoints in the evaluated periods."
        if state != AlarmState.INSUFFICIENT_DATA:
            crossed = "Threshold Crossed"
            was = "" if state == AlarmState.ALARM else "not "
            reason = f"{crossed}: {known} {was}{words} the threshold ({threshold})."
            if not known:
                reason = f"{crossed}: no datapoints were received, treated as [{missing}]."
        alarm.update_state(reason, "{}", state)
        log.info("alarm %s: %s. %s", alarm.name, state, reason)
        return True

    def _periods(self, alarm: Any, statistic: str, seconds: int, end: float) -> list[float | None]:
        """The statistic in each of the periods that are over, the latest first."""
        count = alarm.evaluation_periods + MORE_PERIODS
        begin = end - seconds * count
        dimensions = {one.name: one.value for one in alarm.dimensions}
        minutes = self._telemetry.minutes(
            alarm.namespace, alarm.metric_name, dimensions, begin, end
        )
        periods: list[Values | None] = [None] * count
        for minute, value in minutes.items():
            back = int((end - minute - 1) // seconds)
            periods[back] = value.joined(periods[back])
        return [None if one is None else _statistic(one, statistic) for one in periods]


def _statistic(values: Values, statistic: str) -> float | None:
    """A statistic, or a percentile as ``p99``; None where the values do not say it."""
    if not statistic.startswith("p"):
        return float(getattr(values, statistic))
    from .moto_percentiles import nearest_rank

    if not values.counts:
        return None
    percentile = nearest_rank(values.counts, Decimal(statistic[1:]))
    return min(max(percentile, values.Minimum), values.Maximum)


def state_of(
    breaches: Sequence[bool | None], periods: int, needed: int, missing: str
) -> str | None:
    """The state of an alarm of ``needed`` in ``periods`` datapoints; None: it stays as it is.

    ``breaches``: whether each datapoint breaches, the latest first, None where there is none; two
    more than ``periods``. The tables of the CloudWatch User Guide, "How alarm state is evaluated
    when data is missing", are those of the tests.
    """
    known = [one for one in breaches if one is not None][:periods]
    count = sum(known)
    if len(known) == periods:
        return AlarmState.ALARM if count >= needed else AlarmState.OK
    if missing == "breaching":
        return AlarmState.ALARM if count + periods - len(known) >= needed else AlarmState.OK
    if missing == "notBreaching":
        return AlarmState.ALARM if count >= needed else AlarmState.OK
    if not known:
        return None if missing == "ignore" else AlarmState.INSUFFICIENT_DATA
    if count >= needed:
        return AlarmState.ALARM
    # Breaching alone, and since as long as an alarm takes: what is missing may have breached, too.
    oldest = max(back for back, one in enumerate(breaches, 1) if one is not None)
    if all(known) and oldest >= needed:
        return None if missing == "ignore" else AlarmState.ALARM
    return AlarmState.OK
