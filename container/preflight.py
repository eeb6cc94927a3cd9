"""Validates an archive in two runs, each in a sandbox of its own, and reports in JSON.

    python container/preflight.py resnet_18.tar.gz [--image cat.jpg]   both runs, one report
    python container/preflight.py resnet_18.tar.gz --pack resnet_18.tar
    python container/preflight.py packed.tar.gz --packed [--image cat.jpg]

The first run (``--pack``) reads the upload without MXNet, and writes its files as a canonical tar
(archive.py), which the caller compresses. The second (``--packed``) unpacks that file, loads it as
the server does and predicts once. So a network that is loaded can change neither the published
archive nor the first run's report.

Exit codes: 0: accepted; 1: refused, with the reason in the report; 2 or more: the preflight failed,
with the reason on stderr; of these, 4: the sandbox lacks a part, and ``--require-sandbox`` is set.
A child process in a sandbox (sandbox.py) does all that reads the archive; ``sandbox`` in the report
says which mechanism enforced what. Once the sandbox is complete, a child that is ended by a signal,
by a lack of memory or by a time limit means a refusal.
"""

import argparse
import contextlib
import copy
import ctypes
import gzip
import json
import math
import os
import re
import runpy
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:  # run as a script, as PREFLIGHT_COMMAND names it
    entrypoint = Path(__file__).resolve().with_name("dockerd-entrypoint.py")
    sys.argv[:1] = [str(entrypoint), "preflight"]
    runpy.run_path(str(entrypoint), run_name="__main__")  # ends in sys.exit()

from container import (
    processors,
    sandbox,
)
from container.findings import ArtifactError
from container.report_form import well_formed, well_packed

if TYPE_CHECKING:
    from container.archive import UnpackedFile
    from container.artifact import Artifact

_ENTRYPOINT = Path(__file__).resolve().with_name("dockerd-entrypoint.py")
_MEGABYTE = 1024 * 1024
_LACKS_SANDBOX = 4
_ROOM_BYTES = 16 * _MEGABYTE
_HEADERS_BYTES = 16 * _MEGABYTE  # what a tar may have beyond its files
_PACKED = "packed.tar"  # in the folder of the first run
_PR_SET_PDEATHSIG = 1

Report = dict[str, Any]


def inspect(archive: Path, folder: Path, max_unpacked_bytes: int) -> Report:
    """In the sandbox: the first run's report on ``archive``, which it packs in ``folder``."""
    from container.archive import Contents, pack, printable

    contents = Contents()
    try:
        pack(archive, folder, folder / _PACKED, max_bytes=max_unpacked_bytes, contents=contents)
        error = None
    except ArtifactError as refused:
        error = _error(refused.code, printable(sentence(refused.message)), refused.parameters)
    except MemoryError:
        error = {
            "code": "too_large",
            "message": "Reading the archive needs more memory than is allowed.",
        }
    except Exception as fault:
        # A fault of this code that this archive triggers: a retry would fail in the same way.
        traceback.print_exc()
        error = {
            "code": "not_tar",
            "message": f"The check failed on it ({type(fault).__name__}: "
            f"{printable(sentence(str(fault)))}).",
        }
    return {"ok": error is None, "error": error, "archive": asdict(contents)}


def check(archive: Path, folder: Path, image: Path | None, max_unpacked_bytes: int) -> Report:
    """In the sandbox: the second run's report on ``archive``, which it unpacks in ``folder``."""
    from container.archive import unpack
    from container.artifact import read_artifact

    about: Report | None = None
    try:
        files = unpack(archive, folder, max_bytes=max_unpacked_bytes)
        sandbox.forbid_writing()
        about = _about_files(files)
        artifact = read_artifact(folder)
        about |= _about_artifact(artifact)
        return {"ok": True, "error": None, "artifact": about} | _try_out(artifact, about, image)
    except ArtifactError as error:
        return _refusal(error.code, error.message, about, error.parameters)
    except MemoryError as error:
        return _refusal(
            "load_failed", f"The model needs more memory than is allowed. {error}".strip(), about
        )
    except Exception as error:
        # A fault of this code that this archive triggers: a retry would fail in the same way.
        traceback.print_exc()
        return _refusal(
            "load_failed", f"The check failed on it ({type(error).__name__}: {error}).", about
        )


