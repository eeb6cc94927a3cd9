"""What only the image has: its labels, its user, what is inside, the kernel's limit on its memory.

Runs where ``MME_TEST_IMAGE`` names an image that was built, with ``CONTAINER_ENGINE``: `make image
image-test`. The contract itself is in test_contract.py, for the image and the plain process.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from container.tests.big import big_folder
from container.tests.filling import exchange_without_growth, figures, fill
from container.tests.serving import (
    ImageServer,
    engine,
    start,
    start_image,
    wait_for_return,
    wait_until,
)

IMAGE = os.environ["MME_TEST_IMAGE"]
MAX_BYTES = 1.2e9
ROUNDS = 100

# Starting a container takes a slow engine a while, and a hundred rounds take minutes.
pytestmark = [pytest.mark.xdist_group("container-contract"), pytest.mark.timeout(900)]


def inspect(template: str) -> str:
    return engine("image", "inspect", "--format", template, IMAGE)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageServer]:
    with start_image(IMAGE, tmp_path_factory.mktemp("mme")) as server:
        yield server


def test_it_has_both_labels() -> None:
    for label in ("multi-models", "accept-bind-to-port"):
        name = f"com.amazonaws.sagemaker.capabilities.{label}"
        assert inspect(f'{{{{index .Config.Labels "{name}"}}}}') == "true"


def test_it_is_small() -> None:
    size = int(inspect("{{.Size}}"))
    print(f"The image has {size / 1e6:.0f} MB, in {inspect('{{len .RootFS.Layers}}')} layers.")
    assert size < MAX_BYTES


def test_nothing_in_it_runs_as_root_or_changes_it(container: ImageServer) -> None:
    assert inspect("{{.Config.User}}") not in ("", "root", "0")
    container.said("model_host_ready")
    users = container.run("cat /proc/[0-9]*/status | awk '/^Uid:/ { print $2, $3, $4, $5 }'")
    assert len(users.splitlines()) >= 3, "the entrypoint, the JVM, the model host"
    assert set(users.split()) == {"1000"}
    assert container.run("touch /opt/container/x /opt/venv/x /x 2>/dev/null; echo $?") == "1"
    writable = container.run(
        "find /opt /usr /etc /bin /lib -xdev -writable -not -type l 2>/dev/null | head -n 5"
    )
    assert writable == ""


def test_its_jvm_starts_with_the_class_archive(container: ImageServer) -> None:
    assert container.run("cat /proc/[0-9]*/maps 2>/dev/null | grep -c mme-classes.jsa") != "0"


def test_no_build_tools_are_inside(container: ImageServer) -> None:
    tools = "gcc g++ cc c++ cpp clang ld as make cmake ninja pip pip3 javac jar git"
    assert container.run(f"for t in {tools}; do command -v $t; done; true") == ""
    for module in ("pip", "ensurepip"):
        found = container.run(
            f"for p in python /usr/bin/python3; do $p -c 'import {module}' 2>/dev/null"
            " && echo $p; done; true"
        )
        assert found == "", f"{found} has {module}"
    headers = container.run(
        "find / -xdev \\( -name '*.h' -o -name '*.hpp' -o -name '*.a' \\) -type f 2>/dev/null"
        " | head -n 5"
    )
    assert headers == ""


def test_a_hundred_rounds_at_the_limit_leave_nothing_behind(tmp_path: Path) -> None:
    """1,580 MB, kept by the kernel: filled until 507; one unloaded, another loaded, and so on.

    When that is full, there is room for half a model, as each model takes a megabyte more or less
    than the one before.
    """
    folder = big_folder(tmp_path / "big", 1500)
    with start_image(IMAGE, tmp_path, "--memory=1580m", "--memory-swap=1580m") as server:
        server.said("model_host_ready")
        assert server.load("first", folder).status == 200  # some files come with the first model
        assert server.unload("first").status == 200
        empty = figures(server, 0)
        loaded = fill(server, folder)
        assert "MB are free" in server.said("load_failed")["message"]
        print(f"Empty: {empty}.")
        exchange_without_growth(server, folder, loaded, 10, ROUNDS)
        for name in loaded:
            assert server.unload(name).status == 200
        after = figures(server, 0)
        print(f"All unloaded: {after}.")
        assert after.megabytes < empty.megabytes + 100, "what the JVM has grown by"
        assert after.open_files == empty.open_files
        assert after.left_files == empty.left_files
        assert not server.events("worker_killed"), "the kernel had nothing to do"


def large_picture() -> bytes:
    """49 million pixels, as many as are taken, in some hundred kilobytes: 300 MB to decode."""
    out = io.BytesIO()
    Image.new("RGBA", (7000, 7000)).save(out, "PNG")
    return out.getvalue()


def test_the_kernel_s_kill_is_told_and_hurts_one_model_alone(
    tmp_path: Path, picture: bytes
) -> None:
    """A container that is full, and a request that needs more than is kept free for it."""
    folder = big_folder(tmp_path / "big", 1000)
    with start(IMAGE, tmp_path, memory_mb=500) as server:
        loaded = fill(server, folder)
        for name in loaded:
            assert server.invoke(name, picture, "image/jpeg").status == 200
        before = figures(server, len(loaded))

        answer = server.invoke(loaded[0], large_picture(), "image/png")

        print(f"The caller is told: {answer.status} {answer.json['message']}")
        assert answer.status == 507
        assert "killed by signal 9 while it answered" in answer.json["message"]
        assert "want of memory" in answer.json["message"]
        for name in loaded[1:]:
            assert server.invoke(name, picture, "image/jpeg").status == 200
        killed = server.said("worker_killed")
        assert killed["model"] == loaded[0]
        assert "want of memory" in killed["message"]
        assert server.call("GET", "/ping").status == 200
        wait_for_return(server, loaded[0], picture, 30)
        after = figures(server, len(loaded))
        print(f"Before: {before}. After: {after}.")
        assert after.megabytes < before.megabytes + 30
        assert after.open_files == before.open_files


def test_ping_is_503_while_its_disk_is_full(tmp_path: Path, picture: bytes) -> None:
    folder = big_folder(tmp_path / "model", 8)
    home, disk = "/home/model-server/mme", "size=16m,mode=1777"
    with start_image(IMAGE, tmp_path, f"--tmpfs={home}:{disk}") as server:
        assert server.load("before", folder).status == 200
        server.run(f"head -c 100000000 /dev/zero > {home}/fill 2>/dev/null; true")
        wait_until(lambda: server.call("GET", "/ping").status == 503, 10, "a 503 of /ping")
        assert "is full" in server.said("unhealthy")["message"]
        assert server.invoke("before", picture, "image/jpeg").status == 200
        server.run(f"rm {home}/fill")
        wait_until(lambda: server.call("GET", "/ping").status == 200, 10, "health")
        assert server.load("after", folder).status == 200
        assert server.invoke("after", picture, "image/jpeg").status == 200
