"""Runs the images that were built: ``python -m tests.images``, called by `.ci/images`.

CONTAINER_ENGINE and COMPOSE are the commands of the engine. The container image must follow
SageMaker's contract; with the compose file a user can log in, upload a model, deploy an endpoint
and call it.
"""

import configparser
import http.cookiejar
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
from PIL import Image

from stack.layout import ROOT
from tests.artifacts import constant_archive
from tests.stack import free_ports

ENGINE = shlex.split(os.environ.get("CONTAINER_ENGINE", "docker"))
COMPOSE = shlex.split(os.environ.get("COMPOSE", "docker compose"))
IMAGE = os.environ.get("IMAGE", "demo-sagemaker-multimodel:latest")
PORTAL_INSIDE = "http://127.0.0.1:8000"
LABELS = ["cat", "dog", "owl"]


def run(command: Sequence[str], *, seconds: float = 300, **more: Any) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT, **more
    )
    if done.returncode != 0:
        raise SystemExit(
            f"{shlex.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
        )
    return done.stdout


def until(what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
            problem: object = "not yet"
        except OSError as error:
            problem = error
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds} s in vain for {what}: {problem}")
        time.sleep(0.2)


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, named, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


def check_container(folder: Path) -> None:
    """Start with no model, load one, answer, unload, end in time."""
    port = free_ports()["PORT"]
    model = folder / "model"
    model.mkdir()
    with tarfile.open(constant_archive(folder / "tiny.tar.gz", labels=LABELS, answer=1)) as archive:
        archive.extractall(model)
    for path in (folder, model, *model.iterdir()):
        path.chmod(0o755)
    name = f"mme-check-{os.getpid()}"
    run([*ENGINE, "run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8080",
         "--volume", f"{model}:/opt/ml/models/1/model:ro", IMAGE, "serve"])  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until("/ping of the container", lambda: ask(f"{url}/ping") is not None)
        assert json.loads(ask(f"{url}/models"))["models"] == []
        body = json.dumps({"model_name": "1", "url": "/opt/ml/models/1/model"}).encode()
        ask(f"{url}/models", "POST", body, Content_Type="application/json")
        answer = ask(f"{url}/models/1/invoke", "POST", picture(folder),
                     Content_Type="application/x-image", Accept="application/json")  # fmt: skip
        assert json.loads(answer)["predictions"][0]["label"] == "dog", answer
        ask(f"{url}/models/1", "DELETE")
        assert json.loads(ask(f"{url}/models"))["models"] == []
        assert run([*ENGINE, "exec", name, "id", "-u"]).strip() != "0", "it runs as root"
        began = time.monotonic()
        run([*ENGINE, "stop", "--time", "20", name])
        took = time.monotonic() - began
        assert took < 12, f"it took {took:.0f} s to end"
    except BaseException:
        print(run([*ENGINE, "logs", name])[-4000:])
        raise
    finally:
        run([*ENGINE, "rm", "--force", "--volumes", name])
    print("The container image loads, answers, unloads and ends.")


def picture(folder: Path) -> bytes:
    path = folder / "picture.png"
    Image.new("RGB", (32, 32), "orange").save(path)
    return path.read_bytes()


