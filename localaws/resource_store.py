"""Persistent state of localaws: models, endpoint configurations, endpoints, alarms and tags.

One SQLite file in WAL mode with ``synchronous=FULL``: a write is on disk before its
request is answered, so a kill or a power cut loses nothing.
"""

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .aws_errors import validation_exception

Kind = Literal[
    "model",
    "endpoint-config",
    "endpoint",
    "scalable-target",
    "scaling-policy",
    "scheduled-action",
    "scaling-activity",
    "alarm",
]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    arn TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    status TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE IF NOT EXISTS tag (
    arn TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
);
"""


@dataclass(slots=True)
class Resource:
    """A row: a resource that a client created. Times are seconds since 1970."""

    kind: Kind
    name: str
    arn: str
    created: float
    modified: float
    status: str = ""
    body: dict[str, Any] = field(default_factory=dict)


class FolderUnusable(Exception):
    """The data folder is not writable, or another localaws uses it; the message says which."""


def lock_folder(folder: Path) -> int:
    """Lock the data folder for the life of this process; creates it where missing.

    Two localaws in one folder would remove each other's instances. Raises FolderUnusable.
    """
    try:
        if (folder / "lock").exists():  # made by an earlier localaws, readable by all
            folder.chmod(0o700)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FolderUnusable(f"--data {folder} cannot be written to: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderUnusable(f"another localaws runs with --data {folder}.") from None
    return descriptor


class Duplicate(Exception):
    """There is a resource of this kind and name already."""


class ResourceStore:
    """The SQLite file; safe to use from many threads, one write at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction; it nests (the outermost one commits)."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add(self, resource: Resource, tags: dict[str, str] | None = None) -> None:
        """Raises Duplicate where one of its kind has the same name, ignoring case."""
        self.check_writable()
        with self.transaction():
            taken = self._db.execute(
                "SELECT 1 FROM resource WHERE kind = ? AND name = ? COLLATE NOCASE",
                (resource.kind, resource.name),
            ).fetchone()
            if taken:
                raise Duplicate(resource.name)
            try:
                self._db.execute(
                    "INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        resource.kind,
                        resource.name,
                        resource.arn,
                        resource.created,
                        resource.modified,
                        resource.status,
                        json.dumps(resource.body),
                    ),
                )
            except sqlite3.IntegrityError:
                raise Duplicate(resource.name) from None
            self.put_tags(resource.arn, tags or {})

    def put(self, resource: Resource) -> None:
        """Add a resource, or write the one of its kind and name anew."""
        self.check_writable()
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    resource.kind,
                    resource.name,
                    resource.arn,
                    resource.created,
                    resource.modified,
                    resource.status,
                    json.dumps(resource.body),
                ),
            )

    def check_writable(self) -> None:
        """Raise AwsError where nothing can be added."""

    def get(self, kind: Kind, name: str) -> Resource | None:
        with self._lock:
            row = self._db.execute(
                "SELECT * FROM resource WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return _resource(row) if row else None

    def by_arn(self, arn: str) -> Resource | None:
        with self._lock:
            row = self._db.execute("SELECT * FROM resource WHERE arn = ?", (arn,)).fetchone()
        return _resource(row) if row else None

    def all(self, kind: Kind) -> list[Resource]:
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM resource WHERE kind = ? ORDER BY created, name", (kind,)
            ).fetchall()
        return [_resource(row) for row in rows]

    def save(self, resource: Resource) -> None:
        """Write status, modification time and body of a resource that is there."""
        with self.transaction():
            self._db.execute(
                "UPDATE resource SET status = ?, modified = ?, body = ? "
                "WHERE kind = ? AND name = ?",
                (
                    resource.status,
                    resource.modified,
                    json.dumps(resource.body),
                    resource.kind,
                    resource.name,
                ),
            )

    def remove(self, kind: Kind, name: str) -> bool:
        """Remove a resource and its tags; False where there was none."""
        with self.transaction():
            resource = self.get(kind, name)
            if resource is None:
                return False
            self._db.execute("DELETE FROM tag WHERE arn = ?", (resource.arn,))
            self._db.execute("DELETE FROM resource WHERE kind = ? AND name = ?", (kind, name))
            return True

    def tags(self, arn: str) -> dict[str, str]:
        with self._lock:
            rows = self._db.execute(
                "SELECT key, value FROM tag WHERE arn = ? ORDER BY key", (arn,)
            ).fetchall()
        return {row[0]: row[1] for row in rows}

    def put_tags(self, arn: str, tags: dict[str, str]) -> None:
        with self.transaction():
            self._db.executemany(
                "INSERT INTO tag VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                [(arn, key, value) for key, value in tags.items()],
            )

    def remove_tags(self, arn: str, keys: list[str]) -> None:
        with self.transaction():
            self._db.executemany(
                "DELETE FROM tag WHERE arn = ? AND key = ?", [(arn, key) for key in keys]
            )


class EmptyStore(ResourceStore):
    """An empty store that takes nothing; ``why`` is the message of the error."""

    def __init__(self, why: str) -> None:
        self._why = why
        self._lock = threading.RLock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def check_writable(self) -> None:
        raise validation_exception(self._why)


def _resource(row: tuple[Any, ...]) -> Resource:
    kind, name, arn, created, modified, status, body = row
    return Resource(kind, name, arn, created, modified, status, json.loads(body))
