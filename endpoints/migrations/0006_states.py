import re

from django.db import migrations, models

# Written into the row by the portal itself; all other old words are SageMaker's.
PORTAL_WORDS = {"Requested", "Waiting", "Created", "Kept", "Gone"}
ENDPOINT_STATES = [
    ("requested", "Requested"),
    ("creating", "Creating"),
    ("in_service", "InService"),
    ("updating", "Updating"),
    ("system_updating", "SystemUpdating"),
    ("rolling_back", "RollingBack"),
    ("update_rollback_failed", "UpdateRollbackFailed"),
    ("out_of_service", "OutOfService"),
    ("deleting", "Deleting"),
    ("failed", "Failed"),
    ("gone", "Gone"),
    ("unrecognized", "Unrecognized"),
]
RESOURCE_STATES = [
    ("waiting", "Waiting"),
    ("created", "Created"),
    *ENDPOINT_STATES[1:-1],
    ("kept", "Kept"),
    ("unrecognized", "Unrecognized"),
]


def fill(apps, schema_editor):
    """Set the new columns from the old one."""
    for name, states in (("Endpoint", ENDPOINT_STATES), ("Resource", RESOURCE_STATES)):
        rows = apps.get_model("endpoints", name).objects.using(schema_editor.connection.alias)
        for word in rows.order_by().values_list("old_status", flat=True).distinct():
            state = re.sub(r"(?<!^)(?=[A-Z])", "_", word).lower()
            if state not in dict(states):
                state = "unrecognized"
            rows.filter(old_status=word).update(
                state=state, sagemaker_status="" if word in PORTAL_WORDS else word
            )
    resources = apps.get_model("endpoints", "Resource").objects
    # SageMaker has a status for endpoints alone.
    resources.using(schema_editor.connection.alias).exclude(kind="endpoint").update(
        sagemaker_status=""
    )


def added(model, states, first, old):
    """The new columns of a model; the old one stays, under a name that says what it is for."""
    status = {
        "max_length": 30,
        "default": old,
        "editable": False,
        "help_text": "What the release before reads and writes.",
    }
    return [
        # The next release can then insert rows without it.
        migrations.AlterField(
            model, "status", models.CharField(db_default=old, **status)
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model,
                    "status",
                    models.CharField(db_default=old, db_column="status", **status),
                ),
                migrations.RenameField(model, "status", "old_status"),
            ]
        ),
        migrations.AddField(
            model,
            "state",
            models.CharField(choices=states, db_default=first, default=first, max_length=30),
        ),
        migrations.AddField(
            model,
            "sagemaker_status",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="SageMaker's EndpointStatus, as last seen.",
                max_length=30,
            ),
        ),
    ]


class Migration(migrations.Migration):
    """A state of the portal's, and SageMaker's word, each in a column of its own.

    The column ``status`` stays: the release before reads and writes it while it still runs.
    """

    dependencies = [("endpoints", "0005_invocations_moved")]

    operations = [
        *added("endpoint", ENDPOINT_STATES, "requested", "Requested"),
        *added("resource", RESOURCE_STATES, "waiting", "Waiting"),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
