"""Traffic as real endpoints see it: many callers, many models, a few of them hot.

Run by itself for a longer soak with the real container:

    .venv/bin/python -m localaws.tests.traffic --seconds 120 --memory-mb 1500 [--chaos]
"""

import argparse
import collections
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from localaws.tests.servers import REAL, ROLE, LocalAwsProcess, alive, s3_server, wait_for
from tests.artifacts import constant_archive

ALLOWED = {"ModelNotReadyException", "ServiceUnavailable", "ThrottlingException"}
"""What AWS, too, may say to a caller of a healthy endpoint under pressure."""


@dataclass
class Tally:
    """What callers got."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    texts: collections.Counter[str] = field(default_factory=collections.Counter)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


def drive(
    client: Any,
    endpoint: str,
    targets: list[str],
    *,
    callers: int,
    seconds: float,
    body: bytes,
    is_right: Callable[[str, bytes], bool],
    seed: int = 5,
) -> Tally:
    """Call models at random, the first ones far more often, until ``seconds`` are over."""
    tally = Tally()
    weights = [1 / (rank + 1) for rank in range(len(targets))]  # Zipf's law
    deadline = time.monotonic() + seconds

    def caller(number: int) -> None:
        choose = random.Random(seed * 1000 + number)
        while time.monotonic() < deadline:
            target = choose.choices(targets, weights)[0]
            start = time.monotonic()
            try:
                answer = client.invoke_endpoint(
                    EndpointName=endpoint,
                    ContentType="application/x-image",
                    TargetModel=target,
                    Body=body,
                )["Body"].read()
            except ClientError as error:
                with tally.lock:
                    tally.errors[error.response["Error"]["Code"]] += 1
                    said = str(error.response.get("OriginalMessage", error))
                    tally.texts[said.partition("(")[0][:160]] += 1
                continue
            except BotoCoreError as error:
                with tally.lock:
                    tally.errors[type(error).__name__] += 1
                time.sleep(0.2)
                continue
            with tally.lock:
                tally.slowest = max(tally.slowest, time.monotonic() - start)
                if is_right(target, answer):
                    tally.right += 1
                else:
                    tally.wrong.append(f"{target} answered {answer[:200]!r}")

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--memory-mb", type=int, default=1500)
    parser.add_argument("--log", type=Path, help="keep the log of localaws here")
    parser.add_argument("--chaos", action="store_true", help="kill things meanwhile")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="traffic-") as folder:
        home = Path(folder)
        with s3_server(home / "s3") as s3:
            memory = ("--memory-mb", str(chosen.memory_mb))
            local = LocalAwsProcess(home / "localaws", s3, *memory, container=REAL).start()
            try:
                return soak(local, home, chosen)
            finally:
                local.stop()
                if chosen.log:
                    chosen.log.write_bytes(local.log.read_bytes())


def soak(local: LocalAwsProcess, home: Path, chosen: argparse.Namespace) -> int:
    sagemaker, store = local.client("sagemaker"), local.client("s3")
    store.create_bucket(
        Bucket="traffic", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"}
    )
    targets = [f"m{number:02}.tar.gz" for number in range(chosen.models)]
    for number, target in enumerate(targets):
        path = constant_archive(
            home / target, labels=[f"{target} label {i}" for i in range(6)], answer=number % 6
        )
        store.upload_file(str(path), "traffic", f"models/{target}")
    sagemaker.create_model(
        ModelName="t",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "t",
            "Mode": "MultiModel",
            "ModelDataUrl": "s3://traffic/models/",
        },
    )
    variant = {"VariantName": "AllTraffic", "ModelName": "t", "InstanceType": "ml.m5.xlarge"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="t", ProductionVariants=[variant | {"InitialInstanceCount": 2}]
    )
    sagemaker.create_endpoint(EndpointName="t", EndpointConfigName="t")
    wait_for(lambda: local.admin("endpoints/t")["status"] == "InService", 120)
    Image.new("RGB", (32, 32), "teal").save(home / "picture.png")

    over = threading.Event()
    helpers = [threading.Thread(target=watch, args=(local, over))]
    if chosen.chaos:
        helpers.append(threading.Thread(target=chaos, args=(local, over)))
    for helper in helpers:
        helper.start()
    tally = drive(
        local.client("sagemaker-runtime", max_pool_connections=chosen.callers),
        "t",
        targets,
        callers=chosen.callers,
        seconds=chosen.seconds,
        body=(home / "picture.png").read_bytes(),
        is_right=lambda target, answer: f"class={target} label".encode() in answer[:80],
    )
    over.set()
    for helper in helpers:
        helper.join()
    print(f"right {tally.right}, wrong {len(tally.wrong)}, errors {dict(tally.errors)}")
    print(f"{tally.right / chosen.seconds:.0f} a second; slowest {tally.slowest:.1f} s")
    for line in tally.wrong[:5]:
        print(line)
    for text, count in tally.texts.most_common(8):
        print(f"{count:6} times: {text}")
    pids = [one["pid"] for one in local.instances("t")]
    sagemaker.delete_endpoint(EndpointName="t")
    wait_for(lambda: not sagemaker.list_endpoints()["Endpoints"], 60)
    left = [pid for pid in pids if alive(pid)] + list((local.data / "instances").iterdir())
    print(f"left over after deletion: {left or 'nothing'}")
    bad = set(tally.errors) - ALLOWED if not chosen.chaos else set()
    return 1 if tally.wrong or left or bad else 0


def watch(local: LocalAwsProcess, over: threading.Event) -> None:
    """Print what is loaded now and then."""
    while not over.wait(10):
        try:
            instances = local.instances("t")
        except OSError:
            continue
        for one in instances:
            states = collections.Counter(model["state"] for model in one["models"])
            loads = sum(model["loads"] for model in one["models"])
            print(f"{one['instance']}: {dict(states)}, {loads} loads", flush=True)


def chaos(local: LocalAwsProcess, over: threading.Event) -> None:
    """Kill an instance, a process inside one, or localaws itself, every few seconds."""
    dice = random.Random(11)
    while not over.wait(dice.uniform(4, 9)):
        try:
            instances = local.instances("t")
        except OSError:
            continue
        kind = dice.choice(["instance", "inside", "inside", "localaws"])
        print(f"chaos: {kind}", flush=True)
        if kind == "localaws":
            local.kill()
            local.start()
        elif instances:
            pid = dice.choice(instances)["pid"]
            if kind == "inside":
                below = [
                    int(stat.parent.name)
                    for stat in Path("/proc").glob("[0-9]*/stat")
                    if _session(stat) == pid and int(stat.parent.name) != pid
                ]
                pid = dice.choice(below) if below else pid
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _session(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return -1


if __name__ == "__main__":
    sys.exit(main())
