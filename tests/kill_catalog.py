"""Each part is killed at each step of each operation of the catalog, with the real processes.

`make kill-matrix ARGS=--catalog` runs all of it, or what ``--only worker:SIGKILL`` and
``--minutes`` allow; tests/test_kill_matrix.py runs a sample.

All that goes to S3 passes a gate. The steps of an operation are found in rounds in which nothing is
disturbed: the moment when it is asked for, each call of S3 before it arrives, each changing one
also after it was done and before its answer is back, and each state and step that its row goes
through. In a round one part is killed at one of them, which at a call of S3 is exact: the call
waits at the gate until the part is dead. Then the part is started again, who asked goes on as the
client does, and all must be as if nothing had happened (``Catalog.wrong``).

A lease ends with its process, and what waits until later is due at once, so that no round waits.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import random
import signal
import socket
import sqlite3
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings

import mme_client
from mme_client import errors, resuming
from mme_client import models as client_models
from tests.artifacts import constant_archive, constant_network, pack, params_bytes
from tests.killing import SHORT, Matrix, Outcome, Parts, ended, played
from tests.servers import free_port
from tests.small_portal import BUCKET, SmallPortal, small_portal

PARTS = ("web", "worker", "redis", "s3")
#: The same, and a copy, of an archive that is written and copied in parts.
LARGE, LARGE_COPY = "large push", "large copy"
OPERATIONS = (
    "upload", "validation", "publish", "import", "copy",
    "make alias", "move alias", "remove alias", "retire", "delete",
    "large upload", "large validation", "large publish", LARGE_COPY,
)  # fmt: skip
#: An upload, its validation and its publication follow each other, from one request.
PUSH = "push"
ACTS = (PUSH, *OPERATIONS[3:10], LARGE, LARGE_COPY)
ASKED = "asked"
_PUSHED, _MOVED, _LARGE = "pushed", "moved", "large"
#: Of the pictures that the large network takes: its weights are 7 MB, and no packing helps much.
_SIDE = 552
SECONDS = 90
#: After so long without anything under way no moment is looked for, or a certain one waited for.
_QUIET_S, _NEVER_S = 1.5, 20
_SWEPT_S = 0.5
#: What beat sweeps each five seconds: a message may expire before a worker is there again.
_BEAT_S = 5.0
_CHANGING = ("PUT", "POST", "DELETE")
_CALLS = ("before ", "after ")
_TOKEN = "token"

_PERSON = """
import sys, time, traceback
from datetime import timedelta
from pathlib import Path
from django.db import close_old_connections
from accounts import roles, services as accounts, tokens
from core import clock
from core.api.caller import Scope
from core.models import RepeatableCall
from models_catalog import alias_mirror, publication, tasks, temporary, uploads
from models_catalog.models import AliasMirror, Upload, Version
HELD = {"worker": (Version, AliasMirror), "web": (Upload,)}
def begin(path):
    roles.ensure_roles()
    user = accounts.make_user(
        actor=None, name="ann", password="a long one 1234", role=roles.ADMIN)
    _token, secret = tokens.make(user=user, name="kills", scopes=list(Scope))
    Path(path).write_text(secret)
def leases_end(part):
    now = clock.now()
    for model in HELD.get(part, ()):
        model.objects.exclude(leased_until=None).update(leased_until=now, check_after=now)
    if part == "web":
        RepeatableCall.objects.filter(status=None).update(leased_until=now)
def later():
    now = clock.now()
    Version.objects.unfinished().filter(leased_until=None).update(check_after=now)
    Upload.objects.unfinished().filter(leased_until=None).update(check_after=now)
    AliasMirror.objects.exclude(problem="").filter(leased_until=None).update(check_after=now)
    tasks.sweep()
def a_day_later():
    # S3 tells times by the second.
    publication.STAGING_KEPT = alias_mirror.ORPHANS_KEPT = timedelta(seconds=-5)
    publication.clear_staging()
    publication.clear_parts()
    publication.clear_labels()
    uploads.clear()
    alias_mirror.clear()
    temporary.clear(time.time() + 86400)
for line in sys.stdin:
    close_old_connections()
    try:
        exec(line)
    except Exception:
        traceback.print_exc()
        print("failed", flush=True)
    else:
        print("done", flush=True)
