"""The class archive of the local containers is made anew for another runtime or jar."""

import os
import signal
import sys
from pathlib import Path

import pytest

from stack import java, parts
from stack.layout import Layout


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files that the archive is made of, an archive, and a program in the container's place."""
    made_of = (tmp_path / "libjvm.so", tmp_path / "server.jar")
    for path in made_of:
        path.write_text(path.name)
    archive = tmp_path / "classes.jsa"
    (tmp_path / "entrypoint").write_text(
        f"import pathlib, sys; assert sys.argv[1:] == ['classes']\n"
        f"pathlib.Path({str(archive)!r}).open('a').write('made ')"
    )
    monkeypatch.setattr(java, "_MADE_OF", made_of)
    monkeypatch.setattr(java, "ARCHIVE", archive)
    monkeypatch.setattr(java, "_STAMP", tmp_path / "classes.json")
    monkeypatch.setattr(java, "_ENTRYPOINT", tmp_path / "entrypoint")
    monkeypatch.setattr(java, "_PYTHON", sys.executable)
    return tmp_path


@pytest.mark.processes
def test_it_is_made_once_for_each_runtime_and_jar(elsewhere: Path) -> None:
    archive = elsewhere / "classes.jsa"
    assert not java.archive_is_current()
    for _ in range(2):
        java.make_archive()
        assert java.archive_is_current()
        assert archive.read_text() == "made "
    (elsewhere / "server.jar").write_text("another")
    assert not java.archive_is_current()
    java.make_archive()
    assert archive.read_text() == "made made "
    archive.unlink()
    assert not java.archive_is_current()


@pytest.mark.processes
def test_containers_start_without_one_that_cannot_be_made(
    elsewhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "entrypoint").write_text("import sys; sys.exit('No room.')")
    java.make_archive()
    said = capfd.readouterr()
    assert said.err == "No room.\n"
    assert "Containers start without a class archive" in said.out
    assert not java.archive_is_current()


@pytest.mark.processes
def test_it_is_not_made_in_an_environment_that_is_another_users(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert java.archive_is_to_be_made()
    # root, who may run this test, may write what is read-only.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not java.archive_is_to_be_made()
    java.make_archive()
    assert not java.ARCHIVE.exists()
    monkeypatch.setattr(java, "ARCHIVE", elsewhere / "not yet installed" / "classes.jsa")
    assert java.archive_is_to_be_made()
    assert capfd.readouterr() == ("", "")


@pytest.mark.processes
@pytest.mark.parametrize("failing", ["unlink", "replace"])
def test_a_note_that_cannot_be_written_or_removed_is_no_failure(
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    failing: str,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, failing, full)
        java.make_archive()
    assert "Containers start without a class archive" in capfd.readouterr().out
    assert not java.archive_is_current()


def test_a_note_that_may_not_be_read_counts_as_none(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    java.ARCHIVE.touch()
    monkeypatch.setattr(Path, "read_text", refused)
    assert not java.archive_is_current()


@pytest.mark.processes
def test_what_makes_it_ends_in_order_when_this_is_interrupted(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "entrypoint").write_text(
        "import os, pathlib, signal, sys, time\n"
        f"folder = pathlib.Path({str(elsewhere)!r})\n"
        "def end(*_):\n"
        "    time.sleep(1)\n"
        "    (folder / 'cleaned').touch()\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(60)\n"
    )
    # A program that a shell started in the background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            java.make_archive()
    finally:
        signal.signal(signal.SIGINT, before)
    assert (elsewhere / "cleaned").exists()

    (elsewhere / "cleaned").unlink()
    text = (elsewhere / "entrypoint").read_text()
    (elsewhere / "entrypoint").write_text(text.replace("os.kill(", "0 and os.kill("))
    monkeypatch.setattr(java, "_MAKE_SECONDS", 5)  # in which it has its handler, however busy
    java.make_archive()
    assert (elsewhere / "cleaned").exists(), "one that takes too long, too"
    assert not java.archive_is_current()


def test_localaws_waits_for_it_where_it_has_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "local")
    layout.make_folders()
    for is_missing, waited_for in ((False, []), (True, ["class-archive"])):
        monkeypatch.setattr(java, "archive_is_to_be_made", lambda known=is_missing: known)
        found = {part.name: part for part in parts.parts(layout)}
        assert [name for name in found if name == "class-archive"] == waited_for
        assert [name for name in found["localaws"].after if name != "s3"] == waited_for
