"""Each part is killed and stopped at each step of each operation, with the real processes.

`make kill-matrix` runs all of it (about an hour), or what ``--only worker:SIGKILL`` and
``--minutes`` allow, and writes what really ran into docs/reliability.md; tests/test_kill_matrix.py
runs a sample.

An endpoint is created, changed, returned to its first revision, scaled, and torn down or let
expire; a round disturbs each of these at the same step: when so many events were told of it. How
many steps an operation has is counted in a round in which nothing is disturbed. A round fails where
an operation does not come to its end, or where the account does not have exactly what it should.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings_test")

from tests.servers import free_port
from tests.small_portal import ROOT, SmallPortal, small_portal

PARTS = ("worker", "beat", "web", "redis", "localaws")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
OPERATIONS = ("create", "update", "roll back", "scale", "tear down", "expire")
TYPES = ("ml.m5.large", "ml.m5.xlarge")
#: A lease lasts 3 s more than both timeouts together; a worker that is stopped outlasts it.
SHORT = {"AWS_CONNECT_TIMEOUT_S": "1", "AWS_READ_TIMEOUT_S": "1", "AWS_CALLS_PER_SECOND": "100"}
STOPPED_S = {"worker": 7.0}
_STOPPED_S = 3.0
SECONDS = 120
_BEGIN, _END = "<!-- kill matrix -->", "<!-- end of the kill matrix -->"

_PERSON = """
import sys, traceback
from datetime import timedelta
from core import clock
from endpoints import expiry, scaling, services
from endpoints.limits import Limits
from endpoints.models import Endpoint
from endpoints.services import SettingsChange
def row(name):
    return Endpoint.objects.get(name=name, gone_at=None)
def create(name):
    services.create_endpoint(name=name, instance_type="ml.m5.large", actor=None)
def change(name, wanted):
    services.request_change(endpoint=row(name), change=wanted, actor=None)
def tear_down(name):
    services.request_teardown(endpoint=row(name), typed_name=name, actor=None)
def expire(name):
    now = clock.now()
    told = Endpoint.EndTold.HOUR
    Endpoint.objects.filter(name=name, gone_at=None).update(expires_at=now, end_told=told)
    expiry.sweep()
for line in sys.stdin:
    try:
        exec(line)
    except Exception:
        traceback.print_exc()
        print("failed", flush=True)
    else:
        print("done", flush=True)
"""
_ASKED = {
    "create": "create({name!r})",
    "update": "change({name!r}, SettingsChange(instance_type='ml.m5.xlarge'))",
    "roll back": "change({name!r}, services.back_to(endpoint=row({name!r}), number=1))",
    "scale": "scaling.set_scaling(endpoint=row({name!r}), limits=Limits(1, 2, 50), actor=None)",
    "tear down": "tear_down({name!r})",
    "expire": "expire({name!r})",
}


@dataclass(frozen=True)
class Disturbance:
    """Which signal a part gets, and after how many events of each operation."""

    part: str
    number: signal.Signals
    step: int


@dataclass
class Outcome:
    """What became of the operations that were disturbed: how many, and what failed."""

    cases: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Rig:
    """A small portal with all its parts, each of which can be killed, stopped and started.

    ``script`` is what people do: a program that does what each line of its input says.
    """

    script = _PERSON

    def __init__(self, portal: SmallPortal, aws: Any, parts: contextlib.ExitStack) -> None:
        self.portal, self.aws, self._stack = portal, aws, parts
        self._running: dict[str, tuple[contextlib.ExitStack, subprocess.Popen[bytes]]] = {}
        self._client = aws.client("sagemaker")
        self._rounds = 0
        for part in ("redis", "worker", "beat", "web"):
            self.start(part)
        self._person = self._stack.enter_context(self._a_person())

    @contextlib.contextmanager
    def _a_person(self) -> Iterator["subprocess.Popen[str]"]:
        command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", self.script]
        with (
            (self.portal.folder / "person.log").open("wb") as log,
            subprocess.Popen(
                command, cwd=ROOT, env=self.portal.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            ) as process,
        ):  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def start(self, part: str) -> None:
        kept = contextlib.ExitStack()
        self._stack.callback(kept.close)
        program = self.portal.redis() if part == "redis" else self.portal.program(part)
        self._running[part] = kept, kept.enter_context(program)

    def ask(self, line: str) -> None:
        assert self._person.stdin is not None
        assert self._person.stdout is not None
        self._person.stdin.write(line + "\n")
        self._person.stdin.flush()
        said = self._person.stdout.readline().strip()
        assert said == "done", (self.portal.folder / "person.log").read_text()[-2000:]

    def disturb(self, what: Disturbance) -> None:
        """Kill a part and start it again; or stop it for some seconds, beside another worker."""
        process = self.aws.process if what.part == "localaws" else self._running[what.part][1]
        if what.number == signal.SIGSTOP:
            process.send_signal(signal.SIGSTOP)
            with contextlib.ExitStack() as beside:
                if what.part == "worker":
                    beside.enter_context(self.portal.program("worker"))
                time.sleep(STOPPED_S.get(what.part, _STOPPED_S))
                process.send_signal(signal.SIGCONT)
            return
        if what.part == "localaws":
            self.aws.kill()
            self.aws.start()
            return
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        self._running[what.part][0].close()
        self.start(what.part)

    def events(self, name: str) -> int:
        found = self.portal.row(
            "SELECT COUNT(*) FROM activity_event WHERE subject_kind = 'endpoint' AND subject_id = "
            f"(SELECT MAX(id) FROM endpoints_endpoint WHERE name = '{name}')"
        )
        return int(found[0])

    def is_done(self, name: str, operation: str) -> bool:
        found = self.portal.row(
            "SELECT status, update_state, failure, scaling, gone_at, instance_type, config_in_use"
            f" FROM endpoints_endpoint WHERE name = '{name}' ORDER BY id DESC LIMIT 1"
        )
        if not found:
            return False
        status, update, failure, scaling, gone_at, kind, _config = found
        if operation in ("tear down", "expire"):
            return gone_at is not None
        quiet = status == "InService" and not update and not failure
        wanted = TYPES[1] if operation == "update" else TYPES[0]
        return quiet and kind == wanted and scaling == ("on" if operation == "scale" else "")

    def left(self, name: str) -> tuple[int, int, int]:
        """How many endpoints, configs and models of this name the account has."""
        client = self._client
        return (
            len(client.list_endpoints(NameContains=name)["Endpoints"]),
            len(client.list_endpoint_configs(NameContains=name)["EndpointConfigs"]),
            len(client.list_models(NameContains=name)["Models"]),
        )

    def round(self, what: Disturbance | None, steps: dict[str, int], outcome: Outcome) -> None:
        """One endpoint's life. Without a disturbance ``steps`` are counted, else used."""
        self._rounds += 1
        name = f"round{self._rounds}"
        # The number of parts and signals is even: by the round alone each would meet one end only.
        end = "expire" if (self._rounds + (what.step if what else 0)) % 2 else "tear down"
        for operation in (*OPERATIONS[:4], end):
            before = self.events(name)
            self.ask(_ASKED[operation].format(name=name))
            case = f"{operation}, round {self._rounds}, {what}"
            if what is not None:
                at = before + what.step % max(1, steps.get(operation, 1))
                self._until(lambda at=at: self.events(name) >= at, case)
                self.disturb(what)
                outcome.cases[operation, what.part, what.number.name] += 1
            try:
                self._until(lambda done=operation: self.is_done(name, done), case)
                gone = operation in ("tear down", "expire")
                assert self.left(name) == ((0, 0, 0) if gone else (1, 1, 1)), (
                    case,
                    self.left(name),
                )
            except AssertionError as problem:
                outcome.failures.append(f"{case}: {str(problem)[:2000]}")
                return
            if what is None:
                steps[operation] = self.events(name) - before
                steps.setdefault("expire", steps.get("tear down", 1))

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                log = self.portal.said("worker")[-3000:]
                raise AssertionError(f"waited {SECONDS} s for {what}\n{log}")
            time.sleep(0.01)


