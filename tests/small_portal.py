"""The portal's worker and beat as the Procfile starts them, with all that they talk to.

Smaller than `make up`: localaws hosts tiny containers, and there is no web server. What users would
do is done by `manage.py shell`. Each process may have a clock that is off.
"""

import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from localaws.tests import servers as localaws
from tests import migrated
from tests.servers import REDIS_PASSWORD, free_port, redis_of_a_stack, running

ROOT = Path(settings.BASE_DIR)
BUCKET = "store-of-a-small-portal"
_PERSON = """
import json, sys, traceback
from django.db import close_old_connections
for line in sys.stdin:
    close_old_connections()
    try:
        exec(json.loads(line), {})
    except Exception:
        traceback.print_exc()
        print("failed", flush=True)
    else:
        print("done", flush=True)
    close_old_connections()
"""
SHIFTED = Path(__file__).with_name("shifted_clock")


class SmallPortal:
    """Its folder, its environment, and its database."""

    def __init__(self, folder: Path, address: str, s3_address: str) -> None:
        self.folder = folder
        self.redis_port = free_port()
        self.database = folder / "db.sqlite3"
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._person: subprocess.Popen[str] | None = None
        self._rows: sqlite3.Connection | None = None
        #: Its localaws and its S3, which may be killed and started again.
        self.aws: localaws.LocalAwsProcess
        self.s3: localaws.S3Server
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AWS_")
        } | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{SHIFTED}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "mmeportal.settings",
            "SECRET_KEY": settings.SECRET_KEY,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": f"redis://portal@127.0.0.1:{self.redis_port}/0",
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "UPLOAD_TEMP_DIR": str(folder),
            "MODEL_BUCKET": BUCKET,
            "AWS_REGION": localaws.REGION,
            "AWS_ACCESS_KEY_ID": localaws.KEY,
            "AWS_SECRET_ACCESS_KEY": localaws.SECRET,
            "AWS_ENDPOINT_URL": address,
            "AWS_ENDPOINT_URL_S3": s3_address,
            "CONTAINER_METRICS_URL": f"{address}/_localaws/endpoints/{{endpoint}}/metrics",
            "EXECUTION_ROLE_ARN": localaws.ROLE,
            "WORKER_THREADS": "2",
            "REQUIRE_SANDBOX": "0",
        }

    @contextlib.contextmanager
    def redis(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Its Redis, as a stack has it; its user ``watcher`` may do everything."""
        with redis_of_a_stack(self.redis_port, self.folder) as process:
            yield process

    @contextlib.contextmanager
    def program(self, name: str, ahead_s: float = 0) -> Iterator["subprocess.Popen[bytes]"]:
        """``worker`` or ``beat`` with a clock that is ``ahead_s`` ahead."""
        lines = (ROOT / "Procfile").read_text().splitlines()
        (command,) = (line.partition(": ")[2] for line in lines if line.startswith(f"{name}: "))
        environment = self.environment | {"CLOCK_AHEAD_S": str(ahead_s)}
        with (
            self._log(name).open("ab") as log,
            running(
                ["sh", "-c", f"exec {command}"], cwd=ROOT, env=environment, stdout=log, stderr=log
            ) as process,
        ):
            self._programs[name] = process
            yield process

    def _tell_where_the_worker_is(self) -> None:
        """Have a worker that runs write its threads' stacks into its log: Celery's SIGUSR1."""
        worker = self._programs.get("worker")
        if worker is None or worker.poll() is not None:
            return
        before = len(self.said("worker"))
        worker.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while len(self.said("worker")) == before and time.monotonic() < deadline:
            time.sleep(0.05)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        """What a program has logged so far."""
        return self._log(name).read_text(errors="replace")

    def run(self, program: str) -> None:
        """Run Python in the portal as a page would do it: in one process, as the web server is."""
        if self._person is None:
            command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", _PERSON]
            with self._log("person").open("wb") as log:
                self._person = subprocess.Popen(
                    command, cwd=ROOT, env=self.environment, text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                )  # fmt: skip
        assert self._person.stdin is not None
        assert self._person.stdout is not None
        self._person.stdin.write(json.dumps(program) + "\n")
        self._person.stdin.flush()
        ready, _, _ = select.select([self._person.stdout], [], [], 120)
        assert ready, f"no answer within 120 s:\n{self.said('person')}"
        answer = self._person.stdout.readline()
        assert answer == "done\n", answer + self.said("person")

    def close(self) -> None:
        """End the process of ``run``, and the connection of ``row``."""
        if self._rows is not None:
            self._rows.close()
        if self._person is not None:
            self._person.kill()
            self._person.communicate(timeout=15)

    def migrate(self) -> None:
        """Make its database."""
        if not migrated.copy_to(self.database):
            self._manage("migrate", "--verbosity", "0")

    def _manage(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def row(self, query: str) -> tuple[Any, ...]:
        """The first row of a query; an empty one where there is none."""
        if self._rows is None:  # one connection, as some ask a hundred times a second
            self._rows = sqlite3.connect(self.database, timeout=20, isolation_level=None)
        with contextlib.closing(self._rows.execute(query)) as found:
            return tuple(found.fetchone() or ())

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Until ``condition`` holds; an AssertionError with the logs where it does not.

        The worker's log then ends with the stacks of its threads, or it cannot even tell them.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self._tell_where_the_worker_is()
                logs = [f"{path.name}:\n{path.read_text()[-30_000:]}" for path in self._logs()]
                raise AssertionError(f"waited for {what}\n" + "\n".join(logs))
            time.sleep(0.05)

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))


@contextlib.contextmanager
def small_portal(
    folder: Path, *, container: str = localaws.TINY, s3_options: Sequence[str] = ()
) -> Iterator[SmallPortal]:
    """A portal with an empty store and account; nothing of its own runs yet.

    ``container``: the command of what localaws hosts. ``s3_options``: of its S3 server.
    """
    folder.mkdir(parents=True, exist_ok=True)
    s3 = localaws.S3Server(folder / "objects", *s3_options)
    try:
        s3.start()
        aws = localaws.LocalAwsProcess(folder / "localaws", s3.url, container=container)
        try:
            aws.start()
            made = SmallPortal(folder, aws.url, s3.url)
            made.aws, made.s3 = aws, s3
            aws.client("s3").create_bucket(
                Bucket=BUCKET,
                CreateBucketConfiguration={"LocationConstraint": localaws.REGION},
            )
            made.migrate()
            try:
                yield made
            finally:
                made.close()
        finally:
            aws.stop()
    finally:
        s3.stop()
