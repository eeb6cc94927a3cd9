from django.db import migrations
from django.db.models import F, OuterRef, Subquery

AT_ONCE = 500


def keep(apps, schema_editor):
    """Keep when each model was called last, some models at a time; what is kept stays."""
    Model = apps.get_model('models_catalog', 'RegisteredModel')
    Version = apps.get_model('models_catalog', 'Version')
    Invocation = apps.get_model('invocations', 'Invocation')
    calls = Invocation.objects.filter(version=OuterRef('pk')).order_by('-created_at')
    versions = (
        Version.objects.filter(model=OuterRef('pk'))
        .order_by()
        .annotate(at=Subquery(calls.values('created_at')[:1]))
        .order_by(F('at').desc(nulls_last=True))
    )
    last = 0
    while True:
        rows = Model.objects.filter(pk__gt=last).order_by('pk').only('pk', 'counted_call_at')
        some = list(rows.annotate(at=Subquery(versions.values('at')[:1]))[:AT_ONCE])
        if not some:
            return
        last = some[-1].pk
        called = [one for one in some if one.counted_call_at is None and one.at is not None]
        for one in called:
            one.counted_call_at = one.at
        Model.objects.bulk_update(called, ['counted_call_at'])


class Migration(migrations.Migration):

    atomic = False  # each batch is there at once

    dependencies = [
        ('models_catalog', '0028_counted_call_at'),
        ('invocations', '0021_asked_variant'),
    ]

    operations = [
        migrations.RunPython(keep, migrations.RunPython.noop),
    ]
