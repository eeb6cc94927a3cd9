"""The calls that bring an endpoint to what is wanted of it, for who wants to see them before."""

from endpoints import autoscaling, cloudwatch, sagemaker
from endpoints.models import Endpoint, EndpointAlarm, Resource
from endpoints.reconciler.kinds import CONFIG, ENDPOINT, KINDS, MODEL, how_to_update, wanted_counts
from endpoints.sagemaker import Call

_DEREGISTER = "DeregisterScalableTarget"


def creation_calls(endpoint: Endpoint) -> list[Call]:
    """What creates a new endpoint, in this order."""
    return [kind.creation(endpoint) for kind in KINDS]


def change_calls(endpoint: Endpoint) -> tuple[list[Call], list[Call]]:
    """What moves a living endpoint to the revision that it wants, and what is deleted afterwards.

    Both are empty where it is so already.
    """
    calls = _missing(endpoint)
    if endpoint.updating:
        if endpoint.count_alone:
            # Where tags alone differ, and where AWS sets the number, nothing is called for it.
            if endpoint.limits is None and endpoint.running != endpoint.requested:
                calls.append(sagemaker.count_call(**wanted_counts(endpoint)))
        else:
            if endpoint.must_not_be_scaled:
                calls.append(_deregister(endpoint))
            update = sagemaker.update_call(
                name=endpoint.name,
                config_name=endpoint.config_name,
                **how_to_update(endpoint),
            )
            calls.append(update)
        calls += tag_changes(endpoint)
    deletions = _of_earlier(endpoint)
    if any(call.action == _DEREGISTER for call in calls):
        deletions += scaling_calls(endpoint)
    return calls, deletions


def pause_calls(endpoint: Endpoint) -> tuple[list[Call], list[Call]]:
    """What finishes a change that is under way, and what then pauses the endpoint."""
    before: list[Call] = []
    if endpoint.update_state:
        changes, deletions = change_calls(endpoint)
        asked = endpoint.update_state == Endpoint.Update.ASKED
        before = [*([] if asked else changes), *deletions]
    calls = []
    if endpoint.scaling not in (Endpoint.Scaling.OFF, Endpoint.Scaling.PAUSED):
        calls.append(_deregister(endpoint))
    if _state_of_endpoint(endpoint) != Resource.State.GONE:
        calls.append(sagemaker.delete_endpoint_call(endpoint.name))
    return before, calls


def renewal_calls(endpoint: Endpoint) -> tuple[list[Call], list[Call]]:
    """What makes an endpoint again that was paused or deleted, and what follows when it serves.

    Of one whose pause was asked for, and has not begun, nothing is made again.
    """
    calls, deletions = _missing(endpoint), _of_earlier(endpoint)
    if _state_of_endpoint(endpoint) in (Resource.State.GONE, Resource.State.DELETING):
        calls.append(ENDPOINT.creation(endpoint))
    if endpoint.scales:
        on = endpoint.scaling == Endpoint.Scaling.ON and not calls
        return calls, [*deletions, *([] if on else scaling_calls(endpoint))]
    # The config makes as many as it says.
    counted = bool(calls) and endpoint.in_config != endpoint.requested
    counts = [sagemaker.count_call(**wanted_counts(endpoint))] if counted else []
    return calls, [*counts, *deletions]


def teardown_calls(
    endpoint: Endpoint, *, keep_config: bool = False, keep_model: bool = False
) -> tuple[list[Call], list[Call]]:
    """What ends an endpoint as last seen, and what is deleted when it is gone."""
    calls, deletions = [], []
    if endpoint.scales:
        calls.append(_deregister(endpoint))
    going, _left = endpoint.to_be_torn_down(keep_config=keep_config, keep_model=keep_model)
    for row in going:
        if row.kind == Resource.Kind.ENDPOINT:
            calls.append(sagemaker.delete_endpoint_call(row.name))
        elif row.kind == Resource.Kind.CONFIG:
            deletions.append(sagemaker.delete_config_call(row.name))
        else:
            deletions.append(sagemaker.delete_model_call(row.name))
    alarms = EndpointAlarm.objects.filter(endpoint=endpoint).select_related("endpoint")
    return calls, [*deletions, *(cloudwatch.delete_call(one.name) for one in alarms)]


def _missing(endpoint: Endpoint) -> list[Call]:
    """What makes the model and the config that are wanted, where they are not there."""
    wanted = {MODEL.kind: endpoint.model_name, CONFIG.kind: endpoint.config_name}
    rows = endpoint.resources.order_by("pk")
    there = {(row.kind, row.name) for row in rows if row.exists}
    missing = [kind for kind in (MODEL, CONFIG) if (kind.kind, wanted[kind.kind]) not in there]
    return [kind.creation(endpoint) for kind in missing]


def _of_earlier(endpoint: Endpoint) -> list[Call]:
    """What deletes that which the portal made for other revisions."""
    # A model and a config may have the same name.
    kept = {(MODEL.kind, endpoint.model_name), (CONFIG.kind, endpoint.config_name)}
    rows = endpoint.resources.order_by("pk")
    earlier = [row for row in rows if _is_earlier(row) and (row.kind, row.name) not in kept]
    configs = [row.name for row in earlier if row.kind == CONFIG.kind]
    models = [row.name for row in earlier if row.kind == MODEL.kind]
    deletions = [*map(sagemaker.delete_config_call, configs)]
    deletions += map(sagemaker.delete_model_call, models)
    return deletions


def _deregister(endpoint: Endpoint) -> Call:
    return autoscaling.deregister_call(name=endpoint.name, variant=endpoint.scaled_variant)


def _state_of_endpoint(endpoint: Endpoint) -> str:
    rows = endpoint.resources.filter(kind=Resource.Kind.ENDPOINT)
    return rows.values_list("state", flat=True).first() or ""


def tag_changes(endpoint: Endpoint) -> list[Call]:
    """What gives the SageMaker endpoint the tags that are wanted of it."""
    arn = endpoint.resources.filter(kind=Resource.Kind.ENDPOINT).values_list("arn", flat=True)
    before = endpoint.tags_set or {}
    return sagemaker.tag_calls(arn.first() or "", tags=endpoint.chosen.tags, before=before)


def scaling_calls(endpoint: Endpoint) -> list[Call]:
    """What has AWS scale the endpoint as it is wanted, or scale it no more."""
    limits, variant = endpoint.limits, endpoint.scaled_variant
    if limits is None:
        return [_deregister(endpoint)] if endpoint.scales else []
    return [
        autoscaling.register_call(name=endpoint.name, limits=limits, variant=variant),
        *autoscaling.scheduled_calls(name=endpoint.name, limits=limits, variant=variant),
        autoscaling.policy_call(name=endpoint.name, limits=limits, variant=variant),
    ]


def _is_earlier(row: Resource) -> bool:
    """Whether the portal made it for a revision, and may delete it when another one serves."""
    return row.revision is not None and row.exists and row.state != Resource.State.KEPT
