"""What people's clients send and ask for: content types, JSON, arrays, Accept.

The network answers differently for each part and colour of a picture, so that an answer shows what
it was given.
"""

import base64
import csv
import io
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from container.tests.serving import Server
from tests.artifacts import SEEN, constant_network, params_bytes, seeing_network

pytestmark = pytest.mark.xdist_group("container-requests")

GREEN_BELOW = "green, bottom left"


@pytest.fixture(scope="module")
def model(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("seeing")
    for name, data in seeing_network().items():
        (folder / name).write_bytes(data)
    assert server.load("seeing", folder).status == 200
    yield "seeing"
    # Whatever the tests have sent: its worker lives, and is the one that loaded it.
    assert not [e for e in server.events("worker_killed") if e["model"] == "seeing"]
    assert len([e for e in server.events("model_loaded") if e["model"] == "seeing"]) == 1
    server.unload("seeing")


def pixels() -> list[list[list[float]]]:
    """The picture as the network takes it: green in the lower left quarter, black elsewhere."""
    return [
        [[255.0 if c == 1 and y >= 4 and x < 4 else 0.0 for x in range(8)] for y in range(8)]
        for c in range(3)
    ]


def picture(kind: str = "PNG") -> bytes:
    image = Image.new("RGB", (64, 64))
    image.paste((0, 255, 0), (0, 32, 32, 64))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def npy(
    version: int, dtype: str, shape: Sequence[int], data: bytes, fortran: bool = False
) -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {tuple(shape)}, }}"
    length = "<H" if version == 1 else "<I"
    header += " " * (63 - (len(header) + 8 + struct.calcsize(length)) % 64) + "\n"
    return (
        b"\x93NUMPY" + bytes([version, 0]) + struct.pack(length, len(header))
        + header.encode() + data
    )  # fmt: skip


def numbers(form: str, *, fortran: bool = False, count: int = 1) -> bytes:
    """:func:`pixels` as bytes, in the order of C or of Fortran."""
    rows = pixels()
    if fortran:
        order = [(c, y, x) for x in range(8) for y in range(8) for c in range(3)]
    else:
        order = [(c, y, x) for c in range(3) for y in range(8) for x in range(8)]
    values = [rows[c][y][x] for c, y, x in order] * count
    whole = form[-1] in "bBhHiIqQ?"
    return struct.pack(f"{form[0]}{len(values)}{form[1]}", *(map(int, values) if whole else values))


def best(server: Server, model: str, body: bytes, content_type: str | None) -> list[str]:
    """The best label of each row."""
    named = {} if content_type is None else {"content_type": content_type}
    answer = server.call(
        "POST", f"/models/{model}/invoke", body, Accept="application/json", **named
    )
    assert answer.status == 200, answer.body
    rows = answer.json["predictions"]
    return [row[0]["label"] for row in (rows if isinstance(rows[0], list) else [rows])]


def refused(server: Server, model: str, body: bytes, content_type: str, status: int = 400) -> str:
    answer = server.invoke(model, body, content_type)
    assert answer.status == status, answer.body
    assert answer.json["code"] == status
    message = str(answer.json["message"])
    assert message.endswith("."), message
    assert "Traceback" not in message
    return message


# --- content types -----------------------------------------------------------------------------

READ_AS_PICTURE = [
    None,
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "BINARY/OCTET-STREAM",
    "application/octet-stream; charset=binary",
    "application/x-www-form-urlencoded",  # curl --data-binary and Python's urllib
    "application/x-www-form-urlencoded; charset=UTF-8",
    "image/jpg",
    "image/pjpeg",
    "image/x-png",
    "image/*",
    "image/x-image",
    "IMAGE/JPEG",
    "Image/Png; name=cat.png",
    'image/png; name="a;b.png"',
    " image/png ",
    "application/x-image",
    "Application/X-Image;charset=UTF-8",
]


@pytest.mark.parametrize("content_type", READ_AS_PICTURE)
def test_a_picture_is_read_whatever_picture_or_bytes_it_is_called(
    server: Server, model: str, content_type: str | None
) -> None:
    assert best(server, model, picture(), content_type) == [GREEN_BELOW]


