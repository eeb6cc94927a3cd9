"""1,000 mutants of good archives: the reader refuses each with a sentence, or packs it.

Each is read in a fork, with 10 s of processor time and 512 MB of its own.
"""

import json
import os
import resource
import tarfile
from pathlib import Path

import pytest

from container import archive
from container.findings import ArtifactError
from tests.corpus import mutant

pytestmark = [pytest.mark.xdist_group("corpus"), pytest.mark.slow]

COUNT = 1_000
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


def test_a_mutant_is_refused_with_a_sentence_or_packed(tmp_path: Path) -> None:
    found: dict[str, int] = {}
    wrong = []
    for seed in range(COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = folder / "mutant.tar.gz"
        path.write_bytes(mutant(seed))
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                said = _read(path, folder)
            except BaseException as error:  # it is told to the test, below
                said = f"{type(error).__name__} {error}"
            os.write(into, json.dumps(said).encode()[:4000])
            os._exit(0)
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(pid, 0)
        said = json.loads(told) if status == 0 and told else f"ended with {status}"
        found[said] = found.get(said, 0) + 1
        if said not in ("refused", "packed"):
            wrong.append(f"mutant {seed}: {said}")
    assert not wrong, "\n".join(wrong)
    assert found["refused"] > COUNT / 4, found
    assert found["packed"] > COUNT / 20, found
