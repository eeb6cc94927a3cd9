"""An artifact that cannot be served fails at load, says why, and leaves nothing running."""

import json
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from container.tests.serving import Server, leftovers, wait_until
from tests.artifacts import params_bytes

pytestmark = pytest.mark.xdist_group("container-artifacts")

Damage = Callable[[Path], None]


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(data) and None


def cut(name: str) -> Damage:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def nan(folder: Path) -> None:
    weights = [float("nan")] + [0.0] * (3 * 192 - 1)
    arrays = {"arg:fc_weight": ((3, 192), weights), "arg:fc_bias": ((3,), [0.0, 1.0, 2.0])}
    (folder / "tiny-0000.params").write_bytes(params_bytes(arrays))


def wrong_shape(folder: Path) -> None:
    arrays = {"arg:fc_weight": ((3, 5), [0.0] * 15), "arg:fc_bias": ((3,), [0.0] * 3)}
    (folder / "tiny-0000.params").write_bytes(params_bytes(arrays))


def without_bias(folder: Path) -> None:
    arrays = {"arg:fc_weight": ((3, 192), [0.0] * 576)}
    (folder / "tiny-0000.params").write_bytes(params_bytes(arrays))


def unknown_operator(folder: Path) -> None:
    path = folder / "tiny-symbol.json"
    path.write_text(path.read_text().replace("FullyConnected", "FullyImaginary"))


CASES: dict[str, tuple[Damage, str]] = {
    "no params": (remove("tiny-0000.params"), "tiny-0000.params"),
    "no labels": (remove("synset.txt"), "synset.txt"),
    "no symbol": (remove("tiny-symbol.json"), "-symbol.json"),
    "params cut short": (cut("tiny-0000.params"), "tiny-0000.params is cut short"),
    "params foreign": (write("tiny-0000.params", b"PK\x03\x04" * 40), "tiny-0000.params is not"),
    "params empty": (write("tiny-0000.params", b""), "tiny-0000.params is empty"),
    "params of another network": (wrong_shape, "tiny-0000.params: 'fc_weight' has the shape"),
    "params incomplete": (without_bias, "tiny-0000.params lacks the parameter 'fc_bias'"),
    "params with NaN": (nan, "tiny-0000.params: 'fc_weight' holds values that are not numbers"),
    "symbol not JSON": (write("tiny-symbol.json", b"{"), "tiny-symbol.json is not valid JSON"),
    "symbol no network": (write("tiny-symbol.json", b"{}"), "tiny-symbol.json is JSON, but not"),
    "symbol unknown operator": (unknown_operator, "tiny-symbol.json"),
    "shapes of an unknown input": (
        write("tiny-shapes.json", b'[{"name": "picture", "shape": [1, 3, 8, 8]}]'),
        "tiny-shapes.json names an input 'picture'",
    ),
    "shapes that do not fit": (
        write("tiny-shapes.json", b'[{"name": "data", "shape": [1, 3, 9, 9]}]'),
        "tiny-",
    ),
    "labels that do not match": (write("synset.txt", b"a\nb\n"), "synset.txt has 2 labels"),
}


IDLE_PROCESSES = 3  # the entrypoint, the JVM, the model host


@pytest.mark.parametrize("case", CASES)
def test_it_fails_at_load_and_the_log_names_the_file(
    server: Server, unpacked: Callable[..., Path], case: str
) -> None:
    damage, message = CASES[case]
    folder = unpacked()
    damage(folder)

    name = f"bad {case}".replace(" ", "-")

    answer = server.load(name, folder)

    assert answer.status == 400, answer.body
    assert message in answer.reason
    assert server.models() == []
    logged = server.told("load_failed", name)
    assert message in logged["message"]
    assert "\n" not in logged["message"]
    wait_until(lambda: len(server.processes()) == IDLE_PROCESSES, what="the end of its processes")


def test_the_name_can_be_loaded_afterwards(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    folder = unpacked()
    cut("tiny-0000.params")(folder)
    assert server.load("again", folder).status == 400
    assert server.invoke("again", picture, "image/jpeg").status == 404

    assert server.load("again", unpacked()).status == 200
    assert server.invoke("again", picture, "image/jpeg").status == 200
    assert server.unload("again").status == 200


def test_no_load_is_lost_to_a_failed_one(server: Server, unpacked: Callable[..., Path]) -> None:
    """MMS alone loses some: it interrupts a thread that may run another load by then."""
    good, bad = unpacked(), unpacked()
    (bad / "synset.txt").unlink()

    def rounds(name: str) -> list[int]:
        statuses = []
        for _ in range(10):
            statuses += [server.load(name, bad).status, server.load(name, good).status]
            statuses.append(server.unload(name).status)
        return statuses

    with ThreadPoolExecutor(3) as pool:
        for statuses in pool.map(rounds, ("a", "b", "c")):
            assert statuses == [400, 200, 200] * 10
    assert server.models() == []
    wait_until(lambda: len(server.processes()) == IDLE_PROCESSES, what="the end of its processes")
    wait_until(lambda: not leftovers(server), what=lambda: f"a folder without {leftovers(server)}")


def test_an_archive_is_never_run_as_code(
    server: Server, unpacked: Callable[..., Path], tmp_path: Path, picture: bytes
) -> None:
    """Neither modules that shadow the library's nor the manifest's own handler."""
    folder = unpacked()
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\n"
    for name in ("json.py", "numpy.py", "sitecustomize.py", "evil.py", "evil:handle.py"):
        (folder / name).write_text(code)
    manifest = json.dumps(
        {
            "specificationVersion": "1.0", "implementationVersion": "1.0",
            "modelServerVersion": "1.0", "runtime": "python",
            "model": {"modelName": "evil", "modelVersion": "1", "handler": "evil:handle"},
        }
    )  # fmt: skip
    (folder / "MANIFEST.json").write_text(manifest)
    (folder / "MAR-INF").mkdir()
    (folder / "MAR-INF" / "MANIFEST.json").write_text(manifest)

    server.load("evil", folder)
    server.invoke("evil", picture, "image/jpeg")

    assert not ran.exists()
    server.unload("evil")


def test_old_parameter_files_still_load(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    """The notebook's networks were saved by an MXNet before 0.10: shapes in 32 bits."""
    folder = unpacked()
    out = struct.pack("<QQQ", 0x112, 0, 2)
    for shape, values in (((3, 192), [0.0] * 576), ((3,), [0.0, 10.0, 0.0])):
        out += struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}I", *shape)
        out += struct.pack("<iii", 1, 0, 0) + struct.pack(f"<{len(values)}f", *values)
    out += struct.pack("<Q", 2)
    for name in (b"arg:fc_weight", b"arg:fc_bias"):
        out += struct.pack("<Q", len(name)) + name
    (folder / "tiny-0000.params").write_bytes(out)

    assert server.load("old", folder).status == 200
    assert server.invoke("old", picture, "image/jpeg").json[0].endswith("class=dog")
    server.unload("old")
