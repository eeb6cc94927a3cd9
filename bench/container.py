"""The container beside a plain one: cold start, latency, throughput, memory.

    make bench-container                    # everything, a few minutes
    make bench-container ARGS="--quick"     # fewer repetitions
    make bench-container ARGS="--only squeezenet"

Both sides run the released Multi Model Server and are measured interleaved, so that other load
affects both. The plain side is the server as it comes, with a handler
on the Module API (plain_handler.py). Networks have generated weights and the notebook's layout.
"""

import argparse
import io
import json
import math
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from PIL import Image  # noqa: E402

from container.tests.serving import (  # noqa: E402
    Server,
    container_python,
    descendants,
    free_port,
    java_home,
    start_server,
    wait_until_ready,
)
from tests import ending  # noqa: E402
from tests.artifacts import constant_archive  # noqa: E402

NETWORKS = ("resnet-18", "resnet-152", "squeezenet")
SIDES = ("plain", "container")
CALLERS = 4
NOTHING = "nothing"


@dataclass
class Figures:
    """What was measured of one side with one network; times in ms, memory in MB."""

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    one_model: list[float] = field(default_factory=list)
    four_models: list[float] = field(default_factory=list)
    idle_mb: float = 0.0
    further_mb: float = 0.0
    given_back: float = 0.0
    answer: list[dict[str, object]] = field(default_factory=list)


@contextmanager
def plain_server(home: Path) -> Iterator[Server]:
    """Multi Model Server as it comes, with the baseline's handler."""
    port = free_port()
    (home / "tmp").mkdir(parents=True)
    config = home / "config.properties"
    address = f"http://127.0.0.1:{port}"
    config.write_text(
        f"inference_address={address}\nmanagement_address={address}\n"
        "default_workers_per_model=1\ndefault_response_timeout_seconds=360\n"
        f"default_service_handler={REPOSITORY / 'bench' / 'plain_handler.py'}:handle\n"
        "decode_input_request=false\nmodel_store=/\nvmargs=-Xmx256m\n"
    )
    environment = {
        "PATH": f"{Path(container_python()).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "TEMP": str(home / "tmp"),
        "LOG_LOCATION": str(home),
        "METRICS_LOCATION": str(home),
    }
    if (java := java_home()) is not None:
        environment["JAVA_HOME"] = java
    log_file = home / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [container_python(), "-m", "mms.model_server", "--start", "--foreground",
             "--mms-config", str(config), "--model-store", "/"],
            env=environment, cwd=home, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    server = Server(f"127.0.0.1:{port}", home, process, log_file, environment)
    try:
        wait_until_ready(server)
        yield server
    finally:
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)


def memory_mb(server: Server) -> float:
    """Memory of the server's processes but the JVM, shared pages in shares (PSS)."""
    total = 0
    for pid in server.processes():
        try:
            if os.readlink(f"/proc/{pid}/exe").endswith("/java"):
                continue  # its heap comes and goes with the collector
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


class Caller:
    """One client with a connection of its own."""

    def __init__(self, server: Server, picture: bytes) -> None:
        self.picture = picture
        self.decode_ms = 0.0
        """What the last call's picture took to decode, as the container says."""
        self.connection = server.connection(120)

    def call(self, model: str) -> tuple[float, bytes]:
        """Invoke ``model``; returns the time in ms and the answer."""
        started = time.perf_counter()
        headers = {"Content-Type": "image/jpeg", "Accept": "application/json"}
        self.connection.request("POST", f"/models/{model}/invoke", self.picture, headers)
        response = self.connection.getresponse()
        body = response.read()
        took = (time.perf_counter() - started) * 1000
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {body[:300]!r}")
        attributes = response.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
        self.decode_ms = float("0" + "".join(re.findall(r"decode_ms=([\d.]+)", attributes)))
        return took, body


