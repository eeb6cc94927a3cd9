"""Networks made to break out of MXNet: refused with a sentence, before MXNet reads them, by the
validation and, where one came past it, by the server."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from container.artifact import read_artifact
from container.findings import ArtifactError
from container.tests.networks import UNTRUSTED, change_file, changed
from container.tests.serving import Server, wait_until
from container.tests.test_bad_artifacts import IDLE_PROCESSES
from container.tests.test_preflight import preflight
from tests.artifacts import constant_network, pack

pytestmark = pytest.mark.xdist_group("container-untrusted")

DUPLICATE = (
    b'{"nodes": [{"op": "null", "name": "data", "inputs": []},'
    b' {"op": "_Native", "op": "relu", "name": "a", "inputs": [[0, 0, 0]]}],'
    b' "arg_nodes": [0], "heads": [[1, 0, 0]]}'
)


TOLD_BY_MXNET = (
    "an output that is not there",
    "an output of a cast that is not there",
    "an output of the network that is not there",
    "a shape that is too small",
    "a shape that is too large",
)
"""What is refused by the sizes of outputs, which MXNet infers of a network that passed all else."""


@pytest.mark.parametrize("case", [case for case in UNTRUSTED if case not in TOLD_BY_MXNET])
def test_it_is_refused_without_mxnet(unpacked: Callable[..., Path], case: str) -> None:
    """By what the validation and the server read it with; there is no MXNet in this process."""
    change, message = UNTRUSTED[case]
    folder = unpacked()
    change_file(folder, change)

    with pytest.raises(ArtifactError) as refused:
        read_artifact(folder)

    assert refused.value.code == "bad_symbol"
    assert refused.value.message.startswith("tiny-symbol.json")
    assert message in refused.value.message


@pytest.mark.parametrize("case", ["a native function's address", "a shape that is too small"])
def test_the_validation_refuses(python: str, tmp_path: Path, case: str) -> None:
    """One of each kind: all of them are read by the same code, and shown to a server below."""
    change, message = UNTRUSTED[case]
    files = constant_network(labels=["cat", "dog", "fox"], answer=1)
    files["tiny-symbol.json"] = changed(files["tiny-symbol.json"], change)

    code, report = preflight(python, pack(tmp_path / "evil.tar.gz", files), "--packed")

    assert code == 1
    assert report["error"]["code"] == "bad_symbol"
    assert report["error"]["message"].startswith("tiny-symbol.json")
    assert message in report["error"]["message"]
    assert report["error"]["message"].endswith(".")
    assert "\n" not in report["error"]["message"]


def test_the_server_refuses_what_came_past_the_validation_and_neighbours_go_on(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    assert server.load("neighbour", unpacked()).status == 200
    for case, (change, message) in UNTRUSTED.items():
        folder = unpacked()
        change_file(folder, change)
        name = f"evil {case}".replace(" ", "-").replace("'", "")
        answer = server.load(name, folder)
        assert answer.status == 400, case
        assert "tiny-symbol.json" in answer.reason, case
        assert message in answer.reason, case
    assert server.models() == ["neighbour"]
    assert server.invoke("neighbour", picture, "image/jpeg").json[0].endswith("class=dog")
    assert server.unload("neighbour").status == 200
    wait_until(lambda: len(server.processes()) == IDLE_PROCESSES, what="the end of its processes")


def test_a_key_that_stands_twice_is_refused(
    server: Server, unpacked: Callable[..., Path], python: str, tmp_path: Path
) -> None:
    """MXNet's reader and Python's take different ones."""
    folder = unpacked()
    (folder / "tiny-symbol.json").write_bytes(DUPLICATE)
    answer = server.load("twice", folder)

    files = constant_network(labels=["cat", "dog"], answer=1) | {"tiny-symbol.json": DUPLICATE}
    code, report = preflight(python, pack(tmp_path / "twice.tar.gz", files), "--packed")

    said = "tiny-symbol.json: the key 'op' stands twice in one object."
    assert (answer.status, answer.reason) == (400, said)
    assert (code, report["error"]["message"]) == (1, said)


def test_a_refusal_is_one_sentence_without_a_stack_trace(python: str, tmp_path: Path) -> None:
    files = constant_network(labels=["cat", "dog"], answer=1)
    graph = json.loads(files["tiny-symbol.json"])
    graph["nodes"].append(
        {"op": "Pooling", "name": "pool0", "inputs": [[0, 0, 0]], "attrs": {"kernel": "(99, 99)"}}
    )
    graph["heads"] = [[5, 0, 0]]
    files["tiny-symbol.json"] = json.dumps(graph).encode()

    _, report = preflight(python, pack(tmp_path / "a.tar.gz", files), "--packed")

    message = report["error"]["message"]
    assert "Error in operator pool0: Check failed: " in message
    assert "kernel size (99) exceeds input (8 padded to 8)" in message
    assert "Traceback" not in message
    assert "\n" not in message
    assert "pooling.cc" not in message
