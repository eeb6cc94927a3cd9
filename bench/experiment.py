"""How many calls a second an experiment makes, beside a bare loop of boto3, in the same run.

The two take turns, round by round, so that a busy machine slows both. Each makes as many calls, of
the same models, with the same pictures, by as many callers at a time: the bare loop by threads of a
process of its own, with one client, as a program without the portal does it. Both count from their
first call to their last answer. Wanted: an experiment has at most 10 % fewer calls a second.

    make bench-experiment          # of the stack that runs (LOCAL_DIR, PORT, …), else of one of its
                                   # own, which it starts and ends
    make bench-experiment ARGS="--own --rounds 7"

With ``--beside`` it also measures another user's warm call by the API, while an experiment runs and
while the bare loop does. Wanted: it takes at most 1.25 times as long.
"""

import argparse
import multiprocessing
import os
import random
import re
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from bench.portal import _running  # noqa: E402 - ROOT is on the path now
from mme_client import Portal  # noqa: E402
from stack.credentials import aws_environment  # noqa: E402
from stack.layout import Layout  # noqa: E402
from tests import ending  # noqa: E402

ENDPOINT, MODELS = "demo", "digits:1,digits:2"
TARGETS = ["digits_v1.tar.gz", "digits_v2.tar.gz"]


def bare_loop(
    aws: dict[str, str], folder: str, calls: int, callers: int, found: "Queue[float]"
) -> None:
    """Make the calls with boto3; puts how many a second it made."""
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=aws["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region_name=aws["AWS_REGION"],
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=callers),
    )
    pictures = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    chance = random.Random(7)
    drawn = [(chance.choice(TARGETS), chance.choice(pictures)) for _number in range(calls)]

    def call(given: tuple[str, bytes]) -> None:
        answer = client.invoke_endpoint(
            EndpointName=ENDPOINT,
            TargetModel=given[0],
            ContentType="image/jpeg",
            Accept="application/json",
            Body=given[1],
        )
        assert b"predictions" in answer["Body"].read()

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, drawn[:callers]))  # the connections
        began = time.perf_counter()
        list(pool.map(call, drawn))
        found.put(calls / (time.perf_counter() - began))


class Bench:
    """Both, on one stack."""

    def __init__(self, layout: Layout, calls: int, callers: int) -> None:
        self._aws, self.calls, self._callers = aws_environment(layout), calls, callers
        self._folder = layout.local_dir / "demo" / "samples"
        said = (layout.local_dir / "portal.env").read_text()
        known = dict(re.findall(r"^export (MME_\w+)=(\S+)$", said, re.MULTILINE))
        os.environ["NO_PROXY"] = "127.0.0.1"
        self._portal = Portal(known["MME_URL"], known["MME_TOKEN"])
        self._picture = min(self._folder.iterdir()).read_bytes()

    def bare(self) -> float:
        """Calls a second of the bare loop."""
        context = multiprocessing.get_context("spawn")
        found = context.Queue()
        given = (self._aws, str(self._folder), self.calls, self._callers, found)
        process = context.Process(target=bare_loop, args=given)
        process.start()
        process.join()
        assert process.exitcode == 0, "the bare loop failed"
        return float(found.get())

    def experiment(self) -> float:
        """Calls a second of an experiment."""
        made = self._portal.experiments.create(
            ENDPOINT, MODELS, calls=self.calls, callers=self._callers, seed=7
        )
        done = made.wait(timeout=600)
        assert done.succeeded == self.calls, done.document
        return float(done.calls_per_second or 0)

    def call_ms(self, beside: Any) -> float:
        """The median of another user's call by the API while ``beside`` runs."""
        busy = threading.Thread(target=beside)
        busy.start()
        times = []
        while busy.is_alive():
            began = time.perf_counter()
            self._portal.invoke(ENDPOINT, "digits:2", self._picture)
            times.append(1000 * (time.perf_counter() - began))
            time.sleep(0.05)
        # Without its beginning and end, when the other one does not call yet or any more.
        edge = len(times) // 4
        return statistics.median(times[edge : len(times) - edge] or times)


def _report(what: str, bare: list[float], mine: list[float], unit: str) -> None:
    ratios = [one / other for one, other in zip(mine, bare, strict=True)]
    print(
        f"{what}: bare loop {statistics.median(bare):.1f} {unit}, experiment "
        f"{statistics.median(mine):.1f} {unit}: {statistics.median(ratios):.2f} "
        f"(rounds {min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--own", action="store_true", help="start a stack, and end it")
    parser.add_argument("--beside", action="store_true", help="also another user's call meanwhile")
    options = parser.parse_args()
    with _running(options.own) as layout:
        bench = Bench(layout, options.calls, options.callers)
        bench.bare()  # both models are warm after it
        bench.experiment()
        rounds = [(bench.bare(), bench.experiment()) for _round in range(options.rounds)]
        _report("calls a second", [one[0] for one in rounds], [one[1] for one in rounds], "1/s")
        if options.beside:
            # Long enough that the start of either is a small part of it.
            bench.calls *= 5
            rounds = [
                (bench.call_ms(bench.bare), bench.call_ms(bench.experiment))
                for _round in range(options.rounds)
            ]
            _report(
                "a call meanwhile", [one[0] for one in rounds], [one[1] for one in rounds], "ms"
            )


if __name__ == "__main__":
    ending.run(main)
