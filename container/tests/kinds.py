"""Networks of the kinds that people have, each validated and served in one process.

Run by the container's Python, with a folder that is there for it: prints, for each case by its
name, what the preflight reports and what the served model answers. test_kinds.py has what is right.
"""

import contextlib
import json
import os
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from container import processors

os.environ.update(processors.environment())

import numpy as np

from container import (
    model_handler,
    outputs,
    preflight,
)
from container.artifact import read_artifact
from container.findings import ArtifactError
from container.mxnet_alone import mx
from container.network import Network

Files = dict[str, bytes]
Symbol = Any

BIAS = (4.0, 3.0, -4.0)
LABELS = b"a\nb\nc\n"


def saved(arrays: dict[str, Any]) -> bytes:
    """The bytes of a .params file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.params"
        mx.nd.save(
            str(path), {key: mx.nd.array(value, dtype=value.dtype) for key, value in arrays.items()}
        )
        return path.read_bytes()


def scores(data: Symbol | None = None, count: int = 3, name: str = "fc", **options: Any) -> Symbol:
    """Average pooling, flatten, dense."""
    data = mx.sym.var("data") if data is None else data
    pooled = mx.sym.Pooling(data, global_pool=True, kernel=(1, 1), pool_type="avg")
    return mx.sym.FullyConnected(mx.sym.Flatten(pooled), num_hidden=count, name=name, **options)


def weights(bias: Sequence[float] = BIAS, inputs: int = 3, name: str = "fc") -> dict[str, Any]:
    values = np.array(bias, np.float32)
    weight = np.zeros((len(values), inputs), np.float32)
    return {f"arg:{name}_weight": weight, f"arg:{name}_bias": values}


def shapes(*inputs: tuple[str, Sequence[Any]]) -> bytes:
    return json.dumps([{"name": name, "shape": list(shape)} for name, shape in inputs]).encode()


def tiny(
    last: Callable[[Symbol], Symbol] = lambda fc: fc, *, bias: Sequence[float] = BIAS,
    labels: bytes = LABELS, shape: Sequence[Any] = (1, 3, 8, 8), preprocess: Any = None,
    arrays: dict[str, Any] | None = None,
) -> Files:  # fmt: skip
    """Its numbers before ``last`` are ``bias``, whatever it is shown."""
    found = {
        "tiny-symbol.json": last(scores(count=len(bias))).tojson(remove_amp_cast=False).encode(),
        "tiny-0000.params": saved(weights(bias) if arrays is None else arrays),
        "tiny-shapes.json": shapes(("data", shape)),
        "synset.txt": labels,
    }
    if preprocess is not None:
        found["tiny-preprocess.json"] = json.dumps(preprocess).encode()
    return found


def softmax(fc: Symbol) -> Symbol:
    return mx.sym.softmax(fc, name="prob")


def by_hand(fc: Symbol) -> Symbol:
    powers = mx.sym.exp(fc)
    return mx.sym.broadcast_div(powers, mx.sym.sum(powers, axis=1, keepdims=True))


def joined(fc: Symbol) -> Symbol:
    parts = mx.sym.split(softmax(fc), num_outputs=3, axis=1)
    return mx.sym.concat(parts[0], parts[1], parts[2], dim=1)


def by_epoch(*epochs: int) -> Files:
    """The highest has BIAS, others other numbers."""
    found = tiny(softmax)
    best = found.pop("tiny-0000.params")
    other = saved(weights((0, 0, 9)))
    return found | {
        f"tiny-{epoch:04}.params": best if epoch == max(epochs) else other for epoch in epochs
    }


def scores_of_colours(data: Symbol) -> Symbol:
    return scores(data)


def colours(symbol: Symbol, shape: Sequence[int], preprocess: Any = None) -> Files:
    """Its numbers are the means of the three channels, each weighed by 1."""
    arrays = {"arg:fc_weight": np.eye(3, dtype=np.float32), "arg:fc_bias": np.zeros(3, np.float32)}
    if preprocess is None and not ("normalize" in symbol.tojson() or "div" in symbol.tojson()):
        preprocess = {"scale": 1 / 255}
    found = tiny(arrays=arrays, shape=shape, preprocess=preprocess)
    return found | {"tiny-symbol.json": symbol.tojson(remove_amp_cast=False).encode()}


def words(last: Callable[[Symbol], Symbol], arrays: dict[str, Any] | None = None) -> Files:
    """Its input are numbers of words, of which it knows ten. The first is worth BIAS."""
    symbol = mx.sym.Embedding(mx.sym.var("data"), input_dim=10, output_dim=3, name="words")
    symbol = last(mx.sym.mean(symbol, axis=1))
    values = np.zeros((10, 3), np.float32)
    values[0] = BIAS
    found = tiny(arrays={"arg:words_weight": values} | (arrays or {}), shape=(1, 5))
    return found | {"tiny-symbol.json": symbol.tojson(remove_amp_cast=False).encode()}


def weights_of(dtype: Any) -> dict[str, Any]:
    return {key: value.astype(dtype) for key, value in weights().items()}


def large(prefix: str, dtype: Any = np.float32) -> Files:
    """4 MB of parameters, and next to nothing else."""
    pooled = mx.sym.Flatten(
        mx.sym.Pooling(mx.sym.var("data"), global_pool=True, kernel=(1, 1), pool_type="avg")
    )
    wide = mx.sym.FullyConnected(pooled, num_hidden=1000, name="wide")
    symbol = mx.sym.FullyConnected(
        mx.sym.FullyConnected(wide, num_hidden=1000, name="wider"), num_hidden=3, name="fc"
    )
    arrays = {
        f"{prefix}{name}_{part}": np.zeros(size, dtype)
        for name, sizes in {
            "wide": ((1000, 3), (1000,)),
            "wider": ((1000, 1000), (1000,)),
            "fc": ((3, 1000), (3,)),
        }.items()
        for part, size in zip(("weight", "bias"), sizes, strict=True)
    }
    return tiny(arrays=arrays) | {"tiny-symbol.json": symbol.tojson(remove_amp_cast=False).encode()}


def block(norm: bool = True) -> Any:
    """A Gluon network that answers BIAS."""
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(4, 3, in_channels=3))
    if norm:
        net.add(mx.gluon.nn.BatchNorm(in_channels=4))
    net.add(
        mx.gluon.nn.GlobalAvgPool2D(),
        mx.gluon.nn.Flatten(),
        mx.gluon.nn.Dense(3, in_units=4),
    )
    net.initialize()
    net[-1].weight.set_data(mx.nd.full((3, 4), 0.02))  # the same for each label
    net[-1].bias.set_data(mx.nd.array(BIAS))
    return net


def gluon(dtype: str) -> Files:
    """As net.cast(dtype) and the export leave it."""
    net = block()
    net.cast(dtype)
    symbol = net(mx.sym.var("data"))
    arrays = {}
    for name, value in net.collect_params().items():
        kind = "aux" if name in symbol.list_auxiliary_states() else "arg"
        arrays[f"{kind}:{name}"] = value.data().asnumpy()
    return tiny(arrays=arrays) | {"tiny-symbol.json": symbol.tojson(remove_amp_cast=False).encode()}


def of_gluon(norm: bool = True) -> tuple[Symbol, dict[str, Any], dict[str, Any]]:
    net = block(norm)
    symbol = net(mx.sym.var("data"))
    values = {name: value.data() for name, value in net.collect_params().items()}
    states = symbol.list_auxiliary_states()
    return (
        symbol,
        {name: value for name, value in values.items() if name not in states},
        {name: value for name, value in values.items() if name in states},
    )


def packed(symbol: Symbol, arguments: dict[str, Any], states: dict[str, Any]) -> Files:
    arrays = {f"arg:{name}": value.asnumpy() for name, value in arguments.items()}
    arrays |= {f"aux:{name}": value.asnumpy() for name, value in states.items()}
    return tiny(arrays=arrays) | {"tiny-symbol.json": symbol.tojson(remove_amp_cast=False).encode()}


def mixed() -> Files:
    """As MXNet's automatic mixed precision leaves it, with its parameters in float16."""
    from mxnet.contrib import amp

    return packed(
        *amp.convert_model(*of_gluon(), target_dtype="float16", cast_optional_params=True)
    )