def throughput(server: Server, picture: bytes, models: list[str], seconds: float) -> float:
    """Answers a second with ``CALLERS`` callers, each on its model in turn."""
    counts = [0] * CALLERS
    end = time.perf_counter() + seconds

    def run(number: int) -> None:
        caller = Caller(server, picture)
        while time.perf_counter() < end:
            caller.call(models[number % len(models)])
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CALLERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def wait_until_idle(server: Server, processes: int) -> None:
    """Wait until no model has a process any more."""
    deadline = time.monotonic() + 30
    while len(server.processes()) > processes:
        if time.monotonic() > deadline:
            raise RuntimeError(f"it does not end its processes:\n{server.log()[-2000:]}")
        time.sleep(0.05)


def load(server: Server, name: str, folder: Path) -> None:
    answer = server.load(name, folder)
    if answer.status != 200:
        raise RuntimeError(f"{name}: {answer.status} {answer.body!r}\n{server.log()[-2000:]}")


def measure(
    servers: dict[str, Server], folder: Path, picture: bytes, raw: subprocess.Popen[str],
    rounds: int, seconds: float,
) -> tuple[dict[str, Figures], list[float], list[float]]:  # fmt: skip
    """Measure both sides in turns on one network; also forward passes without a server, and calls
    of a network that does nothing, less their decoding, which is in the passes: they cost what MMS
    and the handler cost by themselves."""
    figures = {side: Figures() for side in SIDES}
    idle = {side: len(server.processes()) for side, server in servers.items()}
    for number in range(rounds):  # cold: from the load to the first answer
        for side, server in servers.items():
            name = f"cold{number}"
            started = time.perf_counter()
            load(server, name, folder)
            _, body = Caller(server, picture).call(name)
            figures[side].cold.append((time.perf_counter() - started) * 1000)
            figures[side].answer = json.loads(body)["predictions"]
            server.unload(name)
            wait_until_idle(server, idle[side])  # or its end would be in the next one's way

    for side, server in servers.items():
        figures[side].idle_mb = memory_mb(server)
        load(server, "m0", folder)
        Caller(server, picture).call("m0")
    callers = {side: Caller(server, picture) for side, server in servers.items()}
    load(servers["container"], NOTHING, folder.parent / NOTHING)
    limit: list[float] = []
    nothing: list[float] = []
    for _ in range(rounds * 2):
        idle_caller = callers["container"]
        nothing += [idle_caller.call(NOTHING)[0] - idle_caller.decode_ms for _ in range(20)]
        for side in SIDES:
            figures[side].warm += [callers[side].call("m0")[0] for _ in range(20)]
        assert raw.stdin is not None
        assert raw.stdout is not None
        raw.stdin.write("20\n")
        raw.stdin.flush()
        limit += [float(value) for value in raw.stdout.readline().split()]

    servers["container"].unload(NOTHING)
    wait_until_idle(servers["container"], idle["container"] + 2)

    for side, server in servers.items():
        one = memory_mb(server)
        for number in (1, 2, 3):
            load(server, f"m{number}", folder)
            Caller(server, picture).call(f"m{number}")
        figures[side].further_mb = (memory_mb(server) - one) / 3
    for _ in range(max(2, rounds // 2)):
        for side, server in servers.items():
            figures[side].one_model.append(throughput(server, picture, ["m0"], seconds))
        for side, server in servers.items():
            names = ["m0", "m1", "m2", "m3"]
            figures[side].four_models.append(throughput(server, picture, names, seconds))
    for side, server in servers.items():
        full = memory_mb(server)
        for number in range(4):
            server.unload(f"m{number}")
        taken = max(1.0, full - figures[side].idle_mb)
        figures[side].given_back = 100 * (full - memory_mb(server)) / taken
    return figures, limit, nothing


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def rows(
    figures: dict[str, Figures], limit: list[float], nothing: list[float]
) -> list[tuple[str, float, float]]:
    """(what, plain or else what ours is to be compared with, container) for the table."""
    plain, ours = figures["plain"], figures["container"]

    def fitting(side: Figures) -> float:
        return (4096 - side.idle_mb) // side.further_mb

    median = statistics.median
    return [
        ("cold start, load to first answer (ms)", median(plain.cold), median(ours.cold)),
        ("warm p50, 1 caller (ms)", median(plain.warm), median(ours.warm)),
        ("warm p99, 1 caller (ms)", percentile(plain.warm, 0.99), percentile(ours.warm, 0.99)),
        ("raw MXNet p50, no server (ms)", math.nan, median(limit)),
        ("call of a network that does nothing, less decoding, p50 (ms)", math.nan, median(nothing)),
        ("warm p50 beside their sum (ms)", median(limit) + median(nothing), median(ours.warm)),
        ("answers/s, 4 callers, 1 model", median(plain.one_model), median(ours.one_model)),
        ("answers/s, 4 callers, 4 models", median(plain.four_models), median(ours.four_models)),
        ("memory of a further model (MB)", plain.further_mb, ours.further_mb),
        ("models in 4 GiB", fitting(plain), fitting(ours)),
        ("memory given back on unload (%)", plain.given_back, ours.given_back),
    ]


def difference(figures: dict[str, Figures]) -> float:
    """The largest difference between the two sides' probabilities, label by label."""
    sides = [
        {str(entry["label"]): float(str(entry["probability"])) for entry in figures[side].answer}
        for side in SIDES
    ]
    common = sides[0].keys() & sides[1].keys()
    if len(common) < len(sides[0]) - 1:  # the fifth and sixth may be as good as equal
        return math.inf
    return max(abs(sides[0][label] - sides[1][label]) for label in common)


def picture_of(side: int) -> bytes:
    """A JPEG of the network's own size, so that no resizing tells the two sides apart.

    Coarse noise, smoothed: about as many bytes as a photograph of that size.
    """
    coarse = side // 4
    pixels = random.Random(7).randbytes(coarse * coarse * 3)
    image = Image.frombytes("RGB", (coarse, coarse), pixels).resize((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


@contextmanager
def raw_process(folder: Path, picture: Path, server: Server) -> Iterator[subprocess.Popen[str]]:
    """MXNet in one process with the threads, and all else, that the container's workers have."""
    variables = Path(f"/proc/{server.host()}/environ").read_text().rstrip("\0").split("\0")
    environment = dict(variable.split("=", 1) for variable in variables)
    process = subprocess.Popen(
        [container_python(), str(REPOSITORY / "bench" / "raw.py"), str(folder), str(picture)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=NETWORKS, action="append")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--keep", type=Path, default=REPOSITORY / "bench" / "out" / "networks",
                        help="folder of the networks")  # fmt: skip
    arguments = parser.parse_args()
    rounds, seconds = (2, 2.0) if arguments.quick else (6, 4.0)

    print("Writing networks …", flush=True)
    subprocess.run(
        [container_python(), str(REPOSITORY / "bench" / "networks.py"), str(arguments.keep)],
        check=True, timeout=600, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with tarfile.open(
        constant_archive(arguments.keep / "nothing.tar.gz", labels=["a", "b"], answer=1)
    ) as archive:
        archive.extractall(arguments.keep / NOTHING)
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    print(f"{cores} cores, {memory:.0f} GiB; load average {os.getloadavg()[0]:.1f} at the start\n")
    home = Path(tempfile.mkdtemp(prefix="mme-bench-"))
    picture = picture_of(224)
    (home / "picture.jpg").write_bytes(picture)
    try:
        for network in arguments.only or NETWORKS:
            folder = arguments.keep / network
            with ExitStack() as stack:
                here = home / network
                (here / "container").mkdir(parents=True)
                servers = {
                    "plain": stack.enter_context(plain_server(here / "plain")),
                    "container": stack.enter_context(
                        start_server(here / "container", MME_MODELS_DIR=str(arguments.keep))
                    ),
                }
                raw = stack.enter_context(
                    raw_process(folder, home / "picture.jpg", servers["container"])
                )
                figures, limit, nothing = measure(servers, folder, picture, raw, rounds, seconds)
            print(f"| {network} | plain | container | ratio |\n|---|---:|---:|---:|")
            for what, plain, ours in rows(figures, limit, nothing):
                if math.isnan(plain):
                    print(f"| {what} | | {ours:.1f} | |")
                else:
                    print(f"| {what} | {plain:.1f} | {ours:.1f} | {ours / plain:.2f} |")
            print(f"| largest difference of probabilities | | {difference(figures):.1e} | |\n",
                  flush=True)  # fmt: skip
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    ending.run(main)
