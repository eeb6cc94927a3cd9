"""Fill in what ran before runs were kept, from the history of each endpoint.

A row says that it is ``assumed``. Endpoints that have runs are left out, so that it can be run twice.
"""

from itertools import groupby

from django.db import migrations
from django.utils import timezone

_SERVING = (
    *("in_service", "updating", "system_updating", "rolling_back", "update_rollback_failed"),
)
_BEGINS = ("endpoint.endpoint.in_service", "endpoint.adopted")
_CHANGES = (
    *("endpoint.updated", "endpoint.updated_variants", "endpoint.updated_outside"),
    *("endpoint.drift_accepted", "endpoint.drift_accepted_why", "endpoint.scaled"),
)
_ENDS = (
    *("endpoint.endpoint.deleting", "endpoint.endpoint.gone", "endpoint.endpoint.failed"),
    *("endpoint.endpoint.out_of_service", "endpoint.endpoint.lost", "endpoint.gone"),
    *("endpoint.deleted_outside", "endpoint.paused"),
)
_PLAIN = "AllTraffic"


def fill(apps, schema_editor):
    """Walk through the events of each endpoint that has no runs."""
    alias = schema_editor.connection.alias
    events = apps.get_model("activity", "Event").objects.using(alias)
    endpoints = apps.get_model("endpoints", "Endpoint").objects.using(alias)
    without = {one.pk: one for one in endpoints.filter(runs=None).prefetch_related("revisions")}
    told = events.filter(subject_kind="endpoint", action__in=(*_BEGINS, *_CHANGES, *_ENDS))
    told = told.order_by("subject_id", "pk").iterator(chunk_size=500)
    for pk, some in groupby(told, key=lambda event: event.subject_id):
        if pk in without:
            _fill_one(apps, alias, without.pop(pk), some)
    for endpoint in without.values():  # of which no event tells
        _fill_one(apps, alias, endpoint, ())


def _fill_one(apps, alias, endpoint, events):
    run_model = apps.get_model("endpoints", "InstanceRun")
    revisions = {one.number: one for one in endpoint.revisions.all()}
    first = revisions[min(revisions)] if revisions else endpoint
    sizes, begun, runs = _sizes(first), None, []

    def end(at):
        if begun is None or at <= begun:
            return
        for variant, (instance_type, count) in sizes.items():
            if count:
                runs.append(
                    run_model(
                        endpoint_id=endpoint.pk, variant=variant, instance_type=instance_type,
                        instance_count=count, begun_at=begun, ended_at=at, assumed=True,
                    )
                )

    for event in events:
        if event.action in _ENDS:
            end(event.at)
            begun = None
            continue
        after = _after(apps, alias, endpoint, revisions, sizes, event)
        if event.action in _BEGINS:
            sizes = after
            begun = begun or event.at
        elif after != sizes:
            end(event.at)
            begun, sizes = begun and event.at, after
    runs_now = endpoint.gone_at is None and endpoint.state in _SERVING
    if runs_now:
        begun = begun or endpoint.created_at
        end(timezone.now())
        for run in runs:
            if run.begun_at == begun:
                run.ended_at = None
    elif begun is not None:
        end(endpoint.gone_at or endpoint.checked_at or timezone.now())
    run_model.objects.using(alias).bulk_create(runs, batch_size=100)


def _after(apps, alias, endpoint, revisions, sizes, event):
    """What runs after an event: the type and number of each variant."""
    said = event.parameters or {}
    if event.action == "endpoint.updated_outside":
        resources = apps.get_model("endpoints", "Resource").objects.using(alias)
        config = resources.filter(endpoint=endpoint.pk, kind="config", name=said.get("config", ""))
        found = config.exclude(instance_count=None).first()
        return sizes if found is None else _sizes(found)
    number = said.get("revision")
    revision = revisions.get(number) if isinstance(number, int) else None
    if revision is not None:
        return _sizes(revision)
    count = said.get("instance_count")
    if not isinstance(count, int) or len(sizes) != 1:
        return sizes
    ((variant, (before, _count)),) = sizes.items()
    return {variant: (said.get("instance_type", before), count)}


def _sizes(row):
    if row.variants:
        return {
            one["name"]: (one["instance_type"], one["instance_count"]) for one in row.variants
        }
    return {_PLAIN: (row.instance_type, row.instance_count)}


class Migration(migrations.Migration):

    dependencies = [
        ("activity", "0009_append_only"),
        ("endpoints", "0020_instance_runs"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
