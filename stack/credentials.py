"""The secrets of a stack, made at its first start, and aws.env for AWS clients."""

import os
import secrets
import string
from pathlib import Path

from stack.layout import ACCOUNT, BUCKET, HOST, REGION, Layout

EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/mme-portal-execution"
_AWS_ENV_HEAD = """\
# `source` this file, and boto3, the AWS CLI and the SageMaker SDK speak to this stack.
# Written anew at each start.
"""


def secret(path: Path, value: str) -> str:
    """The secret in the file, which is created with ``value`` if missing (mode 600)."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if kept := path.read_text().strip():
            return kept
        # Empty: an earlier start was killed before it wrote the secret.
        path.write_text(value + "\n")
        return value
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
    return value


def private_file(path: Path, text: str) -> Path:
    """Write ``text`` to ``path``, atomically, with mode 600."""
    if path.exists() and path.read_text() == text:
        path.chmod(0o600)
        return path
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
    return path


def secret_key_file(layout: Layout) -> Path:
    """The file with Django's SECRET_KEY."""
    path = layout.local_dir / "secret-key"
    secret(path, secrets.token_urlsafe(48))
    return path


def admin_password_file(layout: Layout) -> Path:
    """The file with the first administrator's password."""
    return layout.local_dir / "admin-password"


def redis_password_file(layout: Layout) -> Path:
    """The file with the password of the portal's user in Redis."""
    path = layout.local_dir / "redis-password"
    secret(path, secrets.token_urlsafe(32))
    return path


def admin_password(layout: Layout) -> str:
    """The first administrator's password: ADMIN_PASSWORD at the first start, else a random one."""
    chosen = os.environ.get("ADMIN_PASSWORD") or secrets.token_urlsafe(9)
    return secret(admin_password_file(layout), chosen)


def new_aws_keys() -> tuple[str, str]:
    """A random access key and secret key in AWS's format."""
    letters = string.ascii_uppercase + string.digits
    made = "LOCAL" + "".join(secrets.choice(letters) for _ in range(15))
    return made, secrets.token_urlsafe(30)


def aws_keys(layout: Layout) -> tuple[str, str]:
    """The access key and the secret key of this stack."""
    kept = secret(layout.local_dir / "aws-keys", " ".join(new_aws_keys()))
    access_key, _, secret_key = kept.partition(" ")
    return access_key, secret_key


def aws_credentials_file(layout: Layout) -> Path:
    """The file with the keys in the format of AWS clients; written at each call."""
    return write_aws_credentials(layout.local_dir / "aws-credentials", *aws_keys(layout))


def write_aws_credentials(path: Path, access_key: str, secret_key: str) -> Path:
    """A file for AWS_SHARED_CREDENTIALS_FILE."""
    lines = ("[default]", f"aws_access_key_id={access_key}", f"aws_secret_access_key={secret_key}")
    return private_file(path, "\n".join(lines) + "\n")


def aws_environment(layout: Layout) -> dict[str, str]:
    """Environment variables that point any AWS client at this stack, and at nothing else."""
    access_key, secret_key = aws_keys(layout)
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        **aws_addresses(layout),
    }


def aws_addresses(layout: Layout) -> dict[str, str]:
    """The same without the keys."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": layout.localaws_url,
        "AWS_ENDPOINT_URL_S3": layout.s3_url,
        "AWS_ENDPOINT_URL_SAGEMAKER": layout.localaws_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": layout.localaws_url,
        # The user's own value could send requests and credentials to the real AWS.
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        # There is no EC2 instance role to look for.
        "AWS_EC2_METADATA_DISABLED": "true",
        "MME_EXECUTION_ROLE_ARN": EXECUTION_ROLE,
        "MME_BUCKET": BUCKET,
    }


def write_aws_env(layout: Layout) -> Path:
    """Write ``aws.env``, atomically. Its values need no quotes."""
    path = layout.local_dir / "aws.env"
    lines = [f"export {name}={value}" for name, value in aws_environment(layout).items()]
    lines += [
        "unset AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE",
        f'export NO_PROXY="{HOST},localhost${{NO_PROXY:+,$NO_PROXY}}"',
    ]
    return private_file(path, _AWS_ENV_HEAD + "\n".join(lines) + "\n")
