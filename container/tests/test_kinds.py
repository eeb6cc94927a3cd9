"""Networks of the kinds that people have: what the preflight says, and what is served.

kinds.py makes them, and asks the preflight's and the server's own code, in one process.
"""

import json
import math
import subprocess
from typing import Any

import pytest

from container.report_form import well_formed
from container.tests.serving import REPOSITORY

pytestmark = pytest.mark.xdist_group("container-kinds")

Found = dict[str, dict[str, Any]]

BIAS = (4.0, 3.0, -4.0)


def softmax(*numbers: float) -> list[float]:
    powers = [math.exp(number) for number in numbers]
    return [power / sum(powers) for power in powers]


def sigmoid(*numbers: float) -> list[float]:
    return [1 / (1 + math.exp(-number)) for number in numbers]


def named(values: list[float], labels: str = "abc") -> dict[str, float]:
    return dict(zip(labels, values, strict=True))


SOFTMAX, SIGMOID = named(softmax(*BIAS)), named(sigmoid(*BIAS))
ILL = {"ill": sigmoid(-5)[0]}
# The means of a picture's red, green and blue, half of it red and half of it blue.
COLOURS, NORMALISED = named(softmax(0.5, 0, 0.5)), named(softmax(0.5, 0, 0))

Right = tuple[str, dict[str, float], dict[str, str]]
"""What the numbers are, those that are served, and notes: their codes, with a part of each."""

