"""The portal's own programs on a disk that is full: said, nothing lost, and over by itself."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from stack.layout import ROOT
from stack.procfile import read_procfile, shell
from tests import migrated
from tests.servers import free_port, redis_server, running, s3_server, wait_for_port, wait_until
from tests.small_disk import small_disk

KEYS = ("test-access-key", "test-secret-key")
PASSWORD = "a good long password"
DISK_MB = 30
BUCKET = "store"


@dataclass
class Portal:
    """The web server's temporary files and its S3 server on one small disk.

    Its database lies beside: SQLite resolves the links of a path, and so leads past the disk.
    """

    url: str
    disk: Path
    database: Path
    log: Path
    s3: Any

    def visitor(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.headers["Connection"] = "close"  # the server closes idle ones, at any time
        return session

    def token(self, session: requests.Session, address: str) -> str:
        page = session.get(f"{self.url}{address}", timeout=30)
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert found, page.text
        return found[1]

    def log_in(self, session: requests.Session) -> requests.Response:
        form = {"username": "admin", "password": PASSWORD}
        form["csrfmiddlewaretoken"] = self.token(session, "/login/")
        return session.post(f"{self.url}/login/", form, timeout=30, allow_redirects=False)

    def upload(self, session: requests.Session, name: str, megabytes: float) -> requests.Response:
        form = {"name": name, "csrfmiddlewaretoken": self.token(session, "/models/new/")}
        content = b"\x1f\x8b" + os.urandom(int(megabytes * (1 << 20)))
        return session.post(
            f"{self.url}/models/new/",
            form,
            files={"archive": ("a.tar.gz", content, "application/gzip")},
            timeout=60,
            allow_redirects=False,
        )

    def staged(self) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [item["Key"] for item in found]

    def rows(self, table: str) -> int:
        with contextlib.closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)
        ) as database:
            (count,) = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        return int(count)

    def fill(self) -> Path:
        """Write until not one byte more goes."""
        filler = self.disk / "filler"
        size = 1 << 20
        with filler.open("wb", buffering=0) as file:
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 16
        return filler


def _manage(environment: dict[str, str], *command: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    port, redis_port = free_port(), free_port()
    database = tmp_path / "db.sqlite3"
    with (
        small_disk(tmp_path / "disk", DISK_MB) as disk,
        redis_server(redis_port, tmp_path),
    ):
        for folder in ("s3", "tmp"):
            (disk / folder).mkdir()
        with s3_server(disk / "s3", *KEYS) as s3_url, (tmp_path / "web.log").open("wb") as log:
            environment = os.environ | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "SECRET_KEY": "of-a-test-and-nothing-else-0123456789-abcdefghijkl",
                "DATABASE_URL": f"sqlite:///{database}",
                "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
                "UPLOAD_TEMP_DIR": str(disk / "tmp"),
                "MIN_FREE_MB": "0",
                "UPLOAD_DISK_RESERVE_MB": "0",  # of a server that refuses before it is full
                "AWS_ENDPOINT_URL": s3_url,
                "AWS_ENDPOINT_URL_S3": s3_url,
                "AWS_DEFAULT_REGION": "ap-northeast-2",
                "AWS_CONFIG_FILE": str(ROOT / "stack" / "path-style.ini"),
                "AWS_ACCESS_KEY_ID": KEYS[0],
                "AWS_SECRET_ACCESS_KEY": KEYS[1],
                "MODEL_BUCKET": BUCKET,
                "ADMIN_PASSWORD": PASSWORD,
                "WEB_BIND": f"127.0.0.1:{port}",
                "WEB_WORKERS": "1",
                "NO_PROXY": "127.0.0.1",
            }
            s3 = boto3.client(
                "s3",
                endpoint_url=s3_url,
                region_name="ap-northeast-2",
                aws_access_key_id=KEYS[0],
                aws_secret_access_key=KEYS[1],
            )
            s3.create_bucket(
                Bucket=BUCKET,
                CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"},
            )
            if not migrated.copy_to(database):
                _manage(environment, "migrate", "-v", "0")
            _manage(environment, "ensure_admin")
            web = shell(read_procfile()["web"])
            with running(web, cwd=ROOT, env=environment, stdout=log, stderr=log) as process:
                wait_for_port(port, process)
                yield Portal(f"http://127.0.0.1:{port}", disk, database, tmp_path / "web.log", s3)


def test_a_full_disk_is_said_and_all_goes_on_when_there_is_room(portal: Portal) -> None:
    user = portal.visitor()
    assert portal.log_in(user).status_code == 302
    ready = f"{portal.url}/readyz"
    assert user.get(ready, timeout=30).json()["status"] == "ok"

    # More than the disk has: it ends while it is received.
    answer = portal.upload(user, "huge", DISK_MB + 5)
    assert answer.status_code == 507
    assert re.search("disk .*full", answer.text)
    assert int(answer.headers["Retry-After"]) > 0
    wait_until(lambda: not list((portal.disk / "tmp").iterdir()), "the end of the temporary file")

    # Twice on the disk, as it is received and as Django hands it on, but not a third time: the
    # store does not take it.
    answer = portal.upload(user, "third", DISK_MB * 0.38)
    assert answer.status_code in {503, 507}
    assert re.search("othing was kept|was not taken", answer.text)
    assert int(answer.headers["Retry-After"]) > 0
    assert "NoSuchUpload (NoSuchUpload" not in answer.text
    assert portal.staged() == []
    wait_until(lambda: not list((portal.disk / "tmp").iterdir()), "the end of the temporary file")
    assert portal.rows("models_catalog_version") == portal.rows("models_catalog_model") == 0

    filler = portal.fill()
    wait_until(lambda: user.get(ready, timeout=30).status_code == 503, "the notice of a full disk")
    assert user.get(ready, timeout=30).json()["status"] == "down"
    assert user.get(f"{portal.url}/healthz", timeout=30).json() == {"status": "ok"}
    assert user.get(f"{portal.url}/models/", timeout=30).status_code == 200, "reading goes on"
    answer = portal.upload(user, "small", 0.5)
    assert answer.status_code == 507
    statuses = {portal.log_in(portal.visitor()).status_code for _ in range(5)}
    assert statuses <= {302, 507, 503}, "a log-in writes a few bytes: it fits, or is refused"

    filler.unlink()
    wait_until(lambda: user.get(ready, timeout=30).status_code == 200, "the notice of the room")
    assert portal.log_in(portal.visitor()).status_code == 302
    answer = portal.upload(user, "small", 0.5)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/models/small/v1/")
    assert len(portal.staged()) == 1
    assert "Traceback" not in portal.log.read_text()
