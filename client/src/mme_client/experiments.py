"""Experiments: many calls of several versions, which the portal makes and counts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mme_client.comparisons import Comparisons
from mme_client.noun import Noun, part
from mme_client.records import ComparedExperiments, Experiment, ExperimentItem, ExperimentPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Seconds that one request waits for the end; between two of them ``seen`` is told.
WAIT_S = 2


class Experiments(Noun):
    """Experiments."""

    def create(
        self,
        endpoint: str,
        models: str,
        *,
        calls: int = 100,
        callers: int | None = None,
        rate: float | None = None,
        draw: str = "uniform",
        seed: int | None = None,
        pictures: str = "samples",
        files: Iterable[str | os.PathLike[str]] = (),
        name: str = "",
    ) -> Experiment:
        """Have the portal call versions many times.

        ``models``: ``digits:*`` (all ready versions), ``digits:1``, ``digits@live``, target models
        below a prefix (``demo-subfolder/*``), or several with commas between. ``callers`` calls are
        under way at a time; with a ``rate`` (calls a second) each call has its planned moment, and
        its latency counts from there. ``draw``: ``uniform``; ``zipf:1.1``, by which the first
        target is called most; or ``day:2026-11-27``: as the endpoint was called on that day (of
        UTC). ``pictures``: ``samples``, ``test-set``, or ``kept``: those of calls of the last day.
        ``files``: pictures of your own, which are sent to the portal and used in place of these.

        >>> made = portal.experiments.create("demo", "digits:*", calls=20, draw="zipf:1.1")
        >>> made.wait().succeeded
        20
        """
        document = _document(endpoint, models, calls, callers, rate, draw, seed, pictures, name)
        document |= self._given(files)
        answer = self._transport.call("POST", "/experiments", document=document)
        return Experiment.of(answer.document(), self._portal)

    def preview(
        self,
        endpoint: str,
        models: str,
        *,
        calls: int = 100,
        callers: int | None = None,
        rate: float | None = None,
        draw: str = "uniform",
        seed: int | None = None,
        pictures: str = "samples",
        files: Iterable[str | os.PathLike[str]] = (),
    ) -> ExperimentPlan:
        """What ``create`` would do: calls by target, seconds, memory. It calls nothing.

        >>> [one.calls for one in portal.experiments.preview("demo", "digits:1,digits:2").targets]
        [50.0, 50.0]
        """
        document = _document(endpoint, models, calls, callers, rate, draw, seed, pictures, "")
        document |= self._given(files)
        answer = self._transport.call("POST", "/experiments/plan", document=document)
        return ExperimentPlan.of(answer.document(), self._portal)

    def _given(self, files: Iterable[str | os.PathLike[str]]) -> dict[str, Any]:
        """What a request says of files, which the portal has kept by then."""
        kept = list(dict.fromkeys(Comparisons(self._portal).keep(one) for one in files))
        return {"given": kept, "pictures": "given"} if kept else {}

    def list(self, *, endpoint: str = "", state: str = "") -> Iterator[ExperimentItem]:
        """The experiments of all people, the latest first."""
        query = {"endpoint": endpoint, "state": state}
        return self._portal.pages(ExperimentItem, "/experiments", query)

    def get(self, id: str, *, wait: int = 0) -> Experiment:
        """One of them, as far as it is; ``wait``: seconds to wait for its end."""
        query = {"wait": wait} if wait else None
        answer = self._transport.call("GET", f"/experiments/{part(id)}", query=query)
        return Experiment.of(answer.document(), self._portal)

    def compare(self, id: str, other: str = "") -> ComparedExperiments:
        """One beside another one: its id or its name; by default the newest on that endpoint."""
        query = {"other": other} if other else None
        answer = self._transport.call("GET", f"/experiments/{part(id)}/comparison", query=query)
        return ComparedExperiments.of(answer.document(), self._portal)

    def stop(self, id: str) -> Experiment:
        """Begin no further call; what is under way is waited for, and what was made is kept."""
        answer = self._transport.call("POST", f"/experiments/{part(id)}/stop")
        return Experiment.of(answer.document(), self._portal)

    def rename(self, id: str, name: str) -> Experiment:
        """Give it another name; empty: none."""
        document = {"name": name}
        answer = self._transport.call("PATCH", f"/experiments/{part(id)}", document=document)
        return Experiment.of(answer.document(), self._portal)

    def csv(self, id: str) -> bytes:
        """A line for each target, as a CSV file in UTF-8."""
        accept = {"Accept": "text/csv"}
        return self._transport.call("GET", f"/experiments/{part(id)}/csv", headers=accept).body

    def wait(
        self,
        experiment: Experiment,
        *,
        timeout: float | None = None,
        seen: Callable[[Experiment], None] | None = None,
    ) -> Experiment:
        """Wait until it has ended; ``seen`` gets it every few seconds.

        Raises TimedOut. The portal goes on by itself.
        """
        with self._portal.within(timeout):
            while experiment.running:
                experiment = self.get(experiment.id, wait=WAIT_S)
                if seen is not None:
                    seen(experiment)
        return experiment


def _document(
    endpoint: str,
    models: str,
    calls: int,
    callers: int | None,
    rate: float | None,
    draw: str,
    seed: int | None,
    pictures: str,
    name: str,
) -> dict[str, Any]:
    """The body of a request; what was not given is left out, so that the portal's preset holds."""
    given = {"callers": callers, "rate": rate, "seed": seed}
    return {
        "endpoint": endpoint,
        "models": models,
        "calls": calls,
        "draw": draw,
        "pictures": pictures,
        "name": name,
        **{key: value for key, value in given.items() if value is not None},
    }
