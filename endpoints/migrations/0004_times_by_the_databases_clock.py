from django.db import migrations, models

import core.clock


class Migration(migrations.Migration):
    dependencies = [("endpoints", "0003_endpoint_name_whatever_its_case")]

    operations = [
        migrations.SeparateDatabaseAndState(
            # Only where Python takes the default from; the tables stay as they are.
            state_operations=[
                migrations.AlterField(
                    model_name="endpoint",
                    name="check_after",
                    field=models.DateTimeField(db_index=True, default=core.clock.now),
                ),
                migrations.AlterField(
                    model_name="picture",
                    name="used_at",
                    field=models.DateTimeField(db_index=True, default=core.clock.now),
                ),
                migrations.AlterField(
                    model_name="invocation",
                    name="created_at",
                    field=models.DateTimeField(default=core.clock.now, editable=False),
                ),
                migrations.AlterField(
                    model_name="invocation",
                    name="seen_at",
                    field=models.DateTimeField(
                        default=core.clock.now,
                        help_text="When its process last said that it is under way.",
                    ),
                ),
            ]
        )
    ]
