"""Orders that MMS by itself takes from anybody: each is refused before MMS acts."""

import json
import os
import random
import socket
import threading
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from container.tests.serving import Answer, Server, container_python, free_port, start_server

pytestmark = pytest.mark.xdist_group("container-guard")

Unpacked = Callable[..., Path]
JSON = {"content_type": "application/json"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server at a port, as in the image."""
    home = tmp_path_factory.mktemp("mme")
    # As in the image, python3 is one that has MMS.
    options = {"PATH": f"{Path(container_python()).parent}:{os.environ['PATH']}"}
    options["SAGEMAKER_BIND_TO_PORT"] = str(free_port())
    with start_server(home, **options) as server:
        yield server


@pytest.fixture
def guarded(running: Server) -> Iterator[Server]:
    """The server, of which each test leaves no model."""
    yield running
    for name in running.models():
        running.unload(name)


class Listener:
    """A server of somebody's that counts who connects to it."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                if connection.recv(4096) == b"end":
                    return
                self.connections += 1
                connection.sendall(b"HTTP/1.0 404 None\r\n\r\n")


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    listener.thread.start()
    try:
        yield listener
    finally:
        with socket.create_connection(("127.0.0.1", listener.port)) as end:
            end.sendall(b"end")
        listener.thread.join(10)
        listener.socket.close()


def refused(server: Server, answer: Answer, sentence: str, status: int = 400) -> None:
    assert answer.status == status, answer.body
    assert sentence in answer.json["message"]
    assert "Exception" not in answer.json["message"]
    assert server.models() == []


@pytest.mark.parametrize("way", ["query", "json", "form"])
@pytest.mark.parametrize("scheme", ["http", "HTTP", "https", "ftp", "s3"])
def test_it_fetches_no_url_for_anybody(guarded: Server, way: str, scheme: str) -> None:
    """A server-side request forgery: the simple request that any web page may send."""
    with listening() as listener:
        url = f"{scheme}://127.0.0.1:{listener.port}/evil.mar"
        query = urllib.parse.urlencode({"model_name": "x", "url": url})
        if way == "query":
            answer = guarded.call("POST", f"/models?{query}", b"", content_type="text/plain")
        elif way == "json":
            answer = guarded.load("x", url)
        else:
            kind = "application/x-www-form-urlencoded"
            answer = guarded.call("POST", "/models", query.encode(), content_type=kind)
        sentence = "url is required" if way == "form" else "must be the path of a folder below"
        if way == "form":  # MMS reads no forms
            sentence = "model_name must be given"
        refused(guarded, answer, sentence)
    assert listener.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "", ".", "relative", "./relative", "../escape", "//{models}/x", "{models}", "{models}/",
        "{models}/../../etc", "{models}/a/../../etc", "{models}/.", "/etc", "/", "{models}x/y",
        "file://{models}/x", "file:{models}/x", "{models}/x\u0000y", "{models}/%2e%2e/x",
        "\\\\host\\share",
    ],
)  # fmt: skip
def test_only_a_folder_below_the_models_is_loaded(guarded: Server, url: str) -> None:
    models = str(guarded.home.parent)
    answer = guarded.load("x", url.replace("{models}", models))
    if "%2e" in url:
        refused(guarded, answer, "There is no folder", 404)
    else:
        refused(guarded, answer, f"url must be the path of a folder below {models}")


def test_a_symbolic_link_leads_nowhere(
    guarded: Server, unpacked: Unpacked, tmp_path_factory: pytest.TempPathFactory
) -> None:
    models = tmp_path_factory.mktemp("links")
    (models / "out").symlink_to("/etc")
    refused(guarded, guarded.load("x", models / "out"), "by a symbolic link")
    refused(guarded, guarded.load("x", models / "out" / "ssl"), "by a symbolic link")

    (models / "in").symlink_to(unpacked())
    assert guarded.load("x", models / "in").status == 200


def test_a_link_in_a_model_s_folder_is_not_read(guarded: Server, unpacked: Unpacked) -> None:
    """Its lines would be answered as labels."""
    folder = unpacked()
    (folder / "synset.txt").unlink()
    (folder / "synset.txt").symlink_to("/etc/passwd")
    answer = guarded.load("x", folder)
    assert answer.status == 400
    assert "synset.txt leads out of the model's folder" in answer.reason
    assert guarded.models() == []


