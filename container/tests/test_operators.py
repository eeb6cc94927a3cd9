"""The list of operators, held against MXNet's own registry."""

import json
import subprocess
from pathlib import Path

import pytest

from container import operators
from container.tests import mxnet_operators

SCRIPT = Path(__file__).with_name("mxnet_operators.py")


@pytest.fixture(scope="module")
def known(python: str) -> dict[str, dict[str, object]]:
    done = subprocess.run(
        [python, str(SCRIPT)], capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, dict[str, object]] = json.loads(done.stdout)
    return found


def test_each_name_of_the_registry_was_decided_about(known: dict[str, dict[str, object]]) -> None:
    """A new MXNet brings new operators: each is looked at before a network may use it."""
    assert len(known) == 1167
    text = mxnet_operators.FILE.read_text("utf-8")
    assert mxnet_operators.renewed(text, known) == text, (
        "run mxnet_operators.py --write, and review"
    )
    assert not [line for line in text.splitlines() if line.startswith("?")]


def test_an_alias_is_allowed_where_its_operator_is(known: dict[str, dict[str, object]]) -> None:
    for name, about in known.items():
        real = str(about["operator"])
        assert (operators.allowed(name) is None) == (operators.allowed(real) is None), name


@pytest.mark.parametrize(
    "name",
    [
        "_Native", "_NDArray", "Custom", "_npi_Custom", "_CustomFunction", "_CachedOp",
        "_CachedOpThreadSafe", "_cvimread", "_npi_cvimread", "_cvimdecode", "_npi_cvimdecode",
        "_imdecode", "_CrossDeviceCopy", "_copyto", "_npi_copyto", "_set_value", "sgd_update",
        "adam_update", "multi_sgd_update", "mp_sgd_update", "lamb_update_phase1", "ftrl_update",
        "_adamw_update", "_mp_adamw_update", "_contrib_dgl_subgraph", "_sg_mkldnn_conv",
        "_backward_Convolution", "_split_v2_backward", "reset_arrays", "_NoGradient",
        "_slice_assign", "cast_storage", "", "null", " Convolution", "convolution",
    ],
)  # fmt: skip
def test_what_does_more_than_compute_is_not_allowed(name: str) -> None:
    assert operators.allowed(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "scatter_nd", "_contrib_index_copy", "_npi_insert_tensor", "_contrib_ROIAlign",
        "_contrib_RROIAlign", "_contrib_PSROIPooling", "_contrib_DeformablePSROIPooling", "CTCLoss",
        "ctc_loss", "softmax_cross_entropy", "_contrib_hawkesll", "_contrib_box_encode",
        "_npi_percentile", "Correlation", "_image_crop", "_npx__image_crop", "_npi_choice",
        "_npi_pareto", "_npi_powerd", "_npi_weibull", "_contrib_quantize_asym", "amp_multicast",
        "_contrib_interleaved_matmul_selfatt_qk", "_contrib_interleaved_matmul_encdec_valatt",
    ],
)  # fmt: skip
def test_what_reads_or_writes_beyond_its_arrays_is_not_allowed(name: str) -> None:
    """Each made MXNet 1.9.1 read or write where a weight, a picture or an attribute says."""
    assert operators.allowed(name) is None


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("softmax", {"use_length": "True"}), ("softmax", {"use_length": " 1"}),
        ("SequenceLast", {"use_sequence_length": "true"}),
        ("SequenceMask", {"use_sequence_length": "True"}),
        ("SequenceReverse", {"use_sequence_length": "True"}),
        ("transpose", {"axes": "(0, 0)"}), ("transpose", {"axes": "[1L, 0, +1]"}),
        ("_split_v2", {"indices": "()"}), ("_npi_hsplit", {"indices": "()", "sections": "0"}),
        ("_npi_dsplit", {"indices": "[]", "sections": "-1"}),
    ],
)  # fmt: skip
def test_attributes_that_lead_beyond_the_arrays_are_told(
    name: str, attributes: dict[str, str]
) -> None:
    assert operators.unsafe_attribute(name, attributes)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("softmax", {}), ("softmax", {"use_length": "False"}), ("softmax", {"use_length": "None"}),
        ("SequenceMask", {"use_sequence_length": "0"}), ("transpose", {}),
        ("transpose", {"axes": "()"}), ("transpose", {"axes": "(0, 2, 1)"}),
        ("transpose", {"axes": "None"}), ("_split_v2", {"indices": "(0, 2)"}),
        ("_split_v2", {"indices": "()", "sections": "2"}), ("relu", {}),
    ],
)  # fmt: skip
def test_usual_attributes_are_no_harm(name: str, attributes: dict[str, str]) -> None:
    assert operators.unsafe_attribute(name, attributes) is None


