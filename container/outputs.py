"""What a network's numbers are: probabilities that add up to 1, one for each label by itself, or
logits. The outputs decide, not the name of the last operator.

Decided once, as the network is loaded, from the pass that warms it up. Where that pass leaves it
open, the network's end is tried by itself: all that follows the last layer with weights, on noise
of several magnitudes. What stays within 0 and 1 there does so whatever the weights are. And where
the end does not say (probabilities that go through weights once more), the whole network is tried.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from container.artifact import Artifact
from container.graph import Graph
from container.mxnet_alone import mx
from container.report_form import OUTPUTS

PROBABILITIES, LOGITS, MULTILABEL = OUTPUTS

_TOLERANCE = 1e-3
_VARIED = 1e-3
"""Smaller differences of a network's numbers count as none."""

_SEED = 20
_MAGNITUDES = (50.0, 5.0, 1.0)
_NOISE = 1 << 12
"""Values of noise that differ; larger inputs repeat them, as making noise takes its time."""

# Operators that only pass values on: what stands before them decides what the network ends with.
_TRANSPARENT = {"Flatten", "flatten", "Reshape", "reshape", "_copy", "identity", "squeeze",
                "BlockGrad", "stop_gradient", "Cast", "cast", "amp_cast",
                "expand_dims"}  # fmt: skip
_SOFTMAX = {"softmax", "SoftmaxOutput", "Softmax", "SoftmaxActivation", "_npx_softmax"}
_LOG_SOFTMAX = {"log_softmax", "_npx_log_softmax"}
_SIGMOID = {"sigmoid", "_npx_sigmoid", "LogisticRegressionOutput"}
# Their inputs are of one kind, so a weight among them is no layer: a mask, a temperature.
_ELEMENTWISE = ("broadcast_", "elemwise_")


Conversion = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Output:
    """What is served of a network: one of its outputs, and what its numbers are.

    ``kind`` is one of ``artifact.OUTPUTS``; ``chosen`` says by what: the ``probes``, or
    ``preprocess.json``; ``others`` are the names of the outputs that are not served.
    """

    name: str
    index: int
    kind: str
    chosen: str
    others: tuple[str, ...]


def head(graph: Graph, index: int) -> str:
    """The last operator of an output; variants such as ``logsoftmax`` have one name each."""
    number = graph.heads[index][0]
    while graph.nodes[number].op in _TRANSPARENT and graph.nodes[number].inputs:
        number = graph.nodes[number].inputs[0][0]
    node = graph.nodes[number]
    if node.op in _SIGMOID or node.attributes.get("act_type") == "sigmoid":
        return "sigmoid"
    if node.op in _SOFTMAX:
        return "softmax"
    return "log_softmax" if node.op in _LOG_SOFTMAX else node.op


def decide(
    first: np.ndarray,
    ends_with: str,
    end: Callable[[], Iterable[np.ndarray]],
    whole: Callable[[], Iterable[np.ndarray]],
) -> str:
    """What a network's numbers are.

    ``first`` are those of the first pass, one row for each of the batch. ``end`` gives those of
    the network's end on noise, none where it cannot be tried by itself; ``whole`` those of all of
    it. Neither is asked where it is clear without.
    """
    if _finite(first) and (not within(first) or _are_logs(first, ends_with)):
        return LOGITS
    if ends_with == "softmax" and _adds_up(first):
        return PROBABILITIES
    if ends_with == "sigmoid" and within(first):
        return MULTILABEL
    told = _kind(end())
    if told in (PROBABILITIES, MULTILABEL):
        return told
    if told == LOGITS and _finite(first) and not _adds_up(first):
        return LOGITS
    return _of_the_whole(first, whole(), told)


def agrees(kind: str, rows: np.ndarray) -> bool:
    """Whether a network's numbers fit the kind that was decided."""
    if kind == LOGITS or not _finite(rows):
        return kind == LOGITS
    return _adds_up(rows) if kind == PROBABILITIES else within(rows)


def certain(kind: str, ends_with: str) -> bool:
    """Whether the network's last operator determines the kind."""
    return kind == LOGITS or ends_with in ("softmax", "sigmoid")


