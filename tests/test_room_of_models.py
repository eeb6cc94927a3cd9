"""How many models a container holds, and how many the portal reckons with, are the same to one."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from container.tests.big import big_folder
from container.tests.filling import fill
from container.tests.serving import start_server
from endpoints import instance_memory

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("container-memory")]
ROOT = Path(__file__).resolve().parents[1]
PYTHON = os.environ.get("CONTAINER_PYTHON", str(ROOT / ".venv-container" / "bin" / "python"))


def _archive(tmp_path: Path, side: int) -> Path:
    folder = big_folder(tmp_path / "big", side)
    archive = tmp_path / "big.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for path in folder.iterdir():
            packed.add(path, arcname=path.name)
    return archive


def _measured(archive: Path) -> float:
    """MB, as the validation of the archive measures them."""
    told = subprocess.run(
        [PYTHON, ROOT / "container" / "preflight.py", archive], capture_output=True, check=True
    )
    return float(json.loads(told.stdout)["memory_mb"])


@pytest.mark.parametrize(("side", "limit"), [(1000, 600), (400, 700)])
def test_a_container_holds_as_many_models_as_reckoned(
    tmp_path: Path, side: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = _archive(tmp_path, side)
    measured = _measured(archive)
    monkeypatch.setitem(instance_memory.MEMORY_GIB, "ml.test", limit / 1024)
    room = instance_memory.room_mb("ml.test")
    assert room is not None
    reckoned = int(room // instance_memory.model_mb(measured))
    with start_server(tmp_path, MME_MEMORY_LIMIT_MB=str(limit)) as server:
        server.said("model_host_ready")
        held = len(fill(server, tmp_path / "big"))
    print(f"{measured} MB each in {limit} MB: {held} held, {reckoned} reckoned", file=sys.stderr)
    assert abs(held - reckoned) <= 1


def test_what_is_measured_does_not_depend_on_what_else_runs(tmp_path: Path) -> None:
    """Another process has pages of MXNet's library in memory, which are shared with it then."""
    archive = _archive(tmp_path, 400)
    alone = _measured(archive)
    working = (
        "import sys, mxnet as mx; x = mx.nd.ones((1, 3, 32, 32)); w = mx.nd.ones((4, 3, 3, 3));"
        "mx.nd.Convolution(x, num_filter=4, kernel=(3, 3), weight=w, no_bias=True).wait_to_read();"
        "print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [PYTHON, "-c", working], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        beside = _measured(archive)
        other.communicate()
    assert abs(beside - alone) < 1
    assert beside > 10
