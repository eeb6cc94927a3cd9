"""Many callers on an endpoint of real containers whose memory holds a quarter of the models.

    python -m localaws.tests.soak [--seconds 180] [--chaos-seconds 180]

runs it twice: undisturbed, and while its parts are killed at random (:mod:`chaos`). It prints a
report and exits with 1 where one of these does not hold:

* every response is of the called model;
* callers see only errors that AWS would give (:mod:`traffic` lists them);
* the memory of each container's processes stays under --memory-mb: Pss_Anon and Pss_Shmem of the
  process tree, as the container itself and a cgroup count it; pages of mapped files are printed
  besides;
* afterwards every model answers without an error;
* after DeleteEndpoint no process, folder, socket or port of an instance is left, and after
  localaws has ended none of its own.
"""

import argparse
import collections
import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from localaws.tests import traffic
from localaws.tests.chaos import Chaos
from localaws.tests.processes import (
    InstanceRecord,
    MemorySampler,
    memory,
    wait_until_nothing_is_left,
)
from localaws.tests.servers import REAL, REGION, ROLE, LocalAwsProcess, S3Server, wait_for
from tests import ending
from tests.artifacts import constant_archive

BUCKET, NAME = "soak", "soak"
MEGABYTE = 1024 * 1024
INSTANCES = 2
SETTLE_SECONDS = 180.0
"""After the kills: MMS restarts workers with backoff, and containers start meanwhile."""


@dataclass(frozen=True)
class Plan:
    """What one run is to be."""

    seconds: float
    chaos: bool = False
    callers: int = 50
    models: int = 40
    memory_mb: int = 450
    chaos_pause: float = 5.0
    seed: int = 5
    keep: Path | None = None
    """A folder in which the logs stay."""


@dataclass
class Report:
    """The report of one run; ``violations`` is empty where it passed."""

    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    tally: traffic.Tally = field(default_factory=traffic.Tally)
    struck: list[str] = field(default_factory=list)
    loads: int = 0


def run(*plans: Plan) -> list[Report]:
    """One run, which begins and ends with an empty folder; a report of each plan.

    The plans are gone through one after the other, on one endpoint, that of the first.
    """
    reports = [Report() for _ in plans]
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        site = _Site(Path(folder), plans[0])
        try:
            with site.running():
                for plan, report in zip(plans, reports, strict=True):
                    _under_load(site, plan, report)
                    if plan.chaos:
                        _settle(site, report)
                    _every_model_once(site, report)
                    report.loads = site.loads()
                _delete(site, any(plan.chaos for plan in plans), reports[-1])
        finally:
            site.keep_logs()
        site.check_emptiness(reports[-1])
    return reports


_KEPT = ("state.sqlite3", "lock", "admin-token")
"""Files that localaws keeps after its end."""