RIGHT: dict[str, Right] = {
    "dense": ("logits", SOFTMAX, {}),
    "softmax": ("probabilities", SOFTMAX, {}),
    "SoftmaxOutput": ("probabilities", SOFTMAX, {}),
    "log_softmax": ("logits", SOFTMAX, {}),
    "sigmoid": ("multilabel", SIGMOID, {}),
    "Activation sigmoid": ("multilabel", SIGMOID, {}),
    "LogisticRegressionOutput": ("multilabel", SIGMOID, {}),
    "sigmoid of one label": ("multilabel", ILL, {}),
    "sigmoid of one label, squeezed": ("multilabel", ILL, {}),
    "dense of one label": ("logits", ILL, {"one_label": "the sigmoid of it is served"}),
    "softmax of one label": ("probabilities", {"ill": 1.0}, {"one_label": "which is always 1"}),
    "log_softmax of one label": ("logits", {"ill": 1.0}, {}),
    "hard sigmoid": ("multilabel", {"a": 1.0, "b": 1.0, "c": 0.0}, {}),
    "softmax, amp_cast": ("probabilities", SOFTMAX, {}),
    "softmax, amp_cast to float16": ("probabilities", SOFTMAX, {"dtype": "float16"}),
    "softmax, * 1.0": ("probabilities", SOFTMAX, {}),
    "softmax, slice_axis": ("probabilities", SOFTMAX, {}),
    "softmax, slice_axis of four": ("multilabel", named(softmax(*BIAS, 5)[:3]), {}),
    "softmax, concat": ("probabilities", SOFTMAX, {}),
    "softmax, identity": ("probabilities", SOFTMAX, {}),
    "softmax, reshape": ("probabilities", SOFTMAX, {}),
    "softmax, block_grad": ("probabilities", SOFTMAX, {}),
    "softmax, clip": ("probabilities", SOFTMAX, {}),
    "softmax by hand": ("probabilities", SOFTMAX, {}),
    "sigmoid, * 1.0": ("multilabel", SIGMOID, {}),
    "log_softmax, * 1.0": ("logits", SOFTMAX, {}),
    "softmax, a mask": ("probabilities", SOFTMAX, {}),
    "softmax, dense": ("probabilities", {"a": 0.0, "b": 1.0, "c": 0.0}, {}),
    "words": ("probabilities", SOFTMAX, {}),
    "words, softmax, dense": ("probabilities", SOFTMAX, {}),
    "softmax at each position": ("multilabel", named([0.5] * 4, "abcd"), {}),
    "logits from 0 to 1 that add up to 1": ("logits", named(softmax(0.2, 0.3, 0.5)), {}),
    "the same after a relu": ("logits", named(softmax(0.2, 0.3, 0.5)), {}),
    "logits of 0": ("logits", named(softmax(0, 0, 0)), {}),
    "two sigmoids that add up to 1": ("multilabel", {"a": 0.5, "b": 0.5}, {}),
    "logits of a small relu": ("logits", named(softmax(0, 1, 0)), {}),
    "said to be multilabel, which not all are": (
        "multilabel", {"a": 0.5, "b": 0.0, "c": 0.5}, {"output": "for some inputs they are not"}
    ),
    "said to be logits": ("logits", named(softmax(*sigmoid(*BIAS))), {}),
    "said to be multilabel": ("multilabel", SOFTMAX, {}),
    **{
        f"batch {batch}": (
            "probabilities", SOFTMAX,
            {"batch": f"tiny-shapes.json says a batch of {said}; it is served with a batch of 1."},
        )
        for batch, said in (
            (0, "0"), (-1, "-1"), (None, "null"), (32, "32"), (128, "128"), (512, "512")
        )
    },
    "a fixed batch": ("probabilities", SOFTMAX, {"fixed_batch": "insists on its batch of 4"}),
    "epochs": (
        "probabilities", SOFTMAX,
        {"epoch": "highest epoch are served, tiny-0017.params; not tiny-0010.params, tiny-0005."},
    ),
    "epoch 17 alone": ("probabilities", SOFTMAX, {"epoch": "epoch 17 are served"}),
    "a byte order mark": ("probabilities", SOFTMAX, {}),
    "odd letters in labels": (
        "logits",
        dict(zip(("a\u2028a", "b\u0085b\x1eb", "\u00a0c\fc\u2029"), softmax(*BIAS), strict=True)),
        {},
    ),
    "labels by CRLF": ("logits", SOFTMAX, {}),
    "labels by CR": ("logits", SOFTMAX, {}),
    "blank lines last": ("logits", SOFTMAX, {}),
    "a blank line first": (
        "logits", dict(zip(("", "a", "b"), softmax(*BIAS), strict=True)), {"empty_label": "line 1:"}
    ),
    "a blank line between": (
        "logits", dict(zip(("a", "", "b"), softmax(*BIAS), strict=True)), {"empty_label": "line 2:"}
    ),
    "channels first": ("logits", COLOURS, {}),
    "channels last": ("logits", COLOURS, {"layout": "channels last"}),
    "channels last, scaled outside": ("logits", NORMALISED, {"layout": "[1, 8, 8, 3]"}),
    "channels last, normalised inside": ("logits", NORMALISED, {"layout": "channels last"}),
    "channels last, of uint8": ("logits", COLOURS, {"layout": "channels last"}),
    "channels first or last": ("logits", COLOURS, {"layout": "it is read as channels first"}),
    "channels last, said": ("logits", COLOURS, {"layout": "[1, 3, 8, 3]"}),
    "params without prefixes": ("probabilities", SOFTMAX, {}),
    "large params without prefixes": ("logits", named(softmax(0, 0, 0)), {}),
    "large params with prefixes": ("logits", named(softmax(0, 0, 0)), {}),
    "large params of float16": ("logits", named(softmax(0, 0, 0)), {"dtype": "float16"}),
    "float16 throughout": ("logits", SOFTMAX, {"dtype": "What is float16 in its files is float32"}),
    "float64 throughout": ("logits", SOFTMAX, {"dtype": "float64"}),
    "float16 params alone": ("logits", SOFTMAX, {"dtype": "float16"}),
    "bfloat16 params": ("logits", SOFTMAX, {"dtype": "bfloat16"}),
    "float64 params alone": ("logits", SOFTMAX, {"dtype": "float64"}),
    "float64 inside": ("probabilities", SOFTMAX, {}),
    "float16 inside": ("logits", SOFTMAX, {"dtype": "float16"}),
    "bfloat16 inside": ("logits", SOFTMAX, {"dtype": "bfloat16"}),
    "mixed precision": ("logits", SOFTMAX, {"dtype": "float16"}),
    "mixed precision inside": ("probabilities", SOFTMAX, {"dtype": "float16"}),
    "mixed precision inside, a mask": ("probabilities", SOFTMAX, {"dtype": "float16"}),
    "int8 params": ("logits", SOFTMAX, {"dtype": "int8"}),
    "quantized": ("logits", SOFTMAX, {}),
    "two outputs": (
        "logits", named(softmax(4, 3, 0)),
        {"outputs": "'features_output' is served, not prob_output."},
    ),
    "two outputs, the second fits": ("probabilities", SOFTMAX, {"outputs": "'prob_output'"}),
    "two outputs, one is named": ("probabilities", SOFTMAX, {"outputs": "'prob_output'"}),
    "labels are an input": (
        "probabilities", SOFTMAX,
        {"other_inputs": "the input 'data' alone; 'softmax_label' [1]", "batch": "of 32"},
    ),
    "a picture is the second input": (
        "logits", COLOURS, {"other_inputs": "the input 'data' alone; 'extra' [1, 3] is always"}
    ),
    "two inputs": ("probabilities", SOFTMAX, {"other_inputs": "'extra' [1, 3] is always zeros"}),
}  # fmt: skip

