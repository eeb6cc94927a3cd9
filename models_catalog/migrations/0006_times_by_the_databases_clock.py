from django.db import migrations, models

import mmeportal.clock


class Migration(migrations.Migration):
    dependencies = [("models_catalog", "0005_published_before")]

    operations = [
        migrations.SeparateDatabaseAndState(
            # Only where Python takes the default from; the table stays as it is.
            state_operations=[
                migrations.AlterField(
                    model_name="version",
                    name="check_after",
                    field=models.DateTimeField(default=mmeportal.clock.now),
                ),
            ]
        )
    ]
