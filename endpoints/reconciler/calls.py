"""The calls that bring an endpoint to what is wanted of it, for who wants to see them before."""

from endpoints import autoscaling, sagemaker
from endpoints.models import Endpoint, Resource
from endpoints.reconciler.kinds import CONFIG, KINDS, MODEL, how_to_update, wanted_counts
from endpoints.sagemaker import Call

_DEREGISTER = "DeregisterScalableTarget"


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
            # Where tags alone differ, and where AWS sets the number, nothing is called for it.
            if endpoint.limits is None and endpoint.running != endpoint.requested:
                calls.append(sagemaker.count_call(**wanted_counts(endpoint)))
        else:
            if endpoint.must_not_be_scaled:
                variant = endpoint.scaled_variant
                calls.append(autoscaling.deregister_call(name=endpoint.name, variant=variant))
            update = sagemaker.update_call(
                name=endpoint.name,
                config_name=endpoint.config_name,
                **how_to_update(endpoint),
            )
            calls.append(update)
        calls += tag_changes(endpoint)
    # A model and a config may have the same name.
    kept = set(wanted.items())
    earlier = [row for row in rows if _is_earlier(row) and (row.kind, row.name) not in kept]
    configs = [row.name for row in earlier if row.kind == CONFIG.kind]
    models = [row.name for row in earlier if row.kind == MODEL.kind]
    deletions = [*map(sagemaker.delete_config_call, configs)]
    deletions += map(sagemaker.delete_model_call, models)
    if any(call.action == _DEREGISTER for call in calls):
        deletions += scaling_calls(endpoint)
    return calls, deletions


def tag_changes(endpoint: Endpoint) -> list[Call]:
    """What gives the SageMaker endpoint the tags that are wanted of it."""
    arn = endpoint.resources.filter(kind=Resource.Kind.ENDPOINT).values_list("arn", flat=True)
    before = endpoint.tags_set or {}
    return sagemaker.tag_calls(arn.first() or "", tags=endpoint.chosen.tags, before=before)


def scaling_calls(endpoint: Endpoint) -> list[Call]:
    """What has AWS scale the endpoint as it is wanted, or scale it no more."""
    limits, variant = endpoint.limits, endpoint.scaled_variant
    if limits is None:
        return (
            [autoscaling.deregister_call(name=endpoint.name, variant=variant)]
            if endpoint.scales
            else []
        )
    return [
        autoscaling.register_call(name=endpoint.name, limits=limits, variant=variant),
        *autoscaling.scheduled_calls(name=endpoint.name, limits=limits, variant=variant),
        autoscaling.policy_call(name=endpoint.name, limits=limits, variant=variant),
    ]


def _is_earlier(row: Resource) -> bool:
    """Whether the portal made it for a revision, and may delete it when another one serves."""
    return row.revision is not None and row.exists and row.state != Resource.State.KEPT
