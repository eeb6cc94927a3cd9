"""Wishes, kills and interference at random, against localaws with real containers.

The long mode of endpoints/tests/machine.py, which has an account in its own process: here all parts
of the portal are real processes, and an endpoint's instances are real containers.

    make machine ARGS="--localaws --minutes 20 --seed 7"

In a round two endpoints are asked for all sorts of things while parts are killed or stopped, and
while somebody changes them outside the portal. Then each must come to what is wanted, or say why
not; what serves must answer a call; and after the teardowns the account must be empty.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from localaws.tests.servers import REAL
from tests.artifacts import constant_archive
from tests.kill_matrix import PARTS, SHORT, SIGNALS, TYPES, Disturbance, Rig
from tests.servers import free_port
from tests.small_portal import BUCKET, small_portal

NAMES = ("alpha", "beta")
TARGET = "one.tar.gz"
SECONDS = 240
#: Wishes of one round.
WISHES = 12

# Each line is an expression; its value, or why it was refused, is answered as JSON.
_PERSON = """
import json, sys, traceback
from datetime import timedelta
from django.core.exceptions import ValidationError
from django.db import close_old_connections
from core import clock
from endpoints import drift, expiry, pausing, scaling, services
from endpoints.limits import Limits
from endpoints.models import Endpoint
from endpoints.services import SettingsChange
def latest(name):
    return Endpoint.objects.filter(name=name).order_by("-pk").first()
def row(name):
    found = latest(name)
    if found is None:
        raise ValidationError("There is no such endpoint.")
    return found
def create(name, kind, count):
    services.create_endpoint(
        name=name, instance_type=kind, instance_count=count, actor=None)
def change(name, **wanted):
    services.request_change(endpoint=row(name), change=SettingsChange(**wanted), actor=None)
def roll_back(name, number):
    if not row(name).revisions.filter(number=number).exists():
        raise ValidationError("There is no such revision.")
    back = services.back_to(endpoint=row(name), number=number)
    services.request_change(endpoint=row(name), change=back, actor=None)
def scale(name, *limits):
    scaling.set_scaling(endpoint=row(name), limits=Limits(*limits) if limits else None, actor=None)
def pause(name):
    pausing.pause_now(endpoint=row(name), actor=None)
def resume(name):
    pausing.resume_now(endpoint=row(name), actor=None)
def decide(name, accepted):
    (drift.accept if accepted else drift.put_back)(endpoint=row(name), actor=None)
def tear_down(name):
    services.request_teardown(endpoint=row(name), typed_name=name, actor=None)
def undo(name):
    services.undo_teardown(endpoint=row(name), actor=None)
def expire(name):
    now, told = clock.now(), Endpoint.EndTold.HOUR
    Endpoint.objects.filter(name=name, gone_at=None).update(expires_at=now, end_told=told)
    expiry.sweep()
def look(name):
    services.check_now(endpoint=row(name))
def told(name):
    one = latest(name)
    if one is None:
        return None
    code = one.failure_said.stable_code or ""
    final = one.rollback_failed or one.state == Endpoint.State.FAILED
    return {
        "gone": one.gone_at is not None, "absent": one.wanted == Endpoint.Wanted.ABSENT,
        "settled": one.settled, "failure": one.failure, "hint": one.hint,
        "says_why_not": bool(one.failure) and (code.endswith(".foreign") or final),
        "rollback_failed": one.rollback_failed, "deleted_outside": one.deleted_outside,
        "to_pause": one.to_pause, "paused": one.paused, "state": one.state,
        "checked_at": one.checked_at and one.checked_at.isoformat(),
        "changed_outside": one.changed_outside, "scaled": one.limits is not None,
        "running": [[p.instance_type, p.instance_count] for p in one.running.parts],
        "requested": [[p.instance_type, p.instance_count] for p in one.requested.parts],
    }
