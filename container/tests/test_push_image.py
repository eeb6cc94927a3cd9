"""build_and_push.sh with a real engine and the image that was built, to a registry on the loopback.

Runs where ``MME_TEST_IMAGE`` is set. ECR's own registry cannot be had here: a script around the
engine puts the stand-in's address in place of its name, and takes the image that is there for the
one to be built. All else is as it would be: moto's ECR for the control calls, the engine's login
with the password that ECR gave, its push.
"""

import json
import os
import shlex
from pathlib import Path

import pytest

from container.tests.pushing import PASSWORD, REGISTRY, SCRIPT, Pushing
from container.tests.registry import registry
from container.tests.serving import engine

pytestmark = [pytest.mark.xdist_group("container-push"), pytest.mark.timeout(900)]

IMAGE = os.environ["MME_TEST_IMAGE"]

AROUND = """#!/bin/sh
case $1 in
  build) echo "$*" >> {calls}; exec {engine} tag {image} "$5" ;;
esac
for argument; do
  shift
  case $argument in {registry}*) argument={address}${{argument#{registry}}} ;; esac
  set -- "$@" "$argument"
done
command=$1
shift
case $command in
  login | push) exec {engine} "$command" {plain_http} "$@" ;;
  *) exec {engine} "$command" "$@" ;;
esac
"""


def test_the_image_arrives_whole(pushing: Pushing, tmp_path: Path) -> None:
    command = os.environ.get("CONTAINER_ENGINE", "docker")
    blobs = tmp_path / "registry"
    blobs.mkdir()
    with registry(blobs, "AWS", PASSWORD) as ecr:
        around = tmp_path / "bin" / "around"
        around.write_text(
            AROUND.format(
                calls=tmp_path / "calls",
                engine=command,
                image=shlex.quote(IMAGE),
                registry=REGISTRY,
                address=ecr.address,
                # Docker speaks plain HTTP to the loopback of its own accord.
                plain_http="--tls-verify=false" if "podman" in command else "",
            )
        )
        around.chmod(0o755)
        try:
            done = pushing.run(
                "team/real:v1",
                CONTAINER_ENGINE="around",
                HOME=str(tmp_path),
                REGISTRY_AUTH_FILE=str(tmp_path / "auth.json"),
                seconds=600,
            )
        finally:
            for name in ("team/real:v1", f"{ecr.address}/team/real:v1"):
                engine("rmi", "--force", name)
        assert done.returncode == 0, done.stderr

        # Each layer's digest was compared as it came.
        manifest = ecr.manifest("team/real", "v1")
        config = json.loads(ecr.blob(manifest["config"]["digest"]).read_text())
        sizes = [ecr.blob(layer["digest"]).stat().st_size for layer in manifest["layers"]]
    assert sizes == [layer["size"] for layer in manifest["layers"]]
    labels = config["config"]["Labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.multi-models"] == "true"
    assert config["architecture"] == "amd64"
    assert config["config"]["Cmd"] == ["serve"]
    assert len(config["rootfs"]["diff_ids"]) == len(sizes)
    print(f"What is pushed has {sum(sizes) / 1e6:.0f} MB, in {len(sizes)} layers.")
    assert pushing.calls == [f"build --platform linux/amd64 -t team/real:v1 {SCRIPT.parent}"]
