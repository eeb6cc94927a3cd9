"""The runtime with the container that is shipped: MMS, its workers, MXNet.

What passes between a caller and a container is in test_invoke_endpoint.py, what the container
answers in its own tests; here is what only both together can show: loads beside calls, and deaths.
"""

import contextlib
import json
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from localaws.container_client import ContainerClient
from localaws.tests.conftest import Hosting
from localaws.tests.processes import descendants, model_hosts, model_workers
from localaws.tests.servers import REAL, alive, wait_for
from tests.artifacts import constant_archive

pytestmark = pytest.mark.timeout(580)


@pytest.fixture
def hosting(start, tmp_path):
    hosting = Hosting(
        start("--invocation-timeout", "30", container=REAL), "real-" + str(os.getpid())
    )
    for number in range(2):
        path = tmp_path / f"m{number}.tar.gz"
        labels = [f"m{number} label {i}" for i in range(6)]
        constant_archive(path, labels=labels, answer=number)
        hosting.s3.upload_file(str(path), hosting.bucket, f"models/m{number}.tar.gz")
    return hosting


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (32, 32), "teal").save(path)
    return path.read_bytes()


def test_life_and_deaths_of_a_real_container(hosting, picture, tmp_path):
    hosting.create("real")

    def call(target, **kwargs):
        return hosting.invoke("real", target, picture, ContentType="application/x-image", **kwargs)

    def is_loading(target):
        """On disk, and not yet in memory."""
        (one,) = hosting.process.instances("real")
        (found,) = [m for m in one["models"] if m["target_model"] == target] or [{}]
        return found.get("state") == "loading" and found["bytes"]

    cold = call("m0.tar.gz")
    answer = json.loads(cold["Body"])
    assert len(answer) == 5
    assert answer[0].endswith("class=m0 label 0")
    assert cold["CustomAttributes"].startswith("cold=1;load_ms=")
    assert call("m0.tar.gz")["CustomAttributes"].startswith("cold=0;")

    # It tells of both calls by the name that the caller gave, and localaws of which instance it is.
    (one,) = hosting.process.instances("real")
    label = f'instance="AllTraffic/{one["instance"]}"'
    told = hosting.process.metrics("real").splitlines()
    assert f'mme_model_calls_total{{{label},target_model="m0.tar.gz"}} 2' in told
    assert f'mme_model_cold_calls_total{{{label},target_model="m0.tar.gz"}} 1' in told
    assert f"mme_models_loaded{{{label}}} 1" in told

    # Any local user, and any page that guesses a port, could order a container at a port.
    pids = descendants(one["pid"])
    assert len(pids) >= 3
    assert [port for pid in pids for port in ports_of(pid)] == []
    assert stat.S_IMODE(Path(one["address"]).parent.stat().st_mode) == 0o700
    assert len(one["address"]) <= 107

    # It loads nothing but its instance's models.
    client = ContainerClient(one["address"])
    for url in ("http://127.0.0.1:9/evil.mar", "/opt/ml/models/x", str(tmp_path), "/etc"):
        refused = client.load("x", url, 30)
        assert refused.status == 400
        assert "must be the path of a folder below" in refused.message
    client.close()

    # While one model is being loaded, here for as long as its host is stopped, calls of the other
    # go on, whichever connection they take.
    (one,) = hosting.process.instances("real")
    (host,) = model_hosts(one["pid"])
    with ThreadPoolExecutor(9) as pool:
        os.kill(host, signal.SIGSTOP)
        try:
            held = pool.submit(call, "m1.tar.gz")
            wait_for(lambda: is_loading("m1.tar.gz"))
            calls = [pool.submit(call, "m0.tar.gz") for _ in range(8)]
            done = wait(calls, timeout=20).done
            assert len(done) == len(calls)
            assert is_loading("m1.tar.gz")
        finally:
            os.kill(host, signal.SIGCONT)
        assert json.loads(held.result()["Body"])[0].endswith("class=m1 label 1")

    # A model's worker is killed: the next calls work, the other model never notices.
    (one,) = hosting.process.instances("real")
    workers = model_workers(one["pid"])
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)

    def works():
        try:
            return json.loads(call("m0.tar.gz")["Body"])[0].endswith("m0 label 0")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ModelError", "ModelNotReadyException"):
                raise
            return False

    # MMS sometimes loses the one call that came between the death and its notice of it.
    wait_for(works, 150)

    # The server itself is killed: another instance takes over.
    java = [pid for pid, line in descendants(one["pid"]).items() if "java" in line.split()[0]]
    everything = set(descendants(one["pid"]))
    os.kill(java[0], signal.SIGKILL)
    wait_for(works, 150)
    (after,) = hosting.process.instances("real")
    assert after["instance"] != one["instance"]
    wait_for(lambda: not any(map(alive, everything)), 15, "what the dead container had started")

    # localaws itself is killed: nothing of the container is left, and all comes back.
    everything = set(descendants(after["pid"]))
    assert len(everything) > 2
    hosting.process.kill()
    wait_for(lambda: not any(map(alive, everything)), 15, "the container to end with localaws")
    hosting.process.start()
    assert json.loads(call("m1.tar.gz")["Body"])[0].endswith("m1 label 1")
    (after,) = hosting.process.instances("real")
    everything = set(descendants(after["pid"]))
    hosting.delete("real")
    assert not any(map(alive, everything))
    assert not list((hosting.process.data / "instances").iterdir())


def ports_of(pid: int) -> list[str]:
    """The TCP sockets that a process listens at."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            inodes.add(os.readlink(entry))
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]
