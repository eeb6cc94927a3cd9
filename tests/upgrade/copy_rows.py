"""Makes of an empty database one of an earlier commit: ``copy_rows.py SQLITE_FILE``.

The tables come of the migrations that the file names as applied, the rows from the file. Run by
test_upgrade.py in a process of its own, with DATABASE_URL naming the empty database.
"""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")

import django

django.setup()

from django.core.management.color import no_style  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

connections.databases["old"] = connections.databases["default"] | {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": sys.argv[1],
    "OPTIONS": {},
}

with connections["old"].cursor() as cursor:
    cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
    last = dict(cursor.fetchall())  # of each app the one that was applied last
MigrationExecutor(connection).migrate(list(last.items()))
state = MigrationExecutor(connection).loader.project_state(list(last.items()))
models = state.apps.get_models(include_auto_created=True)
with transaction.atomic():
    for model in models:
        for field in model._meta.concrete_fields:
            if getattr(field, "auto_now_add", False):
                field.auto_now_add = False  # the rows keep their times
        rows = list(model._default_manager.using("old").order_by("pk"))
        for row in rows:
            row._state.db = "default"
        model._default_manager.using("default").bulk_create(rows)
    for statement in connection.ops.sequence_reset_sql(no_style(), models):
        with connection.cursor() as cursor:
            cursor.execute(statement)
