"""Kills parts of a running site at random: containers, processes in them, S3, localaws itself."""

import os
import random
import signal
import threading
import time

from localaws.tests.processes import descendants, model_hosts, model_workers
from localaws.tests.servers import LocalAwsProcess, S3Server

KINDS = ("instance", "worker", "model host", "host and worker", "java", "s3", "localaws")


class Chaos(threading.Thread):
    """Kills something every ``pause`` seconds, each kind once in a round, in random order.

    ``done`` lists what was killed; :meth:`end` leaves S3 and localaws running.
    """

    def __init__(
        self, local: LocalAwsProcess, s3: S3Server, endpoint: str, *, pause: float, seed: int
    ) -> None:
        super().__init__(name="chaos", daemon=True)
        self.done: list[str] = []
        self.failure: BaseException | None = None
        self._local = local
        self._s3 = s3
        self._endpoint = endpoint
        self._pause = pause
        self._random = random.Random(seed)
        self._over = threading.Event()

    def run(self) -> None:
        try:
            while not self._over.is_set():
                for kind in self._random.sample(KINDS, len(KINDS)):
                    if self._over.wait(self._random.uniform(0.5, 1.5) * self._pause):
                        return
                    if self._kill(kind):
                        self.done.append(kind)
                        print(f"chaos: {kind}", flush=True)
        except BaseException as error:  # raised by end()
            self.failure = error

    def end(self) -> list[str]:
        self._over.set()
        self.join(120)
        if self.failure is not None:
            raise self.failure
        return self.done

    def _kill(self, kind: str) -> bool:
        """Kill one of ``kind``; False where there was none just then."""
        if kind == "localaws":
            self._local.kill()
            self._local.start()
            return True
        if kind == "s3":
            self._s3.kill()
            time.sleep(self._random.uniform(0.5, 3))
            self._s3.start()
            return True
        instances = self._local.instances(self._endpoint)
        if not instances:
            return False
        leader = int(self._random.choice(instances)["pid"])
        victims = self._processes_of(kind, leader)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return bool(victims)

    def _processes_of(self, kind: str, leader: int) -> list[int]:
        if kind == "instance":
            return [leader]
        inside = descendants(leader)
        workers = sorted(model_workers(leader))
        worker = [self._random.choice(workers)] if workers else []
        hosts = model_hosts(leader)
        java = [pid for pid, line in inside.items() if line.split()[0].endswith("java")]
        return {
            "worker": worker,
            "model host": hosts,
            "host and worker": hosts + worker,
            "java": java,
        }[kind]
