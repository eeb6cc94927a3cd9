"""The fuzz: mutants of networks, each loaded and asked in a fork of a process that has MXNet.

    make fuzz                        # 20,000, about half an hour on one core
    make fuzz ARGS="--count 1000"
    make fuzz ARGS="--first 4711 --count 1 --show"

Each fork is closed in as the validation is (sandbox.py), and is given 5 s of processor time. It
may come to one of three: *accepted*, *refused* with a sentence, *died* of a signal, memory or time.
Anything else is a fault of ours, and ends the fuzz with code 1: an exception that is no refusal, a
message of several lines or with a stack trace, a fork that outlives its time.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from container import processors

os.environ.update(processors.environment())

import numpy as np

from container import mxnet_alone, sandbox  # noqa: F401
from container.artifact import read_artifact
from container.findings import ArtifactError
from container.network import Network
from container.tests import mutants
from container.tests.fuzz_verdicts import Verdict, fault

CPU_SECONDS = 5
WALL_SECONDS = 60
MEMORY_MB = 1024


def load_and_ask(folder: Path) -> Verdict:
    """What the validation does with an unpacked archive."""
    try:
        network = Network(read_artifact(folder))
        network.predict_rows(np.zeros((1, *network.input_shape[1:]), np.float32))
    except ArtifactError as error:
        return "refused", error.message
    except MemoryError as error:
        return "refused", f"The model needs more memory than is allowed. {error}"
    return "accepted", ""


def _child(plan: sandbox.Plan, folder: Path, into: int, silent: int) -> NoReturn:
    """In the fork: never returns."""
    for number in (0, 1, 2):
        os.dup2(silent, number)
    try:
        sandbox.confine(plan)
        sandbox.forbid_writing(plan)
        verdict = load_and_ask(folder)
    except BaseException as error:
        verdict = ("broken", f"{type(error).__name__}: {error}")
    with contextlib.suppress(BaseException):
        os.write(into, json.dumps(verdict).encode()[:60_000])
    os._exit(0)


def judge(plan: sandbox.Plan, folder: Path, silent: int) -> Verdict:
    """Load and ask what lies in ``folder`` in a fork; returns what came of it, and the message."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        _child(plan, folder, into, silent)
    os.close(into)
    ready, _, _ = select.select([out], [], [], WALL_SECONDS)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(out, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if not ready:
        return "hung", f"It used less than {CPU_SECONDS} s in {WALL_SECONDS} s."
    if not said:
        return "died", signal.Signals(-code).name if code < 0 else f"code {code}"
    verdict, message = json.loads(said)
    return verdict, message


def run(first: int, count: int, *, show: bool = False) -> dict[str, Any]:
    """Judge ``count`` mutants from number ``first`` on; returns how many came to what, and those
    that came to what they must not, by their numbers."""
    home = Path(tempfile.mkdtemp(prefix="mme-fuzz-"))
    home.chmod(0o755)  # for the user that the forks become
    verdicts: collections.Counter[str] = collections.Counter()
    died: dict[str, list[int]] = {}
    faults: dict[int, str] = {}
    slowest = (0.0, first)
    began = time.monotonic()
    silent = os.open(os.devnull, os.O_RDWR)
    try:
        own, given = home / "own", home / "given"
        own.mkdir()
        given.mkdir(mode=0o755)
        limits = sandbox.Limits(memory_mb=MEMORY_MB, cpu_seconds=CPU_SECONDS, file_bytes=0)
        plan = dataclasses.replace(sandbox.plan_for(own, [given], limits), parent=os.getpid())
        if plan.user is not None:
            os.chown(own, plan.user, plan.user)
        for number in range(-mutants.ANSWERING if count > 1 else first, first + count):
            if 0 <= number < first:
                continue  # the seeds go first, to see that they are sound
            files = mutants.mutant(number) if number >= 0 else mutants.seed_files(-number - 1)
            for name, data in files.items():
                (given / name).write_bytes(data)
            started = time.monotonic()
            verdict = judge(plan, given, silent)
            slowest = max(slowest, (time.monotonic() - started, number))
            if number < 0:
                if verdict[0] != "accepted":
                    faults[number] = f"a seed is {verdict}"
                continue
            verdicts[verdict[0]] += 1
            if verdict[0] == "died":
                died.setdefault(verdict[1], []).append(number)
            if (wrong := fault(verdict)) is not None:
                faults[number] = wrong
            if show:
                print(number, *verdict, flush=True)
    finally:
        os.close(silent)
        shutil.rmtree(home, ignore_errors=True)
    return {
        "verdicts": dict(verdicts), "died": died, "faults": faults,
        "seconds": round(time.monotonic() - began, 1), "slowest": slowest,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--show", action="store_true", help="what each came to")
    options = parser.parse_args()
    report = run(options.first, options.count, show=options.show)
    print(json.dumps(report))
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