def conversion(kind: str, first: np.ndarray, ends_with: str) -> Conversion:
    """What makes a network's numbers those that are served, from 0 to 1; ``first`` as above."""
    if kind != LOGITS:
        return _as_they_are
    if _are_logs(first, ends_with):
        return _exp
    # Of one label alone a softmax would always make 1.
    return _sigmoid if first.shape[1] == 1 else _softmax


def _are_logs(first: np.ndarray, ends_with: str) -> bool:
    """Whether they are logarithms of probabilities: of one label alone, always 0."""
    return ends_with == "log_softmax" and _finite(first) and _adds_up(np.exp(first))


def _as_they_are(rows: np.ndarray) -> np.ndarray:
    return rows


def _exp(rows: np.ndarray) -> np.ndarray:
    return np.exp(rows)


def _sigmoid(rows: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -rows))


def _softmax(rows: np.ndarray) -> np.ndarray:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _kind(answers: Iterable[np.ndarray]) -> str | None:
    """What ``answers`` show; None where they are none, or no numbers."""
    told = None
    for rows in answers:
        if not _finite(rows):
            continue  # an end that overflows on noise of this magnitude
        if not within(rows):
            return LOGITS
        told = MULTILABEL if told == MULTILABEL or not _adds_up(rows) else PROBABILITIES
    return told


def _of_the_whole(first: np.ndarray, probes: Iterable[np.ndarray], told: str | None) -> str:
    """What the whole network shows, where its end has ``told`` logits or nothing."""
    seen = [first] if _finite(first) else []
    varied = False
    for rows in probes:
        if not _finite(rows):
            continue
        if not within(rows) or (told == LOGITS and not _adds_up(rows)):
            return LOGITS
        seen.append(rows)
        varied = varied or bool(np.abs(rows - seen[0]).max() > _VARIED)
    adds_up = bool(seen) and all(map(_adds_up, seen))
    if adds_up and (varied or told is None):
        return PROBABILITIES
    # It answers the same to everything, so only its end could tell more.
    return MULTILABEL if told is None and seen and (varied or seen[0].any()) else LOGITS


def _finite(rows: np.ndarray) -> bool:
    return bool(np.isfinite(rows).all())


def within(rows: np.ndarray) -> bool:
    """Whether all numbers are from 0 to 1."""
    return bool(rows.min() >= -_TOLERANCE and rows.max() <= 1 + _TOLERANCE)


def _adds_up(rows: np.ndarray) -> bool:
    sums = rows.sum(axis=1, dtype=np.float64)
    return within(rows) and bool(np.abs(sums - 1).max() <= _TOLERANCE)


def of_end(
    symbol: Any, index: int, shapes: Mapping[str, Sequence[int]], arrays: Mapping[str, Any],
    artifact: Artifact,
) -> Iterator[np.ndarray]:  # fmt: skip
    """What the end of the network's output ``index`` makes of noise; nothing where it has none to
    be tried by itself. ``shapes`` are those of the inputs, ``arrays`` what arguments are bound to.
    """
    weights = {one.bare for one in artifact.used}
    nodes, number = artifact.graph.nodes, artifact.graph.heads[index][0]
    if _layers([(one.op, one.name, one.inputs) for one in nodes], weights)[number]:
        # The outputs of the last layer itself may have any value.
        yield np.full((1, 2), _MAGNITUDES[0])
        return
    internals = symbol.get_internals()
    saved = json.loads(internals.tojson(remove_amp_cast=False))
    links = saved["heads"]
    # The last of that name, as names need not differ.
    names = internals.list_outputs()
    link = links[len(names) - 1 - names[::-1].index(symbol.list_outputs()[index])]
    if saved["nodes"][link[0]]["op"] != nodes[number].op:
        return
    known = {
        (one[0], one[1]): size
        for one, size in zip(links, internals.infer_shape(**shapes)[1], strict=True)
    }
    batch = next(iter(shapes.values()))[0]
    end = _End(saved, weights, set(shapes))
    end.follow(link[0], link[1])
    text, cuts = end.text(link)
    if not known.keys() >= set(cuts.values()):
        return  # it goes on from an output that a layer keeps to itself
    noise = np.random.RandomState(_SEED)
    try:
        alone = mx.sym.load_json(text)
        fed = {name: mx.nd.zeros(known[place]) for name, place in cuts.items()}
        bound = {
            name: fed[name] if name in fed else arrays[name] for name in alone.list_arguments()
        }
        executor = alone.bind(mx.cpu(), args=bound, grad_req="null")
        for magnitude in _MAGNITUDES:
            for array in fed.values():
                array[:] = _noise(noise, array.shape) * magnitude
            rows = executor.forward(is_train=False)[0].asnumpy()
            yield rows.astype(np.float32).reshape(batch, -1)
    except mx.MXNetError:
        return  # an end that wants other types than float32, such as a quantized network's


