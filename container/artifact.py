"""Reads and validates a model artifact: the four files of a network.

Nothing here imports MXNet, so that a broken artifact is refused in milliseconds and
with a sentence that names the file, before any native code reads it.
"""

import codecs
import json
import math
import mmap
import os
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from container import network_files
from container.findings import ArtifactError, Note
from container.graph import Graph, GraphError, NotAllowed, parse, reached
from container.report_form import OUTPUTS

MAX_SYMBOL_BYTES = 16 * 1024 * 1024  # ResNet-152's has 0.3 MB
MAX_JSON_BYTES = 1024 * 1024
# A label is shown, searched and part of every answer.
MAX_LABEL_LENGTH = 1_000
MAX_LABELS_BYTES = 64 * 1024 * 1024
MAX_LABELS = 1_000_000
MAX_UNUSED = 16
MAX_UNUSED_BYTES = 1024 * 1024
"""Arrays that the network does not use: this, and so many times what it uses. VGG without its last
layers comes with 7 times."""
MAX_INPUT_ELEMENTS = 64 * 1024 * 1024  # 256 MB of float32: more is a mistake


@dataclass(frozen=True)
class Preprocess:
    """What is done to a picture before it enters the network.

    Order: colour, resize, crop or pad, ``pixel * scale``, ``- mean``, ``/ std``. ``resize`` is the
    length of the shorter side in pixels before the crop; without it, or without ``crop``,
    the picture is stretched to the input's height and width. With ``pad``, values 0 to 255 of the
    network's channels (one for all, or one each), it keeps its proportions: it is scaled until it
    fits into the input, and the rest on both sides is filled.
    """

    resize: int | None = None
    crop: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 1.0
    color: str = "RGB"
    pad: tuple[float, ...] | None = None
    interpolation: str = "bilinear"
    layout: str | None = None
    """``NCHW`` or ``NHWC``: where the input has its channels; None: as its shape says."""
    output: str | None = None
    """What the network's numbers are, one of ``OUTPUTS``; None: as they show."""
    output_name: str | None = None
    """Which of several outputs is served; None: the first that has a number for each label."""


@dataclass(frozen=True)
class Tensor:
    """One array of a ``.params`` file; ``offset`` and ``nbytes`` say where its values lie."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int
    nbytes: int

    @property
    def bare(self) -> str:
        """The name without MXNet's prefix, which not all files have."""
        return self.name.removeprefix("arg:").removeprefix("aux:")


@dataclass(frozen=True)
class Input:
    """One input of the network, as NAME-shapes.json gives it: batch first, then C, H, W."""

    name: str
    shape: tuple[int, ...]


LAYOUTS = ("NCHW", "NHWC")
_CHANNELS = (1, 3)  # of a picture: grey, or three colours


def layout_of(shape: Sequence[int], said: str | None = None) -> str | None:
    """Where an input of ``shape``, batch first, has the channels of a picture; None where it takes
    none. ``said`` is what NAME-preprocess.json says; else the shape does, channels first where it
    could be either."""
    if len(shape) != 4:
        return None
    possible = [one for one in LAYOUTS if shape[one.index("C")] in _CHANNELS]
    if said is not None:
        return said if said in possible else None
    return possible[0] if possible else None


def picture_shape(shape: Sequence[int], layout: str | None) -> tuple[int, int, int] | None:
    """Channels, height and width of an input of ``shape``; None where it takes no pictures."""
    if layout is None:
        return None
    channels, height, width = (shape[layout.index(letter)] for letter in "CHW")
    return channels, height, width


