"""An id that does not tell how many calls there are; the sweep names the rows from before."""

from django.db import migrations, models

import invocations.models


class Migration(migrations.Migration):
    dependencies = [("invocations", "0003_test_sets")]

    operations = [
        # Without the default first: it would give all rows that are there the same value.
        migrations.AddField(
            model_name="invocation",
            name="uid",
            field=models.CharField(editable=False, max_length=32, null=True, unique=True),
        ),
        migrations.AlterField(
            model_name="invocation",
            name="uid",
            field=models.CharField(
                default=invocations.models.new_uid,
                editable=False,
                help_text="Its id in the API; None in rows of the release before, until the sweep.",
                max_length=32,
                null=True,
                unique=True,
            ),
        ),
    ]
