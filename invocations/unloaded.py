"""Which versions were unloaded so that the model of a call had room."""

from dataclasses import dataclass

from invocations.models import Invocation
from models_catalog.models import Version


@dataclass(frozen=True)
class PutOut:
    """What was put out of memory: ``versions``, and ``others``, of which no version is known."""

    versions: list[Version]
    others: int


def versions_of(call: Invocation) -> PutOut | None:
    """The versions that the container named; None where nothing was unloaded for the call."""
    if not call.put_out:
        return None
    endpoint = call.endpoint
    prefix = f"{endpoint.prefix}/" if endpoint.prefix else ""
    rows = Version.objects.filter(
        bucket=endpoint.bucket,
        prefix=endpoint.prefix,
        key__in=[f"{prefix}{name}" for name in call.put_out["names"]],
    )
    found = list(rows.select_related("model").defer("report", "model__description").order_by("pk"))
    return PutOut(found, max(0, call.put_out["count"] - len(found)))
