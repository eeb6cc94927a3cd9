"""A loaded network: the symbol bound to parameters that stay in the mapped file.

Neither the Module API nor ``mx.nd.load`` is used, as both copy the parameters. MXNet merges each
convolution with what follows it, and keeps its own copy of the merged weights; the mapped pages of
the originals are then dropped.
"""

import contextlib
import ctypes
import json
import math
import mmap
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from container import heap, outputs
from container.artifact import Artifact, picture_shape
from container.findings import ArtifactError, Note
from container.graph import Graph, GraphError, check_outputs, check_sizes
from container.memory import MEGABYTE, Admit
from container.mxnet_alone import mx

# MXNet's own handler allocates memory, and so hangs where the crash was in malloc. And the model
# host sees by which signal a process died.
signal.signal(signal.SIGSEGV, signal.SIG_DFL)

Shape = tuple[int, ...]

_SHARED = frozenset({"float32", "float64", "int32", "int64", "uint8"})
"""Types of values that MXNet uses without a copy."""

_HALF = frozenset({"float16", "bfloat16"})
"""Types of values that MXNet has for other devices; here its layers do not compute with them."""


@dataclass(frozen=True)
class Prediction:
    """A label and its probability, from 0 to 1."""

    label: str
    probability: float


class Network:
    """One model in memory. Not thread-safe."""

    def __init__(self, artifact: Artifact, admit: Admit | None = None) -> None:
        """Load ``artifact``, bind it and warm it up with one forward pass on zeros.

        ``admit`` is asked for the memory before it is taken (:func:`memory.admitted`). Raises
        :class:`ArtifactError` where MXNet cannot make a network of the files, and
        ``MemoryError`` where there is not enough memory: MMS answers that with 507, on which
        SageMaker unloads another model and tries again.
        """
        started = time.perf_counter()
        self.artifact = artifact
        self._notes: list[Note] = []
        try:
            symbol, argument_shapes, state_shapes = self._read_symbol()
            need = memory_needed(self.artifact, symbol, self._copied_bytes())
            with admit(need, artifact.name) if admit else contextlib.nullcontext():
                self._bind(symbol, argument_shapes, state_shapes)
                self._warm_up(symbol)
        except (ArtifactError, MemoryError):
            raise
        except Exception as error:  # MXNet's own, and NumPy's and Python's on what it gives them
            raise _explain(error, artifact) from error
        self.load_ms = (time.perf_counter() - started) * 1000

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""
        return self.artifact.labels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input, batch first."""
        return self.artifact.inputs[0].shape

    @property
    def picture_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width of the pictures that it takes; None where it takes none."""
        return picture_shape(self.input_shape, self.artifact.layout)

    def from_picture(self, picture: np.ndarray) -> np.ndarray:
        """The row for the first input, of a picture of :attr:`picture_shape`."""
        if self.artifact.layout == "NHWC":
            picture = picture.transpose(1, 2, 0)
        return np.ascontiguousarray(picture, dtype=np.float32)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a person should know of how it is served."""
        return (*self.artifact.notes, *self._notes)

    def _read_symbol(self) -> tuple[Any, dict[str, Shape], dict[str, Shape]]:
        """The symbol, and the shapes of its arguments and of its auxiliary states by name."""
        symbol = self._parse()
        try:
            return symbol, *self._shapes(symbol)
        except ArtifactError:
            written = self.artifact.as_written()
            if written is None:
                raise
        # A network may have a fixed batch, such as by a Reshape: then the file's batch is used.
        self.artifact = written
        found = symbol, *self._shapes(symbol)
        batch = self.input_shape[0]
        message = f"The network insists on its batch of {batch}: each request pays for all of it."
        notes = (note for note in self.artifact.notes if note.code != "batch")
        self.artifact = replace(self.artifact, notes=(*notes, Note("fixed_batch", message)))
        return found

    def _parse(self) -> Any:
        """The symbol; what computes in half floats computes in float32, as processors do."""
        artifact = self.artifact
        said = artifact.graph.types()
        graph = artifact.graph.in_float32(_HALF) if said & _HALF else artifact.graph
        symbol = self._load(graph)
        self._dtypes: dict[str, str] = {}
        held = {one.bare: one.dtype for one in artifact.used}
        if {*held.values(), "float32"} != {"float32"} or "float64" in said:
            self._dtypes = _infer_types(symbol, [entry.name for entry in artifact.inputs])
            doubles = [name for name, dtype in held.items() if dtype == "float64"]
            if not self._dtypes or any(self._dtypes.get(one) != "float64" for one in doubles):
                # Not one that works with float64 as it is: it may with float32.
                symbol = self._load(graph.in_float32(_HALF | {"float64"}))
                self._dtypes = _infer_types(symbol, [entry.name for entry in artifact.inputs])
        changed = {dtype for name, dtype in held.items() if dtype != self._dtype(name)}
        if changed or said & _HALF:
            kinds = " and ".join(sorted(changed | (said & _HALF)))
            message = (
                f"What is {kinds} in its files is float32 here, which holds each value exactly."
            )
            self._notes.append(Note("dtype", message))
        return symbol

    def _copied_bytes(self) -> int:
        return sum(
            math.prod(one.shape) * np.dtype(self._dtype(one.bare)).itemsize
            for one in self.artifact.used
            if one.dtype != self._dtype(one.bare)
        )

    def _dtype(self, name: str) -> str:
        """The type of values that the network wants of a parameter."""
        return self._dtypes.get(name, "float32")

    def _load(self, graph: Graph) -> Any:
        artifact = self.artifact
        try:
            # The checked graph, not the file, which MXNet may read in another way.
            symbol = mx.sym.load_json(graph.text())
            if graph.needs_mxnets_check():
                check_outputs(json.loads(symbol.tojson(remove_amp_cast=False)))
        except GraphError as error:
            raise ArtifactError("bad_symbol", f"{artifact.symbol.name}: {error}.") from error
        except mx.MXNetError as error:
            raise ArtifactError(
                "bad_symbol", f"{artifact.symbol.name}: MXNet cannot read it: {_first_line(error)}"
            ) from error
        return symbol

    def _shapes(self, symbol: Any) -> tuple[dict[str, Shape], dict[str, Shape]]:
        artifact = self.artifact
        shapes = {entry.name: entry.shape for entry in artifact.inputs}
        try:
            argument_shapes, output_shapes, state_shapes = symbol.infer_shape(**shapes)
        except mx.MXNetError as error:
            raise ArtifactError(
                "bad_shapes",
                f"{artifact.name}-shapes.json does not fit the network: {_first_line(error)}",
            ) from error
        if argument_shapes is None:
            raise ArtifactError(
                "bad_shapes",
                f"{artifact.name}-shapes.json does not say enough: the network has further inputs.",
            )
        if artifact.graph.needs_mxnets_check():
            internals = symbol.get_internals()
            try:
                check_sizes(
                    json.loads(internals.tojson(remove_amp_cast=False)),
                    internals.infer_shape(**shapes)[1],
                )
            except GraphError as error:
                raise ArtifactError(
                    "bad_symbol",
                    f"{artifact.symbol.name}: {error}. Where the network insists on a batch, "
                    f"{artifact.name}-shapes.json must say it.",
                ) from error
        self.outputs = tuple(
            (name, tuple(shape))
            for name, shape in zip(symbol.list_outputs(), output_shapes, strict=True)
        )
        self._index = self._choose()
        return (
            dict(zip(symbol.list_arguments(), argument_shapes, strict=True)),
            dict(zip(symbol.list_auxiliary_states(), state_shapes, strict=True)),
        )

    def _bind(
        self, symbol: Any, argument_shapes: dict[str, Shape], state_shapes: dict[str, Shape]
    ) -> None:
        self._parameters = Parameters(self.artifact)
        self._finite = FiniteCheck(self.artifact.params.name)
        inputs = {entry.name for entry in self.artifact.inputs}
        arguments = {
            name: mx.nd.zeros(shape) if name in inputs else self._parameter("arg", name, shape)
            for name, shape in argument_shapes.items()
        }
        states = {name: self._parameter("aux", name, shape) for name, shape in state_shapes.items()}
        self._finite.start()
        self._inputs = [arguments[entry.name] for entry in self.artifact.inputs]
        self._arguments = arguments
        self._executor = symbol.bind(mx.cpu(), args=arguments, grad_req="null", aux_states=states)

    def _converted(self, name: str, values: np.ndarray) -> np.ndarray:
        """``values`` in the type that the network wants. Raises :class:`ArtifactError` where that
        cannot hold each of them exactly."""
        wanted = np.dtype(self._dtype(name))
        if values.dtype == wanted:
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            found = values.astype(wanted)
            exact = np.can_cast(values.dtype, wanted) or np.array_equal(
                found.astype(values.dtype), values, equal_nan=values.dtype.kind == "f"
            )
        if not exact:
            raise ArtifactError(
                "bad_params",
                f"{self.artifact.params.name}: {name!r} is {values.dtype}, with values that "
                f"{wanted} cannot hold exactly: export it as {wanted} (net.cast({wanted.name!r})).",
            )
        return found

    def _parameter(self, kind: str, name: str, shape: Shape) -> Any:
        """The array that the network's argument or state ``name`` is bound to."""
        file = self.artifact.params.name
        other = "aux" if kind == "arg" else "arg"  # both forms are in use
        values = self._parameters.get(f"{kind}:{name}", f"{other}:{name}", name)
        if values is None and name.endswith("label"):
            return mx.nd.zeros(shape)  # only training needs it
        if values is None:
            raise ArtifactError(
                "bad_params",
                f"{file} lacks the parameter {name!r}. If it is an input, "
                f"{self.artifact.name}-shapes.json must name it.",
            )
        if values.shape != tuple(shape):
            raise ArtifactError(
                "bad_params",
                f"{file}: {name!r} has the shape {list(values.shape)}, the network with the input "
                f"of {self.artifact.name}-shapes.json needs {list(shape)}.",
            )
        values = self._converted(name, values)
        self._finite.add(name, values)
        if values.dtype.name not in _SHARED:
            return mx.nd.array(values, dtype=values.dtype)
        return mx.nd.from_numpy(values, zero_copy=True)

    def _choose(self) -> int:
        """Which output is served: the one that is named, or the first with a number a label."""
        artifact, batch = self.artifact, self.input_shape[0]
        labels = len(artifact.labels)
        said = artifact.preprocess.output_name if artifact.preprocess else None
        names = [name for name, _ in self.outputs]
        numbers = [_numbers_a_row(shape, batch) for _, shape in self.outputs]
        if said is None:
            index = numbers.index(labels) if labels in numbers else 0
        else:
            named = [i for i, one in enumerate(names) if said in (one, one.removesuffix("_output"))]
            if not named:
                raise ArtifactError(
                    "bad_shapes",
                    f"{artifact.name}-preprocess.json: 'output_name' is {said[:100]!r}; the "
                    f"network's outputs are {_listed(names)}.",
                )
            index = named[0]
        if numbers[index] != labels:
            what = f"the network answers with {numbers[index]} numbers"
            if len(names) > 1 and said is None:
                sizes = [f"{one}: {count}" for one, count in zip(names, numbers, strict=True)]
                what = f"no output of the network has as many numbers ({_listed(sizes)})"
            empty = artifact.labels.count("")
            hint = f" Empty lines count, it has {empty}." if empty else ""
            raise ArtifactError(
                "bad_labels",
                f"synset.txt has {labels} labels, but {what}: write one line for each.{hint}",
            )
        shape = self.outputs[index][1]
        if len(shape) > 1 and shape[0] != batch:
            raise ArtifactError(
                "bad_shapes",
                f"{artifact.name}-shapes.json: the network answers a batch of {batch} with "
                f"{shape[0]} rows: write the batch that it was made for, or export it with a free "
                "one.",
            )
        return index

    def _warm_up(self, symbol: Any) -> None:
        """Run the first pass, in which MXNet optimises the graph and lays out the weights."""
        first = self._numbers([np.zeros(entry.shape, np.float32) for entry in self.artifact.inputs])
        self._finite.result()
        self.output = self._decide(symbol, first)
        self._parameters.drop_pages()
        heap.release_free()

    def _decide(self, symbol: Any, first: np.ndarray) -> outputs.Output:
        """Decide the kind of the network's outputs; see outputs.py."""
        names = [name for name, _ in self.outputs]
        shapes = {entry.name: entry.shape for entry in self.artifact.inputs}
        head = outputs.head(self.artifact.graph, self._index)
        said = self.artifact.preprocess.output if self.artifact.preprocess else None
        kind = said or outputs.decide(
            first,
            head,
            lambda: outputs.of_end(symbol, self._index, shapes, self._arguments, self.artifact),
            self._tried,
        )
        self._to_probabilities = outputs.conversion(kind, first, head)
        name = names[self._index]
        others = tuple(one for i, one in enumerate(names) if i != self._index)
        if others:
            self._notes.append(
                Note("outputs", f"Of its outputs {name!r} is served, not {_listed(others)}.")
            )
        if kind == outputs.LOGITS and len(self.labels) == 1 and not said and head != "log_softmax":
            message = "It answers with one number and no sigmoid: the sigmoid of it is served."
            self._notes.append(Note("one_label", message))
        if kind == outputs.PROBABILITIES and len(self.labels) == 1:
            message = "It has one label and a softmax, which is always 1: a sigmoid was meant."
            self._notes.append(Note("one_label", message))
        if said in (outputs.PROBABILITIES, outputs.MULTILABEL) and not outputs.within(first):
            raise ArtifactError(
                "bad_shapes",
                f"{self.artifact.name}-preprocess.json: 'output' is {said}, but the network gives "
                f"numbers from {first.min():.3g} to {first.max():.3g}.",
            )
        return outputs.Output(
            name, self._index, kind, "preprocess.json" if said else "probes", others
        )

    def doubt(self) -> Note | None:
        """A note where further passes contradict what was decided, else None.

        For the validation only, because each pass takes as long as a prediction.
        """
        kind, head = self.output.kind, outputs.head(self.artifact.graph, self._index)
        if outputs.certain(kind, head):
            return None
        if all(outputs.agrees(kind, rows) for rows in self._tried()):
            return None
        return Note(
            "output",
            f"Its numbers are read as {kind}, but for some inputs they are not: say 'output' in "
            f"{self.artifact.name}-preprocess.json.",
        )

    def _tried(self) -> Iterator[np.ndarray]:
        """The network's answers to test inputs, without those that it cannot take."""
        for arrays in outputs.inputs([entry.shape for entry in self.artifact.inputs]):
            try:
                yield self._numbers(arrays)
            except mx.MXNetError:  # such as numbers of words that are not in its vocabulary
                continue

    def _numbers(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Run the network on one array an input; returns what it gives (batch, labels)."""
        for target, array in zip(self._inputs, arrays, strict=True):
            target[:] = array
        raw = self._executor.forward(is_train=False)[self._index].asnumpy()
        return raw.reshape(self.input_shape[0], -1)

    def forward(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Run the network on one array an input; returns probabilities (batch, labels)."""
        return self._to_probabilities(self._numbers(arrays))

    def predict_rows(self, rows: np.ndarray, top: int = 5) -> list[list[Prediction]]:
        """Run the network on any number of rows (its first input without the batch).

        Rows go through in batches of the network's own size; a last batch that is not full is
        filled up with zeros.
        """
        batch = self.input_shape[0]
        rest = [np.zeros(entry.shape, np.float32) for entry in self.artifact.inputs[1:]]
        answers: list[list[Prediction]] = []
        for begin in range(0, len(rows), batch):
            part = rows[begin : begin + batch]
            filled = part
            if len(part) < batch:
                filled = np.zeros(self.input_shape, np.float32)
                filled[: len(part)] = part
            probabilities = self.forward([filled, *rest])[: len(part)]
            answers.extend(self._best(row, top) for row in probabilities)
        return answers

    def _best(self, row: np.ndarray, top: int) -> list[Prediction]:
        count = min(top, len(row))
        best = np.argpartition(row, -count)[-count:]
        best = best[np.argsort(row[best], kind="stable")[::-1]]
        return [Prediction(self.labels[i], float(row[i])) for i in best]


def _infer_types(symbol: Any, inputs: Sequence[str]) -> dict[str, str]:
    """The types of values of the arguments and states by name, with ``inputs`` of float32; nothing
    where MXNet finds none that go together."""
    try:
        arguments, _, states = symbol.infer_type(**dict.fromkeys(inputs, "float32"))
    except mx.MXNetError:
        return {}
    if arguments is None:
        return {}
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    kinds = zip(names, [*arguments, *states], strict=True)
    return {name: np.dtype(kind).name for name, kind in kinds if kind is not None}


def _numbers_a_row(shape: Shape, batch: int) -> int:
    """How many numbers an output of ``shape`` has for each picture of the batch."""
    if len(shape) == 1:  # squeezed
        return shape[0] if batch == 1 else 1
    return math.prod(shape[1:])


def _listed(names: Sequence[str]) -> str:
    """Some of ``names``, for a sentence."""
    return ", ".join(one[:100] for one in names[:5]) + (", …" if len(names) > 5 else "")


class Parameters:
    """The arrays of a ``.params`` file, mapped in memory and not copied."""

    def __init__(self, artifact: Artifact) -> None:
        with artifact.params.open("rb") as file:
            # Private: what MXNet may write goes to copied pages, not to the file.
            self._map = mmap.mmap(
                file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
            )
        self._tensors = {tensor.name: tensor for tensor in artifact.tensors}

    def get(self, *names: str) -> np.ndarray | None:
        """The values under the first of ``names`` that is there."""
        for name in names:
            tensor = self._tensors.get(name)
            if tensor is not None:
                count = math.prod(tensor.shape)
                half = tensor.dtype == "bfloat16"  # unknown to NumPy: the upper half of a float32
                kind = "uint16" if half else tensor.dtype
                flat = np.frombuffer(self._map, kind, count, tensor.offset)
                if half:
                    flat = (flat.astype(np.uint32) << 16).view(np.float32)
                if not flat.flags.aligned:  # after an array of an odd number of bytes
                    flat = flat.copy()
                return flat.reshape(tensor.shape)
        return None

    def drop_pages(self) -> None:
        """Drop the file's pages from this process; those that are needed again are read again.

        Not where MXNet has written to any of them, as its changes would be lost.
        """
        if not self._written():
            self._map.madvise(mmap.MADV_DONTNEED)

    def _written(self) -> bool:
        """Whether any page is a changed copy (/proc/self/pagemap; true where it cannot be read)."""
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        pages = -(-len(self._map) // mmap.PAGESIZE)
        try:
            with open("/proc/self/pagemap", "rb", buffering=0) as file:
                file.seek(address // mmap.PAGESIZE * 8)
                entries = np.frombuffer(file.read(pages * 8), np.uint64)
        except OSError:
            return True
        present, of_file = np.uint64(1 << 63), np.uint64(1 << 61)
        # A page that is there and no longer the file's is a copy, made by a write.
        return bool(((entries & present != 0) & (entries & of_file == 0)).any())


class FiniteCheck:
    """Looks for parameters that are no numbers, while the network is bound and warmed up.

    Beside it, because that leaves a processor idle for much of its time; and what this one reads is
    in memory when the other wants it.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._values: list[tuple[str, np.ndarray]] = []
        self._bad: str | None = None
        self._thread: threading.Thread | None = None

    def add(self, name: str, values: np.ndarray) -> None:
        """Have ``values`` looked at, once started."""
        if np.issubdtype(values.dtype, np.floating):
            self._values.append((name, values))

    def start(self) -> None:
        thread = threading.Thread(target=self._look, name="finite", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no memory for its stack
            self._look()
        else:
            self._thread = thread

    def _look(self) -> None:
        self._bad = next((name for name, values in self._values if not _finite(values)), None)

    def result(self) -> None:
        """Wait for the end; raises :class:`ArtifactError` where it has found something."""
        if self._thread is not None:
            self._thread.join()
        self._values.clear()
        if self._bad is not None:
            raise ArtifactError(
                "bad_params",
                f"{self._file}: {self._bad!r} holds values that are not numbers (NaN or infinite).",
            )


# What a loaded model takes, measured on ResNet-18 (72 MB), ResNet-152 (272) and SqueezeNet (23):
# a worker's own pages, the merged weights, and the values on their way through the network.
_WORKER_BYTES = 20 * MEGABYTE
_PER_PARAMETER_BYTE = 1.15
_PER_ACTIVATION_BYTE = 2.5


def memory_needed(artifact: Artifact, symbol: Any, copied: int = 0) -> int:
    """Estimate the bytes that the model will take, from its files alone.

    ``copied`` are the bytes of the parameters that are not used where they lie in the file.
    """
    shapes = {entry.name: entry.shape for entry in artifact.inputs}
    internals = symbol.get_internals()
    _, outputs, _ = internals.infer_shape(**shapes)
    parameters = {tensor.bare for tensor in artifact.tensors}
    largest = max(
        (
            math.prod(shape)
            for name, shape in zip(internals.list_outputs(), outputs, strict=True)
            if name not in parameters
        ),
        default=0,
    )
    return int(
        _WORKER_BYTES
        + _PER_PARAMETER_BYTE * (artifact.parameter_bytes + copied)
        + copied
        + _PER_ACTIVATION_BYTE * 4 * largest
    )


def _finite(values: np.ndarray) -> bool:
    """Whether no value is NaN or infinite; one pass, at the speed of memory."""
    flat = values.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.dot(flat, flat) if values.dtype != np.float16 else flat.sum(dtype=np.float32)
    # The sum of squares of large but sound values may overflow: then look closely.
    return bool(np.isfinite(total)) or bool(np.isfinite(flat).all())


_NOISE = re.compile(r"Traceback |Stack trace|\[bt\]|File |\[\d+\]|-{3,}$|Candidate arguments:$")
_WHERE = re.compile(r"(?:MXNetError: )|(?:\[\d\d:\d\d:\d\d\] \S+:\d+: )")
_TELLING = ("Error in operator", "Check failed", "MXNetError: ")


def _first_line(error: Exception) -> str:
    """What MXNet's message says, without its stack trace and the places in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    useful = [line for line in lines if line and not _NOISE.match(line)]
    told = (line for sign in _TELLING for line in useful if sign in line)
    message = next(told, useful[0] if useful else f"{type(error).__name__} without a message")
    return _WHERE.sub("", message)[:300]


def _explain(error: Exception, artifact: Artifact) -> Exception:
    text = str(error)
    if any(sign in text for sign in ("bad_alloc", "out of memory", "Failed to allocate", "ENOMEM")):
        return MemoryError(f"{artifact.name}: not enough memory to load it")
    advice = ""
    if any("quantize" in op for op in artifact.layers):
        advice = ". Quantized networks are made for one kind of processor: export it in float32"
    return ArtifactError(
        "load_failed", f"{artifact.name}: MXNet cannot run it: {_first_line(error)}{advice}"
    )