def _refusal(
    code: str,
    message: str,
    about: Report | None,
    parameters: Mapping[str, str | list[str]] | None = None,
) -> Report:
    error = _error(code, sentence(message), parameters or {})
    return {"ok": False, "error": error, "artifact": about}


def _error(code: str, message: str, parameters: Mapping[str, str | list[str]]) -> Report:
    """The reason of a refusal; with ``parameters`` where its message has some."""
    from container.archive import printable

    if not parameters:
        return {"code": code, "message": message}
    told = {
        name: printable(value) if isinstance(value, str) else [printable(one) for one in value]
        for name, value in parameters.items()
    }
    return {"code": code, "message": message, "parameters": told}


def sentence(message: str) -> str:
    """``message`` without the stack traces that MXNet's and Python's messages carry."""
    lines = [line.strip() for line in message.splitlines()]
    kept = " ".join(line for line in lines if line and not _TRACE_LINE.match(line))
    return re.sub(r"\s*Traceback \(most recent call last\):?\s*", " ", kept).strip()


_TRACE_LINE = re.compile(r"Stack trace|\[bt\]|File \"|Traceback \(most recent call last\)|\^+$")


def _about_files(files: "list[UnpackedFile]") -> Report:
    """The report once the archive is unpacked; later steps fill in the rest."""
    return {
        "name": "", "files": [asdict(file) for file in files],
        "unpacked_bytes": sum(file.bytes for file in files),
        "inputs": [], "outputs": [], "parameters": 0, "parameter_bytes": 0,
        "labels": [], "label_count": 0, "layers": {}, "preprocess": None, "notes": [],
        "output": None,
    }  # fmt: skip


def _about_artifact(artifact: "Artifact") -> Report:
    return {
        "name": artifact.name,
        "inputs": [{"name": item.name, "shape": list(item.shape)} for item in artifact.inputs],
        "parameters": artifact.parameter_count,
        "parameter_bytes": artifact.parameter_bytes,
        "labels": list(artifact.labels),
        "label_count": len(artifact.labels),
        "layers": artifact.layers,
        "preprocess": asdict(artifact.preprocess) if artifact.preprocess else None,
        "notes": [asdict(note) for note in artifact.notes],
    }


def _try_out(artifact: "Artifact", about: Report, image: Path | None) -> Report:
    """Load the network and predict once, with the code that the server runs."""
    from container.network import Network

    before = sandbox.measured_mb()
    network = Network(artifact)
    about |= _about_artifact(network.artifact)  # its batch may be another
    doubt = network.doubt()
    notes = [*network.notes, doubt] if doubt else network.notes
    about["notes"] = [asdict(note) for note in notes]
    about["output"] = asdict(network.output)
    about["outputs"] = [{"name": name, "shape": list(shape)} for name, shape in network.outputs]
    name, make_rows = _sample(network, image)
    times = []
    try:
        for _ in range(2):  # as a first call and a warm one: decoded, and run
            started = time.perf_counter()
            predictions = network.predict_rows(make_rows())[0]
            times.append((time.perf_counter() - started) * 1000)
    except ArtifactError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise ArtifactError(
            "predict_failed", f"{artifact.name} loads, but its first prediction fails: {error}"
        ) from error
    if not all(math.isfinite(item.probability) for item in predictions):
        raise ArtifactError(
            "predict_failed",
            f"{artifact.name} loads, but its first prediction is no number (NaN or infinite).",
        )
    return {
        "load_ms": round(network.load_ms, 1),
        "first_ms": round(times[0], 2),
        "warm_ms": round(times[1], 2),
        "memory_mb": round(max(0.0, sandbox.measured_mb() - before), 1),
        "sample": {"image": name, "predictions": [asdict(item) for item in predictions]},
    }


