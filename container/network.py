"""A network that is loaded and ready: the symbol bound straight to its parameters.

No Module API: it copies every parameter once more (ResNet-152: 1,260 MB against 700).
"""

import gc
import math
import time
from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
from artifact import Artifact, ArtifactError

_SOFTMAX_HEADS = {"softmax", "SoftmaxOutput", "Softmax", "SoftmaxActivation", "_npx_softmax"}
_LOG_SOFTMAX_HEADS = {"log_softmax", "_npx_log_softmax"}


@dataclass(frozen=True)
class Prediction:
    """One label and how probable the network holds it, from 0 to 1."""

    label: str
    probability: float


class Network:
    """One model in memory. Not for use by two threads at a time."""

    def __init__(self, artifact: Artifact) -> None:
        """Load ``artifact``, bind it and warm it up with one forward pass on zeros.

        Raises :class:`ArtifactError` where MXNet cannot make a network of the files, and
        ``MemoryError`` where there is not enough memory: MMS answers that with 507, on which
        SageMaker unloads another model and tries again.
        """
        started = time.perf_counter()
        self.artifact = artifact
        try:
            self._bind()
            self._warm_up()
        except mx.MXNetError as error:
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

    def _bind(self) -> None:
        artifact = self.artifact
        try:
            symbol = mx.sym.load(str(artifact.symbol))
        except mx.MXNetError as error:
            raise ArtifactError(
                "bad_symbol", f"{artifact.symbol.name}: MXNet cannot read it: {_first_line(error)}"
            ) from error
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
        self.outputs = tuple(
            (name, tuple(shape))
            for name, shape in zip(symbol.list_outputs(), output_shapes, strict=True)
        )
        self._check_labels(self.outputs[0][1])

        loaded = mx.nd.load(str(artifact.params))
        if not isinstance(loaded, dict):
            raise ArtifactError("bad_params", f"{artifact.params.name} holds arrays without names.")
        arguments = dict(zip(symbol.list_arguments(), argument_shapes, strict=True))
        states = dict(zip(symbol.list_auxiliary_states(), state_shapes, strict=True))
        bound_arguments = {
            name: self._parameter(loaded, "arg", name, shape, given=name in shapes)
            for name, shape in arguments.items()
        }
        bound_states = {
            name: self._parameter(loaded, "aux", name, shape) for name, shape in states.items()
        }
        del loaded  # arrays that the network does not use are given back here
        self._inputs = [bound_arguments[entry.name] for entry in artifact.inputs]
        self._executor = symbol.bind(
            mx.cpu(), args=bound_arguments, grad_req="null", aux_states=bound_states
        )

    def _parameter(
        self,
        loaded: dict[str, Any],
        kind: str,
        name: str,
        shape: tuple[int, ...],
        *,
        given: bool = False,
    ) -> mx.nd.NDArray:
        """The array that the network's argument ``name`` is bound to."""
        file = self.artifact.params.name
        array = loaded.get(f"{kind}:{name}")
        if array is None:
            # Networks saved by Gluon name a state "aux:", by others "arg:"; both exist.
            array = loaded.get(f"{'aux' if kind == 'arg' else 'arg'}:{name}", loaded.get(name))
        if given or (array is None and name.endswith("label")):
            return mx.nd.zeros(shape)  # an input, or the label that only training needs
        if array is None:
            raise ArtifactError("bad_params", f"{file} lacks the parameter {name!r}.")
        if array.shape != tuple(shape):
            raise ArtifactError(
                "bad_params",
                f"{file}: {name!r} has the shape {list(array.shape)}, the network with the input "
                f"of {self.artifact.name}-shapes.json needs {list(shape)}.",
            )
        if array.dtype.__name__.startswith("float") and not _finite(array):
            raise ArtifactError(
                "bad_params",
                f"{file}: {name!r} holds values that are not numbers (NaN or infinite).",
            )
        return array

    def _check_labels(self, shape: tuple[int, ...]) -> None:
        classes = math.prod(shape[1:])
        if len(shape) < 2 or classes != len(self.artifact.labels):
            raise ArtifactError(
                "bad_labels",
                f"synset.txt has {len(self.artifact.labels)} labels, but the network answers with "
                f"{classes} numbers: write one line for each.",
            )

    def _warm_up(self) -> None:
        """Pay for the first pass now: graph optimisation, kernels, memory, layout of weights."""
        self.forward([np.zeros(entry.shape, dtype=np.float32) for entry in self.artifact.inputs])
        gc.collect()

    def forward(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Run the network on one array an input; returns probabilities (batch, labels)."""
        for target, array in zip(self._inputs, arrays, strict=True):
            target[:] = array
        raw = self._executor.forward(is_train=False)[0].asnumpy()
        scores = raw.reshape(raw.shape[0], -1)
        if self.artifact.head_op in _SOFTMAX_HEADS:
            return scores
        if self.artifact.head_op in _LOG_SOFTMAX_HEADS:
            return np.exp(scores)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

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


def _finite(array: mx.nd.NDArray) -> bool:
    """Whether no value is NaN or infinite; one pass, at the speed of memory."""
    values = array.asnumpy().ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.dot(values, values) if values.dtype != np.float16 else values.sum()
    # The sum of squares of large but sound values may overflow: then look closely.
    return bool(np.isfinite(total)) or bool(np.isfinite(values).all())


def _first_line(error: Exception) -> str:
    """MXNet's message without its stack trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("Stack trace", "[bt]", "File "))]
    message = (useful or ["no message"])[-1 if len(useful) > 1 and "Error" in useful[-1] else 0]
    return message[:300]


def _explain(error: mx.MXNetError, artifact: Artifact) -> Exception:
    text = str(error)
    if any(sign in text for sign in ("bad_alloc", "out of memory", "Failed to allocate", "ENOMEM")):
        return MemoryError(f"{artifact.name}: not enough memory to load it")
    return ArtifactError(
        "load_failed", f"{artifact.name}: MXNet cannot run it: {_first_line(error)}"
    )