@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "binary/octet-stream",
                     "application/x-www-form-urlencoded"],
)  # fmt: skip
def test_bytes_without_a_type_are_read_by_what_they_are(
    server: Server, model: str, content_type: str | None
) -> None:
    array = npy(1, "<f4", (3, 8, 8), numbers("<f"))
    for text in (
        json.dumps({"instances": [pixels()]}).encode(),
        b"\xef\xbb\xbf \n" + json.dumps([pixels()]).encode(),
    ):
        assert best(server, model, text, content_type) == [GREEN_BELOW]
    assert best(server, model, array, content_type) == [GREEN_BELOW]


@pytest.mark.parametrize(
    "content_type", ["APPLICATION/JSON", "application/json;charset=UTF-8", "text/json"]
)
def test_json_is_read_in_any_case_and_with_parameters(
    server: Server, model: str, content_type: str
) -> None:
    body = json.dumps({"instances": [pixels()]}).encode()
    assert best(server, model, body, content_type) == [GREEN_BELOW]
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert best(server, model, body.decode().encode(encoding), content_type) == [GREEN_BELOW]


@pytest.mark.parametrize(
    "content_type",
    ["text/csv", "text/plain", "application/pdf", "application/jsonlines", "jpeg", "x/y;q=1"],
)
def test_other_types_are_refused_with_those_that_are_read(
    server: Server, model: str, content_type: str
) -> None:
    message = refused(server, model, picture(), content_type, 415)
    assert content_type.split(";")[0] in message
    for known in ("application/x-image", "image/*", "application/json", "application/x-npy"):
        assert known in message


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"picture=abc&x=1"),
        ("application/x-www-form-urlencoded", b"a=%zz&b"),
        ("multipart/form-data", b"--x\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=", b"--x\r\n\r\n--x--\r\n"),
        ("Multipart/Form-Data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="body"'
         b"\r\n\r\n\x89PNG\r\n--x--\r\n"),
    ],
)  # fmt: skip
def test_forms_are_refused_whole_or_broken(
    server: Server, model: str, content_type: str, body: bytes
) -> None:
    assert "Forms are not taken" in refused(server, model, body, content_type, 415)


def test_base64_in_place_of_a_picture_is_named(server: Server, model: str) -> None:
    coded = base64.b64encode(picture("JPEG"))
    assert "base64" in refused(server, model, coded, "application/x-image")
    assert "base64" in refused(server, model, b"data:image/jpeg;base64," + coded, "image/jpeg")


# --- JSON --------------------------------------------------------------------------------------

CODED = base64.b64encode(picture()).decode()
URL_SAFE = base64.urlsafe_b64encode(picture()).decode()

ONE: dict[str, Any] = {
    "plain": CODED,
    "wrapped": base64.encodebytes(picture()).decode(),
    "wrapped with CRLF": "\r\n ".join(CODED[at : at + 60] for at in range(0, len(CODED), 60)),
    "URL-safe": URL_SAFE,
    "unpadded": CODED.rstrip("="),
    "URL-safe and unpadded": URL_SAFE.rstrip("="),
    "data URI": f"data:image/png;base64,{CODED}",
    "data URI without a type": f"data:;base64,{CODED}",
    "data URI with parameters": f"DATA:image/png;name=a.png;BASE64, {CODED}",
    "data URI, percent-encoded": f"data:image/png;base64,{CODED}".replace("+", "%2B").replace(
        "=", "%3D"
    ),
    "TensorFlow Serving": {"b64": CODED},
    "b64 as a data URI": {"b64": f"data:image/png;base64,{CODED}"},
    "TensorFlow Serving, named": {"image_bytes": {"b64": CODED}},
    "Vertex AI": {"content": CODED, "mimeType": "image/png"},
    "Vertex AI with a key": {"key": "7", "image_bytes": {"b64": CODED}},
    "TorchServe": {"data": CODED},
    "another name": {"picture": CODED},
}


@pytest.mark.parametrize("case", ONE)
def test_pictures_in_json_are_read(server: Server, model: str, case: str) -> None:
    for body in ({"instances": [ONE[case]] * 2}, {"inputs": [ONE[case]] * 2}, [ONE[case]] * 2):
        found = best(server, model, json.dumps(body).encode(), "application/json")
        assert found == [GREEN_BELOW] * 2


