"""``demo/zoo.py`` against a stand-in of the model zoo: real HTTP, real weights, made up."""

import io
import json
import os
import signal
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import HERE, ROOT, Run

NAME = "squeezenet1.0"
LABELS = "".join(f"n{number:08d} thing {number}\n" for number in range(1000)).encode()


class Zoo:
    """An HTTP server of ``files`` by path; ``behaviour`` is what it does wrong."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/models/imagenet/synset.txt": LABELS}
        self.asked: list[str] = []
        self.behaviour = ""
        self.released = threading.Event()
        zoo = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                zoo.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet: the test says what it needs to know."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        body = self.files.get(request.path)
        if body is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.path.endswith(".zip") and self.behaviour:
            request.wfile.write(body[: len(body) // 2])
            request.wfile.flush()
            if self.behaviour == "stall":
                self.released.wait(60)
            request.close_connection = True
            return
        request.wfile.write(body)

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture
def zoo() -> Iterator[Zoo]:
    server = Zoo()
    yield server
    server.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    run(HERE / "stand_in.py", "make", NAME, folder)
    return folder


@pytest.fixture
def pack(zoo: Zoo, made: Path, run: Run, tmp_path: Path) -> Callable[..., tuple[list[str], str]]:
    """Run ``demo/zoo.py``, told the checksum of the stand-in's weights; lines, and stderr."""
    sha1 = json.loads((made / "facts.json").read_text())["sha1"]
    zoo.files[f"/gluon/models/{NAME}-{sha1[:8]}.zip"] = (made / f"{NAME}.zip").read_bytes()
    (tmp_path / "out").mkdir()

    def pack(*more: str, code: int = 0, checksum: str = sha1, read_s: str = "30") -> Any:
        out = tmp_path / "out" / "net.tar.gz"
        done = run(
            *(HERE / "stand_in.py", "run", checksum, read_s, NAME, "--out", out, *more),
            code=code,
            MXNET_GLUON_REPO=zoo.url,
            MXNET_HOME=str(tmp_path / "home"),
        )
        return done.stdout.splitlines(), done.stderr

    return pack


def test_packs_a_network_that_the_container_serves(
    pack: Any, zoo: Zoo, made: Path, tmp_path: Path, preflight: Any
) -> None:
    lines, _ = pack()
    result = json.loads(lines[-1])
    archive = Path(result["archive"])
    assert result["name"] == NAME
    assert result["bytes"] == archive.stat().st_size
    assert result["labels"] == 1000
    assert any("Packing" in line for line in lines)

    report = preflight(archive, made / "picture.png")
    assert report["artifact"]["inputs"] == [{"name": "data", "shape": [1, 3, 224, 224]}]
    assert report["artifact"]["parameters"] == result["parameters"] == 1_248_424
    assert report["artifact"]["preprocess"]["mean"] == [0.485, 0.456, 0.406]
    # The network itself, asked as MXNet's documentation says, gave the same answer.
    facts = json.loads((made / "facts.json").read_text())
    best = report["sample"]["predictions"][0]
    assert best["label"] == f"n{facts['best']:08d} thing {facts['best']}"
    assert best["probability"] == pytest.approx(facts["probability"], rel=1e-3)

    # Again: the same bytes, and the weights are not fetched twice.
    zoo.asked.clear()
    lines, _ = pack()
    assert json.loads(lines[-1])["sha256"] == result["sha256"]
    assert zoo.asked == ["/models/imagenet/synset.txt"]


def refused(pack: Any, tmp_path: Path, *more: str, **options: Any) -> str:
    """The error of a run that must fail, and must leave nothing behind."""
    _, error = pack(*more, code=1, **options)
    sentences = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1, error
    assert "Traceback" not in error
    assert list((tmp_path / "out").iterdir()) == []
    kept = tmp_path / "home" / "models"
    assert not kept.exists() or list(kept.iterdir()) == []
    return sentences[0]


def test_refuses_weights_that_mxnet_does_not_know(pack: Any, zoo: Zoo, tmp_path: Path) -> None:
    """Without the test's word for it, the right checksum is the one inside MXNet."""
    known = "264ba4970a0cc87a4f15c96e25246a1307caf523"
    (weights,) = [body for path, body in zoo.files.items() if path.endswith(".zip")]
    # The stand-in's zip under the real name: other weights, posing as the zoo's.
    bundle = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(weights)) as old, zipfile.ZipFile(bundle, "w") as new:
        new.writestr(f"{NAME}-{known[:8]}.params", old.read(old.namelist()[0]))
    zoo.files[f"/gluon/models/{NAME}-{known[:8]}.zip"] = bundle.getvalue()
    error = refused(pack, tmp_path, checksum=known)
    assert "SHA-1" in error
    assert known in error