for line in sys.stdin:
    close_old_connections()
    try:
        answer = {"value": eval(line)}
    except ValidationError as problem:
        answer = {"refused": str(problem)}
    except Exception:
        answer = {"failed": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
"""


class Walk(Rig):
    """One walk: what was wished, and how often it was taken."""

    script = _PERSON

    def __init__(self, portal: Any, aws: Any, parts: contextlib.ExitStack) -> None:
        super().__init__(portal, aws, parts)
        self.taken: Counter[str] = Counter()
        self.done: list[str] = []

    def tell(self, line: str) -> Any:
        """What a line of the person's comes to; None where it is refused."""
        assert self._person.stdin is not None
        assert self._person.stdout is not None
        self._person.stdin.write(line + "\n")
        self._person.stdin.flush()
        answer = json.loads(self._person.stdout.readline())
        assert "failed" not in answer, (line, answer)
        if "refused" in answer:
            self.taken["refused"] += 1
            return None
        self.taken[line.partition("(")[0]] += 1
        return answer["value"]

    def round_of(self, dice: random.Random) -> None:
        """Some wishes while things go wrong; then each endpoint ends as it was wanted."""
        self.done = []
        for name in NAMES:
            self._wish(_creation(dice, name))
        for _ in range(WISHES):
            name = dice.choice(NAMES)
            self._wait_a_little(dice, name)
            told = self.tell(f"told({name!r})")
            ended = told is None or told["gone"]
            self._wish(_creation(dice, name) if ended else _wish(dice, name))
            if dice.random() < 0.35:
                what = Disturbance(dice.choice(PARTS), dice.choice(SIGNALS), 0)
                self.done.append(f"{what.part} {what.number.name}")
                self.disturb(what)
                self.taken["disturbed"] += 1
            if dice.random() < 0.2:
                self._outside(dice, name)
        for name in NAMES:
            self._ends_as_wanted(name)
        for name in NAMES:
            told = self.tell(f"told({name!r})")
            if told is not None and not told["gone"]:
                if not told["absent"]:
                    self.tell(f"tear_down({name!r})")
                self._until_told(name, lambda one: one["gone"], "gone")
        self._account_is_empty()

    def _wish(self, line: str) -> None:
        self.done.append(line)
        self.tell(line)

    def _wait_a_little(self, dice: random.Random, name: str) -> None:
        """Until so many events more were told of it, or for some seconds."""
        before, wanted = self.events(name), dice.randint(0, 6)
        deadline = time.monotonic() + dice.uniform(0.2, 6)
        while self.events(name) < before + wanted and time.monotonic() < deadline:
            time.sleep(0.05)

    def _outside(self, dice: random.Random, name: str) -> None:
        """Somebody changes it with the AWS CLI."""
        client = self.aws.client("sagemaker")
        self.done.append(f"outside: {name}")
        try:
            if dice.random() < 0.3:
                client.delete_endpoint(EndpointName=name)
                self.taken["deleted outside"] += 1
                return
            wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": dice.randint(1, 2)}
            client.update_endpoint_weights_and_capacities(
                EndpointName=name, DesiredWeightsAndCapacities=[wanted]
            )
            self.taken["scaled outside"] += 1
        except (ClientError, BotoCoreError):
            self.taken["outside in vain"] += 1

    def _until_told(self, name: str, holds: Callable[[Any], bool], what: str) -> Any:
        deadline = time.monotonic() + SECONDS
        told = None
        while time.monotonic() < deadline:
            told = self.tell(f"told({name!r})")
            if told is not None and holds(told):
                return told
            time.sleep(0.2)
        log = self.portal.said("worker")[-4000:]
        raise AssertionError(f"{name} is not {what}: {told}\n{self.done}\n{log}")

    def _settled(self, name: str) -> Any:
        def rests(one: Any) -> bool:
            if one["gone"]:
                return True
            if one["absent"]:
                return False
            rests = one["settled"] and not one["failure"]
            return bool(rests or one["deleted_outside"] or one["says_why_not"])

        return self._until_told(name, rests, "settled")

    def _ends_as_wanted(self, name: str) -> None:
        if self.tell(f"told({name!r})") is None:
            return
        told = self._settled(name)
        if told["gone"]:
            assert self.left(name) == (0, 0, 0), (self.left(name), self.done)
            return
        if told["to_pause"] and not told["says_why_not"]:
            assert self.left(name)[0] == 0, "what is paused costs money"
            self.tell(f"resume({name!r})")
            told = self._settled(name)
        if told["rollback_failed"]:
            self.tell(f"change({name!r}, instance_type={told['requested'][0][0]!r})")
            told = self._settled(name)
        if not told["says_why_not"]:
            told = self._looked_at(name)
        if told["deleted_outside"]:
            self.tell(f"decide({name!r}, False)")
            told = self._settled(name)
        if told["says_why_not"]:
            self.taken["says why not"] += 1
            return
        self._serves(name, told)

    def _looked_at(self, name: str) -> Any:
        """As the portal tells it when it has seen what was changed outside, and that is done."""
        client = self.aws.client("sagemaker")
        deadline = time.monotonic() + SECONDS
        with contextlib.suppress(ClientError):  # it was deleted outside
            while client.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
                assert time.monotonic() < deadline, (name, self.done)
                time.sleep(0.2)
        before = self.tell(f"told({name!r})")["checked_at"]
        self.tell(f"look({name!r})")
        self._until_told(name, lambda one: one["checked_at"] > before, "looked at")
        return self._settled(name)

    def _serves(self, name: str, told: Any) -> None:
        found = self.aws.client("sagemaker").describe_endpoint(EndpointName=name)
        assert found["EndpointStatus"] == "InService", (found, self.done)
        (variant,) = found["ProductionVariants"]
        assert told["running"][0][1] == variant["CurrentInstanceCount"], (told, found, self.done)
        if not told["scaled"] and not told["changed_outside"]:
            assert told["running"] == told["requested"], (told, self.done)
        assert self.left(name) == (1, 1, 1), (self.left(name), self.done)
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, TargetModel=TARGET, ContentType="image/png", Body=_picture()
        )
        assert answer["Body"].read(), self.done
        self.taken["serves"] += 1

    def _account_is_empty(self) -> None:
        for name in NAMES:
            assert self.left(name) == (0, 0, 0), (name, self.left(name), self.done)
        targets = self.aws.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker"
        )["ScalableTargets"]
        assert not targets, (targets, self.done)


