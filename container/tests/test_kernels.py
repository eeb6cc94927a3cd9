"""The kernels that the model host prepares are the ones that its forks use."""

import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

_IN_A_FORK = """
import os, sys
import mxnet as mx
from container import kernels
from mxnet.gluon.model_zoo import vision

if sys.argv[2] == "prepared":
    kernels.prepare()
assert len(os.listdir("/proc/self/task")) == 1
print("fork", flush=True)
if os.fork() == 0:
    kernels.run(getattr(vision, sys.argv[1])()(mx.sym.var("data")), kernels.INPUT)
    print("threads", len(os.listdir("/proc/self/task")), flush=True)
    os._exit(0)
assert os.wait()[1] == 0
"""


def compiled(python: str, network: str, how: str) -> tuple[int, int]:
    """Convolutions that a fork compiles for its first pass of a network, and those it finds."""
    environment = {
        "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1",
        "MXNET_ENGINE_TYPE": "NaiveEngine", "MXNET_USE_OPERATOR_TUNING": "0",
        "MKLDNN_VERBOSE": "2",
    }  # fmt: skip
    done = subprocess.run(
        [python, "-c", _IN_A_FORK, network, how], cwd=REPOSITORY, env=environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    said = done.stdout.partition("fork\n")[2]
    assert "threads 2" in said
    of = re.compile(r"^dnnl_verbose,create:cache_(miss|hit),cpu,convolution,", re.MULTILINE)
    found = of.findall(said)
    return found.count("miss"), found.count("hit")


@pytest.mark.parametrize("network", ["resnet18_v2", "resnet34_v2", "squeezenet1_0"])
def test_a_fork_compiles_nothing_that_was_prepared(python: str, network: str) -> None:
    misses, hits = compiled(python, network, "prepared")
    assert misses == 0
    assert hits > 10


@pytest.mark.parametrize("network", ["resnet18_v1", "squeezenet1_1"])
def test_a_relative_compiles_a_third_less(python: str, network: str) -> None:
    alone, _ = compiled(python, network, "alone")
    misses, _ = compiled(python, network, "prepared")
    assert 0 < misses < alone * 2 / 3
