from django.db import migrations


class Migration(migrations.Migration):
    """Pictures and invocations belong to the app ``invocations``; their tables stay."""

    dependencies = [("endpoints", "0004_times_by_the_databases_clock")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel(name="Invocation"),
                migrations.DeleteModel(name="Picture"),
            ]
        )
    ]