def _sample(network: Any, image: Path | None) -> tuple[str, Callable[[], Any]]:
    """Name of the test picture, the given one or ours, and what makes the network's row of it."""
    import numpy as np

    from container import images, sample_pictures
    from container.artifact import Preprocess

    shape = network.picture_shape
    if shape is None:
        return "zeros", lambda: np.zeros((1, *network.input_shape[1:]), np.float32)
    preprocess = network.artifact.preprocess or Preprocess()
    name = image.name if image else sample_pictures.name_for(shape[0])
    data = image.read_bytes() if image else sample_pictures.png(name)

    def row() -> Any:
        try:
            picture = images.decode(data, shape, preprocess)
        except images.BadImage as error:
            raise ArtifactError("predict_failed", f"{name}: {error}") from error
        return network.from_picture(picture)[None]

    return name, row


# --- the parent of the sandbox -----------------------------------------------------------------


def run_packing(arguments: argparse.Namespace, target: Path) -> Report:
    """The first run, in the sandbox; ``target``, which is not there yet, gets the canonical tar.

    Returns its report. Raises SandboxError where it cannot be done.
    """
    with _folder() as folder:
        outcome = _run(arguments, folder, "pack", [arguments.archive], files=2)
        report = _packing_reported(outcome, arguments)
        if report["ok"]:
            most = arguments.max_unpacked_mb * _MEGABYTE + _HEADERS_BYTES
            try:
                _copy_out(folder / _PACKED, target, most)
            except ValueError as error:
                report = _packing_refusal("not_tar", f"What the check wrote is {error}.")
    return report | {"sandbox": outcome.held}


def run_loading(arguments: argparse.Namespace, archive: Path) -> Report:
    """The second run, in the sandbox, on what was packed; returns its report.

    Raises SandboxError where it cannot be done.
    """
    readable = [path for path in (archive, arguments.image) if path is not None]
    with _folder() as folder:
        outcome = _run(arguments, folder, "load", readable, files=1)
    return _reported(outcome, arguments) | {"sandbox": outcome.held}


def run_both(arguments: argparse.Namespace) -> Report:
    """Both runs, the second on what the first has packed; one report of both."""
    with _folder() as folder:
        packed, published = folder / "packed", folder / "published" / arguments.archive.name
        first = run_packing(arguments, packed)
        if not first["ok"]:
            return first | {"artifact": None}
        published.parent.mkdir()
        with (
            packed.open("rb") as tar,
            published.open("xb") as file,
            gzip.GzipFile("", "wb", 0, file, 0) as out,
        ):
            shutil.copyfileobj(tar, out, _MEGABYTE)
        packed.unlink()
        told = copy.deepcopy(first["archive"])
        return run_loading(arguments, published) | {"archive": told}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mme-preflight-"))
    try:
        yield folder
    finally:
        sandbox.remove(folder)


def _copy_out(source: Path, target: Path, most: int) -> None:
    """Copy an untrusted file of a sandboxed process.

    Links are not followed. Raises ValueError where it is no plain file, or larger than ``most``
    bytes.
    """
    try:
        came = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(f"no file ({error.strerror})") from error
    try:
        about = os.fstat(came)
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise ValueError("no plain file")
        if about.st_size > most:
            raise ValueError("too large")
        with target.open("xb") as out:
            left = about.st_size
            while left:
                copied = os.sendfile(out.fileno(), came, None, min(left, 64 * _MEGABYTE))
                if not copied:
                    raise ValueError("a file that was cut short")
                left -= copied
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(came)


