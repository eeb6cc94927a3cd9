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
        (archive(special("hard", tarfile.LNKTYPE, "/etc/passwd")), "leads out"),
        (archive(special("hard", tarfile.LNKTYPE, "a"), ("a", b"x")), "which is no file before"),
        (archive(special("link", tarfile.SYMTYPE, ".."), ("link/evil", b"x")), "names clash"),
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


def test_links_become_the_files_they_lead_to_and_none_from_outside(tmp_path):
    """The container would answer with what lies on the machine: a label is a line of a file."""
    (tmp_path / "secret").write_text("a secret")
    content = archive(
        ("blobs/1", b"one"),
        special("direct", tarfile.SYMTYPE, "blobs/1"),
        special("over", tarfile.SYMTYPE, "folder/../direct"),
        special("folder", tarfile.SYMTYPE, "blobs"),
        special("through", tarfile.SYMTYPE, "folder/1"),
        special("hard", tarfile.LNKTYPE, "./blobs/1"),
        special("absolute", tarfile.SYMTYPE, str(tmp_path / "secret")),
        special("above", tarfile.SYMTYPE, "../secret"),
        special("round", tarfile.SYMTYPE, "round"),
        special("nothing", tarfile.SYMTYPE, "blobs/2"),
    )
    folder = tmp_path / "out"
    folder.mkdir()
    assert unpack(content, folder, max_bytes=1000) == 3
    found = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    assert found == dict.fromkeys(["direct", "over", "through", "hard"], b"one")
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_links_that_take_for_ever_to_follow_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_MAX_STEPS", 5_000)
    ways = [special(f"l{n}", tarfile.SYMTYPE, "d/../" * 100 + "d/f") for n in range(30)]
    with pytest.raises(FetchError, match="links lead by too many folders") as caught:
        unpack(archive(("d/f", b"x"), *ways), tmp_path / "long", max_bytes=LIMIT)
    assert caught.value.kind == "archive"
    unpack(archive(("d/f", b"x"), *ways[:20]), tmp_path / "short", max_bytes=LIMIT)
    assert (tmp_path / "short" / "l19").read_bytes() == b"x"


def test_of_two_files_of_one_name_the_last_counts_and_links_keep_the_first(tmp_path):
    content = archive(("a", b"old"), special("hard", tarfile.LNKTYPE, "a"), ("a", b"new"))
    unpack(content, tmp_path, max_bytes=1000)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"new", "hard": b"old"}


@pytest.mark.not_quick
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_take_no_more_memory_than_a_few_megabytes(tmp_path, kind):
    header = tarfile.TarInfo("a")
    header.type, header.size = kind, 64 << 20
    content = io.BytesIO(gzip.compress(header.tobuf() + bytes(64 << 20), 1))
    with pytest.raises(FetchError, match="headers are too long"):
        unpack(content, tmp_path, max_bytes=LIMIT)
