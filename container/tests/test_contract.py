"""What SageMaker relies on: loading, listing, describing, invoking, unloading, and the codes.

A full container is in test_memory.py for the plain process and in test_image.py for the image; what
Accept asks for is in test_requests.py.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from container.tests.serving import Server, alive, check_log, start

pytestmark = pytest.mark.xdist_group("container-contract")

Unpacked = Callable[..., Path]


def test_it_starts_without_models_and_answers_ping(either: Server) -> None:
    assert either.call("GET", "/ping").status == 200
    assert either.models() == []


def test_a_model_lives_from_load_to_unload(
    either: Server, unpacked: Unpacked, picture: bytes
) -> None:
    folder = unpacked(answer=2)

    assert either.load("life", folder).status == 200
    assert "life" in either.models()
    described = either.call("GET", "/models/life")
    assert described.status == 200
    assert "life" in described.body.decode()
    assert either.load("life", folder).status == 409

    answer = either.invoke("life", picture, "application/x-image")
    assert answer.status == 200
    assert answer.json[0] == "probability=0.999909, class=fox"

    before = either.processes()
    assert either.unload("life").status == 200
    assert either.unload("life").status == 404
    assert either.invoke("life", picture, "application/x-image").status == 404
    assert either.call("GET", "/models/life").status == 404
    assert "life" not in either.models()
    assert len(either.processes()) < len(before)


def test_two_models_answer_with_their_own_labels(
    either: Server, unpacked: Unpacked, picture: bytes
) -> None:
    either.load("mine", unpacked(labels=["a", "b"], answer=0))
    either.load("yours", unpacked(labels=["c", "d"], answer=1))

    assert either.invoke("mine", picture, "image/jpeg").json[0].endswith("class=a")
    assert either.invoke("yours", picture, "image/jpeg").json[0].endswith("class=d")
    assert either.unload("mine").status == 200
    assert either.invoke("yours", picture, "image/jpeg").status == 200
    either.unload("yours")


def test_the_list_has_pages(either: Server, unpacked: Unpacked) -> None:
    folder = unpacked()
    for name in ("page-a", "page-b", "page-c"):
        assert either.load(name, folder).status == 200

    first = either.call("GET", "/models?limit=2").json
    rest = either.call("GET", f"/models?limit=2&next_page_token={first['nextPageToken']}").json

    names = [entry["modelName"] for entry in first["models"] + rest["models"]]
    assert len(first["models"]) == 2
    assert names == sorted(either.models())
    assert first["models"][0]["modelUrl"] == str(folder)
    for name in ("page-a", "page-b", "page-c"):
        either.unload(name)


def test_names_with_a_folder_are_opaque_to_it(
    either: Server, unpacked: Unpacked, picture: bytes
) -> None:
    """SageMaker passes a name of its own making; localaws a hash."""
    name = "0f3a9c5e" * 8
    assert either.load(name, unpacked()).status == 200
    assert either.invoke(name, picture, "image/png").status == 200
    assert either.unload(name).status == 200


def test_the_first_answer_is_cold_and_says_what_it_cost(
    either: Server, unpacked: Unpacked, picture: bytes
) -> None:
    either.load("timed", unpacked())

    first = either.invoke("timed", picture, "image/jpeg").timing
    second = either.invoke("timed", picture, "image/jpeg").timing

    assert first["cold"] == 1
    assert second["cold"] == 0
    assert first["load_ms"] == second["load_ms"] > 0
    assert set(second) == {"cold", "load_ms", "decode_ms", "infer_ms", "threads"}
    assert set(first) == {*second, "ready_ms"}, "of a cold one, what the call waited for its model"

    either.unload("timed")
    either.load("timed", unpacked())
    assert either.invoke("timed", picture, "image/jpeg").timing["cold"] == 1
    either.unload("timed")


def test_the_log_is_json_and_names_the_model(
    either: Server, unpacked: Unpacked, picture: bytes
) -> None:
    """Every test's server is held to :func:`check_log` when it has ended; this one says more."""
    broken = unpacked()
    (broken / "synset.txt").unlink()
    either.load("logged", unpacked())
    either.invoke("logged", picture, "image/jpeg")
    target = {"X_Amzn_SageMaker_Target_Model": "animals/logged_v1.tar.gz"}
    assert either.invoke("logged", b"no picture", "image/jpeg", **target).status == 400
    either.unload("logged")
    assert either.load("unlogged", broken).status == 400

    either.told("model_loaded", "logged")
    refused = either.told("request_refused", "logged")
    assert refused["target_model"] == "animals/logged_v1.tar.gz"
    assert "synset.txt" in either.told("load_failed", "unlogged")["message"]
    check_log(either)


def test_the_lines_of_a_call_name_the_id_that_its_caller_gave(
    either: Server, unpacked: Unpacked, picture: bytes
) -> None:
    """One line a call at most, and none of a call that was given no id."""
    either.load("traced", unpacked())

    def call(body: bytes, attributes: str) -> int:
        headers = {"X_Amzn_SageMaker_Custom_Attributes": attributes}
        return either.invoke("traced", body, "image/jpeg", **headers).status

    try:
        assert either.invoke("traced", picture, "image/jpeg").status == 200
        assert call(picture, "trace=7") == 200
        assert call(picture, "request_id=not an id") == 200
        assert call(picture, f"request_id={'x' * 65}") == 200
        assert call(picture, "trace=7;request_id=id-1.a_B;more") == 200
        assert call(b"no picture", "request_id=id-2") == 400
        refused = either.told("request_refused", "traced")
        (answered,) = (one for one in either.events("call_answered") if one["model"] == "traced")
    finally:
        either.unload("traced")
    assert (answered["request_id"], refused["request_id"]) == ("id-1.a_B", "id-2")
    assert answered["message"].startswith("cold=0;load_ms=")


def test_sigterm_ends_it_within_ten_seconds(kind: str, tmp_path: Path, unpacked: Unpacked) -> None:
    with start(kind, tmp_path) as server:
        for name in ("one", "two"):
            assert server.load(name, unpacked()).status == 200
        pids = server.processes()
        assert len(pids) >= 4

        assert server.stop() == 0

        assert [pid for pid in pids if alive(pid)] == []
        if kind == "process":
            assert list((server.home / "mme" / "tmp").iterdir()) == []
        first, last = (
            datetime.fromisoformat(server.events(event)[-1]["time"])
            for event in ("stopping", "stopped")
        )
        assert last - first < timedelta(seconds=10)
