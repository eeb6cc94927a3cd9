"""The configuration of a stack's Redis: one user with a password and limited rights.

Redis can write files, load modules and run scripts, so the user may only run the listed commands on
the listed keys.
"""

import hashlib
from pathlib import Path

from stack.credentials import private_file
from stack.layout import REDIS_USER

#: Keys of Celery's queue, of kombu, and of the portal (heartbeats). The second pattern is for the
#: priority queues, which kombu names with two control characters and a digit.
KEYS = (
    "celery",
    "celery??[0-9]",
    "_kombu.binding.*",
    "_kombu.binding_permanent.*",
    "unacked",
    "unacked_index",
    "unacked_mutex",
    "mme:*",
)
#: The commands that a running stack uses (MONITOR, ACL LOG). No EVAL: scripts had sandbox escapes
#: (CVE-2022-0543, CVE-2025-49844). No channels: remote control and events are off. No ``client``:
#: redis-py ignores an error of CLIENT SETINFO.
COMMANDS = (
    *("auth", "hello", "ping", "select", "time"),
    *("multi", "exec", "discard", "watch", "unwatch"),
    *("get", "mget", "set", "incrby", "del", "exists", "pttl", "scan"),
    *("lpush", "rpush", "brpop", "llen", "lindex"),
    *("sadd", "smembers"),
    *("hset", "hget", "hdel"),
    *("zadd", "zrem", "zrange"),
)


def write(
    folder: Path,
    *,
    password: str,
    host: str,
    port: int,
    keep_in: str,
    seen_at: Path | None = None,
    **more: str,
) -> Path:
    """Write the configuration and the ACL file to ``folder``; returns the configuration's path.

    ``keep_in``: the working directory, to which nothing is written. ``seen_at``: the folder's path
    for Redis, where it differs. ``more``: further directives, with ``_`` for ``-``.
    """
    acl = private_file(folder / "users.acl", rights(password))
    settings = {
        "bind": host,
        "port": str(port),
        "dir": keep_in,
        "aclfile": str((seen_at or folder) / acl.name),
        # No persistence: all state is in the database, and beat finds what is due.
        "save": '""',
        "appendonly": "no",
        "daemonize": "no",
    } | {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{name} {_quoted(value)}" for name, value in settings.items()]
    return private_file(folder / "redis.conf", "\n".join(lines) + "\n")


def rights(password: str) -> str:
    """The lines of an ACL file, with the hash of the password."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    keys = " ".join(f"~{key}" for key in KEYS)
    commands = " ".join(f"+{command}" for command in COMMANDS)
    nobody = "off resetpass resetkeys resetchannels -@all"
    return (
        f"user default {nobody}\n"
        f"user {REDIS_USER} on #{digest} resetkeys {keys} resetchannels -@all {commands}\n"
    )


def _quoted(value: str) -> str:
    if value == '""':
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
