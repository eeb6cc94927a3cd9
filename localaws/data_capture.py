"""Data capture: what a share of the calls sent and got, as JSON lines in S3.

DG/model-monitor-data-capture-endpoint: DataCaptureConfig of an endpoint's configuration; files
below DestinationS3Uri/ENDPOINT/VARIANT/yyyy/mm/dd/hh/, of calls that a model answered. No call
waits for it: a thread writes, and what it cannot keep up with is left out, as SageMaker stops
capturing before it slows calls down.
"""

import base64
import datetime
import json
import logging
import secrets
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .naming import S3Prefix, parse_s3_uri

log = logging.getLogger(__name__)

#: What may wait to be written; calls beyond that are left out.
MOST_BYTES_WAITING = 64 * 1024 * 1024
#: A file has the calls of so many seconds.
FILE_S = 1.0
_MODES = {"Input": ("Input",), "Output": ("Output",), "InputAndOutput": ("Input", "Output")}


@dataclass(frozen=True, slots=True)
class Captured:
    """One call that was answered."""

    endpoint: str
    variant: str
    event_id: str
    at: datetime.datetime
    sent: bytes
    sent_type: str | None
    got: bytes
    got_type: str
    custom_attributes: str | None = None
    inference_id: str | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.sent) + len(self.got)


def is_on(settings: Mapping[str, Any]) -> bool:
    """Whether a DataCaptureConfig captures calls: where it does not say, it does."""
    return settings.get("EnableCapture") is not False


class DataCapture:
    """Chooses calls by their endpoint's settings, and writes them; thread-safe."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._changed = threading.Condition()
        self._waiting: list[tuple[S3Prefix, Captured, frozenset[str]]] = []
        self._bytes = 0
        self._left_out = 0
        self._ending = False
        self._thread: threading.Thread | None = None

    def offer(self, settings: Mapping[str, Any], call: Captured) -> None:
        """Take a call, if ``settings`` (DataCaptureConfig) say so of it. Never waits or raises."""
        if not is_on(settings):
            return
        if secrets.randbelow(100) >= settings["InitialSamplingPercentage"]:
            return
        modes = {part for one in settings["CaptureOptions"] for part in _MODES[one["CaptureMode"]]}
        place = parse_s3_uri(settings["DestinationS3Uri"])
        with self._changed:
            if self._bytes + call.size > MOST_BYTES_WAITING:
                self._left_out += 1
                log.warning(
                    "%d calls are not captured so far, as S3 is too slow: now one of %s",
                    self._left_out,
                    call.endpoint,
                )
                return
            self._waiting.append((place, call, frozenset(modes)))
            self._bytes += call.size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                # Calls of one second are one file.
                self._changed.wait_for(lambda: self._ending, timeout=FILE_S)
                taken, self._waiting = self._waiting, []
                ended = self._ending
            files: dict[tuple[str, str], list[str]] = defaultdict(list)
            for place, call, modes in taken:
                files[place.bucket, _folder(place, call)].append(_line(call, modes))
            for (bucket, folder), lines in files.items():
                self._write(bucket, folder, lines)
            with self._changed:
                self._bytes -= sum(call.size for _place, call, _modes in taken)
                if ended and not self._waiting:
                    return

    def _write(self, bucket: str, folder: str, lines: list[str]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        key = f"{folder}/{now:%M-%S}-{now.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body="".join(lines).encode())
        except Exception as error:  # of whatever kind: the thread writes those of all endpoints
            log.warning(
                "%d captured calls are lost: s3://%s/%s: %s", len(lines), bucket, key, error
            )


def _folder(place: S3Prefix, call: Captured) -> str:
    within = f"{call.endpoint}/{call.variant}/{call.at:%Y/%m/%d/%H}"
    return f"{place.prefix.rstrip('/')}/{within}".lstrip("/")


def _line(call: Captured, modes: frozenset[str]) -> str:
    captured: dict[str, Any] = {}
    if "Input" in modes:
        captured["endpointInput"] = _part("INPUT", call.sent_type, call.sent)
    if "Output" in modes:
        captured["endpointOutput"] = _part("OUTPUT", call.got_type, call.got)
    about: dict[str, Any] = {
        "eventId": call.event_id,
        "inferenceTime": f"{call.at:%Y-%m-%dT%H:%M:%SZ}",
    }
    if call.custom_attributes is not None:
        about["customAttributes"] = [call.custom_attributes]
    if call.inference_id is not None:
        about["inferenceId"] = call.inference_id
    event = {"captureData": captured, "eventMetadata": about, "eventVersion": "0"}
    return json.dumps(event) + "\n"


def _part(mode: str, content_type: str | None, data: bytes) -> dict[str, Any]:
    """Without CaptureContentTypeHeader all is taken for bytes, and encoded as base64."""
    return {
        "observedContentType": content_type or "",
        "mode": mode,
        "data": base64.b64encode(data).decode(),
        "encoding": "BASE64",
    }
