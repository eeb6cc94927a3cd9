"""The validation of an archive: the container's own preflight, in a process of its own.

The portal does not import the container; it runs `PREFLIGHT_COMMAND ARCHIVE` and reads
one JSON report (container/preflight.py documents it).
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from models_catalog import temporary

log = logging.getLogger(__name__)

MAX_REPORT_BYTES = 16 << 20
# The preflight's own time limit strikes first, and its report says so; it has this long for it.
GRACE_S = 15
_END_S = 5
_LACKS_SANDBOX = 4


class PreflightBroken(Exception):
    """The preflight itself could not work; it says nothing about the archive."""


class SandboxIncomplete(PreflightBroken):
    """A part of the sandbox is missing here, and REQUIRE_SANDBOX is on: nothing was checked."""


def run(archive: Path, *, beat: Callable[[], None]) -> dict[str, Any]:
    """Return the preflight's report on ``archive``: ``ok``, ``error``, ``artifact``, ….

    ``beat`` is called about every second while it runs. What exceeds PREFLIGHT_TIMEOUT_S is
    ended and reported as refused. Raises PreflightBroken.
    """
    with temporary.folder("preflight") as folder:
        out = folder / "report.json"
        err = folder / "stderr.txt"
        code = _run(archive, folder, out, err, beat)
        if code != 0 and (said := _tail(err)):
            log.info("The preflight of %s wrote (exit code %s): %s", archive.name, code, said)
        if code is None:
            return _refused(
                "timeout",
                f"The model did not load and answer within {settings.PREFLIGHT_TIMEOUT_S} s.",
            )
        if code in {-signal.SIGKILL, -signal.SIGXCPU, 128 + signal.SIGKILL}:
            return _refused(
                "out_of_memory",
                "The system ended the check: the model needs more memory or processor time than "
                f"it was given ({settings.PREFLIGHT_MEMORY_MB:,} MB).",
            )
        if code < 0:
            return _refused(
                "load_failed",
                f"Loading the model crashed the process (signal {signal.Signals(-code).name}).",
            )
        if code == _LACKS_SANDBOX:
            raise SandboxIncomplete(_tail(err) or "A part of the sandbox is missing.")
        if code not in {0, 1}:
            raise PreflightBroken(_tail(err) or f"exit code {code}")
        return _report(out, err)


def _run(archive: Path, folder: Path, out: Path, err: Path, beat: Callable[[], None]) -> int | None:
    command = [
        *settings.PREFLIGHT_COMMAND,
        str(archive),
        "--max-unpacked-mb",
        str(settings.MAX_UNPACKED_MB),
        "--memory-mb",
        str(settings.PREFLIGHT_MEMORY_MB),
        "--wall-s",
        str(settings.PREFLIGHT_TIMEOUT_S),
        "--parent",
        str(os.getpid()),
        *(["--require-sandbox"] if settings.REQUIRE_SANDBOX else []),
    ]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=settings.BASE_DIR,
                env=_environment(folder),
                start_new_session=True,
            )
        except OSError as error:
            raise PreflightBroken(f"{command[0]}: {error.strerror or error}") from error
        try:
            deadline = time.monotonic() + settings.PREFLIGHT_TIMEOUT_S + GRACE_S
            while True:
                try:
                    return process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        return None
                    beat()
        finally:
            _end(process)


def _environment(folder: Path) -> dict[str, str]:
    """A bare environment: an uploaded model must not see credentials or the site's secret."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "HOME")
    bare = {name: os.environ[name] for name in kept if name in os.environ}
    return {**bare, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started, be it ended itself or not.

    Asked first: it ends what it runs in the sandbox, which has a session of its own, and removes
    what that wrote. Where it is killed all the same, the kernel ends the sandbox with it.
    """
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_END_S)
    with contextlib.suppress(ProcessLookupError):  # nothing of its group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def _report(out: Path, err: Path) -> dict[str, Any]:
    if out.stat().st_size > MAX_REPORT_BYTES:
        return _refused(
            "too_large",
            "What there is to say of this archive is more than 16 MB: its labels are too many or "
            "too long.",
        )
    try:
        report = json.loads(out.read_text())
    except ValueError as error:
        raise PreflightBroken(f"its report is not JSON ({error}): {_tail(err)}") from error
    if not isinstance(report, dict) or not isinstance(report.get("ok"), bool):
        raise PreflightBroken("its report lacks `ok`")
    if not report["ok"] and not (report.get("error") or {}).get("message"):
        raise PreflightBroken("its report refuses without a reason")
    if report["ok"] and not (report.get("artifact") or {}).get("inputs"):
        raise PreflightBroken("its report does not say what is inside")
    return report


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message}, "artifact": None}


def _tail(path: Path) -> str:
    """The end of what it wrote, as a sentence: without the lines of a stack trace."""
    lines = path.read_text(errors="replace").strip().splitlines()
    said = [line for line in lines if line and not line.startswith((" ", "\t", "Traceback"))]
    return " ".join(said[-3:])[:500]
