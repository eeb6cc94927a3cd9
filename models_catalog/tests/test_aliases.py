"""Aliases: made, moved, rolled back, undone and deleted, also by many at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import ProtectedError

from activity.models import Event
from core.permissions import NotPermitted
from models_catalog import aliases, references, services
from models_catalog.aliases import ABSENT, AliasRefused
from models_catalog.models import Alias, AliasMove, RegisteredModel, Version


def make_model(name: str = "digits", versions: int = 3, **changes: Any) -> RegisteredModel:
    """A model with so many ready versions."""
    model = RegisteredModel.objects.create(name=name)
    Version.objects.bulk_create(
        Version(
            **{
                "model": model,
                "number": number,
                "bucket": "bucket",
                "prefix": "models",
                "key": f"models/{name}_v{number}.tar.gz",
                "file_name": "a.tar.gz",
                "size": 1,
                "sha256": f"{number:064x}",
                "state": Version.State.READY,
            }
            | changes
        )
        for number in range(1, versions + 1)
    )
    return model


def point(number: int, name: str = "live", **more: Any) -> Alias:
    """Point an alias of digits at a version."""
    return aliases.move(model="digits", name=name, number=number, **{"actor": None} | more)[0]


@pytest.fixture(autouse=True)
def _no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models_catalog.alias_mirror.enqueue_on_commit", lambda *_: None)


@pytest.mark.django_db
def test_live_is_there_once_somebody_made_a_version_live() -> None:
    model = make_model()
    assert not Alias.objects.exists()
    alias = point(2)
    assert str(alias) == "digits@live"
    assert model.aliases.get().version.number == 2


@pytest.mark.django_db
def test_the_history_says_who_when_and_why(user_in: Callable[[str], Any]) -> None:
    model = make_model()
    operator = user_in("operator")
    point(1, actor=operator)
    point(3, actor=operator, reason="It is better on blurred digits.")
    newest, first = aliases.history(model, "live")
    assert (newest.kind, newest.version.number, newest.before.number) == ("moved", 3, 1)
    assert (newest.by, newest.reason) == (operator, "It is better on blurred digits.")
    assert (first.kind, first.version.number, first.before) == ("made", 1, None)
    operator.delete()
    assert aliases.history(model)[0].by_name == "operator-user"


@pytest.mark.django_db
def test_a_move_is_an_event_with_its_reason() -> None:
    make_model()
    point(1)
    point(2, reason="Accuracy.")
    said = [event.sentence for event in Event.objects.filter(action__startswith="alias.")]
    assert said == [
        "Made the alias digits@live: it is digits v1.",
        "Moved the alias digits@live from digits v1 to digits v2. The reason: Accuracy.",
    ]


@pytest.mark.django_db
def test_a_move_to_where_it_is_changes_nothing() -> None:
    make_model()
    alias = point(2)
    again, changed = aliases.move(
        model="digits", name="live", number=2, expected=ABSENT, actor=None
    )
    assert (again.revision, changed) == (alias.revision, False)
    assert AliasMove.objects.count() == 1


@pytest.mark.django_db
def test_who_saw_another_state_moves_nothing() -> None:
    make_model()
    seen = point(1).revision
    point(2)
    with pytest.raises(AliasRefused, match="digits v2 now") as refused:
        point(3, expected=seen)
    assert refused.value.code == "changed-meanwhile"
    with pytest.raises(AliasRefused):
        point(3, expected=ABSENT)
    assert Alias.objects.get().version.number == 2


@pytest.mark.django_db
def test_there_and_back_again_is_another_state() -> None:
    make_model()
    seen = point(1).revision
    point(2)
    point(1)
    with pytest.raises(AliasRefused):
        point(3, expected=seen)


@pytest.mark.not_quick
@pytest.mark.django_db
def test_roll_backs_go_back_step_by_step() -> None:
    make_model()
    for number in (1, 2, 3):
        point(number)
    numbers = []
    for _ in range(2):
        alias = aliases.roll_back(model="digits", name="live", actor=None)
        numbers.append(alias.version.number)
    assert numbers == [2, 1]
    with pytest.raises(AliasRefused, match="nothing before"):
        aliases.roll_back(model="digits", name="live", actor=None)
    assert [row.kind for row in AliasMove.objects.all()][:2] == ["rolled_back", "rolled_back"]


@pytest.mark.not_quick
@pytest.mark.django_db
def test_an_undo_takes_back_each_kind_of_move() -> None:
    make_model()

    def undone(revision: int) -> int | None:
        alias = aliases.undo(model="digits", name="live", revision=revision, actor=None)
        return alias.version.number if alias else None

    assert undone(point(1).revision) is None
    assert not Alias.objects.exists()
    point(1)
    assert undone(point(2).revision) == 1
    point(2)
    back = aliases.roll_back(model="digits", name="live", actor=None)
    assert (back.version.number, undone(back.revision)) == (1, 2)
    # What is undone has the same way back as before.
    assert Alias.objects.listed().get().back_to.number == 1  # type: ignore[union-attr]
    gone = aliases.remove(model="digits", name="live", actor=None)
    assert undone(gone.pk) == 2


@pytest.mark.django_db
def test_an_undo_of_what_is_not_the_latest_is_refused() -> None:
    make_model()
    first = point(1).revision
    point(2)
    with pytest.raises(AliasRefused, match="moved meanwhile"):
        aliases.undo(model="digits", name="live", revision=first, actor=None)
    assert Alias.objects.get().version.number == 2


@pytest.mark.django_db
def test_only_ready_versions_of_the_model_have_aliases() -> None:
    make_model()
    make_model("others", versions=9)
    Version.objects.filter(model__name="digits", number=3).update(state=Version.State.CHECKING)
    with pytest.raises(AliasRefused, match="not ready") as refused:
        point(3)
    assert refused.value.code == "model-not-ready"
    with pytest.raises(AliasRefused, match="no version 9"):
        point(9)
    with pytest.raises(AliasRefused, match="no model"):
        aliases.move(model="cats", name="live", number=1, actor=None)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["2", "v2", "latest", "newest", "Live", "", "a@b", "a:b", "a/b"])
def test_names_that_could_be_taken_for_something_else_are_refused(name: str) -> None:
    make_model()
    with pytest.raises(ValidationError):
        point(1, name=name)


@pytest.mark.django_db
def test_a_version_with_an_alias_cannot_be_deleted() -> None:
    make_model()
    alias = point(2)
    with pytest.raises(ProtectedError):
        alias.version.delete()
    Version.objects.exclude(pk=alias.version_id).delete()
    with pytest.raises(services.NotDeletable):
        services.delete_model(name="digits", actor=None)
    assert Alias.objects.get().version.number == 2


@pytest.mark.django_db
def test_a_protected_alias_takes_a_reason(settings: Any) -> None:
    make_model()
    settings.PROTECTED_ALIASES = ["production"]
    with pytest.raises(AliasRefused, match="say why") as refused:
        point(1, name="production", reason="  ")
    assert refused.value.field == "reason"
    alias = point(1, name="production", reason="The first.")
    assert alias.protected
    with pytest.raises(AliasRefused):
        aliases.remove(model="digits", name="production", actor=None)
    with pytest.raises(AliasRefused):
        aliases.undo(model="digits", name="production", revision=alias.revision, actor=None)
    assert Alias.objects.count() == 1


@pytest.mark.django_db
def test_viewers_move_nothing(user_in: Callable[[str], Any]) -> None:
    make_model()
    viewer = user_in("viewer")
    for change in (
        lambda: point(1, actor=viewer),
        lambda: aliases.remove(model="digits", name="live", actor=viewer),
        lambda: aliases.roll_back(model="digits", name="live", actor=viewer),
        lambda: aliases.undo(model="digits", name="live", revision=1, actor=viewer),
    ):
        with pytest.raises(NotPermitted):
            change()


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_of_ten_who_move_one_alias_at_once_each_gets_a_true_answer() -> None:
    make_model(versions=11)
    seen = point(11).revision
    begin = threading.Barrier(10)

    def try_it(number: int) -> str:
        begin.wait()
        try:
            point(number, expected=seen)
        except AliasRefused as refused:
            return refused.code
        finally:
            connection.close()
        return f"moved to {number}"

    with ThreadPoolExecutor(10) as threads:
        said = list(threads.map(try_it, range(1, 11)))
    assert sorted(said)[:9] == ["changed-meanwhile"] * 9
    assert said[Alias.objects.get().version.number - 1].startswith("moved")
    assert AliasMove.objects.count() == 2


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_ten_who_make_one_alias_at_once_make_one() -> None:
    make_model(versions=10)
    begin = threading.Barrier(10)

    def try_it(number: int) -> bool:
        begin.wait()
        try:
            return point(number).version.number == number
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        assert all(threads.map(try_it, range(1, 11)))
    moves = list(aliases.history(RegisteredModel.objects.get()))
    assert len(moves) == 10
    # One after the other, none lost: each says what it found.
    befores = [move.before.number if move.before else None for move in moves[:-1]]
    assert befores == [move.version.number for move in moves[1:]]  # type: ignore[union-attr]
    assert Alias.objects.get().move_id == moves[0].pk


@pytest.mark.django_db
def test_a_reference_is_resolved_when_it_is_used() -> None:
    make_model()

    def meant(text: str) -> int | None:
        version = references.parse(text).resolve()
        return version.number if version else None

    assert meant("digits") == 3
    assert meant("digits:2") == 2
    assert meant("digits@live") is None
    point(1)
    assert (meant("digits"), meant("digits@live")) == (1, 1)
    point(2)
    assert meant("digits") == 2
    point(3, name="production")
    assert (meant("digits@production"), meant("digits")) == (3, 2)
    Version.objects.filter(number=3).update(state=Version.State.CHECKING)
    assert (meant("digits:4"), meant("cats"), meant("digits:3")) == (None, None, 3)


@pytest.mark.parametrize("text", ["digits:", "digits@", "digits:x", "a@b@c", "a:1@b", "", "a\0"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(references.Malformed, match="digits@production"):
        references.parse(text)


@pytest.mark.parametrize("text", ["digits", "digits:2", "digits@production"])
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(references.parse(text)) == text
