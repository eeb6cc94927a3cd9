"""An upload of a large archive through the portal beside S3 alone, and until it is ready.

Needs a running stack (`make up`): ``make bench-upload``, with the stack's ports. ResNet-152 with
generated weights, some 220 MB, is sent in turns by `aws s3 cp` and by boto3 to the stack's S3
server, and by `mme push` and the client to the portal: each program beside a program, each library
beside a library. Then it is timed until the version is ready, beside the preflight alone. What is
wanted: 1.5 times, 2 times, and, in a round of its own, that no process of the stack grows by 64 MB
while it takes the bytes.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mme_client  # noqa: E402 - ROOT is on the path now
from stack.layout import BUCKET, CONTAINER_VENV, Layout  # noqa: E402
from stack.parts import environment  # noqa: E402
from tests import ending  # noqa: E402

PYTHON = CONTAINER_VENV / "bin" / "python"
NETWORKS = ROOT / "bench" / "out" / "networks"
KEY = "bench/upload.tar.gz"
_TIMED = ("aws s3 cp", "mme push", "ready", "preflight", "boto3", "client")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds: int = parser.parse_args().rounds
    layout = Layout.from_environment(os.environ)
    os.environ |= {
        name: value for name, value in environment(layout).items() if name.startswith("AWS_")
    }
    client = boto3.client("s3", endpoint_url=layout.s3_url)
    portal = mme_client.Portal(f"http://127.0.0.1:{layout.port}", _token(layout))
    took: dict[str, list[float]] = {name: [] for name in _TIMED}
    tools = {"MME_URL": f"http://127.0.0.1:{layout.port}", "MME_TOKEN": _token(layout)}
    bin_folder = Path(sys.executable).parent
    run_id = int(time.time())  # models of an earlier run are there, with deleted versions

    def run(*command: object) -> None:
        subprocess.run(
            [bin_folder / str(command[0]), *map(str, command[1:])],
            env=os.environ | tools | {"AWS_ENDPOINT_URL_S3": layout.s3_url},
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=300,
        )

    with tempfile.TemporaryDirectory(prefix="bench-upload-") as folder:
        archive = packed(Path(folder), "first")
        print(f"{archive.stat().st_size / 1e6:.0f} MB")
        for number in range(rounds):
            address = f"s3://{BUCKET}/{KEY}"
            took["aws s3 cp"].append(timed(run, "aws", "s3", "cp", archive, address))
            model = f"bench-upload-{run_id}-{number}"
            # Of bytes that are there already it would say which version they are.
            archive = packed(Path(folder), f"program {number}")
            took["mme push"].append(timed(run, "mme", "push", archive, "--model", model))
            version = portal.models.version(f"{model}:1")
            took["ready"].append(timed(version.wait))
            took["preflight"].append(timed(validate, archive))
            portal.models.delete_version(version.name)
            took["boto3"].append(timed(client.upload_file, str(archive), BUCKET, KEY))
            archive = packed(Path(folder), f"library {number}")
            model = f"bench-upload-{run_id}-again-{number}"
            took["client"].append(timed(portal.models.push, archive, model))
            version = portal.models.version(f"{model}:1")
            version.wait()
            portal.models.delete_version(version.name)
        archive = packed(Path(folder), "memory")
        with Memory(layout.local_dir.parent) as memory:
            version = portal.models.push(archive, f"bench-upload-{run_id}-memory")
        version.wait()
        portal.models.delete_version(version.name)
    client.delete_object(Bucket=BUCKET, Key=KEY)
    for name, values in took.items():
        print(
            f"{name:10} {statistics.median(values):6.2f} s ({min(values):.2f} to {max(values):.2f})"
        )
    for name, beside, wanted in (
        ("mme push", "aws s3 cp", 1.5), ("client", "boto3", 1.5), ("ready", "preflight", 2.0),
    ):  # fmt: skip
        ratios = [one / other for one, other in zip(took[name], took[beside], strict=True)]
        print(f"{name} / {beside}: {statistics.median(ratios):.2f}, wanted at most {wanted}")
    for name, grown in sorted(memory.grown.items(), key=lambda one: -one[1])[:5]:
        print(f"grown by {grown:5.1f} MB, wanted below 64: {name}")


def _token(layout: Layout) -> str:
    lines = (layout.local_dir / "portal.env").read_text().splitlines()
    (found,) = (line for line in lines if "MME_TOKEN=" in line)
    return found.partition("MME_TOKEN=")[2].strip("'\"")


def timed(work: Callable[..., object], *given: object) -> float:
    began = time.perf_counter()
    work(*given)
    return time.perf_counter() - began


def packed(folder: Path, note: str) -> Path:
    """The archive, with a note in it; its network is made where it is not there yet."""
    subprocess.run([PYTHON, ROOT / "bench" / "networks.py", NETWORKS], check=True, timeout=900)
    path = folder / "resnet-152.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for file in sorted((NETWORKS / "resnet-152").iterdir()):
            tar.add(file, file.name)
        info = tarfile.TarInfo("note.txt")
        info.size = len(note)
        tar.addfile(info, io.BytesIO(note.encode()))
    return path


def validate(archive: Path) -> None:
    """The preflight alone: it reads and packs, then loads and calls."""
    script = ROOT / "container" / "preflight.py"
    subprocess.run([PYTHON, script, archive], check=True, capture_output=True, timeout=300)


class Memory:
    """How much each process below a folder grows meanwhile, in MB of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before: dict[int, float] = {}
        self.grown: dict[str, float] = {}

    def __enter__(self) -> "Memory":
        self._before = self._now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            for pid, size in self._now().items():
                if pid in self._before:
                    name = f"{pid} {_command(pid)}"
                    self.grown[name] = max(self.grown.get(name, 0.0), size - self._before[pid])

    def _now(self) -> dict[int, float]:
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cwd").readlink().is_relative_to(self._root):
                    found[int(folder.name)] = _anonymous_mb(folder)
            except OSError:  # it has ended, or is another user's
                continue
        return found


def _anonymous_mb(folder: Path) -> float:
    for line in folder.joinpath("status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:100]
    except OSError:
        return ""


if __name__ == "__main__":
    ending.run(main)
