"""Hostile and broken archives (tests/corpus.py): each is refused with a sentence, or served as it
was validated, within 10 s and 512 MB; nothing is left behind, and the worker goes on."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models_catalog import publication, s3
from models_catalog.models import Version
from tests.corpus import CORPUS, NETWORK, PARAMS, READY

pytestmark = [pytest.mark.xdist_group("corpus"), pytest.mark.slow]

# The parts of a path of this machine that no sentence may hold.
_OURS = ("/tmp", "Traceback", "/home", ".py")


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Where validations work; at the end nothing is in it."""
    settings.PREFLIGHT_TIMEOUT_S = 10
    settings.PREFLIGHT_MEMORY_MB = 512
    settings.MAX_UNPACKED_MB = 64
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "work")
    work = tmp_path / "work"
    work.mkdir()
    yield work
    assert list(work.iterdir()) == []


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def _served(version: Version) -> dict[str, bytes]:
    """What lies at the version's key, whose SHA-256 is that of what was validated."""
    data = b"".join(s3.download(bucket=version.bucket, key=version.key))
    assert hashlib.sha256(data).hexdigest() == version.published_sha256
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        assert all(member.isreg() for member in members)
        assert not [name for name in tar.getnames() if name.startswith("/") or ".." in name]
        return {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]


@pytest.mark.parametrize("case", CORPUS)
def test_it_is_refused_with_a_sentence_or_served_as_validated(
    case: str,
    upload: Callable[..., Version],
    keys: Callable[[], set[str]],
    tmp_path: Path,
    settings: Any,
) -> None:
    settings.KEEP_ORIGINALS = False
    make, comes_to = CORPUS[case]
    path = tmp_path / "digits.tar.gz"
    path.write_bytes(make())
    before = _children()
    version = upload(path)

    publication.check_version(version_pk=version.pk)

    version.refresh_from_db()
    assert _children() == before
    if comes_to == READY:
        assert (version.state, version.reason) == (Version.State.READY, "")
        assert keys() == {version.key}
        served = _served(version)
        assert served.pop(PARAMS, None) == NETWORK[PARAMS]
        return
    assert (version.state, version.reason_kind) == (
        Version.State.REJECTED,
        f"rejected.{comes_to}",
    ), version.reason
    assert version.reason.endswith((".", "”", "`", "gz"))
    assert not [word for word in _OURS if word in version.reason], version.reason
    assert "\n" not in version.reason
    assert keys() == set()


def test_the_worker_goes_on(upload: Callable[..., Version], tmp_path: Path) -> None:
    for name, case in (("bad", "a graph of depth 100,000"), ("good", "gzip in two members")):
        path = tmp_path / f"{name}.tar.gz"
        path.write_bytes(CORPUS[case][0]())
        publication.check_version(version_pk=upload(path, name=name).pk)
    found = Version.objects.order_by("model__name").values_list("state", flat=True)
    assert list(found) == [Version.State.REJECTED, Version.State.READY]


def test_there_are_more_than_eighty() -> None:
    assert len(CORPUS) > 80