class Visitor:
    """A browser without a screen."""

    def __init__(self, url: str) -> None:
        self.url = url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        with self._opener.open(f"{self.url}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def log_in(self, password: str) -> None:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get("/login/"))
        assert found
        form = {"csrfmiddlewaretoken": found[1], "username": "admin", "password": password}
        body = urllib.parse.urlencode(form).encode()
        with self._opener.open(f"{self.url}/login/", body, timeout=60) as answer:
            assert not answer.url.endswith("/login/"), "the password was not taken"


def put(
    inside: Sequence[str], folder: Path, names: Sequence[str], environment: dict[str, str]
) -> None:
    """Put files of a folder below /tmp of a container.

    Tried three times: `podman exec` at times misses the end of its input, and waits forever.
    """
    packed = subprocess.run(
        ["tar", "-c", "-C", str(folder), *names], check=True, capture_output=True
    ).stdout
    command = [*inside, "timeout", "30", "tar", "-x", "-C", "/tmp"]
    tried(
        f"copy {', '.join(names)}",
        lambda: subprocess.run(command, input=packed, check=True, env=environment, timeout=60),
        lambda problem: isinstance(problem, subprocess.SubprocessError),
    )


def seed(command: Callable[[], str]) -> None:
    """Run ``seed_demo``, which goes on where it was cut off.

    Tried three times: Podman's own name server at times does not know a container for a moment.
    """
    tried("seed", command, lambda problem: "failed to resolve host" in str(problem))


def tried(what: str, do: Callable[[], Any], again: Callable[[BaseException], bool]) -> None:
    """Do it, up to three times where ``again`` says so of what was raised."""
    for attempt in (1, 2, 3):
        try:
            do()
        except (Exception, SystemExit) as problem:
            print(f"Attempt {attempt} to {what}: {str(problem)[-500:]}", flush=True)
            if attempt == 3 or not again(problem):
                raise
        else:
            return


def check_compose(folder: Path) -> None:
    """Up, log in, upload, deploy, invoke, down."""
    ports = free_ports()
    project = f"mme-check-{os.getpid()}"
    environment = os.environ | ports | {"COMPOSE_PROJECT_NAME": project}
    compose = [*COMPOSE, "--file", str(ROOT / "docker-compose.yml"), "--project-name", project]
    url = f"http://127.0.0.1:{ports['PORT']}"
    try:
        run([*compose, "up", "--detach", "--no-build"], seconds=1200, env=environment)
        # Not /healthz: that says nothing of the database and the bucket, which `setup` makes.
        until("/readyz of the portal", lambda: ask(f"{url}/readyz"), 240)

        def inside(*command: str) -> str:
            return run([*compose, "exec", "-T", "web", *command], env=environment)

        visitor = Visitor(url)
        visitor.log_in(inside("cat", "/secrets/admin-password").strip())
        assert "models" in visitor.get("/models/").lower()
        constant_archive(folder / "digits.tar.gz", labels=LABELS, answer=2)
        demo = {"name": "digits", "description": "", "samples": [],
                "versions": [{"archive": "digits.tar.gz", "note": ""}]}  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps({"models": [demo]}))
        print("Compose: it is up, and a user logged in.", flush=True)
        picture(folder)
        files = ["manifest.json", "digits.tar.gz", "picture.png"]
        put([*compose, "exec", "-T", "web"], folder, files, environment)
        seed(lambda: inside("python", "manage.py", "seed_demo", "/tmp", "--wait", "200"))
        print("Compose: a model was uploaded and an endpoint made.", flush=True)
        keys = configparser.ConfigParser()
        keys.read_string(inside("cat", "/secrets/aws-credentials"))
        client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=f"http://127.0.0.1:{ports['LOCALAWS_PORT']}",
            region_name="ap-northeast-2",
            aws_access_key_id=keys["default"]["aws_access_key_id"],
            aws_secret_access_key=keys["default"]["aws_secret_access_key"],
        )
        answer = client.invoke_endpoint(
            EndpointName="demo",
            TargetModel="digits_v1.tar.gz",
            ContentType="application/x-image",
            Accept="application/json",
            Body=picture(folder),
        )["Body"].read()
        assert json.loads(answer)["predictions"][0]["label"] == "owl", answer
        print("Compose: the endpoint answered.", flush=True)
        inside("python", "manage.py", "local_token", "/tmp/portal.env", "--url", PORTAL_INSIDE)
        called = inside(
            "sh", "-c", ". /tmp/portal.env && mme invoke demo digits:1 /tmp/picture.png --json"
        )
        assert json.loads(called)["predictions"][0]["label"] == "owl", called
        print("Compose: mme called it.", flush=True)
        assert inside("id", "-u").strip() != "0", "the portal runs as root"
        check_sandbox(compose, environment)
    except BaseException as problem:
        logs = [*compose, "logs", "--tail", "40"]
        shown = subprocess.run(logs, capture_output=True, text=True, env=environment, check=False)
        print(shown.stdout[-12000:], shown.stderr[-4000:])
        print(f"The compose check failed: {problem!r}", flush=True)
        raise
    finally:
        run([*compose, "down", "--volumes"], seconds=900, env=environment)
    print("The compose file gives a portal that validates, deploys and predicts.")


def check_sandbox(compose: Sequence[str], environment: dict[str, str]) -> None:
    """A hostile program tries each way out of the sandbox in the worker's container."""
    programs = ROOT / "container" / "tests"
    worker = [*compose, "exec", "-T", "worker"]
    put(worker, programs, ["around.py", "hostile.py"], environment)
    about = {
        "mode": "ways out", "secret": "/secrets/secret-key", "marker": ["SECRET_KEY", "_FILE="],
        "home": "/home/portal", "host": "redis", "port": 6379, "victim": 1, "temporary": "/tmp",
        "unix": "/run/none", "abstract": "none",
    }  # fmt: skip
    python = ["env", "MME_CONTAINER=/app/container", "/app/.venv-container/bin/python"]
    ended = json.loads(
        run([*worker, *python, "/tmp/around.py", json.dumps(about)], env=environment).splitlines()[
            -1
        ]
    )
    assert ended["held"], ended
    assert ended["held"]["missing"] == [], ended["held"]
    assert ended["report"], ended
    out = {way: came for way, came in ended["report"].items() if "refused" not in came}
    assert out == {}
    print(f"The worker's container holds a hostile network: {ended['held']}")


def main() -> None:
    wanted = sys.argv[1:] or ["container", "compose"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in wanted:
            place = Path(folder) / name
            place.mkdir()
            {"container": check_container, "compose": check_compose}[name](place)


if __name__ == "__main__":
    main()
