"""Memory: refused with 507 before it is taken, given back when a model is unloaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
from big import big_folder
from serving import Server, start_server, wait_until

pytestmark = pytest.mark.xdist_group("container-memory")

LIMIT_MB = 600
ROUNDS = 12


def megabytes(server: Server) -> float:
    """What the server's processes take, shared pages in shares, pages of files left out."""
    total = 0
    for pid in server.processes():
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return total / 1024


def test_a_full_container_refuses_and_takes_again_after_an_unload(
    tmp_path: Path,
) -> None:
    folder = big_folder(tmp_path / "big", 1000)
    with start_server(tmp_path, MME_MEMORY_LIMIT_MB=str(LIMIT_MB)) as server:
        loaded = []
        while (answer := server.load(f"big{len(loaded)}", folder)).status == 200:
            loaded.append(f"big{len(loaded)}")
            assert len(loaded) < 50, "it is never full"
        assert answer.status == 507
        assert len(loaded) >= 2
        (refusal,) = server.events("load_failed")
        assert "MB are free" in refusal["message"]
        assert sorted(loaded) == server.models(), "the refused model is not on the list"
        assert megabytes(server) < LIMIT_MB

        sizes = []
        for number in range(ROUNDS):
            assert server.unload(loaded.pop(0)).status == 200
            loaded.append(f"again{number}")
            assert server.load(loaded[-1], folder).status == 200
            sizes.append(megabytes(server))
        assert max(sizes) < LIMIT_MB
        assert sizes[-1] < sizes[2] + 40, f"it grows: {sizes}"

        full = megabytes(server)
        for name in loaded:
            assert server.unload(name).status == 200
        assert megabytes(server) < full - 40 * len(loaded) / 2


def test_what_could_never_fit_is_refused_at_once(
    tmp_path: Path, unpacked: Callable[..., Path], picture: bytes
) -> None:
    folder = big_folder(tmp_path / "huge", 2000)
    with start_server(tmp_path, MME_MEMORY_LIMIT_MB="350") as server:
        before = server.processes()
        assert server.load("huge", folder).status == 507
        assert server.models() == []
        # MMS starts the process that has ended once more, a second later; that one ends at once.
        wait_until(lambda: len(server.processes()) <= len(before), what="nothing is left running")
        assert server.load("small", unpacked()).status == 200
        assert server.invoke("small", picture, "image/jpeg").status == 200