"""


# --- the gate before S3 --------------------------------------------------------------------------


class Gate(ThreadingHTTPServer):
    """Hands calls on to S3, tells of each, and holds one at a moment until somebody was killed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Caller)
        #: The port of S3.
        self.behind = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._lock = threading.Lock()
        self.begin("")

    def begin(self, held: str) -> None:
        """Count anew; ``held``: the moment at which a call waits; empty: none does."""
        self.held = held
        self.told: list[str] = []
        self._seen: Counter[str] = Counter()
        self.reached, self.gone_on = threading.Event(), threading.Event()
        self.answers = True

    def go_on(self, *, answered: bool) -> None:
        """Let the call that waits go on; without an answer where S3 died after it."""
        self.answers = answered
        self.gone_on.set()

    def tell(self, what: str) -> bool:
        """Say that a call is at this moment; whether it may go on as usual."""
        with self._lock:
            self._seen[what] += 1
            moment = what if self._seen[what] == 1 else f"{what} {self._seen[what]}"
            self.told.append(moment)
            if moment != self.held:
                return True
            reached, gone_on = self.reached, self.gone_on
        reached.set()
        gone_on.wait(SECONDS)
        return self.answers


class _Caller(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _hand_on(self) -> None:
        assert isinstance(self.server, Gate)
        assert "Transfer-Encoding" not in self.headers
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self._what()
        self.close_connection = True
        if what:
            self.server.tell(f"before {what}")
            if self._is_gone():
                return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True,
                                  skip_accept_encoding=True)  # fmt: skip
            for name, value in self.headers.items():
                if name not in ("Connection", "Expect"):
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return  # S3 is dead
        finally:
            connection.close()
        if what and self.command in _CHANGING and not self.server.tell(f"after {what}"):
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in ("Connection", "Transfer-Encoding", "Date", "Server"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _hand_on

    def _what(self) -> str:
        """What is asked of S3; empty: it is only looked whether it is there."""
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        _empty, _bucket, key = (*unquote(asked.path).split("/", 2), "")[:3]
        if not key:
            if "max-keys" in query:
                return ""
            return f"list of {_place(query.get('prefix', [''])[0])}"
        verb = "copy" if "x-amz-copy-source" in self.headers else self.command
        return f"{verb} {_place(key)}"

    def _is_gone(self) -> bool:
        """Whether who called was killed."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _place(key: str) -> str:
    names = {
        f"{settings.STAGING_PREFIX}/uploads": "stretches",
        settings.STAGING_PREFIX: "staging",
        settings.ORIGINALS_PREFIX: "originals",
        settings.ALIASES_PREFIX: "aliases",
        settings.MODEL_PREFIX: "store",
    }
    return next((name for begin, name in names.items() if key.startswith(begin)), "elsewhere")


# --- the operations ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kill:
    """Which part is killed, at which moment of which operation."""

    act: str
    moment: str
    part: str


@dataclass
class Expected:
    """What must be there: the state of each version, and where each alias points."""

    versions: dict[tuple[str, int], str] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)


class Catalog(Parts):
    """A small portal behind whose web server, worker, Redis and S3 stand people and a gate."""

    script = _PERSON

    def __init__(self, portal: SmallPortal, gate: Gate, parts: contextlib.ExitStack) -> None:
        self.of_person = {"AWS_ENDPOINT_URL_S3": portal.s3.url}  # past the gate
        super().__init__(portal, ("redis", "worker", "web"), {"s3": portal.s3}, parts)
        self.gate = gate
        self.bucket = portal.aws.client("s3")
        self._database = sqlite3.connect(portal.database, timeout=20, isolation_level=None)
        parts.callback(self._database.close)
        self.ask(f"begin({str(portal.folder / _TOKEN)!r})")
        self.client = parts.enter_context(
            mme_client.Portal(
                f"http://{portal.environment['WEB_BIND']}",
                (portal.folder / _TOKEN).read_text(),
                timeout=SECONDS,
            )
        )
        self.expected = Expected()
        self._rounds = 0
        self._known: set[str] = set()
        self._digests: dict[tuple[str, str, Any], str] = {}
        self._next_of_base()

    def _next_of_base(self) -> None:
        """Upload the next version of the model that copies and aliases are of."""
        number = sum(model == "base" for model, _number in self.expected.versions) + 1
        path = self.portal.folder / f"base_v{number}.tar.gz"
        constant_archive(path, labels=["one", "other"], answer=number - 1, name="base")
        self._tried(lambda: self.client.models.push(path, "base"))
        self.expected.versions["base", number] = "ready"
        self._until_right()

    def _large(self) -> Path:
        """An archive that is written in two parts."""
        path = self.portal.folder / "large.tar.gz"
        if not path.exists():
            shape = (1, 3, _SIDE, _SIDE)
            files = constant_network(labels=["one", "other"], answer=0, shape=shape, name=_LARGE)
            features = 3 * _SIDE * _SIDE
            noise = struct.unpack(f"<{2 * features}I", random.Random(1).randbytes(8 * features))
            weights = [one / 2**72 for one in noise]  # they change no answer
            files[f"{_LARGE}-0000.params"] = params_bytes(
                {
                    "arg:fc_weight": ((2, features), weights),
                    "arg:fc_bias": ((2,), [10.0, 0.0]),
                }
            )
            pack(path, files)
        return path

    # What a person asks for, and what must come of it. Each may be asked again.

    def _push(self, name: str, path: Path | None = None) -> None:
        kept = self.portal.folder / f"{name}.kept"
        path = path or self.portal.folder / "base_v1.tar.gz"
        first = self.portal.folder / f"{name}.tar.gz"
        if not first.exists():
            first.hardlink_to(path)
        half = path.stat().st_size // 2 + 1
        with (
            mock.patch.object(client_models, "PLAIN_BYTES", 0),
            mock.patch.object(resuming, "FIRST_BYTES", half),
        ):
            self.client.models.push(first, name, kept=kept)

    def _after_push(self, name: str) -> None:
        numbers = [number for model, number in self.expected.versions if model == name]
        self.expected.versions[name, len(numbers) + 1] = "ready"

    def _lay(self, name: str) -> None:
        """As somebody with rights to the bucket does."""
        prefix = settings.MODEL_PREFIX
        source = {"Bucket": BUCKET, "Key": f"{prefix}/base_v1.tar.gz"}
        self.bucket.copy_object(Bucket=BUCKET, Key=f"{prefix}/{name}.tar.gz", CopySource=source)

    def _import(self, name: str) -> None:
        self.client.models.import_found([f"{name}.tar.gz"])

    def _copy(self, name: str, source: str = "base") -> None:
        self.client.models.copy(f"{source}:1", to=name)

    def _ready(self, name: str) -> None:
        self.expected.versions[name, 1] = "ready"

    def _point(self, name: str, number: int) -> None:
        self.client.aliases.put(f"base@{name}", number)

    def _pointed(self, name: str, number: int) -> None:
        self.expected.aliases["base", name] = number

    def _remove(self, name: str) -> None:
        self.client.aliases.delete(f"base@{name}")

    def _discarded(self, name: str, state: str, number: int = 1) -> None:
        self.expected.versions[name, number] = state

    def _act(self, act: str, name: str) -> tuple[Callable[[], object], Callable[[], object]]:
        """How it is asked for, and what is expected then."""
        models, oldest = self.client.models, self._oldest()
        other = 3 - self.expected.aliases.get(("base", name), 2)
        return {
            PUSH: (lambda: self._push(name), lambda: self._after_push(name)),
            LARGE: (
                lambda: self._push(name, self._large()),
                lambda: self._after_push(name),
            ),
            LARGE_COPY: (lambda: self._copy(name, _LARGE), lambda: self._ready(name)),
            "import": (lambda: self._import(name), lambda: self._ready(name)),
            "copy": (lambda: self._copy(name), lambda: self._ready(name)),
            "make alias": (lambda: self._point(name, other), lambda: self._pointed(name, other)),
            "move alias": (lambda: self._point(name, other), lambda: self._pointed(name, other)),
            "remove alias": (
                lambda: self._remove(name),
                lambda: self.expected.aliases.pop(("base", name)),
            ),
            "retire": (
                lambda: models.retire(f"{name}:1"),
                lambda: self._discarded(name, "retired"),
            ),
            "delete": (
                lambda: models.delete_version(f"{name}:{oldest}"),
                lambda: self._discarded(name, "deleted", oldest),
            ),
        }[act]

    def _oldest(self) -> int:
        """The number of the oldest version that can be deleted; 0: there is none."""
        versions = self.expected.versions.items()
        ready = [
            number for (name, number), state in versions if (name, state) == (_PUSHED, "ready")
        ]
        return min(ready, default=0)

    def _named(self, act: str) -> str:
        """The name for one round's operation, and what must be there before it."""
        self._rounds += 1
        name = f"{act.split()[0]}{self._rounds}"
        if act == PUSH and self._rounds % 2:
            return _PUSHED  # the next version of a model
        if act == "import":
            self._lay(name)
        elif act == LARGE_COPY and (_LARGE, 1) not in self.expected.versions:
            self.plainly(LARGE, _LARGE)
        elif act == "move alias":
            if ("base", _MOVED) not in self.expected.aliases:
                self._next_of_base()
                self.plainly("make alias", _MOVED)
            return _MOVED
        elif act == "remove alias":
            self.plainly("make alias", name)
        elif act == "retire":
            self.plainly("copy", name)
        elif act == "delete":
            if not self._oldest():
                self.plainly(PUSH, _PUSHED)
            return _PUSHED
        return name

    def plainly(self, act: str, name: str) -> None:
        """Do it undisturbed."""
        asked, then = self._act(act, name)
        self._tried(asked)
        then()
        self._until_right()

    def _tried(self, asked: Callable[[], object]) -> None:
        """Ask until there is an answer, as a person does."""
        deadline = time.monotonic() + SECONDS
        again = False
        while True:
            try:
                asked()
            except errors.ProblemError as problem:
                if problem.status == 500 or time.monotonic() > deadline:
                    raise
                if again and problem.status < 500:
                    return  # it was done before; what is there is looked at
            except errors.MmeError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            again = True
            time.sleep(0.1)

    # --- rounds ---

    def moments(self, act: str) -> list[str]:
        """The moments of an operation, from a round in which nothing is disturbed."""
        found = self._played(act, None)
        assert found is not None
        return found

    def round(self, what: Kill, outcome: Outcome, operation: str) -> None:
        """Kill a part at a moment; all must be right then."""
        try:
            if self._played(what.act, what) is None:
                # A state that lasts milliseconds may; a call waits at the gate.
                unseen = outcome.failures if what.moment.startswith(_CALLS) else outcome.missed
                unseen.append(f"{what}: the moment did not come")
                return
        except (AssertionError, errors.MmeError) as problem:
            outcome.failures.append(f"{what}: {str(problem)[:3000]}")
            self._known.update(self.wrong())
        outcome.cases[operation, what.part, "SIGKILL"] += 1

    def _played(self, act: str, what: Kill | None) -> list[str] | None:
        """Do it; the moments that came, or None where that of ``what`` did not."""
        name = self._named(act)
        asked, then = self._act(act, name)
        subject = "base" if "alias" in act else name
        number = self._oldest() if act == "delete" else None
        begun = self._row(subject, number)
        self.gate.begin("" if what is None else what.moment)
        failed: list[Exception] = []

        def work() -> None:
            try:
                self._tried(asked)
            except Exception as problem:
                failed.append(problem)

        working = threading.Thread(target=work)
        working.start()
        came, calls, quiet_since = [ASKED], 0, 0.0
        killed = False
        longest = _QUIET_S if what is None else _NEVER_S
        deadline, swept = time.monotonic() + SECONDS, time.monotonic()
        while time.monotonic() < deadline:
            new, calls = self.gate.told[calls:], len(self.gate.told)
            came += new
            row = _said(begun, self._row(subject, number))
            if row and row not in came:
                came.append(row)
            if what is not None and (self.gate.reached.is_set() or what.moment in (ASKED, row)):
                self._kill(what)
                killed = True
                break
            busy = working.is_alive() or self._all(_STUCK)
            quiet_since = 0.0 if busy else quiet_since or time.monotonic()
            if quiet_since and time.monotonic() - quiet_since > longest:
                break
            if time.monotonic() > swept + _BEAT_S:
                self.ask("tasks.sweep()")
                swept = time.monotonic()
            time.sleep(0.002)
        self.gate.go_on(answered=True)
        then()
        self._swept_until(lambda: not working.is_alive(), "an answer")
        assert not failed, f"the answer is {failed[0]!r}"
        self._until_right()
        return came if what is None or killed else None

    def _kill(self, what: Kill) -> None:
        self.kill(what.part)
        self.gate.go_on(answered=what.part != "s3")
        self.start(what.part)
        self.ask(f"leases_end({what.part!r})")

    def _row(self, model: str, number: int | None) -> tuple[Any, ...]:
        return tuple(self._all(_ROW, model, model, number, number)[0])

    def _all(self, query: str, *values: object) -> list[Any]:
        return self._database.execute(query, values).fetchall()

    # --- what must hold ---

    def _until_right(self) -> None:
        """Wait until nothing is under way; then a day is over, and all must be right."""
        self._swept_until(lambda: not self._all(_STUCK), "what is under way")
        self.ask("a_day_later()")
        wrong = self.wrong() - self._known
        assert not wrong, sorted(wrong)

    def _swept_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait, with the sweep that beat sends, and with what waits for later being due."""
        deadline = time.monotonic() + SECONDS
        swept = time.monotonic()
        while not condition():
            if time.monotonic() > deadline:
                log = self.portal.said("worker")[-3000:]
                raise AssertionError(f"waited for {what}: {self._all(_STUCK)}\n{log}")
            if time.monotonic() > swept + _SWEPT_S:
                self.ask("later()")
                swept = time.monotonic()
            time.sleep(0.02)

    def wrong(self) -> set[str]:
        """All that is not as it must be."""
        found = {f"stuck: {one}" for one in self._all(_STUCK)}
        found |= {f"told twice: {one}" for one in self._all(_TOLD_TWICE)}
        rows = self._all(_VERSIONS)
        there = {(name, number): state for name, number, state, *_rest in rows}
        found |= {f"row: {one}" for one in there.items() ^ self.expected.versions.items()}
        if len(there) != len(rows):
            found.add("a number was given twice")
        for (name,) in self._all("SELECT name FROM models_catalog_model"):
            if not any(model == name for model, _number in there):
                found.add(f"a model without versions: {name}")
        objects = self._objects()
        known = set()
        for name, number, state, key, original, digest, uploaded in rows:
            stored = state in ("ready", "retired")
            if stored:
                known |= {key, original} - {""}
            if stored and (not digest or objects.get(key) != digest):
                found.add(f"{name} v{number} is {state} with {digest!r}, not {objects.get(key)!r}")
            if stored and uploaded and original not in objects:
                found.add(f"{name} v{number} is {state} without its original {original!r}")
        return found | self._wrong_aliases(objects, known)

    def _wrong_aliases(self, objects: dict[str, str], known: set[str]) -> set[str]:
        """The same of aliases, and of objects that neither they nor the versions know."""
        found = set()
        aliases = {(model, name): number for model, name, number, _state in self._all(_ALIASES)}
        found |= {f"alias: {one}" for one in aliases.items() ^ self.expected.aliases.items()}
        for model, name, number, state in self._all(_ALIASES):
            key = f"{settings.ALIASES_PREFIX}/{model}/{name}.json"
            known.add(key)
            if state != "ready":
                found.add(f"{model}@{name} points at what is {state}")
            if key not in objects:
                found.add(f"{model}@{name} has no mirror")
            elif json.loads(self._read(key))["version"] != number:
                found.add(f"the mirror of {model}@{name} says not {number}")
        found |= {f"an object without a row: {key}" for key in objects.keys() - known}
        parts = self.bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        found |= {f"parts of an upload: {one['Key']}" for one in parts}
        return found | {f"a folder: {path.name}" for path in self.portal.folder.glob("mme-*")}

    def _objects(self) -> dict[str, str]:
        """The SHA-256 of each object, which is read once."""
        found = {}
        for page in self.bucket.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for one in page.get("Contents", []):
                written = (one["Key"], one["ETag"], one["LastModified"])
                if written not in self._digests:
                    self._digests[written] = hashlib.sha256(self._read(one["Key"])).hexdigest()
                found[one["Key"]] = self._digests[written]
        return found

    def _read(self, key: str) -> bytes:
        found: bytes = self.bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return found


_STUCK = """
SELECT 'version', id, state FROM models_catalog_version
 WHERE state IN ('uploaded', 'checking', 'copying', 'deleting')
UNION ALL SELECT 'upload', id, "offset" FROM models_catalog_upload
 WHERE version_id IS NULL AND problem IS NULL
UNION ALL SELECT 'mirror', id, name FROM models_catalog_aliasmirror WHERE written <> wanted
"""
_ROW = """
SELECT v.number, v.state, v.step,
 (SELECT COUNT(*) FROM models_catalog_stretch s JOIN models_catalog_upload u ON u.id = s.upload_id
  WHERE u.name = ? AND u.version_id IS NULL),
 (SELECT COUNT(*) FROM models_catalog_aliasmove a WHERE a.model_id = m.id),
 (SELECT COUNT(*) FROM models_catalog_aliasmirror a WHERE a.model_id = m.id
  AND a.written <> a.wanted)
FROM (SELECT ? AS name) asked LEFT JOIN models_catalog_model m ON m.name = asked.name
LEFT JOIN models_catalog_version v ON v.model_id = m.id AND (? IS NULL OR v.number = ?)
ORDER BY v.number DESC LIMIT 1
"""
_VERSIONS = """
SELECT m.name, v.number, v.state, v.key, v.original_key, v.published_sha256,
 v.copied_from_id IS NULL AND NOT v.as_found
FROM models_catalog_version v JOIN models_catalog_model m ON m.id = v.model_id
"""
_ALIASES = """
SELECT m.name, a.name, v.number, v.state FROM models_catalog_alias a
JOIN models_catalog_model m ON m.id = a.model_id
JOIN models_catalog_version v ON v.id = a.version_id
"""
_TOLD_TWICE = """
SELECT action, subject_name FROM activity_event WHERE subject_kind = 'version'
GROUP BY action, subject_id HAVING COUNT(*) > 1
"""


def _said(begun: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    """What is told of the rows, by what they were when it was asked for; empty: nothing new."""
    words = []
    if now[:3] != begun[:3]:
        words.append(f"{now[1]} {now[2]}".strip().lower())
    if now[3]:
        words.append(f"stretches: {now[3]}")
    if now[4] != begun[4]:
        words.append("moved, and its mirror behind" if now[5] else "moved")
    return ", ".join(words)


def phase(act: str, moment: str, came: list[str]) -> str:
    """The operation that a moment belongs to: a push is three of them."""
    if act not in (PUSH, LARGE):
        return act
    kind = act.removesuffix(PUSH)
    before = came[: came.index(moment) + 1]
    if "stretches" in moment or not any(one.startswith("checking") for one in before):
        return f"{kind}upload"
    published = any(one.startswith("checking publishing") for one in before)
    return f"{kind}publish" if published else f"{kind}validation"


@contextlib.contextmanager
def rig(folder: Path) -> Iterator[Catalog]:
    """All parts, running."""
    with contextlib.ExitStack() as parts:
        gate = parts.enter_context(Gate())
        known_as = ("--answer-to", f"127.0.0.1:{gate.server_port}")
        portal = parts.enter_context(small_portal(folder, s3_options=known_as))
        gate.behind = portal.s3.port
        serving = threading.Thread(target=gate.serve_forever, args=(0.02,), daemon=True)
        serving.start()
        parts.callback(gate.shutdown)
        portal.environment |= SHORT
        portal.environment |= {
            "AWS_ENDPOINT_URL_S3": gate.url,
            "WEB_BIND": f"127.0.0.1:{free_port()}",
            "WEB_WORKERS": "1",
            "DJANGO_SETTINGS_MODULE": "tests.small_parts",
        }
        yield Catalog(portal, gate, parts)


def all_of(found: dict[str, list[str]]) -> list[Kill]:
    """Every moment of these operations with every part; mixed, so that any number is a sample."""
    rounds = [
        Kill(act, moment, part)
        for act, moments in found.items()
        for moment in moments
        for part in PARTS
    ]
    random.Random(1).shuffle(rounds)
    return rounds


def run(wanted: argparse.Namespace, folder: Path) -> int:
    """Run what is wanted of it; 1 where an operation failed."""
    outcome = Outcome()
    with rig(folder) as made:
        found = {act: made.moments(act) for act in wanted.act or ACTS}
        whole = all_of(found)

        def operation(what: Kill) -> str:
            return phase(what.act, what.moment, found[what.act])

        rounds = played(
            wanted,
            whole,
            lambda what: (what.part, signal.SIGKILL.name),
            lambda what: made.round(what, outcome, operation(what)),
            outcome,
        )
    steps = Counter(operation(what) for what in whole if what.part == PARTS[0])
    columns = [(part, signal.SIGKILL.name) for part in PARTS]
    mark = "kill matrix of the catalog"
    played_ones = [one for one in OPERATIONS if steps[one]]
    return ended(wanted, Matrix(mark, played_ones, steps, columns, rounds, len(whole)), outcome)
