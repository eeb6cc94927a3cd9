import gzip
import io
import tarfile

import pytest

from localaws import fetch
from localaws.fetch import FetchError, unpack
from tests.artifacts import constant_network, pack

LIMIT = 10_000_000


def archive(*members: tarfile.TarInfo | tuple[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    out.seek(0)
    return out


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def lying(kind: bytes = tarfile.REGTYPE, times: int = 1, **records: str) -> io.BytesIO:
    """An archive of headers alone, with pax ``records``; "__" stands for a dot."""
    header = tarfile.TarInfo("a")
    header.type = kind
    header.pax_headers = {key.replace("__", "."): value for key, value in records.items()}
    plain = header.tobuf(tarfile.PAX_FORMAT) * times + bytes(1024)
    return io.BytesIO(gzip.compress(plain))


@pytest.mark.parametrize("prefix", ["", "./"])
def test_it_unpacks_an_artifact(tmp_path, prefix):
    files = constant_network(labels=["a", "b"], answer=1)
    path = pack(tmp_path / "a.tar.gz", files, prefix=prefix)
    folder = tmp_path / "out"
    folder.mkdir()
    with path.open("rb") as source:
        written = unpack(source, folder, max_bytes=LIMIT)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == files
    assert written == sum(map(len, files.values()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive(("../evil", b"x")), "leads out"),
        (archive(("a/../../evil", b"x")), "leads out"),
        (archive(("/tmp/evil", b"x")), "leads out"),
        (archive(special("link", tarfile.SYMTYPE, "/etc/passwd")), "neither a file"),
        (archive(("a", b"x"), special("hard", tarfile.LNKTYPE, "a")), "neither a file"),
        (archive(special("dev", tarfile.CHRTYPE)), "neither a file"),
        (archive(special("pipe", tarfile.FIFOTYPE)), "neither a file"),
        (archive(("big", b"x" * 1001)), "more than 1000 bytes"),
        (archive(("a", b"x"), ("a/b", b"x")), "names clash"),
        (archive(*((f"f{i}", b"") for i in range(101))), "more than 100 files"),
        (io.BytesIO(b"plain text, not an archive at all"), "not a sound"),
        (io.BytesIO(gzip.compress(b"no tar inside" * 100)), "not a sound"),
        (io.BytesIO(archive(("a", b"x" * 900)).getvalue()[:-20]), "not a sound"),
        (io.BytesIO(b""), "not a sound"),
        (lying(GNU__sparse__map="x,y", GNU__sparse__size="z"), "not a sound"),
        (lying(kind=tarfile.GNUTYPE_LONGNAME, times=3000), "not a sound"),
        (lying(path="a" * 5000), "a name in the archive is too long"),
    ],
)
def test_it_refuses_a_hostile_or_broken_archive(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(fetch, "_MAX_FILES", 100)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(FetchError, match=reason):
        unpack(content, folder, max_bytes=1000)
    assert not (tmp_path / "evil").exists()
