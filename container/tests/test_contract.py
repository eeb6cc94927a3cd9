"""What SageMaker relies on: loading, listing, describing, invoking, unloading, and the codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import Server

pytestmark = pytest.mark.xdist_group("container-contract")

Unpacked = Callable[..., Path]


def test_it_starts_without_models_and_answers_ping(server: Server) -> None:
    assert server.call("GET", "/ping").status == 200
    assert server.call("GET", "/models").status == 200


def test_a_model_lives_from_load_to_unload(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    folder = unpacked(answer=2)

    assert server.load("life", folder).status == 200
    assert "life" in server.models()
    described = server.call("GET", "/models/life")
    assert described.status == 200
    assert "life" in described.body.decode()
    assert server.load("life", folder).status == 409

    answer = server.invoke("life", picture, "application/x-image")
    assert answer.status == 200
    assert answer.json[0] == "probability=1.000, class=fox"

    before = server.processes()
    assert server.unload("life").status == 200
    assert server.unload("life").status == 404
    assert server.invoke("life", picture, "application/x-image").status == 404
    assert server.call("GET", "/models/life").status == 404
    assert "life" not in server.models()
    assert len(server.processes()) < len(before)


def test_two_models_answer_with_their_own_labels(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    server.load("mine", unpacked(labels=["a", "b"], answer=0))
    server.load("yours", unpacked(labels=["c", "d"], answer=1))

    assert server.invoke("mine", picture, "image/jpeg").json[0].endswith("class=a")
    assert server.invoke("yours", picture, "image/jpeg").json[0].endswith("class=d")
    assert server.unload("mine").status == 200
    assert server.invoke("yours", picture, "image/jpeg").status == 200
    server.unload("yours")


def test_the_list_has_pages(server: Server, unpacked: Unpacked) -> None:
    folder = unpacked()
    for name in ("page-a", "page-b", "page-c"):
        assert server.load(name, folder).status == 200

    first = server.call("GET", "/models?limit=2").json
    rest = server.call("GET", f"/models?limit=2&next_page_token={first['nextPageToken']}").json

    names = [entry["modelName"] for entry in first["models"] + rest["models"]]
    assert len(first["models"]) == 2
    assert names == sorted(server.models())
    assert first["models"][0]["modelUrl"] == str(folder)
    for name in ("page-a", "page-b", "page-c"):
        server.unload(name)


def test_names_with_a_folder_are_opaque_to_it(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    """SageMaker passes a name of its own making; localaws a hash."""
    name = "0f3a9c5e" * 8
    assert server.load(name, unpacked()).status == 200
    assert server.invoke(name, picture, "image/png").status == 200
    assert server.unload(name).status == 200


def test_the_first_answer_is_cold_and_says_what_it_cost(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    server.load("timed", unpacked())

    first = server.invoke("timed", picture, "image/jpeg").timing
    second = server.invoke("timed", picture, "image/jpeg").timing

    assert first["cold"] == 1
    assert second["cold"] == 0
    assert first["load_ms"] == second["load_ms"] > 0
    assert set(first) == {"cold", "load_ms", "decode_ms", "infer_ms"}

    server.unload("timed")
    server.load("timed", unpacked())
    assert server.invoke("timed", picture, "image/jpeg").timing["cold"] == 1
    server.unload("timed")


def test_answers_follow_accept(server: Server, unpacked: Unpacked, picture: bytes) -> None:
    labels = ["one", "two", "three", "four", "five", "six"]
    server.load("accept", unpacked(labels=labels, answer=4))

    plain = server.invoke("accept", picture, "image/jpeg")
    assert plain.headers["content-type"] == "application/json"
    assert len(plain.json) == 5
    assert plain.json[0] == "probability=1.000, class=five"
    for accept in ("*/*", "text/plain"):
        assert server.invoke("accept", picture, "image/jpeg", Accept=accept).json == plain.json

    objects = server.invoke("accept", picture, "image/jpeg", Accept="application/json").json
    assert len(objects["predictions"]) == 5
    assert objects["predictions"][0]["label"] == "five"
    assert 0.99 < objects["predictions"][0]["probability"] <= 1
    server.unload("accept")


def test_the_log_is_one_json_line_an_event(
    server: Server, unpacked: Unpacked, picture: bytes
) -> None:
    server.load("logged", unpacked())
    server.invoke("logged", picture, "image/jpeg")
    server.unload("logged")

    lines = server.log().splitlines()
    # Java's own first words come before any logger is there.
    other = [line for line in lines if not line.startswith("{")]
    assert all(line.startswith(("WARNING: sun.reflect", "Model server")) for line in other), other
    for line in lines:
        if line.startswith("{"):
            assert {"time", "level"} <= set(json.loads(line))
