"""The script that builds the image and pushes it to ECR."""

import os
import subprocess

from serving import REPOSITORY

SCRIPT = REPOSITORY / "container" / "build_and_push.sh"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_dry_run_prints_every_step_in_order() -> None:
    done = run("--dry-run", "team/mme:v2", AWS_REGION="eu-west-1", CONTAINER_ENGINE="podman")

    assert done.returncode == 0, done.stderr
    registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    steps = [
        "aws ecr describe-repositories --region eu-west-1 --repository-names team/mme",
        "aws ecr create-repository --region eu-west-1 --repository-name team/mme",
        "aws ecr get-login-password --region eu-west-1 | podman login --username AWS "
        f"--password-stdin {registry}",
        "podman build",
        f"podman tag team/mme:v2 {registry}/team/mme:v2",
        f"podman push {registry}/team/mme:v2",
        f"Image: {registry}/team/mme:v2",
    ]
    places = [done.stdout.find(step) for step in steps]
    assert -1 not in places, done.stdout
    assert places == sorted(places)


def test_the_notebook_s_name_and_region_are_the_defaults() -> None:
    out = run("--dry-run").stdout
    assert ".ecr.ap-northeast-2.amazonaws.com/demo-sagemaker-multimodel:latest" in out
    assert "get-login " not in out


def test_wrong_names_are_refused() -> None:
    for name in ("Upper", "a b", "x:", "--force"):
        assert run("--dry-run", name).returncode == 2
