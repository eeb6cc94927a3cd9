from django.db import migrations
from django.db.models import F


def fill_published(apps, schema_editor):
    """What was published before is the upload itself, byte for byte; `packing` stays empty."""
    Version = apps.get_model("models_catalog", "Version")
    Version.objects.filter(state="ready", published_sha256="").update(
        published_sha256=F("sha256"), published_size=F("size")
    )


class Migration(migrations.Migration):

    dependencies = [
        ('models_catalog', '0004_what_is_served'),
    ]

    operations = [
        migrations.RunPython(fill_published, migrations.RunPython.noop),
    ]
