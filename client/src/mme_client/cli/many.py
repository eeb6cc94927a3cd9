"""``mme invoke`` of several versions, and with a table for an answer: each picture to each."""

from __future__ import annotations

import csv as csv_files
import io
import queue
import statistics
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from mme_client import errors
from mme_client.cli import calling, exits, reasons
from mme_client.cli.calling import STDIN, SomeFailed
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import ms, say
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mme_client.cli.terminal import Terminal
    from mme_client.portal import Portal
    from mme_client.records import Invocation

MOST_VERSIONS = 6
#: Calls at a time: a portal has few places for calls, and others call, too.
AT_ONCE = 4
#: ``--truth folder``: the right label is the name of the folder that a picture lies in.
FOLDER = "folder"
#: A spreadsheet takes a cell that begins with one of these for a formula (OWASP: CSV Injection);
#: those of the portal's own tables (core/spreadsheet.py).
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_COLUMNS = (
    "picture", "version", "label", "probability", "latency_ms", "cold", "error", "call", "answered"
)  # fmt: skip
_OF_TRUTH = ("right_label", "right")


@dataclass(frozen=True)
class Line:
    """What came of one picture and one version.

    ``version`` is as it was named. ``document``: what is printed with ``--json``. ``right``:
    whether the first label is ``right_label``; None: not known.
    """

    picture: str
    version: str
    document: dict[str, Any]
    answer: Invocation | None = None
    failed: exits.Exit | None = None
    sentences: tuple[str, ...] = ()
    right_label: str = ""

    @property
    def label(self) -> str:
        """The first label; empty: there is none."""
        found = self.answer.predictions if self.answer is not None else []
        return found[0].label.strip() if found else ""

    @property
    def right(self) -> bool | None:
        """Whether it is the right one."""
        if self.answer is None or not self.right_label:
            return None
        return self.label == self.right_label

    def cells(self, *, truth: bool) -> list[Any]:
        """The line of a CSV file."""
        one = self.answer
        probability = one.predictions[0].probability if one and one.predictions else None
        found: list[Any] = [self.picture, self.version, self.label, probability]
        if one is None:
            found += [None, None, " ".join(self.sentences), None, None]
        else:
            found += [one.latency_ms, one.cold, one.error, one.id, f"{one.model}:{one.number}"]
        return [*found, self.right_label, self.right] if truth else found


@dataclass
class _Tally:
    """What is told of a version at the end."""

    right: int = 0
    known: int = 0
    latencies: list[float] = field(default_factory=list)

    def add(self, line: Line) -> None:
        if line.answer is not None and line.answer.latency_ms is not None:
            self.latencies.append(line.answer.latency_ms)
        if line.right is not None:
            self.known += 1
            self.right += line.right

    @property
    def p50(self) -> str:
        return ms(statistics.median(self.latencies)) if self.latencies else "–"


class Truth:
    """The right labels: of a CSV file, by folder, or of none."""

    def __init__(self, source: str) -> None:
        self.known = bool(source)
        self._by_folder = source == FOLDER
        self._labels = _labels(Path(source)) if source and not self._by_folder else {}

    def of(self, picture: str) -> str:
        """The right label of a picture; empty: not known.

        In a file it has its path, the end of it, or its name alone.
        """
        path = PurePath(picture)
        if self._by_folder:
            return path.parent.name.strip()
        ends = ("/".join(path.parts[first:]) for first in range(len(path.parts)))
        return next((self._labels[one] for one in (picture, *ends) if one in self._labels), "")