def _run(
    arguments: argparse.Namespace, folder: Path, step: str, readable: list[Path], *, files: int
) -> sandbox.Outcome:
    """Run a step in the sandbox. Raises SandboxError where it could not be set up.

    ``files``: how many of the largest size ``folder`` may hold.
    """
    limit_mb = arguments.max_unpacked_mb + (_HEADERS_BYTES // _MEGABYTE if files > 1 else 0)
    program = [
        str(_ENTRYPOINT), "preflight", "--inside", os.path.realpath(folder), "--step", step,
        os.path.realpath(readable[0]), "--max-unpacked-mb", str(arguments.max_unpacked_mb),
    ]  # fmt: skip
    if len(readable) > 1:
        program += ["--image", os.path.realpath(readable[1])]
    if arguments.require_sandbox:
        program.append("--require-sandbox")
    environment = {
        "HOME": os.path.realpath(folder),
        "TMPDIR": os.path.realpath(folder),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "JOBLIB_MULTIPROCESSING": "0",  # otherwise it opens a semaphore, which is a file
        **processors.environment(),
    }
    outcome = sandbox.run(
        program,
        folder=folder,
        readable=readable,
        environment=environment,
        limits=sandbox.Limits(
            memory_mb=arguments.memory_mb,
            cpu_seconds=arguments.timeout_s,
            file_bytes=limit_mb * _MEGABYTE,
            files=files,
        ),
        wall_seconds=arguments.wall_s,
    )
    room = shutil.disk_usage(folder).free
    if outcome.held is None:
        reason = sentence(outcome.err[-2000:]) or f"exit code {outcome.code}"
        raise sandbox.SandboxError(f"The sandbox could not be set up. {reason}")
    if room < _ROOM_BYTES and not (outcome.report and outcome.report.get("ok")):
        raise sandbox.SandboxError("There is no room left on the disk to unpack the archive.")
    if outcome.err.strip():
        print(outcome.err, file=sys.stderr, end="")
    if outcome.code == _LACKS_SANDBOX and not outcome.ended and outcome.held["missing"]:
        raise _SandboxLacksError(outcome.held["missing"])
    return outcome


class _SandboxLacksError(Exception):
    """Parts of the sandbox are missing, and ``--require-sandbox`` was given."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"The sandbox does not hold: {', '.join(missing)}.")


def _packing_reported(outcome: sandbox.Outcome, arguments: argparse.Namespace) -> Report:
    """The first run's report, or a refusal where it has none."""
    report = outcome.report
    if outcome.ended == "time":
        return _packing_refusal(
            "timeout", f"The archive could not be read within {arguments.wall_s} s."
        )
    if outcome.ended == "disk":
        message = f"The archive unpacks to more than {arguments.max_unpacked_mb} MB."
        return _packing_refusal("too_large", message)
    if outcome.ended == "output":
        return _packing_refusal("too_large", "The archive holds names that are too long.")
    if report is not None and outcome.code in (0, 1) and well_packed(report):
        return report
    if outcome.code in (-signal.SIGXCPU, -signal.SIGKILL):
        return _packing_refusal(
            "timeout",
            f"Reading the archive took over {arguments.timeout_s} s of processor time, or more "
            "memory than the system has, and was ended.",
        )
    return _packing_refusal(
        "not_tar", f"Reading the archive failed (exit code {outcome.code}): it is damaged."
    )


def _packing_refusal(code: str, message: str) -> Report:
    return {"ok": False, "error": {"code": code, "message": message}, "archive": None}


def _reported(outcome: sandbox.Outcome, arguments: argparse.Namespace) -> Report:
    """The child's report, or a refusal where it has none."""
    report = outcome.report
    if outcome.ended == "time":
        message = f"The model did not load and answer within {arguments.wall_s} s."
        return _refusal("timeout", message, None)
    if outcome.ended == "disk":
        message = f"The check wrote more than the {arguments.max_unpacked_mb} MB that are allowed."
        return _refusal("too_large", message, None)
    if outcome.ended == "output":
        message = "What there is to say of this archive is too much: its labels are too many."
        return _refusal("too_large", message, None)
    if report is not None and outcome.code in (0, 1):
        if well_formed(report):
            return report
        message = "The check reported what no check reports: the network took over its process."
        return _refusal("load_failed", message, None)
    return _refusal("load_failed", _why_it_died(outcome, arguments), None)


# What MXNet's own handler of signals, and the C++ library, write before they end the process.
_CAUGHT = re.compile(
    r"^(Segmentation fault|Floating point exception|Bus error|Illegal instruction|Aborted)", re.M
)


def _why_it_died(outcome: sandbox.Outcome, arguments: argparse.Namespace) -> str:
    code, err = outcome.code, outcome.err
    if any(sign in err for sign in ("bad_alloc", "MemoryError", "Cannot allocate memory")):
        return f"Loading needs more than the {arguments.memory_mb} MB that are allowed."
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return (
            f"Loading took over {arguments.timeout_s} s of processor time, or more memory than "
            "the system has, and was ended."
        )
    caught = _CAUGHT.search(err)
    how = _signal_name(-code) if code < 0 else caught[1] if caught else f"exit code {code}"
    return f"MXNet crashed on it ({how}): the network or its parameters are damaged."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _arguments(options: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="preflight", description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path, help="the .tar.gz to validate")
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument(
        "--pack", type=Path, metavar="TAR", help="inspect it, write its canonical tar, load nothing"
    )
    steps.add_argument(
        "--packed", action="store_true", help="it is such a tar, compressed: load that very file"
    )
    parser.add_argument("--image", type=Path, help="picture for the prediction")
    parser.add_argument("--max-unpacked-mb", type=int, default=4096)
    parser.add_argument("--timeout-s", type=int, default=120, help="seconds of processor time")
    parser.add_argument("--wall-s", type=int, default=300, help="seconds by the clock")
    parser.add_argument("--memory-mb", type=int, default=4096)
    parser.add_argument(
        "--require-sandbox", action="store_true", help="check nothing where a part of it is missing"
    )
    parser.add_argument(
        "--parent", type=int, metavar="PID", help="end when this process, which started it, ends"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", choices=("pack", "load"), help=argparse.SUPPRESS)
    return parser.parse_args(options)


def _inside(arguments: argparse.Namespace) -> int:
    """The child: close the sandbox, then check."""
    try:
        held = sandbox.enter()
    except sandbox.SandboxError as error:
        print(error, file=sys.stderr)
        return 3
    if arguments.require_sandbox and held["missing"]:
        return _LACKS_SANDBOX
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then it is an error we can explain
    most = arguments.max_unpacked_mb * _MEGABYTE
    if arguments.step == "pack":
        report = inspect(arguments.archive, arguments.inside, most)
    else:
        report = check(arguments.archive, arguments.inside, arguments.image, most)
    sandbox.send({"report": report})
    return 0 if report["ok"] else 1


def _end_with_parent(parent: int) -> None:
    """Be sent SIGTERM when ``parent`` ends, which a killed worker cannot do itself."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The process that started this check is gone.")


def main(options: list[str]) -> int:
    arguments = _arguments(options)
    if arguments.inside is not None:
        return _inside(arguments)
    # So that the folder goes and the child ends.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if arguments.parent is not None:
        _end_with_parent(arguments.parent)
    for path in (arguments.archive, arguments.image):
        if path is not None and not path.is_file():
            print(f"{path} is not a file.", file=sys.stderr)
            return 2
    if arguments.pack is not None and os.path.lexists(arguments.pack):
        print(f"{arguments.pack} is there already.", file=sys.stderr)
        return 2
    try:
        if arguments.pack is not None:
            report = run_packing(arguments, arguments.pack)
        elif arguments.packed:
            report = run_loading(arguments, arguments.archive)
        else:
            report = run_both(arguments)
    except _SandboxLacksError as error:
        print(error, file=sys.stderr)
        return _LACKS_SANDBOX
    except sandbox.SandboxError as error:
        print(error, file=sys.stderr)
        return 3
    except OSError as error:  # the disk, not the archive
        print(f"What was packed cannot be kept: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
