"""The script that builds the image and pushes it to ECR.

The AWS CLI is the real one, and speaks to moto's ECR and STS; the container engine is a stand-in
that notes what it is asked for. test_push_image.py has a real engine push the real image.
"""

import pytest

from container.tests.pushing import PASSWORD, REGISTRY, SCRIPT, Pushing, run_script
from tests.servers import free_port

pytestmark = pytest.mark.xdist_group("container-push")


def test_dry_run_prints_every_step_in_order() -> None:
    done = run_script("--dry-run", "team/mme:v2", AWS_REGION="eu-west-1", CONTAINER_ENGINE="podman")

    assert done.returncode == 0, done.stderr
    steps = [
        "aws ecr describe-repositories --region eu-west-1 --repository-names team/mme",
        "aws ecr create-repository --region eu-west-1 --repository-name team/mme",
        "aws ecr get-login-password --region eu-west-1 | podman login --username AWS "
        f"--password-stdin {REGISTRY}",
        "podman build",
        f"podman tag team/mme:v2 {REGISTRY}/team/mme:v2",
        f"podman push {REGISTRY}/team/mme:v2",
        f"Image: {REGISTRY}/team/mme:v2",
    ]
    places = [done.stdout.find(step) for step in steps]
    assert -1 not in places, done.stdout
    assert places == sorted(places)


def test_the_notebook_s_name_and_region_are_the_defaults() -> None:
    out = run_script("--dry-run").stdout
    assert ".ecr.ap-northeast-2.amazonaws.com/demo-sagemaker-multimodel:latest" in out
    assert "get-login " not in out


def test_wrong_names_are_refused() -> None:
    for name in ("Upper", "a b", "x:", "--force"):
        assert run_script("--dry-run", name).returncode == 2


def test_a_missing_repository_is_created_and_then_kept_and_the_image_pushed(
    pushing: Pushing,
) -> None:
    """The region is the CLI's own, where none is set."""
    config = pushing.folder / "config"
    config.write_text("[default]\nregion = eu-west-1\n")
    pushing.environment.pop("AWS_REGION")
    pushing.environment["AWS_CONFIG_FILE"] = str(config)
    listed = ("ecr", "describe-repositories", "--repository-names", "team/new")

    done = pushing.run("team/new:v2")

    assert done.returncode == 0, done.stderr
    (made,) = pushing.aws(*listed, "--region", "eu-west-1")["repositories"]
    assert made["repositoryUri"] == f"{REGISTRY}/team/new"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert pushing.calls == [
        f"login --username AWS --password-stdin {REGISTRY}",
        f"build --platform linux/amd64 -t team/new:v2 {SCRIPT.parent}",
        f"tag team/new:v2 {REGISTRY}/team/new:v2",
        f"push {REGISTRY}/team/new:v2",
    ]
    password = (pushing.folder / "password").read_text().strip()
    assert password == PASSWORD
    assert password not in done.stdout + done.stderr
    assert done.stdout.endswith(f"Image: {REGISTRY}/team/new:v2\n")

    done = pushing.run("team/new:v3")

    assert done.returncode == 0, done.stderr
    assert "create-repository" not in done.stdout
    assert pushing.aws(*listed, "--region", "eu-west-1")["repositories"] == [made]
    assert pushing.calls[-1] == f"push {REGISTRY}/team/new:v3"


def test_without_credentials_it_says_so_and_does_nothing(pushing: Pushing) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        pushing.environment.pop(name)

    done = pushing.run("team/never")

    assert done.returncode == 1
    assert "credentials" in done.stderr.splitlines()[-1]
    assert pushing.calls == []


def test_where_aws_cannot_be_reached_it_says_so(pushing: Pushing) -> None:
    """STS answers, ECR does not: that is not "no such repository"."""
    nobody = f"http://127.0.0.1:{free_port()}"

    done = pushing.run("team/never", AWS_ENDPOINT_URL_ECR=nobody, AWS_MAX_ATTEMPTS="1")

    assert done.returncode == 1
    assert "does not say whether there is a repository team/never" in done.stderr
    assert "create-repository" not in done.stdout
    assert pushing.calls == []


def test_without_its_programs_it_says_which(pushing: Pushing) -> None:
    done = pushing.run(CONTAINER_ENGINE="no-such-engine")
    assert done.returncode == 1
    assert "no-such-engine is missing: install it, or name another" in done.stderr

    tools = pushing.folder / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "sed"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    done = pushing.run(PATH=str(tools))
    assert done.returncode == 1
    assert "aws is missing: install the AWS CLI" in done.stderr


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("login", f"engine could not log in to {REGISTRY}."),
        ("build", "The image could not be built; nothing was pushed."),
        ("push", f"The image is built, but could not be pushed to {REGISTRY}."),
    ],
)
def test_a_step_that_fails_ends_it_with_a_sentence(
    pushing: Pushing, step: str, sentence: str
) -> None:
    done = pushing.run("team/fails", FAILS=step)

    assert done.returncode == 1
    assert "the engine's own words" in done.stderr
    assert done.stderr.splitlines()[-1] == sentence
    assert pushing.calls[-1].split()[0] == step
    assert "Image:" not in done.stdout
