"""Builds the portal's images stage by stage, each stage once: ``python3 .ci/stages.py OPTION …``.

For an engine that keeps no layers: it would build all that a target stands on once more for each
target. Each stage is built from a Dockerfile that holds this stage alone and takes the others by
the names of their images. CONTAINER_ENGINE is the command of the engine, the options are for its
build.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ENGINE = shlex.split(os.environ.get("CONTAINER_ENGINE", "docker"))
TARGETS = ("web", "worker", "localaws")
IMAGE = "localhost/mme-portal-{}".format


def stages(dockerfile: str) -> dict[str, str]:
    """The stages by name, in order, each with the lines that make it."""
    parts = re.split(r"(?m)^(?=FROM )", dockerfile)[1:]
    return {part.split(None, 4)[3]: part for part in parts}  # FROM … AS name


def alone(part: str, names: list[str]) -> str:
    """A stage as a Dockerfile of its own, which takes the other stages by their images."""

    def image(found: re.Match[str]) -> str:
        return found[1] + (IMAGE(found[2]) if found[2] in names else found[2])

    return re.sub(r"(?m)(^FROM |^COPY --from=)(\S+)", image, part)


def main(options: list[str]) -> None:
    parts = stages(Path("Dockerfile").read_text())
    assert set(TARGETS) <= set(parts), f"the Dockerfile makes {', '.join(parts)}"
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts.items():
            file = Path(folder) / f"Dockerfile.{name}"
            file.write_text(alone(part, list(parts)))
            build = [*ENGINE, "build", *options, "--quiet", "--file", str(file)]
            subprocess.run([*build, "--tag", IMAGE(name), "."], check=True)
    subprocess.run([*ENGINE, "rmi", *(IMAGE(n) for n in parts if n not in TARGETS)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
