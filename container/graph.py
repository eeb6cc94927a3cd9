"""Reads and checks the network in NAME-symbol.json, and writes it anew for MXNet.

MXNet's own reader trusts the file: it takes operators that call an address in the file, links
to outputs that are not there (it follows them beyond the end of its tables), one of two equal keys.
So the file is parsed here, strictly, and MXNet gets only what was checked, never the file.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from container import operators

MAX_NODES = 200_000
MAX_LINKS = 1_000_000
MAX_DEPTH = 8
"""Of networks inside networks: the bodies of loops and of conditions."""
MAX_OUTPUTS = 65_536
"""Of one layer, or of the network."""
MAX_NAME_LETTERS = 1_000

_GRAPH_KEYS = {"nodes", "arg_nodes", "heads", "node_row_ptr", "attrs"}
_NODE_KEYS = {
    "op", "name", "inputs", "attrs", "attr", "param", "control_deps", "subgraphs",
    "backward_source_id",
}  # fmt: skip
_BEFORE_0_9 = 900  # until then files named no states; MXNet adds them as it reads
_MAX_VERSION = 1_000_000  # ten thousands, hundreds and ones: 10901 is 1.9.1

# For training and for its schedulers alone; MXNet writes them beside what the operator is told.
_NOTES = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage", "profiler_scope")
_NOTE = re.compile(rf"__\w+__|(?:\w+_)?(?:{'|'.join(_NOTES)})", re.ASCII)
# MXNet does not check the shape, and reads and writes beyond the smaller array.
_UNCHECKED = frozenset({"Reshape", "reshape"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_VARIABLE_DTYPES = frozenset(str(number) for number in range(-1, 8))

# Where each of the three tells which of its inputs go to which of the networks inside it.
_LOOPS = {
    "_foreach": (("in_data_locs", "in_state_locs", "remain_locs"),),
    "_while_loop": (("cond_input_locs",), ("func_input_locs",)),
    "_cond": (("cond_input_locs",), ("then_input_locs",), ("else_input_locs",)),
}


class GraphError(Exception):
    """The file holds no network that can be served; the message is the end of a sentence."""


class NotAllowed(GraphError):
    """The network has something that is not allowed."""


class _OperatorNotAllowed(NotAllowed):
    """A node has an operator that is not allowed."""


@dataclass(frozen=True)
class Node:
    """One layer, or with the operator ``null`` an argument; links are node, output, version."""

    op: str
    name: str
    attributes: dict[str, str]
    inputs: list[list[int]]
    subgraphs: list["Graph"]


@dataclass(frozen=True)
class Graph:
    """A network; ``heads`` are its outputs, ``notes`` what is said of the file itself."""

    nodes: list[Node]
    heads: list[list[int]]
    notes: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The network as MXNet reads it."""
        plain = self.plain()
        plain["attrs"] = {key: ["int", value] for key, value in self.notes.items()}
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))

    def plain(self) -> dict[str, Any]:
        nodes = []
        for node in self.nodes:
            plain: dict[str, Any] = {"op": node.op, "name": node.name}
            if node.attributes:
                plain["attrs"] = node.attributes
            plain["inputs"] = node.inputs
            if node.subgraphs:
                plain["subgraphs"] = [inner.plain() for inner in node.subgraphs]
            nodes.append(plain)
        arguments = [number for number, node in enumerate(self.nodes) if node.op == "null"]
        return {"nodes": nodes, "arg_nodes": arguments, "heads": self.heads}

    def needs_mxnets_check(self) -> bool:
        """Whether something in it can be judged only with what MXNet knows of it: links to other
        outputs of a layer than its first, and changes of shape. See :func:`check_outputs` and
        :func:`check_sizes`."""
        return any(link[1] for link in self._links()) or any(
            node.op in _UNCHECKED for node in self.nodes
        )

    def without_types(self, arguments: Set[str]) -> "Graph":
        """The same, where the ``arguments`` have no type of their own: requests are float32."""

        def typed(node: Node) -> bool:
            return node.op == "null" and "__dtype__" in node.attributes and node.name in arguments

        def changed(node: Node) -> dict[str, str]:
            return {key: value for key, value in node.attributes.items() if key != "__dtype__"}

        return self._changed(typed, changed) if any(map(typed, self.nodes)) else self

    def in_float32(self, types: Set[str]) -> "Graph":
        """The same, computed in float32 wherever it says one of ``types``."""

        def changed(node: Node) -> dict[str, str]:
            return node.attributes | ({"__dtype__": "0"} if node.op == "null" else _FLOAT32)

        return self._changed(lambda node: _type_said(node) in types, changed)

    def types(self) -> set[str]:
        """The types of values that it says, by their names."""
        found = {kind for node in self.nodes if (kind := _type_said(node)) is not None}
        for node in self.nodes:
            for inner in node.subgraphs:
                found |= inner.types()
        return found

    def _changed(
        self, which: Callable[[Node], bool], attributes: Callable[[Node], dict[str, str]]
    ) -> "Graph":
        nodes = []
        for node in self.nodes:
            if node.subgraphs:
                inner = [one._changed(which, attributes) for one in node.subgraphs]
                node = replace(node, subgraphs=inner)
            nodes.append(replace(node, attributes=attributes(node)) if which(node) else node)
        return replace(self, nodes=nodes)

    def _links(self) -> Iterator[list[int]]:
        yield from self.heads
        for node in self.nodes:
            yield from node.inputs
            for inner in node.subgraphs:
                yield from inner._links()


