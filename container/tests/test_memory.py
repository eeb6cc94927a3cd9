"""Memory: refused with 507 before it is taken, given back when a model is unloaded.

What could never fit is in test_metrics.py.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from container import memory
from container.tests.big import big_folder
from container.tests.filling import exchange_without_growth, figures, fill
from container.tests.serving import start_server

pytestmark = pytest.mark.xdist_group("container-memory")

LIMIT_MB = 600
ROUNDS = 12


def test_a_full_container_refuses_and_takes_again_after_an_unload(tmp_path: Path) -> None:
    """As in test_image.py, which has a limit of the kernel's and a hundred rounds."""
    folder = big_folder(tmp_path / "big", 1000)
    with start_server(tmp_path, MME_MEMORY_LIMIT_MB=str(LIMIT_MB)) as server:
        server.said("model_host_ready")
        empty = figures(server, 0)
        loaded = fill(server, folder)
        held = len(loaded)
        assert held >= 2
        assert "MB are free" in server.said("load_failed")["message"]
        assert sorted(loaded) == server.models(), "the refused model is not on the list"

        print(f"Empty: {empty}.")
        late = exchange_without_growth(server, folder, loaded, 4, ROUNDS)
        assert late.megabytes < LIMIT_MB
        assert not server.events("worker_killed")

        for name in loaded:
            assert server.unload(name).status == 200
        after = figures(server, 0)
        print(f"All unloaded: {after}.")
        assert after.megabytes < late.megabytes - 40 * held / 2
        assert after.open_files == empty.open_files


def test_a_load_waits_for_the_memory_of_a_worker_that_is_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MMS answers an unload some milliseconds before the worker's memory is free."""
    looks = []
    with subprocess.Popen(["sleep", "60"]) as worker:

        def rooms() -> list[memory.Room]:
            looks.append(worker.poll())
            if len(looks) == 3:
                worker.kill()
            used = 900 if worker.poll() is None else 100
            return [memory.Room(1000 * memory.MEGABYTE, used * memory.MEGABYTE, "test")]

        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr(memory, "rooms", rooms)
        with pytest.raises(MemoryError, match="MB are free"), memory.admitted(300 << 20, "alone"):
            pass
        assert len(looks) == 1, "nothing is ending: it is refused at once"

        monkeypatch.setattr(memory, "ending", [worker.pid])
        with memory.admitted(300 << 20, "patient"):
            assert worker.poll() is not None


def test_the_host_s_room_is_kept_while_it_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What loads the plain way meanwhile would else sit in it when the next one comes."""
    free = memory.HOST + memory.SPARE
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("MME_SERVER_PID", "1")
    monkeypatch.setattr(memory, "rooms", lambda: [memory.Room(free, 0, "test")])
    monkeypatch.setattr(memory, "_reserved_for_jvm", lambda: 0)

    with pytest.raises(MemoryError), memory.admitted(1 << 20, "meanwhile"):
        pass
    (tmp_path / "host.pid").write_text("1\n")
    with memory.admitted(memory.HOST, "with it"):
        pass
    (tmp_path / "host.pid").unlink()
    monkeypatch.setenv("MME_MODEL_HOST", "0")
    with memory.admitted(memory.HOST, "without any"):
        pass


def test_a_child_of_the_jvms_that_is_no_program_yet_is_not_counted(tmp_path: Path) -> None:
    """Its memory is the JVM's. A shell stands for both, as such a child is there for a moment."""
    shell = shutil.copy(Path("/bin/sh").resolve(), tmp_path / "java")
    script = f"{shell} -c 'echo; kill -STOP $$' & sh -c 'echo; kill -STOP $$' & wait"
    jvm = subprocess.Popen(
        [shell, "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    try:
        assert jvm.stdout is not None
        for _ in range(2):
            jvm.stdout.readline()
        programs = [Path(os.readlink(f"/proc/{pid}/exe")).name for pid in memory._children(jvm.pid)]
        assert sorted(programs) == sorted(["java", Path("/bin/sh").resolve().name])
        family = memory._family(jvm.pid)
        assert len(family) == 2
        assert Path(os.readlink(f"/proc/{family[1]}/exe")).name != "java"
    finally:
        os.killpg(jvm.pid, signal.SIGKILL)
        jvm.communicate()
