"""What the portal adds to boto3's own call of a warm model: by its API and by its page.

Every figure is beside boto3's own call of the same seconds: the three take turns, call by call or
round by round, so that a busy machine slows all of them. What is compared are ratios and
differences of medians.

    make bench-portal                       # of the stack that runs (LOCAL_DIR, PORT, …), else of
                                            # one of its own, which it starts and ends
    make bench-portal ARGS="--own"          # of one of its own in any case
    make bench-portal ARGS="--parts"        # also by part, from a run in one process

``--busy`` also measures while 100 pages poll an endpoint, and while three uploads of 200 MB run.
They leave rejected versions of a model `bench-upload`, so it wants a stack of its own.
"""

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.web import Caller  # noqa: E402 - ROOT is on the path now
from stack.credentials import aws_environment  # noqa: E402
from stack.layout import Layout  # noqa: E402
from stack.parts import environment  # noqa: E402
from tests import ending  # noqa: E402
from tests.stack import Stack  # noqa: E402

ENDPOINT, TARGET, MODEL = "demo", "digits_v2.tar.gz", "digits:2"
CALLERS, CALLER_PROCESSES = 16, 2
PAGES, UPLOADS, UPLOAD_MB = 100, 3, 200
_BOUNDARY = "----bench-7f3a9c51"  # longer than what random bytes may hold by chance
_MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"
_WARM_UP = 10
Call = Callable[[], None]


def tagged(picture: bytes) -> bytes:
    """A JPEG as no call had it before, with the same pixels: nothing of it is kept yet."""
    comment = secrets.token_hex(8).encode()
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]


class Direct:
    """boto3's own call, as a program without the portal makes it."""

    def __init__(self, layout: Layout, picture: bytes) -> None:
        self._aws, self._picture = aws_environment(layout), picture

    def caller(self) -> Call:
        """A caller. Its client is not that of another process, which has open connections."""
        client = _client(os.getpid(), tuple(self._aws.items()))

        def call() -> None:
            answer = client.invoke_endpoint(
                EndpointName=ENDPOINT,
                TargetModel=TARGET,
                ContentType="image/jpeg",
                Accept="application/json",
                Body=tagged(self._picture),
            )
            assert b"predictions" in answer["Body"].read()

        return call


@cache
def _client(_process: int, given: tuple[tuple[str, str], ...]) -> Any:
    """The process's client, with a connection for each thread."""
    aws = dict(given)
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=aws["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region_name=aws["AWS_REGION"],
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=CALLERS),
    )


class Api:
    """The API, with a token, over a connection for each caller."""

    _path = f"/api/v1/endpoints/{ENDPOINT}/invocations?model={MODEL}"

    def __init__(self, port: int, token: str, picture: bytes) -> None:
        self._port, self._picture = port, picture
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content_Type": "image/jpeg",
            "Accept": "application/json",
        }

    def caller(self) -> Call:
        """One caller with a connection."""
        caller = Caller(self._port)

        def call() -> None:
            sent = tagged(self._picture)
            status, text = caller.send("POST", self._path, sent, **self._headers)
            assert status == 200, text
            assert '"predictions"' in text, text

        return call


class Page:
    """The invoke page, as a browser with htmx uses it."""

    content_type = _MULTIPART

    def __init__(self, port: int, password: str, picture: bytes) -> None:
        self._port = port
        first = Caller(port)
        first.log_in(password)
        page = first.send("GET", "/invoke/")[1]
        token = first.token("/invoke/")
        self._fields = {
            "csrfmiddlewaretoken": token,
            "version": _option(page, "digits v2"),
            "endpoint": _option(page, ENDPOINT),
        }
        self.cookies, self.token = first.cookies, token
        self._picture = picture

    def body(self) -> bytes:
        """The form with a picture that no call had before."""
        file = _part('name="picture"; filename="a.jpg"') + tagged(self._picture)
        return form(self._fields) + file + _END

    @property
    def endpoint(self) -> str:
        """The endpoint's id in the addresses of pages."""
        return self._fields["endpoint"]

    def caller(self) -> Call:
        """One caller with a connection."""
        caller = Caller(self._port, self.cookies)

        def call() -> None:
            sent = {"Content_Type": _MULTIPART, "HX_Request": "true"}
            text = caller.send("POST", "/invoke/run/", self.body(), **sent)[1]
            # On a busy machine a page may wait for longer than for its first response.
            while waits := re.search(r'hx-get="([^"]+)"\s+hx-trigger="every', text):
                time.sleep(1)
                text = caller.send("GET", waits[1], HX_Request="true")[1]
            assert 'data-state="done"' in text, text[:500]

        return call


