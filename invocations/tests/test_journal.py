"""The journal of calls: who reads which file, what is in it, and that it does not grow for ever."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from invocations import journal
from invocations.journal import Journal, of_the_dead


def _dead(folder: Path) -> list[list[journal.Line]]:
    return list(of_the_dead(folder))


def _as_after_a_kill(made: Journal) -> None:
    """Give the lock back and leave the file, as the kernel does."""
    os.close(made._file)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    made = Journal(folder)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made.close()
    assert list(folder.iterdir()) == []


def test_the_lines_of_a_process_that_lives_are_its_own(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.write("a", {"state": "done"})
    assert _dead(tmp_path) == []
    _as_after_a_kill(made)
    assert _dead(tmp_path) == [[{"uid": "a", "state": "done"}]]
    assert _dead(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_not_dealt_with_stays(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.write("a", {})
    _as_after_a_kill(made)

    def fail() -> None:
        for _lines in of_the_dead(tmp_path):
            raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        fail()
    assert _dead(tmp_path) == [[{"uid": "a"}]]


def test_one_process_at_a_time_reads_a_file(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.write("a", {})
    _as_after_a_kill(made)
    with made.path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert _dead(tmp_path) == []
    assert len(_dead(tmp_path)) == 1


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.write("a", {})
    os.write(made._file, b'\n{"uid": "b", "sta')
    made.write("c", {})
    _as_after_a_kill(made)
    assert _dead(tmp_path) == [[{"uid": "a"}, {"uid": "c"}]]


def test_what_is_in_rows_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EMPTIED_ABOVE", 50)
    made = Journal(tmp_path)
    for uid in ("a", "b"):
        made.write(uid, {"name": "x" * 30})
    made.forget(["a"])
    assert made.path.stat().st_size > 80
    made.forget(["b"])
    assert made.path.stat().st_size == 0
    made.write("c", {})
    _as_after_a_kill(made)
    assert _dead(tmp_path) == [[{"uid": "c"}]]


def test_a_file_that_never_rests_is_written_anew_with_what_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ANEW_ABOVE", 1000)
    made = Journal(tmp_path)
    made.write("long", {})
    for number in range(100):
        made.write(f"{number}", {"name": "x" * 30})
        made.forget([f"{number}"])
        assert made.path.stat().st_size < 1200
        assert _dead(tmp_path) == []  # the new file has its lock, too
    _as_after_a_kill(made)
    assert _dead(tmp_path)[0][0] == {"uid": "long"}


def test_a_thread_that_goes_on_after_the_end_writes_into_no_other_file(tmp_path: Path) -> None:
    """The next file that is opened gets the number that the journal had."""
    made = Journal(tmp_path / "journal")
    made.write("a", {"text": "x" * journal.EMPTIED_ABOVE})
    made.close()
    other = tmp_path / "other"
    file = os.open(other, os.O_CREAT | os.O_RDWR)
    os.write(file, b"of somebody else")
    with pytest.raises(OSError, match="Bad file descriptor"):
        made.write("b", {"state": "done"})
    made.forget(["a", "b"])
    os.close(file)
    assert other.read_bytes() == b"of somebody else"
