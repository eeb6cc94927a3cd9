"""The validation of an archive: the container's own preflight, in processes of its own.

The portal does not import the container; it runs `PREFLIGHT_COMMAND` twice and reads a JSON report
of each run (container/preflight.py documents it):

1. ``UPLOAD --pack TAR`` reads the upload and writes what is to be served as a plain tar.
2. ``ARCHIVE --packed`` loads what the portal packed of it, and predicts twice on one picture.

The reports are untrusted: both runs have parsed what a user uploaded.
"""

import contextlib
import json
import logging
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from core.sentences import Sentence
from models_catalog import temporary

log = logging.getLogger(__name__)

MAX_REPORT_BYTES = 16 << 20
MAX_DEPTH = 12
MAX_FILES = 1000  # as the container has it (container/archive.py)
MAX_NOTES = 1000
MAX_ANSWERS = 10  # of the network to the sample picture; the container gives five
MAX_PARAMETERS = 10  # of a refusal
_ROUNDING = 1e-3
_LARGEST = 2**63 - 1  # of a database's whole numbers
_HEADERS_BYTES = 16 << 20  # of a tar with so many files, with room to spare
# Of a report (container/preflight.py), both runs together.
_KEYS = {
    *("ok", "error", "archive", "artifact", "load_ms", "first_ms", "warm_ms", "memory_mb"),
    *("sample", "sandbox"),
}
# The preflight has a time limit of its own, and this much longer to report that it was exceeded.
GRACE_S = 15
_END_S = 5
_LACKS_SANDBOX = 4


class PreflightBroken(Exception):
    """The preflight itself could not work; it says nothing about the archive."""


class SandboxIncomplete(PreflightBroken):
    """A part of the sandbox is missing here, and REQUIRE_SANDBOX is on: nothing was checked."""


def pack(upload: Path, tar: Path, *, beat: Callable[[], None]) -> dict[str, Any]:
    """Run 1: have ``upload`` read, and the canonical tar written to ``tar``, a path that is free.

    Returns the report: ``ok``, ``error``, ``archive``, ``sandbox``. Where ``ok``, the tar is a
    plain file of at least a byte. Otherwise as :func:`run`.
    """
    report = _preflight(upload, ["--pack", str(tar)], beat, _of_run_1)
    if report["ok"]:
        about = tar.lstat() if os.path.lexists(tar) else None
        if about is None or not stat.S_ISREG(about.st_mode) or about.st_size == 0:
            raise PreflightBroken("it wrote no tar")
        if about.st_size > (settings.MAX_UNPACKED_MB << 20) + _HEADERS_BYTES:
            raise PreflightBroken("it wrote a tar larger than MAX_UNPACKED_MB")
    return report


def run(archive: Path, *, beat: Callable[[], None]) -> dict[str, Any]:
    """Run 2: have the packed ``archive`` loaded; returns ``ok``, ``error``, ``artifact``, ….

    ``beat`` is called about every second while it runs. What exceeds PREFLIGHT_TIMEOUT_S is
    ended and reported as refused. Raises PreflightBroken.
    """
    return _preflight(archive, ["--packed"], beat, _of_run_2)


def _preflight(
    path: Path, words: list[str], beat: Callable[[], None], form: Callable[[Any], None]
) -> dict[str, Any]:
    with temporary.folder("preflight") as folder:
        out = folder / "report.json"
        err = folder / "stderr.txt"
        code = _run([str(path), *words], folder, out, err, beat)
        if code != 0 and (wrote := _tail(err)):
            log.info("The preflight of %s wrote (exit code %s): %s", path.name, code, wrote)
        if code is None:
            said = Sentence("rejected.timed_out", seconds=settings.PREFLIGHT_TIMEOUT_S)
            return _refused("timeout", said)
        if code in {-signal.SIGKILL, -signal.SIGXCPU, 128 + signal.SIGKILL}:
            said = Sentence("rejected.memory", megabytes=f"{settings.PREFLIGHT_MEMORY_MB:,}")
            return _refused("out_of_memory", said)
        if code < 0:
            said = Sentence("rejected.crashed", signal=signal.Signals(-code).name)
            return _refused("load_failed", said)
        if code == _LACKS_SANDBOX:
            # untranslated: as the preflight itself says it, to admins
            raise SandboxIncomplete(_tail(err) or "A part of the sandbox is missing.")
        if code not in {0, 1}:
            raise PreflightBroken(_tail(err) or f"exit code {code}")
        return _report(out, err, form)


