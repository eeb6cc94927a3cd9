"""Experiments run in processes of their own, beside the worker that starts them.

Their threads keep a processor busy for minutes. In the worker's own process they would take the
time of the threads in which endpoints change and versions are validated. A process ends with its
worker: its standard input comes to an end then. The next worker starts another one.
"""

import subprocess
import sys
import threading

from django.conf import settings

from invocations.models import Experiment

_lock = threading.Lock()
_processes: dict[int, "subprocess.Popen[bytes]"] = {}


def start(pk: int) -> bool:
    """Start the process of an experiment that is due, unless as many run here as may.

    False where none was started; the sweep asks again.
    """
    with _lock:
        for done in [key for key, process in _processes.items() if process.poll() is not None]:
            _close(_processes.pop(done))
        if pk in _processes or len(_processes) >= settings.EXPERIMENTS_AT_ONCE:
            return False
        if not Experiment.objects.due().filter(pk=pk).exists():
            return False
        _processes[pk] = subprocess.Popen(
            [sys.executable, "-m", __package__, str(pk)],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
        )
        return True


def _close(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()


def end_all(**_options: object) -> None:
    """Have all processes of this worker end: each gives its experiment back."""
    with _lock:
        for process in _processes.values():
            _close(process)
