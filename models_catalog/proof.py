"""The proof of an archive: the container's own preflight, in a process of its own.

The portal does not import the container; it runs `PREFLIGHT_COMMAND ARCHIVE` and reads
one JSON report (container/preflight.py documents it).
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

MAX_REPORT_BYTES = 16 << 20


class PreflightBroken(Exception):
    """The preflight itself could not work; it says nothing about the archive."""


def run(archive: Path, *, beat: Callable[[], None]) -> dict[str, Any]:
    """Return the preflight's report on ``archive``: ``ok``, ``error``, ``artifact``, ….

    ``beat`` is called about every second while it runs. What exceeds PREFLIGHT_TIMEOUT_S is
    ended and reported as refused. Raises PreflightBroken.
    """
    with tempfile.TemporaryDirectory(
        prefix="preflight-", dir=settings.FILE_UPLOAD_TEMP_DIR
    ) as folder:
        out = Path(folder, "report.json")
        err = Path(folder, "stderr.txt")
        code = _run(archive, Path(folder), out, err, beat)
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
            deadline = time.monotonic() + settings.PREFLIGHT_TIMEOUT_S
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
    """End the process and whatever it started, be it ended itself or not."""
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
    lines = path.read_text(errors="replace").strip().splitlines()
    return " ".join(lines[-3:])[:500]
