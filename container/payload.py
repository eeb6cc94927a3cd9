"""Converts a request, as MMS passes it on, to the rows for the network."""

import base64
import binascii
import io
import json
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from container import images
from container.artifact import Preprocess
from container.network import Network

MAX_ROWS = 256
"""Most pictures in one request."""

MAX_NPY_HEADER = 10_000
"""Longest header of a ``.npy`` file, in bytes; NumPy's own limit since 1.24."""

_TAKEN = "application/x-image, image/*, application/json or application/x-npy"
_NPY = ("application/x-npy", "application/npy")
_JSON = ("application/json", "text/json")
# S3's type of an object that was stored without one, and HTTP clients' default for bytes.
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream")
# Guard.java's word for the types of forms, which MMS would take apart before we see them. curl and
# Python's urllib call whatever they are given a form, where their user says nothing else.
_FORM = "application/x-mme-form"
_FORMS = (_FORM, "application/x-www-form-urlencoded", "multipart/form-data")
_LIKE_A_FORM = re.compile(rb"--.*|[\w.~%+*&=\[\]-]+", re.DOTALL | re.ASCII)
_LIKE_BASE64 = re.compile(rb"""\s*(data:|(b?['"])?(/9j/|iVBOR|R0lGOD|UklGR))""")

# The name of the picture in a JSON object of other servers' clients: TensorFlow Serving and KServe
# (b64), Vertex AI (content), TorchServe (data, body), and what boto3's users write by themselves.
_PICTURE_NAMES = ("b64", "content", "data", "body", "image", "image_bytes", "bytes")
_MOST_WRAPPERS = 4
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\f\v"


class BadRequest(Exception):
    """A fault of the request; the message says how to correct it. Answered with ``status``."""

    status = 400
    reason = "Bad Request"


class NotAcceptable(BadRequest):
    """The caller's Accept names no offered content type."""

    status = 406
    reason = "Not Acceptable"


class UnsupportedMediaType(BadRequest):
    """The container does not accept the content type."""

    status = 415
    reason = "Unsupported Media Type"


class ShuttingDown(BadRequest):
    """The server is stopping: no fault of the request, but answered in the same way."""

    status = 503
    reason = "Service Unavailable"

    def __init__(self) -> None:
        super().__init__("This instance is shutting down; send the request again.")


@dataclass(frozen=True)
class Request:
    """Rows for the network's first input; ``batched`` where the caller sent a batch."""

    rows: np.ndarray
    batched: bool


def read(parameters: dict[str, Any], headers: dict[str, str], network: Network) -> Request:
    """Read one request. ``headers`` are in lower case.

    Raises :class:`BadRequest` (400) or :class:`UnsupportedMediaType` (415).
    """
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    body = _body(parameters)
    if content_type in _FORMS:
        # MMS has taken the form apart where it did not come through the guard: no body is left.
        if _LIKE_A_FORM.fullmatch(body) or "body" not in parameters:
            raise UnsupportedMediaType(f"Forms are not taken: send the bytes alone, as {_TAKEN}.")
        content_type = ""
    if content_type in _UNTOLD:
        content_type = _looks_like(body)
    if content_type in _NPY:
        return _arrays(_npy(body), network)
    if content_type in _JSON:
        return _json(body, network)
    if content_type.startswith("image/") or content_type == "application/x-image":
        return Request(rows=_picture(body, network)[None], batched=False)
    raise UnsupportedMediaType(f"Content type {content_type} is not taken: send {_TAKEN}.")


def _body(parameters: dict[str, Any]) -> bytes:
    """The payload. MMS calls a plain body "body"; a form brings its own names."""
    body = parameters.get("body", parameters.get("data", b""))
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray):
        raise BadRequest("The request has no body.")
    return bytes(body)


def _looks_like(body: bytes) -> str:
    """The type of a body whose content type the caller does not give."""
    if body.startswith(np.lib.format.MAGIC_PREFIX):
        return _NPY[0]
    if body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return _JSON[0]
    return "application/x-image"