def quantized(kind: str) -> Files:
    """As MXNet's quantization leaves it."""
    from mxnet.contrib.quantization import quantize_model

    batches = mx.io.NDArrayIter(
        mx.nd.random.uniform(0, 255, (4, 3, 8, 8)), None, batch_size=1, label_name=None
    )
    return packed(
        *quantize_model(
            *of_gluon(norm=False),
            ctx=mx.cpu(),
            quantized_dtype=kind,
            label_names=[],
            calib_mode="naive",
            calib_data=batches,
        )
    )


def cast_inside(dtype: str) -> Files:
    """Of float32 with a part of another type."""
    symbol = mx.sym.cast(scores(mx.sym.cast(mx.sym.var("data"), "float16")), "float32")
    return tiny() | {
        "tiny-symbol.json": symbol.tojson(remove_amp_cast=False).replace("float16", dtype).encode()
    }


def cast_weights(last: Callable[[Symbol], Symbol], arrays: dict[str, Any] | None = None) -> Files:
    """As MXNet's automatic mixed precision leaves it, with its parameters in float32."""
    kept = {
        name: mx.sym.amp_cast(mx.sym.var(f"fc_{name}"), dtype="float16")
        for name in ("weight", "bias")
    }
    data = mx.sym.amp_cast(mx.sym.var("data"), dtype="float16")
    symbol = last(mx.sym.amp_cast(scores(data, **kept), dtype="float32"))
    found = tiny(arrays=weights() | (arrays or {}))
    return found | {"tiny-symbol.json": symbol.tojson(remove_amp_cast=False).encode()}


