"""The model host: forks instead of imports, and the plain way where there is no host."""

import io
import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from container import launcher, model_host
from container.tests.big import big_folder
from container.tests.filling import HOST_FILES, open_files
from container.tests.serving import (
    Server,
    alive,
    leftovers,
    start_server,
    wait_for_return,
    wait_until,
)
from container.tests.test_metrics import Page

pytestmark = pytest.mark.xdist_group("container-host")

Unpacked = Callable[..., Path]


def test_models_are_forked_from_one_process(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    assert server.workers() == []
    assert server.load("forked", unpacked()).status == 200
    assert len(server.workers()) == 1
    assert server.invoke("forked", picture, "image/jpeg").status == 200
    assert server.unload("forked").status == 200
    wait_until(lambda: server.workers() == [], what="the end of its worker")
    assert not server.events("model_host_unavailable")


def test_loading_and_unloading_leaves_nothing_behind(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    folder = unpacked()
    broken = unpacked()
    (broken / "synset.txt").unlink()
    host = server.host()

    def once(number: int) -> None:
        assert server.load(f"m{number}", folder).status == 200
        assert server.invoke(f"m{number}", picture, "image/jpeg").status == 200
        assert server.unload(f"m{number}").status == 200
        assert server.load(f"b{number}", broken).status == 400

    once(0)
    wait_until(lambda: len(server.processes()) == 3, what="an idle server")
    for number in range(1, 15):
        once(number)
    wait_until(lambda: len(server.processes()) == 3, what="an idle server")
    wait_until(lambda: open_files(host) == HOST_FILES, what=f"{HOST_FILES} open files")


def test_a_killed_worker_hurts_nobody_else(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    server.load("other", unpacked(answer=0))
    (first,) = server.workers()
    server.load("killed", unpacked(answer=1))
    (victim,) = [pid for pid in server.workers() if pid != first]

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: not alive(victim), what="its end")
    assert server.invoke("other", picture, "image/jpeg").json[0].endswith("class=cat")
    wait_for_return(server, "killed", picture)
    assert server.told("worker_killed", "killed")
    server.unload("other")
    server.unload("killed")


def test_a_worker_killed_while_it_loads_is_a_lack_of_memory(server: Server, tmp_path: Path) -> None:
    """As the kernel kills it: the platform unloads another model on 507, and tries again."""
    folder = big_folder(tmp_path / "big", 2000)
    wait_until(lambda: not server.workers(), what="an idle host")
    with ThreadPoolExecutor(1) as pool:
        for number in range(20):  # until it is caught in time
            load = pool.submit(server.load, f"big{number}", folder)
            wait_until(lambda: bool(server.workers()), what="the worker")
            (worker,) = server.workers()
            os.kill(worker, signal.SIGSTOP)
            loaded = [event["model"] for event in server.events("model_loaded")]
            if f"big{number}" not in loaded:
                break
            os.kill(worker, signal.SIGCONT)
            assert load.result().status == 200
            server.unload(f"big{number}")
            wait_until(lambda: not server.workers(), what="an idle host")
        os.kill(worker, signal.SIGKILL)
        answer = load.result()
    assert answer.status == 507
    assert "was killed by signal 9 while it loaded" in answer.reason
    assert server.models() == []
    wait_until(lambda: len(server.processes()) == 3, what="an idle server")
    wait_until(lambda: not leftovers(server), what=lambda: f"a folder without {leftovers(server)}")


def test_the_caller_of_a_killed_worker_hears_of_it(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    server.load("dying", unpacked())
    (worker,) = server.workers()
    large = io.BytesIO()
    Image.new("L", (7000, 7000)).save(large, "PNG")  # takes a while to decode
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.invoke, "dying", large.getvalue(), "image/png")
        wait_until(lambda: bool(server.busy_workers()), what="the worker at work")
        os.kill(worker, signal.SIGKILL)
        answer = call.result()
    assert answer.status == 507
    assert "killed by signal 9 while it answered, most likely for want" in answer.json["message"]
    wait_for_return(server, "dying", picture)
    server.unload("dying")


def test_a_call_that_a_dead_worker_never_read_goes_to_the_next(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    server.load("other", unpacked(answer=0))
    (other,) = server.workers()
    server.load("idle", unpacked(answer=1))
    host = server.host()
    (worker,) = [pid for pid in server.workers() if pid != other]
    os.kill(host, signal.SIGSTOP)  # so that MMS hears of the death only after the call
    try:
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not alive(worker), what="the worker's end")
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(server.invoke, "idle", picture, "image/jpeg")
            for _ in range(5):  # in the time of these it is sent on
                assert server.invoke("other", picture, "image/jpeg").status == 200
            assert not call.done()
            os.kill(host, signal.SIGCONT)
            answer = call.result()
    finally:
        os.kill(host, signal.SIGCONT)
    assert answer.json[0].endswith("class=dog")
    server.unload("idle")
    server.unload("other")


def test_a_call_that_comes_as_its_worker_dies_is_answered_or_told_why(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    """At whatever moment it comes: by the next worker, or with what the worker died of."""
    assert server.load("struck", unpacked(answer=1)).status == 200
    for number in range(6):
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        answer = server.invoke("struck", picture, "image/jpeg")
        if answer.status == 200:
            assert answer.json[0].endswith("class=dog")
        else:
            assert answer.status == 507, f"round {number}: {answer}"
            assert "was killed by signal 9 while it answered" in answer.json["message"]
        wait_for_return(server, "struck", picture)
    server.unload("struck")


def test_a_script_that_speaks_as_the_host_begins_is_in_nobodys_way(tmp_path: Path) -> None:
    """A shell makes what it is to read and write where there is none, and no pipe."""
    files = launcher.HostFiles(tmp_path)
    first = model_host.Host(files)
    speaking = 'while :; do : 4<>"$0"; done'
    script = subprocess.Popen(["sh", "-c", speaking, str(files.requests)])
    try:
        for _ in range(1000):
            next_one = model_host.Host(files)
            for host in (first, next_one):
                assert stat.S_ISFIFO(os.fstat(host.requests).st_mode)
            _close(first)
            first = next_one
    finally:
        script.kill()
        script.wait()
        _close(first)


def _close(host: model_host.Host) -> None:
    os.close(host.requests)
    os.close(host.life)
    host.hangups.close()
    host.selector.close()


def test_a_call_of_which_a_part_was_read_is_not_given_to_the_next() -> None:
    """It may be what the worker died of."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not model_host._unread(theirs)
        ours.sendall(b"I\0\0\0\x24" + bytes(100))
        assert model_host._unread(theirs)
        theirs.recv(20)
        assert not model_host._unread(theirs)


@pytest.mark.parametrize("what", ["a file", "the folder"])
def test_what_cannot_be_loaded_again_is_unloaded(
    server: Server, unpacked: Unpacked, picture: bytes, what: str
) -> None:
    """Calls of it would wait for ever; unloaded, it is loaded anew by whoever next wants it."""
    folder = unpacked()
    server.load("spoilt", folder)
    (worker,) = server.workers()
    if what == "a file":
        (folder / "synset.txt").unlink()
    else:
        shutil.rmtree(folder)
    os.kill(worker, signal.SIGKILL)
    statuses = set()
    while 404 not in statuses:
        answer = server.invoke("spoilt", picture, "image/jpeg")
        statuses.add(answer.status)
    # The call that MMS had sent on, those in line, and those that came later.
    assert statuses <= {507, 400 if what == "a file" else 500, 404}
    assert server.models() == []
    wait_until(lambda: len(server.processes()) == 3, what="an idle server")


def test_a_killed_stand_in_is_the_end_of_its_worker(server: Server, unpacked: Unpacked) -> None:
    """MMS ends a worker by killing the process that it started."""
    server.load("stood-in", unpacked())
    (worker,) = server.workers()
    (stand_in,) = [
        pid
        for pid in server.processes()
        if b"/mme/worker" in (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[1]
    ]
    os.kill(stand_in, signal.SIGKILL)
    wait_until(lambda: not alive(worker), what="the worker's end")
    server.unload("stood-in")


def test_without_a_host_models_load_the_plain_way(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    broken = unpacked()
    (broken / "synset.txt").unlink()
    with start_server(tmp_path, MME_MODEL_HOST="0") as server:
        answer = server.load("bad", broken)
        assert answer.status == 400
        assert "synset.txt is missing" in answer.reason
        assert server.models() == []
        wait_until(lambda: len(server.processes()) == 2, 10, "the end of its processes")
        assert server.load("plain", unpacked()).status == 200
        assert server.invoke("plain", picture, "image/jpeg").timing["cold"] == 1
        assert server.unload("plain").status == 200
        wait_until(lambda: len(server.processes()) == 2, 10, "the end of its processes")
        assert not server.events("model_host_ready")


def test_when_the_host_dies_serving_goes_on(
    tmp_path: Path, unpacked: Unpacked, picture: bytes
) -> None:
    with start_server(tmp_path) as server:
        host = server.host()
        assert server.load("before", unpacked(answer=0)).status == 200
        assert server.invoke("before", picture, "image/jpeg").json[0].endswith("class=cat")

        os.kill(host, signal.SIGKILL)
        wait_until(lambda: bool(server.events("model_host_died")), 10, "the note of its death")

        assert server.invoke("before", picture, "image/jpeg").json[0].endswith("class=cat")
        page = Page(server)
        assert page.of("before", "calls_total") == 2, "what was counted outlives it"
        assert server.load("meanwhile", unpacked(answer=2)).status == 200
        assert server.invoke("meanwhile", picture, "image/jpeg").json[0].endswith("class=fox")
        wait_until(lambda: len(server.events("model_host_ready")) == 2, 60, "the next host")
        wait_until(lambda: Page(server).value("mme_model_host_up") == 1, what="the host's return")
        assert server.load("both", unpacked(answer=1)).status == 200
        assert server.invoke("both", picture, "image/jpeg").json[0].endswith("class=dog")
        for name in ("before", "meanwhile"):
            assert server.unload(name).status == 200

        # A worker that dies with its host is replaced.
        host = server.host()
        assert server.load("host-only", unpacked(answer=2)).status == 200
        (both, host_only) = sorted(server.workers())
        os.kill(host, signal.SIGKILL)
        os.kill(both, signal.SIGKILL)
        answer = server.invoke("host-only", picture, "image/jpeg")
        assert answer.json[0].endswith("class=fox")
        wait_for_return(server, "both", picture, 40)
        # The other one's turn comes later: the next host has to know of it as well.
        os.kill(host_only, signal.SIGKILL)
        wait_for_return(server, "host-only", picture)
        wait_until(lambda: len(server.events("model_host_ready")) == 3, 60, "the next host")
        assert len(server.workers()) == 2
        for name in ("both", "host-only"):
            assert server.unload(name).status == 200
        assert server.models() == []
        wait_until(lambda: len(server.processes()) == 3, 15, "an idle server")


def test_a_crash_ends_a_worker_at_once(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    """MXNet's own handler waits for ever where the crash was in the taking of memory."""
    assert server.load("crash", unpacked()).status == 200
    for pid in (server.host(), *server.workers()):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if "SigCgt" in line).split()[1], 16)
        assert not caught >> (signal.SIGSEGV - 1) & 1
    assert server.unload("crash").status == 200