def _wish(dice: random.Random, name: str) -> str:
    """A wish, and with what; most are changes."""
    options = {"environment": {"OMP_NUM_THREADS": str(dice.randint(1, 2))}}
    changes = (
        f"change({name!r}, instance_type={dice.choice(TYPES)!r})",
        f"change({name!r}, instance_count={dice.randint(1, 2)})",
        f"change({name!r}, options={options})",
    )
    others = (
        f"roll_back({name!r}, {dice.randint(1, 3)})",
        f"scale({name!r}, 1, 2, 50)",
        f"scale({name!r})",
        f"pause({name!r})",
        f"resume({name!r})",
        f"decide({name!r}, {dice.random() < 0.5})",
        f"tear_down({name!r})",
        f"undo({name!r})",
        f"expire({name!r})",
        _creation(dice, name),  # its name is taken
    )
    return dice.choice((*changes, *changes, *changes, *others))


def _creation(dice: random.Random, name: str) -> str:
    return f"create({name!r}, {dice.choice(TYPES)!r}, {dice.randint(1, 2)})"


def _picture() -> bytes:
    with tempfile.SpooledTemporaryFile() as file:
        Image.new("RGB", (32, 32), "red").save(file, "PNG")
        file.seek(0)
        return file.read()


def walk(*, minutes: float, seed: int, container: str = REAL) -> Counter[str]:
    """Rounds until the time is over; what was taken. Raises AssertionError with what was done."""
    deadline = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as given, contextlib.ExitStack() as parts:
        folder = Path(given)
        portal = parts.enter_context(small_portal(folder / "portal", container=container))
        portal.environment |= SHORT
        portal.environment |= {
            "INSTANCE_TYPES": ",".join(TYPES),
            "WEB_BIND": f"127.0.0.1:{free_port()}",
            "TEARDOWN_UNDO_S": "2",
        }
        archive = constant_archive(folder / TARGET, labels=("no", "yes"), answer=1)
        s3 = portal.aws.client("s3")
        s3.put_object(Bucket=BUCKET, Key=f"models/{TARGET}", Body=archive.read_bytes())
        made = Walk(portal, portal.aws, parts)
        while time.monotonic() < deadline:
            print(f"round with seed {seed}", flush=True)
            made.round_of(random.Random(seed))
            made.taken["rounds"] += 1
            print(dict(made.taken), flush=True)
            seed += 1
        return made.taken


def main() -> int:
    """Walk for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    walk(minutes=wanted.minutes, seed=wanted.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