SHAPES: dict[str, Any] = {
    "instances": {"instances": [pixels()]},
    "a list": [pixels()],
    "one row": {"instances": pixels()},
    "TensorFlow Serving, row format": {"signature_name": "a", "instances": [{"data": pixels()}]},
    "TensorFlow Serving, column format": {"inputs": [pixels()]},
    "TensorFlow Serving, columns by name": {"inputs": {"images": [pixels()]}},
    "SageMaker's features": {"instances": [{"features": pixels()}]},
    "SageMaker's long form": {"instances": [{"data": {"features": {"values": pixels()}}}]},
    "Open Inference Protocol": {
        "id": "1",
        "inputs": [
            {"name": "data", "shape": [1, 3, 8, 8], "datatype": "FP32",
             "data": [v for plane in pixels() for line in plane for v in line]},
        ],
    },
    "Open Inference Protocol, bytes": {
        "inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "data": [CODED]}]
    },
    "Hugging Face": {"inputs": CODED},
    "one object": {"image": CODED},
    "one object, named": {"image": {"b64": CODED}},
    "whole numbers": {"instances": [[[[int(v) for v in line] for line in p] for p in pixels()]]},
}  # fmt: skip


@pytest.mark.parametrize("case", SHAPES)
def test_json_is_read_in_the_shapes_that_clients_send(
    server: Server, model: str, case: str
) -> None:
    body = json.dumps(SHAPES[case]).encode()
    assert best(server, model, body, "application/json") == [GREEN_BELOW]


DEEP = 10_000
HUGE = "1" + "0" * 400
BAD_JSON: dict[str, tuple[str, str]] = {
    "integer of 400 digits": (f'{{"instances": [[{HUGE}]]}}', "too large"),
    "integer of 400 digits below 0": (f"[[-{HUGE}]]", "too large"),
    "integer of 400 digits in an array that fits": (
        json.dumps([pixels()]).replace("0.0", HUGE, 1), "too large"
    ),
    "integer of 5,000 digits": (f"[[{'1' * 5000}]]", "digits"),
    "1e400": (json.dumps([pixels()]).replace("0.0", "1e400", 1), "finite"),
    "1e39, which float32 does not hold": (
        json.dumps([pixels()]).replace("0.0", "1e39", 1), "finite"
    ),
    "NaN": ('{"instances": [[NaN]]}', "NaN"),
    "Infinity": ('{"instances": [[Infinity]]}', "Infinity"),
    "-Infinity": ('{"instances": [[-Infinity]]}', "-Infinity"),
    "NaN in an array that fits": (json.dumps([pixels()]).replace("0.0", "NaN", 1), "NaN"),
    "null in an array that fits": (json.dumps([pixels()]).replace("0.0", "null", 1), "finite"),
    "lists, 10,000 deep": ("[" * DEEP + "1" + "]" * DEEP, "deep"),
    "lists, 10,000 deep and cut": ("[" * DEEP, "deep"),
    "objects, 10,000 deep": ('{"instances":' * DEEP + "1" + "}" * DEEP, "deep"),
    "lists, 500 deep": ("[" * 500 + "1" + "]" * 500, "nested lists of numbers"),
    "objects, 100 deep": ('{"a":' * 100 + "1" + "}" * 100, "instances"),
    "objects, 100 deep, in instances": (
        '{"instances": [' + '{"a":' * 100 + "1" + "}" * 100 + "]}", "must hold a picture"
    ),
    "another word for instances": ('{"signature_name": "a", "examples": [[1]]}', '"instances"'),
    "key twice": ('{"instances": [[1]], "instances": [[2]]}', '"instances" stands in it twice'),
    "key twice, inside": ('{"instances": [{"b64": "", "b64": ""}]}', '"b64" stands in it twice'),
    "Latin-1": ('{"instances": "é"}', "UTF-8"),
    "a number": ("7", "instances"),
    "a text": ('"abc"', "not a picture"),
    "no instances": ('{"instances": []}', "instances"),
    "null": ('{"instances": null}', "instances"),
    "pictures and arrays mixed": (json.dumps([CODED, pixels()]), "nested lists"),
    "object with two members": ('{"instances": [{"a": [1], "c": [2]}]}', "must hold"),
    "picture that is a number": ('{"instances": [{"b64": 7}]}', "[3, 8, 8]"),
    "base64 of 5 signs": ('{"instances": ["abcde"]}', "not base64"),
    "base64 with padding inside": ('{"instances": ["QUJD=QUJD"]}', "not base64"),
    "base64 with other signs": ('{"instances": ["äöü!"]}', "not base64"),
    "Python's bytes": ('{"instances": ["b\'/9j/4AAQ\'"]}', "decode()"),
    "data URI without base64": ('{"instances": ["data:image/png,%89PNG"]}', "base64"),
    "data URI without a comma": ('{"instances": ["data:image/png;base64"]}', "base64"),
    "tensor that does not fit its shape": (
        '{"inputs": [{"shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3]}]}', "shape"
    ),
    "tensor of a shape that is none": (
        '{"inputs": [{"shape": 9, "datatype": "FP32", "data": [1, 2, 3]}]}', "shape"
    ),
    "tensor with a huge number": (
        f'{{"inputs": [{{"shape": [1], "datatype": "FP32", "data": [{HUGE}]}}]}}', "shape"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_JSON)
def test_json_that_cannot_be_read_is_refused_with_a_sentence(
    server: Server, model: str, case: str
) -> None:
    text, said = BAD_JSON[case]
    body = text.encode("latin-1") if case == "Latin-1" else text.encode()
    assert said in refused(server, model, body, "application/json")


def test_numbers_that_overflow_inside_the_network_are_refused(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = constant_network(labels=["a", "b"], answer=0)
    weights = [1e3] * 192 + [-1e3] * 192
    files["tiny-0000.params"] = params_bytes(
        {"arg:fc_weight": ((2, 192), weights), "arg:fc_bias": ((2,), [0.0, 0.0])}
    )
    folder = tmp_path_factory.mktemp("steep")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert server.load("steep", folder).status == 200
    body = json.dumps({"instances": [[[[3e38] * 8] * 8] * 3]}).encode()
    for accepted in ("*/*", "application/json", "text/csv"):
        answer = server.invoke("steep", body, "application/json", Accept=accepted)
        assert answer.status == 400, answer.body
        assert "too large" in answer.json["message"]
    server.unload("steep")


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "|u1", "<i2", ">i8", "<f2", ">u2"])
def test_npy_files_of_all_versions_and_byte_orders_are_read(
    server: Server, model: str, version: int, dtype: str
) -> None:
    letter = {"f2": "e", "f4": "f", "f8": "d", "u1": "B", "u2": "H", "i2": "h", "i8": "q"}[
        dtype[1:]
    ]
    form = dtype[0].replace("|", "<") + letter
    for fortran in (False, True):
        one = npy(version, dtype, (3, 8, 8), numbers(form, fortran=fortran), fortran)
        assert best(server, model, one, "application/x-npy") == [GREEN_BELOW]
    two = npy(version, dtype, (2, 3, 8, 8), numbers(form, count=2))
    assert best(server, model, two, "APPLICATION/X-NPY; a=b") == [GREEN_BELOW] * 2


