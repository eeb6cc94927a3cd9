"""The hash chain over the log: what is sealed, and what a change of the log is noticed by."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from activity import redaction, sealing, tasks
from activity.models import Event, EventSeal
from activity.services import record
from core import clock


def _events(count: int) -> None:
    for number in range(count):
        record(
            action="model.registered", subject=redaction.Log(), actor=None,
            parameters={"name": f"digits-{number}"},
        )  # fmt: skip


# As somebody with the database's password.
pytestmark = pytest.mark.usefixtures("unguarded")


def _changed(pk: int, **values: Any) -> None:
    """As somebody with the database's password: past the ORM's refusal."""
    Event._base_manager.filter(pk=pk).update(**values)


@pytest.fixture
def sealed(db: None) -> list[int]:
    """The ids of five events that are sealed."""
    _events(5)
    tasks.seal()
    return list(Event.objects.order_by("pk").values_list("pk", flat=True))


def test_each_event_is_sealed_once_and_the_chain_is_right(sealed: list[int]) -> None:
    assert sealing.seal() == 0
    seals = list(EventSeal.objects.all())
    assert [one.event_id for one in seals] == sealed
    assert [one.previous for one in seals] == ["", *(one.link for one in seals[:-1])]
    assert len({one.salt for one in seals}) == 5
    report = sealing.verify()
    assert (report.events, report.seals, report.problems) == (5, 5, [])
    assert report.head == seals[-1].link == sealing.head()


@pytest.mark.parametrize(
    "values",
    [{"actor_name": "somebody"}, {"parameters": {"name": "digits-9"}}, {"level": "error"},
     {"subject_name": "x"}, {"at": "2026-01-01T00:00:00Z"}, {"text": "x"}, {"subject_id": 7},
     {"request_id": "x"}],
)  # fmt: skip
def test_a_changed_event_is_noticed(sealed: list[int], values: dict[str, Any]) -> None:
    _changed(sealed[2], **values)
    [problem] = sealing.verify().problems
    assert problem.startswith(f"The event {sealed[2]} (model.registered) says another thing")


def test_another_code_is_noticed_and_a_deleted_event(sealed: list[int]) -> None:
    _changed(sealed[1], action="model.deleted")
    Event._base_manager.filter(pk=sealed[3]).delete()
    problems = sealing.verify().problems
    assert problems == [
        f"The event {sealed[1]} was model.registered, and is model.deleted.",
        f"The event {sealed[3]} (model.registered) is gone.",
    ]


def test_a_seal_that_was_taken_out_or_changed_is_noticed(sealed: list[int]) -> None:
    one = EventSeal.objects.order_by("pk")[2]
    EventSeal.objects.filter(pk=one.pk).update(digest="0" * 64)
    assert f"The seal {one.pk} (event {sealed[2]}) was changed." in sealing.verify().problems
    EventSeal.objects.filter(pk=one.pk).delete()
    assert any("seals are missing" in problem for problem in sealing.verify().problems)


def test_a_log_that_was_cut_off_with_its_seals_is_noticed_by_a_head_that_was_kept(
    sealed: list[int],
) -> None:
    kept = sealing.head()
    Event._base_manager.filter(pk=sealed[4]).delete()
    EventSeal.objects.filter(event_id=sealed[4]).delete()
    assert sealing.verify().problems == []
    [problem] = sealing.verify(known_head=kept).problems
    assert kept in problem
    _events(2)
    sealing.seal()
    assert sealing.verify(known_head=kept).problems


def test_an_earlier_head_is_in_the_chain_of_a_log_that_went_on(sealed: list[int]) -> None:
    kept = sealing.head()
    _events(2)
    sealing.seal()
    assert sealing.verify(known_head=kept).problems == []


def test_an_event_that_stays_unsealed_is_noticed_and_a_new_one_waits(
    sealed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _events(1)
    report = sealing.verify()
    assert (report.waiting, report.problems) == (1, [])
    later = clock.now() + sealing.LATE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    [problem] = sealing.verify().problems
    assert "is not sealed" in problem


def test_an_event_with_a_lower_id_that_came_later_is_sealed(db: None) -> None:
    """A transaction that took long: its ids are given before, and its rows are there after."""
    _events(3)
    late = Event.objects.order_by("pk")[1]
    _base = Event._base_manager.filter(pk=late.pk)
    _base.delete()
    assert sealing.seal() == 2
    Event._base_manager.bulk_create([late])
    assert sealing.seal() == 1
    assert sealing.verify().problems == []


def test_of_two_jobs_at_once_one_seals(sealed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    _events(1)
    stale = EventSeal.objects.order_by("-pk")[1].link
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "head", lambda: stale)
        assert sealing.seal() == 0
    assert sealing.seal() == 1
    assert sealing.verify().problems == []


def test_a_chain_cannot_fork(sealed: list[int]) -> None:
    last = EventSeal.objects.order_by("-pk")[0]
    with pytest.raises(IntegrityError), transaction.atomic():
        EventSeal.objects.create(event_id=1, action="x", previous=last.previous, link="y")


def test_what_was_redacted_is_sealed_anew_and_cannot_be_guessed(
    sealed: list[int], user_in: Callable[[str], User]
) -> None:
    kept = sealing.head()
    redaction.redact(text="digits-2", actor=user_in("admin"))
    old = EventSeal.objects.get(event_id=sealed[2])
    assert (old.salt, old.redacted_at is None) == ("", False)
    sealing.seal()
    report = sealing.verify(known_head=kept)
    assert (report.redacted, report.problems) == (1, [])
    assert EventSeal.objects.filter(event_id=sealed[2]).count() == 2
    _changed(sealed[2], actor_name="somebody")
    assert len(sealing.verify().problems) == 1


def test_an_old_event_that_was_redacted_is_sealed_anew(
    sealed: list[int], user_in: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "_OUT_OF_ORDER", 2)
    redaction.redact(text="digits-0", actor=user_in("admin"))
    sealing.seal()
    assert not sealing.unsealed().exists()
    monkeypatch.setattr(sealing, "LATE", timedelta(0))
    report = sealing.verify()
    assert (report.redacted, report.problems) == (1, [])
    assert sealing.seal() == 0


def test_the_command_says_what_is_wrong_and_prints_the_head(sealed: list[int]) -> None:
    out = StringIO()
    call_command("verify_activity", stdout=out)
    assert out.getvalue().splitlines()[-1] == f"head {sealing.head()}"
    call_command("verify_activity", head=sealing.head(), stdout=out)
    _changed(sealed[0], text="x")
    with pytest.raises(CommandError, match="1 problems"):
        call_command("verify_activity", stdout=out)
    assert f"The event {sealed[0]}" in out.getvalue()


def test_an_empty_log_is_right(db: None) -> None:
    assert sealing.seal() == 0
    out = StringIO()
    call_command("verify_activity", stdout=out)
    assert "(none)" in out.getvalue()