def _noise(source: np.random.RandomState, shape: Sequence[int]) -> np.ndarray:
    count = int(np.prod(shape))
    few = source.standard_normal(min(count, _NOISE + 1)).astype(np.float32)
    return np.resize(few, tuple(shape))


def inputs(shapes: Sequence[Sequence[int]]) -> Iterator[list[np.ndarray]]:
    """Test inputs of the whole network: noise, pixels, and too large values."""
    noise = np.random.RandomState(_SEED)
    yield [_noise(noise, shape) for shape in shapes]
    yield [np.clip(128 + 64 * _noise(noise, shape), 0, 255) for shape in shapes]
    yield [1000 * _noise(noise, shape) for shape in shapes]


def _layers(nodes: Sequence[tuple[str, str, Any]], weights: Set[str]) -> list[bool]:
    """Of each node, an operator with a name and links, whether it is a layer with weights: whether
    it makes something of weights, as they are or changed, and of something else."""
    fixed: list[bool] = []
    layers = []
    for op, name, links in nodes:
        of_weights = [fixed[link[0]] for link in links]
        fixed.append(all(of_weights) if links else op == "null" and name in weights)
        layers.append(not fixed[-1] and any(of_weights) and not op.startswith(_ELEMENTWISE))
    return layers


class _End:
    """Cuts a network off after its last layers with weights."""

    def __init__(self, saved: Any, weights: set[str], fed: set[str]) -> None:
        self.nodes = saved["nodes"]
        self.attributes = saved.get("attrs", {})
        listed = [(one["op"], one["name"], one["inputs"]) for one in self.nodes]
        self.layers, self.fed = _layers(listed, weights), fed
        self.kept: set[int] = set()
        self.cut: set[tuple[int, int]] = set()

    def follow(self, number: int, output: int) -> None:
        """Keep what stands before this output, up to the layers with weights."""
        todo = [(number, output)]
        while todo:
            at, out = todo.pop()
            if self._ends(at):
                self.cut.add((at, out))
            elif at not in self.kept:
                self.kept.add(at)
                todo += [(link[0], link[1]) for link in self.nodes[at]["inputs"]]

    def _ends(self, number: int) -> bool:
        node = self.nodes[number]
        return self.layers[number] or (node["op"] == "null" and node["name"] in self.fed)

    def text(self, link: Sequence[int]) -> tuple[str, dict[str, tuple[int, int]]]:
        """The end as MXNet reads it, and the names of what is fed, with what it stands for."""
        names = {node["name"] for node in self.nodes}
        places: dict[tuple[int, int], list[int]] = {}
        nodes: list[dict[str, Any]] = []
        cuts: dict[str, tuple[int, int]] = {}
        for at, out in sorted(self.cut):
            name = f"probe{len(cuts)}"
            while name in names:
                name += "_"
            names.add(name)
            cuts[name] = (at, out)
            places[at, out] = [len(nodes), 0, 0]
            nodes.append({"op": "null", "name": name, "inputs": []})
        numbers: dict[int, int] = {}
        for at in sorted(self.kept):
            node = self.nodes[at]
            inputs = [
                places.get((one[0], one[1])) or [numbers[one[0]], one[1], 0]
                for one in node["inputs"]
            ]
            numbers[at] = len(nodes)
            nodes.append(node | {"inputs": inputs})
        saved = {
            "nodes": nodes,
            "arg_nodes": [number for number, node in enumerate(nodes) if node["op"] == "null"],
            "heads": [[numbers[link[0]], link[1], 0]],
            "attrs": self.attributes,
        }
        return json.dumps(saved), cuts
