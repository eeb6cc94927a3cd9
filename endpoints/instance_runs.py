"""What ran: the instances of endpoints over time, as the reconciler saw them.

AWS bills instances for the time that they run, called or not. So each change of their number or
type begins a new row when it is seen, whoever made it: the portal, autoscaling, or somebody else.
"""

from datetime import datetime

from endpoints.models import Endpoint, InstanceRun

#: A variant's name, the type of its instances, and their number.
Part = tuple[str, str, int]


def parts_of(endpoint: Endpoint) -> set[Part]:
    """What runs of an endpoint, as last seen; empty where it is paused, gone, or not there yet."""
    if not endpoint.has_instances:
        return set()
    return {
        (one.name, one.instance_type, one.instance_count)
        for one in endpoint.running.parts
        if one.instance_count
    }


def note(endpoint: Endpoint, parts: set[Part], *, at: datetime) -> None:
    """Write down that this runs from now on; in the transaction of what was seen. Idempotent."""
    going_on = {
        (run.variant, run.instance_type, run.instance_count): run.pk
        for run in InstanceRun.objects.going_on().filter(endpoint=endpoint.pk)
    }
    if over := [pk for part, pk in going_on.items() if part not in parts]:
        InstanceRun.objects.filter(pk__in=over).update(ended_at=at)
    InstanceRun.objects.bulk_create(
        InstanceRun(
            endpoint_id=endpoint.pk,
            variant=variant,
            instance_type=instance_type,
            instance_count=instance_count,
            begun_at=at,
        )
        for variant, instance_type, instance_count in sorted(parts - going_on.keys())
    )
