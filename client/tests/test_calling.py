"""``mme invoke``: one picture and several, and what is printed of their answers."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem
from mme_client.cli import calling

Mme = Callable[..., Ran]
DOCUMENT = EXAMPLES["invocations_get"]["200"]
CALL = Says(document=DOCUMENT)
BYTES = b"\xff\xd8\xff picture"


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "7.jpg"
    path.write_bytes(BYTES)
    return str(path)


def test_one_picture_is_one_document_and_its_first_label(
    mme: Mme, fake: FakePortal, picture: str
) -> None:
    fake.answers = [CALL]
    ran = mme("invoke", "demo", "digits:2", picture, "--json", url=fake.url, token="mme_x")
    assert (ran.code, json.loads(ran.out), ran.err) == (0, DOCUMENT, "")
    sent = fake.requests[-1]
    assert sent.target == "/api/v1/endpoints/demo/invocations?model=digits%3A2&name=7.jpg"
    assert (sent.body, sent.headers["Content-Type"]) == (BYTES, "image/jpeg")
    label = DOCUMENT["predictions"][0]["label"]
    assert mme("invoke", "demo", "digits:2", picture, "--quiet").out == f"{label}\n"
    shown = mme("invoke", "demo", "digits:2", picture, "--top", "1").out
    assert len(shown.splitlines()) == 2
    assert shown.endswith(f"  {label}\n")


def test_where_the_time_went_is_a_line_whose_parts_add_up(
    mme: Mme, fake: FakePortal, picture: str
) -> None:
    times = {
        "portal_ms": 3.0, "sagemaker_ms": 97.0, "load_ms": 50.0, "ready_ms": 60.0,
        "decode_ms": 2.0, "infer_ms": 15.0,
    }  # fmt: skip
    told = DOCUMENT | {"latency_ms": 100.0, "timings": times, "cold": True}

    def line(**values: object) -> str:
        fake.answers = [Says(document=told | values)]
        out = mme("invoke", "demo", "digits:2", picture, url=fake.url, token="mme_x").out
        return next((one.strip() for one in out.splitlines() if "the time went" in one), "")

    assert line() == (
        "where the time went: portal 3.0 ms, network and SageMaker 20.0 ms, load 60.0 ms, "
        "decoding 2.0 ms, inference 15.0 ms"
    )
    assert line(timings=times | {"fetch_ms": 15.0}) == (
        "where the time went: portal 3.0 ms, network and SageMaker 5.0 ms, fetching the archive, "
        "about 15.0 ms, load 60.0 ms, decoding 2.0 ms, inference 15.0 ms"
    )
    assert line(cold=False) == (
        "where the time went: portal 3.0 ms, network and SageMaker 80.0 ms, decoding 2.0 ms, "
        "inference 15.0 ms"
    )
    waited = line(latency_ms=600.0)
    assert "waiting for the model 500.0 ms, network and SageMaker 80.0 ms, decoding" in waited
    untold = times | {"ready_ms": None, "decode_ms": None, "infer_ms": None}
    assert line(timings=untold).endswith("network and SageMaker 47.0 ms, load 50.0 ms")
    assert line(timings=times | {"sagemaker_ms": None}) == ""


def test_what_was_unloaded_for_a_call_is_said(mme: Mme, fake: FakePortal, picture: str) -> None:
    told = DOCUMENT | {"put_out": ["a.tar.gz", "b.tar.gz"], "put_out_count": 3}
    fake.answers = [Says(document=told)]
    shown = mme("invoke", "demo", "digits:2", picture, url=fake.url, token="mme_x").out
    assert shown.endswith("  unloaded to make room for it (3): a.tar.gz, b.tar.gz\n")


def test_of_several_pictures_each_has_its_line_and_one_that_fails_stops_none(
    mme: Mme, fake: FakePortal, picture: str
) -> None:
    refused = problem("model-refused", 422)
    fake.answers = [CALL, refused, CALL]
    ran = mme(
        "invoke", "demo", "digits:2", picture, picture, "/nowhere.jpg", picture, "--json",
        url=fake.url, token="mme_x",
    )  # fmt: skip
    assert ran.code == 1
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert lines == [DOCUMENT, refused.document, DOCUMENT]
    assert f"{picture}: This is model-refused." in ran.err
    assert "/nowhere.jpg: There is no such file or folder." in ran.err


def test_a_token_that_may_not_call_is_told_once(mme: Mme, fake: FakePortal, picture: str) -> None:
    fake.answers = [problem("scope-missing", 403)]
    ran = mme("invoke", "demo", "digits:2", picture, picture, url=fake.url, token="mme_x")
    assert (ran.code, len(fake.requests)) == (4, 1)


def test_raw_is_what_the_container_said(
    mme: Mme, fake: FakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Std:
        buffer = io.BytesIO(BYTES)

        def flush(self) -> None: ...

    class Out(Std):
        buffer = io.BytesIO()

    monkeypatch.setattr("sys.stdin", Std())
    fake.answers = [Says(body=b"\x00\x01 its own", headers={"Content-Type": "application/x-npy"})]
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Out())
        ran = mme("invoke", "demo", "key.tar.gz", "-", "--target", "--raw", url=fake.url)
    assert (ran.code, Out.buffer.getvalue()) == (0, b"\x00\x01 its own")
    sent = fake.requests[-1]
    assert sent.target.startswith("/api/v1/endpoints/demo/invocations?target=key.tar.gz")
    assert (sent.body, sent.headers["Accept"]) == (BYTES, "*/*")


def test_raw_sends_what_was_said_and_tells_the_headers_beside_the_bytes(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Out:
        buffer = io.BytesIO()

        def flush(self) -> None: ...

    rows = tmp_path / "rows.csv"
    rows.write_text("1,2\n")
    attributes = "X-Amzn-SageMaker-Custom-Attributes"
    fake.answers = [
        Says(body=b"three,0.9\n", headers={"Content-Type": "text/csv", attributes: "b"})
    ]
    options = ("--raw", "--type", "text/csv", "--accept", "text/csv", "--attributes", "a=1")
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Out())
        ran = mme("invoke", "demo", "digits:2", str(rows), *options, "--headers", url=fake.url)
    assert (ran.code, Out.buffer.getvalue()) == (0, b"three,0.9\n")
    assert "Content-Type: text/csv" in ran.err
    assert f"{attributes}: b" in ran.err
    sent = fake.requests[-1].headers
    assert (sent["Content-Type"], sent["Accept"], sent[attributes]) == (
        "text/csv",
        "text/csv",
        "a=1",
    )
    ran = mme("invoke", "demo", "digits:2", str(rows), "--type", "text/csv", url=fake.url)
    assert ran.code == 2
    assert "go with --raw" in ran.err


@pytest.mark.parametrize(
    ("probability", "said"),
    [(1.0, "100.00%"), (0.99997, "> 99.99%"), (0.9999, "99.99%"), (0.0321, "3.21%")],
)
def test_what_is_not_quite_certain_is_not_told_as_certain(probability: float, said: str) -> None:
    assert calling._share(probability) == said


def test_a_file_whose_name_is_no_text_is_called_too(
    mme_process: Callable[..., Ran], fake: FakePortal, tmp_path: Path
) -> None:
    picture = tmp_path / os.fsdecode(b"caf\xe9.jpg")  # as an old archive unpacks it
    picture.write_bytes(BYTES)
    fake.answers = [Says(document=DOCUMENT)]
    variables = {"MME_URL": fake.url, "MME_TOKEN": "mme_x"}
    ran = mme_process("invoke", "demo", "digits:2", str(picture), **variables)
    assert ran.code == 0, ran.err
    assert "name=caf%3F.jpg" in fake.requests[0].target
    ran = mme_process("invoke", "demo", "--models", "digits:2", str(picture), "--json", **variables)
    assert ran.code == 0, ran.err
    assert os.fsencode(json.loads(ran.out)["file"]) == os.fsencode(picture)


@pytest.mark.parametrize("option", ["--attributes", "--type", "--accept"])
def test_a_header_of_other_letters_is_wrong_use(
    mme_process: Callable[..., Ran], fake: FakePortal, picture: str, option: str
) -> None:
    ran = mme_process(
        "invoke", "demo", "digits:2", picture, "--raw", option, "한글", MME_URL=fake.url,
        MME_TOKEN="mme_x",
    )  # fmt: skip
    assert ran.code == 2, ran.err
    assert "can hold ASCII alone, and not '한글'" in ran.err
    assert "Traceback" not in ran.err
    assert not fake.requests
