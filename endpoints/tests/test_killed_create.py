"""A process that is killed between the row of an endpoint and its answer: it is made once."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from mmeportal.tests.web_server import WebServer
from tests.servers import wait_until


def test_a_create_whose_process_was_killed_finds_its_endpoint(tmp_path: Path) -> None:
    server = WebServer(
        tmp_path,
        KILLED_FOLDER=str(tmp_path),
        MODEL_BUCKET="store",
        EXECUTION_ROLE_ARN="arn:aws:iam::123456789012:role/demo",
    )
    server.environment["DJANGO_SETTINGS_MODULE"] = "endpoints.tests.killed_settings"
    headers = {"Authorization": f"Bearer {server.tokens['read operate']}", "Connection": "close"}

    def create(key: str = "one") -> requests.Response:
        return requests.post(
            f"{server.url}/api/v1/endpoints", json={"name": "demo"}, timeout=60,
            headers=headers | {"Idempotency-Key": key},
        )  # fmt: skip

    pause, paused = tmp_path / "pause", tmp_path / "paused"
    with server.running(), ThreadPoolExecutor(1) as pool:
        pause.touch()
        first = pool.submit(create)
        wait_until(lambda: paused.exists() and paused.read_text())  # it is there before its text
        os.kill(int(paused.read_text()), signal.SIGKILL)
        pause.unlink()
        with pytest.raises(requests.ConnectionError):
            first.result()
        again = create()  # it waits until the lease is over
        assert again.status_code == 201, again.text
        assert again.headers["Location"] == "/api/v1/endpoints/demo"
        assert again.headers["ETag"]
        assert again.json()["revision"] == 1
        third = create()
        assert third.headers["Idempotent-Replayed"] == "true"
        assert third.content == again.content
        assert create("two").status_code == 409
        found = requests.get(f"{server.url}/api/v1/endpoints", headers=headers, timeout=60)
        assert [one["name"] for one in found.json()["items"]] == ["demo"]