_END = f"\r\n--{_BOUNDARY}--\r\n".encode()


def form(fields: dict[str, str]) -> bytes:
    """Fields of a form, as a browser sends them with a file."""
    return b"".join(
        _part(f'name="{name}"') + value.encode() + b"\r\n" for name, value in fields.items()
    )


def _part(disposition: str) -> bytes:
    return f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()


def _option(page: str, text: str) -> str:
    found = re.search(rf'<option value="(\d+)"[^>]*>\s*{text}\b', page)
    assert found, f"the page offers no {text}"
    return found[1]


def new_token(port: int, page: Page) -> tuple[str, str]:
    """A token of the admin for this run, and its id, by which it is revoked at the end."""
    caller = Caller(port, page.cookies)
    sent = {"Content_Type": "application/json", "X_CSRFToken": page.token}
    body = json.dumps({"name": "bench", "scopes": ["read", "invoke"], "days": 1})
    status, text = caller.send("POST", "/api/v1/tokens", body, **sent)
    assert status == 201, text
    made = json.loads(text)
    return made["token"], made["id"]


# --- measuring -------------------------------------------------------------------------------


def in_turns(callers: dict[str, Call], calls: int) -> dict[str, list[float]]:
    """The milliseconds of so many calls of each, one after the other in turns."""
    times: dict[str, list[float]] = {name: [] for name in callers}
    for turn in range(-_WARM_UP, calls):
        for name, call in callers.items():
            began = time.perf_counter()
            call()
            if turn >= 0:
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def rate(kind: Direct | Api, callers: int, seconds: float) -> float:
    """Answers a second that so many callers get, each sending the next when it has its answer.

    They are threads of several processes, so that it is not the callers who have one core alone.
    """
    context = multiprocessing.get_context("fork")
    counts = context.Queue()
    start = context.Barrier(CALLER_PROCESSES)
    processes = [
        context.Process(
            target=_call_for,
            args=(kind, callers // CALLER_PROCESSES, seconds, start, counts),
            daemon=True,
        )
        for _ in range(CALLER_PROCESSES)
    ]
    for process in processes:
        process.start()
    found = [counts.get(timeout=seconds + 60) for _ in processes]
    for process in processes:
        process.join()
    return sum(found)


def _call_for(kind: Direct | Api, callers: int, seconds: float, start: Any, counts: Any) -> None:
    made = [0] * callers
    each = [kind.caller() for _ in range(callers)]
    for call in each:
        call()
    start.wait()
    began = time.perf_counter()

    def run(index: int) -> None:
        while time.perf_counter() < began + seconds:
            each[index]()
            made[index] += 1

    threads = [threading.Thread(target=run, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(sum(made) / (time.perf_counter() - began))


# --- what else may go on ---------------------------------------------------------------------


@contextmanager
def _meanwhile(target: Callable[..., None], many: list[tuple[Any, ...]]) -> Iterator[Any]:
    """Processes that do something else until the block ends; gives what they count."""
    context = multiprocessing.get_context("fork")
    ends, count = context.Event(), context.Value("i", 0)
    processes = [
        context.Process(target=target, args=(*given, ends, count), daemon=True) for given in many
    ]
    for process in processes:
        process.start()
    try:
        yield count
    finally:
        ends.set()
        for process in processes:
            process.join(60)


def _poll(port: int, cookies: str, path: str, ends: Any, count: Any) -> None:
    """100 pages, each of which asks once a second, as htmx does."""

    def page(number: int) -> None:
        caller = Caller(port, cookies)
        ends.wait(number / PAGES)
        while not ends.wait(1.0):
            status, text = caller.send("GET", path, HX_Request="true")
            assert status == 200, text[:300]
            with count.get_lock():
                count.value += 1

    threads = [threading.Thread(target=page, args=(number,)) for number in range(PAGES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _upload(port: int, cookies: str, token: str, ends: Any, count: Any) -> None:
    """One archive of 200 MB after the other, of bytes that no upload had before."""
    block = os.urandom(1 << 20)
    while not ends.is_set():
        name = f"bench-upload-{secrets.token_hex(4)}"
        fields = {"csrfmiddlewaretoken": token, "name": name, "packing": "auto", "note": ""}
        head = form(fields) + _part(f'name="archive"; filename="{name}.tar.gz"')
        head += secrets.token_bytes(64)

        def body(head: bytes = head) -> Iterator[bytes]:
            yield head
            for _ in range(UPLOAD_MB):
                yield block
            yield _END

        length = len(head) + (UPLOAD_MB << 20) + len(_END)
        sent = {"Content_Type": _MULTIPART, "Content_Length": str(length)}
        try:
            status, text = Caller(port, cookies).send("POST", "/models/new/", body(), **sent)
        except (OSError, http.client.HTTPException):
            status = 503  # refused before it was read
        if status == 503:
            ends.wait(1)
            continue
        assert status in {200, 204, 302}, (status, re.sub(r"<[^>]*>|\s+", " ", text)[-2000:])
        with count.get_lock():
            count.value += 1


# --- the report ------------------------------------------------------------------------------


def _load() -> str:
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def _show(title: str, times: dict[str, list[float]]) -> dict[str, float]:
    """Print the medians beside boto3's; returns them."""
    medians = {name: statistics.median(each) for name, each in times.items()}
    base = medians["boto3"]
    count = len(times["boto3"])
    print(f"\n{title}: {count} calls of each in turns, load {_load()}")
    print(f"{'':10}{'p50 ms':>9}{'p90 ms':>9}{'adds ms':>9}{'× boto3':>9}")
    for name, each in times.items():
        p90 = statistics.quantiles(each, n=10)[8]
        p50 = medians[name]
        print(f"{name:10}{p50:9.1f}{p90:9.1f}{p50 - base:9.1f}{p50 / base:9.2f}")
    return medians


def measure(layout: Layout, options: argparse.Namespace) -> None:
    """Measure, and print the tables."""
    picture = min((layout.local_dir / "demo" / "samples").glob("digit-three*")).read_bytes()
    password = (layout.local_dir / "admin-password").read_text().strip()
    page = Page(layout.port, password, picture)
    token, token_id = new_token(layout.port, page)
    try:
        kinds = {
            "boto3": Direct(layout, picture),
            "API": Api(layout.port, token, picture),
            "page": page,
        }
        callers = {name: kind.caller() for name, kind in kinds.items()}
        print(f"{os.cpu_count()} cores, {len(picture)} bytes of picture")
        idle = _show("One caller", in_turns(callers, options.calls))
        _processor_ms(layout, callers, options.calls)
        _throughput({name: kinds[name] for name in ("boto3", "API")}, options)
        if options.busy:
            _busy(layout, page, callers, idle, options)
        if options.parts:
            _parts(layout, token, options)
    finally:
        sent = {"X_CSRFToken": page.token}
        Caller(layout.port, page.cookies).send("DELETE", f"/api/v1/tokens/{token_id}", **sent)


def _processor_ms(layout: Layout, callers: dict[str, Call], calls: int) -> None:
    """What a call takes of the processor, by program: its throughput, where nothing else is short.

    It is nearly the same on a busy machine. What the portal does after the answer is in it.
    """
    programs = ("web", "localaws", "worker", "s3")
    rows: dict[str, dict[str, float]] = {}
    for name, call in callers.items():
        before = _spent(layout, programs)
        for _ in range(calls):
            call()
        time.sleep(1)  # for what is done after the answer
        after = _spent(layout, programs)
        rows[name] = {each: (after[each] - before[each]) / calls * 1000 for each in after}
    print(f"\nProcessor time, ms a call, of {calls} calls one after the other, load {_load()}")
    print(f"{'':10}" + "".join(f"{each:>10}" for each in (*rows["boto3"], "all", "of boto3")))
    base = sum(rows["boto3"].values())
    for name, row in rows.items():
        cells = "".join(f"{each:10.2f}" for each in row.values())
        print(f"{name:10}{cells}{sum(row.values()):10.2f}{base / sum(row.values()):10.2f}")


def _spent(layout: Layout, programs: tuple[str, ...]) -> dict[str, float]:
    """Seconds that each program and its processes have had; containers are localaws's."""
    ticks, parents = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                ticks[int(entry.name)] = int(fields[11]) + int(fields[12])
    mine = time.process_time()
    found = {"caller": mine}
    for name in programs:
        root = int((layout.local_dir / "run" / f"{name}.pid").read_text())
        found[name] = sum(
            used for pid, used in ticks.items() if root in _line(pid, parents)
        ) / os.sysconf("SC_CLK_TCK")
    return found


def _line(pid: int, parents: dict[int, int]) -> set[int]:
    """A process and those above it."""
    found = set()
    while pid in parents and pid not in found:
        found.add(pid)
        pid = parents[pid]
    return found


def _throughput(kinds: dict[str, Any], options: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(options.rounds):
        names = list(kinds) if turn % 2 else list(reversed(kinds))
        for name in names:
            rates[name].append(rate(kinds[name], CALLERS, options.seconds))
    print(
        f"\n{CALLERS} callers in {CALLER_PROCESSES} processes: {options.rounds} rounds of "
        f"{options.seconds:.0f} s of each in turns, load {_load()}"
    )
    print(f"{'':10}{'answers/s':>11}{'of boto3':>10}   each round's")
    for name, each in rates.items():
        shares = [mine / direct for mine, direct in zip(each, rates["boto3"], strict=True)]
        listed = " ".join(f"{share:.2f}" for share in shares)
        print(
            f"{name:10}{statistics.median(each):11.0f}{statistics.median(shares):10.2f}   {listed}"
        )


def _busy(
    layout: Layout,
    page: Page,
    callers: dict[str, Call],
    idle: dict[str, float],
    options: argparse.Namespace,
) -> None:
    two = {name: callers[name] for name in ("boto3", "API")}
    added = idle["API"] - idle["boto3"]
    path = f"/endpoints/{page.endpoint}/live/"
    polls = [(layout.port, page.cookies, path)]
    uploads = [(layout.port, page.cookies, page.token)] * UPLOADS
    for title, unit, target, many in (
        (f"While {PAGES} pages poll", "polls", _poll, polls),
        (f"While {UPLOADS} uploads of {UPLOAD_MB} MB run", "uploads", _upload, uploads),
    ):
        with _meanwhile(target, many) as count:
            time.sleep(2)  # they are under way
            before, began = count.value, time.monotonic()
            times = in_turns(two, options.calls)
            done, took = count.value - before, time.monotonic() - began
        found = _show(title, times)
        more = found["API"] - found["boto3"]
        print(
            f"The API adds {more:.1f} ms in place of {added:.1f} ({more / added:.2f}); "
            f"{done} {unit} ended in {took:.0f} s."
        )


def _parts(layout: Layout, token: str, options: argparse.Namespace) -> None:
    """Where the milliseconds go, in one process without a network (bench/portal_parts.py)."""
    subprocess.run(
        [sys.executable, ROOT / "bench" / "portal_parts.py", "--calls", str(options.calls)],
        cwd=ROOT,
        env=environment(layout)
        | {
            "BENCH_TOKEN": token,
            "LOCAL_DIR": str(layout.local_dir),
            "PORT": str(layout.port),
        },
        check=True,
    )


@contextmanager
def _running(own: bool) -> Iterator[Layout]:
    """The stack that runs, or one of its own."""
    layout = Layout.from_environment(os.environ)
    if not own:
        try:
            requests.get(f"{layout.url}/healthz", timeout=5).raise_for_status()
        except requests.RequestException:
            print(f"No stack answers at {layout.url}: starting one of its own.", flush=True)
        else:
            yield layout
            return
    with ExitStack() as after:
        folder = after.enter_context(tempfile.TemporaryDirectory(prefix="mme-bench-"))
        given = layout.local_dir / "demo"
        stack = Stack(Path(folder), demo=given if given.is_dir() else None)
        after.callback(stack.stop)
        stack.start()
        yield stack.layout


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--own", action="store_true", help="start a stack, and end it")
    parser.add_argument("--busy", action="store_true", help="also while pages poll and uploads run")
    parser.add_argument("--parts", action="store_true", help="also say where the time goes")
    options = parser.parse_args()
    with _running(options.own) as layout:
        measure(layout, options)


if __name__ == "__main__":
    ending.run(main)