def of_type(number: int) -> bytes:
    """With the upper halves of float32, under MXNet's number of a type: 12 is bfloat16."""
    out = struct.pack("<QQQ", 0x112, 0, 2)
    for value in weights().values():
        out += struct.pack("<Iii", 0xF993FAC9, 0, value.ndim)
        out += struct.pack(f"<{value.ndim}q", *value.shape) + struct.pack("<iii", 1, 0, number)
        out += (value.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    out += struct.pack("<Q", 2)
    for name in weights():
        out += struct.pack("<Q", len(name)) + name.encode()
    return out


def operator(*names: str, **attributes: str) -> Files:
    """With operators that MXNet, or this container, does not have."""
    found = tiny()
    graph = json.loads(found["tiny-symbol.json"])
    for number, name in enumerate(names):
        node = {"op": name, "name": f"mine{number}", "attrs": attributes}
        graph["nodes"].append(node | {"inputs": [[len(graph["nodes"]) - 1, 0, 0]]})
    graph["heads"] = [[len(graph["nodes"]) - 1, 0, 0]]
    graph.pop("node_row_ptr")
    return found | {"tiny-symbol.json": json.dumps(graph).encode()}


CASES: dict[str, Callable[[], Files]] = {
    # What the network ends with.
    "dense": tiny,
    "softmax": lambda: tiny(softmax),
    "SoftmaxOutput": lambda: tiny(lambda fc: mx.sym.SoftmaxOutput(fc, name="softmax")),
    "log_softmax": lambda: tiny(mx.sym.log_softmax),
    "sigmoid": lambda: tiny(mx.sym.sigmoid),
    "Activation sigmoid": lambda: tiny(lambda fc: mx.sym.Activation(fc, act_type="sigmoid")),
    "LogisticRegressionOutput": lambda: tiny(
        lambda fc: mx.sym.LogisticRegressionOutput(fc, name="answer")
    ),
    "sigmoid of one label": lambda: tiny(mx.sym.sigmoid, bias=[-5], labels=b"ill\n"),
    "sigmoid of one label, squeezed": lambda: tiny(
        lambda fc: mx.sym.squeeze(mx.sym.sigmoid(fc), axis=1), bias=[-5], labels=b"ill\n"
    ),
    "dense of one label": lambda: tiny(bias=[-5], labels=b"ill\n"),
    "softmax of one label": lambda: tiny(softmax, bias=[-5], labels=b"ill\n"),
    "log_softmax of one label": lambda: tiny(mx.sym.log_softmax, bias=[-5], labels=b"ill\n"),
    "hard sigmoid": lambda: tiny(mx.sym.hard_sigmoid),
    # An operator after it.
    "softmax, amp_cast": lambda: tiny(lambda fc: mx.sym.amp_cast(softmax(fc), dtype="float32")),
    "softmax, amp_cast to float16": lambda: tiny(
        lambda fc: mx.sym.amp_cast(softmax(fc), dtype="float16")
    ),
    "softmax, * 1.0": lambda: tiny(lambda fc: softmax(fc) * 1.0),
    "softmax, slice_axis": lambda: tiny(
        lambda fc: mx.sym.slice_axis(softmax(fc), axis=1, begin=0, end=3)
    ),
    "softmax, slice_axis of four": lambda: tiny(
        lambda fc: mx.sym.slice_axis(softmax(fc), axis=1, begin=0, end=3), bias=(*BIAS, 5)
    ),
    "softmax, concat": lambda: tiny(joined),
    "softmax, identity": lambda: tiny(lambda fc: mx.sym.identity(softmax(fc))),
    "softmax, reshape": lambda: tiny(lambda fc: mx.sym.reshape(softmax(fc), shape=(0, 3, 1, 1))),
    "softmax, block_grad": lambda: tiny(lambda fc: mx.sym.BlockGrad(softmax(fc))),
    "softmax, clip": lambda: tiny(lambda fc: mx.sym.clip(softmax(fc), 0, 1)),
    "softmax by hand": lambda: tiny(by_hand),
    "sigmoid, * 1.0": lambda: tiny(lambda fc: mx.sym.sigmoid(fc) * 1.0),
    "log_softmax, * 1.0": lambda: tiny(lambda fc: mx.sym.log_softmax(fc) * 1.0),
    "softmax, a mask": lambda: tiny(
        lambda fc: mx.sym.broadcast_mul(softmax(fc), mx.sym.var("mask", shape=(1, 3))),
        arrays=weights() | {"arg:mask": np.ones((1, 3), np.float32)},
    ),
    "softmax, dense": lambda: tiny(
        lambda fc: mx.sym.FullyConnected(
            mx.sym.softmax(fc), num_hidden=3, no_bias=True, name="groups"
        ),
        bias=(4, 3, -4, -90),
        arrays={
            "arg:fc_weight": np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [9, 9, 9]], np.float32),
            "arg:fc_bias": np.array((4, 3, -4, -90), np.float32),
            "arg:groups_weight": np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]], np.float32),
        },
    ),
    "softmax at each position": lambda: tiny(
        lambda fc: mx.sym.softmax(mx.sym.reshape(fc, shape=(0, 2, 2)), axis=1),
        bias=(1, 2, 1, 2), labels=b"a\nb\nc\nd\n",
    ),
    "words": lambda: words(lambda fc: softmax(fc) * 1.0),
    "words, softmax, dense": lambda: words(
        lambda fc: mx.sym.FullyConnected(
            mx.sym.softmax(fc), num_hidden=3, no_bias=True, name="groups"
        ),
        {"arg:groups_weight": np.eye(3, dtype=np.float32)},
    ),
    # What looks like another kind at first.
    "logits from 0 to 1 that add up to 1": lambda: tiny(bias=(0.2, 0.3, 0.5)),
    "the same after a relu": lambda: tiny(mx.sym.relu, bias=(0.2, 0.3, 0.5)),
    "logits of 0": lambda: tiny(bias=(0, 0, 0)),
    "two sigmoids that add up to 1": lambda: tiny(
        lambda fc: mx.sym.sigmoid(fc) * 1.0, bias=(0, 0), labels=b"a\nb\n"
    ),
    "logits of a small relu": lambda: tiny(
        mx.sym.relu,
        bias=(0, 1, 0),
        arrays={
            "arg:fc_weight": np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32),
            "arg:fc_bias": np.array((0, 1, 0), np.float32),
        },
        preprocess={"scale": 0.0},
    ) | {"tiny-preprocess.json": b'{"scale": 1e-9}'},
    "said to be probabilities": lambda: tiny(preprocess={"output": "probabilities"}),
    "said to be logits": lambda: tiny(mx.sym.sigmoid, preprocess={"output": "logits"}),
    "said to be multilabel": lambda: tiny(
        softmax, preprocess={"output": "multilabel", "output_name": "prob"}
    ),
    "said to be multilabel, which not all are": lambda: colours(
        mx.sym.relu(scores_of_colours(mx.sym.var("data"))), (1, 3, 8, 8),
        {"output": "multilabel", "scale": 1 / 255},
    ),
    # Batches.
    **{
        f"batch {batch}": lambda batch=batch: tiny(softmax, shape=(batch, 3, 8, 8))
        for batch in (0, -1, None, 32, 128, 512)
    },
    "a fixed batch": lambda: tiny(
        lambda fc: softmax(mx.sym.reshape(fc, shape=(4, 3))), shape=(4, 3, 8, 8)
    ),
    "a fixed batch that is not said": lambda: tiny(
        lambda fc: softmax(mx.sym.reshape(fc, shape=(4, 3)))
    ),
    # Files.
    "epochs": lambda: by_epoch(5, 10, 17),
    "epoch 17 alone": lambda: by_epoch(17),
    "a byte order mark": lambda: {
        name: data if name.endswith(".params") else b"\xef\xbb\xbf" + data
        for name, data in tiny(softmax, preprocess={}).items()
    },
    "labels in UTF-16": lambda: tiny(labels="a\nb\nc\n".encode("utf-16")),
    "labels in UTF-16 without a mark": lambda: tiny(labels="a\nb\nc\n".encode("utf-16-le")),
    "labels in Latin-1": lambda: tiny(labels="a\nb\né\n".encode("latin-1")),
    "odd letters in labels": lambda: tiny(
        labels="a\u2028a\nb\u0085b\x1eb\n\u00a0c\fc\u2029\n".encode()
    ),
    "labels by CRLF": lambda: tiny(labels=b"a\r\nb\r\nc\r\n\r\n"),
    "labels by CR": lambda: tiny(labels=b"a\rb\rc\r"),
    "blank lines last": lambda: tiny(labels=b"a\nb\nc\n\n \n\t\n"),
    "a blank line first": lambda: tiny(labels=b"\na\nb\n"),
    "a blank line between": lambda: tiny(labels=b"a\n \nb\n"),
    "a blank line too many": lambda: tiny(labels=b"a\nb\n\nc\n"),
    # Layouts. Red is what the first of three numbers tells, blue the third, each from 0 to 255.
    "channels first": lambda: colours(scores_of_colours(mx.sym.var("data")), (1, 3, 8, 8)),
    "channels last": lambda: colours(
        scores_of_colours(mx.sym.transpose(mx.sym.var("data"), axes=(0, 3, 1, 2))), (1, 8, 8, 3)
    ),
    "channels last, scaled outside": lambda: colours(
        scores_of_colours(mx.sym.transpose(mx.sym.var("data"), axes=(0, 3, 1, 2))), (1, 8, 8, 3),
        {"scale": 1 / 255, "mean": [0, 0, 0.5], "std": [1, 1, 0.5]},
    ),
    "channels last, normalised inside": lambda: colours(
        scores_of_colours(
            mx.sym.image.normalize(
                mx.sym.image.to_tensor(mx.sym.var("data")), mean=(0, 0, 0.5), std=(1, 1, 0.5)
            )
        ),
        (1, 8, 8, 3),
    ),
    "channels last, of uint8": lambda: colours(
        scores_of_colours(
            mx.sym.transpose(
                mx.sym.cast(mx.sym.var("data", dtype="uint8"), "float32") / 255, axes=(0, 3, 1, 2)
            )
        ),
        (1, 8, 8, 3),
    ),
    "channels first or last": lambda: colours(scores_of_colours(mx.sym.var("data")), (1, 3, 8, 3)),
    "channels last, said": lambda: colours(
        scores_of_colours(mx.sym.transpose(mx.sym.var("data"), axes=(0, 3, 1, 2))), (1, 3, 8, 3),
        {"layout": "NHWC", "scale": 1 / 255},
    ),
    "channels first, but said to be last": lambda: tiny(preprocess={"layout": "NHWC"}),
    # Parameters.
    "params without prefixes": lambda: tiny(
        softmax, arrays={key.partition(":")[2]: value for key, value in weights().items()}
    ),
    "large params without prefixes": lambda: large(""),
    "large params with prefixes": lambda: large("arg:"),
    "large params of float16": lambda: large("arg:", np.float16),
    "params of another MXNet": lambda: tiny() | {"tiny-0000.params": of_type(8)},
    "float16 throughout": lambda: gluon("float16"),
    "float64 throughout": lambda: gluon("float64"),
    "float16 params alone": lambda: tiny(arrays=weights_of(np.float16)),
    "bfloat16 params": lambda: tiny(arrays={}) | {"tiny-0000.params": of_type(12)},
    "float64 params alone": lambda: tiny(arrays=weights_of(np.float64)),
    "float64 params that float32 cannot hold": lambda: tiny(
        arrays=weights_of(np.float64) | {"arg:fc_bias": np.array((4.1, 3, -4), np.float64)}
    ),
    "float64 params that are too large": lambda: tiny(
        arrays=weights_of(np.float64) | {"arg:fc_bias": np.array((1e300, 3, -4), np.float64)}
    ),
    "float64 inside": lambda: tiny(
        lambda fc: mx.sym.cast(mx.sym.softmax(mx.sym.cast(fc, "float64")), "float32")
    ),
    "float16 inside": lambda: cast_inside("float16"),
    "bfloat16 inside": lambda: cast_inside("bfloat16"),
    "mixed precision": mixed,
    "mixed precision inside": lambda: cast_weights(lambda fc: softmax(fc) * 1.0),
    "mixed precision inside, a mask": lambda: cast_weights(
        lambda fc: mx.sym.broadcast_mul(
            softmax(fc), mx.sym.amp_cast(mx.sym.var("mask", shape=(1, 3)), dtype="float32")
        ),
        {"arg:mask": np.ones((1, 3), np.float32)},
    ),
    "int8 params": lambda: tiny(arrays=weights_of(np.int8)),
    "int64 params that float32 cannot hold": lambda: tiny(
        arrays=weights_of(np.float32) | {"arg:fc_bias": np.array((2**24 + 1, 3, -4), np.int64)}
    ),
    "quantized": lambda: quantized("auto"),
    "quantized for other processors": lambda: quantized("int8"),
    # Several outputs and inputs.
    "two outputs": lambda: tiny(
        lambda fc: mx.sym.Group([mx.sym.relu(fc, name="features"), softmax(fc)])
    ),
    "two outputs, the second fits": lambda: tiny(
        lambda fc: mx.sym.Group([mx.sym.concat(fc, fc, name="features"), softmax(fc)])
    ),
    "two outputs, one is named": lambda: tiny(
        lambda fc: mx.sym.Group([mx.sym.relu(fc, name="features"), softmax(fc)]),
        preprocess={"output_name": "prob"},
    ),
    "two outputs, another is named": lambda: tiny(
        lambda fc: mx.sym.Group([mx.sym.relu(fc, name="features"), softmax(fc)]),
        preprocess={"output_name": "probs"},
    ),
    "two outputs, none fits": lambda: tiny(
        lambda fc: mx.sym.Group([mx.sym.relu(fc, name="features"), softmax(fc)]), labels=b"a\nb\n"
    ),
    "two inputs": lambda: tiny(
        lambda fc: softmax(fc + mx.sym.var("extra")),
    ) | {"tiny-shapes.json": shapes(("data", (1, 3, 8, 8)), ("extra", (1, 3)))},
    "labels are an input": lambda: tiny(
        lambda fc: mx.sym.SoftmaxOutput(fc, name="softmax")
    ) | {"tiny-shapes.json": shapes(("softmax_label", (32,)), ("data", (32, 3, 8, 8)))},
    "a picture is the second input": lambda: colours(
        scores_of_colours(mx.sym.var("data")) + mx.sym.var("extra"), (1, 3, 8, 8)
    ) | {"tiny-shapes.json": shapes(("extra", (1, 3)), ("data", (1, 3, 8, 8)))},
    "an input that is not said": lambda: tiny(lambda fc: softmax(fc + mx.sym.var("extra"))),
    # Operators.
    "Custom": lambda: operator("Custom", op_type="my_layer"),
    "missing": lambda: operator("MyLayer"),
    "optimised by MXNet": lambda: operator("_sg_mkldnn_conv"),
    "several missing": lambda: operator("MyLayer", "YourLayer", "MyLayer"),
}  # fmt: skip