FLOATS = numbers("<f")
BAD_NPY: dict[str, tuple[bytes, str]] = {
    "objects": (npy(1, "|O", (1,), b"cos\nsystem\n(S'true'\ntR."), "Python objects"),
    "objects, 3.0": (npy(3, "|O", (1,), b"cos\nsystem\n(S'true'\ntR."), "Python objects"),
    "a pickle": (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00]\x94.", "npy"),
    "version 9": (b"\x93NUMPY\x09\x00" + npy(1, "<f4", (3, 8, 8), FLOATS)[8:], "npy"),
    "cut in the header": (npy(3, "<f4", (3, 8, 8), FLOATS)[:40], "npy"),
    "cut in the magic": (b"\x93NUM", "npy"),
    "empty": (b"", "npy"),
    "header of 50,000 bytes": (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 50_000) + b"(" * 50_000, "header"
    ),
    "header of 9,000 brackets": (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 9000) + b"(" * 9000, "npy"
    ),
    "header of 9,000 signs": (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 9001) + b"-" * 9000 + b"1", "npy"
    ),
    "header that is no dictionary": (b"\x93NUMPY\x01\x00\x02\x00[]", "npy"),
    "header that ends in a text": (b"\x93NUMPY\x01\x00\x04\x00'''a", "npy"),
    "length below 0": (npy(1, "<f4", (-3, 8, 8), FLOATS), "length"),
    "text": (npy(1, "<U1", (3, 8, 8), b"\0" * 768), "not numbers"),
    "times": (npy(1, "<M8[s]", (3, 8, 8), b"\0" * 1536), "not numbers"),
    "complex": (npy(1, "<c8", (3, 8, 8), b"\0" * 1536), "complex"),
    "infinite": (npy(1, "<f4", (3, 8, 8), struct.pack("<f", float("inf")) * 192), "finite"),
    "1e300": (npy(1, "<f8", (3, 8, 8), struct.pack("<d", 1e300) * 192), "finite"),
    "no rows": (npy(1, "<f4", (0, 3, 8, 8), b""), "[3, 8, 8]"),
    "no rows, and terabytes": (npy(1, "<f4", (0, 10**30), b""), "npy"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NPY)