def of_command_line(
    endpoint: str,
    model: str,
    pictures: list[str],
    *,
    models: str,
    csv: bool,
    truth: str,
    target: bool,
    variant: str,
    top: int | None,
    raw: calling.RawOptions,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """What the words of the command line mean: with ``models`` all after the endpoint are pictures.

    Raises WrongUse, and what invoke() and calling.invoke() raise.
    """
    if models:
        pictures = [one for one in (model, *pictures) if one]
    elif not model:
        raise WrongUse(_("MODEL is missing, or --models. See: mme invoke --help"))
    if not pictures:
        raise WrongUse(_("PICTURE is missing. See: mme invoke --help"))
    if not (models or csv or truth):
        calling.invoke(
            endpoint, model, pictures, target=target, variant=variant, top=top or 5, raw=raw,
            json=json, quiet=quiet, timeout=timeout,
        )  # fmt: skip
        return
    if raw.wanted or target:
        said = _("--raw and --target do not go with --models, --csv or --truth.")
        raise WrongUse(said)
    invoke(
        endpoint, versions_of(models or model), pictures, truth=truth, top=top or 1, csv=csv,
        variant=variant, json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


def versions_of(models: str) -> list[str]:
    """The versions and aliases that ``--models`` names. Raises WrongUse."""
    found = [one.strip() for one in models.split(",") if one.strip()]
    if not found:
        raise WrongUse(_("Name versions with --models, as digits:1,digits:2."))
    if len(found) > MOST_VERSIONS:
        raise WrongUse(_("--models takes at most {most} versions.").format(most=MOST_VERSIONS))
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise WrongUse(_("Named twice: {names}").format(names=", ".join(twice)))
    return found


def invoke(
    endpoint: str,
    versions: Sequence[str],
    pictures: Sequence[str],
    *,
    truth: str,
    top: int,
    csv: bool,
    variant: str = "",
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Call each version with each picture: the versions at a time, the pictures in their order.

    A line is printed as soon as its answer is there; with ``csv`` and ``json`` the lines of a
    picture are in the order of the versions. Raises SomeFailed.
    """
    if csv and json:
        raise WrongUse(_("Give one of --csv and --json."))
    if list(pictures).count(STDIN) > 1:
        raise WrongUse(_("Standard input can be one picture."))
    right = Truth(truth)
    failed: exits.Exit | None = None
    tallies = {version: _Tally() for version in versions}
    same = compared = wrong_calls = 0
    said = _("A call that has begun goes on in the portal; its answer is on the page Calls.")
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        calls = _Calls(portal, endpoint, versions, right, variant)
        if csv:
            head = [*_COLUMNS, *_OF_TRUTH] if right.known else list(_COLUMNS)
            terminal.line(csv_line(head))
        with terminal.goes_on(said):
            for picture in pictures:
                lines = []
                for line in calls.lines(picture, as_they_come=not (csv or json)):
                    lines.append(line)
                    tallies[line.version].add(line)
                    failed = failed or line.failed
                    _print(terminal, line, csv=csv, truth=right.known, top=top)
                wrong_calls += sum(1 for line in lines if line.answer is None)
                labels = {line.label for line in lines}
                if all(line.answer is not None for line in lines):
                    compared += 1
                    same += len(labels) == 1
        _tell(terminal, tallies, truth=right.known)
        if len(versions) > 1 and compared:
            terminal.note(_("The same label: {same} of {all}").format(same=same, all=compared))
        if wrong_calls:
            every = len(versions) * len(pictures)
            text = _("Failed: {failed} of {all}")
            terminal.note(text.format(failed=wrong_calls, all=every))
    if failed is not None:
        raise SomeFailed(failed)


class _Calls:
    """The calls of one command."""

    def __init__(
        self, portal: Portal, endpoint: str, versions: Sequence[str], truth: Truth, variant: str
    ) -> None:
        self._portal = portal
        self._endpoint = endpoint
        self._versions = versions
        self._truth = truth
        self._variant = variant
        self._answered: set[str] = set()

    def lines(self, picture: str, *, as_they_come: bool) -> Iterator[Line]:
        """What came of a picture. Raises what ends the whole command.

        That a version is not there ends it, too, where it was never there: all its other lines
        would say the same.
        """
        try:
            data = sys.stdin.buffer.read() if picture == STDIN else Path(picture).read_bytes()
        except OSError as error:
            for version in self._versions:
                yield self._unread(picture, version, reasons.of_file(error))
            return
        name = "" if picture == STDIN else Path(picture).name
        tasks = [self._task(version, data, name) for version in self._versions]
        found = _together(tasks)
        for at, came in found if as_they_come else sorted(found, key=lambda one: one[0]):
            yield self._line(picture, self._versions[at], came)

    def _task(self, version: str, data: bytes, name: str) -> Callable[[], Invocation]:
        return lambda: self._portal.invoke(
            self._endpoint, version, data, name=name, variant=self._variant
        )

    def _line(self, picture: str, version: str, came: Invocation | BaseException) -> Line:
        if isinstance(came, errors.ProblemError):
            missing = isinstance(came, errors.NotFound) and version not in self._answered
            if missing or isinstance(came, errors.NotAllowed):
                raise came
            return Line(
                picture,
                version,
                self._document(picture, version, came.document),
                failed=exits.of_error(came),
                sentences=tuple(came.sentences()),
                right_label=self._truth.of(picture),
            )
        if isinstance(came, BaseException):
            raise came
        self._answered.add(version)
        label = self._truth.of(picture)
        line = Line(picture, version, {}, came, right_label=label)
        line.document.update(self._document(picture, version, came.document, right=line.right))
        return line

    def _unread(self, picture: str, version: str, said: str) -> Line:
        document = self._document(picture, version, {"error": said, "error_code": "unread-file"})
        return Line(
            picture, version, document, failed=exits.Exit.FAILED, sentences=(said,),
            right_label=self._truth.of(picture),
        )  # fmt: skip

    def _document(
        self, picture: str, version: str, document: dict[str, Any], right: bool | None = None
    ) -> dict[str, Any]:
        """The API's own document, which does not say which file of two folders it was."""
        found = {**document, "file": picture, "asked": version}
        if self._truth.known:
            found |= {"right_label": self._truth.of(picture), "right": right}
        return found


def _together(
    tasks: Sequence[Callable[[], Invocation]],
) -> Iterator[tuple[int, Invocation | BaseException]]:
    """The results with their places, as they come; at most AT_ONCE run at a time.

    The threads are daemons, so that Ctrl-C does not wait for a model that loads for minutes.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Invocation | BaseException]] = queue.SimpleQueue()
    for at in range(len(tasks)):
        todo.put(at)

    def work() -> None:
        while True:
            try:
                at = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((at, tasks[at]()))
            except BaseException as error:  # it is raised where the results are read
                done.put((at, error))

    for _number in range(min(AT_ONCE, len(tasks))):
        threading.Thread(target=work, daemon=True).start()
    for _number in range(len(tasks)):
        yield done.get()


def _labels(path: Path) -> dict[str, str]:
    """The right labels of a CSV file by name. Raises WrongUse."""
    found: dict[str, str] = {}
    at = (0, 1)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise WrongUse(_("{file} is no text in UTF-8.").format(file=path)) from None
    except OSError as error:
        said = _("{file}: {why} --truth takes a CSV file, or the word folder.")
        raise WrongUse(said.format(file=path, why=reasons.of_file(error))) from None
    for number, row in enumerate(_rows(path, text), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        head = [cell.lower() for cell in cells]
        if number == 1 and "name" in head and "label" in head:
            at = (head.index("name"), head.index("label"))
            continue
        if len(cells) <= max(at) or not cells[at[0]] or not cells[at[1]]:
            said = _("{file}, line {line}: a line has a name and a label.")
            raise WrongUse(said.format(file=path, line=number))
        name, label = cells[at[0]], cells[at[1]]
        if found.setdefault(name, label) != label:
            said = _("{file}: {name} has two labels.")
            raise WrongUse(said.format(file=path, name=name))
    return found


def _rows(path: Path, text: str) -> Iterator[list[str]]:
    """The lines of a CSV file. Raises WrongUse, as for a quote that nothing closes."""
    reader = csv_files.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from reader
    except csv_files.Error as error:
        said = _("{file}, line {line}: this is no CSV: {why}.")
        raise WrongUse(said.format(file=path, line=reader.line_num, why=error)) from None


def _print(terminal: Terminal, line: Line, *, csv: bool, truth: bool, top: int) -> None:
    said = " ".join(line.sentences)
    if csv:
        terminal.line(csv_line(line.cells(truth=truth)))
    elif terminal.json:
        terminal.document_line(line.document)
    elif line.answer is not None and terminal.quiet:
        terminal.line("\t".join((line.picture, line.version, line.label)))
    elif line.answer is not None:
        _show(terminal, line, line.answer, top)
    if line.answer is None:
        say(f"{line.picture}, {line.version}: {said}")


def _show(terminal: Terminal, line: Line, answer: Invocation, top: int) -> None:
    name = f"{answer.model}:{answer.number}"
    mark = {True: _("right"), False: _("wrong"), None: ""}[line.right]
    best = answer.predictions[0] if answer.predictions else None
    parts = [
        _("standard input") if line.picture == STDIN else line.picture,
        name if line.version == name else f"{line.version} ({name})",
        line.label,
        f"{best.probability:.2%}" if best else "",
        ms(answer.latency_ms),
        {True: _("cold start"), False: _("warm"), None: ""}[answer.cold],
        mark,
    ]
    terminal.line("  ".join(filter(None, parts)))
    for one in answer.predictions[1:top]:
        terminal.line(f"  {one.probability:7.2%}  {one.label}")


def _tell(terminal: Terminal, tallies: dict[str, _Tally], *, truth: bool) -> None:
    for version, tally in tallies.items():
        if truth and tally.known:
            text = _("{name}: {right} of {all} right ({share}), p50 {p50}")
            share = f"{tally.right / tally.known:.1%}"
            said = text.format(
                name=version, right=tally.right, all=tally.known, share=share, p50=tally.p50
            )
        elif truth:
            said = _("{name}: no right label is known, p50 {p50}")
            said = said.format(name=version, p50=tally.p50)
        else:
            said = _("{name}: p50 {p50}").format(name=version, p50=tally.p50)
        terminal.note(said)


def csv_line(cells: Sequence[Any]) -> str:
    made = io.StringIO()
    csv_files.writer(made, lineterminator="").writerow([_cell(one) for one in cells])
    return made.getvalue()


def _cell(value: Any) -> str:
    """A value as a text; with an apostrophe before it where it would be taken for a formula.

    A number is none, a negative one neither.
    """
    if isinstance(value, int | float):
        return str(value)
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_BEGINS) else text
