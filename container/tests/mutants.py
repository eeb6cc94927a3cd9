"""Mutants of networks, made from a seed: what the fuzz gives to MXNet. No MXNet here.

A mutant is the files of an artifact. Its structure is one of the seeds below, changed: operators,
attributes, links, shapes, whole layers of any operator that is allowed; or its text is cut and
flipped; or its parameters are.
"""

import copy
import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from container import operators
from container.tests.networks import condition, layer, loop, network
from tests.artifacts import params_bytes

Files = dict[str, bytes]
Graph = dict[str, Any]

LABELS = 3
SHAPE = (1, 3, 8, 8)
_NUMBERS = [-(2**31), -129, -2, -1, 0, 1, 2, 3, 4, 7, 8, 9, 64, 193, 4096, 70_000, 2**31 - 1]
_SIZES = [-1, 0, 1, 1, 2, 3, 3, 4, 8, 9, 192, 1000, 65_536, 2**31 - 1, 2**31, 2**40, 2**63 - 1]
_REALS = ["0", "1", "-1", "0.5", "1e-30", "-1e30", "1e300", "inf", "-inf", "255.5", "3"]
_TEXTS = ["", "cpu(0)", "gpu(0)", "ij,jk->ik", "ij->", "...", "C", "even", "odd", "i,i", "x" * 90]
_JUNK = ["None", "()", "(1,)", "nan", "0x10", "\\", "[[", "(1,2", "True", "9" * 30, "é", "-", ","]

ALLOWED = sorted(
    name for name, line in operators._allowed_lines().items() if not line.startswith("= ")
)


def _argument(name: str, **attributes: str) -> Graph:
    node: Graph = {"op": "null", "name": name, "inputs": []}
    return node | ({"attrs": attributes} if attributes else {})


def _ending(graph: Graph, after: int) -> Graph:
    """End with as many outputs as there are labels, whatever the node ``after`` gives."""
    nodes = graph["nodes"]
    begin = len(nodes)
    nodes += [
        layer("mean", "all", [[after, 0, 0]], attrs={"axis": "()"}),
        layer("broadcast_to", "one", [[begin, 0, 0]], attrs={"shape": "(1,)"}),
        layer("expand_dims", "row", [[begin + 1, 0, 0]], attrs={"axis": "0"}),
        layer("tile", "each", [[begin + 2, 0, 0]], attrs={"reps": f"(1, {LABELS})"}),
        layer("softmax", "prob", [[begin + 3, 0, 0]]),
    ]
    graph["heads"] = [[begin + 4, 0, 0]]
    return graph