@contextlib.contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """All parts, running."""
    with small_portal(folder) as portal, contextlib.ExitStack() as parts:
        portal.environment |= SHORT
        portal.environment |= {
            "INSTANCE_TYPES": ",".join(TYPES),
            "WEB_BIND": f"127.0.0.1:{free_port()}",
        }
        yield Rig(portal, portal.aws, parts)


def all_of(steps: dict[str, int]) -> Iterator[Disturbance]:
    """Every step with every part and signal, all parts and signals of a step first."""
    for step in range(max(steps.values())):
        for number in SIGNALS:
            for part in PARTS:
                yield Disturbance(part, number, step)


def table(outcome: Outcome, steps: dict[str, int], rounds: int, whole: int) -> str:
    """What ran, in Markdown."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout.strip()  # fmt: skip
    day = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        f"On {day}, commit {commit}: {rounds} of {whole} rounds, {outcome.cases.total()} disturbed "
        f"operations. {len(outcome.failures)} did not come to their end, or left something.",
        "",
        "| operation | steps | "
        + " | ".join(f"{p} {n.name}" for p in PARTS for n in SIGNALS)
        + " |",
        "|---|---:|" + "---:|" * (len(PARTS) * len(SIGNALS)),
    ]
    for operation in OPERATIONS:
        counts = [str(outcome.cases[operation, p, n.name]) for p in PARTS for n in SIGNALS]
        lines.append(f"| {operation} | {steps.get(operation, 0)} | " + " | ".join(counts) + " |")
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the table into docs/reliability.md."""
    page = ROOT / "docs" / "reliability.md"
    before, _, rest = page.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")


def main() -> int:
    """Run it; 1 where an operation failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="as worker:SIGKILL; may be given again")
    parser.add_argument("--minutes", type=float, default=180, help="no round begins after these")
    parser.add_argument("--no-table", action="store_true", help="leave docs/reliability.md alone")
    wanted = parser.parse_args()
    deadline = time.monotonic() + 60 * wanted.minutes
    outcome, steps, rounds = Outcome(), dict[str, int](), 0
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder) / "portal") as made:
        for _ in range(2):  # one that is torn down, one that expires
            made.round(None, steps, outcome)
        assert not outcome.failures, outcome.failures
        whole = list(all_of(steps))
        for what in whole:
            if wanted.only and f"{what.part}:{what.number.name}" not in wanted.only:
                continue
            if time.monotonic() > deadline:
                break
            made.round(what, steps, outcome)
            rounds += 1
            print(f"{rounds}: {what}; {len(outcome.failures)} failed", flush=True)
    text = table(outcome, steps, rounds, len(whole))
    print(text, *outcome.failures, sep="\n")
    if not wanted.no_table:
        write(text)
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
