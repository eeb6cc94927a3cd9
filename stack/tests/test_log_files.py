"""Logs stay bounded, also while their writer goes on writing."""

from pathlib import Path

from stack.log_files import open_log, rotate
from stack.part import Log


def test_a_long_log_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    with open_log(path, "web") as (file, _):
        file.write(b"x" * 2000)
        rotate(path, max_bytes=1000)
        file.write(b"more\n")

        assert path.read_bytes() == b"more\n"
        assert path.with_name("web.log.1").read_bytes().endswith(b"x" * 2000)


def test_a_short_log_and_no_log_are_left_alone(tmp_path: Path) -> None:
    rotate(tmp_path / "none.log")
    path = tmp_path / "web.log"
    path.write_text("short")
    rotate(path)
    assert path.read_text() == "short"


def test_only_the_present_run_is_read(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    path.write_text("old: ready\n")
    with open_log(path, "worker") as (file, start):
        assert "ready" not in Log(path, start).text()
        file.write(b"new: ready\n")
        assert Log(path, start).last_lines(1) == ["new: ready"]
