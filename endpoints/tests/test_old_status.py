"""Rows of the release before are read and written while its processes still run.

tests/upgrade/test_upgrade.py migrates them.
"""

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from activity.models import Event
from endpoints.models import Endpoint, Resource
from endpoints.old_status import old_word, state_value
from endpoints.tests.account import Account

BEFORE = [("endpoints", "0005_invocations_moved")]
# What the release before wrote, and what it means.
ENDPOINTS = {
    "Requested": (Endpoint.State.REQUESTED, ""),
    "Creating": (Endpoint.State.CREATING, "Creating"),
    "InService": (Endpoint.State.IN_SERVICE, "InService"),
    "Updating": (Endpoint.State.UPDATING, "Updating"),
    "SystemUpdating": (Endpoint.State.SYSTEM_UPDATING, "SystemUpdating"),
    "RollingBack": (Endpoint.State.ROLLING_BACK, "RollingBack"),
    "UpdateRollbackFailed": (Endpoint.State.UPDATE_ROLLBACK_FAILED, "UpdateRollbackFailed"),
    "OutOfService": (Endpoint.State.OUT_OF_SERVICE, "OutOfService"),
    "Deleting": (Endpoint.State.DELETING, "Deleting"),
    "Failed": (Endpoint.State.FAILED, "Failed"),
    "Gone": (Endpoint.State.GONE, ""),
    "Dreaming": (Endpoint.State.UNRECOGNIZED, "Dreaming"),
}


def write_as_before(table: str, pk: int, **values: str) -> None:
    """Write as a process of the release before does: it knows no other column."""
    columns = ", ".join(f"{connection.ops.quote_name(name)} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {columns} WHERE id = %s", [*values.values(), pk])
        assert cursor.rowcount == 1


def read_as_before(table: str, pk: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT status FROM {table} WHERE id = %s", [pk])
        (status,) = cursor.fetchone()
    return str(status)


@pytest.mark.not_quick
def test_the_release_before_can_insert_more(db: None) -> None:
    """Its INSERT names no new column."""
    before = MigrationExecutor(connection).loader.project_state(BEFORE).apps
    old_endpoint = before.get_model("endpoints", "Endpoint")
    old_endpoint.objects.create(name="demo", status="Requested", instance_type="t")
    assert Endpoint.objects.get(name="demo").state == Endpoint.State.REQUESTED


@pytest.mark.parametrize("model", [Endpoint, Resource])
def test_the_release_before_reads_the_words_that_it_knows(
    model: type[Endpoint] | type[Resource],
) -> None:
    for state in model.State:
        if state != model.State.UNRECOGNIZED:
            assert state_value(old_word(state, "")) == state
    assert {old_word(*new) for new in ENDPOINTS.values()} == set(ENDPOINTS)


def test_what_the_release_before_writes_is_taken_over(endpoint: Endpoint) -> None:
    write_as_before("endpoints_endpoint", endpoint.pk, status="InService")
    resource = endpoint.resources.get(kind=Resource.Kind.MODEL)
    write_as_before("endpoints_resource", resource.pk, status="Created")
    row = Endpoint.objects.get()
    assert (row.state, row.sagemaker_status) == (Endpoint.State.IN_SERVICE, "InService")
    assert row.serving
    assert Endpoint.objects.serving().get() == row
    assert not Endpoint.objects.starting().exists()
    resource.refresh_from_db()
    assert resource.state == Resource.State.CREATED
    write_as_before("endpoints_endpoint", endpoint.pk, status="Dreaming")
    row = Endpoint.objects.get()
    assert (row.state, row.badge.label) == (Endpoint.State.UNRECOGNIZED, "Dreaming")


@pytest.mark.not_quick
def test_the_two_releases_take_turns_and_tell_nothing_twice(
    endpoint: Endpoint,
    account: Account,
    advance: Callable[[Endpoint], Endpoint],
    settle: Callable[[Endpoint], Endpoint],
) -> None:
    """After each step the row is as if the release before had taken it."""
    for _ in range(8):
        endpoint = advance(endpoint)
        word = read_as_before("endpoints_endpoint", endpoint.pk)
        assert state_value(word) == endpoint.state
        for resource in endpoint.resources.all():
            word = read_as_before("endpoints_resource", resource.pk)
            assert state_value(word) == resource.state
            Resource.objects.filter(pk=resource.pk).update(state=Resource.State.WAITING)
            write_as_before("endpoints_resource", resource.pk, status=word)
    assert endpoint.state == Endpoint.State.IN_SERVICE
    told = [event.sentence for event in Event.objects.about("endpoint", endpoint.pk)]
    assert len(told) == len(set(told)) == 5


def test_an_update_of_many_rows_keeps_the_old_column_true(endpoint: Endpoint) -> None:
    Endpoint.objects.update(state=Endpoint.State.FAILED)
    assert read_as_before("endpoints_endpoint", endpoint.pk) == "Failed"
    assert Endpoint.objects.get().state == Endpoint.State.FAILED
    endpoint.state = Endpoint.State.DELETING
    endpoint.save(update_fields=["state"])
    assert read_as_before("endpoints_endpoint", endpoint.pk) == "Deleting"