def test_npy_files_that_cannot_be_read_are_refused_with_a_sentence(
    server: Server, model: str, case: str
) -> None:
    body, said = BAD_NPY[case]
    assert said in refused(server, model, body, "application/x-npy")


# --- Accept ------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [None, "*/*", "*/*;q=0.8", "text/html, */*; q=.2",
                                      "application/*", "image/png, */*"])  # fmt: skip
def test_who_takes_anything_gets_the_notebooks_strings_with_six_decimals(
    server: Server, model: str, accepted: str | None
) -> None:
    named = {} if accepted is None else {"Accept": accepted}
    answer = server.invoke(model, picture(), "image/png", **named)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    objects = server.invoke(model, picture(), "image/png", Accept="application/json").json
    assert answer.json == [
        f"probability={one['probability']:.6f}, class={one['label']}"
        for one in objects["predictions"]
    ]
    assert 0 < objects["predictions"][4]["probability"] < 0.0005
    assert not answer.json[4].startswith("probability=0.000000")


@pytest.mark.parametrize(
    "accepted",
    ["application/json", "application/json, text/plain, */*", "APPLICATION/JSON;charset=utf-8",
     "text/html;q=0.9, application/json;q=0.8", "application/json, text/csv;q=0.9"],
)  # fmt: skip
def test_who_names_json_gets_objects(server: Server, model: str, accepted: str) -> None:
    answer = server.invoke(model, picture(), "image/png", Accept=accepted)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["predictions"][0]["label"] == GREEN_BELOW


@pytest.mark.parametrize(
    "accepted", ["text/csv", "text/csv, */*", "text/*", "application/json;q=0.5, Text/CSV;q=0.6"]
)
def test_csv_is_a_table_of_labels(server: Server, model: str, accepted: str) -> None:
    answer = server.invoke(model, picture(), "image/png", Accept=accepted)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    objects = server.invoke(model, picture(), "image/png", Accept="application/json").json
    assert [
        {"label": row["label"], "probability": float(row["probability"])} for row in rows
    ] == objects["predictions"]
    assert {row["row"] for row in rows} == {"0"}
    assert any("," in row["label"] for row in rows), "a label with a comma is quoted"


def test_csv_counts_the_rows_of_a_batch(server: Server, model: str) -> None:
    body = json.dumps({"instances": [pixels()] * 3}).encode()
    answer = server.invoke(model, body, "application/json", Accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert [row["row"] for row in rows] == [str(row) for row in range(3) for _ in range(5)]


def test_plain_text_is_the_notebooks_strings(server: Server, model: str) -> None:
    answer = server.invoke(model, picture(), "image/png", Accept="text/plain")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.json == server.invoke(model, picture(), "image/png").json


@pytest.mark.parametrize(
    "accepted",
    ["image/png", "application/x-npy", "application/json;q=0", "*/*;q=0", "json", "\xff"],
)
def test_what_is_not_offered_is_refused_with_what_is(
    server: Server, model: str, accepted: str
) -> None:
    answer = server.invoke(model, picture(), "image/png", Accept=accepted)
    assert (answer.status, answer.reason) == (406, "Not Acceptable"), answer.body
    for offered in ("application/json", "text/csv", "text/plain"):
        assert offered in answer.json["message"]


def test_several_lines_of_accept_are_one_list(server: Server, model: str) -> None:
    """MMS alone would hand on the last one."""
    connection = server.connection()
    try:
        connection.putrequest("POST", f"/models/{model}/invoke")
        for name, value in [("Accept", "text/csv"), ("accept", "image/png;q=0.5"),
                            ("Content-Type", "image/png")]:  # fmt: skip
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(picture())))
        connection.endheaders(picture())
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read().startswith(b"row,label,probability\r\n")
    finally:
        connection.close()


# --- statuses ----------------------------------------------------------------------------------


def test_a_load_of_a_folder_that_is_not_there_is_404(server: Server, tmp_path: Path) -> None:
    answer = server.load("nowhere", server.home.parent / "no-such-folder")
    assert answer.status == 404
    assert "There is no folder" in answer.json["message"]
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text()
    (row,) = [line for line in readme.splitlines() if line.startswith("| `POST /models` ")]
    assert "404 no such folder" in row


def test_the_labels_are_those_of_the_network() -> None:
    assert GREEN_BELOW in SEEN
