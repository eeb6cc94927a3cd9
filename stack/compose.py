"""What docker-compose.yml runs at each start, once each.

``python -m stack.compose secrets``: makes the secrets, as root and without a network. SECRETS_DIR
holds a folder for each service that needs secrets, which mounts only its own.

``python -m stack.compose``: the database, the first administrator, the bucket, with the portal's
settings.
"""

import os
import secrets
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from stack import redis_config
from stack.credentials import new_aws_keys, private_file, secret, write_aws_credentials

#: The users that the images run as; postgres reads its own as root.
_OWNERS = {"portal": 1000, "localaws": 1000, "redis": 999, "postgres": 0, "s3": 1000}
#: The password that earlier compose files gave every database.
_KNOWN_PASSWORD = "known-in-this-network-alone"  # noqa: S105 - it is what is replaced


def make_secrets(root: Path) -> None:
    """Make missing secrets, and set owners and modes of all."""
    folders = {name: root / name for name in _OWNERS}
    portal = folders["portal"]
    secret(portal / "secret-key", secrets.token_urlsafe(48))
    chosen = os.environ.pop("ADMIN_PASSWORD", None) or secrets.token_urlsafe(9)
    secret(portal / "admin-password", chosen)
    database = secret(portal / "database-password", secrets.token_urlsafe(32))
    of_redis = secret(portal / "redis-password", secrets.token_urlsafe(32))
    access_key, _, secret_key = secret(portal / "aws-keys", " ".join(new_aws_keys())).partition(" ")
    write_aws_credentials(portal / "aws-credentials", access_key, secret_key)
    for name in ("localaws", "s3"):
        private_file(
            folders[name] / "keys.env",
            f"export AWS_ACCESS_KEY_ID={access_key}\nexport AWS_SECRET_ACCESS_KEY={secret_key}\n",
        )
    private_file(folders["postgres"] / "password", database)
    private_file(folders["redis"] / "password", of_redis)
    (folders["s3"] / "s3.env").unlink(missing_ok=True)  # of an earlier version, with the key
    # Last, because Redis starts as soon as its configuration exists.
    redis_config.write(
        folders["redis"],
        password=of_redis,
        host="0.0.0.0",  # noqa: S104 - of its own container
        port=6379,
        keep_in="/tmp",  # noqa: S108 - nothing
        seen_at=Path("/secrets"),
    )
    for name, folder in folders.items():
        # The folder last, so that nobody reads a file whose mode is not set yet.
        for path in (*folder.iterdir(), folder):
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.chown(path, _OWNERS[name], _OWNERS[name])


def change_owner_of_objects(folder: Path) -> None:
    """Change the owner of objects that an earlier version wrote as root to S3's user."""
    owner = _OWNERS["s3"]
    if folder.stat().st_uid == owner:
        return
    for _, folders, files, at in os.fwalk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(name, owner, owner, dir_fd=at, follow_symlinks=False)
    # Last, so that an interrupted run is repeated at the next start.
    os.chown(folder, owner, owner)
    folder.chmod(0o700)


def prepare() -> None:
    """Prepare the database, its administrator and the bucket."""
    # Not every engine follows depends_on of the compose file.
    for variable in ("SECRET_KEY_FILE", "DATABASE_PASSWORD_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        _wait_for_file(Path(os.environ[variable]))
    for variable in ("DATABASE_URL", "AWS_ENDPOINT_URL_S3"):
        _wait_for(os.environ[variable])
    _replace_known_password()
    from stack import database

    database.prepare()
    _make_bucket()
    path = os.environ["ADMIN_PASSWORD_FILE"]
    print(f"The administrator's password is in {path}.")


def _wait_for_file(path: Path, seconds: float = 90) -> None:
    """Return when the file is readable and not empty."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if path.read_text().strip():
                return
            problem = "it is empty"
        except OSError as error:
            problem = str(error.strerror)
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s for {path}: {problem}")
        time.sleep(0.2)


def _wait_for(url: str, seconds: float = 90) -> None:
    """Return when the server at this address accepts connections."""
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


def _replace_known_password() -> None:
    """Replace a password from an earlier compose file by a generated one."""
    import psycopg
    from psycopg import sql

    address = urlsplit(os.environ["DATABASE_URL"])
    user = address.username or ""
    wanted = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text().strip()

    def connect(password: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=address.hostname,
            port=address.port or 5432,
            dbname=address.path.lstrip("/"),
            user=user,
            password=password,
            connect_timeout=10,
            autocommit=True,
        )

    former = [os.environ.get("POSTGRES_PASSWORD") or "", _KNOWN_PASSWORD]
    refused: psycopg.OperationalError | None = None
    for password in (wanted, *filter(None, former)):
        try:
            with connect(password) as connection:
                if password != wanted:
                    # Only the hash that PostgreSQL stores is sent.
                    kept = connection.pgconn.encrypt_password(
                        wanted.encode(), user.encode(), b"scram-sha-256"
                    ).decode()
                    change = sql.SQL("ALTER ROLE {} PASSWORD {}")
                    connection.execute(change.format(sql.Identifier(user), sql.Literal(kept)))
                    print("The database has a password of its own now.")
                return
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise
            refused = error
    raise SystemExit(
        "The database was made with another password: start once with POSTGRES_PASSWORD set to "
        "it, and it is replaced."
    ) from refused


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


def main(arguments: list[str]) -> None:
    if arguments == ["secrets"]:
        os.umask(0o077)
        make_secrets(Path(os.environ["SECRETS_DIR"]))
        change_owner_of_objects(Path(os.environ["OBJECTS_DIR"]))
    elif not arguments:
        prepare()
    else:
        sys.exit("usage: python -m stack.compose [secrets]")


if __name__ == "__main__":
    main(sys.argv[1:])