REFUSED: dict[str, tuple[str, str]] = {
    "said to be probabilities": ("bad_shapes", "'output' is probabilities, but the network gives"),
    "a fixed batch that is not said": ("bad_symbol", "tiny-shapes.json must say it"),
    "labels in UTF-16": ("bad_labels", "synset.txt is no UTF-8 text, and looks like UTF-16: save"),
    "labels in UTF-16 without a mark": ("bad_labels", "save it as UTF-8"),
    "labels in Latin-1": ("bad_labels", "save it as UTF-8"),
    "a blank line too many": ("bad_labels", "has 4 labels, but the network answers with 3 numbers"),
    "channels first, but said to be last": ("bad_shapes", "'layout' is NHWC, but the input [1, 3,"),
    "params of another MXNet": ("bad_params", "does not have: export them as float32"),
    "float64 params that float32 cannot hold": ("bad_params", "export it as float32 (net.cast('"),
    "float64 params that are too large": ("bad_params", "'fc_bias' is float64, with values that"),
    "int64 params that float32 cannot hold": ("bad_params", "'fc_bias' is int64, with values that"),
    "quantized for other processors": ("load_failed", "export it in float32"),
    "two outputs, another is named": (
        "bad_shapes", "'output_name' is 'probs'; the network's outputs are features_output, prob_o"
    ),
    "two outputs, none fits": ("bad_labels", "(features_output: 3, prob_output: 3)"),
    "an input that is not said": ("bad_params", "'extra'. If it is an input, tiny-shapes.json mu"),
    "Custom": ("bad_symbol", "outside the network (its type is 'my_layer')."),
    "missing": ("bad_symbol", "the operator MyLayer is not allowed in an uploaded network: MXNet"),
    "optimised by MXNet": ("bad_symbol", "as it optimises a network: export it as it was before"),
    "several missing": ("bad_symbol", "MyLayer: MXNet has none of that name; YourLayer: MXNet"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(python: str) -> Found:
    done = subprocess.run(
        [python, "-m", "container.tests.kinds"], cwd=REPOSITORY,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: Found = json.loads(done.stdout.splitlines()[-1])  # MXNet prints, too
    return answers


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_validated_is_right_and_is_served(found: Found, case: str) -> None:
    kind, numbers, notes = RIGHT[case]
    one = found[case]
    assert "error" not in one, one
    report = one["report"]

    assert {item["label"]: item["probability"] for item in one["answer"]} == pytest.approx(
        numbers, abs=0.01 if case == "quantized" else 2e-4
    )
    assert one["answer"] == report["sample"]["predictions"]
    assert well_formed(report), report
    about = report["artifact"]
    assert about["output"]["kind"] == kind
    assert about["output"]["chosen"] == ("preprocess.json" if case.startswith("said") else "probes")
    told = {note["code"]: note["message"] for note in about["notes"]}
    assert told.keys() == notes.keys()
    for code, part in notes.items():
        assert part in told[code]
    batch = 4 if case == "a fixed batch" else 1
    assert [entry["shape"][0] for entry in about["inputs"]] == [batch] * len(about["inputs"])


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_served_is_refused_in_one_sentence(found: Found, case: str) -> None:
    """By the preflight and by the server alike."""
    code, part = REFUSED[case]
    said, message = found[case]["error"]
    assert found[case]["refused"] == [said, message]
    assert said == code
    assert part in message
    assert "\n" not in message


def test_each_network_that_is_made_is_held_against_what_is_right(found: Found) -> None:
    assert found.keys() == RIGHT.keys() | REFUSED.keys()


def test_several_outputs_are_told_with_the_one_that_is_served(found: Found) -> None:
    assert found["two outputs, one is named"]["report"]["artifact"]["output"] == {
        "name": "prob_output", "index": 1, "kind": "probabilities", "chosen": "probes",
        "others": ["features_output"],
    }  # fmt: skip


def test_one_pass_tells_what_most_networks_give(found: Found) -> None:
    """A cold start pays for no more: neither for a second pass, nor for a try of the end."""
    for case in ("dense", "softmax", "SoftmaxOutput", "log_softmax", "sigmoid", "batch 32"):
        assert found[case]["passes"] == [1, 0], case
    for case in ("softmax, * 1.0", "sigmoid, * 1.0", "logits of 0"):
        assert found[case]["passes"] == [1, 1], case
    assert max(one["passes"][0] for one in found.values() if "passes" in one) <= 4


def test_parameters_without_prefixes_are_no_values_on_their_way(found: Found) -> None:
    """Else the largest of them would count two and a half times more."""
    plain, prefixed = (
        found[f"large params {kind} prefixes"]["need"] for kind in ("without", "with")
    )
    assert plain == prefixed


def test_memory_for_parameters_that_are_widened_is_asked_for_before_it_is_taken(
    found: Found,
) -> None:
    """They are copied, so they take more than float32 where it lies, not half of it."""
    halves, whole = (
        found[case]["need"] for case in ("large params of float16", "large params with prefixes")
    )
    assert halves > whole + 2_000_000
