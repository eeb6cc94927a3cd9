"""A server filled to its limit, again and again: nothing may grow."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from container.tests.serving import ImageServer, Server, wait_until


@dataclass(frozen=True)
class Figures:
    """What a server holds: memory without pages of files, processes, and files: those that the
    model host has open, and those in the temporary folder (without the marks of failed loads,
    which are cleared after a minute)."""

    megabytes: float
    processes: int
    open_files: int
    left_files: int

    def __str__(self) -> str:
        return (
            f"{self.megabytes:.0f} MB, {self.processes} processes, "
            f"{self.open_files} open files, {self.left_files} in its folder"
        )


_INSIDE = """
for file in /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat; do
  [ ! -e $file ] || awk '$1 == "anon" || $1 == "total_rss" { print $2 / 1048576 }' $file
done
ls /proc/HOST/fd | wc -l
ls -A /home/model-server/mme/tmp | grep -vc failed$
"""


HOST_FILES, MODEL_FILES = 7, 6
"""What the model host has open: by itself, and for a model with one worker (its script, two
streams, the listener, the line to the worker, the connection)."""


def figures(server: Server, models: int) -> Figures:
    """What it holds once nothing runs but the workers of so many ``models``, and the host has taken
    note of the end of all others.

    The memory of a container is what the kernel counts for it, else the sum of the processes'
    shares.
    """
    found = _figures(server, models)

    def settled() -> bool:
        nonlocal found
        found = _figures(server, models)
        return found.open_files == HOST_FILES + MODEL_FILES * models

    wait_until(settled, 20, f"{HOST_FILES} open files and {MODEL_FILES} a model, not {found}")
    return found


def _figures(server: Server, models: int) -> Figures:
    # A model has its worker and the script that MMS takes for it.
    expected = 3 + 2 * models
    wait_until(lambda: len(server.processes()) == expected, 20, f"{expected} processes")
    host = server.host()
    if isinstance(server, ImageServer):
        megabytes, *files = server.run(_INSIDE.replace("HOST", str(host))).split()
        return Figures(float(megabytes), expected, *map(int, files))
    left = [p for p in (server.home / "mme" / "tmp").iterdir() if p.suffix != ".failed"]
    return Figures(
        sum(map(_megabytes, server.processes())),
        expected,
        open_files(host),
        len(left),
    )


def open_files(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _megabytes(pid: int) -> float:
    """A process's memory, shared pages in shares, pages of files left out."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")) / 1024


def fill(server: Server, folder: Path) -> list[str]:
    """Load ``folder`` under new names, and call each, until there is no room; returns the names.

    Called, because a worker's first request takes some megabytes for good.
    """
    loaded: list[str] = []
    while (answer := server.load(f"fill{len(loaded)}", folder)).status == 200:
        loaded.append(f"fill{len(loaded)}")
        call(server, loaded[-1])
        assert len(loaded) < 100, "it is never full"
    assert answer.status == 507, answer.body
    return loaded


def call(server: Server, name: str) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 30)).save(picture, "PNG")
    answer = server.invoke(name, picture.getvalue(), "image/png")
    assert answer.status == 200, answer.body


def exchange(server: Server, folder: Path, loaded: list[str], rounds: range) -> None:
    """For each number: unload the oldest of ``loaded`` from a full server, load another, call it;
    and it is full again."""
    for number in rounds:
        assert server.unload(loaded.pop(0)).status == 200
        loaded.append(f"round{number}")
        answer = server.load(loaded[-1], folder)
        assert answer.status == 200, f"round {number}: {answer} {server.events('load_failed')[-1:]}"
        call(server, loaded[-1])
        assert server.load("one-more", folder).status == 507, f"round {number}: there is more room"
    assert sorted(loaded) == server.models()


def exchange_without_growth(
    server: Server, folder: Path, loaded: list[str], early_rounds: int, rounds: int
) -> Figures:
    """:func:`exchange` so often; what is held after the early rounds is held after all of them.

    Returns what is held in the end.
    """
    held = len(loaded)
    exchange(server, folder, loaded, range(early_rounds))
    early = figures(server, held)
    exchange(server, folder, loaded, range(early_rounds, rounds))
    late = figures(server, held)
    print(f"{held} models, after {early_rounds} rounds: {early}; after {rounds}: {late}.")
    assert late.megabytes < early.megabytes + 30
    assert late.open_files == early.open_files
    assert late.left_files == early.left_files
    return late
