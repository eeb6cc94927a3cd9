"""Finds what a page may show and nobody marked for translation: in templates, Python and scripts.

Each function gives what it found as ``line: text``. None knows the pages: what is added is found.
"""

import ast
import re
from collections.abc import Iterator, Set
from html.parser import HTMLParser

from django.template.base import Lexer, Token, TokenType

#: Names, units and formats that are the same in every language.
NAMES = frozenset(
    """
    AWS API ARN ARNs CLI CPU CSV Ctrl GB GPU GiB HTTP HTTPS ID IAM JSON KB KiB KMS MB MME MXNet MiB
    NTP Portal Python README Redis SageMaker SHA SQL STS TSV UTC URI URL boto3 bytes curl gz ms tar
    Amazon CloudWatch Celery Docker ECR English PostgreSQL SQLite WSL Linux ONNX PNG JPEG
    """.split()  # noqa: SIM905 - a hundred quotes are not easier to read
)
_WORD = re.compile(r"[A-Za-z][A-Za-z']+")
_SHOWN_ATTRIBUTES = {"title", "aria-label", "placeholder", "alt", "aria-description", "hx-confirm"}
# What stands in these is code, or data.
_CODE = {"code", "pre", "script", "style", "kbd", "samp", "svg", "template"}
_HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"  # where a template puts something in


_EXEMPT_FILE = re.compile(r"(?m)^(# |\{#|\{% comment %\}).*untranslated file: \w")


def words(text: str) -> list[str]:
    """The words of a text that somebody would have to translate."""
    return [word for word in _WORD.findall(text) if word not in NAMES]


# --- templates -----------------------------------------------------------------------------------

_LITERAL = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_GIVEN = re.compile(r"\b\w+=(?:\"([^\"]*)\"|'([^']*)')")
_FILTER = re.compile(r"\|(default|default_if_none|yesno|add|join):(?:\"([^\"]*)\"|'([^']*)')")
_DATE = re.compile(r"\|(?:date|time):(?:\"([^\"]*)\"|'([^']*)')")
#: Formats that are not for people, or that each language has its own of.
_FORMATS = re.compile(r"c|U|(SHORT_)?(DATE|TIME|DATETIME|MONTH_DAY|YEAR_MONTH)_FORMAT")
# What stands between these tags is code.
_CODE_TAGS = {"code": "<pre>", "endcode": "</pre>"}
# Tags whose arguments name things of the program.
_TECHNICAL = {"block", "endblock", "extends", "load", "url", "static", "if", "elif", "icon", "for"}


def in_template(text: str) -> list[str]:
    """What a template shows that is not marked for translation.

    A template with a comment ``untranslated file: REASON`` is exempt.
    """
    if _EXEMPT_FILE.search(text):
        return []
    found: list[tuple[int, str]] = []
    html: list[str] = []
    inside = ""  # of which block: its text is a comment, or marked
    for token in Lexer(text).tokenize():
        tag = token.contents.split(" ", 1)[0] if token.token_type == TokenType.BLOCK else ""
        lines = "\n" * token.contents.count("\n")
        if inside:
            if tag in {f"end{inside}", "endblocktrans"}:
                inside = ""
            html.append(lines)
        elif tag in {"comment", "blocktranslate", "blocktrans", "verbatim"}:
            inside = tag
            html.append(_HOLE if tag.startswith("blocktrans") else "")
        elif token.token_type == TokenType.TEXT:
            html.append(token.contents)
        elif token.token_type != TokenType.COMMENT:
            found += [(token.lineno or 0, one) for one in _of_tag(token, tag)]
            shows = token.token_type == TokenType.VAR or tag in {"translate", "trans"}
            html.append((_HOLE if shows else _CODE_TAGS.get(tag, "")) + lines)
    reader = _Reader()
    reader.feed("".join(html))
    reader.close()
    return [f"{line}: {shown}" for line, shown in sorted([*found, *reader.found])]