def test_a_file_is_not_unpacked(guarded: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    archive = tmp_path_factory.mktemp("archive") / "evil.mar"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("x-symbol.json", "{}")
    refused(guarded, guarded.load("x", archive), "must be the path of a folder")
    assert not (guarded.home / "mme" / "tmp" / "models").exists()


@pytest.mark.parametrize("way", ["query", "json"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("handler", "evil.py:handle"), ("runtime", "python3"), ("preload_model", "true")],
)
def test_a_caller_does_not_choose_the_code(
    guarded: Server, unpacked: Unpacked, way: str, name: str, value: str
) -> None:
    order = {"model_name": "x", "url": str(unpacked()), name: value}
    refused(guarded, ordered(guarded, way, order), f"{name} is not taken")


def ordered(server: Server, way: str, order: dict[str, Any]) -> Answer:
    if way == "query":
        return server.call("POST", "/models?" + urllib.parse.urlencode(order), b"")
    return server.call("POST", "/models", json.dumps(order).encode(), **JSON)


@pytest.mark.parametrize("runtime", ["python", "python2", "python3"])
def test_a_manifest_does_not_choose_the_code(
    guarded: Server, unpacked: Unpacked, picture: bytes, runtime: str, tmp_path: Path
) -> None:
    """With python3 MMS starts its own worker, which runs the handler that the manifest names."""
    folder = unpacked()
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\ndef handle(data, context): return ['evil']\n"
    (folder / "evil.py").write_text(code)
    manifest = {
        "specificationVersion": "1.0", "implementationVersion": "1.0",
        "modelServerVersion": "1.0", "runtime": runtime,
        "model": {"modelName": "../../evil", "modelVersion": "1", "handler": "evil.py:handle"},
    }  # fmt: skip
    (folder / "MAR-INF").mkdir()
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))

    assert guarded.load("evil", folder).status == 200
    assert guarded.invoke("evil", picture, "image/jpeg").status == 200

    assert not ran.exists()
    assert guarded.models() == ["evil"]


@pytest.mark.parametrize(
    "name",
    [None, "", "../../x", "a/b", "..", ".hidden", "-x", "a b", "a\nb", "a%2fb", "x" * 257],
    ids=lambda name: repr(name)[:12],
)
def test_a_name_is_no_path(guarded: Server, unpacked: Unpacked, name: str | None) -> None:
    order = {"url": str(unpacked())} | ({} if name is None else {"model_name": name})
    for way in ("query", "json"):
        refused(guarded, ordered(guarded, way, order), "model_name must be given")


@pytest.mark.parametrize("value", ["-1", "65", "1000000000", "x", "1.5", "99999999999999999999"])
def test_a_caller_does_not_start_a_thousand_processes(
    guarded: Server, unpacked: Unpacked, value: str
) -> None:
    order = {"model_name": "x", "url": str(unpacked()), "initial_workers": value}
    for way in ("query", "json"):
        refused(guarded, ordered(guarded, way, order), "initial_workers must be a whole number")
    scaled = guarded.call("PUT", f"/models/x?max_worker={value}", b"")
    refused(guarded, scaled, "max_worker must be a whole number")


def test_numbers_that_make_sense_are_taken(
    guarded: Server, unpacked: Unpacked, picture: bytes
) -> None:
    order = {"model_name": "two", "url": str(unpacked()), "initial_workers": 2, "synchronous": True}
    assert ordered(guarded, "json", order).status == 200
    assert len(guarded.call("GET", "/models/two").json["workers"]) == 2
    scaled = guarded.call("PUT", "/models/two?min_worker=1&max_worker=1&synchronous=true", b"")
    assert scaled.status == 200
    assert guarded.invoke("two", picture, "image/jpeg").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/models"), ("GET", "/ping"), ("GET", "/models"), ("POST", "/load-failed"),
     ("DELETE", "/models/x"), ("OPTIONS", "/models"), ("POST", "/models/x/invoke")],
)  # fmt: skip
def test_a_web_page_gives_no_orders(
    guarded: Server, headers: dict[str, str], method: str, path: str
) -> None:
    answer = guarded.call(method, path, b"", **headers)
    refused(guarded, answer, "takes no requests of web pages", 403)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