def _picture(data: bytes, network: Network) -> np.ndarray:
    shape = network.picture_shape
    if shape is None:
        raise UnsupportedMediaType(
            f"This model takes arrays of the shape {list(network.input_shape[1:])}, not pictures: "
            "send application/json or application/x-npy."
        )
    try:
        picture = images.decode(data, shape, network.artifact.preprocess or Preprocess())
    except images.BadImage as error:
        hint = " It looks like base64: send the bytes themselves, or send it as application/json."
        raise BadRequest(f"{error}{hint if _LIKE_BASE64.match(data) else ''}") from error
    return network.from_picture(picture)


def _npy(data: bytes) -> np.ndarray:
    """The array of a ``.npy`` file, version 1.0, 2.0 or 3.0 (NEP 1, numpy.lib.format)."""
    try:
        if data[:8] == np.lib.format.MAGIC_PREFIX + b"\x03\x00":
            # 3.0 is 2.0 with a header in UTF-8, which only names of fields need.
            data = data[:6] + b"\x02" + data[7:]
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"version {version[0]}.{version[1]} is not known")
        length_bytes, read_header = _HEADERS[version]
        if int.from_bytes(data[8 : 8 + length_bytes], "little") > MAX_NPY_HEADER:
            raise ValueError(f"its header has more than {MAX_NPY_HEADER} bytes")
        shape, _fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are never unpickled here")
        size = dtype.itemsize
        for length in shape:
            size *= length
        # The header may declare terabytes: the size of the body decides.
        if min((*shape, 0)) < 0 or size > len(data):
            raise ValueError("its header does not agree with its length")
        file.seek(0)
        return np.load(file, allow_pickle=False)
    except Exception as error:
        # NumPy reads the header as Python's literals, and meets untrusted ones with whatever
        # Python raises: SyntaxError, TokenError, RecursionError, MemoryError…
        reason = str(error).rstrip(".") or type(error).__name__
        raise BadRequest(f"The body is not a NumPy .npy file of numbers: {reason}.") from error


_HEADERS: dict[tuple[int, int], tuple[int, Callable[[io.BytesIO], Any]]] = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}
"""For each version: how many bytes tell the header's length, and what reads it."""


def _json(data: bytes, network: Network) -> Request:
    """Pictures in base64, or nested lists of numbers, in the shapes that clients send.

    ``{"instances": [...]}`` and ``{"inputs": ...}``, a bare list, or one object with a picture.
    """
    given = _parsed(data)
    if isinstance(given, dict):
        if "instances" in given or "inputs" in given:
            given = given.get("instances", given.get("inputs"))
        else:
            given = _alone(given, network)
    given = _unwrapped(given)
    if isinstance(given, str):
        return Request(rows=_picture(_base64(given), network)[None], batched=False)
    if isinstance(given, list) and len(given) == 1 and _is_tensor(given[0]):
        given = _tensor(given[0])
        if isinstance(given, np.ndarray):
            return _arrays(given, network)
    if not isinstance(given, list) or not given:
        raise _no_instances(network)
    instances = [_unwrapped(item) for item in given]
    if all(isinstance(item, str) for item in instances):
        if len(instances) > MAX_ROWS:
            raise BadRequest(f"At most {MAX_ROWS} pictures are taken in one request.")
        rows = [_picture(_base64(item), network) for item in instances]
        return Request(rows=np.stack(rows), batched=True)
    return _arrays(_numbers(instances, network), network)


def _alone(given: dict[str, Any], network: Network) -> str:
    """The text of the one picture that an object without instances holds."""
    try:
        picture = _unwrapped(given)
    except BadRequest as error:
        raise _no_instances(network) from error
    if not isinstance(picture, str):
        raise _no_instances(network)
    return picture


