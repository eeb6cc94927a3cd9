"""The CloudWatch metrics and log lines that SageMaker writes for multi-model endpoints.

They are written to moto's CloudWatch and Logs on the same port. Names, units and dimensions are
those of DG/multi-model-endpoint-cloudwatch-metrics. A metric has one datum for each minute. Both
are in memory, bounded, and lost when localaws ends.
"""

import datetime as dt
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import scraping
from .averages import mean
from .clock import Clock
from .options import Options
from .scraping import Published

if TYPE_CHECKING:
    from .moto_logs import LogLines

log = logging.getLogger(__name__)

INVOCATIONS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"
_UNITS = {
    "Invocations": "None",
    "InvocationsPerInstance": "None",
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
    "ModelCacheHit": "None",
    "LoadedModelCount": "None",
    "CPUUtilization": "Percent",
    "MemoryUtilization": "Percent",
    "DiskUtilization": "Percent",
}
OF_MULTI_MODEL = frozenset(
    {
        "ModelCacheHit",
        "ModelLoadingWaitTime",
        "ModelDownloadingTime",
        "ModelLoadingTime",
        "ModelUnloadingTime",
        "LoadedModelCount",
    }
)
"""Metrics that only multi-model endpoints have (DG/multi-model-endpoint-cloudwatch-metrics)."""
_KEPT = dt.timedelta(hours=3)
_PUBLISHED_KEPT = dt.timedelta(hours=1)
"""For what containers tell: it is more than all the rest together."""
_QUEUE = 50_000
_IMPORTING = threading.Lock()


def import_moto() -> None:
    """Import moto's modules; called before each use.

    They have circular imports, so two threads must not import them at the same time.
    """
    with _IMPORTING:
        import moto.cloudwatch.models
        import moto.logs.models
        import moto.moto_server.werkzeug_app  # noqa: F401

        from . import moto_alarms, moto_logs, moto_percentiles, moto_queries  # noqa: F401


