"""CloudWatch's alarms: moto keeps them, and localaws evaluates them by its own metrics and clock.

moto never changes the state of an alarm. Here each alarm of one metric is looked at when a minute
is over. An alarm whose state was set (SetAlarmState) has it until then.
"""

import logging
import operator
from collections.abc import Callable, Iterable
from typing import Any

from .clock import Clock
from .options import Options
from .telemetry import Telemetry, Values, import_moto

log = logging.getLogger(__name__)

MINUTE = 60
_COMPARED: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


class Alarms:
    """The alarms of this region."""

    def __init__(self, options: Options, telemetry: Telemetry, clock: Clock) -> None:
        self._options = options
        self._telemetry = telemetry
        self._clock = clock

    def _all(self) -> dict[str, Any]:
        import_moto()
        from moto.cloudwatch.models import cloudwatch_backends

        found: dict[str, Any] = cloudwatch_backends[self._options.account][
            self._options.region
        ].alarms
        return dict(found)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of these names that are no alarms."""
        known = self._all()
        return [name for name in names if name not in known]

    def tripped(self, names: Iterable[str]) -> list[str]:
        """Those of these names that are in ALARM."""
        known = self._all()
        return [name for name in names if name in known and known[name].state_value == "ALARM"]

    def evaluate(self) -> None:
        """Give each alarm the state that its metric says."""
        for alarm in self._all().values():
            try:
                self._evaluate(alarm)
            except Exception:
                log.exception("the alarm %s could not be evaluated", alarm.name)

    def _evaluate(self, alarm: Any) -> None:
        compared = _COMPARED.get(alarm.comparison_operator)
        if alarm.rule or alarm.metric_data_queries or not alarm.statistic or compared is None:
            return  # composite, of metric math, of a percentile, of an anomaly
        exceeds, words = compared
        threshold = float(alarm.threshold)
        values = self._periods(alarm)
        known = [value for value in values if value is not None]
        breaching = sum(exceeds(value, threshold) for value in known)
        missing = alarm.treat_missing_data or "missing"
        if missing == "breaching":
            breaching += len(values) - len(known)
        if not known and missing == "ignore":
            return
        if breaching >= (alarm.datapoints_to_alarm or alarm.evaluation_periods):
            state = "ALARM"
        elif known or missing in ("breaching", "notBreaching"):
            state = "OK"
        else:
            state = "INSUFFICIENT_DATA"
        if state == alarm.state_value:
            return
        reason = "Insufficient Data: there were no datapoints in the evaluated periods."
        if state != "INSUFFICIENT_DATA":
            crossed = "Threshold Crossed"
            count = breaching if state == "ALARM" else len(known) - breaching
            was = "" if state == "ALARM" else "not "
            reason = (
                f"{crossed}: {count} datapoint(s) {known} {was}{words} the threshold ({threshold})."
            )
        alarm.update_state(reason, "{}", state)
        log.info("alarm %s: %s. %s", alarm.name, state, reason)

    def _periods(self, alarm: Any) -> list[float | None]:
        """The statistic in each of the evaluated periods that are over, the latest first."""
        seconds = max(MINUTE, int(alarm.period))  # metrics here are those of whole minutes
        end = self._clock.now() // seconds * seconds
        begin = end - seconds * alarm.evaluation_periods
        dimensions = {one.name: one.value for one in alarm.dimensions}
        minutes = self._telemetry.minutes(
            alarm.namespace, alarm.metric_name, dimensions, begin, end
        )
        periods: list[Values | None] = [None] * alarm.evaluation_periods
        for minute, value in minutes.items():
            back = int((end - minute - 1) // seconds)
            periods[back] = value.joined(periods[back])
        return [None if one is None else float(getattr(one, alarm.statistic)) for one in periods]