class _Site:
    """S3 with the models, localaws, and an endpoint, all in one folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.s3 = S3Server(folder / "s3")
        self.local = LocalAwsProcess(
            folder / "data",
            self.s3.url,
            *("--memory-mb", str(plan.memory_mb)),
            container=REAL,
            tmpdir=self.tmp,
        )
        self.watch = MemorySampler(folder, keep_logs=plan.keep)
        self.answers = {f"m{number:02}.tar.gz": number % 6 for number in range(plan.models)}
        self.runtime: Any = self.local.client("sagemaker-runtime", max_pool_connections=64)
        self.body = b""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        try:
            self.s3.start()
            self.local.start()
            self._upload()
            self.watch.start()
            self._create()
            yield
        finally:
            self.local.stop()
            self.s3.stop()

    def _upload(self) -> None:
        picture = self.folder / "picture.png"
        Image.new("RGB", (32, 32), "teal").save(picture)
        self.body = picture.read_bytes()
        store = self.local.client("s3")
        store.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        archive = self.folder / "archive.tar.gz"
        for target, answer in self.answers.items():
            labels = [f"{target} label {i}" for i in range(6)]
            constant_archive(archive, labels=labels, answer=answer)
            store.upload_file(str(archive), BUCKET, f"models/{target}")

    def _create(self) -> None:
        sagemaker = self.local.client("sagemaker")
        container = {
            "Image": "soak",
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{BUCKET}/models/",
        }
        sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant = {"VariantName": "AllTraffic", "ModelName": NAME, "InstanceType": "ml.m5.xlarge"}
        sagemaker.create_endpoint_config(
            EndpointConfigName=NAME,
            ProductionVariants=[variant | {"InitialInstanceCount": INSTANCES}],
        )
        sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
        wait_for(lambda: self.local.admin(f"endpoints/{NAME}")["status"] == "InService", 120)

    def is_right(self, target: str, answer: bytes) -> bool:
        """Whether the response has five labels of the called model, the right one first."""
        labels = [line.partition("class=")[2] for line in json.loads(answer)]
        first = f"{target} label {self.answers[target]}"
        return len(labels) == 5 and labels[0] == first and all(target in one for one in labels)

    def invoke(self, target: str) -> bytes:
        answer: bytes = self.runtime.invoke_endpoint(
            EndpointName=NAME,
            ContentType="application/x-image",
            TargetModel=target,
            Body=self.body,
        )["Body"].read()
        return answer

    def is_whole(self) -> bool:
        """Whether S3 answers and every instance is healthy."""
        found = self.local.instances(NAME)
        return len(found) == INSTANCES and all(one["healthy"] for one in found)

    def loads(self) -> int:
        """How often the instances that run have loaded a model."""
        found = self.local.instances(NAME)
        return sum(model["loads"] for one in found for model in one["models"])

    def keep_logs(self) -> None:
        if self.plan.keep is not None:
            shutil.copy(self.local.log, self.plan.keep / "localaws.log")

    def check_emptiness(self, report: Report) -> None:
        """After the end of localaws."""
        left = wait_until_nothing_is_left(self.folder, [self.local.port], 15)
        left += [f"file {one}" for one in self.tmp.iterdir()]
        left += [
            f"file {one}"
            for one in self.local.data.rglob("*")
            if not one.is_dir() and not one.name.startswith(_KEPT)
        ]
        report.violations += [f"left by localaws: {one}" for one in left]


def _under_load(site: _Site, plan: Plan, report: Report) -> None:
    chaos = Chaos(site.local, site.s3, NAME, pause=plan.chaos_pause, seed=plan.seed)
    over = threading.Event()
    progress = threading.Thread(target=_print_progress, args=(site, over), daemon=True)
    progress.start()
    if plan.chaos:
        chaos.start()
    start = time.monotonic()
    try:
        report.tally = tally = traffic.drive(
            site.local.client("sagemaker-runtime", max_pool_connections=plan.callers),
            NAME,
            list(site.answers),
            callers=plan.callers,
            seconds=plan.seconds,
            body=site.body,
            is_right=site.is_right,
            seed=plan.seed,
        )
    finally:
        over.set()
        if plan.chaos:
            report.struck = chaos.end()
        progress.join()
    took = time.monotonic() - start
    report.lines.append(
        f"{plan.callers} callers, {plan.models} models, {took:.0f} s: {tally.right} right answers, "
        f"{len(tally.wrong)} wrong ones, slowest {tally.slowest:.1f} s"
    )
    allowed = traffic.ALLOWED_IN_CHAOS if plan.chaos else traffic.ALLOWED
    for name, count in tally.errors.most_common():
        text = " ".join(tally.texts[name].split())
        report.lines.append(f"{count:6} x {name}: {text[:160]}")
        if name not in allowed:
            report.violations.append(f"{count} x {name}: {text}")
    report.violations += [f"wrong answer: {one}" for one in tally.wrong[:20]]
    if plan.chaos:
        report.lines.append(f"killed: {dict(collections.Counter(report.struck))}")


def _print_progress(site: _Site, over: threading.Event) -> None:
    """What is loaded, every ten seconds."""
    while not over.wait(10):
        try:
            instances = site.local.instances(NAME)
        except OSError:  # localaws is being killed
            continue
        for one in instances:
            states = collections.Counter(model["state"] for model in one["models"])
            loads = sum(model["loads"] for model in one["models"])
            print(f"{one['instance']}: {dict(states)}, {loads} loads", flush=True)


def _settle(site: _Site, report: Report) -> None:
    """Wait until all parts run again and each model has answered."""
    start = time.monotonic()
    deadline = start + SETTLE_SECONDS
    wait_for(site.is_whole, SETTLE_SECONDS, "all instances to be healthy")
    refused: collections.Counter[str] = collections.Counter()
    for target in site.answers:
        while True:
            try:
                if not site.is_right(target, site.invoke(target)):
                    report.violations.append(f"after chaos: {target} answered wrongly")
                break
            except (ClientError, BotoCoreError) as error:
                refused[traffic.name_of(error)[0]] += 1
                if time.monotonic() > deadline:
                    report.violations.append(f"after chaos: {target} does not answer: {error}")
                    break
                time.sleep(0.2)
    took = time.monotonic() - start
    report.lines.append(f"settled after {took:.1f} s, refused meanwhile: {dict(refused)}")


def _every_model_once(site: _Site, report: Report) -> None:
    for target in site.answers:
        try:
            if not site.is_right(target, site.invoke(target)):
                report.violations.append(f"afterwards {target} answered wrongly")
        except (ClientError, BotoCoreError) as error:
            report.violations.append(f"afterwards {target} did not answer: {error}")
    report.lines.append(f"afterwards: {len(site.answers)} models called once each")


def _delete(site: _Site, killed: bool, report: Report) -> None:
    """DeleteEndpoint; reports what is left of its instances. ``killed``: whether parts were."""
    in_use = [m for one in site.local.instances(NAME) for m in one["models"] if m["in_use"]]
    report.violations += [f"still in use: {one}" for one in in_use]
    records = site.watch.end()
    _check_memory(site.plan, records, report)
    sagemaker = site.local.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=NAME)
    wait_for(lambda: not sagemaker.list_endpoints()["Endpoints"], 60, "the endpoint to be gone")
    assert site.local.process is not None
    own = site.local.process.pid
    # Containers of a localaws that was killed have some seconds to answer what runs in them.
    seconds = 15 if killed else 0
    left = wait_until_nothing_is_left(site.folder, [], seconds, but=own)
    left += [f"folder {one}" for one in (site.local.data / "instances").iterdir()]
    left += [f"folder {one}" for one in site.tmp.iterdir()]
    report.violations += [f"left after DeleteEndpoint: {one}" for one in left]
    files, threads = (len(list(Path(f"/proc/{own}/{kind}").iterdir())) for kind in ("fd", "task"))
    size = memory(own).kept / MEGABYTE
    report.lines.append(f"localaws at the end: {size:.0f} MB, {threads} threads, {files} files")
    report.lines.append(
        f"{len(records)} containers in all; left after DeleteEndpoint: {left or 'nothing'}"
    )


def _check_memory(plan: Plan, records: dict[int, InstanceRecord], report: Report) -> None:
    samples = sum(one.samples for one in records.values())
    kept = max(one.highest.kept for one in records.values()) / MEGABYTE
    whole = max(one.highest.whole for one in records.values()) / MEGABYTE
    report.lines.append(
        f"memory of a container: at most {kept:.0f} MB of {plan.memory_mb} in {samples} samples "
        f"({whole:.0f} MB with the pages of mapped files)"
    )
    if kept > plan.memory_mb:
        report.violations.append(f"a container took {kept:.0f} MB of {plan.memory_mb}")
        fullest = max(records.values(), key=lambda one: one.highest.kept)
        report.lines += [
            f"  {size / MEGABYTE:5.1f} MB by {pid}: {line[:100]}"
            for size, pid, line in sorted(fullest.at_highest, reverse=True)
        ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=180, help="of load, left alone; 0: none")
    parser.add_argument("--chaos-seconds", type=float, default=180, help="with kills; 0: none")
    parser.add_argument("--callers", type=int, default=Plan.callers)
    parser.add_argument("--models", type=int, default=Plan.models)
    parser.add_argument("--memory-mb", type=int, default=Plan.memory_mb, help="of an instance")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--keep", type=Path, help="folder in which all logs stay")
    chosen = parser.parse_args()
    failed = False
    for chaos, seconds in ((False, chosen.seconds), (True, chosen.chaos_seconds)):
        if seconds <= 0:
            continue
        keep = chosen.keep / ("chaos" if chaos else "calm") if chosen.keep else None
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        (report,) = run(
            Plan(
                seconds,
                chaos,
                callers=chosen.callers,
                models=chosen.models,
                memory_mb=chosen.memory_mb,
                seed=chosen.seed,
                keep=keep,
            )
        )
        print(f"\n{'With' if chaos else 'Without'} chaos:", *report.lines, sep="\n  ")
        for one in report.violations:
            print(f"  VIOLATION: {one}")
        failed = failed or bool(report.violations)
    return 1 if failed else 0


if __name__ == "__main__":
    ending.run(main)
