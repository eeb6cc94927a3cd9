"""How localaws is started: its container isolated, its keys in no argument."""

import re
import shlex
from pathlib import Path

from stack import credentials
from stack.layout import ROOT, Layout
from stack.parts import parts


def test_the_containers_python_is_isolated_and_no_key_is_an_argument(tmp_path: Path) -> None:
    layout = Layout.from_environment({"LOCAL_DIR": str(tmp_path)})
    layout.make_folders()
    (localaws,) = (part for part in parts(layout) if part.name == "localaws")
    command = list(localaws.command)
    container = shlex.split(command[command.index("--container-command") + 1])
    assert container[1] == "-I"
    keys = credentials.aws_environment(layout)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert keys[name] not in " ".join(command)
    assert "--no-signatures" not in command


def test_the_images_start_the_container_isolated_and_compose_names_localaws() -> None:
    portal, container = (ROOT / name for name in ("Dockerfile", "container/Dockerfile"))
    assert "/bin/python -I /app/container/dockerd-entrypoint.py serve" in portal.read_text()
    assert '"python", "-I", "/opt/container/dockerd-entrypoint.py"' in container.read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    called = set(re.findall(r"http://((?:localaws|s3):\d+)", compose))
    told = ",".join(re.findall(r"LOCALAWS_ANSWER_TO: (\S+)", compose))
    assert called
    assert called <= set(told.split(","))
    for text in (portal.read_text(), compose):
        assert "--no-signatures" not in text