_FLOAT32 = {"dtype": "float32"}
_TYPES = {"0": "float32", "1": "float64", "2": "float16"}  # of an argument, by MXNet's numbers


def _type_said(node: Node) -> str | None:
    """The type of values that a node says; of an argument, as far as it is of floats."""
    if node.op == "null":
        return _TYPES.get(node.attributes.get("__dtype__", ""))
    return node.attributes.get("dtype")


def parse(text: str) -> Graph:
    """The network of ``text``. Raises :class:`GraphError`, and ValueError or RecursionError where
    it is not JSON."""
    return _Reader().graph(
        json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant), 0
    )


def check_outputs(saved: Any) -> None:
    """Check each link against the number of outputs that the layer has by MXNet.

    ``saved`` is MXNet's own ``tojson(remove_amp_cast=False)`` of the network, parsed: by itself it
    leaves such casts out, with what they are linked to. Raises :class:`GraphError`: what MXNet
    would follow a link beyond them for is whatever lies there in memory.
    """
    begins = saved["node_row_ptr"]
    for node in saved["nodes"]:
        for link in node["inputs"]:
            _check_output(saved, begins, link, f"the input of {node['name']!r}")
        for inner in node.get("subgraphs", ()):
            check_outputs(inner)
    for link in saved["heads"]:
        _check_output(saved, begins, link, "an output of the network")


def check_sizes(saved: Any, shapes: Sequence[Sequence[int]]) -> None:
    """Hold what an operator makes of its input against the size of that, where MXNet does not.

    ``saved`` is the ``tojson()`` of all outputs inside the network (``get_internals()``), parsed,
    and ``shapes`` are theirs. Raises :class:`GraphError`: MXNet would read and write beyond them.
    """
    known = {(link[0], link[1]): shape for link, shape in zip(saved["heads"], shapes, strict=True)}
    for number, node in enumerate(saved["nodes"]):
        if node["op"] not in _UNCHECKED:
            continue
        before, after = known[tuple(node["inputs"][0][:2])], known[number, 0]
        if math.prod(before) != math.prod(after):
            raise GraphError(
                f"{node['name']!r} makes the shape {list(after)} of {list(before)}, which has "
                f"{math.prod(before):,} values and not {math.prod(after):,}"
            )


