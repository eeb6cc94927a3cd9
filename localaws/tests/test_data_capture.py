"""DataCaptureConfig: a share of the calls is in S3, as SageMaker writes it."""

import base64
import datetime
import json
import threading
from typing import Any

from botocore.exceptions import EndpointConnectionError

from localaws import data_capture
from localaws.tests import servers
from localaws.tests.conftest import Hosting

OPTIONS = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]


def _settings(bucket: str, **more: Any) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{bucket}/captures",
        "CaptureOptions": OPTIONS,
        **more,
    }


def _captured(hosting: Hosting) -> list[tuple[str, dict[str, Any]]]:
    """Each captured call, with the key of its file."""
    found = hosting.s3.list_objects_v2(Bucket=hosting.bucket, Prefix="captures/")
    calls = []
    for one in found.get("Contents", []):
        body = hosting.s3.get_object(Bucket=hosting.bucket, Key=one["Key"])["Body"].read()
        calls += [(one["Key"], json.loads(line)) for line in body.splitlines()]
    return calls


def _update(hosting: Hosting, name: str, config: str, **more: Any) -> None:
    capture = _settings(hosting.bucket, **more)
    hosting.create_config(config, model=name, DataCaptureConfig=capture)
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert hosting.settled(name)["EndpointStatus"] == "InService"


def test_calls_are_captured_from_an_update_on_until_another(hosting, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create("captured")
    hosting.invoke("captured", "a.tar.gz", b"before")
    assert "DataCaptureConfig" not in hosting.settled("captured")
    _update(hosting, "captured", "captured-2")
    told = hosting.settled("captured")["DataCaptureConfig"]
    assert told["CaptureStatus"] == "Started"
    assert told["CurrentSamplingPercentage"] == 100
    for body in (b"first", b"second"):
        answer = hosting.invoke(
            "captured", "a.tar.gz", body, ContentType="text/plain", CustomAttributes="who=me"
        )
    calls = servers.wait_for(
        lambda: found if len(found := _captured(hosting)) == 2 else None, 30, "two captured calls"
    )
    key, last = calls[-1]
    now = datetime.datetime.now(datetime.UTC)
    assert key.startswith(f"captures/captured/AllTraffic/{now:%Y/%m/%d}/")
    assert key.endswith(".jsonl")
    parts = last["captureData"]
    assert parts["endpointInput"]["observedContentType"] == "text/plain"
    assert base64.b64decode(parts["endpointInput"]["data"]) == b"second"
    assert base64.b64decode(parts["endpointOutput"]["data"]) == answer["Body"]
    assert last["eventMetadata"]["customAttributes"] == ["who=me"]
    assert last["eventVersion"] == "0"

    _update(hosting, "captured", "captured-3", EnableCapture=False)
    assert hosting.settled("captured")["DataCaptureConfig"]["CaptureStatus"] == "Stopped"
    hosting.invoke("captured", "a.tar.gz", b"after")
    assert len(_captured(hosting)) == 2


class _Bucket:
    """S3 in memory; it answers once it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.refuses = False
        self.broken: Exception | None = None
        self.bodies: list[bytes] = []

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:
        self.open.wait(30)
        if self.refuses:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        if self.broken is not None:
            raise self.broken
        self.bodies.append(Body)


def _call(sent: bytes = b"x") -> data_capture.Captured:
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return data_capture.Captured("e", "v", "id", at, sent, None, b"y", "text/plain")


def test_what_s3_is_too_slow_for_is_left_out_and_nothing_waits(monkeypatch):
    monkeypatch.setattr(data_capture, "MOST_BYTES_WAITING", 10)
    bucket = _Bucket()
    bucket.open.clear()
    captures = data_capture.DataCapture(bucket)
    for _number in range(9):
        captures.offer(_settings("b"), _call())
    bucket.open.set()
    captures.stop()
    lines = b"".join(bucket.bodies).splitlines()
    assert len(lines) == 5  # of two bytes each


def test_a_share_of_none_and_an_s3_that_refuses(caplog):
    bucket = _Bucket()
    captures = data_capture.DataCapture(bucket)
    captures.offer(_settings("b", EnableCapture=False), _call())
    captures.offer(_settings("b", InitialSamplingPercentage=0), _call())
    bucket.refuses = True
    captures.offer(_settings("b", CaptureOptions=[{"CaptureMode": "InputAndOutput"}]), _call())
    captures.stop()
    assert bucket.bodies == []
    assert "1 captured calls are lost: s3://b/captures/e/v/2026/01/01/00/" in caplog.text


def test_what_cannot_be_written_at_all_ends_no_other_captures(caplog, monkeypatch):
    monkeypatch.setattr(data_capture, "FILE_S", 0)
    bucket = _Bucket()
    captures = data_capture.DataCapture(bucket)
    # What botocore raises of a key with half of a surrogate pair, which a request may have.
    bucket.broken = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    captures.offer(_settings("b"), _call())
    servers.wait_for(lambda: "calls are lost" in caplog.text, 30, "the first call")
    bucket.broken = None
    captures.offer(_settings("b"), _call())
    captures.stop()
    assert len(bucket.bodies) == 1
