"""What is served is written by the worker: one gzip member around bytes that it does not parse."""

import gzip
import hashlib
import random
import shutil
import subprocess
import zlib
from functools import partial
from pathlib import Path

import pytest

from models_catalog import packing

PARAMETERS = random.Random(7).randbytes(3 << 20)
"""What hardly compresses, as trained weights do; more than a block, and no whole number of them."""
ZEROS = bytes(1 << 20)


def _tar(folder: Path, data: bytes) -> Path:
    path = folder / "plain.tar"
    path.write_bytes(data)
    return path


def _pack(folder: Path, data: bytes, choice: str) -> tuple[packing.Packed, bytes]:
    archive = folder / "served.tar.gz"
    packed = packing.pack(_tar(folder, data), archive, choice=choice, beat=lambda: None)
    return packed, archive.read_bytes()


@pytest.mark.parametrize("choice", ["stored", "compressed"])
@pytest.mark.parametrize("size", [1, 0xFFFF, 0x10000, 16 * 0xFFFF, 16 * 0xFFFF + 1, 3 << 20])
def test_it_is_one_gzip_member_without_a_name_and_a_time(
    tmp_path: Path, choice: str, size: int
) -> None:
    data = PARAMETERS[:size]
    packed, served = _pack(tmp_path, data, choice)
    assert packed.packing == choice
    assert served[:10] == b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"
    reader = zlib.decompressobj(31)
    assert reader.decompress(served) == data
    assert reader.eof
    assert reader.unused_data == b""
    assert gzip.decompress(served) == data
    assert packed.content_sha256 == hashlib.sha256(data).hexdigest()
    if choice == "stored":
        assert len(served) == packing.stored_size(size)


def test_gnu_gzip_reads_both(tmp_path: Path) -> None:
    for choice in ("stored", "compressed"):
        _, served = _pack(tmp_path, PARAMETERS, choice)
        program = shutil.which("gzip")
        assert program is not None
        done = subprocess.run([program, "-dc"], input=served, capture_output=True, check=True)
        assert done.stdout == PARAMETERS


@pytest.mark.not_quick
def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for choice in ("stored", "compressed"):
        assert _pack(tmp_path, PARAMETERS, choice)[1] == _pack(tmp_path, PARAMETERS, choice)[1]


@pytest.mark.parametrize(
    ("data", "packed"),
    [
        (PARAMETERS, "stored"),
        (ZEROS, "compressed"),
        (PARAMETERS[: 1 << 20] + ZEROS[: 1 << 17], "stored"),  # saves a ninth
        (PARAMETERS[: 1 << 20] + ZEROS[: 1 << 18], "compressed"),  # saves a fifth
    ],
    ids=["weights", "zeros", "a ninth", "a fifth"],
)
def test_auto_stores_where_compression_saves_less_than_15_percent(
    tmp_path: Path, data: bytes, packed: str
) -> None:
    found, served = _pack(tmp_path, data, "auto")
    assert found.packing == packed
    assert gzip.decompress(served) == data
    assert found.facts["exact"] is True
    kind = "stored_bytes" if packed == "stored" else "compressed_bytes"
    assert found.facts[kind] == len(served)


@pytest.mark.not_quick
def test_a_large_tar_is_judged_by_a_sample_and_never_compressed_to_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_SAMPLE_BLOCK", 4 << 10)
    given = []
    real = packing._gzip

    def counted(data: bytes, level: int) -> bytes:
        if level:
            given.append(len(data))
        return real(data, level)

    monkeypatch.setattr(packing, "_gzip", counted)
    found, served = _pack(tmp_path, PARAMETERS, "auto")
    assert found.packing == "stored"
    assert sum(given) == found.facts["sampled_bytes"] == 128 << 10
    assert found.facts["exact"] is False
    whole = len(zlib.compress(PARAMETERS, packing.LEVEL))
    assert found.facts["compressed_bytes"] == pytest.approx(whole, rel=0.01)
    assert found.facts["stored_bytes"] == len(served)


@pytest.mark.not_quick
def test_where_the_sample_was_wrong_it_is_stored_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_SAMPLE_BLOCK", 512)
    data = bytearray(PARAMETERS)
    for number in range(packing._SAMPLE_BLOCKS):  # zeros just where the sample is taken
        start = (len(data) - 512) * number // (packing._SAMPLE_BLOCKS - 1)
        data[start : start + 512] = bytes(512)
    found, served = _pack(tmp_path, bytes(data), "auto")
    assert found.packing == "stored"
    assert found.facts["exact"] is True  # it was compressed once, and counted
    assert gzip.decompress(served) == data


@pytest.mark.not_quick
def test_the_lease_is_kept_while_it_packs(tmp_path: Path) -> None:
    beats: list[str] = []
    for choice in ("stored", "compressed"):
        packing.pack(
            _tar(tmp_path, PARAMETERS),
            tmp_path / "served.tar.gz",
            choice=choice,
            beat=partial(beats.append, choice),
        )
    assert beats.count("stored") > 3
    assert beats.count("compressed") > 3
