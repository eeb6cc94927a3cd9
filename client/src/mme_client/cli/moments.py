"""A time in a command line, as ``mme deploy --expires`` takes it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mme_client.cli.running import WrongUse
from mme_client.cli.terminal import now
from mme_client.cli.words import _

_SPAN = re.compile(r"([0-9]+)([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def past(text: str) -> datetime:
    """The time so long ago, as ``90m``, ``8h`` or ``3d``, or the time that ``text`` names."""
    if span := _SPAN.fullmatch(text.strip()):
        try:
            return now() - int(span[1]) * _UNITS[span[2]]
        except OverflowError:
            pass  # it is no time either
    return moment(text)


def moment(text: str) -> datetime:
    """The time that ``text`` names, with a zone; WrongUse where it names none.

    A span is from now: ``90m``, ``8h``, ``3d``. A date and time without a zone is on the reader's
    clock, and a date is its beginning there, 00:00. A time in the past is one, too: the portal
    refuses it.
    """
    try:
        if span := _SPAN.fullmatch(text.strip()):
            return now() + int(span[1]) * _UNITS[span[2]]
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):  # the last two: too far away
        said = _(
            "{when!r} is no time. Give one such as 2026-12-24T18:00 on your clock, "
            "2026-12-24T18:00+09:00, 2026-12-24 (00:00 of that day), or from now 90m, 8h or 3d."
        )
        raise WrongUse(said.format(when=text)) from None