COUNTED = {"_numbers": 0, "of_end": 0}
"""Passes through a whole network, and tries of the end of one."""


def count(owner: Any, name: str) -> None:
    plain = getattr(owner, name)

    def counting(*arguments: Any) -> Any:
        COUNTED[name] += 1
        return plain(*arguments)

    setattr(owner, name, counting)


count(Network, "_numbers")
count(outputs, "of_end")


class Context:
    """What MMS gives a handler."""

    def __init__(self, folder: Path, headers: dict[str, str]) -> None:
        self.model_name = "kind"
        self.system_properties = {"model_dir": str(folder)}
        self.headers = headers
        self.status = 0

    def get_all_request_header(self, _index: int) -> dict[str, str]:
        return self.headers

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.status = code

    def set_response_header(self, _index: int, _name: str, _value: str) -> None:
        pass

    def set_response_content_type(self, _index: int, _value: str) -> None:
        pass


def picture() -> bytes:
    """Red on the left, blue on the right."""
    import io

    from PIL import Image

    image = Image.new("RGB", (8, 8), (255, 0, 0))
    image.paste((0, 0, 255), (4, 0, 8, 8))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def served(folder: Path) -> Any:
    """What the container answers, as it is asked by MMS."""
    context = Context(folder, {"Content-Type": "image/png", "Accept": "application/json"})
    passes, ends = COUNTED["_numbers"], COUNTED["of_end"]
    model_handler.handle(None, context)
    body = picture()
    counted = COUNTED["_numbers"] - passes, COUNTED["of_end"] - ends
    listed = json.loads((folder / "tiny-shapes.json").read_bytes())
    if all(len(entry["shape"]) != 4 for entry in listed):
        context.headers["Content-Type"] = "application/json"
        body = b'{"instances": [0, 0, 0, 0, 0]}'
    answer = json.loads((model_handler.handle([{"body": body}], context) or [""])[0])
    return {"answer": answer["predictions"] if context.status == 200 else answer, "passes": counted}


