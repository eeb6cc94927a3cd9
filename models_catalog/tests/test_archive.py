"""What is refused before anything of an archive is unpacked."""

import gzip
import io
import os
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_catalog.archive import ArchiveRefused, inspect
from tests.artifacts import constant_archive, constant_network, pack

LIMIT = 64 << 20


def _with_member(path: Path, info: tarfile.TarInfo, data: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return path


def _refusal(path: Path, limit: int = LIMIT) -> str:
    with pytest.raises(ArchiveRefused) as refused:
        inspect(path, max_unpacked=limit)
    return str(refused.value)


@pytest.mark.parametrize("prefix", ["", "./"])
def test_it_accepts_a_good_archive(archives: Path, prefix: str) -> None:
    files = constant_network(labels=["a", "b"], answer=0)
    inspect(pack(archives / "a.tar.gz", files, prefix=prefix), max_unpacked=LIMIT)


def test_it_refuses_what_is_not_gzip(archives: Path) -> None:
    path = archives / "a.tar.gz"
    path.write_bytes(b"PK\x03\x04 a zip file")
    assert "not gzip" in _refusal(path)


def test_it_refuses_gzip_that_holds_no_tar(archives: Path) -> None:
    path = archives / "a.tar.gz"
    path.write_bytes(gzip.compress(b"hello " * 1000))
    assert "not a readable tar" in _refusal(path)


def test_it_refuses_an_empty_gzip(archives: Path) -> None:
    path = archives / "a.tar.gz"
    path.write_bytes(gzip.compress(b""))
    assert "empty" in _refusal(path)


def test_it_refuses_a_truncated_archive(archives: Path) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cut off" in _refusal(path)


def test_it_refuses_a_wrong_checksum(archives: Path) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF  # gzip's CRC-32
    path.write_bytes(data)
    assert "damaged" in _refusal(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil", "leads outside"),
        ("a/../../evil", "leads outside"),
        ("/etc/passwd", "absolute"),
        ("a\\..\\b", "leads outside"),
        ("a\nb", "not printable"),
        ("d/" * 32 + "x", "more than 32 folders deep"),
        ("caf\udce9", "not printable"),
    ],
)
def test_it_refuses_unsafe_names(archives: Path, name: str, reason: str) -> None:
    path = _with_member(archives / "a.tar.gz", tarfile.TarInfo(name), b"x")
    assert reason in _refusal(path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_it_refuses_links_and_devices(archives: Path, kind: bytes, reason: str) -> None:
    info = tarfile.TarInfo("thing")
    info.type = kind
    info.linkname = "/etc/passwd"
    assert reason in _refusal(_with_member(archives / "a.tar.gz", info))


def test_it_refuses_a_name_given_twice(archives: Path) -> None:
    path = archives / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("same"))
    assert "twice" in _refusal(path)


def test_it_refuses_a_bomb_without_holding_it(archives: Path) -> None:
    path = archives / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 40 << 20
        with open("/dev/zero", "rb") as zeros:
            tar.addfile(info, zeros)
    assert path.stat().st_size < 1 << 20
    assert "unpacks to more than 8 MB" in _refusal(path, limit=8 << 20)


def test_it_refuses_too_many_files(archives: Path) -> None:
    path = archives / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for number in range(1001):
            tar.addfile(tarfile.TarInfo(str(number)))
    assert "more than 1,000 files" in _refusal(path)


def test_it_refuses_a_giant_header_record(archives: Path) -> None:
    path = archives / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"comment": "x" * (2 << 20)}
        tar.addfile(info)
    assert "header record" in _refusal(path)


def test_it_refuses_sparse_files_and_what_they_announce(archives: Path) -> None:
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    assert "sparse" in _refusal(_with_member(archives / "a.tar.gz", info))
    with tarfile.open(archives / "b.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("sparse")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        info.size = 512
        tar.addfile(info, io.BytesIO(b"0\n".ljust(512, b"\0")))
    assert "sparse" in _refusal(archives / "b.tar.gz")


def test_it_refuses_what_announces_more_than_the_limit(archives: Path) -> None:
    info = tarfile.TarInfo("huge")
    info.size = 1 << 40
    path = archives / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(1024)))
    assert "unpacks to more than" in _refusal(path)


def test_it_refuses_headers_chained_without_end(archives: Path) -> None:
    info = tarfile.TarInfo("chain")
    info.type = tarfile.XHDTYPE
    path = archives / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() * 2000 + bytes(1024)))
    assert "chained too deep" in _refusal(path)


def test_nothing_is_written_beside_the_archive(archives: Path) -> None:
    path = _with_member(archives / "a.tar.gz", tarfile.TarInfo("../evil"), b"x")
    _refusal(path)
    assert os.listdir(archives) == ["a.tar.gz"]
    assert not (archives.parent / "evil").exists()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 40), inside=st.booleans())
def test_broken_bytes_are_refused_or_read_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, inside: bool
) -> None:
    chance = random.Random(seed)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=chance.choice([0, 1, 2])) as out:
        for name, data in constant_network(labels=["é" * 70, "b"], answer=0).items():
            info = tarfile.TarInfo(chance.choice(["", "./", "long/" * 30]) + name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    data = bytearray(tar.getvalue() if inside else gzip.compress(tar.getvalue(), mtime=0))
    for _ in range(count):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path = tmp_path_factory.mktemp("fuzz") / "a.tar.gz"
    path.write_bytes(gzip.compress(bytes(data), 1) if inside else bytes(data))
    try:
        inspect(path, max_unpacked=LIMIT)
    except ArchiveRefused as refusal:
        assert str(refusal)  # noqa: PT017
