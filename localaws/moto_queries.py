"""GetMetricData over many metrics: moto looks at every datum for each query and each period.

What containers tell is many more data than SageMaker's metrics, and would make each chart of those
slow. So each query is asked by itself, of the data of the metric that it names alone; metric math,
which looks at several, is asked with them. Imported late, as importing moto takes a second.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from moto.cloudwatch import models

_plain: Any = models.CloudWatchBackend.get_metric_data


def _named(queries: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]] | None:
    """Namespaces and names of what queries name; None where one of them may mean anything."""
    found = set()
    for query in queries:
        if str(query.get("Expression", "")).startswith("SELECT"):
            return None
        metric = (query.get("MetricStat") or {}).get("Metric")
        if metric:
            found.add((metric["Namespace"], metric["MetricName"]))
    return found


def _get_metric_data(self: Any, queries: list[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
    alone = all("MetricStat" in one for one in queries)
    groups = [[one] for one in queries] if alone and queries else [queries]
    return [found for group in groups for found in _asked(self, group, *args, **kwargs)]


def _asked(self: Any, queries: list[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
    named = _named(queries)
    if named is None:
        return _plain(self, queries, *args, **kwargs)
    asked = copy.copy(self)
    asked.metric_data = [
        one for one in list(self.metric_data) if (one.namespace, one.name) in named
    ]
    return _plain(asked, queries, *args, **kwargs)


# moto looks it up by this name at each request.
models.CloudWatchBackend.get_metric_data = _get_metric_data
