"""The Redis of a stack: one user, with a password, for what Celery and the portal do with it.

Redis can write files anywhere as its owner, load modules and run scripts, so what its users may do
is listed and everything else is refused. Nobody may do anything without the password.
"""

import hashlib
from pathlib import Path

from stack.credentials import private_file
from stack.layout import REDIS_USER

#: Celery's queue, kombu's bookkeeping of it, and the portal's own (heartbeats). The second is
#: the queues of priorities, which kombu names by two control characters and a digit.
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
#: Found by looking on (MONITOR, ACL LOG) at a whole life of a stack. No EVAL: scripts have been a
#: way out of Redis more than once (CVE-2022-0543, CVE-2025-49844). No channels: remote control
#: and events are off. ``client`` is not here: redis-py tells its name with CLIENT SETINFO, and
#: takes a refusal for an old server.
COMMANDS = (
    *("auth", "hello", "ping", "select", "time"),
    *("multi", "exec", "discard", "watch", "unwatch"),
    *("get", "set", "del", "exists", "pttl", "scan"),
    *("lpush", "rpush", "brpop", "llen"),
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
    """Write the configuration and its users' rights into ``folder``; gives the former's path.

    ``keep_in``: the working directory, where Redis keeps nothing. ``seen_at``: where Redis finds
    the folder, if it is elsewhere for it. ``more``: further directives, with ``_`` for ``-``.
    """
    acl = private_file(folder / "users.acl", rights(password))
    settings = {
        "bind": host,
        "port": str(port),
        "dir": keep_in,
        "aclfile": str((seen_at or folder) / acl.name),
        # Nothing in it needs to be kept: all state is in the database, and beat finds what is due.
        "save": '""',
        "appendonly": "no",
        "daemonize": "no",
    } | {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{name} {_quoted(value)}" for name, value in settings.items()]
    return private_file(folder / "redis.conf", "\n".join(lines) + "\n")


def rights(password: str) -> str:
    """The lines of an ACL file. It holds a hash, by which nobody can log in."""
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
