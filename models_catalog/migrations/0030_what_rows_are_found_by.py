import unicodedata

from django.db import migrations, transaction

AT_ONCE = 500


def folded(text):
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', text).casefold())


def numbers(row):
    if row.state != 'ready':
        return {}
    found = (row.metadata or {}).items()
    return {key: one for key, one in found if isinstance(one, int | float) and not isinstance(one, bool)}


def batches(Model, *columns):
    last = 0
    while rows := list(Model.objects.filter(pk__gt=last).order_by('pk').only(*columns)[:AT_ONCE]):
        yield {row.pk: row for row in rows}
        last = rows[-1].pk


def keep(apps, schema_editor):
    """Make what models and versions are found by, some at a time; begun again, it makes the rest."""
    SearchText = apps.get_model('models_catalog', 'SearchText')
    VersionNumber = apps.get_model('models_catalog', 'VersionNumber')
    Model = apps.get_model('models_catalog', 'RegisteredModel')
    Version = apps.get_model('models_catalog', 'Version')
    for rows in batches(Model, 'name', 'description', 'tag_lines'):
        there = set(SearchText.objects.filter(model__in=rows, version=None).values_list('model_id', flat=True))
        SearchText.objects.bulk_create(
            SearchText(model_id=pk, text=folded('\n'.join([row.name, row.description, row.tag_lines])))
            for pk, row in rows.items() if pk not in there
        )
    for rows in batches(Version, 'model', 'note', 'file_name', 'metadata', 'state'):
        there = set(SearchText.objects.filter(version__in=rows).values_list('version_id', flat=True))
        new = [row for pk, row in rows.items() if pk not in there]
        with transaction.atomic():
            for row in new:
                pairs = [f'{key}={one}' for key, one in sorted((row.metadata or {}).items())]
                row.text = folded('\n'.join([row.note, row.file_name, *pairs]))
            SearchText.objects.bulk_create(
                SearchText(model_id=row.model_id, version_id=row.pk, text=row.text) for row in new
            )
            VersionNumber.objects.bulk_create(
                VersionNumber(model_id=row.model_id, version_id=row.pk, key=key, value=value)
                for row in new for key, value in numbers(row).items()
            )


class Migration(migrations.Migration):

    atomic = False  # each batch is there at once

    dependencies = [
        ('models_catalog', '0029_found_by'),
    ]

    operations = [
        migrations.RunPython(keep, migrations.RunPython.noop),
    ]