def _seeds() -> list[tuple[Graph, dict[str, Sequence[int]]]]:
    """Networks, and the shapes of their parameters by name; ``aux:`` where they are states."""
    pictures = network(
        _argument("w"), _argument("b"),
        layer("Convolution", "conv", [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
              attrs={"kernel": "(3, 3)", "num_filter": "4", "pad": "(1, 1)"}),
        _argument("gamma"), _argument("beta"), _argument("mean"), _argument("var"),
        layer("BatchNorm", "bn", [[3, 0, 0], [4, 0, 0], [5, 0, 0], [6, 0, 1], [7, 0, 1]],
              attrs={"eps": "1e-05", "fix_gamma": "False"}),
        layer("Activation", "relu", [[8, 0, 0]], attrs={"act_type": "relu"}),
        layer("SliceChannel", "halves", [[9, 0, 0]], attrs={"num_outputs": "2"}),
        layer("Concat", "both", [[10, 1, 0], [10, 0, 0]], attrs={"num_args": "2", "dim": "1"}),
        layer("Pooling", "pool", [[11, 0, 0]],
              attrs={"kernel": "(2, 2)", "stride": "(2, 2)", "pool_type": "max"}),
        _argument("fc_weight"), _argument("fc_bias"),
        layer("FullyConnected", "fc", [[12, 0, 0], [13, 0, 0], [14, 0, 0]],
              attrs={"num_hidden": str(LABELS)}),
        layer("softmax", "prob", [[15, 0, 0]]),
    )  # fmt: skip
    weights = {
        "w": (4, 3, 3, 3), "b": (4,), "gamma": (4,), "beta": (4,), "aux:mean": (4,),
        "aux:var": (4,), "fc_weight": (LABELS, 64), "fc_bias": (LABELS,),
    }  # fmt: skip
    boxes = network(
        layer("_contrib_MultiBoxPrior", "priors",
              attrs={"sizes": "(0.2, 0.4)", "ratios": "(1, 2)"}),
        layer("slice_axis", "some", [[1, 0, 0]], attrs={"axis": "1", "begin": "0", "end": "16"}),
        layer("Reshape", "classes", attrs={"shape": "(1, 4, -1)"}),
        layer("slice_axis", "few", [[3, 0, 0]], attrs={"axis": "2", "begin": "0", "end": "16"}),
        layer("Reshape", "places", [[4, 0, 0]], attrs={"shape": "(1, -1)"}),
        layer("_contrib_MultiBoxDetection", "found", [[4, 0, 0], [5, 0, 0], [2, 0, 0]],
              attrs={"nms_topk": "5"}),
        layer("_contrib_box_nms", "best", [[6, 0, 0]], attrs={"topk": "3", "id_index": "0"}),
        layer("ROIPooling", "cut", [[0, 0, 0], [9, 0, 0]],
              attrs={"pooled_size": "(2, 2)", "spatial_scale": "1.0"}),
    )  # fmt: skip
    rois = layer("slice_axis", "rois", [[6, 0, 0]], attrs={"axis": "2", "begin": "0", "end": "5"})
    boxes["nodes"].insert(8, rois)
    boxes["nodes"].insert(9, layer("Reshape", "flat", [[8, 0, 0]], attrs={"shape": "(-1, 5)"}))
    words = network(
        layer("Reshape", "steps", attrs={"shape": "(6, 4, 8)"}),
        _argument("rnn"), _argument("state"), _argument("cell"),
        layer("RNN", "lstm", [[1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]],
              attrs={"mode": "lstm", "num_layers": "1", "state_size": "2",
                     "state_outputs": "True"}),
        layer("SequenceReverse", "back", [[5, 0, 0]]),
        layer("topk", "top", [[6, 0, 0]], attrs={"k": "1", "ret_typ": "both"}),
        layer("elemwise_add", "sum", [[7, 0, 0], [7, 1, 0]]),
    )  # fmt: skip
    cells = {"rnn": (4 * 2 * (8 + 2 + 2),), "state": (1, 4, 2), "cell": (1, 4, 2)}
    numbers = network(
        layer("_npi_add_scalar", "more", attrs={"scalar": "1.5"}),
        layer("_npi_einsum", "product", [[1, 0, 0], [0, 0, 0]],
              attrs={"num_args": "2", "subscripts": "abcd,abce->de"}),
        layer("_np_transpose", "turned", [[2, 0, 0]], attrs={"axes": "(1, 0)"}),
        layer("_npi_pad", "padded", [[3, 0, 0]],
              attrs={"pad_width": "((1, 1), (0, 2))", "mode": "constant"}),
        layer("_linalg_gemm2", "squared", [[3, 0, 0], [2, 0, 0]]),
        layer("_npi_concatenate", "row", [[4, 0, 0], [4, 0, 0]], attrs={"num_args": "2"}),
    )  # fmt: skip
    counted = network(
        layer("_while_loop", "count", [[0, 0, 0]],
              attrs={"num_args": "3", "num_outputs": "2", "num_out_data": "1",
                     "max_iterations": "3", "cond_input_locs": "[0]", "func_input_locs": "[0]",
                     "func_var_locs": "[0]"},
              subgraphs=[
                  network(layer("mean", "asked", attrs={"axis": "()"})),
                  network(layer("relu", "a"), layer("_plus_scalar", "b", attrs={"scalar": "1"}),
                          heads=[[1, 0, 0], [2, 0, 0]]),
              ]),
    )  # fmt: skip
    return [
        (pictures, weights),
        (_ending(boxes, len(boxes["nodes"]) - 1), {}),
        (_ending(words, len(words["nodes"]) - 1), cells),
        (_ending(network(loop(layer("relu", "inside"))), 1), {}),
        (_ending(numbers, 6), {}),
        # MXNet cannot tell the shapes of these two beforehand, so none of them is served.
        (_ending(network(condition(loop(layer("relu", "inside")))), 1), {}),
        (_ending(counted, 1), {}),
    ]


SEEDS = _seeds()
ANSWERING = len(SEEDS) - 2


def seed_files(number: int) -> Files:
    """The network ``SEEDS[number]`` as it is; the first ``ANSWERING`` load and answer."""
    graph, shapes = SEEDS[number]
    return _files(json.dumps(graph), _params(shapes))


def _params(shapes: dict[str, Sequence[int]]) -> bytes:
    arrays = {}
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        arrays[name if ":" in name else f"arg:{name}"] = (shape, [0.5] * count)
    return params_bytes(arrays)


def _files(symbol: str | bytes, params: bytes, shape: Sequence[int] = SHAPE) -> Files:
    return {
        "tiny-symbol.json": symbol if isinstance(symbol, bytes) else symbol.encode(),
        "tiny-0000.params": params,
        "tiny-shapes.json": json.dumps([{"name": "data", "shape": list(shape)}]).encode(),
        "synset.txt": b"a\nb\nc\n",
    }


def mutant(seed: int) -> Files:
    """The files of the mutant of that number; equal numbers give equal files."""
    draw = random.Random(seed)
    graph, shapes = copy.deepcopy(draw.choice(SEEDS))
    kind = draw.random()
    if kind < 0.55:  # any operator on what is there, as one more output
        _grow(draw, graph)
        if draw.random() < 0.3:
            draw.choice(_CHANGES)(draw, graph)
        return _files(json.dumps(graph), _params(shapes))
    if kind < 0.80:
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            change = draw.choice(_CHANGES)
            change(draw, graph)
            if change is _break:  # what is broken may be no graph that another change knows
                break
        return _files(json.dumps(graph), _params(shapes))
    if kind < 0.85:
        return _files(_damaged(draw, json.dumps(graph).encode()), _params(shapes))
    if kind < 0.95:
        return _files(json.dumps(graph), _damaged_params(draw, _params(shapes or {"x": (2, 2)})))
    shape = list(SHAPE)
    for _ in range(draw.choice((1, 2))):
        shape[draw.randrange(len(shape))] = draw.choice(_SIZES)
    if draw.random() < 0.3:
        shape = shape[: draw.randrange(1, 4)] if draw.random() < 0.5 else [*shape, 1, 1]
    return _files(json.dumps(graph), _params(shapes), shape)


# --- structure --------------------------------------------------------------------------------


def _value(draw: random.Random, kind: str) -> str:
    if draw.random() < 0.02:
        return draw.choice(_JUNK)
    if "|" in kind:
        return draw.choice(kind.strip("|").split("|"))
    if kind.endswith("?"):
        if draw.random() < 0.3:
            return "None"
        kind = kind[:-1]
    if kind in ("int", "long"):
        return str(draw.choice(_NUMBERS))
    if kind in ("uint", "ulong"):
        return str(draw.choice(_NUMBERS[4:]))
    if kind == "float":
        return draw.choice(_REALS)
    if kind == "bool":
        return draw.choice(("True", "False"))
    count = draw.choice((0, 1, 1, 2, 2, 2, 3, 4, 5, 9))
    if kind == "shape":
        return (
            f"({','.join(str(draw.choice(_NUMBERS[:12])) for _ in range(count))},)"
            if count
            else "()"
        )
    if kind == "floats":
        return f"({','.join(draw.choice(_REALS) for _ in range(count))})"
    if kind == "shapes":
        pairs = [
            f"({draw.choice(_NUMBERS[2:9])},{draw.choice(_NUMBERS[2:9])})" for _ in range(count)
        ]
        return f"({','.join(pairs)})"
    return draw.choice(_TEXTS)


def _attributes(draw: random.Random, operator: operators.Operator, inputs: int) -> dict[str, str]:
    told = {}
    likely = draw.choice((0.3, 0.9, 1.0, 1.0))
    for key, kind in operator.attributes.items():
        if key == operator.counted:
            told[key] = str(inputs)
        elif draw.random() < likely:
            told[key] = _value(draw, kind)
    return told


def _link(draw: random.Random, graph: Graph, before: int) -> list[int]:
    output = 0 if draw.random() < 0.95 else draw.choice((1, 1, 2, 3, 700, 65_536))
    return [draw.randrange(before), output, 0]


def _grow(draw: random.Random, graph: Graph) -> None:
    nodes = graph["nodes"]
    for number in range(draw.choice((1, 1, 1, 2))):
        op = draw.choice(ALLOWED)
        operator = operators.allowed(op)
        assert operator is not None
        count = draw.randrange(1, 5) if operator.counted else operator.inputs
        if draw.random() < 0.15:
            count = max(0, count - 1)
        at = len(nodes)
        links = [_link(draw, graph, at) for _ in range(count)]
        if links and draw.random() < 0.7:  # most operators want what has a sensible shape
            same = draw.choice((links[0], [0, 0, 0]))
            links = [same] * count if draw.random() < 0.5 else [same, *links[1:]]
        links = [list(link) for link in links]
        nodes.append(
            layer(op, f"grown{number}", links, attrs=_attributes(draw, operator, len(links)))
        )
        graph["heads"].append([at, 0, 0])
    graph.pop("node_row_ptr", None)


def _layers(graph: Graph) -> list[tuple[Graph, int]]:
    """Each layer, those inside loops and conditions too: its network and its number there."""
    found = []
    for number, node in enumerate(graph["nodes"]):
        if node["op"] != "null":
            found.append((graph, number))
        for inner in node.get("subgraphs", ()):
            found += _layers(inner)
    return found


def _one(draw: random.Random, graph: Graph) -> tuple[Graph, int, Graph]:
    where, number = draw.choice(_layers(graph))
    return where, number, where["nodes"][number]


def _swap(draw: random.Random, graph: Graph) -> None:
    _, _, node = _one(draw, graph)
    node["op"] = draw.choice(ALLOWED)
    operator = operators.allowed(node["op"])
    assert operator is not None
    if draw.random() < 0.7:
        node["attrs"] = _attributes(draw, operator, len(node["inputs"]))


def _tell(draw: random.Random, graph: Graph) -> None:
    _, _, node = _one(draw, graph)
    operator = operators.allowed(node["op"])
    if operator is None or not operator.attributes:
        return
    for _ in range(draw.choice((1, 1, 2, 4))):
        key, kind = draw.choice(list(operator.attributes.items()))
        node.setdefault("attrs", {})[key] = _value(draw, kind)


def _forget(draw: random.Random, graph: Graph) -> None:
    _, _, node = _one(draw, graph)
    if node.get("attrs"):
        node["attrs"].pop(draw.choice(list(node["attrs"])))


def _rewire(draw: random.Random, graph: Graph) -> None:
    where, number, node = _one(draw, graph)
    if node["inputs"]:
        node["inputs"][draw.randrange(len(node["inputs"]))] = _link(draw, where, max(number, 1))


def _count(draw: random.Random, graph: Graph) -> None:
    where, number, node = _one(draw, graph)
    if draw.random() < 0.5 and node["inputs"]:
        node["inputs"].pop(draw.randrange(len(node["inputs"])))
    else:
        node["inputs"].append(_link(draw, where, max(number, 1)))


def _head(draw: random.Random, graph: Graph) -> None:
    graph["heads"][draw.randrange(len(graph["heads"]))] = _link(draw, graph, len(graph["nodes"]))


def _break(draw: random.Random, graph: Graph) -> None:
    where, number, node = _one(draw, graph)
    match draw.randrange(8):
        case 0:
            node["inputs"] = [[draw.choice((-1, number, number + 1, 10**9, 2**70)), 0, 0]]
        case 1:
            node["inputs"] = [[0, 0, draw.choice((-1, 1, 2**33))]]
        case 2:
            where["heads"] = draw.choice(([], [[10**6, 0, 0]], [[-1, 0, 0]], [[0, 0, 0]], None))
        case 3:
            where["arg_nodes"] = draw.choice(([], [10**6], [-1], [number], "x"))
        case 4:
            where["node_row_ptr"] = draw.choice(([], [2**40], [-1], None))
        case 5:
            graph["attrs"]["mxnet_version"] = [
                "int",
                draw.choice((0, 800, 900, 903, 10500, 20000, -1)),
            ]
        case 6:
            node[draw.choice(("attr", "param"))] = node.pop("attrs", {})
        case _:
            node["op"] = draw.choice(("_Native", "Custom", "null", "", 7, "_sg_mkldnn_conv"))


def _shape(draw: random.Random, graph: Graph) -> None:
    arguments = [node for node in graph["nodes"] if node["op"] == "null"]
    sizes = [str(draw.choice(_SIZES)) for _ in range(draw.randrange(6))]
    told = {"__shape__": f"({', '.join(sizes)})"}
    if draw.random() < 0.5:
        told["__dtype__"] = str(draw.randrange(-2, 14))
    draw.choice(arguments)["attrs"] = told


_CHANGES: tuple[Callable[[random.Random, Graph], None], ...] = (
    _swap, _swap, _tell, _tell, _tell, _forget, _rewire, _rewire, _count, _head, _break, _shape,
    _grow,
)  # fmt: skip


# --- bytes ------------------------------------------------------------------------------------


def _damaged(draw: random.Random, data: bytes) -> bytes:
    match draw.randrange(4):
        case 0:
            return data[: draw.randrange(len(data))]
        case 1:
            begin = draw.randrange(len(data))
            return data[:begin] + data[begin + draw.randrange(1, 40) :]
        case 2:
            begin = draw.randrange(len(data))
            return data[:begin] + data[begin : begin + draw.randrange(1, 90)] + data[begin:]
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _damaged_params(draw: random.Random, data: bytes) -> bytes:
    if draw.random() < 0.4:
        return _damaged(draw, data)
    damaged = bytearray(data)
    where = draw.choice((0, 16, 24, 28, 32, 36, 40, 44, len(data) - 8, draw.randrange(len(data))))
    width, layout = draw.choice(((4, "<I"), (8, "<Q")))
    where = min(where, len(damaged) - width)
    number = draw.choice((0, 1, 2, 3, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1))
    struct.pack_into(layout, damaged, where, number & (2 ** (8 * width) - 1))
    return bytes(damaged)


__all__ = ["ANSWERING", "SEEDS", "Files", "mutant", "seed_files"]
