"""An experiment as programs read it: what the API answers and the page exports."""

from typing import Any

from invocations.models import Experiment

_SHORT = (
    "calls", "succeeded", "failed", "unknown", "cold", "cold_share", "calls_per_second", "seconds",
)  # fmt: skip

_UNTOLD = {"cold": None, "warm": None}


def short(row: Experiment) -> dict[str, Any]:
    """What a list says of it."""
    return {
        "id": row.uid,
        "name": row.name,
        "state": row.state,
        "endpoint": row.endpoint.name,
        "asked": {
            "models": row.named,
            "calls": row.calls,
            "callers": row.callers,
            "rate": row.rate,
            "draw": row.draw,
            "seed": row.seed,
            "pictures": row.pictures,
        },
        "created_at": row.created_at,
        "created_by": row.created_by_name,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "error": None if row.said is None else str(row.said),
        **{name: row.result[name] for name in _SHORT},
    }


def whole(row: Experiment) -> dict[str, Any]:
    """All that came of it so far."""
    models = {one["name"]: one["target_model"] for one in row.targets}
    return {
        **short(row),
        "latency_ms": row.result["latency_ms"],
        "targets": {
            name: {"target_model": models[name], **one}
            for name, one in row.result["targets"].items()
        },
        "labels": row.result["labels"],
        "errors": row.result["errors"],
        "histogram": [
            {"from_ms": low, "to_ms": high, "cold": int(cold), "warm": int(warm)}
            for low, high, cold, warm in row.result["bars"]
        ],
        "loads": row.result["loads"],
        "parts_ms": row.result.get("parts", _UNTOLD),  # none: of the release before
    }
