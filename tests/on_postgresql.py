"""`make test-postgresql`: the portal's tests that start no process, on PostgreSQL.

On a server of its own, which ends with them. `make test` runs them on SQLite.
"""

import os
import subprocess
import sys

from tests import ending
from tests.upgrade import postgresql

#: The apps of the portal; the other packages have no database.
APPS = (
    *("core", "activity", "accounts", "notices"),
    *("models_catalog", "endpoints", "invocations", "mmeportal"),
)


def main() -> int:
    """Run them; the exit code of pytest."""
    if not postgresql.installed():
        sys.exit("PostgreSQL is not installed here (Debian: apt-get install postgresql).")
    with postgresql.server() as url:
        pytest = [sys.executable, "-m", "pytest", "--no-processes", "-n", "2", "-q"]
        environment = os.environ | {"DATABASE_URL": url}
        chosen = sys.argv[1:] or list(APPS)
        return subprocess.run([*pytest, *chosen], env=environment, check=False).returncode


if __name__ == "__main__":
    ending.run(main)
