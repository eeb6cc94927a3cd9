"""What only the image has: its labels, its user, a memory limit of the kernel's, the engine's stop.

Runs where ``MME_TEST_IMAGE`` names an image that was built (``make image``), with
``CONTAINER_ENGINE``; the contract itself is in test_contract.py, for both.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from big import big_folder
from serving import ImageServer, start_image

IMAGE = os.environ["MME_TEST_IMAGE"]
pytestmark = pytest.mark.xdist_group("container-contract")


def inspect(template: str) -> str:
    engine = os.environ.get("CONTAINER_ENGINE", "docker")
    done = subprocess.run(
        [engine, "image", "inspect", "--format", template, IMAGE],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def test_it_has_both_labels_an_ordinary_user_and_is_small() -> None:
    for label in ("multi-models", "accept-bind-to-port"):
        name = f"com.amazonaws.sagemaker.capabilities.{label}"
        assert inspect(f'{{{{index .Config.Labels "{name}"}}}}') == "true"
    assert inspect("{{.Config.User}}") not in ("", "root", "0")
    assert int(inspect("{{.Size}}")) < 1.2e9


def test_no_build_tools_are_inside() -> None:
    engine = os.environ.get("CONTAINER_ENGINE", "docker")
    done = subprocess.run(
        [engine, "run", "--rm", "--network", "host", "--entrypoint", "/bin/sh", IMAGE, "-c",
         "for t in gcc cc make pip pip3 javac; do command -v $t; done; true"],
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.strip() == ""


def test_the_engine_s_memory_limit_gives_507_and_nothing_is_killed(
    tmp_path: Path, unpacked: Callable[..., Path], picture: bytes
) -> None:
    folder = big_folder(tmp_path / "big", 1500)
    folder.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    with start_image(IMAGE, home, "--memory", "768m") as server:
        loaded = []
        while (answer := server.load(f"big{len(loaded)}", folder)).status == 200:
            loaded.append(f"big{len(loaded)}")
            assert len(loaded) < 30, "it is never full"
        assert answer.status == 507
        assert loaded
        assert server.unload(loaded[0]).status == 200
        assert server.load("again", folder).status == 200
        assert not server.events("worker_killed")


def test_the_engine_s_stop_ends_it_in_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with start_image(IMAGE, home) as server:
        assert isinstance(server, ImageServer)
        started = time.monotonic()
        subprocess.run(
            [server.engine, "stop", "--time", "30", server.container],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        assert time.monotonic() - started < 15
        assert server.inspect("{{.State.ExitCode}}") == "0"