def refused(folder: Path) -> list[str] | None:
    """Why the server refuses it; None where it does not."""
    try:
        Network(read_artifact(folder))
    except ArtifactError as error:
        return [error.code, error.message]
    return None


def needed(folder: Path) -> int:
    """The bytes that the network asks for before it is loaded."""
    asked = []

    def admit(need: int, _name: str) -> contextlib.AbstractContextManager[None]:
        asked.append(need)
        return contextlib.nullcontext()

    Network(read_artifact(folder), admit=admit)
    return asked[0]


def tried(files: Files, folder: Path, image: Path) -> dict[str, Any]:
    """What the preflight says, and what the server does."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    about = preflight._about_files([])
    try:
        artifact = read_artifact(folder)
        about |= preflight._about_artifact(artifact)
        report = preflight._try_out(artifact, about, image)
    except ArtifactError as error:
        return {"error": [error.code, error.message], "refused": refused(folder)}
    return {
        "report": {"ok": True, "error": None, "artifact": about, **report},
        **served(folder),
        "need": needed(folder),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as base:
        os.environ["TMPDIR"] = base
        image = Path(base) / "picture.png"
        image.write_bytes(picture())
        found = {}
        for number, (name, make) in enumerate(CASES.items()):
            folder = Path(base) / f"case{number}"
            folder.mkdir()
            found[name] = tried(make(), folder, image)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
