"""What a caller can put right is answered 400 or 415 with a sentence, never 5xx."""

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from container.tests.serving import Server

pytestmark = pytest.mark.xdist_group("container-requests")


@pytest.fixture(scope="module")
def model(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.artifacts import constant_network

    folder = tmp_path_factory.mktemp("artifact")
    for name, data in constant_network(labels=["cat", "dog", "fox"], answer=1).items():
        (folder / name).write_bytes(data)
    assert server.load("requests", folder).status == 200
    yield "requests"
    server.unload("requests")


def bomb() -> bytes:
    """A PNG of a few hundred bytes whose header promises 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def npy(shape: str, dtype: str, data: bytes) -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def instances(*items: object) -> bytes:
    return json.dumps({"instances": list(items)}).encode()


ZEROS = b"\0" * (3 * 8 * 8 * 4)

MANY_KEYS = ",".join(f'"{number}": 0' for number in range(300_000))

BAD: dict[str, tuple[bytes, str, int, str]] = {
    "text named jpg": (b"I am no picture\n" * 50, "image/jpeg", 400, "not a picture"),
    "empty": (b"", "application/x-image", 400, "empty"),
    "bomb": (bomb(), "image/png", 400, "60000 x 60000"),
    "csv": (b"1,2,3", "text/csv", 415, "text/csv is not taken"),
    "broken json": (b'{"instances": [', "application/json", 400, "not valid JSON"),
    "json without instances": (b'{"data": 1}', "application/json", 400, "instances"),
    "json of wrong shape": (instances([1, 2]), "application/json", 400, "[3, 8, 8]"),
    "ragged json": (instances([1], [1, 2]), "application/json", 400, "nested lists"),
    "json no base64": (instances("???"), "application/json", 400, "base64"),
    "json base64 no picture": (
        instances(base64.b64encode(b"text").decode()),
        "application/json",
        400,
        "not a picture",
    ),
    # Compared each with each, they would take minutes.
    "json of many keys, the last twice": (
        f'{{{MANY_KEYS}, "299999": 1}}'.encode(),
        "application/json",
        400,
        '"299999" stands in it twice',
    ),
    "npy of a later version": (
        b"\x93NUMPY\x04" + npy("(1,)", "<f4", ZEROS)[7:],
        "application/x-npy",
        400,
        "version 4.0 is not known",
    ),
    "npy cut": (npy("(1, 3, 8, 8)", "<f4", ZEROS[:50]), "application/x-npy", 400, ".npy"),
    "npy terabytes": (npy("(9999999, 9999999)", "<f4", b""), "application/x-npy", 400, ".npy"),
    "npy objects": (npy("(1,)", "|O", b"cos\nsystem\n"), "application/x-npy", 400, ".npy"),
    "npy shape": (npy("(8, 8)", "<f4", ZEROS[:256]), "application/x-npy", 400, "[3, 8, 8]"),
    "npy not finite": (
        npy("(3, 8, 8)", "<f4", struct.pack("<f", float("nan")) * 192),
        "application/x-npy",
        400,
        "finite",
    ),
    "form": (b"a=b", "application/x-www-form-urlencoded", 415, "Forms"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_with_a_sentence(server: Server, model: str, case: str) -> None:
    body, content_type, status, message = BAD[case]

    answer = server.invoke(model, body, content_type)

    assert answer.status == status, answer.body
    assert message in answer.json["message"]
    assert answer.json["code"] == status
    assert "Traceback" not in answer.body.decode()


def test_a_cut_picture_is_refused(server: Server, model: str) -> None:
    whole = encoded("RGB", "PNG", (200, 200))
    answer = server.invoke(model, whole[:-40], "image/png")
    assert answer.status == 400
    assert "damaged or cut short" in answer.json["message"]


def test_good_requests_work_after_bad_ones(server: Server, model: str, picture: bytes) -> None:
    server.invoke(model, b"nonsense", "image/jpeg")
    assert server.invoke(model, picture, "image/jpeg").status == 200


def encoded(mode: str, kind: str, size: tuple[int, int] = (31, 17)) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"),
     ("LA", "PNG"), ("I;16", "PNG"), ("1", "PNG"), ("RGB", "WEBP"), ("P", "GIF"),
     ("RGB", "BMP"), ("RGB", "TIFF")],
)  # fmt: skip
def test_pictures_of_all_kinds_are_taken(server: Server, model: str, mode: str, kind: str) -> None:
    answer = server.invoke(model, encoded(mode, kind), "application/x-image")
    assert answer.status == 200, answer.body
    assert answer.json[0].endswith("class=dog")


def test_a_very_long_picture_is_taken(server: Server, model: str) -> None:
    assert server.invoke(model, encoded("RGB", "PNG", (1, 20_000)), "image/png").status == 200


def test_arrays_and_batches_are_taken(server: Server, model: str, picture: bytes) -> None:
    row = [[[0.0] * 8] * 8] * 3
    coded = base64.b64encode(picture).decode()
    cases: list[tuple[bytes, str, int | None]] = [
        (npy("(3, 8, 8)", "<f4", ZEROS), "application/x-npy", None),
        (npy("(2, 3, 8, 8)", "<f4", ZEROS * 2), "application/x-npy", 2),
        (npy("(3, 8, 8)", "|u1", b"\1" * 192), "application/x-npy", None),
        (instances(row, row, row), "application/json", 3),
        (instances(coded, {"b64": coded}), "application/json", 2),
    ]
    for body, content_type, count in cases:
        answer = server.invoke(model, body, content_type, Accept="application/json")
        assert answer.status == 200, answer.body
        predictions = answer.json["predictions"]
        rows = [predictions] if count is None else predictions
        assert len(rows) == (count or 1)
        assert all(best[0]["label"] == "dog" for best in rows)


def test_grey_networks_take_coloured_pictures(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    server.load("grey", unpacked(shape=(1, 1, 8, 8)))
    assert server.invoke("grey", picture, "image/jpeg").status == 200
    server.unload("grey")


def test_networks_without_pictures_say_so(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    server.load("flat", unpacked(shape=(1, 6)))
    refused = server.invoke("flat", picture, "image/jpeg")
    assert refused.status == 415
    assert "[6]" in refused.json["message"]
    assert server.invoke("flat", instances([1] * 6), "application/json").status == 200
    server.unload("flat")


@pytest.fixture(scope="module")
def pixels(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A network whose answer depends on each pixel."""
    chance = random.Random(5)
    from tests.artifacts import constant_network, params_bytes

    files = constant_network(labels=list("abcdef"), answer=0)
    weights = [chance.gauss(0, 0.3) for _ in range(6 * 3 * 8 * 8)]
    files["tiny-0000.params"] = params_bytes(
        {"arg:fc_weight": ((6, 192), weights), "arg:fc_bias": ((6,), [0.0] * 6)}
    )
    files["tiny-preprocess.json"] = json.dumps({"scale": 1 / 255}).encode()
    folder = tmp_path_factory.mktemp("pixels")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert server.load("pixels", folder).status == 200
    yield "pixels"
    server.unload("pixels")


def answer(server: Server, pixels: str, data: bytes) -> dict[str, float] | str:
    """The probabilities, best first; or the sentence of a 400. Nothing else may come."""
    given = server.invoke(pixels, data, "application/x-image", Accept="application/json")
    if given.status == 200:
        return {one["label"]: one["probability"] for one in given.json["predictions"]}
    assert given.status == 400, given.body
    return str(given.json["message"])


def test_page_and_boto3_get_the_same_answer(server: Server, pixels: str) -> None:
    from tests import pictures

    right = answer(server, pixels, pictures.encoded(pictures.scene(), "PNG"))
    assert isinstance(right, dict)
    for name, case in pictures.cases().items():
        straight, sent = answer(server, pixels, case.data), pictures.page(case.data)
        if isinstance(case.right, str):
            assert isinstance(straight, str), name
            assert case.right in straight, name
            assert isinstance(sent, str), name
            continue
        assert isinstance(sent, pictures.Prepared), (name, sent)
        by_way_of_the_page = answer(server, pixels, sent.data)
        assert isinstance(straight, dict), (name, straight)
        assert isinstance(by_way_of_the_page, dict), (name, by_way_of_the_page)
        assert next(iter(straight)) == next(iter(by_way_of_the_page)), name
        assert straight == pytest.approx(by_way_of_the_page, abs=0.02), name
        if isinstance(case.right, Image.Image) and case.right is pictures.scene():
            assert straight == pytest.approx(right, abs=0.06), name