@dataclass(frozen=True, slots=True)
class _Metric:
    namespace: str
    name: str
    endpoint: str
    variant: str
    value: float
    at: float
    labels: tuple[tuple[str, str], ...] = ()
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    group: str
    stream: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a metric in a minute; their members are named as CloudWatch's statistics.

    ``counts``: how often each value occurred, for percentiles; empty where that is not known.
    """

    Sum: float
    SampleCount: float
    Minimum: float
    Maximum: float
    counts: Mapping[float, int] = field(default_factory=dict)

    @property
    def Average(self) -> float:
        if not self.SampleCount:
            return 0.0
        return mean(self.Sum, self.SampleCount, self.Minimum, self.Maximum)

    def joined(self, other: "Values | None") -> "Values":
        if other is None:
            return self
        return Values(
            self.Sum + other.Sum,
            self.SampleCount + other.SampleCount,
            min(self.Minimum, other.Minimum),
            max(self.Maximum, other.Maximum),
            _joined(self, other),
        )


def _joined(one: Values, other: Values) -> Mapping[float, int]:
    """The counts of both; none where those of one are not known."""
    if not (one.counts and other.counts):
        return {}
    return Counter(one.counts) + Counter(other.counts)


class Telemetry:
    """Takes metrics and log lines from any thread, through a queue."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._clock = clock
        self._region = options.region
        self._account = options.account
        self._queue: queue.Queue[_Metric | _Line | Callable[[], None]] = queue.Queue(_QUEUE)
        self._current: dict[tuple[object, ...], Any] = {}
        self._minute: dt.datetime | None = None
        self._logs: LogLines | None = None
        threading.Thread(target=self._run, name="telemetry", daemon=True).start()

    def metric(
        self, endpoint: str, variant: str, name: str, value: float, namespace: str = INVOCATIONS
    ) -> None:
        """Count a value; times are microseconds."""
        self._put(_Metric(namespace, name, endpoint, variant, value, self._clock.now()))

    def published(self, endpoint: str, variant: str, values: Iterable[Published]) -> None:
        """What a container tells (see :mod:`localaws.scraping`)."""
        for one in values:
            where = (scraping.NAMESPACE, one.name, endpoint, variant)
            self._put(_Metric(*where, one.value, self._clock.now(), one.labels, one.unit))

    def line(self, endpoint: str, stream: str, text: str) -> None:
        """A log line of an instance; ``stream`` is VARIANT/INSTANCE-ID."""
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        self._put(_Line(group, stream, text, time.time()))

    def flush(self, timeout: float = 10.0) -> None:
        """Return when everything that was put before is visible."""
        done = threading.Event()
        self._queue.put(done.set, timeout=timeout)
        done.wait(timeout)

    def minutes(
        self, namespace: str, name: str, dimensions: Mapping[str, str], since: float, until: float
    ) -> dict[int, Values]:
        """What was counted in each minute from ``since`` to before ``until``; by the minute's
        begin, in seconds since 1970. Also what clients put (PutMetricData).
        """
        self.flush()
        import_moto()
        from moto.cloudwatch.models import cloudwatch_backends

        found: dict[int, Values] = {}
        for one in list(cloudwatch_backends[self._account][self._region].metric_data):
            if (one.namespace, one.name) != (namespace, name):
                continue
            at = _naive_utc(one.timestamp).replace(tzinfo=dt.UTC).timestamp()
            if not since <= at < until:
                continue
            if {each.name: each.value for each in one.dimensions} != dimensions:
                continue
            minute = int(at // 60 * 60)
            found[minute] = _values(one).joined(found.get(minute))
        return found

    def _put(self, item: _Metric | _Line) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            log.warning("telemetry is behind: something was left out")

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            try:
                import_moto()
                if isinstance(item, _Metric):
                    self._add(item)
                elif isinstance(item, _Line):
                    self._append(item)
                else:
                    item()
            except Exception:
                log.exception("telemetry could not be written")

    # moto has no API to change or delete a datum, so this changes its memory (moto 5).

    def _add(self, metric: _Metric) -> None:
        from moto.cloudwatch.models import cloudwatch_backends

        from .moto_percentiles import Datum

        minute = dt.datetime.fromtimestamp(metric.at // 60 * 60, dt.UTC).replace(tzinfo=None)
        backend = cloudwatch_backends[self._account][self._region]
        if minute != self._minute:
            self._minute, self._current = minute, {}
            backend.metric_data[:] = [
                one
                for one in backend.metric_data
                if _naive_utc(one.timestamp) >= minute - _kept(one)
            ]
        key = (metric.namespace, metric.name, metric.endpoint, metric.variant, metric.labels)
        datum = self._current.get(key)
        if datum is None:
            datum = self._current[key] = Datum(
                namespace=metric.namespace,
                name=metric.name,
                dimensions=[
                    {"Name": "EndpointName", "Value": metric.endpoint},
                    {"Name": "VariantName", "Value": metric.variant},
                    *({"Name": name, "Value": value} for name, value in metric.labels),
                ],
                timestamp=minute,
                unit=metric.unit or _UNITS.get(metric.name, "Microseconds"),
            )
            datum.add(metric.value)
            backend.metric_data.append(datum)
        else:
            datum.add(metric.value)

    def _append(self, line: _Line) -> None:
        from .moto_logs import LogLines

        if self._logs is None:
            self._logs = LogLines(self._account, self._region)
        self._logs.append(line.group, line.stream, line.text, line.at)


def _naive_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _kept(datum: Any) -> dt.timedelta:
    return _PUBLISHED_KEPT if datum.namespace == scraping.NAMESPACE else _KEPT


def _values(datum: Any) -> Values:
    """The values of one of moto's data: a single one, or statistics of several."""
    if hasattr(datum, "sample_count"):
        counts = dict(getattr(datum, "counts", {}))
        return Values(datum.sum, datum.sample_count, datum.min, datum.max, counts)
    return Values(datum.value, 1.0, datum.value, datum.value, {float(datum.value): 1})


class ProcessMeter:
    """Processor time and memory of a container: every process of its session."""

    def __init__(self, pid: int) -> None:
        self._session = pid
        self._seconds = self._cpu_seconds()
        self._at = time.monotonic()

    def cpu_percent(self) -> float:
        """Since the last call; 100 is one processor, as on SageMaker."""
        seconds, now = self._cpu_seconds(), time.monotonic()
        percent = 100 * max(0.0, seconds - self._seconds) / max(now - self._at, 0.001)
        self._seconds, self._at = seconds, now
        return percent

    def utilization(self, memory_bytes: int) -> dict[str, float]:
        """The two metrics; 100 is all of ``memory_bytes``."""
        return {
            "CPUUtilization": self.cpu_percent(),
            "MemoryUtilization": 100 * self.memory_bytes() / memory_bytes,
        }

    def memory_bytes(self) -> int:
        """Resident memory; shared pages are divided among processes (PSS)."""
        total = 0
        for pid in self._pids():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            for line in rollup.splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def _cpu_seconds(self) -> float:
        ticks = sum(int(stat[11]) + int(stat[12]) for _, stat in self._stats())
        return ticks / os.sysconf("SC_CLK_TCK")

    def _pids(self) -> list[int]:
        return [pid for pid, _ in self._stats()]

    def _stats(self) -> list[tuple[int, list[str]]]:
        """Fields of /proc/PID/stat from the state on, of the session's processes."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                # A name is cut after 15 bytes, be it within a letter.
                said = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except OSError:
                continue
            stat = said.rpartition(")")[2].split()
            if int(stat[3]) == self._session:
                found.append((int(entry), stat))
        return found
