import re

from django.db import migrations


def fill(apps, schema_editor):
    """Give the models that are there what they are sorted by; what is empty is made as it is read."""
    Model = apps.get_model('models_catalog', 'RegisteredModel')
    rows = list(Model.objects.filter(name_key='').only('pk', 'name'))
    for model in rows:
        model.name_key = re.sub('[0-9]+', lambda one: one[0].lstrip('0').zfill(12), model.name)
    Model.objects.bulk_update(rows, ['name_key'], batch_size=500)


class Migration(migrations.Migration):

    dependencies = [
        ('models_catalog', '0026_names_by_number'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
