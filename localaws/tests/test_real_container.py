"""The runtime with the container that is shipped: MMS, its workers, MXNet."""

import json
import os
import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from localaws.tests.conftest import Hosting
from localaws.tests.servers import REAL, alive, wait_for
from tests.artifacts import constant_archive

pytestmark = pytest.mark.timeout(580)


def descendants(pid: int) -> dict[int, str]:
    """Processes below ``pid`` with their command lines."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {pid}
    for _ in range(10):
        found |= {child for child, parent in parents.items() if parent in found}
    commands = {}
    for one in found:
        try:
            commands[one] = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return commands


def model_workers(pid: int) -> list[int]:
    """The processes that hold the models of a container: forks of its host, or MMS's own."""
    commands = descendants(pid)
    hosts = {one for one, line in commands.items() if "model_host.py" in line}
    forks = [child for child in hosts if _parent(child) in hosts]
    return forks or [one for one, line in commands.items() if "worker.py" in line]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1


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

    cold = call("m0.tar.gz")
    answer = json.loads(cold["Body"])
    assert len(answer) == 5
    assert answer[0].endswith("class=m0 label 0")
    assert cold["CustomAttributes"].startswith("cold=1;load_ms=")
    assert call("m0.tar.gz")["CustomAttributes"].startswith("cold=0;")
    labelled = json.loads(call("m1.tar.gz", Accept="application/json")["Body"])
    assert labelled["predictions"][0]["label"] == "m1 label 1"

    # What the container says reaches the caller.
    with pytest.raises(ClientError) as caught:
        hosting.invoke("real", "m0.tar.gz", b"no picture", ContentType="application/x-image")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == 400

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