def test_no_operator_is_allowed_that_takes_an_address_writes_or_is_a_gradient() -> None:
    listed = [
        line.split()
        for line in mxnet_operators.FILE.read_text("utf-8").splitlines()
        if line.startswith("+")
    ]
    assert len(listed) > 700
    for _, name, *declared in listed:
        assert not any(one.endswith(":pointer") for one in declared), name
        assert "update" not in name, name
        assert "backward" not in name, name
        assert "_sg_" not in name, name


@pytest.mark.parametrize(
    "name",
    [
        "Convolution", "BatchNorm", "Activation", "Pooling", "FullyConnected", "softmax", "Dropout",
        "SoftmaxOutput", "Concat", "LeakyReLU", "RNN", "Embedding", "LayerNorm", "_foreach",
        "_while_loop", "_cond", "_contrib_MultiBoxPrior", "_contrib_MultiBoxDetection",
        "_contrib_MultiBoxTarget", "ROIPooling", "SequenceMask", "transpose", "_contrib_box_nms",
        "_contrib_box_decode", "_contrib_Proposal", "_contrib_quantize_v2",
        "_contrib_quantized_conv", "_contrib_BilinearResize2D", "_npi_concatenate", "amp_cast",
        "_np_sum", "_npx_softmax", "Softmax", "split", "_Plus", "broadcast_add", "linalg_gemm2",
    ],
)  # fmt: skip
def test_what_networks_are_made_of_is_allowed(name: str) -> None:
    assert operators.allowed(name) is not None


def test_attributes_are_those_of_the_operator() -> None:
    convolution = operators.allowed("Convolution")
    assert convolution is not None
    assert convolution.inputs == 3
    assert convolution.attributes["kernel"] == "shape"
    assert "info" not in convolution.attributes
    concat = operators.allowed("concat")
    assert concat is not None
    assert concat.counted == "num_args"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "3"), ("int", "-1"), ("int", "+2"), ("int", " 3 "), ("int", "2147483647"),
        ("int?", "None"), ("uint", "0"), ("ulong", "4294967296"), ("bool", "True"), ("bool", "0"),
        ("float", "1e-05"), ("float", "-0.5"), ("float", ".5"), ("float", "3"), ("float", "-inf"),
        ("float?", "None"), ("shape", "(3, 3)"), ("shape", "(3L, 3L)"), ("shape", "[1,2]"),
        ("shape", "()"), ("shape", "(1,)"), ("shape", "3"), ("shape", "(0, -1)"),
        ("shape", "(None, 2)"), ("shape?", "None"), ("floats", "(0.1, 0.2)"), ("floats", "[1]"),
        ("shapes", "((0, 0), (1, 1))"), ("relu|tanh", "relu"), ("None|int8", "None"),
        ("string", "ij,jk->ik"), ("text", "(0.0, 1.0)"),
    ],
)  # fmt: skip
def test_values_of_the_type(kind: str, value: str) -> None:
    assert operators.fits(kind, "key", value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", ""), ("int", "x"), ("int", "0x10"), ("int", "1.5"), ("int", "2147483648"),
        ("int", "-2147483649"), ("int", "9" * 400), ("int", "None"), ("int", "٣"),
        ("uint", "-1"), ("ulong", "-1"), ("ulong", "9223372036854775808"), ("bool", "yes"),
        ("bool", ""), ("float", "nan"), ("float", "1e9999"), ("float", "0x1p3"), ("float", ""),
        ("float", "1" * 99), ("shape", "(1,,2)"), ("shape", "(1"), ("shape", "((1))"),
        ("shape", "(x)"), ("shape", "(9999999999,)"), ("shape", "(" + "1," * 2000 + ")"),
        ("floats", "(nan,)"), ("shapes", "((a))"), ("relu|tanh", "Relu"), ("relu|", ""),
        ("default|csr|row_sparse", "csr"), ("string", "a\nb"), ("string", "x" * 401),
        ("text", "a;b"), ("pointer", "0x1234"), ("pointer", "1"), ("unheard of", "1"),
    ],
)  # fmt: skip
def test_values_of_no_such_type(kind: str, value: str) -> None:
    assert not operators.fits(kind, "key", value)


def test_a_device_is_a_device() -> None:
    for value in ("cpu(0)", "gpu(1)", "cpu", ""):
        assert operators.fits("string", "ctx", value)
    for value in ("cpu(-1)", "tpu(0)", "cpu(99999)", "x"):
        assert not operators.fits("string", "ctx", value)