def _run(
    words: list[str], folder: Path, out: Path, err: Path, beat: Callable[[], None]
) -> int | None:
    command = [
        *settings.PREFLIGHT_COMMAND,
        *words,
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
    """End the process and all that it started, also where it has ended itself.

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


def _report(out: Path, err: Path, form: Callable[[Any], None]) -> dict[str, Any]:
    if out.stat().st_size > MAX_REPORT_BYTES:
        return _refused("too_large", Sentence("rejected.too_much_to_say"))
    try:
        report = json.loads(out.read_text(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise PreflightBroken(f"its report is not JSON ({error}): {_tail(err)}") from error
    if not isinstance(report, dict) or not isinstance(report.get("ok"), bool):
        raise PreflightBroken("its report lacks `ok`")
    try:
        _within_bounds(report)
        _of_sandbox(report)
        if report["ok"]:
            form(report)
        else:
            _of_refusal(report)
    except _Malformed as error:
        raise PreflightBroken(f"its report has not the form of one: {error}") from error
    # What the portal adds to it has other keys, and only the portal may write those.
    return {key: value for key, value in report.items() if key in _KEYS}


class _Malformed(Exception):  # untranslated: the log
    """A report is malformed; ``str()`` says where."""


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _within_bounds(report: dict[str, Any]) -> None:
    """Raise for what cannot be stored or shown: it is nested too deep, or a number is too large.

    NUL and lone surrogates in texts are replaced when it is stored (models_catalog/publication.py).
    """
    level: list[Any] = [report]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, int | float) and not abs(value) <= _LARGEST:
                raise _Malformed(f"a number beyond {_LARGEST}")
        level = below
    if level:
        raise _Malformed(f"deeper than {MAX_DEPTH}")


def _of_sandbox(report: dict[str, Any]) -> None:
    """What held each part; null where the run ended before it was known."""
    for part, holder in _dict(report, "sandbox", absent=True).items():
        for text in _list(report, "sandbox", part) if part == "missing" else [holder or ""]:
            _is(text, str, f"`sandbox.{part}`")


def _of_refusal(report: dict[str, Any]) -> None:
    _text(report, "error", "message")
    if not report["error"]["message"]:
        raise _Malformed("it refuses without a reason")
    for key in report["error"].keys() - {"code", "message"}:
        if key != "parameters":
            raise _Malformed(f"`error.{key}`")  # `sentence` is the portal's own
        _parameters(_dict(report, "error", key))
    if report.get("archive") is not None:
        _of_archive(report)
    if report.get("artifact") is not None:
        _of_artifact(report)


def _parameters(told: dict[str, Any]) -> None:
    """What a refusal tells of: texts, and lists of texts."""
    if len(told) > MAX_PARAMETERS:
        raise _Malformed(f"{len(told)} parameters")
    for key, value in told.items():
        for text in value if isinstance(value, list) else [value]:
            _is(text, str, f"`error.parameters.{key}`")


def _of_run_1(report: dict[str, Any]) -> None:
    _of_archive(report, least=1)


def _of_archive(report: dict[str, Any], *, least: int = 0) -> None:
    files = _list(report, "archive", "files")
    if not least <= len(files) <= MAX_FILES:
        raise _Malformed(f"{len(files)} files")
    for file in files:
        _text(file, "name")
        _count(file, "bytes")
        for key in ("packed", "read"):
            if not isinstance(file.get(key), bool):
                raise _Malformed(f"`{key}` of a file")
    _count(report, "archive", "unpacked_bytes")
    _count(report, "archive", "packed_bytes")
    _notes(report, "archive")


def _of_run_2(report: dict[str, Any]) -> None:
    _of_artifact(report, least=1)
    for key in ("load_ms", "first_ms", "warm_ms", "memory_mb"):
        _is(report.get(key), (int, float), f"`{key}`")
        if not abs(report[key]) <= _LARGEST:  # 1e400 is read as infinity
            raise _Malformed(f"`{key}` is too large")
    _text(report, "sample", "image")
    answers = _list(report, "sample", "predictions")
    if not 1 <= len(answers) <= MAX_ANSWERS:
        raise _Malformed(f"{len(answers)} answers to the sample")
    for answer in answers:
        _text(answer, "label")
        chance = _is(_at(answer, ("probability",)), (int, float), "`probability`")
        if not 0 <= chance <= 1 + _ROUNDING:
            raise _Malformed("`probability`")


def _of_artifact(report: dict[str, Any], *, least: int = 0) -> None:
    _shapes(_list(report, "artifact", "inputs"), least=least)
    _shapes(_list(report, "artifact", "outputs"))
    for key in ("parameters", "parameter_bytes", "label_count"):
        _count(report, "artifact", key)
    for label in _list(report, "artifact", "labels"):
        _is(label, str, "a label")
    for count in _dict(report, "artifact", "layers").values():
        _is_count(count, "the count of a layer")
    _dict(report, "artifact", "preprocess", absent=True)
    output = _dict(report, "artifact", "output", absent=True)
    if output:
        for key in ("name", "kind", "chosen"):
            _text(output, key)
        for name in _list(output, "others"):
            _is(name, str, "the name of an output")
    _notes(report, "artifact")


def _notes(report: dict[str, Any], part: str) -> None:
    notes = _dict(report, part).get("notes", [])
    _is(notes, list, "`notes`")
    if len(notes) > MAX_NOTES:
        raise _Malformed(f"{len(notes)} notes")
    for note in notes:
        _text(note, "code")
        _text(note, "message")


def _shapes(shapes: list[Any], *, least: int = 0) -> None:
    if len(shapes) < least:
        raise _Malformed("it does not say what is inside")
    for shape in shapes:
        _text(shape, "name")
        for size in _list(shape, "shape"):
            _is_count(size, "a size")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict):
            raise _Malformed(f"`{'.'.join(path)}`")
        value = value.get(key)
    return value


def _text(value: Any, *path: str) -> None:
    _is(_at(value, path), str, f"`{'.'.join(path)}`")


def _count(value: Any, *path: str) -> None:
    _is_count(_at(value, path), f"`{'.'.join(path)}`")


def _list(value: Any, *path: str) -> list[Any]:
    found: list[Any] = _is(_at(value, path), list, f"`{'.'.join(path)}`")
    return found


def _dict(value: Any, *path: str, absent: bool = False) -> dict[str, Any]:
    found = _at(value, path)
    if absent and found is None:
        return {}
    checked: dict[str, Any] = _is(found, dict, f"`{'.'.join(path)}`")
    return checked


def _is_count(value: Any, what: str) -> None:
    if _is(value, int, what) < 0:
        raise _Malformed(what)


def _is(value: Any, kind: type | tuple[type, ...], what: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Malformed(what)
    return value


def _refused(code: str, said: Sentence) -> dict[str, Any]:
    error = {"code": code, "message": said.english(), "sentence": said.as_json()}
    return {"ok": False, "error": error}


def _tail(path: Path) -> str:
    """The end of what it wrote, as a sentence: without the lines of a stack trace."""
    lines = path.read_text(errors="replace").strip().splitlines()
    said = [line for line in lines if line and not line.startswith((" ", "\t", "Traceback"))]
    return " ".join(said[-3:])[:500]