@pytest.mark.parametrize(
    ("behaviour", "words"), [("break", "broke"), ("stall", "no bytes for"), ("", "HTTP 404")]
)
def test_gives_up_on_a_server_that_fails(
    behaviour: str, words: str, pack: Any, zoo: Zoo, tmp_path: Path
) -> None:
    zoo.behaviour = behaviour
    if not behaviour:
        del zoo.files[next(path for path in zoo.files if path.endswith(".zip"))]
    error = refused(pack, tmp_path, read_s="0.3")
    assert words in error
    assert "MXNET_GLUON_REPO" in error


def test_refuses_what_is_no_zip(pack: Any, zoo: Zoo, tmp_path: Path) -> None:
    zoo.files[next(path for path in zoo.files if path.endswith(".zip"))] = b"<html>Hello</html>"
    assert "not the model zoo's file" in refused(pack, tmp_path)


def test_refuses_a_zip_that_is_damaged_within(pack: Any, zoo: Zoo, tmp_path: Path) -> None:
    path = next(path for path in zoo.files if path.endswith(".zip"))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(f"{path.rpartition('/')[2].removesuffix('.zip')}.params", bytes(10_000))
    damaged = bytearray(written.getvalue())
    at = damaged.index(b".params") + len(b".params")
    damaged[at : at + 8] = b"\xff" * 8
    zoo.files[path] = bytes(damaged)
    assert "not the model zoo's file" in refused(pack, tmp_path)


def test_labels_come_from_where_the_user_says(pack: Any, zoo: Zoo, tmp_path: Path) -> None:
    synset = tmp_path / "words.txt"
    synset.write_text("".join(f"word {number}\n" for number in range(1000)))
    lines, _ = pack("--synset", str(synset))
    with tarfile.open(json.loads(lines[-1])["archive"]) as archive:
        packed = archive.extractfile("synset.txt")
        assert packed is not None
        assert packed.read() == synset.read_bytes()
    assert not any("synset" in path for path in zoo.asked)


@pytest.mark.parametrize(("content", "words"), [("cat\ndog\n", "2 labels"), (None, "No such file")])
def test_refuses_labels_that_do_not_fit(
    content: str | None, words: str, pack: Any, tmp_path: Path
) -> None:
    synset = tmp_path / "words.txt"
    if content is not None:
        synset.write_text(content)
    assert words in refused(pack, tmp_path, "--synset", str(synset))


def test_as_a_script_it_names_the_networks_there_are(run: Run, tmp_path: Path) -> None:
    done = run(ROOT / "demo/zoo.py", "resnet17", "--out", "x.tar.gz", code=1, cwd=tmp_path)
    assert "'resnet17'" in done.stderr
    assert "resnet18_v1" in done.stderr


def test_without_internet_it_says_so(run: Run, tmp_path: Path) -> None:
    done = run(
        *("demo/zoo.py", NAME, "--out", tmp_path / "x.tar.gz"),
        code=1,
        MXNET_GLUON_REPO="http://127.0.0.1:1/",
        MXNET_HOME=str(tmp_path / "home"),
    )
    assert "cannot be fetched (Connection refused). Nothing was written." in done.stderr
    assert "MXNET_GLUON_REPO, --synset" in done.stderr


def test_without_a_mirror_it_says_that_the_zoo_is_closed(run: Run, tmp_path: Path) -> None:
    done = run(
        *("demo/zoo.py", NAME, "--out", tmp_path / "x.tar.gz"),
        code=1,
        MXNET_HOME=str(tmp_path / "home"),
        HTTP_PROXY="http://127.0.0.1:1",
        HTTPS_PROXY="http://127.0.0.1:1",
        NO_PROXY="",
    )
    assert "MXNet was retired in 2023" in done.stderr
    assert "see docs/artifacts.md" in done.stderr
    assert not (tmp_path / "x.tar.gz").exists()


def test_ended_in_the_middle_it_leaves_no_temporary_file(
    zoo: Zoo, container_python: str, tmp_path: Path
) -> None:
    zoo.files["/gluon/models/squeezenet1.0-264ba497.zip"] = bytes(1_000_000)
    zoo.behaviour = "stall"
    process = subprocess.Popen(
        [container_python, "demo/zoo.py", NAME, "--out", str(tmp_path / "x.tar.gz")],
        cwd=ROOT,
        env=os.environ | {"MXNET_GLUON_REPO": zoo.url, "MXNET_HOME": str(tmp_path / "home")},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "home").rglob("weights.zip")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait(10)
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    assert list((tmp_path / "home").rglob(f"{NAME}-*")) == []