def _check_output(graph: Any, begins: list[int], link: list[int], what: str) -> None:
    outputs = begins[link[0] + 1] - begins[link[0]]
    if link[1] >= outputs:
        name = graph["nodes"][link[0]]["name"]
        raise GraphError(
            f"{what} is output {link[1]} of {name!r}, which has {outputs}, counted from 0"
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ: of two equal ones, one reader takes the first, one the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = Counter(keys).most_common(1)[0][0]
        raise NotAllowed(f"the key {_short(twice)} stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


class _Reader:
    """Reads one file; counts over all the networks in it."""

    def __init__(self) -> None:
        self.nodes = 0
        self.links = 0
        self.version = 0

    def graph(self, given: Any, depth: int) -> Graph:
        if depth > MAX_DEPTH:
            raise NotAllowed(f"its networks lie more than {MAX_DEPTH} deep in each other")
        if not isinstance(given, dict):
            raise GraphError("it is not an object")
        if unknown := sorted(set(given) - _GRAPH_KEYS):
            raise GraphError(f"unknown key {_short(unknown[0])}")
        listed = given.get("nodes")
        if not isinstance(listed, list) or not listed:
            raise GraphError("it has no list of nodes")
        self.nodes += len(listed)
        if self.nodes > MAX_NODES:
            raise NotAllowed(f"it has more than {MAX_NODES:,} nodes")
        notes = self._notes(given.get("attrs", {}))
        if depth == 0:
            self.version = notes.get("mxnet_version", 800)  # as MXNet takes it
        nodes: list[Node] = []
        for one in listed:
            try:
                nodes.append(self._node(one, nodes, depth))
            except _OperatorNotAllowed:
                raise NotAllowed(_refusal(listed)) from None
        heads = self._links(given.get("heads"), nodes, "the outputs of the network")
        if not heads:
            raise GraphError("it has no output")
        for key, most in (("arg_nodes", len(nodes) - 1), ("node_row_ptr", MAX_LINKS)):
            numbers = given.get(key, [])
            if not isinstance(numbers, list) or not all(_in(n, 0, most) for n in numbers):
                raise GraphError(f"{key!r} holds what is no node's number")
        return Graph(nodes, heads, notes if depth == 0 else {})

    def _notes(self, given: Any) -> dict[str, int]:
        if not isinstance(given, dict):
            raise GraphError("'attrs' is not an object")
        notes = {}
        for key, most in (("mxnet_version", _MAX_VERSION), ("is_np_shape", 2)):
            if key not in given:
                continue
            match given[key]:
                case ["int", int(value)] if _in(value, 0, most):
                    notes[key] = value
                case _:
                    raise GraphError(f"{key!r} is {_short(given[key])}")
        return notes

    def _node(self, given: Any, before: list[Node], depth: int) -> Node:
        if not isinstance(given, dict):
            raise GraphError("a node is not an object")
        if unknown := sorted(set(given) - _NODE_KEYS):
            raise GraphError(f"a node has the unknown key {_short(unknown[0])}")
        op, name = given.get("op"), given.get("name")
        if not isinstance(op, str) or not isinstance(name, str):
            raise GraphError("a node has no operator or no name")
        if len(name) > MAX_NAME_LETTERS or _CONTROL.search(name):
            raise NotAllowed(f"the name {_short(name)} is too long or not printable")
        if given.get("control_deps", []) != [] or given.get("backward_source_id", -1) != -1:
            raise NotAllowed(f"{name!r} depends on other nodes than its inputs")
        inputs = self._links(given.get("inputs"), before, f"the inputs of {name!r}")
        inner = given.get("subgraphs", [])
        if not isinstance(inner, list):
            raise GraphError(f"'subgraphs' of {name!r} is not a list")
        if op == "null":
            if inputs or inner:
                raise GraphError(f"{name!r} is an argument, but takes inputs")
            return Node(op, name, self._of_argument(given, name), [], [])
        operator = operators.allowed(op)
        if operator is None:
            raise _OperatorNotAllowed
        if depth and op in _UNCHECKED:  # its sizes are known only while it runs
            raise NotAllowed(f"the operator {op} is not allowed inside a loop or a condition")
        attributes = self._of_layer(given, name, operator)
        if astray := operators.unsafe_attribute(operator.name, attributes):
            raise NotAllowed(f"{name!r}: {astray} (operator {op})")
        subgraphs = [self.graph(one, depth + 1) for one in inner]
        node = Node(op, name, attributes, inputs, subgraphs)
        self._match_subgraphs(node, operator)
        self._count_inputs(node, operator)
        return node

    def _links(self, given: Any, nodes: list[Node], what: str) -> list[list[int]]:
        if not isinstance(given, list) or len(given) > MAX_OUTPUTS:
            raise GraphError(f"{what} are no list, or too many")
        self.links += len(given)
        if self.links > MAX_LINKS:
            raise NotAllowed(f"it has more than {MAX_LINKS:,} links")
        links = []
        for link in given:
            if (
                not isinstance(link, list)
                or not 2 <= len(link) <= 3
                or not _in(link[0], 0, MAX_NODES)
                or not _in(link[1], 0, MAX_OUTPUTS)
                or not _in(link[-1], 0, MAX_OUTPUTS)
            ):
                raise GraphError(f"{what}: {_short(link)} is no link to a node")
            if link[0] >= len(nodes):
                raise GraphError(f"its nodes are not in order: {what} hold {_short(link)}")
            if link[1] and nodes[link[0]].op == "null":
                raise GraphError(f"{what}: an argument has one output, not {link[1] + 1}")
            links.append([*link, 0][:3])
        return links

    def _attributes(self, given: dict[str, Any], name: str) -> dict[str, str]:
        """What the operator is told, with what anybody noted. ``attrs`` was ``attr`` before MXNet
        0.12, and until 0.9 ``param``, when notes alone stood in ``attr``."""
        keys: list[str] = [key for key in ("attrs", "attr") if key in given]
        if len(keys) > 1:
            raise NotAllowed(f"{name!r} has its attributes twice, in 'attrs' and 'attr'")
        if "param" in given:
            keys = ["param"]
        found = given[keys[0]] if keys else {}
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            raise GraphError(f"the attributes of {name!r} are not texts by their names")
        return found

    def _of_argument(self, given: dict[str, Any], name: str) -> dict[str, str]:
        """Shape and type; the rest of what an argument may carry is for training."""
        given = {key: value for key, value in given.items() if key != "param"}
        found = self._attributes(given, name)
        kept = {}
        if "__shape__" in found:
            if not operators.is_shape(found["__shape__"]):
                raise GraphError(f"{name!r}: {_short(found['__shape__'])} is no shape")
            kept["__shape__"] = found["__shape__"]
        if "__dtype__" in found:
            if found["__dtype__"] not in _VARIABLE_DTYPES:
                raise GraphError(f"{name!r}: {_short(found['__dtype__'])} is no type of values")
            kept["__dtype__"] = found["__dtype__"]
        if found.get("__storage_type__", "0") not in ("-1", "0"):
            raise NotAllowed(f"{name!r} is a sparse array")
        return kept

    def _of_layer(
        self, given: dict[str, Any], name: str, operator: operators.Operator
    ) -> dict[str, str]:
        kept = {}
        for key, value in self._attributes(given, name).items():
            kind = operator.attributes.get(key)
            if kind is None:
                if _NOTE.fullmatch(key):
                    continue
                raise NotAllowed(
                    f"{name!r}: the operator {given['op']} has no attribute {_short(key)}"
                )
            if not operators.fits(kind, key, value):
                raise NotAllowed(
                    f"{name!r}: {_short(value)} is not allowed for the attribute {key!r} of the "
                    f"operator {given['op']}, which takes {_meaning(kind)}"
                )
            kept[key] = value
        return kept

    def _count_inputs(self, node: Node, operator: operators.Operator) -> None:
        count = len(node.inputs) + len(node.subgraphs)
        if operator.counted is None:
            fewest = operator.fewest
            if self.version < _BEFORE_0_9 and operator.inputs > 1:
                fewest = 0  # MXNet adds those that are absent
            if not fewest <= count <= operator.inputs:
                takes = (
                    operator.inputs
                    if fewest in (0, operator.inputs)
                    else (f"{fewest} to {operator.inputs}")
                )
                raise GraphError(
                    f"{node.name!r} has {count} inputs, its operator {node.op} takes {takes}"
                )
        elif operator.counted in node.attributes and _number(node, operator.counted) != count:
            raise GraphError(
                f"{node.name!r} has {count} inputs, its {operator.counted!r} says "
                f"{node.attributes[operator.counted]}"
            )

    def _match_subgraphs(self, node: Node, operator: operators.Operator) -> None:
        """Hold the networks inside a loop or condition against what it says of them: MXNet takes
        its word, and looks for their inputs where it says."""
        parts = _LOOPS.get(operator.name, ())
        if len(node.subgraphs) != len(parts):
            raise GraphError(
                f"{node.name!r} has {len(node.subgraphs)} networks inside, its operator {node.op} "
                f"takes {len(parts)}"
            )
        if parts and not _agrees(node, operator.name, parts):
            raise GraphError(
                f"{node.name!r}: what its operator {node.op} says of the networks inside is not so"
            )


def _agrees(node: Node, op: str, parts: tuple[tuple[str, ...], ...]) -> bool:
    """Whether the numbers of inputs, outputs and states that a loop or condition says are those of
    the networks inside it."""
    keys = {key for part in parts for key in part} | {"func_var_locs"}
    places = {key: _whole_numbers(node.attributes.get(key, "()")) for key in keys}
    for part, inner in zip(parts, node.subgraphs, strict=True):
        taken = [place for key in part for place in places[key]]
        if not all(0 <= place < len(node.inputs) for place in taken):
            return False
        if len(taken) != sum(one.op == "null" for one in inner.nodes) or not all(reached(inner)):
            return False
    outputs = [len(inner.heads) for inner in node.subgraphs]
    said = _number(node, "num_outputs")
    if op == "_cond":
        return outputs == [1, said, said]
    if op == "_foreach":
        states, inputs = places["in_state_locs"], len(node.inputs)
        taken = [place for key in parts[0] for place in places[key]]
        if sorted(taken) != list(range(inputs)):
            return False
    else:
        states, inputs = places["func_var_locs"], len(places["func_input_locs"])
        if outputs[0] != 1:
            return False
    data = _number(node, "num_out_data")
    return (
        outputs[-1] == said
        and 0 <= data <= said
        and said - data == len(states) == len(set(states))
        and all(0 <= place < inputs for place in states)
    )


MAX_NAMED = 5
"""Operators that one refusal names."""


def _refusal(listed: list[Any]) -> str:
    """Names all operators that are not allowed, so that one upload shows them all."""
    why: dict[tuple[str, str], str] = {}
    for node in listed:
        op = node.get("op") if isinstance(node, dict) else None
        if not isinstance(op, str) or op == "null" or operators.allowed(op) is not None:
            continue
        kind = ""
        reason = operators.refused_because(op) or "MXNet has none of that name"
        if op.startswith("_sg_"):
            reason += ": export it as it was before that"
        attributes = node.get("attrs", node.get("attr", node.get("param")))
        if op == "Custom" and isinstance(attributes, dict) and "op_type" in attributes:
            kind = _short(attributes["op_type"])
        why.setdefault((_short(op)[1:-1], kind), reason)
    if len(why) == 1:
        (((name, kind), reason),) = why.items()
        reason += f" (its type is {kind})" if kind else ""
        return f"the operator {name} is not allowed in an uploaded network: {reason}"
    named = "; ".join(
        f"{name} {kind}: {reason}" if kind else f"{name}: {reason}"
        for (name, kind), reason in list(why.items())[:MAX_NAMED]
    )
    more = f"; and {len(why) - MAX_NAMED} more" if len(why) > MAX_NAMED else ""
    return f"{len(why)} operators are not allowed in an uploaded network ({named}{more})"


def _meaning(kind: str) -> str:
    words = {
        "int": "a whole number", "uint": "a whole number from 0", "long": "a whole number",
        "ulong": "a whole number from 0", "float": "a number", "bool": "True or False",
        "shape": "whole numbers in brackets", "floats": "numbers in brackets",
        "shapes": "whole numbers in brackets", "string": "a short text", "text": "a short text",
    }  # fmt: skip
    if "|" in kind:
        return f"one of {kind.strip('|').replace('|', ', ')}"
    return words[kind.removesuffix("?")] + (" or None" if kind.endswith("?") else "")


def _in(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _number(node: Node, key: str) -> int:
    return int(node.attributes.get(key, "0").strip().removesuffix("L"))


def _whole_numbers(value: str) -> list[int]:
    return [-1 if one == "None" else int(one.removesuffix("L")) for one in operators.items(value)]


def reached(graph: Graph) -> list[bool]:
    """For each node, whether an output depends on it: MXNet keeps only those."""
    found = [False] * len(graph.nodes)
    for link in graph.heads:
        found[link[0]] = True
    for number in range(len(graph.nodes) - 1, -1, -1):
        if found[number]:
            for link in graph.nodes[number].inputs:
                found[link[0]] = True
    return found