def _parsed(data: bytes) -> Any:
    """The JSON value; raises BadRequest where it is none, or one that JSON does not define."""
    try:
        return json.loads(data, object_pairs_hook=_members, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not valid JSON: it is not in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise BadRequest("The body is not read: its JSON is nested too deep.") from error
    except ValueError as error:  # Python's limit for the digits of an integer
        raise BadRequest("The body holds an integer of more digits than are read.") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise BadRequest(f"The body is not read: {json.dumps(twice[:60])} stands in it twice.")
    return found


def _constant(name: str) -> float:
    raise BadRequest(f"The body is not valid JSON: {name} is no number of JSON's.")


def _no_instances(network: Network) -> BadRequest:
    return BadRequest(
        'JSON must be {"instances": [...]} with nested lists of numbers of the shape '
        f'{list(network.input_shape[1:])}, or pictures in base64 ({{"b64": "..."}}).'
    )


def _unwrapped(item: Any) -> Any:
    """What an object stands for: the picture's text, or the lists, in it.

    That is the member with a name of ``_PICTURE_NAMES``, or else its only one; ``key`` is Vertex
    AI's name for a number of the caller's own. Anything that is no object is returned as it is.
    """
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(item, dict) or _is_tensor(item):
            return item
        named = [name for name in _PICTURE_NAMES if name in item]
        others = [name for name in item if name != "key"]
        if not named and len(others) != 1:
            break
        item = item[named[0] if named else others[0]]
    if isinstance(item, dict):
        raise BadRequest(
            'An object in JSON must hold a picture in base64 as {"b64": "..."}, or one member '
            "with nested lists of numbers."
        )
    return item


def _is_tensor(item: Any) -> bool:
    """Whether it is an input of the Open Inference Protocol (KServe's version 2)."""
    return isinstance(item, dict) and {"shape", "data", "datatype"} <= item.keys()


def _tensor(item: dict[str, Any]) -> Any:
    """Its array of numbers; or, where it holds texts (BYTES), these as a list."""
    data, shape = item["data"], item["shape"]
    if isinstance(data, list) and data and all(isinstance(text, str) for text in data):
        return data
    try:
        return np.array(data, dtype=np.float32).reshape([int(length) for length in shape])
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(
            "The tensor in 'inputs' must have numbers as its data, as many as its shape says."
        ) from error


def _numbers(instances: list[Any], network: Network) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            return np.array(instances, dtype=np.float32)
    except OverflowError as error:
        raise BadRequest("'instances' holds a number that is too large for float32.") from error
    except (ValueError, TypeError) as error:
        raise BadRequest(
            f"'instances' must be nested lists of numbers, all of the shape "
            f"{list(network.input_shape[1:])}, or pictures in base64 alone."
        ) from error


def _base64(text: str) -> bytes:
    """The bytes: plain or URL-safe base64, wrapped or not, padded or not, or a data URI."""
    text = text.strip()
    if text[:5].lower() == "data:":  # RFC 2397
        head, comma, text = text.partition(",")
        if not comma or not head.lower().rstrip().endswith(";base64"):
            raise BadRequest("A picture in a data URI must be in base64: data:image/png;base64,...")
        text = urllib.parse.unquote(text)
    if text[:2] in ("b'", 'b"'):
        raise BadRequest(
            "A picture is the text of a Python bytes object (b'...'), not base64: write "
            "base64.b64encode(data).decode()."
        )
    try:
        plain = text.encode("ascii").translate(_TO_STANDARD, _BLANKS).rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        reason = "it has signs that base64 has not" if isinstance(error, UnicodeError) else error
        raise BadRequest(f"A picture in the JSON is not base64: {reason}.") from error


def _arrays(array: np.ndarray, network: Network) -> Request:
    """Rows of numbers are passed on unchanged: the caller has preprocessed them."""
    row = network.input_shape[1:]
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise BadRequest(f"The array holds {array.dtype}, not numbers.")
    if np.issubdtype(array.dtype, np.complexfloating):
        raise BadRequest("The array holds complex numbers; the network takes real ones.")
    if array.shape == row:
        rows, batched = array[None], False
    elif array.shape[1:] == row and len(array) > 0:
        rows, batched = array, True
    else:
        raise BadRequest(
            f"The array has the shape {list(array.shape)}; this model takes {list(row)}, "
            f"or a batch [N, {', '.join(map(str, row))}]."
        )
    if len(rows) > MAX_ROWS:
        raise BadRequest(f"At most {MAX_ROWS} rows are taken in one request.")
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(rows, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise BadRequest("The array holds values that are not finite numbers.")
    return Request(rows=rows, batched=batched)
