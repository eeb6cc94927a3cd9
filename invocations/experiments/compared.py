"""Two experiments beside each other: find the other one, and give the figures of both."""

from dataclasses import dataclass

from django.db.models import TextChoices
from django.utils.translation import gettext

from invocations.experiments.tally import PERCENTILES
from invocations.models import Experiment


class FigureKind(TextChoices):
    """What a figure counts."""

    NUMBER = "number"
    SHARE = "share"
    MS = "ms"


@dataclass(frozen=True)
class Figure:
    """A figure of both. ``name``: where it is in the document, as ``latency_ms.all.p50``."""

    name: str
    label: str
    kind: FigureKind
    one: float | None
    other: float | None


def find(experiment: Experiment, named: str) -> Experiment | None:
    """Another experiment by its id, or the newest one that has this name.

    With an empty ``named`` the newest other one on the same endpoint. None: there is none.
    """
    others = Experiment.objects.listed().exclude(pk=experiment.pk).order_by("-pk")
    if not named:
        return others.filter(endpoint=experiment.endpoint_id).first()
    return others.filter(uid=named).first() or others.filter(name=named).first()


def figures(one: Experiment, other: Experiment) -> list[Figure]:
    """The counts of both, their shares of cold starts and their percentiles."""
    found = [
        Figure(name, label, kind, one.result[name], other.result[name])
        for name, kind, label in (
            ("calls", FigureKind.NUMBER, gettext("Calls")),
            ("failed", FigureKind.NUMBER, gettext("Failed")),
            ("unknown", FigureKind.NUMBER, gettext("Unknown")),
            ("cold", FigureKind.NUMBER, gettext("Cold starts")),
            ("cold_share", FigureKind.SHARE, gettext("Share of cold starts")),
            ("calls_per_second", FigureKind.NUMBER, gettext("Calls a second")),
        )
    ]
    kinds = {"all": gettext("All calls"), "cold": gettext("Cold starts"), "warm": gettext("Warm")}
    for kind, label in kinds.items():
        for part in (f"p{each}" for each in PERCENTILES):
            both = [row.result["latency_ms"][kind][part] for row in (one, other)]
            found.append(
                Figure(f"latency_ms.{kind}.{part}", f"{label}, {part}", FigureKind.MS, *both)
            )
    return found
