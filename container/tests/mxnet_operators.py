"""What MXNet's registry says of its operators, beside what container/operators.txt decides of them.

    .venv-container/bin/python container/tests/mxnet_operators.py            # the registry, as JSON
    .venv-container/bin/python container/tests/mxnet_operators.py --write    # renew operators.txt

``--write`` keeps each decision, takes the declared parameters anew, and writes a line ``? NAME``
for an operator that nobody has decided about: the container does not start with such a line, so
each needs a ``+``, or a ``-`` with a reason.
"""

import ctypes
import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "operators.txt"

_TYPES = {
    "int": "int", "int (non-negative)": "uint", "int or None": "int?", "long": "long",
    "long (non-negative)": "ulong", "float": "float", "real_t": "float", "double": "float",
    "float or None": "float?", "double or None": "float?", "boolean": "bool",
    "boolean or None": "bool?", "Shape(tuple)": "shape", "Shape or None": "shape?",
    "tuple of <long>": "shape", "tuple of <float>": "floats", "tuple of <double>": "floats",
    "tuple of <Shape(tuple)>": "shapes", "string": "string", "": "text",
}  # fmt: skip


# Where the registry documents other attributes than the operator reads. What it reads is what MXNet
# says of a key that it does not know ("Possible Arguments").
_READS = {
    "_contrib_SparseEmbedding": {"sparse_grad": None, "deterministic": "boolean"},
    "_linalg_potrf": {"lower": "boolean"},
    "_linalg_potri": {"lower": "boolean"},
    "_linspace": {"step": None, "repeat": None, "infer_range": None, "num": "int",
                  "endpoint": "boolean"},
    "_npi_cholesky": {"lower": "boolean"},
    "_npi_concatenate": {"dim": None, "axis": "int or None"},
    "_npi_norm": {"axis": "Shape or None", "ord": "double", "flag": "int", "keepdims": "boolean"},
    "smooth_l1": {"is_int": "boolean"},
}  # fmt: skip

# Inputs that it does not document: the states that it keeps.
_STATES = {
    "BatchNorm_v1": ("moving_mean", "moving_var"),
    "IdentityAttachKLSparseReg": ("moving_avg",),
}
# How many of the last inputs may be absent, as the attributes say: no bias, no lengths, no weights.
# Found by having MXNet read each operator without inputs as a file of version 0.8, with one after
# the other of its attributes told: it then adds what is absent.
_OPTIONAL = {
    "CTCLoss": 2, "Convolution": 1, "Convolution_v1": 1, "Deconvolution": 1, "FullyConnected": 1,
    "LeakyReLU": 1, "RNN": 2, "SequenceLast": 1, "SequenceMask": 1, "SequenceReverse": 1,
    "_contrib_BilinearResize2D": 1, "_contrib_DeformableConvolution": 1,
    "_contrib_DeformablePSROIPooling": 1, "_contrib_ModulatedDeformableConvolution": 1,
    "_contrib_quantized_conv": 3, "_contrib_quantized_fully_connected": 3,
    "_contrib_quantized_rnn": 6, "_histogram": 1, "_npi_average": 1, "_npi_bernoulli": 1,
    "_npi_bincount": 1, "_npi_choice": 2, "_npi_delete": 1, "_npi_ediff1d": 2,
    "_npi_exponential": 1, "_npi_gamma": 2, "_npi_gumbel": 2, "_npi_insert_scalar": 1,
    "_npi_insert_slice": 1, "_npi_insert_tensor": 1, "_npi_logistic": 2, "_npi_multinomial": 1,
    "_npi_normal": 2, "_npi_normal_n": 2, "_npi_pareto": 1, "_npi_percentile": 1,
    "_npi_powerd": 1, "_npi_rayleigh": 1, "_npi_uniform": 2, "_npi_uniform_n": 2,
    "_npi_weibull": 1, "log_softmax": 1, "softmax": 1, "softmin": 1,
}  # fmt: skip


def registry() -> dict[str, dict[str, Any]]:
    """Each name that MXNet knows: the operator it means, and that one's declared arguments."""
    from mxnet.base import _LIB, check_call, mx_uint

    size, names = mx_uint(), ctypes.POINTER(ctypes.c_char_p)()
    check_call(_LIB.MXListAllOpNames(ctypes.byref(size), ctypes.byref(names)))
    listed = sorted(names[number].decode() for number in range(size.value))
    return {name: _declared(name) for name in listed}


def _declared(name: str) -> dict[str, Any]:
    from mxnet.base import _LIB, check_call, mx_uint

    handle, count = ctypes.c_void_p(), mx_uint()
    check_call(_LIB.NNGetOpHandle(name.encode(), ctypes.byref(handle)))
    operator, about, variable, returned = (ctypes.c_char_p() for _ in range(4))
    keys, types, texts = (ctypes.POINTER(ctypes.c_char_p)() for _ in range(3))
    check_call(
        _LIB.MXSymbolGetAtomicSymbolInfo(
            handle, *map(ctypes.byref, (operator, about, count, keys, types, texts, variable,
                                        returned)),
        )
    )  # fmt: skip
    arguments = {keys[i].decode(): types[i].decode() for i in range(count.value)}
    known = (operator.value or b"").decode()
    arguments |= _READS.get(known, {})
    return {
        "operator": known,
        "arguments": [(key, kind) for key, kind in arguments.items() if kind is not None],
        "variable": (variable.value or b"").decode(),
    }


def line(name: str, about: dict[str, Any]) -> str:
    """The operator's line of operators.txt, without the decision."""
    if about["operator"] != name:
        return f"{name} = {about['operator']}"
    inputs, attributes = [], []
    for key, kind in about["arguments"]:
        if re.match(r"(NDArray|Symbol)", kind):
            inputs.append(f"{key}*" if "[]" in kind else key)
        else:
            attributes.append(f"{key}:{_type(kind)}")
    inputs += _STATES.get(name, ())
    for number in range(len(inputs) - min(_OPTIONAL.get(name, 0), len(inputs)), len(inputs)):
        inputs[number] += "?"
    counted = about["variable"]
    if not counted and any(one.endswith("*") for one in inputs):  # it counts them, and says not how
        keys = [key for key, _ in about["arguments"]]
        counted = next(key for key in ("num_arrays", "num_outputs") if key in keys)
    if counted:
        inputs.append(f"*{counted}")
    return " ".join([name, ",".join(inputs) or "()", *attributes])


def _type(kind: str) -> str:
    if kind.startswith("{"):
        values = kind[1 : kind.index("}")].replace("'", "").split(", ")
        return "|".join(values) if len(values) > 1 else f"{values[0]}|"
    declared = re.split(r",? ?(?:optional|required)", kind)[0].strip(" ,")
    return "pointer" if declared == "ptr" else _TYPES[declared]


def renewed(text: str, known: dict[str, dict[str, Any]]) -> str:
    """operators.txt with the declared parameters of ``known``, and the decisions of ``text``."""
    header = [old for old in text.splitlines() if old.startswith("#")]
    decided = {old.split()[1]: old for old in text.splitlines() if old[:2] in ("+ ", "- ")}
    lines = []
    for name, about in known.items():
        old = decided.get(name)
        if old is None:
            lines.append(f"? {line(name, about)}")
        elif old.startswith("+"):
            lines.append(f"+ {line(name, about)}")
        else:
            lines.append(old)
    return "\n".join([*header, "", *lines, ""])


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(renewed(FILE.read_text("utf-8"), registry()), "utf-8")
    else:
        print(json.dumps(registry()))
