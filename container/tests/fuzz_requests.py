"""The fuzz of requests: pictures, payloads and headers out of their pieces, to the real server.

    make fuzz-requests                                   # 2,000 requests
    make fuzz-requests ARGS="--count 10000 --seed 7"

Whatever is sent, the container answers with 200, or refuses it with a sentence (400, 406, 413,
415), and no worker dies of it. Of a picture, the page and boto3 get the same: the same best label
and close probabilities, or a refusal of the same kind. The page's way is
``invocations.pictures.prepare`` and then the container; boto3's is the container alone.
"""

import argparse
import base64
import collections
import contextlib
import csv
import io
import json
import os
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The page's sentences are translated, which takes settings; these need no environment.
os.environ["DJANGO_SETTINGS_MODULE"] = "mmeportal.settings_test"

import django
import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from PIL import Image

from container.tests.serving import Answer, Server, start_server
from invocations.pictures import NotAPicture, Prepared, prepare
from invocations.runtime import MAX_PAYLOAD_BYTES
from tests.artifacts import seeing_network
from tests.pictures import chunk, exif, with_exif

django.setup()

REFUSALS = (400, 406, 413, 415)
CLOSE = 0.03
"""How far probabilities may be apart where the page re-encodes: no JPEG, PNG, WebP, GIF or BMP."""

MODEL = "seeing"


@dataclass(frozen=True)
class Sent:
    """A request, and what it was made of."""

    kind: str
    body: bytes
    content_type: str | None
    accept: str | None
    picture: bool
    """Whether the body is meant to be a picture: then the page is tried, too."""

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """For Hypothesis's report of a failure: the whole body, as base64."""
        body = base64.b64encode(self.body).decode()
        printer.text(f"{self.kind!r}, {self.content_type!r}, {self.accept!r}, base64: {body}")


def _mostly(draw: st.DrawFn, good: Sequence[Any], others: Sequence[Any], one_in: int = 6) -> Any:
    """One of the good ones, or of the others once in so many draws: else little would be read."""
    return draw(st.sampled_from(others if draw(st.integers(1, one_in)) == one_in else good))


# --- pictures ----------------------------------------------------------------------------------

