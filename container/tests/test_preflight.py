"""The preflight: its report, its refusals, its limits."""

import gzip
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container import preflight as module
from container import processors
from container.artifact import read_artifact
from container.findings import ArtifactError
from container.report_form import well_packed
from container.tests.big import big_network
from container.tests.serving import REPOSITORY, alive, descendants, wait_until
from tests.artifacts import constant_archive, constant_network, pack, params_bytes

pytestmark = pytest.mark.xdist_group("container-preflight")

PREFLIGHT = REPOSITORY / "container" / "preflight.py"
MEGABYTE = 1024 * 1024
NETWORK = constant_network(labels=["cat", "dog"], answer=1)


def preflight(python: str, archive: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [python, str(PREFLIGHT), str(archive), *options],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_it_accepts_a_sound_archive_and_tells_what_is_inside(
    python: str, tmp_path: Path, picture: bytes
) -> None:
    files = constant_network(labels=["cat", "dog", "fox"], answer=1) | {
        "tiny-preprocess.json": b'{"resize": 10, "crop": true, "scale": 0.5, "mean": [1, 2, 3]}'
    }
    archive = pack(tmp_path / "tiny.tar.gz", files, prefix="./")
    (tmp_path / "red.jpg").write_bytes(picture)

    code, report = preflight(python, archive, "--image", str(tmp_path / "red.jpg"))

    assert code == 0
    assert report["ok"] is True
    assert report["error"] is None
    inside = report["artifact"]
    assert inside["name"] == "tiny"
    assert {"name": "synset.txt", "bytes": 12} in inside["files"]
    assert inside["unpacked_bytes"] == sum(len(data) for data in files.values())
    assert inside["inputs"] == [{"name": "data", "shape": [1, 3, 8, 8]}]
    assert inside["outputs"] == [{"name": "prob_output", "shape": [1, 3]}]
    assert inside["parameters"] == 3 * 192 + 3
    assert inside["parameter_bytes"] == 4 * (3 * 192 + 3)
    assert inside["labels"] == ["cat", "dog", "fox"]
    assert inside["label_count"] == 3
    assert inside["layers"] == {"FullyConnected": 1, "softmax": 1}
    assert inside["preprocess"] == {
        "resize": 10, "crop": True, "scale": 0.5, "mean": [1, 2, 3], "std": [], "color": "RGB",
        "layout": None, "output": None, "output_name": None,
        "pad": None, "interpolation": "bilinear",
    }  # fmt: skip
    assert report["sample"]["image"] == "red.jpg"
    assert report["sample"]["predictions"][0]["label"] == "dog"
    assert report["load_ms"] > 0
    assert report["first_ms"] > 0
    assert report["warm_ms"] > 0
    assert report["memory_mb"] > 0


def test_the_first_run_packs_what_the_second_loads_and_both_are_one_report(
    python: str, tmp_path: Path
) -> None:
    extra = {"README.md": b"x" * 90_000, "MAR-INF/MANIFEST.json": b"{}", "Icon\r": b""}
    archive = pack(tmp_path / "uploaded.tar.gz", NETWORK | extra, prefix="./top/")
    tar, published = tmp_path / "packed.tar", tmp_path / "published.tar.gz"

    code, first = preflight(python, archive, "--pack", str(tar))

    assert (code, first["ok"], first["error"]) == (0, True, None)
    assert first["sandbox"]["missing"] == []
    assert first["archive"].pop("notes")
    kept = NETWORK | {"README.md": extra["README.md"]}
    files = [
        {"name": name, "bytes": len(data), "packed": True, "read": name != "README.md"}
        for name, data in kept.items()
    ] + [
        {"name": "top/Icon\\r", "bytes": 0, "packed": False, "read": False},
        {"name": "top/MAR-INF/MANIFEST.json", "bytes": 2, "packed": False, "read": False},
    ]
    assert first["archive"] == {
        "files": sorted(files, key=lambda file: str(file["name"])),
        "unpacked_bytes": sum(len(data) for data in (NETWORK | extra).values()),
        "packed_bytes": sum(len(data) for data in kept.values()),
    }
    with tarfile.open(tar, "r:") as packed:
        members = packed.getmembers()
        assert {one.name: packed.extractfile(one).read() for one in members} == kept  # type: ignore[union-attr]
    assert [one.name for one in members] == sorted(kept)
    about = {(one.mtime, one.mode, one.uid, one.gid, one.uname, one.gname, one.type)
             for one in members}  # fmt: skip
    assert about == {(0, 0o644, 0, 0, "", "", tarfile.REGTYPE)}

    published.write_bytes(gzip.compress(tar.read_bytes(), 0))
    code, second = preflight(python, published, "--packed")
    assert (code, second["error"]) == (0, None)
    assert {one["name"] for one in second["artifact"]["files"]} == set(kept)

    _, both = preflight(python, archive)
    assert both.keys() == second.keys() | {"archive"}
    assert both["artifact"] == second["artifact"]
    del both["archive"]["notes"]
    assert both["archive"] == first["archive"]
    assert both["sample"]["image"] == "star", "without a picture it draws one"
    assert both["sample"]["predictions"][0]["label"] == "dog"


def test_the_first_run_does_not_load_mxnet(python: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / "bad.tar.gz", NETWORK | {"tiny-symbol.json": b"no JSON"})
    done = subprocess.run(
        [python, str(PREFLIGHT), str(archive), "--pack", str(tmp_path / "bad.tar")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mxnet" not in done.stderr.lower()  # which says at once which engine it uses
    loaded = "import sys, container.preflight; print(sorted({'mxnet', 'numpy', " \
        "'container.network', 'container.artifact'} & sys.modules.keys()))"  # fmt: skip
    asked = subprocess.run(
        [python, "-c", loaded], cwd=REPOSITORY, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert asked.stdout.strip() == "[]"


def test_a_refused_archive_leaves_no_tar_and_one_that_is_there_is_kept(
    python: str, tmp_path: Path
) -> None:
    tar = tmp_path / "packed.tar"
    broken = pack(tmp_path / "broken.tar.gz", {"synset.txt": b"a\n"})
    code, report = preflight(python, broken, "--pack", str(tar))
    assert (code, report["error"]["code"]) == (1, "missing_file")
    assert report["archive"]["files"] == [
        {"name": "synset.txt", "bytes": 2, "packed": False, "read": False}
    ]
    assert not tar.exists()

    tar.write_bytes(b"mine")
    sound = pack(tmp_path / "sound.tar.gz", NETWORK)
    done = subprocess.run(
        [python, str(PREFLIGHT), str(sound), "--pack", str(tar)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "is there already" in done.stderr
    assert tar.read_bytes() == b"mine"


def _out(folder: Path, how: str) -> Path:
    """What a sandboxed process may leave in place of the tar it was to write."""
    left, secret = folder / "packed.tar", folder / "secret"
    secret.write_text("a secret")
    if how == "a link":
        left.symlink_to(secret)
    elif how == "a hard link":
        left.hardlink_to(secret)
    elif how == "a pipe":
        os.mkfifo(left)
    elif how == "a folder":
        left.mkdir()
    elif how == "a huge file":
        with left.open("wb") as file:
            file.truncate(1 << 40)
    return left


@pytest.mark.parametrize(
    "how", ["a link", "a hard link", "a pipe", "a folder", "a huge file", "nothing"]
)
def test_what_the_sandbox_wrote_is_taken_only_as_a_plain_file(how: str, tmp_path: Path) -> None:
    left, target = _out(tmp_path, how), tmp_path / "target"
    with pytest.raises(ValueError, match=r"file|large"):
        module._copy_out(left, target, 1 << 20)
    assert not target.exists()


def test_what_the_sandbox_wrote_is_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "left").write_bytes(data := os.urandom(300_000))
    module._copy_out(tmp_path / "left", tmp_path / "target", 1 << 20)
    assert (tmp_path / "target").read_bytes() == data


def test_all_files_that_are_missing_are_told_at_once(python: str, tmp_path: Path) -> None:
    only = {name: data for name, data in NETWORK.items() if name.endswith("-symbol.json")}
    code, report = preflight(python, pack(tmp_path / "t.tar.gz", only))
    error = report["error"]
    assert (code, error["code"]) == (1, "missing_file")
    assert error["parameters"]["missing"] == ["tiny-0000.params", "tiny-shapes.json", "synset.txt"]
    assert all(name in error["message"] for name in error["parameters"]["missing"])

    code, report = preflight(python, pack(tmp_path / "u.tar.gz", {"README": b"x"}))
    wanted = ["NAME-symbol.json", "NAME-0000.params", "NAME-shapes.json", "synset.txt"]
    assert report["error"]["parameters"]["missing"] == wanted


def test_two_folders_with_networks_are_told_how_to_pack_one(python: str, tmp_path: Path) -> None:
    files = {f"{at}/{name}": data for at in ("my a", "b") for name, data in NETWORK.items()}
    _, report = preflight(python, pack(tmp_path / "t.tar.gz", files))
    assert report["error"]["parameters"]["command"] == "tar -C b -czf NAME.tar.gz ."
    assert report["error"]["message"].endswith("Pack one of them with: tar -C b -czf NAME.tar.gz .")


def test_a_file_that_lies_in_another_folder_is_pointed_at(python: str, tmp_path: Path) -> None:
    files = {("labels/" if name == "synset.txt" else "net/") + name: data
             for name, data in NETWORK.items()}  # fmt: skip
    _, report = preflight(python, pack(tmp_path / "t.tar.gz", files))
    assert report["error"]["parameters"]["missing"] == ["synset.txt"]
    assert report["error"]["parameters"]["found"] == ["labels/synset.txt"]


def tar_gz(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTILE: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "text": (
        lambda p: (p.write_bytes(b"I am text"), p)[1],
        "not_gzip",
        "not gzip",
    ),
    "gzip of text": (
        lambda p: (p.write_bytes(gzip.compress(b"I am text, not tar" * 99)), p)[1],
        "not_tar",
        "tar",
    ),
    "cut short": (
        lambda p: (p.write_bytes(gzip.compress(bytes(range(256)) * 999)[:-200]), p)[1],
        "not_",
        "The archive is gzip, but what is inside is not a tar archive",
    ),
    "dots": (lambda p: tar_gz(p, (member("../escape"), b"x")), "unsafe_path", "../escape"),
    "absolute": (lambda p: tar_gz(p, (member("/etc/escape"), b"x")), "unsafe_path", "/etc/escape"),
    "twice": (
        lambda p: tar_gz(p, (member("a"), b"x"), (member("./a"), b"y")),
        "unsafe_path",
        "twice",
    ),
    "symlink": (
        lambda p: tar_gz(
            p,
            *((member(name), data) for name, data in NETWORK.items() if name != "synset.txt"),
            (member("synset.txt", tarfile.SYMTYPE, "/etc/passwd"), b""),
        ),
        "link_or_device",
        "'synset.txt' is a link to '/etc/passwd', which is no file of the archive: pack with "
        "`tar -h`",
    ),
    "hard link": (
        lambda p: tar_gz(p, (member("link", tarfile.LNKTYPE, "/etc/passwd"), b"")),
        "link_or_device",
        "link",
    ),
    "device": (
        lambda p: tar_gz(p, (member("null", tarfile.CHRTYPE), b"")),
        "link_or_device",
        "null",
    ),
    "many": (
        lambda p: tar_gz(p, *((member(f"f{i}"), b"") for i in range(1100))),
        "too_many_files",
        "1,000",
    ),
    "large": (
        lambda p: tar_gz(p, (member("zeros"), b"\0" * (3 * 1024 * 1024))),
        "too_large",
        "1 MB",
    ),
    "empty": (lambda p: tar_gz(p), "missing_file", "empty"),
}


def inspected(archive: Path, folder: Path, max_mb: int = 4096) -> dict[str, Any]:
    """What the first run reports of it, by its own code, in this process."""
    folder.mkdir()
    return module.inspect(archive, folder, max_mb * MEGABYTE)


@pytest.mark.parametrize("case", HOSTILE)
def test_it_refuses_hostile_archives(tmp_path: Path, case: str) -> None:
    make, word, message = HOSTILE[case]
    archive = make(tmp_path / "hostile.tar.gz")

    report = inspected(archive, folder := tmp_path / "folder", 1)

    assert report["ok"] is False
    assert well_packed(report)
    assert report["error"]["code"].startswith(word)
    assert message in report["error"]["message"]
    assert all(path.is_file() and not path.is_symlink() for path in folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "hostile.tar.gz"]


def test_a_refusal_of_the_first_run_leaves_nothing(python: str, tmp_path: Path) -> None:
    make, word, message = HOSTILE["large"]
    archive = make(tmp_path / "hostile.tar.gz")

    code, report = preflight(python, archive, "--max-unpacked-mb", "1")

    assert code == 1
    assert report["ok"] is False
    assert report["error"]["code"] == word
    assert message in report["error"]["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.tar.gz"]


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        pytest.param(
            {"zeros.bin": bytes(40 * MEGABYTE)},
            "'zeros.bin' (40.0 MB)",
            marks=pytest.mark.not_quick,
        ),
        ({f"part{i}.bin": bytes(MEGABYTE // 4) for i in range(5)}, "'part0.bin' (0.2 MB)"),
        ({"folder/tiny-0000.params": bytes(2 * MEGABYTE)}, "'folder/tiny-0000.params' (2.0 MB)"),
        ({".tiny-0000.params": bytes(2 * MEGABYTE)}, "'.tiny-0000.params' (2.0 MB)"),
        ({"other-0000.params": bytes(2 * MEGABYTE)}, "'other-0000.params' (2.0 MB)"),
        ({"a-preprocess.json": b"{}", "b-preprocess.json": b" " * 2 * MEGABYTE}, "b-preprocess"),
        ({"zeros.bin": bytes(2 * MEGABYTE), "notes.txt": bytes(10)}, "'notes.txt' (10 B)"),
        ({"tiny--001.params": bytes(2 * MEGABYTE)}, "'tiny--001.params' (2.0 MB)"),
    ],
)
def test_a_few_megabytes_that_would_fill_a_disk_are_left_out_of_what_is_served(
    tmp_path: Path, extra: dict[str, bytes], named: str
) -> None:
    """Zeros pack to a thousandth, and each instance would keep them as long as the model."""
    archive = pack(tmp_path / "bomb.tar.gz", NETWORK | extra)

    report = inspected(archive, tmp_path / "folder")

    assert (report["ok"], report["error"]) == (True, None)
    assert (tmp_path / "folder" / "packed.tar").stat().st_size < 8192
    notes = {note["code"]: note["message"] for note in report["archive"]["notes"]}
    assert named in notes["extra_left_out"]
    listed = {one["name"]: one for one in report["archive"]["files"]}
    assert {name for name, one in listed.items() if one["packed"]} == set(NETWORK)
    assert all(listed[name]["bytes"] == len(data) for name, data in extra.items())
    assert not any(listed[name]["read"] for name in extra)


def _tar(files: dict[str, bytes], *, ended: bool) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        end = tar.offset
    return out.getvalue() if ended else out.getvalue()[:end]


@pytest.mark.not_quick
def test_what_hides_in_a_second_gzip_stream_is_validated_too(tmp_path: Path) -> None:
    """A gzip file may be several streams in a row, and each instance unpacks all of them."""
    hidden = gzip.compress(_tar({"zeros.bin": bytes(40 * MEGABYTE)}, ended=True))
    archive = tmp_path / "two.tar.gz"
    archive.write_bytes(gzip.compress(_tar(NETWORK, ended=False)) + hidden)

    report = inspected(archive, tmp_path / "hidden")

    assert (report["ok"], report["error"]) == (True, None)
    listed = {one["name"]: one["packed"] for one in report["archive"]["files"]}
    assert listed == dict.fromkeys(NETWORK, True) | {"zeros.bin": False}

    whole = _tar(NETWORK, ended=True)
    archive.write_bytes(gzip.compress(whole[:700]) + gzip.compress(whole[700:]))
    report = inspected(archive, tmp_path / "halves")
    assert (report["ok"], report["error"]) == (True, None)
    with tarfile.open(tmp_path / "halves" / "packed.tar") as packed:
        assert packed.getnames() == sorted(NETWORK)


def test_what_lies_beside_a_network_today_is_taken(tmp_path: Path) -> None:
    """A README, a licence, a few epochs, what macOS adds."""
    extra = {f"tiny-000{epoch}.params": NETWORK["tiny-0000.params"] for epoch in (1, 2, 3, 4)}
    extra |= {
        "README.md": b"x" * 90_000,
        "folder/LICENSE": b"y" * 90_000,
        "._tiny-symbol.json": b"z",
    }
    for number, files in enumerate((NETWORK | extra, extra | NETWORK)):
        archive = pack(tmp_path / f"{number}.tar.gz", files)
        report = inspected(archive, tmp_path / str(number))
        assert (report["ok"], report["error"]) == (True, None)
        kept = {one["name"] for one in report["archive"]["files"] if one["packed"]}
        assert kept >= set(NETWORK)


@pytest.mark.not_quick
def test_weights_that_the_network_does_not_use_are_no_way_round(tmp_path: Path) -> None:
    count = 8 * MEGABYTE
    params = params_bytes({"arg:fc_weight": ((2, 192), [0.0] * 384), "arg:nothing": ((1,), [0.0])})
    tensor = struct.pack("<Iiiq", 0xF993FAC9, 0, 1, 1) + struct.pack("<iii", 1, 0, 0) + bytes(4)
    large = struct.pack("<Iiiq", 0xF993FAC9, 0, 1, count) + struct.pack("<iii", 1, 0, 0)
    assert params.count(tensor) == 1
    for name, data in NETWORK.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "tiny-0000.params").write_bytes(params.replace(tensor, large + bytes(4 * count)))

    with pytest.raises(ArtifactError) as refused:
        read_artifact(tmp_path)

    assert refused.value.code == "bad_params"
    assert "holds 32 MB of arrays that the network does not use" in refused.value.message
    assert "'arg:nothing'" in refused.value.message


def _params(magic: int = 0x112, count: int = 1, tensor: bytes = b"", names: bytes = b"") -> bytes:
    return struct.pack("<QQQ", magic, 0, count) + tensor + names


def _tensor(
    *, magic: int = 0xF993FAC9, storage: int = 0, dimensions: int = 1,
    shape: bytes = struct.pack("<q", 1), kind: int = 0, values: bytes = bytes(4),
) -> bytes:  # fmt: skip
    head = struct.pack("<Iii", magic, storage, dimensions)
    return head + shape + struct.pack("<iii", 1, 0, kind) + values


NAME = struct.pack("<QQ", 1, 1) + b"a"
BAD_PARAMS = {
    "a million arrays and no more": _params(count=1_000_001),
    "more arrays than there are": _params(count=2**64 - 1),
    "sparse": _params(tensor=_tensor(storage=1), names=NAME),
    "a storage below zero": _params(tensor=_tensor(storage=-2), names=NAME),
    "dimensions below zero": _params(tensor=_tensor(dimensions=-1, shape=b""), names=NAME),
    "2 billion dimensions": _params(tensor=_tensor(dimensions=2**31 - 1), names=NAME),
    "a size below zero": _params(tensor=_tensor(shape=struct.pack("<q", -1)), names=NAME),
    "sizes whose product is 0 in 64 bits": _params(
        tensor=_tensor(dimensions=2, shape=struct.pack("<qq", 2**32, 2**32)), names=NAME
    ),
    "no type of values": _params(tensor=_tensor(kind=99), names=NAME),
    "a type below zero": _params(tensor=_tensor(kind=-1), names=NAME),
    "a name without an end": _params(tensor=_tensor(), names=struct.pack("<QQ", 1, 2**63) + b"a"),
    "fewer names than arrays": _params(tensor=_tensor(), names=struct.pack("<Q", 0)),
    "more names than arrays": _params(tensor=_tensor(), names=struct.pack("<Q", 2)),
    "a name that is no text": _params(tensor=_tensor(), names=struct.pack("<QQ", 1, 1) + b"\xff"),
    "two of a name": _params(count=2, tensor=_tensor() * 2,
                             names=struct.pack("<QQ", 2, 1) + b"a" + struct.pack("<Q", 1) + b"a"),
    "more after the end": _params(tensor=_tensor(), names=NAME) + bytes(64),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PARAMS)
def test_a_params_file_is_read_within_bounds(tmp_path: Path, case: str) -> None:
    for name, data in NETWORK.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "tiny-0000.params").write_bytes(BAD_PARAMS[case])

    with pytest.raises(ArtifactError) as refused:
        read_artifact(tmp_path)

    assert refused.value.code == "bad_params"
    assert refused.value.message.startswith("tiny-0000.params ")


WORDS = {
    "missing_file": {"synset.txt": None},
    "bad_symbol": {"tiny-symbol.json": b"[]"},
    "bad_params": {"tiny-0000.params": NETWORK["tiny-0000.params"][:-4]},
    "bad_shapes": {"tiny-shapes.json": b"[]"},
}


@pytest.mark.parametrize("word", WORDS)
def test_what_is_wrong_has_a_word(tmp_path: Path, word: str) -> None:
    """By the code that reads it in the validation as in the server."""
    for name, data in (NETWORK | WORDS[word]).items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    with pytest.raises(ArtifactError) as refused:
        read_artifact(tmp_path)
    assert refused.value.code == word


def test_it_refuses_with_the_words_of_the_server(python: str, tmp_path: Path) -> None:
    """By either run: the first sees what is missing, the second what a file says."""
    cases = {
        "missing_file": {k: v for k, v in NETWORK.items() if k != "synset.txt"},
        "bad_shapes": NETWORK | {"tiny-shapes.json": b"[]"},
    }
    for word, contents in cases.items():
        code, report = preflight(python, pack(tmp_path / "a.tar.gz", contents))
        assert (code, report["error"]["code"]) == (1, word)
        assert len(report["archive"]["files"]) == len(contents)


def test_a_model_beyond_the_memory_limit_is_refused(python: str, tmp_path: Path) -> None:
    """150 MB of parameters; 1 GB of address space goes to the libraries."""
    archive = pack(tmp_path / "big.tar.gz", big_network(2500), level=1)
    code, report = preflight(python, archive, "--memory-mb", "64")
    assert code == 1
    assert report["error"]["code"] == "load_failed"
    assert "memory" in report["error"]["message"]


def test_mxnet_is_run_as_a_server_runs_it(python: str, tmp_path: Path) -> None:
    """On a digit, which it draws for a grey network without a picture."""
    archive = constant_archive(
        tmp_path / "t.tar.gz", labels=["a", "b"], answer=0, shape=(1, 1, 8, 8)
    )
    process = subprocess.Popen([python, str(PREFLIGHT), str(archive)], stdout=subprocess.PIPE)
    try:
        inside = wait_until(lambda: _inside(process.pid), what="the program in its sandbox")
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert inside.items() >= processors.environment().items()
    sample = json.loads(out)["sample"]
    assert sample["image"] == "digit"
    assert sample["predictions"][0]["label"] == "a"


def _inside(pid: int) -> dict[str, str]:
    """The environment of the program that the process has started; empty where it has not yet."""
    found = (_environment(one) for one in descendants(pid)[1:])
    return next((one for one in found if "TMPDIR" in one and one["TMPDIR"] == one["HOME"]), {})


def _environment(pid: int) -> dict[str, str]:
    try:
        pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_it_says_on_stderr_when_it_cannot_work(python: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, str(PREFLIGHT), str(tmp_path / "nothing.tar.gz")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode >= 2
    assert done.stdout == ""
    assert "is not a file" in done.stderr


def test_an_archive_with_folders_deeper_than_python_follows_leaves_nothing(
    python: str, tmp_path: Path
) -> None:
    """Each member goes on where the one before it ended, so that none is too much by itself."""
    members = [(member("/".join(["a"] * 450 * number) + "/f"), b"x") for number in (1, 2, 3, 4)]
    archive = tar_gz(tmp_path / "deep.tar.gz", *members)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [python, str(PREFLIGHT), str(archive)], capture_output=True, text=True, timeout=60,
        check=False, env=os.environ | {"TMPDIR": str(temporary)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "lies 32 folders deep or more" in json.loads(done.stdout)["error"]["message"]
    assert list(temporary.iterdir()) == []


def test_a_network_that_answers_with_no_numbers_is_refused_with_a_sentence(
    python: str, tmp_path: Path
) -> None:
    files = constant_network(labels=["cat", "dog"], answer=1)
    symbol = files["tiny-symbol.json"].replace(b'"softmax"', b'"arccos"')  # of 10: NaN
    archive = pack(tmp_path / "nan.tar.gz", files | {"tiny-symbol.json": symbol})

    code, report = preflight(python, archive)

    assert (code, report["error"]) == (
        1,
        {
            "code": "predict_failed",
            "message": "tiny loads, but its first prediction is no number (NaN or infinite).",
        },
    )


def test_no_refusal_carries_a_stack_trace() -> None:
    said = (
        "tiny: MXNet cannot run it: Traceback (most recent call last):\n"
        '  File "../src/io/image_io.cc", line 222\nStack trace:\n  [bt] (0) libmxnet.so\n'
        "MXNetError: Check failed: file.is_open()"
    )
    assert module.sentence(said) == (
        "tiny: MXNet cannot run it: MXNetError: Check failed: file.is_open()"
    )
    assert module.sentence("It does not fit: Traceback (most recent call last):") == (
        "It does not fit:"
    )


def _stopped_inside(pid: int) -> list[int]:
    """Stop the sandboxed program below ``pid`` where it is; all processes below, once it is so."""
    found = descendants(pid)
    for one in found:
        try:
            words = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        # Bubblewrap has the same words among its own; the set-up is done where MXNet is loaded.
        if b"--inside" in words and "libmxnet" in _maps(one):
            os.kill(one, signal.SIGSTOP)
            return found
    return []


def _maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def test_the_time_limit_is_reported_and_ends_a_process_that_hangs(
    python: str, tmp_path: Path
) -> None:
    archive = pack(tmp_path / "a.tar.gz", NETWORK)
    process = subprocess.Popen(
        [python, str(PREFLIGHT), str(archive), "--wall-s", "6"], stdout=subprocess.PIPE
    )
    try:
        tree = wait_until(lambda: _stopped_inside(process.pid), what="the program in its sandbox")
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["error"]["code"] == "timeout"
    for pid in tree:
        wait_until(lambda pid=pid: not alive(pid), what=f"the end of process {pid}")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_worker_that_started_it(python: str, tmp_path: Path, how: int) -> None:
    archive = pack(tmp_path / "a.tar.gz", NETWORK)
    worker = subprocess.Popen(
        [
            sys.executable, "-c",
            "import os, subprocess, sys; subprocess.run([*sys.argv[1:], '--parent', "
            "str(os.getpid())])",
            python, str(PREFLIGHT), str(archive),
        ]
    )  # fmt: skip
    try:
        tree = wait_until(lambda: _stopped_inside(worker.pid), what="the program in its sandbox")
        worker.send_signal(how)
        for pid in tree[1:]:
            wait_until(lambda pid=pid: not alive(pid), what=f"the end of process {pid}")
    finally:
        worker.kill()
        worker.wait()


def test_where_a_part_of_the_sandbox_is_missing_it_says_so_or_checks_nothing(
    python: str, tmp_path: Path
) -> None:
    archive = constant_archive(tmp_path / "t.tar.gz", labels=["a", "b"], answer=0)
    bare = (
        "import sys; from container import sandbox, preflight; "
        "sandbox.bubblewrap = lambda: None; sandbox._programs = lambda: ('', ''); "
        "sys.exit(preflight.main(sys.argv[1:]))"
    )

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-c", bare, str(archive), *options], cwd=REPOSITORY,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    allowed = run("--pack", str(tmp_path / "t.tar"))
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads(allowed.stdout)["sandbox"]["missing"] == ["network", "processes"]
    refused = run("--require-sandbox")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "does not hold: network, processes" in refused.stderr


def test_an_unpacked_archive_with_a_folder_around_is_told_how_to_pack_it(tmp_path: Path) -> None:
    (folder := tmp_path / "resnet 18").mkdir()
    for name, data in NETWORK.items():
        (folder / name).write_bytes(data)
    with pytest.raises(ArtifactError) as refused:
        read_artifact(tmp_path)
    assert "in a folder; pack with: tar -C 'resnet 18' -czf NAME.tar.gz ." in str(refused.value)
    assert refused.value.parameters["folder"] == "resnet 18"
