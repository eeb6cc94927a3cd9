"""What docker-compose.yml runs once at each start: secrets, the database, the bucket.

Runs with the portal's settings. SECRETS_DIR is a folder that all parts share.
"""

import os
import secrets
from pathlib import Path

from stack import database
from stack.credentials import secret


def main() -> None:
    folder = Path(os.environ["SECRETS_DIR"])
    secret(folder / "secret-key", secrets.token_urlsafe(48))
    chosen = os.environ.pop("ADMIN_PASSWORD", None) or secrets.token_urlsafe(9)
    password = secret(folder / "admin-password", chosen)
    os.environ["ADMIN_PASSWORD"] = password
    database.main()
    _make_bucket()
    print(f"The administrator's password is in {folder / 'admin-password'}.")


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
