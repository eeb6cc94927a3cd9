"""A PostgreSQL server of one's own, where its programs are installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import free_port, running, wait_until

_FOLDERS = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),)


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs; None where it is not installed."""
    return shutil.which(name, path=os.pathsep.join([*map(str, _FOLDERS), os.environ["PATH"]]))


def installed() -> bool:
    """Whether a server can be started."""
    return program("initdb") is not None and program("postgres") is not None


@contextmanager
def server() -> Iterator[str]:
    """The address (DATABASE_URL) of an empty database on a server that ends with the block."""
    initdb, postgres = program("initdb"), program("postgres")
    assert initdb
    assert postgres
    as_user: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="mme-postgresql-") as name:
        if os.geteuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(name, user.pw_uid, user.pw_gid)
            # A benchmark's folder is its owner's alone, and the server must pass through it.
            above = Path(name).parent
            above.chmod(above.stat().st_mode | 0o011)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": name}
        data, port = Path(name) / "data", free_port()
        subprocess.run(
            [initdb, "--auth=trust", "--username=portal", "--encoding=UTF8", f"--pgdata={data}"],
            check=True,
            capture_output=True,
            timeout=120,
            **as_user,
        )
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        url = f"postgres://portal@127.0.0.1:{port}/postgres"
        with running([postgres, "-D", str(data), "-p", str(port), *settings], **as_user) as process:

            def answers() -> bool:
                assert process.poll() is None, "PostgreSQL ended"
                try:
                    psycopg.connect(url, connect_timeout=5).close()
                except psycopg.OperationalError:
                    return False
                return True

            wait_until(answers, "PostgreSQL")
            yield url
