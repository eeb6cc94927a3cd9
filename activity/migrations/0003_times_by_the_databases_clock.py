from django.db import migrations, models

import core.clock


class Migration(migrations.Migration):
    dependencies = [("activity", "0002_event_parameters")]

    operations = [
        migrations.SeparateDatabaseAndState(
            # Only where Python takes the default from; the table stays as it is.
            state_operations=[
                migrations.AlterField(
                    model_name="event",
                    name="at",
                    field=models.DateTimeField(
                        db_index=True, default=core.clock.now, editable=False
                    ),
                ),
            ]
        )
    ]
