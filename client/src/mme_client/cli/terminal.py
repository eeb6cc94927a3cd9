"""What a command prints: documents and results to standard output, all else to standard error."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mme_client import errors
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Columns of a table whose output is no terminal: nothing is cut off.
_WIDE = 10_000
#: What JSON leaves as it is and a terminal obeys: DEL, C1 (U+009B is ESC [), turns of direction.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Terminal:
    """The output of one command: with ``--json`` documents, with ``--quiet`` results alone."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet

    def document(self, document: Any) -> None:
        """One JSON document, for people to read, too."""
        print_(_as_json(document, indent=2))

    def document_line(self, document: Any) -> None:
        """One of several JSON documents: on a line."""
        print_(_as_json(document, separators=(",", ":")))

    def line(self, text: str = "") -> None:
        """A line of the result."""
        print_(clean(text))

    def note(self, text: str) -> None:
        """What is not the result: progress, hints, warnings. Not with ``--quiet``."""
        if not self.quiet:
            say(text)

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values, one pair a line; those without a value are left out."""
        shown = [(name, value) for name, value in rows if value]
        width = max((columns(name) for name, _value in shown), default=0)
        for name, value in shown:
            self.line(f"{name}{' ' * (width - columns(name))}  {value}")

    def listed(
        self,
        found: Sequence[Any],
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        names: Sequence[str],
    ) -> None:
        """A list of records: as the API has it; with ``--quiet`` their names; else a table."""
        if self.json:
            self.document({"items": [one.document for one in found], "next": None})
        elif self.quiet:
            for name in names:
                self.line(name)
        elif rows:
            self.table(headings, rows)
        else:
            self.note(_("There are none."))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; its columns fit the terminal, and where there is none, nothing is cut off."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        made = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            made.add_column(Text(clean(heading)), overflow="fold")
        for row in rows:
            # Not as markup: headings and cells have what others wrote, such as labels.
            made.add_row(*(Text(clean(cell)) for cell in row))
        terminal = sys.stdout.isatty()
        Console(width=None if terminal else _WIDE, highlight=False).print(made)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """A bar with speed and time left, on a terminal; gives what to tell of bytes."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns_ = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns_, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(clean(what), total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of or None)

    @contextmanager
    def steps(self) -> Iterator[Callable[[str], None]]:
        """Gives what to tell of each step: a turning line on a terminal, else lines."""
        last = ""
        if self.quiet:
            yield lambda step: None
            return
        if not sys.stderr.isatty():

            def line(step: str) -> None:
                nonlocal last
                if step and step != last:
                    say(step)
                    last = step

            yield line
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status("") as status:
            yield lambda step: status.update(Text(clean(step)))

    @contextmanager
    def goes_on(self, sentence: str) -> Iterator[None]:
        """Says ``sentence`` where Ctrl-C or the time limit ends what is inside."""
        try:
            yield
        except (KeyboardInterrupt, errors.TimedOut):
            say(sentence)
            raise


def _as_json(document: Any, **how: Any) -> str:
    """JSON for people, too; with escapes of what a terminal obeys.

    All letters beyond ASCII are escaped where standard output cannot hold one of them.
    """
    text = json.dumps(document, ensure_ascii=False, **how)
    text = _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(document, **how)
    return text


def print_(text: str) -> None:
    """A line to standard output, at once, so that a pipe has it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line to standard error."""
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()


def clean(text: str) -> str:
    """``text`` without what a terminal would obey: notes and names are written by others."""
    return "".join(
        one if one.isprintable() or one in "\n\t" or unicodedata.category(one) == "Zs" else "\ufffd"
        for one in text
    )


def columns(text: str) -> int:
    """How wide ``text`` is: Korean letters take two columns."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def at(moment: datetime | None) -> str:
    """A time on the reader's clock, to the minute."""
    if moment is None or moment == datetime.min:  # noqa: DTZ901 - records.py: it was not sent
        return ""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def size(count: int | None) -> str:
    """Bytes as the pages write them, 3.1 MB: each unit has 1,024 of the one before."""
    if count is None:
        return ""
    value = float(count)
    if value < 1024:
        return _("{n} bytes").format(n=count)
    for unit in ("KB", "MB", "GB"):
        value /= 1024
        if value < 1024 or unit == "GB":
            return f"{value:.1f} {unit}"
    raise AssertionError("unreachable")


def lasted(seconds: int | None) -> str:
    """A span: seconds; minutes from one on, hours from 90 minutes on."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def ms(value: float | None) -> str:
    """Milliseconds; seconds from one on."""
    if value is None:
        return ""
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.1f} ms"
