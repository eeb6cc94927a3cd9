"""Each part is killed and stopped at each step of each operation, with the real processes.

`make kill-matrix` runs all of it (about an hour), or what ``--only worker:SIGKILL`` and
``--minutes`` allow, and writes what really ran into docs/reliability.md; tests/test_kill_matrix.py
runs a sample. With ``--catalog`` the operations are those of tests/kill_catalog.py.

An endpoint is created, changed, returned to its first revision, scaled, and torn down or let
expire; a round disturbs each of these at the same step: when so many events were told of it. How
many steps an operation has is counted in a round in which nothing is disturbed. A round fails where
an operation does not come to its end, or where the account does not have exactly what it should.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings_test")

from tests import kill_catalog
from tests.killing import SHORT, Matrix, Outcome, Parts, ended, played
from tests.servers import free_port
from tests.small_portal import SmallPortal, small_portal

PARTS = ("worker", "beat", "web", "redis", "localaws")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
OPERATIONS = ("create", "update", "roll back", "scale", "tear down", "expire")
TYPES = ("ml.m5.large", "ml.m5.xlarge")
SECONDS = 120

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


class Rig(Parts):
    """A small portal with all its parts, each of which can be killed, stopped and started."""

    script = _PERSON

    def __init__(
        self, portal: SmallPortal, names: Sequence[str], aws: Any, parts: contextlib.ExitStack
    ) -> None:
        super().__init__(portal, names, {"localaws": aws}, parts)
        self.aws = aws
        self._client = aws.client("sagemaker")
        self._rounds = 0

    def disturb(self, what: Disturbance) -> None:
        """Kill a part and start it again; or stop it for some seconds, beside another worker."""
        if what.number == signal.SIGSTOP:
            self.stop_for_a_while(what.part)
            return
        self.kill(what.part)
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
def rig(folder: Path, parts_wanted: Sequence[str] = PARTS) -> Iterator[Rig]:
    """These parts, running."""
    with small_portal(folder) as portal, contextlib.ExitStack() as parts:
        portal.environment |= SHORT
        portal.environment |= {
            "INSTANCE_TYPES": ",".join(TYPES),
            "WEB_BIND": f"127.0.0.1:{free_port()}",
        }
        names = [name for name in ("redis", "worker", "beat", "web") if name in parts_wanted]
        yield Rig(portal, names, portal.aws, parts)


def all_of(steps: dict[str, int]) -> Iterator[Disturbance]:
    """Every step with every part and signal, all parts and signals of a step first."""
    for step in range(max(steps.values())):
        for number in SIGNALS:
            for part in PARTS:
                yield Disturbance(part, number, step)


def _columns() -> list[tuple[str, str]]:
    return [(part, number.name) for part in PARTS for number in SIGNALS]


def main() -> int:
    """Run it; 1 where an operation failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", action="store_true", help="the operations of the catalog")
    parser.add_argument("--only", action="append", help="as worker:SIGKILL; may be given again")
    parser.add_argument(
        "--act", action="append", choices=kill_catalog.ACTS, help="of the catalog, these alone"
    )
    parser.add_argument("--minutes", type=float, default=180, help="no round begins after these")
    parser.add_argument("--first", type=int, default=1, help="begin with this round, as 97")
    parser.add_argument("--no-table", action="store_true", help="leave docs/reliability.md alone")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "portal"
        return kill_catalog.run(wanted, where) if wanted.catalog else run(wanted, where)


def run(wanted: argparse.Namespace, folder: Path) -> int:
    """Run what is wanted of it; 1 where an operation failed."""
    outcome, steps = Outcome(), dict[str, int]()
    with rig(folder) as made:
        for _ in range(2):  # one that is torn down, one that expires
            made.round(None, steps, outcome)
        assert not outcome.failures, outcome.failures
        whole = list(all_of(steps))
        rounds = played(
            wanted,
            whole,
            lambda what: (what.part, what.number.name),
            lambda what: made.round(what, steps, outcome),
            outcome,
        )
    matrix = Matrix("kill matrix", OPERATIONS, steps, _columns(), rounds, len(whole))
    return ended(wanted, matrix, outcome)


if __name__ == "__main__":
    sys.exit(main())
