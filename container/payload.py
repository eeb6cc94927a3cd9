"""From a request as MMS hands it over to the rows that go into the network."""

import base64
import binascii
import io
import json
from dataclasses import dataclass
from typing import Any

import images
import numpy as np
from artifact import Preprocess
from network import Network

MAX_ROWS = 256
"""Most pictures in one request."""

_TAKEN = "application/x-image, image/*, application/json or application/x-npy"


class BadRequest(Exception):
    """The caller can put this right; the message says how. Answered with ``status``."""

    status = 400
    reason = "Bad Request"


class UnsupportedMediaType(BadRequest):
    """The content type is none that the container takes."""

    status = 415
    reason = "Unsupported Media Type"


class ShuttingDown(BadRequest):
    """The server is stopping; not the caller's fault, but answered in the same way."""

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
    body, content_type = _body(parameters, headers)
    if content_type in ("application/x-npy", "application/npy"):
        return _arrays(_npy(body), network)
    if content_type == "application/json":
        return _json(body, network)
    if content_type.startswith("image/") or content_type in (
        "application/x-image",
        "application/octet-stream",
        "",
    ):
        return Request(rows=_picture(body, network)[None], batched=False)
    raise UnsupportedMediaType(f"Content type {content_type} is not taken: send {_TAKEN}.")


def _body(parameters: dict[str, Any], headers: dict[str, str]) -> tuple[bytes, str]:
    """The payload and its type. MMS calls a plain body "body"; a form brings its own names."""
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise UnsupportedMediaType(f"Forms are not taken: send the bytes alone, as {_TAKEN}.")
    body = parameters.get("body", parameters.get("data", b""))
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray):
        raise BadRequest("The request has no body.")
    return bytes(body), content_type


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
        raise BadRequest(str(error)) from error
    return network.from_picture(picture)


def _npy(data: bytes) -> np.ndarray:
    try:
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _fortran, dtype = read_header(file)
        size = dtype.itemsize
        for length in shape:
            size *= length
        # The header may promise terabytes: believe the body.
        if dtype.hasobject or size > len(data):
            raise ValueError("its header does not agree with its length")
        file.seek(0)
        return np.load(file, allow_pickle=False)
    except (ValueError, KeyError, EOFError, OSError, SyntaxError, TypeError) as error:
        raise BadRequest(f"The body is not a NumPy .npy file of numbers: {error}.") from error


def _json(data: bytes, network: Network) -> Request:
    """``{"instances": [...]}``: nested lists of numbers, or pictures in base64."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    instances = given.get("instances") if isinstance(given, dict) else given
    if not isinstance(instances, list) or not instances:
        raise BadRequest(
            'JSON must be {"instances": [...]} with nested lists of numbers of the shape '
            f'{list(network.input_shape[1:])}, or pictures in base64 ({{"b64": "..."}}).'
        )
    if len(instances) > MAX_ROWS and isinstance(instances[0], str | dict):
        raise BadRequest(f"At most {MAX_ROWS} pictures are taken in one request.")
    if all(isinstance(item, str | dict) for item in instances):
        rows = [_picture(_base64(item), network) for item in instances]
        return Request(rows=np.stack(rows), batched=True)
    try:
        array = np.array(instances, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise BadRequest(
            f"'instances' must be nested lists of numbers, all of the shape "
            f"{list(network.input_shape[1:])}."
        ) from error
    return _arrays(array, network)


def _base64(item: str | dict[str, Any]) -> bytes:
    text = item.get("b64") if isinstance(item, dict) else item
    if not isinstance(text, str):
        raise BadRequest('A picture in JSON must be a base64 string or {"b64": "..."}.')
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"A picture in 'instances' is not base64: {error}.") from error


def _arrays(array: np.ndarray, network: Network) -> Request:
    """Rows of numbers go to the network as they are: the caller has preprocessed them."""
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
