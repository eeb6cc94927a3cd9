"""Files of a form are what the client sent, whether the body is in a file or not."""

import io
import os
import random
import tempfile
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest

_RANDOM = random.Random(7)


def field(name: str, value: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (
        name.encode(),
        value,
    )


def file(name: str, value: bytes) -> bytes:
    return (
        b'--b\r\nContent-Disposition: form-data; name="%s"; filename="%s.tar.gz"\r\n'
        b"Content-Type: application/gzip\r\n\r\n%s\r\n" % (name.encode(), name.encode(), value)
    )


def request(body: bytes, stream: Any) -> WSGIRequest:
    stream.write(body)
    stream.seek(0)
    return WSGIRequest(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "CONTENT_TYPE": "multipart/form-data; boundary=b",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": stream,
        }
    )


CONTENTS = [
    b"x",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n\r\nab\r\n\r\n" * 9,
    b"a\r\n-b\r\n- -b\r\n--",
    b"\n" * 100,
    b"\r\n\r\n" + _RANDOM.randbytes(300_000) + b"\r\n",
    _RANDOM.randbytes((3 << 20) + 5),
    b"y" * (2 << 20),
]


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
@pytest.mark.parametrize("kind", [tempfile.TemporaryFile, io.BytesIO])
@pytest.mark.parametrize(
    "after", [b"", field("note", b"n" * 9), field("note", b"\r\n" * 1_100_000)]
)
def test_files_are_what_was_sent(content: bytes, kind: Any, after: bytes, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    body = field("name", b"d") + file("one", content) + file("two", content[::-1]) + after
    open_before = len(os.listdir("/proc/self/fd"))
    with kind() as stream:
        made = request(body + b"--b--\r\n", stream)
        assert made.POST["name"] == "d"
        one, two = made.FILES["one"], made.FILES["two"]
        assert (one.size, one.name) == (len(content), "one.tar.gz")
        assert one.read() == content
        assert two.read() == content[::-1]
        one.seek(0)
        assert b"".join(one.chunks(70_000)) == content
        one.seek(-1, os.SEEK_END)
        assert one.read() == content[-1:]
        one.close()
        assert two.seek(0) == 0
        assert two.read(2) == content[::-1][:2]
        two.close()
        made.close()
    assert len(os.listdir("/proc/self/fd")) <= open_before


def test_a_form_that_is_cut_off_leaves_no_file_open() -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with tempfile.TemporaryFile() as stream:
        made = request(file("one", b"x" * 99)[:-30], stream)
        made.FILES  # noqa: B018
        made.close()
    assert len(os.listdir("/proc/self/fd")) <= open_before


def test_a_file_in_base64_is_what_was_encoded() -> None:
    body = file("one", b"eHg=").replace(
        b"\r\nContent-Type", b"\r\nContent-Transfer-Encoding: base64\r\nContent-Type"
    )
    with tempfile.TemporaryFile() as stream:
        assert request(body + b"--b--\r\n", stream).FILES["one"].read() == b"xx"
