from django.db import migrations, models

import core.clock


class Migration(migrations.Migration):
    dependencies = [("models_catalog", "0005_published_before")]

    operations = [
        migrations.SeparateDatabaseAndState(
            # Only where Python takes the default from; the table stays as it is.
            state_operations=[
                migrations.AlterField(
                    model_name="version",
                    name="check_after",
                    field=models.DateTimeField(default=core.clock.now),
                ),
            ]
        ),
        # What AWS refuses is told in whole, with what to do about it.
        migrations.AlterField(
            model_name="version",
            name="step",
            field=models.TextField(blank=True, help_text="What the check is doing, or waits for."),
        ),
    ]
