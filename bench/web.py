"""The web server of this checkout beside that of another one, interleaved.

Needs a running stack (`make up`) with its demo endpoint, and another checkout with its virtual
environments; starts the `web` line of both Procfiles beside the stack's own web server.

    git worktree add ../before COMMIT && (cd ../before && ./stack/run run -c 0)
    make bench-web ARGS="--against ../before"

Prints the time of one caller's requests, how many requests a second eight callers get, and what
an upload that is read whole and then refused takes; each as a multiple of the other checkout's.
"""

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stack.layout import Layout  # noqa: E402 - ROOT is on the path now
from stack.parts import environment  # noqa: E402
from stack.procfile import read_procfile, shell  # noqa: E402
from tests import ending  # noqa: E402
from tests.servers import free_port, running, wait_for_port  # noqa: E402


class Caller:
    """One browser: a connection that is kept, and cookies."""

    def __init__(self, port: int, cookies: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies = dict(re.findall(r"(\w+)=([^;]+)", cookies))

    @property
    def cookies(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        """Send one request; gives the status and the text of the answer."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path, body, names | {"Cookie": self.cookies})
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError):  # it was idle for too long
            self._connection.close()
            self._connection.request(method, path, body, names | {"Cookie": self.cookies})
            answer = self._connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.read().decode(errors="replace")

    def log_in(self, password: str) -> None:
        form = f"username=admin&password={password}&csrfmiddlewaretoken={self.token('/login/')}"
        kind = "application/x-www-form-urlencoded"
        status, text = self.send("POST", "/login/", form, Content_Type=kind)
        assert status == 302, text

    def token(self, path: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.send("GET", path)[1])
        assert found, path
        return found[1]


class Web:
    """A server under measurement, with the invoke form filled in."""

    def __init__(self, name: str, port: int, password: str, picture: Path) -> None:
        self.name, self.port = name, port
        first = Caller(port)
        first.log_in(password)
        page = first.send("GET", "/invoke/")[1]
        self.cookies = first.cookies
        self.token = first.token("/invoke/")
        fields = {"csrfmiddlewaretoken": self.token}
        for field, text in (("version", "digits v2"), ("endpoint", "demo")):
            found = re.search(rf'<option value="(\d+)"[^>]*>\s*{text}\b', page)
            assert found, f"the page offers no {text}"
            fields[field] = found[1]
        self.form = b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        )
        self.picture = self.form + (
            b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.jpg"\r\n\r\n'
            + picture.read_bytes()
            + b"\r\n--b--\r\n"
        )

    def caller(self) -> Caller:
        return Caller(self.port, self.cookies)


def health(web: Web, caller: Caller) -> None:
    assert caller.send("GET", "/healthz")[0] == 200


def models(web: Web, caller: Caller) -> None:
    status, text = caller.send("GET", "/models/")
    assert status == 200, text[:200]


def invoke(web: Web, caller: Caller) -> None:
    kind = "multipart/form-data; boundary=b"
    text = caller.send("POST", "/invoke/run/", web.picture, Content_Type=kind, HX_Request="true")[1]
    assert 'data-state="done"' in text, text[:500]


CASES: dict[str, Callable[[Web, Caller], None]] = {
    "/healthz": health,
    "the list of models": models,
    "an invocation of a warm model": invoke,
}


def upload(web: Web, megabytes: int) -> float:
    """Seconds for a file that the form refuses by its name after it has been read whole."""
    before = b'--b\r\nContent-Disposition: form-data; name="archive"; filename="a.bin"\r\n\r\n'
    ending = b"\r\n--b--\r\n"
    block = os.urandom(1 << 20)
    head = web.form + before

    def body() -> Iterator[bytes]:
        yield head
        yield from (block for _ in range(megabytes))
        yield ending

    length = len(head) + (megabytes << 20) + len(ending)
    began = time.perf_counter()
    status, text = web.caller().send(
        "POST",
        "/models/new/",
        body(),
        Content_Type="multipart/form-data; boundary=b",
        Content_Length=str(length),
    )
    assert status == 422, text[:500]
    assert "not named" in text
    return time.perf_counter() - began


def rate(web: Web, case: Callable[[Web, Caller], None], callers: int, seconds: float) -> float:
    """Requests a second that ``callers`` get, each sending the next when it has its answer."""
    counts = [0] * callers
    until = time.perf_counter() + seconds

    def call(index: int) -> None:
        caller = web.caller()
        while time.perf_counter() < until:
            case(web, caller)
            counts[index] += 1

    threads = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


@contextmanager
def serving(checkout: Path, environ: dict[str, str]) -> Iterator[int]:
    """The web server of ``checkout``; gives its port."""
    port = free_port()
    command = shell(read_procfile(checkout / "Procfile")["web"])
    path = f"{checkout / '.venv' / 'bin'}:{environ['PATH']}"
    variables = environ | {"WEB_BIND": f"127.0.0.1:{port}", "PATH": path}
    variables.pop("PYTHONPATH", None)
    with running(
        command, cwd=checkout, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for_port(port, process)
        yield port


def line(label: str, unit: str, mine: float, theirs: float) -> str:
    return f"{label:44}{theirs:10.1f}{mine:10.1f} {unit:6}{mine / theirs:8.2f}"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, required=True, help="the other checkout")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--megabytes", type=int, default=256)
    options = parser.parse_args()
    layout = Layout.from_environment(os.environ)
    password = (layout.local_dir / "admin-password").read_text().strip()
    picture = min((layout.local_dir / "demo" / "samples").glob("digit-three*"))
    with ExitStack() as stack:
        webs = [
            Web(name, stack.enter_context(serving(at, environment(layout))), password, picture)
            for name, at in (("there", options.against.resolve()), ("here", ROOT))
        ]
        print(f"{options.calls} calls each, interleaved; load {os.getloadavg()[0]:.1f}")
        print(f"{'':44}{'there':>10}{'here':>10} {'':6}{'ratio':>8}")
        for label, case in CASES.items():
            callers = [web.caller() for web in webs]
            times: list[list[float]] = [[], []]
            for turn in range(-10, options.calls):
                for index in (0, 1) if turn % 2 else (1, 0):
                    began = time.perf_counter()
                    case(webs[index], callers[index])
                    if turn >= 0:
                        times[index].append((time.perf_counter() - began) * 1000)
            there, here = (statistics.quantiles(each, n=100) for each in times)
            print(line(f"{label}, p50", "ms", here[49], there[49]))
            print(line(f"{label}, p99", "ms", here[98], there[98]))
        for label, case in CASES.items():
            rates: list[list[float]] = [[], []]
            for turn in range(options.rounds):
                for index in (0, 1) if turn % 2 else (1, 0):
                    rates[index].append(rate(webs[index], case, 8, options.seconds))
            medians = [statistics.median(each) for each in rates]
            print(line(f"{label}, 8 callers", "/s", medians[1], medians[0]))
        took: list[list[float]] = [[], []]
        for turn in range(options.rounds):
            for index in (0, 1) if turn % 2 else (1, 0):
                took[index].append(upload(webs[index], options.megabytes) * 1000)
        medians = [statistics.median(each) for each in took]
        print(
            line(f"{options.megabytes} MB arrive and are looked at", "ms", medians[1], medians[0])
        )


if __name__ == "__main__":
    ending.run(main)
