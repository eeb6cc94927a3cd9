"""An endpoint by the API alone, on a whole stack: created, in service, torn down, gone."""

import re
import time
from typing import Any

import requests

from tests.stack import Stack

NAME = "by-api"


def _settled(get: Any, seconds: float = 240) -> dict[str, Any]:
    """The endpoint when nothing is under way; each request waits for a change."""
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = get(f"/endpoints/{NAME}", wait=10).json()
        if found["settled"]:
            return found
        assert time.monotonic() < deadline, found


def test_an_endpoint_by_the_api_alone(stack: Stack) -> None:
    text = (stack.local_dir / "portal.env").read_text()
    token = re.findall(r"^export MME_TOKEN=(\S+)$", text, re.MULTILINE)[0]
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    base = f"{stack.url}/api/v1"

    def get(path: str, **query: Any) -> requests.Response:
        return session.get(base + path, params=query, timeout=90)

    newest = get("/events", limit=1).json()["items"][0]["id"]
    made = session.post(
        f"{base}/endpoints", json={"name": NAME}, headers={"Idempotency-Key": "life"}, timeout=90
    )
    assert made.status_code == 201, made.text
    assert session.post(f"{base}/endpoints", json={"name": NAME}, timeout=90).status_code == 409
    serving = _settled(get)
    assert (serving["state"], serving["serving"], serving["failure"]) == ("in_service", True, None)
    sample = get("/samples", limit=1).json()["items"][0]
    picture = get(f"/samples/{sample['name']}")
    assert len(picture.content) == sample["size"]
    called = session.post(
        f"{base}/endpoints/{NAME}/invocations?model=digits", data=picture.content, timeout=90,
        headers={"Content-Type": sample["content_type"], "Accept": "application/json"},
    )  # fmt: skip
    assert called.status_code == 200, called.text
    tag = get(f"/endpoints/{NAME}").headers["ETag"]
    teardown = f"{base}/endpoints/{NAME}/teardown"
    wrong = session.post(teardown, json={"name": "demo"}, timeout=90)
    assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["name"])
    torn = session.post(teardown, json={"name": NAME}, headers={"If-Match": tag}, timeout=90)
    assert (torn.status_code, torn.json()["wanted"]) == (202, "absent"), torn.text
    gone = _settled(get)
    assert (gone["state"], bool(gone["gone_at"])) == ("gone", True)
    assert {one["state"] for one in gone["resources"]} == {"gone"}
    actions = [
        one["action"]
        for one in get("/events", after=newest, limit=200, subject=NAME).json()["items"]
    ]
    assert actions[0] == "endpoint.requested"
    assert actions[-1] == "endpoint.gone"
    assert "endpoint.teardown_requested" in actions
