"""The keys that requests may be signed with: the stack's own, and those of STS's sessions.

The keys of moto's STS are in its source (GetSessionToken) or come from a generator that anybody may
seed. So localaws replaces secret and token in STS's responses, and accepts only its own.
"""

import datetime as dt
import logging
import re
import secrets
import string
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_MAX_SESSIONS = 10_000
_LETTERS = string.ascii_uppercase + "234567"


class KeysMissing(Exception):
    """There is no key to verify requests with, or a file of keys cannot be read."""


@dataclass(frozen=True, slots=True)
class Key:
    """An access key; a session's has a ``token`` and expires (seconds since 1970)."""

    access_key: str
    secret: str
    token: str | None = None
    expires: float | None = None

    def __repr__(self) -> str:
        return f"Key({self.access_key})"


class KeyRing:
    """The accepted keys by their ids."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.access_key: key for key in keys}
        self._sessions: dict[str, Key] = {}
        self._lock = threading.Lock()

    def __contains__(self, access_key: str) -> bool:
        return self.find(access_key) is not None

    def find(self, access_key: str) -> Key | None:
        """A key, also of an expired session, so that the caller gets the right error."""
        return self._keys.get(access_key) or self._sessions.get(access_key)

    def add_session(self, key: Key) -> None:
        """Accept a session's key. The oldest are dropped where there are too many."""
        with self._lock:
            self._sessions[key.access_key] = key
            while len(self._sessions) > _MAX_SESSIONS:
                del self._sessions[next(iter(self._sessions))]

    def replace_credentials(self, answer: bytes) -> bytes:
        """A response of STS with our own credentials in place of moto's."""
        text = answer.decode()
        found = re.search(r"<Credentials>.*?</Credentials>", text, re.DOTALL)
        if found is None:
            return answer
        block = found[0]
        id_given = re.search(r"<AccessKeyId>(\w+)</AccessKeyId>", block)
        ends = re.search(r"<Expiration>([^<]+)</Expiration>", block)
        if id_given is None or ends is None:
            log.warning("an answer of STS holds no credentials that are known: left as it is")
            return answer
        # moto finds the assumed role by the id, so an id that moto generated stays.
        access_key = id_given[1]
        if not access_key.startswith("ASIA") or access_key in self:
            access_key = "ASIA" + "".join(secrets.choice(_LETTERS) for _ in range(16))
        key = Key(
            access_key,
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(96),
            dt.datetime.fromisoformat(ends[1]).replace(tzinfo=dt.UTC).timestamp(),
        )
        values = {
            "AccessKeyId": key.access_key,
            "SecretAccessKey": key.secret,
            "SessionToken": key.token,
        }
        for name, value in values.items():
            block = re.sub(rf"<{name}>[^<]*</{name}>", f"<{name}>{value}</{name}>", block)
        self.add_session(key)
        return (text[: found.start()] + block + text[found.end() :]).encode()


def own_keys(file: Path | None, environment: Mapping[str, str]) -> list[Key]:
    """The keys of a file and of the AWS_* variables. Raises KeysMissing.

    A line of the file is the id of a key, a space, and its secret.
    """
    keys = []
    if file is not None:
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise KeysMissing(f"--keys-file {file} cannot be read: {error}.") from None
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if len(words) != 2:
                raise KeysMissing(f"--keys-file {file}: line {number} is not ID SECRET.")
            keys.append(Key(words[0], words[1]))
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret = environment.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret:
        keys.append(Key(access_key, secret, environment.get("AWS_SESSION_TOKEN") or None))
    return keys


def is_expired(key: Key, now: float | None = None) -> bool:
    return key.expires is not None and key.expires <= (time.time() if now is None else now)
