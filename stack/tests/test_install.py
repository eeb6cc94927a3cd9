"""Virtual environments are installed at once, and what fails or is ended leaves no process."""

import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack import venvs
from stack.__main__ import install
from stack.stack_error import StackError

pytestmark = pytest.mark.processes


@dataclass(frozen=True)
class Fake:
    """Stands in for an environment; ``script`` is what its install does."""

    folder: Path
    script: str

    @property
    def installing(self) -> list[str]:
        return [sys.executable, "-c", self.script]

    def is_current(self) -> bool:
        return (self.folder / "installed").exists()


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Path]]:
    """Has the environments be these, by name, and gives their folders."""

    def put(**scripts: str) -> list[Path]:
        fakes = {name: Fake(tmp_path / name, textwrap.dedent(of)) for name, of in scripts.items()}
        monkeypatch.setattr(venvs, "ALL", fakes)
        monkeypatch.setattr("stack.__main__.ROOT", tmp_path)
        for one in fakes.values():
            one.folder.mkdir()
        return [one.folder for one in fakes.values()]

    return put


_WHEN_THE_OTHER_HAS_BEGUN = """
import pathlib, time
pathlib.Path("{me}/begun").touch()
end = time.monotonic() + 30
while not pathlib.Path("{other}/begun").exists() and time.monotonic() < end:
    time.sleep(0.01)
assert pathlib.Path("{other}/begun").exists()
pathlib.Path("{me}/installed").touch()
"""


def test_all_are_installed_at_once(
    of: Callable[..., list[Path]], capfd: pytest.CaptureFixture[str]
) -> None:
    of(
        one=_WHEN_THE_OTHER_HAS_BEGUN.format(me="one", other="two"),
        two=_WHEN_THE_OTHER_HAS_BEGUN.format(me="two", other="one"),
    )
    install(["one", "two"])
    assert capfd.readouterr().out.splitlines() == [
        "Installing the packages in one …",
        "Installing the packages in two …",
    ]
    install(["one", "two"])
    assert capfd.readouterr().out == "", "they are there"


def test_one_that_fails_is_named_when_the_others_are_done(of: Callable[..., list[Path]]) -> None:
    _bad, good = of(
        bad="raise SystemExit(1)", good="import pathlib; pathlib.Path('good/installed').touch()"
    )
    with pytest.raises(StackError, match=r"Not installed: bad\.$"):
        install(["bad", "good"])
    assert (good / "installed").exists()


@pytest.fixture
def interrupt() -> Iterator[None]:
    """SIGUSR1 interrupts as Ctrl-C does, which the processes of pytest-xdist ignore."""
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_an_install_that_is_ended_leaves_no_process(
    of: Callable[..., list[Path]], interrupt: None
) -> None:
    waits = "import signal; signal.pause()"
    of(one=waits, two=f"import os, signal; os.kill(os.getppid(), signal.SIGUSR1)\n{waits}")
    with pytest.raises(KeyboardInterrupt):
        install(["one", "two"])
    left = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in left if b"signal.pause" in Path(f"/proc/{pid}/cmdline").read_bytes()]
