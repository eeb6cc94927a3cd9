"""Proves an artifact: unpacks it, loads it as the server does, predicts once, reports in JSON.

    python container/preflight.py resnet_18.tar.gz [--image cat.jpg]

Exit code 0: accepted; 1: refused, and the report says why; 2 or more: the preflight itself could
not work, and stderr says why. Everything that touches the archive happens in a child process with
limits on memory, processor time, files and their size, and, where the system allows it, without
a network; so a hostile archive can at worst fail its own check.
"""

import argparse
import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

CONTAINER = Path(__file__).resolve().parent
sys.path.insert(0, str(CONTAINER))

import processors  # noqa: E402
from artifact import Artifact, ArtifactError, read_artifact  # noqa: E402
from unpack import UnpackedFile, unpack  # noqa: E402

_MEGABYTE = 1024 * 1024
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_WALL_SECONDS_PER_CPU_SECOND = 3

Report = dict[str, Any]


def check(archive: Path, folder: Path, image: Path | None, max_unpacked_bytes: int) -> Report:
    """The report on ``archive``, made in this very process; ``folder`` takes what it holds."""
    about: Report | None = None
    try:
        files = unpack(archive, folder, max_bytes=max_unpacked_bytes)
        about = _about_files(files)
        artifact = read_artifact(folder)
        about |= _about_artifact(artifact)
        return {"ok": True, "error": None, "artifact": about} | _try_out(artifact, about, image)
    except ArtifactError as error:
        return _refusal(error.code, error.message, about)
    except MemoryError as error:
        return _refusal(
            "load_failed", f"The model needs more memory than is allowed. {error}".strip(), about
        )


def _refusal(code: str, message: str, about: Report | None) -> Report:
    return {"ok": False, "error": {"code": code, "message": message}, "artifact": about}


def _about_files(files: list[UnpackedFile]) -> Report:
    """What is known once the archive is unpacked; the rest is filled in as it is learnt."""
    return {
        "name": "", "files": [asdict(file) for file in files],
        "unpacked_bytes": sum(file.bytes for file in files),
        "inputs": [], "outputs": [], "parameters": 0, "parameter_bytes": 0,
        "labels": [], "label_count": 0, "layers": {}, "preprocess": None,
    }  # fmt: skip


def _about_artifact(artifact: Artifact) -> Report:
    return {
        "name": artifact.name,
        "inputs": [{"name": item.name, "shape": list(item.shape)} for item in artifact.inputs],
        "parameters": artifact.parameter_count,
        "parameter_bytes": artifact.parameter_bytes,
        "labels": list(artifact.labels),
        "label_count": len(artifact.labels),
        "layers": artifact.layers,
        "preprocess": asdict(artifact.preprocess) if artifact.preprocess else None,
    }


def _try_out(artifact: Artifact, about: Report, image: Path | None) -> Report:
    """Load the network and predict once, with the code that the server runs."""
    from network import Network

    before = _own_memory_mb()
    network = Network(artifact)
    about["outputs"] = [{"name": name, "shape": list(shape)} for name, shape in network.outputs]
    name, rows = _sample(network, image)
    try:
        started = time.perf_counter()
        predictions = network.predict_rows(rows)[0]
        infer_ms = (time.perf_counter() - started) * 1000
    except MemoryError:
        raise
    except Exception as error:
        raise ArtifactError(
            "predict_failed", f"{artifact.name} loads, but its first prediction fails: {error}"
        ) from error
    return {
        "load_ms": round(network.load_ms, 1),
        "infer_ms": round(infer_ms, 2),
        "memory_mb": round(max(0.0, _own_memory_mb() - before), 1),
        "sample": {"image": name, "predictions": [asdict(item) for item in predictions]},
    }


def _sample(network: Any, image: Path | None) -> tuple[str, Any]:
    """The picture that is tried: the one given, or a gradient from black to white."""
    import images
    import numpy as np
    from artifact import Preprocess

    shape = network.input_shape
    if len(shape) != 4 or shape[1] not in (1, 3):
        return "zeros", np.zeros((1, *shape[1:]), np.float32)
    preprocess = network.artifact.preprocess or Preprocess()
    if image is not None:
        try:
            return image.name, images.decode(image.read_bytes(), shape[1:], preprocess)[None]
        except images.BadImage as error:
            raise ArtifactError("predict_failed", f"{image.name}: {error}") from error
    ramp = np.linspace(0, 255, shape[3], dtype=np.float32)
    gradient = np.broadcast_to(ramp, shape[1:])
    return "grey gradient", images.normalise(gradient, preprocess)[None]