def _of_tag(token: Token, tag: str) -> Iterator[str]:
    """Texts in the arguments and filters of a tag or a variable."""
    contents = token.contents
    if "|pluralize" in contents:
        yield f"{contents} (count with blocktranslate)"
    for match in _DATE.finditer(contents):
        if not _FORMATS.fullmatch(match[1] or match[2] or ""):
            yield f"{contents} (name a format: DATETIME_FORMAT)"
    for match in _FILTER.finditer(contents):
        if words(match[2] or match[3] or ""):
            yield match[0]
    if tag and tag not in _TECHNICAL | {"translate", "trans"}:
        for match in _GIVEN.finditer(contents):
            given = match[1] or match[2] or ""
            if words(given) and (" " in given or given[0].isupper()):
                yield match[0]


class _Reader(HTMLParser):
    """The texts and attributes that people read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._code: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            sentence = name.startswith("data-") and _is_sentence(value or "")
            if (name in _SHOWN_ATTRIBUTES or sentence) and words(value or ""):
                self._add(f'{name}="{value}"')
        if tag in _CODE:
            self._code.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._code and self._code[-1] == tag:
            self._code.pop()

    def handle_data(self, data: str) -> None:
        if not self._code and words(data):
            self._add(" ".join(data.split()))

    def _add(self, text: str) -> None:
        self.found.append((self.getpos()[0], text))


# --- Python --------------------------------------------------------------------------------------

MARKS = {
    *("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext"),
    *("pgettext_lazy", "npgettext", "npgettext_lazy", "phrase", "plural", "noop"),
}
# Errors that only developers and operators see, in a log or a terminal.
_FOR_DEVELOPERS = {
    *("ValueError", "TypeError", "KeyError", "RuntimeError", "AssertionError", "LookupError"),
    *("NotImplementedError", "ImproperlyConfigured", "CommandError", "SystemExit"),
    "TemplateSyntaxError",
    *("BadRequest", "ParsingError"),  # of waitress: a client that speaks no HTTP
}
_LOGS = {"log", "logger", "logging", "warnings", "sys"}  # sys.exit("…")
# Arguments that are shown, also where they are one word: by name, or by function and place.
_SHOWN_ARGUMENTS = {"label", "empty_label", "doing"}
_LEVELS = {"success", "info", "warning", "error"}  # django.contrib.messages
_SHOWN_PLACES = {
    "Badge": 1,
    "register_link": 0,
    "ValidationError": 0,
    "NotPermitted": 0,
    "PermissionDenied": 0,
    "translated": 0,
    "_translated": 0,
    **dict.fromkeys(("Column", "Choice", "Day", "Search"), 1),  # core/tables.py
    **dict.fromkeys(("Tab", "Hit"), 0),  # core/ui.py, core/palette.py
    "undo": 1,
    **dict.fromkeys(_LEVELS, 1),
}
_SQL = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|PRAGMA|WITH|SET) ")


def _is_sentence(text: str) -> bool:
    """Whether a text is prose: some words, with a capital or a full stop."""
    plain = text.strip()
    found = re.findall(rf"(?<![\w{_HOLE}/.-])[A-Za-z][a-z']+(?=[ ,.;:!?)]|$)", plain)
    if len(found) < 2 or " " not in plain or not words(plain):
        return False
    return len(found) >= 3 and (plain[0].isupper() or plain[0] == _HOLE or plain[-1] in ".!?")


def in_python(text: str) -> list[str]:
    """Sentences and labels of a module that a page may show, and that are not marked.

    A sentence is found wherever it stands, unless it is a docstring, goes to the log, or is of an
    error for developers. A label is found where something shows it. A statement whose comment says
    ``untranslated: REASON`` is exempt (a terminal reads it, say), and so are the errors of a class
    that has the comment, and a module with ``untranslated file: REASON``.
    """
    if _EXEMPT_FILE.search(text):
        return []
    tree = ast.parse(text)
    found: list[tuple[int, str]] = []
    _look(tree, found, shown=False, untold=_FOR_DEVELOPERS | _exempt_classes(tree, text))
    exempt = _exempt_lines(tree, text)
    return [f"{line}: {one}" for line, one in sorted(set(found)) if line not in exempt]


_EXEMPT = re.compile(r"# untranslated: \w.*")


def _exempt_classes(tree: ast.Module, text: str) -> set[str]:
    lines = text.splitlines()
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name for node in classes if _EXEMPT.search(lines[node.lineno - 1])}


def _exempt_lines(tree: ast.Module, text: str) -> set[int]:
    """The lines of statements that have the comment; not of those with statements inside."""
    lines_of = enumerate(text.splitlines(), 1)
    # A comment on a line of its own is that of the statement below.
    marked = {n + line.strip().startswith("#") for n, line in lines_of if _EXEMPT.search(line)}
    exempt: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            if marked & set(lines):
                exempt |= set(lines)
    return exempt


def _look(node: ast.AST, found: list[tuple[int, str]], *, shown: bool, untold: Set[str]) -> None:
    said = _literal(node)
    if said is not None:
        line = getattr(node, "lineno", 0)
        if (shown and words(said)) or (_is_sentence(said) and not _SQL.match(said)):
            found.append((line, said.replace(_HOLE, "…")))
        return
    if isinstance(node, ast.Expr) and _literal(node.value) is not None:
        return  # a docstring
    if isinstance(node, ast.Assert):
        return
    if isinstance(node, ast.arg):  # its annotation may be a text
        return
    if isinstance(node, ast.Call) and _name(node.func) in untold:
        return
    if isinstance(node, ast.Call):
        _look_at_call(node, found, untold)
        return
    for child in ast.iter_child_nodes(node):
        # Both sides of a condition are shown where it is: `label=one if x else other`.
        inner = shown and isinstance(node, ast.IfExp | ast.BoolOp | ast.BinOp)
        _look(child, found, shown=inner, untold=untold)


def _look_at_call(node: ast.Call, found: list[tuple[int, str]], untold: Set[str]) -> None:
    name = _name(node.func)
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    owner_name = _name(owner) if owner is not None else ""
    if owner_name in _LOGS:
        return
    if name in MARKS:
        for child in (*node.args, *(each.value for each in node.keywords)):
            if isinstance(child, ast.JoinedStr) and child is node.args[0]:
                found.append((child.lineno, f"{name}(f…): a marked text cannot be an f-string"))
            elif _literal(child) is None:
                _look(child, found, shown=False, untold=untold)
        return
    if owner is not None:
        _look(owner, found, shown=False, untold=untold)
    place = _SHOWN_PLACES.get(name, -1)
    if name in _LEVELS and owner_name != "messages":
        place = -1
    for at, child in enumerate(node.args):
        _look(child, found, shown=at == place, untold=untold)
    for keyword in node.keywords:
        if keyword.arg == "help_text" and owner_name == "models":
            continue  # of a database's column: for developers
        if name == "Field" and keyword.arg in {"description", "examples"}:
            continue  # of the OpenAPI document, which is in English
        _look(keyword.value, found, shown=keyword.arg in _SHOWN_ARGUMENTS, untold=untold)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return ""


def _literal(node: ast.AST) -> str | None:
    """The text of a literal, with holes where an f-string has expressions; None for others."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else _HOLE for part in node.values
        )
    return None


# --- scripts -------------------------------------------------------------------------------------

_SCRIPT = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # comments
    r"|(?<=[=(,:;!&|?{}\n])\s*/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/"  # an expression
    r"|\"(?P<double>(?:\\.|[^\"\\\n])*)\"|'(?P<single>(?:\\.|[^'\\\n])*)'"
    r"|`(?P<template>(?:\\.|[^`\\])*)`",
    re.DOTALL,
)
_SHOWS = re.compile(r"(textContent|innerText|title|placeholder|ariaLabel|alert\(|confirm\()\W*$")


def in_script(text: str) -> list[str]:
    """Sentences that a script holds, and words that it shows."""
    found = []
    for match in _SCRIPT.finditer(text):
        said = match["double"] or match["single"] or match["template"]
        if not said:
            continue
        plain = re.sub(r"\$\{[^}]*\}", _HOLE, said)
        shown = _SHOWS.search(text[max(0, match.start() - 40) : match.start()])
        if _is_sentence(plain) or (shown and words(plain)):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{line}: {plain.replace(_HOLE, '…')}")
    return found
