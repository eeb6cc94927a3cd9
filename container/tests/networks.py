"""Untrusted networks: as JSON, to be put into an artifact's NAME-symbol.json."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Node = dict[str, Any]
Change = Callable[[dict[str, Any]], None]

DATA: Node = {"op": "null", "name": "data", "inputs": []}


def layer(op: str, name: str = "evil", inputs: Any = ((0, 0, 0),), **more: Any) -> Node:
    """One layer; ``more`` are further keys, such as ``attrs``."""
    return {"op": op, "name": name, "inputs": [list(link) for link in inputs], **more}


def network(*nodes: Node, heads: Any = None, **more: Any) -> dict[str, Any]:
    """A network of ``nodes`` after the argument ``data``; its output is the last one's."""
    listed = [DATA, *nodes]
    return {
        "nodes": listed,
        "arg_nodes": [number for number, node in enumerate(listed) if node["op"] == "null"],
        "heads": heads or [[len(listed) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
        **more,
    }


def condition(inner: Node) -> Node:
    """An ``if`` with ``inner`` in what is done where it holds."""
    asked = network(layer("_copy", "asked"))
    then, otherwise = network(inner), network(layer("_copy", "otherwise"))
    attributes = {
        "num_args": "4", "num_outputs": "1", "cond_input_locs": "[0]", "then_input_locs": "[0]",
        "else_input_locs": "[0]",
    }  # fmt: skip
    return layer("_cond", "choice", attrs=attributes, subgraphs=[asked, then, otherwise])


def loop(inner: Node, **attributes: str) -> Node:
    """A ``for`` with ``inner`` as what is done with each row."""
    told = {
        "num_args": "2", "num_outputs": "1", "num_out_data": "1", "in_data_locs": "[0]",
        "in_state_locs": "[]", "remain_locs": "[]",
    }  # fmt: skip
    return layer("_foreach", "loop", attrs=told | attributes, subgraphs=[network(inner)])


POINTER = {"info": "0x4141414141414141", "need_top_grad": "True"}
NATIVE = layer("_Native", attrs=POINTER)
REFUSED = "the operator _Native is not allowed in an uploaded network"


def inserted(*nodes: Node) -> Change:
    """Put ``nodes`` after the argument ``data``; the rest of the network does not use them."""

    def change(graph: dict[str, Any]) -> None:
        count = len(nodes)
        for node in graph["nodes"]:
            for link in node["inputs"]:
                link[0] += count if link[0] else 0
        for link in graph["heads"]:
            link[0] += count
        graph["nodes"][1:1] = json.loads(json.dumps(nodes))
        graph["arg_nodes"] = [i for i, node in enumerate(graph["nodes"]) if node["op"] == "null"]
        graph["node_row_ptr"] = list(range(len(graph["nodes"]) + 1))

    return change


def between(node: Node) -> Change:
    """Put ``node``, which takes ``data``, before the layer that takes it today."""

    def change(graph: dict[str, Any]) -> None:
        inserted(node)(graph)
        for later in graph["nodes"][2:]:
            for link in later["inputs"]:
                if link[0] == 0:
                    link[0] = 1

    return change


def with_key(number: int, key: str, value: Any) -> Change:
    def change(graph: dict[str, Any]) -> None:
        graph["nodes"][number][key] = value

    return change


def changed(text: bytes | str, *changes: Change) -> bytes:
    graph = json.loads(text)
    for change in changes:
        change(graph)
    return json.dumps(graph).encode()


def change_file(folder: Path, *changes: Change) -> None:
    path = folder / "tiny-symbol.json"
    path.write_bytes(changed(path.read_bytes(), *changes))


def _missing_output(graph: dict[str, Any]) -> None:
    between(layer("relu", "first"))(graph)
    graph["nodes"][4]["inputs"][0] = [1, 700, 0]


def _missing_output_of_a_cast(graph: dict[str, Any]) -> None:
    between(layer("amp_cast", "first", attrs={"dtype": "float32"}))(graph)
    graph["nodes"][4]["inputs"][0] = [1, 60_000, 0]


# What each does to the network of tests/artifacts.py, whose nodes are data, fc_weight, fc_bias, fc
# and prob, and what is said of it then, by the validation as by the server.
UNTRUSTED: dict[str, tuple[Change, str]] = {
    "a native function's address": (inserted(NATIVE), f"tiny-symbol.json: {REFUSED}: it calls an"),
    "an address that is called": (between(NATIVE), REFUSED),
    "the older native function": (
        between(layer("_NDArray", attrs=POINTER)),
        "the operator _NDArray is not allowed in an uploaded network: it calls an address",
    ),
    "a file that is read": (
        inserted(layer("_cvimread", inputs=(), attrs={"filename": "/etc/passwd"})),
        "the operator _cvimread is not allowed in an uploaded network: it reads files",
    ),
    "a file by its other name": (
        inserted(layer("_npi_cvimread", inputs=(), attrs={"filename": "/etc/passwd"})),
        "the operator _npi_cvimread is not allowed in an uploaded network: it reads files",
    ),
    "code in the process": (
        between(layer("Custom", attrs={"op_type": "x"})),
        "the operator Custom is not allowed in an uploaded network: it runs code",
    ),
    "code by its other name": (
        between(layer("_npi_Custom", attrs={"op_type": "x"})),
        "the operator _npi_Custom is not allowed",
    ),
    "a native function inside a condition": (between(condition(NATIVE)), REFUSED),
    "a native function inside a loop": (between(loop(NATIVE)), REFUSED),
    "a native function inside a loop in a condition": (
        between(condition(loop(NATIVE))), REFUSED,
    ),
    "a network inside what takes none": (
        between(layer("relu", subgraphs=[network(layer("_copy"))])),
        "'evil' has 1 networks inside, its operator relu takes 0",
    ),
    "a native function in the old key": (
        between(layer("_Native", param=POINTER, attr={"ctx_group": "a"})), REFUSED,
    ),
    "a native function in the key of MXNet 0.9": (between(layer("_Native", attr=POINTER)), REFUSED),
    "attributes twice": (
        with_key(3, "attr", {"num_hidden": "4"}),
        "'fc' has its attributes twice, in 'attrs' and 'attr'",
    ),
    "an output that is not there": (
        _missing_output,
        "the input of 'fc' is output 700 of 'first', which has 1, counted from 0",
    ),
    "an output of a cast that is not there": (
        _missing_output_of_a_cast,
        "the input of 'fc' is output 60000 of 'first', which has 1, counted from 0",
    ),
    "an output of the network that is not there": (
        lambda graph: graph["heads"].append([3, 700, 0]),
        "an output of the network is output 700 of 'fc', which has 1, counted from 0",
    ),
    "a shape that is too small": (
        between(layer("Reshape", "r", attrs={"shape": "(1, 1)"})),
        "'r' makes the shape [1, 1] of [1, 3, 8, 8], which has 192 values and not 1",
    ),
    "a shape that is too large": (
        between(layer("reshape", "r", attrs={"shape": "(1000, 1000)"})),
        "'r' makes the shape [1000, 1000] of [1, 3, 8, 8], which has 192 values and not 1,000,000",
    ),
    "values written where an index says": (
        between(layer("scatter_nd", inputs=[[0, 0]] * 2, attrs={"shape": "(1, 3, 8, 8)"})),
        "the operator scatter_nd is not allowed in an uploaded network: it follows its values",
    ),
    "values copied to where an index says": (
        between(layer("_contrib_index_copy", inputs=[[0, 0]] * 3)),
        "the operator _contrib_index_copy is not allowed",
    ),
    "lengths that a picture says": (
        between(
            layer("SequenceMask", inputs=[[0, 0]] * 2, attrs={"use_sequence_length": "True"})
        ),
        "'evil': 'use_sequence_length' takes lengths from an array, whatever they are",
    ),
    "an axis that is named twice": (
        between(layer("transpose", attrs={"axes": "(0, 1, 3, 3)"})),
        "'evil': 'axes' must name each axis once",
    ),
    "axes beyond the array": (
        between(layer("_npi_tensordot_int_axes", inputs=[[0, 0]] * 2, attrs={"axes": "193"})),
        "the operator _npi_tensordot_int_axes is not allowed",
    ),
    "the output of an argument that is not there": (
        with_key(3, "inputs", [[0, 9, 0], [1, 0, 0], [2, 0, 0]]),
        "the inputs of 'fc': an argument has one output, not 10",
    ),
    "a later node as input": (
        with_key(3, "inputs", [[4, 0, 0], [1, 0, 0], [2, 0, 0]]),
        "its nodes are not in order",
    ),
    "an input below zero": (
        with_key(3, "inputs", [[-1, 0, 0], [1, 0, 0], [2, 0, 0]]),
        "[-1, 0, 0] is no link to a node",
    ),
    "an unknown attribute": (
        with_key(3, "attrs", {"num_hidden": "3", "library": "/tmp/x.so"}),
        "'fc': the operator FullyConnected has no attribute 'library'",
    ),
    "an attribute of another type": (
        with_key(3, "attrs", {"num_hidden": "0x41414141"}),
        "'0x41414141' is not allowed for the attribute 'num_hidden' of the operator FullyConnected",
    ),
    "an attribute that is no text": (
        with_key(3, "attrs", {"num_hidden": 3}),
        "the attributes of 'fc' are not texts",
    ),
    "a control dependency": (with_key(3, "control_deps", [0]), "'fc' depends on other nodes"),
    "a gradient's source": (with_key(3, "backward_source_id", 0), "'fc' depends on other nodes"),
    "an operator that is no text": (with_key(3, "op", ["_Native"]), "has no operator or no name"),
    "a loop's input that is not there": (
        between(loop(layer("_copy", "body"), in_data_locs="[700]")),
        "'loop': what its operator _foreach says of the networks inside is not so",
    ),
    "a loop's output that is not there": (
        between(loop(layer("_copy", "body"), num_outputs="9", num_out_data="9")),
        "'loop': what its operator _foreach says of the networks inside is not so",
    ),
    "a sparse argument": (
        with_key(1, "attrs", {"__storage_type__": "1"}),
        "'fc_weight' is a sparse array",
    ),
    "a version that is no number": (
        lambda graph: graph["attrs"].update(mxnet_version=["str", "1"]),
        "'mxnet_version' is ['str', '1']",
    ),
}  # fmt: skip
