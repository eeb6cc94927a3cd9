"""How the log is written: as JSON for programs, or as lines for a terminal; always in English.

Code logs with Python's ``logging``. structlog renders each record, with the id of the request or
job that it belongs to (core/request_id.py).
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

import structlog
from django.apps import apps
from django.utils import translation


def _without_request(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out Django's request object: its method and path are all that its text has."""
    event.pop("request", None)
    return event


_ADDED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    _without_request,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


# Whoever has such a link can set a password (accounts/links.py). Django logs the path of a request
# that it refuses, and a link still works after a weak password or a missing CSRF token.
_SECRET_LINK = re.compile(r"(/welcome/)[^/?\s\"'\\]+")
# A token of the API (accounts/tokens.py), also a part of one, and where `_` is percent-encoded. A
# shorter text may be a word: a cookie is called mme_session.
_TOKEN = re.compile(r"(mme(?:_|%5[Ff]))[A-Za-z0-9]{16,}")
_TOKEN_PARAMETER = re.compile(r"(token=mme(?:_|%5[Ff]))[A-Za-z0-9]+")
# What webhooks are signed with (notices/signing.py).
_SIGNING = re.compile(r"(whsec_)[A-Za-z0-9+/=]{8,}")


def without_secrets(text: str) -> str:
    """``text`` without the secrets of links to set a password, of tokens, and of webhooks."""
    # As nearly all texts; each search for a pattern takes longer than these three.
    if not ("mme" in text or "whsec_" in text or "/welcome/" in text):
        return text
    text = _SIGNING.sub(r"\1...", _SECRET_LINK.sub(r"\1...", text))
    return _TOKEN.sub(r"\1...", _TOKEN_PARAMETER.sub(r"\1...", text))


def address_without_secrets(address: str) -> str:
    """The same for an address as a client wrote it, where any character may be percent-encoded."""
    shown = without_secrets(address)
    plain = unquote(address)
    # Such a spelling is no browser's: what is logged then is the decoded address.
    return shown if without_secrets(unquote(shown)) == unquote(shown) else without_secrets(plain)


class Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record as one JSON object, or for a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        renderers: list[Any]
        if as_json:
            renderers = [
                structlog.processors.format_exc_info,
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ]
        else:
            renderers = [
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(),
                    pad_event_to=0,
                    exception_formatter=structlog.dev.plain_traceback,
                )
            ]
        super().__init__(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            foreign_pre_chain=_ADDED,
        )

    def format(self, record: logging.LogRecord) -> str:
        """The text of ``record``; in English, whatever language its request's user reads."""
        if not apps.ready:  # translations are not loaded yet
            return without_secrets(super().format(record))
        with translation.override("en"):
            return without_secrets(super().format(record))


def is_json(wanted: str, *, debug: bool) -> bool:
    """Whether to write JSON: as ``wanted`` says; ``auto``: not in development or to a terminal."""
    if wanted == "auto":
        return not debug and not sys.stderr.isatty()
    return wanted == "json"


def configuration(*, level: str, as_json: bool) -> dict[str, Any]:
    """Django's setting LOGGING (logging.config.dictConfig)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"portal": {"()": "core.logging.Formatter", "as_json": as_json}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "portal"}},
        "loggers": {"botocore": {"level": "WARNING"}, "boto3": {"level": "WARNING"}},
        "root": {"handlers": ["stderr"], "level": level},
    }
