"""Instances as real containers: the model's Image, run by docker or podman.

The engine's client runs in the foreground and forwards SIGTERM, so the rest of localaws handles a
container as a process. It ends with localaws, also where that is killed. A container whose client
was killed is found by its label and removed at the next start.
"""

import hashlib
import logging
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .container_environment import without_secrets

log = logging.getLogger(__name__)

MODELS = "/opt/ml/models"
"""Where SageMaker puts models (DG/mms-container-apis)."""
_LABEL = "localaws"
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """``command`` is the client with its options; ``data``, the data folder, is in the label."""

    command: tuple[str, ...]
    data: Path

    @property
    def _owner(self) -> str:
        return f"{_LABEL}={hashlib.sha256(str(self.data).encode()).hexdigest()[:16]}"

    def run(
        self,
        *,
        name: str,
        image: str,
        models: Path,
        environment: Mapping[str, str],
        memory_mb: int | None,
    ) -> tuple[str, ...]:
        """The argument list that runs ``image serve`` on the host's loopback network."""
        arguments = [*self.command, "run", "--rm", "--name", name, "--label", self._owner]
        # The container binds to the port it is told, on loopback: no port is published.
        arguments += ["--network", "host", "--volume", f"{models}:{MODELS}:ro"]
        if memory_mb is not None:
            arguments += ["--memory", f"{memory_mb}m", "--memory-swap", f"{memory_mb}m"]
        # As arguments, so that they do not reach the environment of the client itself.
        arguments += [f"--env={key}={value}" for key, value in environment.items()]
        if image.startswith("-"):  # the client would take it for an option
            raise ValueError(f"{image!r} is not the name of an image")
        return (*arguments, image, "serve")

    def remove(self, name: str) -> None:
        """Remove a container, running or not; there may be none."""
        self._call("rm", "--force", "--ignore", name) or self._call("rm", "--force", name)

    def utilization(self, name: str) -> dict[str, float]:
        """CPUUtilization and MemoryUtilization of a container; empty where they are unknown."""
        told = self._call("stats", "--no-stream", "--format", "{{.CPUPerc}} {{.MemPerc}}", name)
        try:
            processor, memory = (float(word.rstrip("%")) for word in (told or "").split())
        except ValueError:  # the container is gone, or its client answers "--"
            return {}
        return {"CPUUtilization": processor, "MemoryUtilization": memory}

    def remove_orphans(self) -> None:
        """Remove what an earlier run of localaws, which was killed, left running."""
        listed = self._call("ps", "--all", "--quiet", "--filter", f"label={self._owner}")
        for one in (listed or "").split():
            log.info("removing a container of an earlier run: %s", one)
            self._call("rm", "--force", one)

    def _call(self, *arguments: str) -> str | None:
        """Standard output of the client; None, and a line in the log, where it failed."""
        try:
            result = subprocess.run(
                [*self.command, *arguments],
                env=without_secrets(os.environ),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("%s %s: %s", self.command[0], arguments[0], error)
            return None
        if result.returncode:
            log.debug("%s %s: %s", self.command[0], arguments[0], result.stderr.strip())
            return None
        return result.stdout
