"""On PostgreSQL the database itself refuses to change or delete an event.

But for two changes: the reference to a user who is deleted goes, and an admin's redaction, which says
so in its transaction (activity/sealing.py). SQLite has no such setting of a transaction; there the ORM
alone refuses it, and `manage.py verify_activity` notices it.
"""

from typing import Any

from django.db import migrations

MAKE = """
CREATE FUNCTION activity_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF current_setting('mmeportal.redacts', true) = 'yes' THEN
            RETURN NEW;
        END IF;
        IF NEW.actor_id IS NULL
            AND to_jsonb(NEW) - 'actor_id' = to_jsonb(OLD) - 'actor_id' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'Events are append-only.' USING ERRCODE = 'raise_exception';
END;
$$;
CREATE TRIGGER activity_event_append_only BEFORE UPDATE OR DELETE ON activity_event
    FOR EACH ROW EXECUTE FUNCTION activity_event_append_only();
"""
REMOVE = """
DROP TRIGGER activity_event_append_only ON activity_event;
DROP FUNCTION activity_event_append_only();
"""


def make(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(MAKE)


def remove(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(REMOVE)


class Migration(migrations.Migration):
    dependencies = [("activity", "0008_event_seals")]

    operations = [migrations.RunPython(make, remove)]
