"""Training and prediction with small Gluon networks; pictures are bytes (0 to 255)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from container.mxnet_alone import mx

MEAN, STD = 0.5, 0.25
"""Pixels are scaled to 0..1, then to about -2..2, as ``preprocess.json`` says too."""

BATCH = 64


def preprocess(size: int, color: str) -> dict[str, object]:
    """The preprocessing that the container applies for these networks."""
    channels = 1 if color == "GRAY" else 3
    return {
        "color": color,
        "resize": size,
        "crop": True,
        "scale": 1 / 255,
        "mean": [MEAN] * channels,
        "std": [STD] * channels,
    }


def normalise(pixels: Any) -> Any:
    """Bytes ``(N, C, H, W)`` as the floats that the networks take."""
    return (pixels.astype(np.float32) / 255 - MEAN) / STD


def convolutional(name: str, *, classes: int, halve: bool) -> Any:
    """Four convolutions and a global maximum; ``halve`` the size first for 64 x 64 pixels."""
    net = mx.gluon.nn.HybridSequential(prefix=f"{name}_")
    with net.name_scope():
        if halve:
            net.add(mx.gluon.nn.AvgPool2D(2))
        # Normalize brightness and contrast.
        net.add(mx.gluon.nn.InstanceNorm(center=False, scale=False))
        for index, channels in enumerate((16, 32, 48, 96)):
            net.add(mx.gluon.nn.Conv2D(channels, 3, padding=1, use_bias=False))
            if index == 0:
                net.add(mx.gluon.nn.HybridLambda(_absolute))
            if index < 3:
                net.add(mx.gluon.nn.MaxPool2D(2))
            net.add(mx.gluon.nn.BatchNorm(), mx.gluon.nn.Activation("relu"))
        # Independent of the position: the maximum of each feature.
        net.add(mx.gluon.nn.GlobalMaxPool2D(), mx.gluon.nn.Flatten(), mx.gluon.nn.Dense(classes))
    return net


def _absolute(F: Any, x: Any) -> Any:
    """The strength of an edge, dark on light or light on dark.

    As a leaky ReLU, since MXNet's ``abs`` is slow on a processor.
    """
    return F.LeakyReLU(x, act_type="leaky", slope=-1.0)


def linear(name: str, *, classes: int) -> Any:
    """A linear network: one weight for each pixel and class."""
    net = mx.gluon.nn.HybridSequential(prefix=f"{name}_")
    with net.name_scope():
        net.add(mx.gluon.nn.Flatten(), mx.gluon.nn.Dense(classes))
    return net


def train(
    net: Any,
    *,
    draw: Callable[[int], tuple[Any, Any]],
    epochs: int,
    rate: float,
    rng: Any,
    report: Callable[[int], None],
) -> None:
    """Train ``net`` with Adam; the learning rate decays to nearly zero.

    ``draw(epoch)`` gives the pictures (bytes, ``(N, C, H, W)``) and labels of an epoch,
    ``report(epoch)`` is called after each, counted from 1.
    """
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(net.collect_params(), "adam", {"learning_rate": rate})
    for epoch in range(epochs):
        pictures, labels = draw(epoch)
        order = rng.permutation(len(pictures))
        steps = len(order) // BATCH
        for step in range(steps):
            done = (epoch + step / steps) / epochs
            trainer.set_learning_rate(rate * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done))))
            chosen = order[step * BATCH : (step + 1) * BATCH]
            with mx.autograd.record():
                answer = net(mx.nd.array(normalise(pictures[chosen])))
                loss = loss_of(answer, mx.nd.array(labels[chosen]))
            loss.backward()
            trainer.step(BATCH)
        report(epoch + 1)


def probabilities(net: Any, pictures: Any) -> Any:
    """Probabilities ``(N, classes)`` of pictures (bytes, ``(N, C, H, W)``)."""
    answers = [
        mx.nd.softmax(net(mx.nd.array(normalise(pictures[start : start + 256])))).asnumpy()
        for start in range(0, len(pictures), 256)
    ]
    return np.concatenate(answers)


def accuracy(net: Any, pictures: Any, labels: Any) -> float:
    """Share of pictures for which the likeliest label is the right one, 0 to 1."""
    return float((probabilities(net, pictures).argmax(axis=1) == labels).mean())
