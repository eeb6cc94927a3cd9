"""The baseline's handler: the Module API, one Python a model, written as the samples do it.

It answers what the container answers, so that the two can be compared number by number.
"""

import json
import os
from collections import namedtuple

import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])
_state = {}


def load(folder):
    (symbol_file,) = (name for name in os.listdir(folder) if name.endswith("-symbol.json"))
    prefix = symbol_file.removesuffix("-symbol.json")
    with open(os.path.join(folder, f"{prefix}-shapes.json")) as file:
        shapes = [(entry["name"], tuple(entry["shape"])) for entry in json.load(file)]
    with open(os.path.join(folder, "synset.txt")) as file:
        labels = [line.strip() for line in file]
    symbol, arguments, states = mx.model.load_checkpoint(os.path.join(folder, prefix), 0)
    module = mx.mod.Module(
        symbol=symbol,
        context=mx.cpu(),
        data_names=[name for name, _ in shapes],
        label_names=None,
    )
    module.bind(for_training=False, data_shapes=shapes)
    module.set_params(arguments, states, allow_missing=True, allow_extra=True)
    _state.update(module=module, labels=labels, size=shapes[0][1][2:])


def predict(body):
    height, width = _state["size"]
    image = mx.image.imresize(mx.image.imdecode(body), width, height)
    array = image.astype("float32").transpose((2, 0, 1)).expand_dims(axis=0)
    _state["module"].forward(Batch([array]))
    scores = np.squeeze(_state["module"].get_outputs()[0].asnumpy())
    best = np.argsort(scores)[::-1][:5]
    return [{"label": _state["labels"][i], "probability": float(scores[i])} for i in best]


def handle(data, context):
    if data is None:
        load(context.system_properties["model_dir"])
        return None
    return [json.dumps({"predictions": predict(request["body"])}) for request in data]