@dataclass(frozen=True)
class Artifact:
    """A validated artifact: everything known of a model without running it."""

    name: str
    directory: Path
    symbol: Path
    params: Path
    inputs: tuple[Input, ...]
    labels: tuple[str, ...]
    preprocess: Preprocess | None
    tensors: tuple[Tensor, ...]
    layers: dict[str, int]
    arguments: tuple[str, ...]
    graph: Graph
    """The network itself, read and checked: MXNet is given this, not the file."""
    written: tuple[Input, ...]
    """The inputs with the batch that NAME-shapes.json says; ``inputs`` have a batch of 1."""
    notes: tuple[Note, ...]

    @property
    def layout(self) -> str | None:
        """``NCHW`` or ``NHWC`` where the first input takes pictures; see :func:`layout_of`."""
        said = self.preprocess.layout if self.preprocess else None
        return layout_of(self.inputs[0].shape, said)

    @property
    def used(self) -> list[Tensor]:
        """The arrays of the file that the network uses."""
        arguments = set(self.arguments)
        return [one for one in self.tensors if one.bare in arguments]

    def as_written(self) -> "Artifact | None":
        """The same, with the batch that NAME-shapes.json says; None where that is 1 already, or
        absurdly large."""
        if self.written == self.inputs or any(map(_too_large, self.written)):
            return None
        return replace(self, inputs=self.written)

    @property
    def parameter_count(self) -> int:
        """The number of parameters of the network, its auxiliary states included."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @property
    def parameter_bytes(self) -> int:
        """Bytes that the parameters take in memory."""
        return sum(tensor.nbytes for tensor in self.tensors)


#: Of the names of files in an unpacked archive, how many are looked at for a refusal.
MAX_NAMES = 1_000


def _below(directory: Path) -> Iterator[str]:
    """The paths of all files below ``directory``, without following links to folders."""
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), directory)


def read_artifact(directory: Path) -> Artifact:
    """Read and check the artifact unpacked in ``directory``.

    Raises :class:`ArtifactError` where a file is missing, doubled, cut short, not what its
    name says, or where the files do not belong together.
    """
    try:
        found = network_files.find(path.name for path in directory.iterdir() if path.is_file())
    except ArtifactError:  # with what lies in folders, it can say where the files are
        found = network_files.find(islice(_below(directory), MAX_NAMES))
    symbol_path, params_path = directory / found.symbol, directory / found.params
    symbol = _read_symbol(symbol_path)
    inputs, written, batch_notes = _read_inputs(directory / found.shapes, symbol)
    tensors = read_params_index(params_path)
    _limit_unused(params_path, tensors, symbol)
    labels, label_notes = _read_labels(directory / found.labels)
    artifact = Artifact(
        name=found.name,
        directory=directory,
        symbol=symbol_path,
        params=params_path,
        inputs=inputs,
        labels=labels,
        preprocess=_read_preprocess(directory / found.preprocess, inputs)
        if found.preprocess
        else None,
        tensors=tensors,
        layers=symbol.layers,
        arguments=symbol.arguments,
        graph=symbol.graph.without_types({one.name for one in inputs}),
        written=written,
        notes=(),
    )
    notes = [*_epoch_notes(found), *batch_notes, *label_notes, *_input_notes(artifact)]
    return replace(artifact, notes=tuple(notes))


def _epoch_notes(found: network_files.NetworkFiles) -> list[Note]:
    if found.other_epochs:
        count = len(found.other_epochs)
        others = ", ".join(found.other_epochs[:5]) + (", …" if count > 5 else "")
        message = f"The weights of the highest epoch are served, {found.params}; not {others}."
    elif found.epoch:
        message = f"The weights of epoch {found.epoch} are served, {found.params}."
    else:
        return []
    return [Note("epoch", message)]


def _input_notes(artifact: Artifact) -> list[Note]:
    notes = []
    first, *rest = artifact.inputs
    said = artifact.preprocess.layout if artifact.preprocess else None
    if said is None and all(layout_of(first.shape, one) for one in LAYOUTS):
        notes.append(
            Note(
                "layout",
                f"The input {first.name!r} {list(first.shape)} could have its channels first or "
                "last: it is read as channels first. 'layout' says otherwise.",
            )
        )
    elif artifact.layout == "NHWC":
        notes.append(
            Note(
                "layout",
                f"The input {first.name!r} {list(first.shape)} is read as channels last: pictures "
                "go in as height, width, channels.",
            )
        )
    if rest:
        names = ", ".join(f"{one.name!r} {list(one.shape)}" for one in rest)
        notes.append(
            Note(
                "other_inputs",
                f"Requests fill the input {first.name!r} alone; {names} "
                f"{'is' if len(rest) == 1 else 'are'} always zeros.",
            )
        )
    return notes


def _read_text(path: Path, code: str, max_bytes: int) -> str:
    if path.stat().st_size > max_bytes:
        raise ArtifactError(code, f"{path.name} is over {max_bytes // 1024**2} MB.")
    data = path.read_bytes()
    if data.startswith(_UTF_16) or b"\0" in data:
        raise ArtifactError(
            code, f"{path.name} is no UTF-8 text, and looks like UTF-16: save it as UTF-8."
        )
    try:
        return data.decode("utf-8-sig")  # with the byte order mark that Windows' editors write
    except UnicodeDecodeError as error:
        raise ArtifactError(
            code, f"{path.name} is not UTF-8 text ({error}): save it as UTF-8."
        ) from error


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _read_json(path: Path, code: str) -> Any:
    try:
        return json.loads(_read_text(path, code, MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(code, f"{path.name} is not valid JSON: {error}.") from error


@dataclass(frozen=True)
class _Symbol:
    graph: Graph
    arguments: tuple[str, ...]
    layers: dict[str, int]


def _read_symbol(path: Path) -> _Symbol:
    text = _read_text(path, "bad_symbol", MAX_SYMBOL_BYTES)
    try:
        graph = parse(text)
        nodes = graph.nodes
        if all(node.op == "null" for node in nodes):
            raise GraphError("it holds no layer")
    except NotAllowed as error:
        raise ArtifactError("bad_symbol", f"{path.name}: {error}.") from error
    except GraphError as error:
        raise ArtifactError(
            "bad_symbol", f"{path.name} is JSON, but not a network saved by MXNet: {error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError("bad_symbol", f"{path.name} is not valid JSON: {error}.") from error
    used = zip(nodes, reached(graph), strict=True)
    arguments = tuple(node.name for node, is_used in used if node.op == "null" and is_used)
    if len(set(arguments)) != len(arguments):
        twice = next(name for name, count in Counter(arguments).items() if count > 1)
        raise ArtifactError("bad_symbol", f"{path.name} names two arguments {twice!r}.")
    return _Symbol(
        graph=graph,
        arguments=arguments,
        layers=dict(Counter(node.op for node in nodes if node.op != "null").most_common()),
    )


def _read_inputs(
    path: Path, symbol: _Symbol
) -> tuple[tuple[Input, ...], tuple[Input, ...], list[Note]]:
    """The inputs with a batch of 1, the same with the batch that the file says, and what to note.

    The batch is that of the training, most often. Served with it, each request of one picture
    would pay for all of it.
    """
    listed = _read_json(path, "bad_shapes")
    wanted = '[{"name": "data", "shape": [1, 3, 224, 224]}]'
    if not isinstance(listed, list) or not listed:
        raise ArtifactError("bad_shapes", f"{path.name} must be a list such as {wanted}.")
    inputs: list[Input] = []
    said = ""
    for entry in listed:
        name = entry.get("name") if isinstance(entry, dict) else None
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(shape, list) or not shape:
            raise ArtifactError("bad_shapes", f"{path.name} must be a list such as {wanted}.")
        if not inputs:
            said = "null" if shape[0] is None else str(shape[0])[:20]
        if shape[0] is None or (type(shape[0]) is int and shape[0] in _ANY_BATCH):
            shape = [1, *shape[1:]]
        if len(shape) > 32 or not all(type(size) is int and size > 0 for size in shape):
            raise ArtifactError(
                "bad_shapes",
                f"{path.name}: the shape of {name!r} must be whole numbers above 0, not "
                f"{str(shape)[:100]}.",
            )
        if name not in symbol.arguments:
            raise ArtifactError(
                "bad_shapes", f"{path.name} names an input {name!r} that the network does not have."
            )
        inputs.append(Input(name=name, shape=tuple(shape)))
    if len({entry.name for entry in inputs}) != len(inputs):
        raise ArtifactError("bad_shapes", f"{path.name} names an input twice.")
    batch = inputs[0].shape[0]
    written = tuple(sorted(inputs, key=_rank))
    single = tuple(
        replace(one, shape=(1, *one.shape[1:])) if one.shape[0] == batch else one for one in written
    )
    for one in single:
        if _too_large(one):
            raise ArtifactError(
                "bad_shapes",
                f"{path.name}: the shape {str(list(one.shape))[:100]} of {one.name[:100]!r} is "
                "absurdly large.",
            )
    notes = []
    if said != "1":
        notes.append(
            Note("batch", f"{path.name} says a batch of {said}; it is served with a batch of 1.")
        )
    return single, written, notes


_ANY_BATCH = (0, -1)  # as exporters write a batch that is free, or null


def _rank(entry: Input) -> int:
    """Requests fill what takes pictures, and never the labels, which are for training."""
    if entry.name.endswith("label"):
        return 2
    return 0 if layout_of(entry.shape) else 1


def _too_large(entry: Input) -> bool:
    return math.prod(entry.shape) > MAX_INPUT_ELEMENTS


# Not str.splitlines(), which ends a line at a form feed, U+0085 and U+2028 as well.
_LINE_END = re.compile(r"\r\n|\n|\r")


def _read_labels(path: Path) -> tuple[tuple[str, ...], list[Note]]:
    lines = [
        line.strip(" \t")
        for line in _LINE_END.split(_read_text(path, "bad_labels", MAX_LABELS_BYTES))
    ]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ArtifactError("bad_labels", f"{path.name} is empty: write one label a line.")
    if len(lines) > MAX_LABELS:
        raise ArtifactError("bad_labels", f"{path.name} has more than {MAX_LABELS:,} lines.")
    longest = max(lines, key=len)
    if len(longest) > MAX_LABEL_LENGTH:
        raise ArtifactError(
            "bad_labels",
            f"Line {lines.index(longest) + 1} of {path.name} has {len(longest):,} characters: a "
            f"label may have {MAX_LABEL_LENGTH:,}.",
        )
    notes = []
    if "" in lines:  # leaving it out would shift the labels that follow
        count, first = lines.count(""), lines.index("") + 1
        notes.append(
            Note(
                "empty_label",
                f"{path.name} has {count} empty line{'' if count == 1 else 's'} before its end, "
                f"the first is line {first}: each counts as an empty label.",
            )
        )
    return tuple(lines), notes


_PREPROCESS_KEYS = {"resize", "crop", "mean", "std", "scale", "color", "pad", "interpolation",
                    "layout", "output", "output_name"}  # fmt: skip
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "area")


def _read_preprocess(path: Path, inputs: Sequence[Input]) -> Preprocess:
    given = _read_json(path, "bad_shapes")

    def refuse(what: str) -> ArtifactError:
        return ArtifactError("bad_shapes", f"{path.name}: {what}.")

    if not isinstance(given, dict):
        raise refuse("must be a JSON object")
    if unknown := sorted(set(given) - _PREPROCESS_KEYS):
        raise refuse(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_PREPROCESS_KEYS))}")

    resize = given.get("resize")
    if resize is not None and (type(resize) is not int or not 1 <= resize <= 8192):
        raise refuse("'resize' must be null or a whole number of pixels from 1 to 8192")
    crop = given.get("crop", False)
    if not isinstance(crop, bool):
        raise refuse("'crop' must be true or false")
    scale = given.get("scale", 1.0)
    if scale is None:
        scale = 1.0
    if not _is_number(scale) or scale == 0:
        raise refuse("'scale' must be a number other than 0")
    color = given.get("color", "RGB")
    if color not in ("RGB", "BGR", "GRAY"):
        raise refuse('\'color\' must be "RGB", "BGR" or "GRAY"')
    interpolation = given.get("interpolation")
    if interpolation is None:
        interpolation = "bilinear"
    if interpolation not in _INTERPOLATIONS:
        raise refuse(f"'interpolation' must be one of {', '.join(_INTERPOLATIONS)}")

    shape = inputs[0].shape
    layout = given.get("layout")
    if layout not in (None, *LAYOUTS):
        raise refuse('\'layout\' must be "NCHW" or "NHWC"')
    if layout is not None and layout_of(shape, layout) is None:
        raise refuse(
            f"'layout' is {layout}, but the input {list(shape)} has no 1 or 3 channels there"
        )
    output, output_name = given.get("output"), given.get("output_name")
    if output not in (None, *OUTPUTS):
        raise refuse(f"'output' must be one of {', '.join(OUTPUTS)}")
    if output_name is not None and not (isinstance(output_name, str) and output_name):
        raise refuse("'output_name' must be the name of one of the network's outputs")
    picture = picture_shape(shape, layout_of(shape, layout))
    channels = picture[0] if picture else shape[1] if len(shape) == 4 else None
    if channels is not None and channels != (1 if color == "GRAY" else 3) and "color" in given:
        raise refuse(f"'color' is {color}, but the network takes {channels} channel(s)")
    if resize is not None and crop and picture and resize < min(picture[1:]):
        raise refuse(f"'resize' {resize} is below the input {picture[1:]}, nothing is left to crop")
    numbers = {}
    for key in ("mean", "std"):
        values = given.get(key) or []
        if not isinstance(values, list) or not all(_is_number(value) for value in values):
            raise refuse(f"'{key}' must be a list of numbers, one a channel")
        if channels is not None and len(values) not in (0, 1, channels):
            raise refuse(
                f"'{key}' has {len(values)} numbers, the network takes {channels} channels"
            )
        numbers[key] = tuple(float(value) for value in values)
    if any(value == 0 for value in numbers["std"]):
        raise refuse("'std' must not hold 0")
    pad = _read_pad(given.get("pad"), channels, refuse)
    if pad is not None and (crop or resize is not None):
        raise refuse("'pad' scales the whole picture: it goes with neither 'crop' nor 'resize'")
    return Preprocess(
        resize=resize, crop=crop, scale=float(scale), color=color,
        mean=numbers["mean"], std=numbers["std"], pad=pad, interpolation=interpolation,
        layout=layout, output=output, output_name=output_name,
    )  # fmt: skip


def _read_pad(
    value: Any, channels: int | None, refuse: Callable[[str], ArtifactError]
) -> tuple[float, ...] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or not all(_is_number(one) and 0 <= one <= 255 for one in values):
        raise refuse("'pad' must be null, or a number from 0 to 255, or a list of one a channel")
    if channels is not None and len(values) not in (1, channels):
        raise refuse(f"'pad' has {len(values)} numbers, the network takes {channels} channels")
    return tuple(float(one) for one in values)


def _is_number(value: object) -> bool:
    # Compared and not asked isfinite(), which raises an error for a whole number of 400 digits.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


# The .params format, read in MXNet's src/ndarray/ndarray.cc: NDArray::Load and its list form.
_LIST_MAGIC = 0x112
_V1_MAGIC = 0xF993FAC8  # 64-bit shapes
_V2_MAGIC = 0xF993FAC9  # and a storage type
_V3_MAGIC = 0xF993FACA  # and NumPy's meaning of an empty shape
_DTYPES = {0: ("float32", 4), 1: ("float64", 8), 2: ("float16", 2), 3: ("uint8", 1),
           4: ("int32", 4), 5: ("int8", 1), 6: ("int64", 8), 7: ("bool", 1),
           12: ("bfloat16", 2)}  # fmt: skip
_LATER_DTYPES = range(8, 12)  # int16, uint16, uint32 and uint64, since MXNet 2
_MAX_TENSORS = 1_000_000


class _Cursor:
    def __init__(self, data: mmap.mmap | bytes, name: str) -> None:
        self.data, self.name, self.at, self.end = data, name, 0, len(data)

    def take(self, count: int) -> int:
        """Step over ``count`` bytes and say where they begin."""
        begin = self.at
        if count < 0 or count > self.end - begin:
            raise ArtifactError(
                "bad_params",
                f"{self.name} is cut short: it ends at byte {self.end:,}, "
                f"its header promises {begin + count:,}. Copy or export it again.",
            )
        self.at = begin + count
        return begin

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.data, self.take(struct.calcsize(layout)))


def read_params_index(path: Path) -> tuple[Tensor, ...]:
    """List the arrays of a ``.params`` file without reading their values.

    Names keep MXNet's prefix (``arg:``, ``aux:``). Raises :class:`ArtifactError` where the
    file is foreign, cut short, or holds what cannot be served (sparse arrays).
    """
    if path.stat().st_size == 0:
        raise ArtifactError("bad_params", f"{path.name} is empty.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _params_index(_Cursor(data, path.name))


def _params_index(cursor: _Cursor) -> tuple[Tensor, ...]:
    foreign = ArtifactError(
        "bad_params", f"{cursor.name} is not a parameter file written by MXNet (mx.nd.save)."
    )
    if cursor.end < 24 or cursor.unpack("<QQ")[0] != _LIST_MAGIC:
        raise foreign
    (count,) = cursor.unpack("<Q")
    if count > _MAX_TENSORS:
        raise foreign
    arrays = [_array(cursor, foreign) for _ in range(count)]
    (name_count,) = cursor.unpack("<Q")
    if name_count != count:
        raise ArtifactError(
            "bad_params",
            f"{cursor.name} names {name_count} of its {count} arrays; save it as a dictionary.",
        )
    tensors = []
    for shape, dtype, offset, nbytes in arrays:
        (length,) = cursor.unpack("<Q")
        begin = cursor.take(length)
        try:
            name = bytes(cursor.data[begin : begin + length]).decode("utf-8")
        except UnicodeDecodeError as error:
            raise foreign from error
        tensors.append(Tensor(name, shape, dtype, offset, nbytes))
    if cursor.at != cursor.end:
        raise ArtifactError(
            "bad_params",
            f"{cursor.name} goes on for {cursor.end - cursor.at:,} bytes after its last name. Copy "
            "or export it again.",
        )
    if len({tensor.name for tensor in tensors}) != len(tensors):
        names = Counter(tensor.name for tensor in tensors)
        raise ArtifactError(
            "bad_params", f"{cursor.name} holds two arrays {names.most_common(1)[0][0]!r}."
        )
    return tuple(tensors)


def _limit_unused(path: Path, tensors: Sequence[Tensor], symbol: _Symbol) -> None:
    """Allow unused weights, such as of layers that were cut off, up to a limit."""
    used = set(symbol.arguments)
    unused = [one for one in tensors if one.bare not in used]
    spare = sum(one.nbytes for one in unused)
    allowed = MAX_UNUSED * (sum(one.nbytes for one in tensors) - spare) + MAX_UNUSED_BYTES
    if spare > allowed:
        largest = max(unused, key=lambda one: one.nbytes)
        raise ArtifactError(
            "bad_params",
            f"{path.name} holds {spare / 1024**2:,.0f} MB of arrays that the network does not use, "
            f"such as {largest.name[:80]!r}: save those that it uses.",
        )


def _array(cursor: _Cursor, foreign: ArtifactError) -> tuple[tuple[int, ...], str, int, int]:
    (magic,) = cursor.unpack("<I")
    if magic in (_V2_MAGIC, _V3_MAGIC):
        (storage,) = cursor.unpack("<i")
        if storage != 0:
            raise ArtifactError("bad_params", f"{cursor.name} holds a sparse array; save it dense.")
        shape = _shape(cursor, foreign, cursor.unpack("<i")[0], "q")
    elif magic == _V1_MAGIC:
        shape = _shape(cursor, foreign, cursor.unpack("<i")[0], "q")
    else:  # before MXNet 0.10: the first word is the number of dimensions
        shape = _shape(cursor, foreign, magic, "I")
    if not shape:
        raise ArtifactError("bad_params", f"{cursor.name} holds an array without a shape.")
    _device, _number, flag = cursor.unpack("<iii")
    if flag in _LATER_DTYPES:
        raise ArtifactError(
            "bad_params",
            f"{cursor.name} holds values of a type that MXNet 1.9 does not have: export them as "
            "float32.",
        )
    if flag not in _DTYPES:
        raise foreign
    dtype, width = _DTYPES[flag]
    nbytes = math.prod(shape) * width
    return shape, dtype, cursor.take(nbytes), nbytes


def _shape(cursor: _Cursor, foreign: ArtifactError, dimensions: int, kind: str) -> tuple[int, ...]:
    if not 0 <= dimensions <= 32:
        raise foreign
    shape = cursor.unpack(f"<{dimensions}{kind}")
    if any(size < 0 for size in shape):
        raise foreign
    return shape
