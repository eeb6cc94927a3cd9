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


@pytest.mark.parametrize(("side", "limit"), [(1000, 600), (400, 700)])
def test_a_container_holds_as_many_models_as_reckoned(
    tmp_path: Path, side: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = big_folder(tmp_path / "big", side)
    archive = tmp_path / "big.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for path in folder.iterdir():
            packed.add(path, arcname=path.name)
    told = subprocess.run(
        [PYTHON, ROOT / "container" / "preflight.py", archive], capture_output=True, check=True
    )
    measured = json.loads(told.stdout)["memory_mb"]
    monkeypatch.setitem(instance_memory.MEMORY_GIB, "ml.test", limit / 1024)
    room = instance_memory.room_mb("ml.test")
    assert room is not None
    reckoned = int(room // instance_memory.model_mb(measured))
    # Where other processes of MXNet ran meanwhile, the validation shared its library with them and
    # measured so much less.
    alone = int(room // instance_memory.model_mb(measured + instance_memory.SHARED_MB))
    with start_server(tmp_path, MME_MEMORY_LIMIT_MB=str(limit)) as server:
        server.said("model_host_ready")
        held = len(fill(server, folder))
    print(f"{measured} MB each in {limit} MB: {held} held, {reckoned} reckoned", file=sys.stderr)
    assert alone - 1 <= held <= reckoned + 1
