"""What a container engine's client gets to see of a model: arguments, and never its environment."""

import json
import sys
from pathlib import Path

import pytest

from localaws.container_engine import ContainerEngine
from localaws.tests.conftest import Hosting, Start
from localaws.tests.servers import KEY, SECRET

_CLIENT = """\
import json, os, sys
with open({log!r}, "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
"""


def test_variables_reach_the_container_alone(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is a program that writes down how it was called."""
    calls = tmp_path / "calls"
    script = tmp_path / "client.py"
    script.write_text(_CLIENT.format(log=str(calls)))
    monkeypatch.setenv("DOCKER_HOST", "unix:///of/the/user")
    local = start("--container-engine", f"{sys.executable} {script}", container=None)
    hosting = Hosting(local, "engine-client")
    evil = {
        "DOCKER_HOST": "tcp://evil.example:1",
        "LD_PRELOAD": "/tmp/evil.so",
        "PATH": "/tmp/evil",
        "PYTHONWARNINGS": "all:0:antigravity.x:0:0",
        "OPTION": "x --volume=/:/host\n--privileged",
    }
    hosting.create("e", wait=False, Image="registry.example/image:1", Environment=evil)
    assert hosting.settled("e")["EndpointStatus"] == "Failed"  # such a client starts nothing
    declared = [json.loads(line) for line in calls.read_text().splitlines()]
    runs = [(arguments, around) for arguments, around in declared if arguments[0] == "run"]
    assert runs
    for arguments, _ in runs:
        assert arguments[-2:] == ["registry.example/image:1", "serve"]
        assert "--privileged" not in arguments
        given = [one.removeprefix("--env=") for one in arguments if one.startswith("--env=")]
        assert {f"{name}={value}" for name, value in evil.items()} <= set(given)
    for _, around in declared:
        assert around["DOCKER_HOST"] == "unix:///of/the/user"
        assert not {"LD_PRELOAD", "PYTHONWARNINGS", "OPTION", "AWS_ACCESS_KEY_ID"} & set(around)
        assert not {KEY, SECRET} & set(around.values())


def test_an_image_is_no_option(tmp_path: Path) -> None:
    engine = ContainerEngine(("docker",), tmp_path)
    with pytest.raises(ValueError, match="not the name of an image"):
        engine.run(name="n", image="--privileged", models=tmp_path, environment={}, memory_mb=None)
