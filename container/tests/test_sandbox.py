"""A hostile program in the sandbox of the validation tries each way out, in each of its forms."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from container.tests.confining import Start, around, outcome, surroundings
from container.tests.serving import descendants, wait_until

pytestmark = pytest.mark.xdist_group("container-preflight")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users can pass through, as pytest's own ones cannot be."""
    with tempfile.TemporaryDirectory(prefix="mme-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")

STARTS = [
    pytest.param(Start(), "bubblewrap", marks=root, id="root"),
    pytest.param(Start(as_docker=True), "Landlock", marks=root, id="root-as-docker"),
    pytest.param(Start(without=("seccomp",)), "bubblewrap", marks=root, id="root-no-seccomp"),
    pytest.param(Start(ordinary=True), "bubblewrap", id="user"),
    pytest.param(
        Start(ordinary=True, without_proc=True), "bubblewrap", marks=root, id="user-no-proc"
    ),
    pytest.param(Start(ordinary=True, as_docker=True), "Landlock", id="user-as-docker"),
    pytest.param(Start(ordinary=True, without=("seccomp",)), "bubblewrap", id="user-no-seccomp"),
]


@pytest.mark.parametrize(("start", "files"), STARTS)
def test_a_hostile_network_finds_no_way_out(start: Start, files: str, place: Path) -> None:
    with surroundings(start, place) as around_it:
        ended = outcome(
            start, place, mode="ways out", victim=around_it.victim, port=around_it.port,
            unix=around_it.unix, abstract=around_it.abstract,
        )  # fmt: skip
        assert ended["held"]["files"] == files
        assert ended["held"]["missing"] == []
        assert ended["report"], ended
        out = {way: came for way, came in ended["report"].items() if "refused" not in came}
        assert out == {}
        assert ended["unchanged"]
        assert around_it.callers == []
    assert (place / "secrets" / "secret").read_text() == "a secret"
    assert list((place / "temporary").iterdir()) == []


@root
def test_root_that_cannot_change_its_user_id_is_said_to_have_no_limits(place: Path) -> None:
    start = Start(without_capabilities=True)
    ended = outcome(start, place, mode="exit", code=0, victim=0)
    assert ended["held"]["missing"] == ["limits"]


FORMS = [
    pytest.param(Start(), marks=root, id="bubblewrap"),
    pytest.param(Start(as_docker=True), id="landlock"),
]


@pytest.mark.parametrize("start", FORMS)
@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [
        ("crash", {}, {"code": -11, "ended": ""}),
        ("exit", {"code": 3}, {"code": 3, "ended": ""}),
        ("memory", {}, {"code": 1, "ended": ""}),
        ("spin", {"cpu": 1}, {"code": -24, "ended": ""}),
        ("spin", {"wall": 2}, {"ended": "time"}),
        ("shout", {}, {"ended": "output"}),
        ("fill", {}, {"ended": "disk"}),
    ],
)
def test_however_it_dies_it_is_known_to_have_been_set_up(
    start: Start, mode: str, more: dict[str, Any], expected: dict[str, Any], place: Path
) -> None:
    ended = outcome(start, place, mode=mode, victim=0, **more)
    assert ended["report"] is None
    assert {name: ended[name] for name in expected} == expected
    assert list((place / "temporary").iterdir()) == []


ALL_FORMS = [
    *FORMS,
    pytest.param(Start(without=("seccomp",)), marks=root, id="no-seccomp"),
]


@pytest.mark.parametrize("start", ALL_FORMS)
def test_its_whole_tree_ends_at_the_time_limit(start: Start, place: Path) -> None:
    with around(start, place, mode="stay", victim=0, wall=3) as process:
        tree = wait_until(lambda: _running(process.pid, 2), what="the hostile program")
        process.communicate(timeout=60)
    for pid in tree:
        wait_until(lambda pid=pid: not _runs(pid), what=f"the end of process {pid}")


@pytest.mark.parametrize("start", ALL_FORMS)
def test_its_whole_tree_ends_when_its_parent_is_killed(start: Start, place: Path) -> None:
    with around(start, place, mode="stay", victim=0) as process:
        tree = wait_until(lambda: _running(process.pid, 2), what="the hostile program")
        process.kill()
        for pid in tree:
            wait_until(lambda pid=pid: not _runs(pid), what=f"the end of process {pid}")


def _running(pid: int, least: int) -> list[int]:
    """The processes below ``pid``, once hostile.py is the last of them and sleeps."""
    found = descendants(pid)
    for one in found:
        try:
            words = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
            sleeps = "nanosleep" in Path(f"/proc/{one}/wchan").read_text()
        except OSError:
            continue
        if any(word.endswith(b"hostile.py") for word in words[:4]) and sleeps:
            return found if len(found) >= least else []
    return []


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
