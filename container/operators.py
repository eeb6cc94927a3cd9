"""The operators that an uploaded network may use, and their allowed attributes.

operators.txt lists them by full name; what is not on the list is refused. MXNet is not asked: its
registry also holds operators that call addresses, read files or change weights.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_VALUE_LETTERS = 4_096
"""Of one attribute: MultiBoxPrior's sizes and ratios take some dozens."""

_FILE = Path(__file__).with_name("operators.txt")
_INT32, _INT64 = 1 << 31, 1 << 63
_MAX_DIMENSIONS = 32

_WHOLE = re.compile(r"[-+]?[0-9]{1,19}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?f?")
_BOUND = re.compile(r"[-+]?inf(?:inity)?")
_ITEMS = re.compile(r"\((.*)\)|\[(.*)\]")
_SHAPES = re.compile(r"[-0-9,()\[\] L]{1,400}")
_TEXT = re.compile(r"[-+0-9A-Za-z_.,()\[\] ]{0,400}")
_DEVICE = re.compile(r"(?:(?:cpu|gpu|cpu_pinned|cpu_shared)(?:\([0-9]{1,4}\))?)?")
_STRING = re.compile(r"[ -~]{0,400}")
_BOOLEANS = frozenset({"True", "False", "true", "false", "0", "1"})
_SPARSE = frozenset({"csr", "row_sparse"})


@dataclass(frozen=True)
class Operator:
    """One operator: it takes ``fewest`` to ``inputs`` inputs, or any number where ``counted`` is
    set, the attribute that says how many; ``attributes`` are their declared types by their names.
    """

    name: str
    fewest: int
    inputs: int
    counted: str | None
    attributes: dict[str, str]


def allowed(name: str) -> Operator | None:
    """The operator of that name or alias, or None where a network may not use it."""
    line = _allowed_lines().get(name)
    if line is not None and line.startswith("= "):
        name = line[2:]
        line = _allowed_lines()[name]
    return None if line is None else _operator(name, line)


def refused_because(name: str) -> str | None:
    """Why MXNet's operator of that name is not allowed; None where MXNet has none, or it is."""
    return _lines()[1].get(name)


@functools.cache
def _lines() -> tuple[dict[str, str], dict[str, str]]:
    allowed_ones: dict[str, str] = {}
    refused: dict[str, str] = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        sign, name, rest = line.split(" ", 2)
        {"+": allowed_ones, "-": refused}[sign][name] = rest
    return allowed_ones, refused


def _allowed_lines() -> dict[str, str]:
    return _lines()[0]


@functools.cache
def _operator(name: str, line: str) -> Operator:
    inputs, *declared = line.split(" ")
    names = [] if inputs == "()" else inputs.split(",")
    counted = next((one[1:] for one in names if one.startswith("*")), None)
    attributes = dict(one.split(":", 1) for one in declared)
    if counted is not None:
        attributes.setdefault(counted, "int")
    fewest = sum(not one.endswith("?") for one in names)
    return Operator(name, fewest, len(names), counted, attributes)


@functools.lru_cache(4096)
def fits(kind: str, key: str, value: str) -> bool:
    """Whether ``value`` is one of the type ``kind``, as operators.txt writes it.

    ``int``, ``uint``, ``long``, ``ulong``: whole numbers of 32 or 64 bits. ``float``, ``bool``.
    ``shape``: whole numbers of 32 bits in brackets, or one, or None among them. ``floats``.
    ``shapes``: shapes in brackets. ``string``, ``text``: printable. ``a|b``: one of these.
    ``?`` at the end: or None.
    """
    if len(value) > MAX_VALUE_LETTERS:
        return False
    if "|" in kind:  # no sparse arrays: none of them is served
        return value in kind.split("|") and value != "" and value not in _SPARSE
    if kind.endswith("?"):
        if value == "None":
            return True
        kind = kind[:-1]
    if kind == "string":
        return (_DEVICE if key == "ctx" else _STRING).fullmatch(value) is not None
    if kind == "text":
        return _TEXT.fullmatch(value) is not None
    value = value.strip()
    if kind in _RANGES:
        return _is_whole(value, *_RANGES[kind])
    if kind == "bool":
        return value in _BOOLEANS
    if kind == "float":
        return _is_number(value)
    if kind == "shapes":
        return _SHAPES.fullmatch(value) is not None
    if kind == "shape":
        return all(one == "None" or _is_whole(one, *_RANGES["int"]) for one in items(value, "-"))
    if kind == "floats":
        return all(_is_number(one) for one in items(value, "-"))
    return False  # a pointer: no value is allowed


# MXNet does not check these, and so reads and writes wherever they lead.
_LENGTHS = {
    "SequenceLast": "use_sequence_length",
    "SequenceMask": "use_sequence_length",
    "SequenceReverse": "use_sequence_length",
    "softmax": "use_length",
}
_SPLITS = frozenset({"_split_v2", "_npi_dsplit", "_npi_hsplit"})


def unsafe_attribute(name: str, attributes: Mapping[str, str]) -> str | None:
    """What of the attributes would make MXNet read or write beyond its arrays, where each by itself
    is of its type; None where nothing does. ``name`` is the operator's own, no alias.
    """
    flag = _LENGTHS.get(name)
    if flag is not None and attributes.get(flag, "").strip() in ("True", "true", "1"):
        return f"{flag!r} takes lengths from an array, whatever they are"
    if name == "transpose":
        named = [one for one in items(attributes.get("axes", "()")) if one != "None"]
        if len({int(one.removesuffix("L")) for one in named}) != len(named):
            return "'axes' must name each axis once"
    if name in _SPLITS:
        sections = int(attributes.get("sections", "0").strip().removesuffix("L"))
        if sections <= 0 and not items(attributes.get("indices", "()")):
            return "it must say where to split"
    return None


_RANGES = {
    "int": (-_INT32, _INT32 - 1),
    "uint": (0, _INT32 - 1),
    "long": (-_INT64, _INT64 - 1),
    "ulong": (0, _INT64 - 1),
}


def _is_whole(value: str, least: int, most: int) -> bool:
    value = value.removesuffix("L")  # Python 2 wrote it
    return _WHOLE.fullmatch(value) is not None and least <= int(value) <= most


def _is_number(value: str) -> bool:
    return (_NUMBER.fullmatch(value) or _BOUND.fullmatch(value)) is not None


def items(value: str, otherwise: str = "") -> list[str]:
    """What stands between the brackets of ``value``; just ``value`` where it has none, and just
    ``otherwise`` where there is more than any network needs."""
    match = _ITEMS.fullmatch(value.strip())
    if match is None:
        return [value.strip()]
    inner = (match[1] if match[1] is not None else match[2]).strip().removesuffix(",")
    found = [one.strip() for one in inner.split(",")] if inner else []
    return found if len(found) <= 1024 else [otherwise]


def is_shape(value: str) -> bool:
    """Whether ``value`` is a shape that an array can have, or that is to be inferred."""
    return (
        fits("shape", "", value)
        and len(found := items(value)) <= _MAX_DIMENSIONS
        and all(one != "None" and int(one.removesuffix("L")) >= -1 for one in found)
    )