def _own_memory_mb() -> float:
    """Memory that would come back if this process ended, in MB."""
    pages = 0
    with open("/proc/self/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                pages += int(line.split()[1])
    return pages / 1024


# --- the sandbox -------------------------------------------------------------------------------


def limits(*, memory_mb: int, cpu_seconds: int, file_bytes: int) -> Callable[[], None]:
    """What the child does to itself before it starts: it cannot take it back."""

    def apply() -> None:
        _leave_the_network()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
        # MXNet's libraries map about 1 GB that they do not use; what the model takes counts.
        address_space = (memory_mb + 1024) * _MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        os.nice(5)

    return apply


def _leave_the_network() -> None:
    """Enter an empty network namespace, where the system lets an ordinary user do so."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def run_sandboxed(arguments: argparse.Namespace) -> tuple[Report | None, str]:
    """Run the check in a child; returns its report, or None and why there is none."""
    folder = Path(tempfile.mkdtemp(prefix="mme-preflight-"))
    wall_seconds = arguments.timeout_s * _WALL_SECONDS_PER_CPU_SECOND + 30
    command = [
        sys.executable, "-I", str(Path(__file__).resolve()), "--inside", str(folder),
        str(arguments.archive.resolve()),
        "--max-unpacked-mb", str(arguments.max_unpacked_mb),
    ]  # fmt: skip
    if arguments.image is not None:
        command += ["--image", str(arguments.image.resolve())]
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **processors.environment(),
    }
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=limits(
                memory_mb=arguments.memory_mb,
                cpu_seconds=arguments.timeout_s,
                file_bytes=arguments.max_unpacked_mb * _MEGABYTE,
            ),
        )
        try:
            out, err = child.communicate(timeout=wall_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return _refusal("load_failed", f"The check took over {wall_seconds} s.", None), ""
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        return _outcome(child.returncode, out, err.decode(errors="replace"), arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _outcome(
    code: int, out: bytes, err: str, arguments: argparse.Namespace
) -> tuple[Report | None, str]:
    if code in (0, 1):
        lines = out.decode().splitlines()
        try:
            report: Report = json.loads(lines[-1])
        except (IndexError, ValueError):
            return None, f"The check ended without a report. {err[-2000:]}"
        return report, ""
    memory = any(sign in err for sign in ("bad_alloc", "MemoryError", "Cannot allocate memory"))
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and not memory):
        message = f"Loading took over {arguments.timeout_s} s of processor time, or was killed."
    elif memory:
        message = f"Loading needs more than the {arguments.memory_mb} MB that are allowed."
    elif code < 0:
        name = signal.Signals(-code).name
        message = f"MXNet crashed on it ({name}): the network or its parameters are damaged."
    else:
        return None, err[-2000:] or f"The check ended with code {code}."
    return _refusal("load_failed", message, None), ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path, help="the .tar.gz to prove")
    parser.add_argument("--image", type=Path, help="picture for the prediction")
    parser.add_argument("--max-unpacked-mb", type=int, default=4096)
    parser.add_argument("--timeout-s", type=int, default=120, help="seconds of processor time")
    parser.add_argument("--memory-mb", type=int, default=4096)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    for path in (arguments.archive, arguments.image):
        if path is not None and not path.is_file():
            print(f"{path} is not a file.", file=sys.stderr)
            return 2
    if arguments.inside is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then it is an error we can explain
        report = check(
            arguments.archive,
            arguments.inside,
            arguments.image,
            arguments.max_unpacked_mb * _MEGABYTE,
        )
        print(json.dumps(report))
        return 0 if report["ok"] else 1
    report_or_none, why = run_sandboxed(arguments)
    if report_or_none is None:
        print(why, file=sys.stderr)
        return 3
    print(json.dumps(report_or_none))
    return 0 if report_or_none["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
