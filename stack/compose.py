"""What docker-compose.yml runs once at each start: secrets, the database, the bucket.

Runs with the portal's settings. SECRETS_DIR is a folder that all parts share.
"""

import os
import secrets
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from stack import database
from stack.credentials import secret


def main() -> None:
    folder = Path(os.environ["SECRETS_DIR"])
    secret(folder / "secret-key", secrets.token_urlsafe(48))
    chosen = os.environ.pop("ADMIN_PASSWORD", None) or secrets.token_urlsafe(9)
    password = secret(folder / "admin-password", chosen)
    os.environ["ADMIN_PASSWORD"] = password
    # The compose file says that both are healthy by now, but not every engine heeds it.
    for variable in ("DATABASE_URL", "AWS_ENDPOINT_URL_S3"):
        _wait_for(os.environ[variable])
    database.prepare()
    _make_bucket()
    print(f"The administrator's password is in {folder / 'admin-password'}.")


def _wait_for(url: str, seconds: float = 90) -> None:
    """Return when the server of this address accepts connections."""
    address = urlsplit(url)
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address.hostname, address.port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{address.hostname} does not answer: {error}") from error
            time.sleep(0.5)
        else:
            return


def _make_bucket() -> None:
    import boto3
    from botocore.exceptions import ClientError
    from django.conf import settings

    try:
        boto3.client("s3").create_bucket(Bucket=settings.MODEL_BUCKET)
    except ClientError as error:
        taken = ("BucketAlreadyExists", "BucketAlreadyOwnedByYou")
        if error.response["Error"]["Code"] not in taken:
            raise


if __name__ == "__main__":
    main()
