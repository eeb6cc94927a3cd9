"""The calls that bring an endpoint to what is wanted of it, for who wants to see them before."""

from endpoints import sagemaker
from endpoints.models import Endpoint, Resource
from endpoints.reconciler.kinds import CONFIG, KINDS, MODEL
from endpoints.sagemaker import Call


def creation_calls(endpoint: Endpoint) -> list[Call]:
    """What creates a new endpoint, in this order."""
    return [kind.creation(endpoint) for kind in KINDS]


def change_calls(endpoint: Endpoint) -> tuple[list[Call], list[Call]]:
    """What moves a living endpoint to the revision that it wants, and what is deleted afterwards.

    Both are empty where it is so already.
    """
    rows = list(endpoint.resources.order_by("pk"))
    wanted = {MODEL.kind: endpoint.model_name, CONFIG.kind: endpoint.config_name}
    there = {(row.kind, row.name) for row in rows if row.exists}
    missing = [kind for kind in (MODEL, CONFIG) if (kind.kind, wanted[kind.kind]) not in there]
    calls = [kind.creation(endpoint) for kind in missing]
    if endpoint.updating:
        if endpoint.count_alone:
            call = sagemaker.count_call(name=endpoint.name, count=endpoint.instance_count)
        else:
            call = sagemaker.update_call(name=endpoint.name, config_name=endpoint.config_name)
        calls.append(call)
    # A model and a config may have the same name.
    kept = set(wanted.items())
    earlier = [row for row in rows if _is_earlier(row) and (row.kind, row.name) not in kept]
    configs = [row.name for row in earlier if row.kind == CONFIG.kind]
    models = [row.name for row in earlier if row.kind == MODEL.kind]
    deletions = [*map(sagemaker.delete_config_call, configs)]
    deletions += map(sagemaker.delete_model_call, models)
    return calls, deletions


def _is_earlier(row: Resource) -> bool:
    """Whether the portal made it for a revision, and may delete it when another one serves."""
    return row.revision is not None and row.exists and row.state != Resource.State.KEPT
