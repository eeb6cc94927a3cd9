"""The tests' SQLite database in the hands of another program."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def locked_by_another_program() -> Iterator[None]:
    """Nobody else can write to it for the length of the block."""
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
    hold += "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, connection.settings_dict["NAME"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            other.communicate()
