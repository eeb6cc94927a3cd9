"""The kernels that the model host prepares are the ones that its forks use."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("container-kernels")

REPOSITORY = Path(__file__).resolve().parents[2]
SAME = ("resnet18_v2", "resnet34_v2", "squeezenet1_0")
RELATIVES = ("resnet18_v1", "squeezenet1_1")

# One process for all of them, as importing MXNet takes longer than most passes: it forks for the
# networks alone, prepares, and forks for all of them.
_IN_FORKS = """
import json, os, sys, tempfile
from container import kernels
from mxnet.gluon.model_zoo import vision

def said(network):
    assert len(os.listdir("/proc/self/task")) == 1
    with tempfile.TemporaryFile() as out:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            kernels.run(getattr(vision, network)()(kernels.mx.sym.var("data")), kernels.INPUT)
            print("threads", len(os.listdir("/proc/self/task")), flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        out.seek(0)
        return out.read().decode()

same, relatives = json.loads(sys.argv[1])
told = {"alone": {network: said(network) for network in relatives}}
kernels.prepare()
told["prepared"] = {network: said(network) for network in same + relatives}
print("forks" + json.dumps(told), flush=True)
"""

Counts = dict[str, dict[str, tuple[int, int]]]


@pytest.fixture(scope="module")
def compiled(python: str) -> Counts:
    """Convolutions that a fork compiles for its first pass of a network, and those it finds."""
    environment = {
        "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1",
        "MXNET_ENGINE_TYPE": "NaiveEngine", "MXNET_USE_OPERATOR_TUNING": "0",
        "MKLDNN_VERBOSE": "2",
    }  # fmt: skip
    done = subprocess.run(
        [python, "-c", _IN_FORKS, json.dumps([SAME, RELATIVES])], cwd=REPOSITORY, env=environment,
        capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    told = json.loads(done.stdout.partition("forks")[2])
    return {
        how: {network: _counted(said) for network, said in by_network.items()}
        for how, by_network in told.items()
    }


def _counted(said: str) -> tuple[int, int]:
    assert "threads 2" in said
    of = re.compile(r"^dnnl_verbose,create:cache_(miss|hit),cpu,convolution,", re.MULTILINE)
    found = of.findall(said)
    return found.count("miss"), found.count("hit")


@pytest.mark.parametrize("network", SAME)
def test_a_fork_compiles_nothing_that_was_prepared(compiled: Counts, network: str) -> None:
    misses, hits = compiled["prepared"][network]
    assert misses == 0
    assert hits > 10


@pytest.mark.parametrize("network", RELATIVES)
def test_a_relative_compiles_a_third_less(compiled: Counts, network: str) -> None:
    alone, _ = compiled["alone"][network]
    misses, _ = compiled["prepared"][network]
    assert 0 < misses < alone * 2 / 3
