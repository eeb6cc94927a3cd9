"""What one stack keeps secret, made at its first start, and the file that lets others use it."""

import os
import secrets
import string
from pathlib import Path

from stack.layout import BUCKET, HOST, REGION, Layout

EXECUTION_ROLE = "arn:aws:iam::123456789012:role/mme-portal-execution"
_AWS_ENV_HEAD = """\
# `source` this file, and boto3, the AWS CLI and the SageMaker SDK speak to this stack.
# Written anew at each start.
"""


def secret(path: Path, value: str) -> str:
    """What the file holds; made of ``value`` where there is none. For its owner alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if kept := path.read_text().strip():
            return kept
        # Empty: we were ended between making the file and filling it.
        path.write_text(value + "\n")
        return value
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
    return value


def secret_key_file(layout: Layout) -> Path:
    """The file with Django's SECRET_KEY."""
    path = layout.local_dir / "secret-key"
    secret(path, secrets.token_urlsafe(48))
    return path


def admin_password(layout: Layout) -> str:
    """The first administrator's password: ADMIN_PASSWORD at the first start, else a random one."""
    chosen = os.environ.get("ADMIN_PASSWORD") or secrets.token_urlsafe(9)
    return secret(layout.local_dir / "admin-password", chosen)


def aws_environment(layout: Layout) -> dict[str, str]:
    """Environment variables that point any AWS client at this stack, and at nothing else."""
    letters = string.ascii_uppercase + string.digits
    made = "LOCAL" + "".join(secrets.choice(letters) for _ in range(15))
    access_key, _, secret_key = secret(
        layout.local_dir / "aws-keys", f"{made} {secrets.token_urlsafe(30)}"
    ).partition(" ")
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": layout.localaws_url,
        "AWS_ENDPOINT_URL_S3": layout.s3_url,
        "AWS_ENDPOINT_URL_SAGEMAKER": layout.localaws_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": layout.localaws_url,
        # A user's own setting of it would send requests, and credentials, to the real AWS.
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        # No need to look for an EC2 instance's role where there is none.
        "AWS_EC2_METADATA_DISABLED": "true",
        "MME_EXECUTION_ROLE_ARN": EXECUTION_ROLE,
        "MME_BUCKET": BUCKET,
    }


def write_aws_env(layout: Layout) -> Path:
    """Write ``aws.env``, whole or not at all. Its values need no quotes."""
    path = layout.local_dir / "aws.env"
    lines = [f"export {name}={value}" for name, value in aws_environment(layout).items()]
    lines += [
        "unset AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE",
        f'export NO_PROXY="{HOST},localhost${{NO_PROXY:+,$NO_PROXY}}"',
    ]
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    secret(temporary, _AWS_ENV_HEAD + "\n".join(lines))
    temporary.replace(path)
    return path
