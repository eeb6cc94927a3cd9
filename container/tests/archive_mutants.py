"""Mutants of good archives, each given to the reader in a fork of this small process.

    python -m container.tests.archive_mutants COUNT

Each fork has 10 s of processor time and 512 MB of its own. Prints how many came to what, and those
that came to what they must not. In pytest's own process, which has imported all that is tested, a
fork takes several times as long as the reading.
"""

import gc
import json
import os
import resource
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from container import archive
from container.findings import ArtifactError
from tests.corpus import mutant

_MEGABYTE = 1 << 20


def _read(path: Path, folder: Path) -> str:
    """In the fork: what came of it."""
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 512 * _MEGABYTE,) * 2)
    target = folder / "packed.tar"
    try:
        archive.pack(path, folder, target, max_bytes=64 * _MEGABYTE, contents=archive.Contents())
    except ArtifactError as refused:
        if "\n" in refused.message or not refused.message.endswith((".", "`", "gz", "again")):
            return f"says {refused.message!r}"
        return "refused"
    with tarfile.open(target) as tar:
        names = [member.name for member in tar.getmembers() if member.isreg()]
    plain = names == sorted(set(names)) and not any(
        name.startswith("/") or ".." in name.split("/") for name in names
    )
    return "packed" if plain else f"packed {names}"


def judged(path: Path, folder: Path) -> str:
    """What came of the archive at ``path``, read in a fork."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = _read(path, folder)
        except BaseException as error:  # it is told to the test
            said = f"{type(error).__name__} {error}"
        os.write(into, json.dumps(said).encode()[:4000])
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    return str(json.loads(told)) if status == 0 and told else f"ended with {status}"


def run(count: int) -> dict[str, Any]:
    found: dict[str, int] = {}
    wrong = []
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="mme-mutants-") as root:
        for seed in range(count):
            folder = Path(root, str(seed))
            folder.mkdir()
            path = folder / "mutant.tar.gz"
            path.write_bytes(mutant(seed))
            said = judged(path, folder)
            shutil.rmtree(folder)
            found[said] = found.get(said, 0) + 1
            if said not in ("refused", "packed"):
                wrong.append(f"mutant {seed}: {said}")
    return {"found": found, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