def test_a_name_that_leads_to_the_loopback_is_not_answered(guarded: Server, host: str) -> None:
    """DNS rebinding: to the browser, the page and this server are of one origin."""
    for method, path in (("GET", "/models"), ("GET", "/ping"), ("POST", "/models")):
        answer = guarded.call(method, path, b"", Host=host)
        refused(guarded, answer, "does not answer to that Host", 403)
    for name in ("localhost", "localhost:1", "127.0.0.1", "[::1]:80"):
        assert guarded.call("GET", "/ping", Host=name).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"1", b"null", b"{", b'{"url": ["/etc"]}', b"\xff\xfe{}",
     pytest.param(b"[" * 100_000, id="deep")],
)  # fmt: skip
def test_what_is_no_order_is_refused(guarded: Server, body: bytes) -> None:
    refused(guarded, guarded.call("POST", "/models", body, **JSON), "The body must")


def test_no_spelling_of_the_address_gets_past(guarded: Server, unpacked: Unpacked) -> None:
    """MMS decodes paths; what it takes for /models is held against the rules."""
    evil = urllib.parse.quote("http://127.0.0.1:9/x")
    for path in ("/models", "/models/", "/%6dodels", "/models//", "/models%2f"):
        answer = guarded.call("POST", f"{path}?model_name=x&url={evil}", b"")
        refused(guarded, answer, "must be the path of a folder")
    twice = f"/models?model_name=x&url={urllib.parse.quote(str(unpacked()))}&url={evil}"
    refused(guarded, guarded.call("POST", twice, b""), "url is given twice")
    for path in ("//models", "/x/../models", "/Models", "/models;a"):
        answer = guarded.call("POST", f"{path}?model_name=x&url={evil}", b"")
        assert answer.status in (404, 405), (path, answer.body)
        assert guarded.models() == []


def test_orders_made_of_anything_neither_break_it_nor_load(guarded: Server) -> None:
    """500 orders of odd pieces, from a fixed seed."""
    pieces = ["", "/", "..", "/etc", "http://127.0.0.1:9/", "\0", "\n", "%00", "é", "\\", ":", "~"]
    pieces += [str(guarded.home.parent), "x.mar", "file:", "\ud7ff", "1" * 4000]
    chance = random.Random(11)
    for _ in range(500):
        order = {
            name: "".join(chance.choices(pieces, k=chance.randint(0, 4)))
            for name in chance.sample(["model_name", "url", "initial_workers", "synchronous"], 3)
        }
        order["url"] = order.get("url", "") or "x"
        answer = ordered(guarded, chance.choice(["query", "json"]), order)
        assert answer.status in (400, 404), (order, answer.body)
    assert guarded.models() == []
    assert guarded.call("GET", "/ping").status == 200


def test_a_server_at_a_socket_is_guarded_as_well(server: Server, unpacked: Unpacked) -> None:
    """By the same code, whose other rules are shown at the port above: one of each kind."""
    with listening() as listener:
        url = f"http://127.0.0.1:{listener.port}/evil.mar"
        refused(server, server.load("x", url), "must be the path of a folder below")
    assert listener.connections == 0
    orders = [
        ({"handler": "evil.py:handle"}, "handler is not taken"),
        ({"model_name": "a/b"}, "model_name must be given"),
        ({"initial_workers": "65"}, "initial_workers must be a whole number"),
    ]
    for more, sentence in orders:
        order = {"model_name": "x", "url": str(unpacked())} | more
        for way in ("query", "json"):
            refused(server, ordered(server, way, order), sentence)
    page = server.call("POST", "/models", b"", Origin="http://evil.example")
    refused(server, page, "takes no requests of web pages", 403)
    refused(server, server.call("POST", "/models", b"[]", **JSON), "The body must")


def test_what_is_refused_is_in_the_log_as_one_line(guarded: Server) -> None:
    guarded.load("x", "http://127.0.0.1:9/a\nb")
    lines = [json.loads(line) for line in guarded.log().splitlines() if "was refused" in line]
    assert lines
    assert lines[-1]["level"] == "WARN"
    assert os.linesep not in lines[-1]["message"]
