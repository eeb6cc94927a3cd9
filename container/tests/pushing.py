"""build_and_push.sh with the real AWS CLI at moto's ECR and STS, and a stand-in for an engine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from container.tests.serving import REPOSITORY
from tests.servers import free_port, running, wait_for_port

SCRIPT = REPOSITORY / "container" / "build_and_push.sh"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
PASSWORD = "123456789012-auth-token"
"""What moto's ECR gives."""

BIN = Path(sys.executable).parent


def run_script(
    *arguments: str, seconds: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """The address of moto's server: ECR, STS, and whatever else the CLI may ask."""
    port = free_port()
    command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "log").open("wb") as out, running(command, stdout=out, stderr=out) as process:
        wait_for_port(port, process, 60)
        yield f"http://127.0.0.1:{port}"


ENGINE = """#!/bin/sh
echo "$*" >> {calls}
[ "$1" != login ] || cat > {password}
[ "$1" != "$FAILS" ] || {{ echo "the engine's own words" >&2; exit 125; }}
"""


@dataclass
class Pushing:
    """The script, with the CLI at moto and the stand-in for an engine."""

    folder: Path
    environment: dict[str, str]

    def run(
        self, *arguments: str, seconds: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return run_script(*arguments, seconds=seconds, **(self.environment | environment))

    def aws(self, *arguments: str) -> dict[str, list[dict[str, object]]]:
        out = subprocess.check_output(
            ["aws", *arguments], env=self.environment, text=True, timeout=60
        )
        return json.loads(out)  # type: ignore[no-any-return]

    @property
    def calls(self) -> list[str]:
        """What the engine was asked for."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


def prepared(folder: Path, moto: str, cli: Path = BIN) -> Pushing:
    """All that the script needs, in ``folder``; ``cli`` is the folder of the AWS CLI."""
    engine = folder / "bin" / "engine"
    engine.parent.mkdir()
    engine.write_text(ENGINE.format(calls=folder / "calls", password=folder / "password"))
    engine.chmod(0o755)
    environment = {
        "PATH": f"{engine.parent}:{cli}:{os.environ['PATH']}",
        "HOME": str(folder),
        "CONTAINER_ENGINE": "engine",
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "test-access-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret-key",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "eu-west-1",
    }
    return Pushing(folder, environment)