KINDS = (
    "JPEG",
    "PNG",
    "GIF",
    "WEBP",
    "BMP",
    "TIFF",
    "PPM",
    "ICO",
    "TGA",
    "JPEG2000",
    "AVIF",
    "MPO",
)
MODES = ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F", "YCbCr", "PA", "LAB")
_SIDES = st.one_of(st.integers(1, 70), st.sampled_from([1, 8, 224, 500, 1000]))
_COLOURS = st.tuples(*[st.sampled_from([0, 0, 40, 128, 255, 255])] * 3)
_SAVED: dict[str, list[dict[str, Any]]] = {
    "JPEG": [{"quality": q, "progressive": p} for q in (30, 75, 95) for p in (False, True)],
    "PNG": [{}, {"compress_level": 0}],
    "GIF": [{}, {"interlace": 1}],
    "WEBP": [{"quality": 80}, {"lossless": True}],
    "TIFF": [{}, *({"compression": c} for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits"))],
}  # fmt: skip


@st.composite
def images(draw: st.DrawFn) -> tuple[Image.Image, Image.Image]:
    """Four quarters of one colour each, in some mode; and the same in RGB."""
    # A few are so large that the page makes them smaller.
    large = draw(st.integers(0, 149)) == 17
    width, height = (3000, 2800) if large else (draw(_SIDES), draw(_SIDES))
    image = Image.new("RGB", (width, height), draw(_COLOURS))
    for left, top in ((0, 0), (width // 2, 0), (0, height // 2)):
        part = (left, top, left + max(1, width // 2), top + max(1, height // 2))
        image.paste(draw(_COLOURS), part)
    return _in_mode(draw, image.copy(), draw(st.sampled_from(MODES))), image


def _in_mode(draw: st.DrawFn, image: Image.Image, mode: str) -> Image.Image:
    if mode in ("I;16", "I", "F"):
        # Values above 255, in each of the ranges that such pictures come in
        grey, factor = image.convert("L").convert("F"), draw(st.sampled_from([1 / 255, 1, 257]))
        scaled = grey.point(lambda value: value * factor + 0)
        if mode == "F":
            return scaled
        whole = scaled.convert("I")
        return whole.convert("I;16") if mode == "I;16" else whole
    if mode in ("RGBA", "LA", "PA"):
        alpha = Image.linear_gradient("L").resize(image.size)
        image.putalpha(alpha)
        return image if mode == "RGBA" else image.convert("LA" if mode == "LA" else "PA")
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image.convert(mode)


def _encoded(images: tuple[Image.Image, Image.Image], kind: str, options: dict[str, Any]) -> bytes:
    """The first that the format can hold; PNG where it holds neither, as an icon of 500 pixels."""
    for image in images:
        out = io.BytesIO()
        with contextlib.suppress(OSError, ValueError, KeyError):
            image.save(out, kind, **options)
            return out.getvalue()
    out = io.BytesIO()
    images[1].save(out, "PNG")
    return out.getvalue()


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: int(len(data) * draw(st.sampled_from([0.02, 0.3, 0.5, 0.8, 0.95, 0.99])))]


def _flipped(draw: st.DrawFn, data: bytes) -> bytes:
    found = bytearray(data)
    for at in draw(st.lists(st.integers(0, max(0, len(data) - 1)), min_size=1, max_size=4)):
        if found:
            found[at] ^= draw(st.integers(1, 255))
    return bytes(found)


def _header_flipped(draw: st.DrawFn, data: bytes) -> bytes:
    return _flipped(draw, data[:80]) + data[80:]


def _zeroed(draw: st.DrawFn, data: bytes) -> bytes:
    begin = draw(st.integers(0, len(data)))
    end = min(len(data), begin + draw(st.integers(1, 400)))
    return data[:begin] + bytes(end - begin) + data[end:]


def _longer(draw: st.DrawFn, data: bytes) -> bytes:
    return data + draw(st.sampled_from([b"\0" * 100, b"\n", data, b"PK\x03\x04", b"\xff\xd9"]))


def _without_end(_draw: st.DrawFn, data: bytes) -> bytes:
    return data[:-2] if data[:2] == b"\xff\xd8" else data[:-12]


def _chunked(draw: st.DrawFn, data: bytes) -> bytes:
    """One chunk more, or another checksum; of a JPEG, a note more."""
    name = draw(st.sampled_from([b"tEXt", b"zTXt", b"iCCP", b"gAMA", b"eXIf", b"tRNS", b"teST"]))
    body = draw(st.sampled_from([b"", b"a\0b", b"a\0\0x\x9c\x03\0", bytes(9), b"\0\1\x86\xa0"]))
    if data[:4] == b"\x89PNG":
        at = draw(st.sampled_from([33, len(data) - 12]))
        return data[:at] + chunk(name, body, wrong=draw(st.booleans())) + data[at:]
    if data[:2] == b"\xff\xd8":
        marker = draw(st.sampled_from([b"\xff\xe0", b"\xff\xe1", b"\xff\xe2", b"\xff\xfe"]))
        return data[:2] + marker + struct.pack(">H", len(body) + 2) + body + data[2:]
    return _flipped(draw, data)


_DAMAGES: dict[str, Callable[[st.DrawFn, bytes], bytes]] = {
    "whole": lambda _draw, data: data,
    "cut": _cut,
    "flipped": _flipped,
    "header flipped": _header_flipped,
    "zeroed": _zeroed,
    "longer": _longer,
    "without its end": _without_end,
    "a chunk more": _chunked,
}


@st.composite
def pictures(draw: st.DrawFn) -> tuple[str, bytes]:
    """What it is, and its bytes."""
    (image, plain), kind = draw(images()), draw(st.sampled_from(KINDS))
    options = dict(draw(st.sampled_from(_SAVED.get(kind, [{}]))))
    if kind in ("GIF", "WEBP", "PNG", "TIFF", "MPO") and draw(st.integers(0, 5)) == 0:
        options |= {"save_all": True, "append_images": [image.transpose(1)]}
    data = _encoded((image, plain), kind, options)
    if draw(st.integers(0, 3)) == 0:
        note = exif(
            orientation=draw(st.integers(0, 9)),
            damage=draw(st.sampled_from(["", "rational artist", "artist beyond", "count", "cut"])),
            order=draw(st.sampled_from("<>")),
        )
        if data[:2] == b"\xff\xd8":
            data = with_exif(data, note)
        elif data[:4] == b"\x89PNG":
            data = data[:33] + chunk(b"eXIf", note[6:]) + data[33:]
    damage = _mostly(draw, ["whole"], list(_DAMAGES), 2)
    return f"{kind}, {damage}", _DAMAGES[damage](draw, data)


# --- other payloads ----------------------------------------------------------------------------


def _wrapped(text: str) -> str:
    return "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))


_TEXTS: list[Callable[[bytes], str]] = [
    lambda data: base64.b64encode(data).decode(),
    lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    lambda data: _wrapped(base64.b64encode(data).decode()),
    lambda data: "data:image/png;base64," + base64.b64encode(data).decode(),
    lambda data: "data:image/png," + base64.b64encode(data).decode(),
    lambda data: str(base64.b64encode(data)),
    lambda data: base64.b64encode(data).decode()[:-3],
    lambda data: data.decode("latin-1"),
]

_SCALARS = st.one_of(
    st.integers(-300, 300), st.sampled_from([10**400, -(10**400), 10**40, 2**63, 1e39, 1e-46]),
    st.floats(allow_nan=True, allow_infinity=True), st.none(), st.booleans(), st.text(max_size=8),
)  # fmt: skip
_ANY_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["b64", "key", "instances", "inputs", "data", "shape", "datatype", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@st.composite
def _rows(draw: st.DrawFn) -> Any:
    """Numbers of the network's shape, nearly always."""
    value = draw(_mostly(draw, [st.integers(0, 255), st.floats(0, 255)], [_SCALARS]))
    shape = _mostly(draw, [(3, 8, 8)], [(8, 8, 3), (3, 8, 7), (192,), ()])
    found: Any = value
    for length in reversed(shape):
        found = [found] * length
    return found


@st.composite
def _pictures_in_text(draw: st.DrawFn) -> Any:
    _, data = draw(pictures())
    text: Any = draw(st.sampled_from(_TEXTS))(data[:20_000])
    for _ in range(draw(st.integers(0, 2))):
        text = {draw(st.sampled_from(["b64", "data", "content", "image_bytes", "x"])): text}
        if draw(st.integers(0, 3)) == 0:
            text["key"] = "1"
    return text


@st.composite
def jsons(draw: st.DrawFn) -> bytes:
    item = draw(_mostly(draw, [_rows(), _pictures_in_text()], [_ANY_JSON]))
    items = _mostly(draw, [[item], [item] * 2], [item, [item, 1], {"x": [item]}])
    given = draw(
        st.sampled_from([items, {"instances": items}, {"inputs": items},
                         {"signature_name": "a", "instances": items},
                         {"instances": items, "inputs": 1}])
    )  # fmt: skip
    if draw(st.integers(0, 9)) == 0:
        shape = draw(st.sampled_from([[3, 8, 8], [1, 3, 8, 8], [-1, 8, 8], [], "x", [1e400], 7]))
        given = {"inputs": [{"name": "a", "shape": shape, "datatype": "FP32", "data": item}]}
    text = json.dumps(given)
    how = draw(st.integers(0, 20))
    if how == 0:
        text = "[" * draw(st.sampled_from([30, 990, 10_000])) + text
    elif how == 1:
        text = text.replace('"instances":', '"instances": 1, "instances":', 1)
    elif how == 2:
        text = text[: draw(st.integers(0, len(text)))]
    data = text.encode(_mostly(draw, ["utf-8"], ["utf-8-sig", "utf-16", "utf-32"]))
    return _flipped(draw, data) if how == 3 else data


@st.composite
def npys(draw: st.DrawFn) -> bytes:
    version = _mostly(draw, [(1, 0), (2, 0), (3, 0)], [(0, 0), (4, 1)])
    dtype, size = _mostly(
        draw,
        [("<f4", 4), (">f4", 4), ("<f8", 8), ("|u1", 1), (">i2", 2), ("<f2", 2), ("|b1", 1)],
        [("|O", 8), ("<U3", 12), ("<c8", 8), ("<M8[s]", 8), ("|V4", 4), ("", 1), ("<f99", 99)],
    )
    shape = _mostly(
        draw,
        [(3, 8, 8), (2, 3, 8, 8)],
        [(192,), (), (-1, 8, 8), (0, 3, 8, 8), (10**30,), (10**30, 0), (3, 8, True)],
    )
    order = _mostly(draw, ["False", "True"], ["1", "None"], 12)
    header = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}"
    header += _mostly(draw, ["\n", " " * 60 + "\n", ""], ["(" * 3000, "é\n", "'''"])
    raw = header.encode(draw(st.sampled_from(["latin-1", "utf-8"])))
    length = _mostly(draw, [len(raw)], [0, 65_535], 12)
    data = _mostly(draw, [bytes(384 * size)], [b"\xff" * 384 * size, bytes(10), b""])
    form = "<H" if version[0] == 1 else "<I"
    whole = b"\x93NUMPY" + bytes(version) + struct.pack(form, length) + raw + data
    return _flipped(draw, whole[:100]) + whole[100:] if draw(st.integers(0, 9)) == 0 else whole


_CSVS = st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=9), max_size=9).map(
    lambda rows: "\n".join(",".join(map(str, row)) for row in rows).encode()
)
_NO_PICTURES = st.sampled_from([
    b"", b"\0", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"<html></html>",
    b"a=1&b=%zz", b'--x\r\nContent-Disposition: form-data; name="body"\r\n\r\na\r\n--x--\r\n',
    b"RIFF\0\0\0\0WEBPVP8 ", b"GIF89a", b"\xff\xd8\xff", b"BM", b"P6\n", b"II*\0", b"MM\0+",
    base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(60)),
])  # fmt: skip


# --- headers -----------------------------------------------------------------------------------

OTHER_TYPES = (
    "", "binary/octet-stream", "application/octet-stream", "image/jpg", "application/json",
    "application/x-npy", "text/csv", "application/x-www-form-urlencoded", "text/plain",
    "multipart/form-data", "multipart/mixed", "image/svg+xml", "application/pdf",
)  # fmt: skip
_TOKENS = st.text("abcxyz019!#$&-^_.+/*", min_size=1, max_size=12)
_PARAMETERS = st.sampled_from(
    ["", "", "", "; charset=utf-8", ";charset=nonsense", '; name="a;b,c.png"', ";", "; boundary=",
     ";q=0.5", "; boundary=x", ' ; a="'],
)  # fmt: skip


def _cased(draw: st.DrawFn, text: str) -> str:
    return draw(st.sampled_from([text, text, text.upper(), text.title()]))


@st.composite
def content_types(draw: st.DrawFn, likely: tuple[str, ...]) -> str | None:
    if draw(st.integers(0, 14)) == 0:
        return None
    some = st.one_of(st.sampled_from(likely), st.sampled_from(OTHER_TYPES), _TOKENS)
    main = draw(_mostly(draw, [st.sampled_from(likely)], [some], 4))
    return _cased(draw, main) + draw(_PARAMETERS)


@st.composite
def accepts(draw: st.DrawFn) -> str | None:
    if draw(st.integers(0, 3)) == 0:
        return None
    ranges = ["application/json", "text/csv", "*/*", "text/plain", "text/*", "application/*", "*",
              "image/png", "json", "", "*/json", "text/csv;header=absent"]  # fmt: skip
    weights = [
        "",
        "",
        "",
        ";q=0.5",
        "; q=0",
        ";q=1.0",
        ";q=.2",
        ";Q=0.9",
        ";q=",
        ";q=9",
        ';a="b,c"',
    ]
    listed = draw(
        st.lists(st.tuples(st.sampled_from(ranges), st.sampled_from(weights)), max_size=5)
    )
    return _cased(draw, ", ".join(range_ + weight for range_, weight in listed))


PICTURE_TYPES = ("application/x-image", "image/jpeg", "image/jpg", "image/png", "image/*",
                 "binary/octet-stream", "application/octet-stream")  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    what = draw(st.sampled_from(["picture"] * 5 + ["json"] * 3 + ["npy"] * 2 + ["csv", "other"]))
    accept = draw(accepts())
    if what == "picture":
        kind, body = draw(pictures())
        return Sent(kind, body, draw(content_types(PICTURE_TYPES)), accept, True)
    if what == "other":
        body = draw(st.one_of(_NO_PICTURES, st.binary(max_size=300)))
        return Sent("no picture", body, draw(content_types(PICTURE_TYPES)), accept, True)
    if what == "json":
        likely: tuple[str, ...] = ("application/json", "text/json", "")
        body = draw(jsons())
    elif what == "npy":
        likely, body = (
            ("application/x-npy", "application/npy", "application/octet-stream"),
            draw(npys()),
        )
    else:
        likely, body = ("text/csv", "application/json"), draw(_CSVS)
    return Sent(what, body, draw(content_types(likely)), accept, False)


# --- what is right -----------------------------------------------------------------------------


def ask(server: Server, body: bytes, content_type: str | None, accept: str | None) -> Answer:
    headers = {"content_type": content_type, "Accept": accept}
    given = {name: value for name, value in headers.items() if value is not None}
    return server.call("POST", f"/models/{MODEL}/invoke", body, timeout=30, **given)


def sentence(answer: Answer) -> str:
    """What a refusal says; asserts that it is one."""
    assert answer.status in REFUSALS, (answer.status, answer.body[:500])
    given = answer.json
    assert given["code"] == answer.status
    message = str(given["message"])
    assert message.strip()
    assert "\n" not in message, message
    assert "Traceback" not in message, message
    return message


def labelled(answer: Answer) -> list[tuple[str, float]]:
    """Labels and probabilities of a single answer in JSON objects."""
    return [(one["label"], one["probability"]) for one in answer.json["predictions"]]


def sound(answer: Answer) -> None:
    """An answer is what its content type says, with numbers from 0 to 1."""
    content_type = answer.headers["content-type"]
    text = answer.body.decode()
    if content_type.startswith("text/csv"):
        table = list(csv.DictReader(io.StringIO(text, newline="")))
        probabilities = [float(row["probability"]) for row in table]
    else:
        found = json.loads(text, parse_constant=lambda name: 1 / 0)
        rows = found["predictions"] if isinstance(found, dict) else found
        flat = [one for row in rows for one in (row if isinstance(row, list) else [row])]
        probabilities = [
            float(one.split(",")[0].removeprefix("probability="))
            if isinstance(one, str)
            else one["probability"]
            for one in flat
        ]
    assert probabilities
    assert all(0 <= value <= 1 for value in probabilities)


def reason(message: str) -> str:
    """The kind of a refusal of a picture. The page names the file where it is none at all."""
    for words in ("is not a picture", "is empty"):
        if words in message:
            return "no picture"
    return message


def _prepared(body: bytes) -> Prepared | str:
    """What the page sends, or its sentence."""
    try:
        return prepare(io.BytesIO(body), "picture")
    except NotAPicture as error:
        return str(error)


def by_page(server: Server, body: bytes) -> tuple[Prepared | str, Answer | None]:
    """What the page makes of a file, and the answer to what it sends, which must be one."""
    prepared = _prepared(body)
    if isinstance(prepared, str):
        return prepared, None
    answer = ask(server, prepared.data, prepared.content_type, "application/json")
    assert answer.status == 200, f"the page reads it, and got {answer.body[:500]!r}"
    return prepared, answer


def pair(server: Server, body: bytes) -> str:
    """Send a picture both ways; returns what came of both. Asserts that they agree."""
    prepared, paged = by_page(server, body)
    straight = ask(server, body, "application/x-image", "application/json")
    if isinstance(prepared, str) or paged is None:
        assert straight.status == 400, f"the page: {prepared}; boto3 got {straight.body[:300]!r}"
        theirs = sentence(straight).partition(" It looks like base64")[0]
        assert reason(str(prepared)) == reason(theirs), (prepared, theirs)
        return "both refused"
    assert straight.status == 200, f"the page reads it; boto3 got {straight.body[:500]!r}"
    one, other = labelled(straight), labelled(paged)
    if prepared.data == body:
        assert one == other
        return "both read"
    by_label = dict(other)
    (first, p), (_, second) = one[:2]
    assert abs(by_label.get(first, 0.0) - p) <= CLOSE, (one, other)
    assert first == other[0][0] or p - second <= 2 * CLOSE, (one, other)
    return "both read, re-encoded by the page"


def judge(server: Server, sent: Sent, counts: collections.Counter[str]) -> None:
    """Send it, and count what came of it; asserts that it is one of what may."""
    if len(sent.body) > MAX_PAYLOAD_BYTES:  # SageMaker does not take it: only the page can
        prepared, _ = by_page(server, sent.body)
        counts["page alone, " + ("refused" if isinstance(prepared, str) else "read")] += 1
        return
    answer = ask(server, sent.body, sent.content_type, sent.accept)
    if answer.status == 200:
        sound(answer)
    else:
        sentence(answer)
    counts[str(answer.status)] += 1
    if sent.picture:
        counts[pair(server, sent.body)] += 1


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server with the network that sees; at the end its worker must be the one it began with."""
    with tempfile.TemporaryDirectory(prefix="mme-fuzz-") as root:
        folder, home = Path(root) / "artifact", Path(root) / "home"
        folder.mkdir()
        home.mkdir()
        for name, data in seeing_network().items():
            (folder / name).write_bytes(data)
        with start_server(home) as server:
            loaded = server.load(MODEL, folder)
            assert loaded.status == 200, loaded.reason
            worker = server.workers()
            yield server
            assert server.workers() == worker, "a worker died"
            assert server.events("worker_killed") == []


def run(count: int, *, seed: int | None = None) -> dict[str, Any]:
    """Judge ``count`` requests: always the same ones, or those of ``seed``.

    Returns how many came to what. Raises AssertionError, with the smallest request that shows the
    fault among its notes.
    """
    counts: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    with serving() as server:

        @hypothesis.settings(
            max_examples=count, derandomize=seed is None, deadline=None, database=None,
            phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )  # fmt: skip
        @hypothesis.given(requests())
        def each(sent: Sent) -> None:
            counts["requests"] += 1
            judge(server, sent, counts)

        (each if seed is None else hypothesis.seed(seed)(each))()
    return dict(counts) | {"seconds": round(time.monotonic() - began, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="how many requests")
    parser.add_argument("--seed", type=int, help="others than those that are always the same")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", module="PIL")  # of what it then reads or refuses
    print(json.dumps(run(chosen.count, seed=chosen.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
