"""Reading NAME-symbol.json: what is taken, what is refused, and what MXNet is given."""

import json
from pathlib import Path
from typing import Any

import pytest

from container import graph
from container.artifact import read_artifact
from container.findings import ArtifactError
from container.tests.networks import DATA, condition, layer, loop, network
from tests.artifacts import constant_network


def parse(*nodes: dict[str, Any], **more: Any) -> graph.Graph:
    return graph.parse(json.dumps(network(*nodes, **more)))


def test_what_was_checked_is_what_mxnet_is_given() -> None:
    """Nothing of the file's own text is left, so no other reader can read it otherwise."""
    told = {"num_hidden": "3", "lr_mult": "2", "__note__": "x", "weight_wd_mult": "0.5"}
    kept = {"__shape__": "(3, 0)", "__dtype__": "0"}
    noted = kept | {"__init__": "x", "mine": "y"}
    weight = {"op": "null", "name": "w", "inputs": [], "attrs": noted}
    written = json.loads(
        parse(weight, layer("FullyConnected", "fc", [[0, 0], [1, 0]], attrs=told)).text()
    )
    assert written == {
        "nodes": [
            {"op": "null", "name": "data", "inputs": []},
            {"op": "null", "name": "w", "inputs": [], "attrs": kept},
            {"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "3"},
             "inputs": [[0, 0, 0], [1, 0, 0]]},
        ],
        "arg_nodes": [0, 1],
        "heads": [[2, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }  # fmt: skip


def test_files_from_before_0_9_are_read() -> None:
    """``param`` held what the operator is told, ``attr`` what anybody noted."""
    old = {
        "nodes": [
            {"op": "null", "param": {}, "name": "data", "inputs": [], "backward_source_id": -1},
            {"op": "Activation", "param": {"act_type": "relu"}, "name": "a", "inputs": [[0, 0]],
             "backward_source_id": -1, "attr": {"ctx_group": "stage1", "colour": "red"}},
        ],
        "arg_nodes": [0],
        "heads": [[1, 0]],
    }  # fmt: skip
    read = graph.parse(json.dumps(old))
    assert read.nodes[1].attributes == {"act_type": "relu"}
    assert read.notes == {}


@pytest.mark.parametrize("wrap", [condition, loop])
def test_networks_inside_are_read_and_written(wrap: Any) -> None:
    read = parse(wrap(layer("relu", "inside", attrs={})))
    assert "inside" in read.text()
    assert graph.parse(read.text()) == read


def test_what_is_inside_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_NODES", 5)
    parse(loop(layer("relu")))
    with pytest.raises(graph.NotAllowed, match="more than 5 nodes"):
        parse(condition(layer("relu")))


def test_networks_lie_in_each_other_only_so_deep() -> None:
    inner = layer("relu")
    for _ in range(graph.MAX_DEPTH):
        inner = loop(inner)
    parse(inner)
    with pytest.raises(graph.NotAllowed, match="more than 8 deep"):
        parse(loop(inner))


def test_a_change_of_shape_keeps_the_number_of_values() -> None:
    """MXNet 1.9.1 does not look: it copies the larger array over the smaller one's end."""
    saved = network(layer("Reshape", "r", attrs={"shape": "(1, 1)"}), heads=[[0, 0, 0], [1, 0, 0]])
    graph.check_sizes(saved, [(1, 3, 8, 8), (3, 64)])
    with pytest.raises(graph.GraphError, match=r"'r' makes the shape \[1, 1\] of .* 192 "):
        graph.check_sizes(saved, [(1, 3, 8, 8), (1, 1)])
    assert parse(layer("Reshape", attrs={"shape": "(3, 64)"})).needs_mxnets_check()
    assert not parse(layer("relu")).needs_mxnets_check()
    with pytest.raises(graph.NotAllowed, match="not allowed inside a loop"):
        parse(loop(layer("reshape", attrs={"shape": "(3, 64)"})))


BROKEN: dict[str, Any] = {
    "a list": [],
    "no nodes": {"heads": [[0, 0, 0]]},
    "empty": network() | {"nodes": []},
    "unknown key": network(layer("relu"), plugin="x"),
    "unknown key of a node": network(layer("relu", library="x")),
    "no heads": network(layer("relu")) | {"heads": []},
    "heads out of range": network(layer("relu"), heads=[[2, 0, 0]]),
    "heads below zero": network(layer("relu"), heads=[[-1, 0, 0]]),
    "heads too large": network(layer("relu"), heads=[[1, 2**40, 0]]),
    "heads of floats": network(layer("relu"), heads=[[1.0, 0, 0]]),
    "heads of booleans": network(layer("relu"), heads=[[True, False, 0]]),
    "arguments out of range": network(layer("relu")) | {"arg_nodes": [9]},
    "arguments below zero": network(layer("relu")) | {"arg_nodes": [-1]},
    "rows out of range": network(layer("relu"), node_row_ptr=[0, 2**63]),
    "itself": network(layer("relu", inputs=[[1, 0, 0]])),
    "a long link": network(layer("relu", inputs=[[0, 0, 0, 0]])),
    "too many inputs": network(layer("relu", inputs=[[0, 0, 0]] * 2)),
    "other than counted": network(layer("Concat", inputs=[[0, 0, 0]], attrs={"num_args": "9"})),
    "an argument with inputs": network({**DATA, "name": "x", "inputs": [[0, 0, 0]]}),
    "no name": network({"op": "relu", "inputs": [[0, 0, 0]]}),
    "a name with a line end": network(layer("relu", "a\nb")),
    "half a letter": network(layer("relu", "\ud800")),
    "a long name": network(layer("relu", "a" * 1001)),
    "a shape of text": network({**DATA, "name": "x", "attrs": {"__shape__": "(a)"}}),
    "a type out of range": network({**DATA, "name": "x", "attrs": {"__dtype__": "99"}}),
    "33 dimensions": network({**DATA, "name": "x", "attrs": {"__shape__": str((1,) * 33)}}),
    "a version of text": network(layer("relu")) | {"attrs": {"mxnet_version": ["str", "x"]}},
    "a version below zero": network(layer("relu")) | {"attrs": {"mxnet_version": ["int", -1]}},
    "a loop of nothing": network(layer("_foreach", attrs={"num_args": "1"})),
    "a loop with one too many": network(loop(layer("relu"), num_args="3")),
    "a state that is none": network(loop(layer("relu"), in_state_locs="[0]")),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_networks_are_refused(case: str) -> None:
    with pytest.raises(graph.GraphError) as refused:
        graph.parse(json.dumps(BROKEN[case]))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", '{"nodes": NaN}', '{"nodes": [Infinity]}', "[" * 100_000, "9" * 5_000],
    ids=["nothing", "cut", "NaN", "NaN inside", "Infinity", "deep", "a long number"],
)
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    for name, data in constant_network(labels=["a", "b"], answer=0).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "tiny-symbol.json").write_text(text)
    with pytest.raises(ArtifactError) as refused:
        read_artifact(tmp_path)
    assert refused.value.code == "bad_symbol"


@pytest.mark.parametrize(
    "text", ['{"nodes": [], "nodes": []}', '{"nodes": [{"op": "_Native", "op": "null"}]}',
             '{"nodes": [{"attrs": {"a": "1", "\\u0061": "2"}}]}'],
)  # fmt: skip
def test_a_key_stands_once_however_it_is_written(text: str) -> None:
    with pytest.raises(graph.NotAllowed, match="stands twice"):
        graph.parse(text)


@pytest.mark.not_quick
def test_one_key_twice_among_many_is_found_without_comparing_all_with_all() -> None:
    many = ",".join(f'"{number}": 0' for number in range(300_000))
    with pytest.raises(graph.NotAllowed, match="'299999' stands twice"):
        graph.parse(f'{{{many}, "299999": 1}}')


def test_an_operator_with_a_blank_in_its_name_is_named_as_a_whole() -> None:
    with pytest.raises(graph.NotAllowed, match="the operator My Layer is not allowed"):
        parse(layer("My Layer", "a"))


def test_two_arguments_have_two_names(tmp_path: Path) -> None:
    for name, data in constant_network(labels=["a", "b"], answer=0).items():
        (tmp_path / name).write_bytes(data)
    path = tmp_path / "tiny-symbol.json"
    path.write_text(path.read_text().replace("fc_bias", "fc_weight"))
    with pytest.raises(ArtifactError, match="names two arguments 'fc_weight'"):
        read_artifact(tmp_path)


def test_links_are_held_against_the_outputs_that_mxnet_knows() -> None:
    saved = network(layer("relu", "a"), layer("relu", "b", [[1, 1, 0]]), node_row_ptr=[0, 1, 2, 3])
    with pytest.raises(graph.GraphError, match="output 1 of 'a', which has 1"):
        graph.check_outputs(saved)
    graph.check_outputs(saved | {"node_row_ptr": [0, 1, 3, 4]})
    inside = network(loop(layer("relu", "c")), node_row_ptr=[0, 1, 2])
    inside["nodes"][1]["subgraphs"][0] = saved
    with pytest.raises(graph.GraphError, match="output 1 of 'a'"):
        graph.check_outputs(inside)
    heads = network(layer("relu", "a"), heads=[[1, 3, 0]], node_row_ptr=[0, 1, 2])
    with pytest.raises(graph.GraphError, match="an output of the network is output 3"):
        graph.check_outputs(heads)
