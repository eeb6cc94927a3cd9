"""The recipes of docs/catalog.md run as they stand, in their order, against a whole stack."""

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.stack import Stack
from tests.test_client_on_stack import ROOT, archive_like, shell

UPLOAD = "mGqzTB4q0VnZ"
#: What a person does otherwise than a test: by the text of the docs.
OTHERWISE = {
    # A person writes what `curl -i` showed.
    'If-Match: "ETAG"': "If-Match: *",
    # A person types the name.
    "mme delete digits:1 --wait": "mme delete digits:1 --wait --yes",
    # `mme` has deleted that one a line before.
    "V=$MME_URL/api/v1/models/digits/versions/1;": "V=$MME_URL/api/v1/models/digits/versions/3;",
    # What tar packs is refused as it was found; that is what the next line is for.
    "mme import team/zoo.tar.gz --wait": "mme import team/zoo.tar.gz --wait || test $? = 5",
}
# A refusal of curl fails it.
BEGIN = 'set -e\ncurl() { command curl --fail-with-body -sS "$@"; echo; }\n'
PEOPLE = """
from django.contrib.auth.models import User
from accounts import tokens
User.objects.get_or_create(username="kim")
admin = User.objects.get(username="admin")
print(tokens.make(user=admin, name="recipes", scopes=list(tokens.scopes_of(admin)), days=1)[1])
"""
#: What must be there, by the heading.
BEFORE = {
    "Compare two versions": "mme alias digits@live 2",
    "Copy a version": "mme push digits_v3.tar.gz --model squeezenet --again --wait",
    "Aliases by the API": "mme alias digits@production 4; mme alias digits@production 2",
}


def recipes() -> list[tuple[str, str]]:
    """The blocks of commands with their headings."""
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        # Whole blocks, so that the end of one of another language is not taken for a beginning.
        for language, block in re.findall(
            r"^```(\w*)\n(.*?)^```", section, re.MULTILINE | re.DOTALL
        ):
            if not language:
                found.append((heading, block))
    return found


def test_what_is_done_otherwise_is_in_the_docs() -> None:
    found = recipes()
    text = "".join(block for _heading, block in found)
    assert len(found) > 10
    assert not [written for written in (*OTHERWISE, UPLOAD) if written not in text]
    assert not set(BEFORE) - {heading for heading, _block in found}


@pytest.fixture
def run(small_stack: Stack, tmp_path: Path) -> Callable[[str], str]:
    """Runs commands in a shell that has sourced portal.env, with the token of an admin."""
    token = small_stack.manage("shell", "--no-imports", "-c", PEOPLE).split()[-1]
    variables = shell(small_stack, tmp_path) | {"MME_TOKEN": token}

    def do(commands: str) -> str:
        done = subprocess.run(
            ["sh", "-c", BEGIN + commands], cwd=tmp_path, env=variables, capture_output=True,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return do


def _s3(stack: Stack) -> Any:
    """A client of the stack's S3 server."""
    aws = stack.aws
    return boto3.client(
        "s3",
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region_name=aws["AWS_REGION"],
        endpoint_url=aws["AWS_ENDPOINT_URL_S3"],
    )


def _unfinished(run: Callable[[str], str]) -> str:
    """Begin an upload, and give its id."""
    named = ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in (("filename", "cat.tar.gz"), ("model", "cat"))
    )
    said = run(
        'curl -i -X POST -H "Authorization: Bearer $MME_TOKEN" -H "Tus-Resumable: 1.0.0" '
        f'-H "Upload-Length: 1000" -H "Upload-Metadata: {named}" "$MME_URL/api/v1/uploads/"'
    )
    (address,) = re.findall(r"^location: (\S+)", said, re.MULTILINE | re.IGNORECASE)
    return str(address).rstrip("/").rpartition("/")[2]


def test_the_recipes_run_as_they_stand(
    small_stack: Stack, tmp_path: Path, run: Callable[[str], str]
) -> None:
    archive_like(small_stack, tmp_path, "of the catalog's recipes")
    archive = tmp_path / "digits_v3.tar.gz"
    subprocess.run(["./train", archive.name], cwd=tmp_path, check=True)
    (tmp_path / "README.md").write_text("# Digits\n\nReads digits.\n")
    sample = small_stack.local_dir / "demo" / "samples" / "digit-three.jpg"
    (tmp_path / "cat.jpg").write_bytes(sample.read_bytes())
    for label in ("three", "seven"):
        own = tmp_path / "pictures" / label / "1.jpg"
        own.parent.mkdir(parents=True)
        own.write_bytes(sample.with_name(f"digit-{label}.jpg").read_bytes())
    for name in ("team/zoo.tar.gz", "team/cats.tar.gz"):
        # Past the portal.
        bucket = small_stack.environment["MODEL_BUCKET"]
        _s3(small_stack).upload_file(str(archive), bucket, f"models/{name}")
    for bucket in ("team-a-models", "team-b-models"):
        place = {"LocationConstraint": small_stack.aws["AWS_REGION"]}
        _s3(small_stack).create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    said: dict[str, str] = {}
    for heading, block in recipes():
        if heading in BEFORE:
            run(BEFORE[heading])
        for written, done in OTHERWISE.items():
            block = block.replace(written, done)
        if UPLOAD in block:
            block = block.replace(UPLOAD, _unfinished(run))
        said[heading] = said.get(heading, "") + run(block)
    own_pictures = said["Many pictures of your own"]
    assert "Right, digits:2: 2 of 2" in own_pictures
    table = (tmp_path / "answers.csv").read_text()
    assert re.search(r"^three/1.jpg,,digits v2,three,", table, re.MULTILINE), table
    assert "squeezenet_v1.0_10:1" in said["Copy a version"]
    assert "zoo:2  ready" in said["Import what lies in the store"]
    assert "digits:1  deleted" in said["Retire and delete"]
    assert "digits-of-a:1  ready" in said["Stores"]
    assert '"name":"team-b"' in said["Stores"].replace(" ", "")
