"""Checks the form of a report, before anything else reads it.

The sandboxed process that writes it loads untrusted networks. A network that took the process over
may print anything: numbers that no database takes, invalid text, lists in place of names. A report
of another form is refused.
"""

from typing import Any

_LARGEST = 2**63 - 1  # of a database's whole numbers

_COUNT, _NUMBER, _TEXT, _FLAG = "count", "number", "text", "flag"
_SHAPES = [{"name": _TEXT, "shape": [_COUNT]}]
_ABOUT: dict[str, Any] = {
    "name": _TEXT,
    "files": [{"name": _TEXT, "bytes": _COUNT}],
    "unpacked_bytes": _COUNT,
    "inputs": _SHAPES,
    "outputs": _SHAPES,
    "parameters": _COUNT,
    "parameter_bytes": _COUNT,
    "labels": [_TEXT],
    "label_count": _COUNT,
    "notes": [{"code": _TEXT, "message": _TEXT}],
}
_OUTPUT = {
    "name": _TEXT, "index": _COUNT, "kind": _TEXT, "chosen": _TEXT, "others": [_TEXT],
}  # fmt: skip
OUTPUTS = ("probabilities", "logits", "multilabel")
_MAX_PARAMETERS = 10  # of a refusal
_MAX_NOTES_OF_A_NETWORK = 100  # there are a dozen kinds
_SAMPLE = {"image": _TEXT, "predictions": [{"label": _TEXT, "probability": _NUMBER}]}
_MEASURED = {
    "load_ms": _NUMBER,
    "first_ms": _NUMBER,
    "warm_ms": _NUMBER,
    "memory_mb": _NUMBER,
    "sample": _SAMPLE,
}

_ARCHIVE = {
    "files": [{"name": _TEXT, "bytes": _COUNT, "packed": _FLAG, "read": _FLAG}],
    "unpacked_bytes": _COUNT,
    "packed_bytes": _COUNT,
    "notes": [{"code": _TEXT, "message": _TEXT}],
}
_MAX_FILES, _MAX_NOTES = 1_000, 100  # archive.MAX_MEMBERS; of notes there are fewer


def well_packed(report: Any) -> bool:
    """Whether ``report`` is what preflight.py's ``inspect`` gives, and nothing besides."""
    if not isinstance(report, dict) or report.keys() != {"ok", "error", "archive"}:
        return False
    about, error = report["archive"], report["error"]
    if about is not None and not (
        _fits(about, _ARCHIVE)
        and len(about["files"]) <= _MAX_FILES
        and len(about["notes"]) <= _MAX_NOTES
    ):
        return False
    if report["ok"] is True:
        return error is None and about is not None and any(one["read"] for one in about["files"])
    return report["ok"] is False and _refusal(error)


def well_formed(report: Any) -> bool:
    """Whether ``report`` is what container/preflight.py's ``check`` gives, and nothing besides."""
    if not isinstance(report, dict):
        return False
    rest = dict(report)
    ok, error, about = rest.pop("ok", None), rest.pop("error", None), rest.pop("artifact", None)
    if ok is True:
        return (
            error is None
            and _about(about)
            and bool(about["inputs"])
            and about["output"] is not None
            and _fits(rest, _MEASURED)
        )
    return ok is False and _refusal(error) and not rest and (about is None or _about(about))


def _refusal(error: Any) -> bool:
    """Whether it says why an archive was refused: a code, a message, and its parameters."""
    if not isinstance(error, dict):
        return False
    rest = dict(error)
    parameters = rest.pop("parameters", {})
    return (
        _fits(rest, {"code": _TEXT, "message": _TEXT})
        and bool(rest["message"])
        and isinstance(parameters, dict)
        and len(parameters) <= _MAX_PARAMETERS
        and all(
            _fits(name, _TEXT) and (_fits(value, _TEXT) or _fits(value, [_TEXT]))
            for name, value in parameters.items()
        )
    )


def _about(about: Any) -> bool:
    if not isinstance(about, dict):
        return False
    rest = dict(about)
    layers, preprocess = rest.pop("layers", None), rest.pop("preprocess", 0)
    output = rest.pop("output", 0)
    return (
        _fits(rest, _ABOUT)
        and isinstance(layers, dict)
        and all(_fits(name, _TEXT) and _fits(count, _COUNT) for name, count in layers.items())
        and _plain(preprocess)
        and len(about["notes"]) <= _MAX_NOTES_OF_A_NETWORK
        and (output is None or (_fits(output, _OUTPUT) and output["kind"] in OUTPUTS))
    )


def _fits(value: Any, form: Any) -> bool:
    """Whether ``value`` has the form; a dictionary has its keys and no others."""
    if isinstance(form, dict):
        return (
            isinstance(value, dict)
            and value.keys() == form.keys()
            and all(_fits(value[key], form[key]) for key in form)
        )
    if isinstance(form, list):
        return isinstance(value, list) and all(_fits(entry, form[0]) for entry in value)
    if form == _TEXT:
        return isinstance(value, str) and "\0" not in value and _encodes(value)
    if form == _FLAG or isinstance(value, bool):
        return form == _FLAG and isinstance(value, bool)
    if not isinstance(value, int | float):
        return False
    if form == _COUNT:
        return isinstance(value, int) and 0 <= value <= _LARGEST
    return abs(value) <= _LARGEST  # so neither NaN, nor more digits than a float has


def _plain(value: Any) -> bool:
    """Whether it is the preprocessing as a report tells it: keys with numbers, words, or lists."""
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    for key, entry in value.items():
        entries = entry if isinstance(entry, list) else [entry]
        if not _fits(key, _TEXT) or not all(
            one is None or isinstance(one, bool) or _fits(one, _TEXT) or _fits(one, _NUMBER)
            for one in entries
        ):
            return False
    return True


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
