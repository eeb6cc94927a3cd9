"""Detailed observability: what a container's own page says, read and published in CloudWatch.

docs/localaws.md, "What a container tells", says what is published, and under which names. SageMaker
itself publishes by OpenTelemetry, for PromQL, which nothing here can answer.
"""

import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import prometheus
from .container_client import ContainerClient, ContainerGone, ContainerTimeout
from .prometheus import Family, InvalidPage, Sample

log = logging.getLogger(__name__)

NAMESPACE = "localaws/ContainerMetrics"
"""Not one of AWS's: what SageMaker publishes has no namespace, and must not be taken for this."""
TIMEOUT = 2.0
"""Seconds that a container has for its page, as for a ping."""
MOST = 500
"""Values of one instance that are published at a time."""
_PARALLEL = 16

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Published:
    """A value for CloudWatch; ``labels`` become dimensions."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    unit: str


def read(container: ContainerClient, path: str) -> list[Family]:
    """The page of a container. Raises InvalidPage with the reason where there is none."""
    try:
        answer = container.metrics(path, TIMEOUT)
    except (ContainerGone, ContainerTimeout) as error:
        raise InvalidPage(f"there was no answer within {TIMEOUT:g} s: {error}") from error
    if not answer.ok:
        raise InvalidPage(f"the container answered {answer.status}")
    return prometheus.parse(answer.body)


def pages(containers: Mapping[str, tuple[ContainerClient, str]]) -> dict[str, list[Family] | None]:
    """The pages of several containers, asked at the same time; None where one has none."""

    def one(about: tuple[ContainerClient, str]) -> list[Family] | None:
        try:
            return read(*about)
        except InvalidPage:
            return None

    if not containers:
        return {}
    with ThreadPoolExecutor(min(len(containers), _PARALLEL), thread_name_prefix="page") as pool:
        return dict(zip(containers, pool.map(one, containers.values()), strict=True))


class Scrapes:
    """When an instance's page is due, and what the last one said."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._counted: dict[Key, float] = {}
        self._complaint = ""

    def is_due(self, seconds: float) -> bool:
        """Whether ``seconds`` have passed since it was the last time, or since the first look."""
        now = time.monotonic()
        due = self._due is not None and now >= self._due
        if due or self._due is None:
            self._due = now + seconds
        return due

    def values(self, container: ContainerClient, path: str, label: str) -> list[Published]:
        """What is to be published now; nothing where the page cannot be read: the log says why.

        ``label`` names the instance there.
        """
        try:
            page = read(container, path)
        except InvalidPage as error:
            self._complain(f"{label}: {path} was not read: {error}")
            return []
        found = self.changes(page)
        if len(found) > MOST:
            self._complain(f"{label}: {path} has {len(found)} values; {MOST} are published")
        return found[:MOST]

    def _complain(self, text: str) -> None:
        if text != self._complaint:  # not at each scrape
            log.info("%s", text)
        self._complaint = text

    def changes(self, page: list[Family]) -> list[Published]:
        """The values of gauges, and by how much counters have grown since the last page.

        A counter that is new began at 0, and so did one that is lower than before: instances are
        watched from their start.
        """
        before, self._counted = self._counted, {}
        found = []
        for family in page:
            for sample in family.samples:
                if _is_left_out(family, sample):
                    continue
                value = float(sample.value)
                if not math.isfinite(value):
                    continue
                if _grows(family, sample):
                    key = (sample.name, sample.labels)
                    self._counted[key] = value
                    last = before.get(key, 0.0)
                    value -= last if value >= last else 0.0
                    if not value:
                        continue
                found.append(Published(sample.name, sample.labels, value, _unit(family, sample)))
        return found


def _grows(family: Family, sample: Sample) -> bool:
    distribution = family.type in ("histogram", "summary")
    return family.type == "counter" or (
        distribution and sample.name in (f"{family.name}_sum", f"{family.name}_count")
    )


def _is_left_out(family: Family, sample: Sample) -> bool:
    """Buckets, moments, and what has an empty label, of which CloudWatch makes no dimension."""
    return (
        (family.type == "histogram" and sample.name == f"{family.name}_bucket")
        or family.name.endswith("_timestamp_seconds")
        or not all(value for _, value in sample.labels)
    )


def _unit(family: Family, sample: Sample) -> str:
    if family.type in ("histogram", "summary") and sample.name == f"{family.name}_count":
        return "Count"
    for ending, unit in (("_seconds", "Seconds"), ("_bytes", "Bytes")):
        if family.name.removesuffix("_total").endswith(ending):
            return unit
    return "Count" if family.type == "counter" else "None"
