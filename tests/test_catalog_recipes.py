"""The recipes of docs/catalog.md run as they stand, in their order, against a whole stack."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from tests.stack import Stack
from tests.test_client_on_stack import ROOT, archive_like, shell

#: What a person does otherwise than a test: by the text of the docs.
_OTHERWISE = {
    # A person writes what `curl -i` showed.
    'If-Match: "ETAG"': "If-Match: *",
    # A person types the name.
    "mme delete digits:1 --wait": "mme delete digits:1 --wait --yes",
    # `mme` has deleted that one a line before.
    "V=$MME_URL/api/v1/models/digits/versions/1;": "V=$MME_URL/api/v1/models/digits/versions/3;",
    # What tar packs is refused as it was found; that is what the next line is for.
    "mme import team/zoo.tar.gz --wait": "mme import team/zoo.tar.gz --wait || test $? = 5",
}
_BEGIN = 'set -e\ncurl() { command curl --fail-with-body -sS "$@"; echo; }\n'  # a refusal fails it
_PEOPLE = """
from django.contrib.auth.models import User
User.objects.create_user("kim")
from accounts import tokens
from core.api.caller import Scope
admin = User.objects.get(username="admin")
print(tokens.make(user=admin, name="recipes", scopes=list(tokens.scopes_of(admin)), days=1)[1])
"""


def recipes() -> list[tuple[str, str]]:
    """The blocks of commands with their headings."""
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        for block in re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            found.append((heading, block))
    return found


def test_what_is_done_otherwise_is_in_the_docs() -> None:
    text = "".join(block for _heading, block in recipes())
    assert len(recipes()) > 10
    assert not [written for written in _OTHERWISE if written not in text]


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Callable[[str], str]:
    """Runs commands in a shell that has sourced portal.env, with the token of an admin."""
    token = stack.manage("shell", "--no-imports", "-c", _PEOPLE).split()[-1]
    variables = shell(stack, tmp_path) | {"MME_TOKEN": token}

    def do(commands: str) -> str:
        done = subprocess.run(
            ["sh", "-c", _BEGIN + commands], cwd=tmp_path, env=variables, capture_output=True,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return do


def _digits(stack: Stack, folder: Path, note: str) -> None:
    """A new archive of digits, as ``digits_v3.tar.gz``, with a file that makes it other bytes."""
    archive_like(stack, folder, note)
    subprocess.run(["./train", "digits_v3.tar.gz"], cwd=folder, check=True)


def _put(stack: Stack, folder: Path, name: str) -> None:
    """Put the archive below the store's prefix, past the portal."""
    aws = {name.lower(): value for name, value in stack.aws.items() if name.startswith("AWS_")}
    session = boto3.Session(
        aws["aws_access_key_id"], aws["aws_secret_access_key"], region_name=aws["aws_region"]
    )
    client = session.client("s3", endpoint_url=aws["aws_endpoint_url_s3"])
    bucket = stack.environment["MODEL_BUCKET"]
    client.upload_file(str(folder / "digits_v3.tar.gz"), bucket, f"models/{name}")


def test_the_recipes_run_as_they_stand(
    stack: Stack, tmp_path: Path, run: Callable[[str], str]
) -> None:
    _digits(stack, tmp_path, "of the catalog's recipes")
    (tmp_path / "README.md").write_text("# Digits\n\nReads digits.\n")
    sample = stack.local_dir / "demo" / "samples" / "digit-three.jpg"
    (tmp_path / "cat.jpg").write_bytes(sample.read_bytes())
    uploads = 'curl -H "Authorization: Bearer $MME_TOKEN"'
    before = {
        "Upload over a bad line": "",
        "Compare two versions": "mme alias digits@live 2",
        "Copy a version": "mme push digits_v3.tar.gz --model squeezenet --again --wait",
        "Retire and delete": "mme alias digits@live 2",
        "Aliases by the API": "mme alias digits@production 4; mme alias digits@production 2",
    }
    assert uploads
    said: dict[str, str] = {}
    for heading, block in recipes():
        if heading == "Import what lies in the store":
            _put(stack, tmp_path, "team/zoo.tar.gz")
            _put(stack, tmp_path, "team/cats.tar.gz")
        if before.get(heading):
            run(before[heading])
        for written, done in _OTHERWISE.items():
            block = block.replace(written, done)
        said[heading] = run(block)
    assert "squeezenet_v1.0_10:1" in said["Copy a version"]
    assert "zoo:2  ready" in said["Import what lies in the store"]
    assert "digits:1  deleted" in said["Retire and delete"]
