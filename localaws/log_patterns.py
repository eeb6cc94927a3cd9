"""Filter patterns of CloudWatch Logs: terms and JSON expressions.

The rules are those of the Logs user guide, "Filter pattern syntax": terms (``a b``: both; ``?a
?b``: one of them; ``-a``: without; ``"a b"``: that phrase; case counts) and JSON
(``{ $.event = "model_loaded" && ($.ms > 5 || $.error IS NULL) }``). Patterns with regular
expressions and for fields between spaces are not offered. moto itself ignores patterns that it does
not support.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Test = Callable[[Any], bool]
Matches = Callable[[str], bool]

MAX_CHARACTERS = 1024
"""BC, FilterPattern: its greatest length."""
_MAX_PARENTHESES = 50

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)', re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<selector>\$(?:\.(?:[\w@-]+|\*)|\[(?:\d{1,9}|\*|'[^']*'|"[^"]*")\])+)
    | (?P<operator>&&|\|\||!=|<=|>=|=|<|>|\(|\))
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | (?P<regex>%[^%]*%)
    | (?P<word>[^\s"%()&|=!<>{}]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_STEP = re.compile(r"""\.([\w@-]+|\*)|\[(?:(\d+|\*)|'([^']*)'|"([^"]*)")\]""")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)


class InvalidPattern(ValueError):
    """A pattern that Logs would refuse, or that is not offered here; the message says which."""


@functools.lru_cache(maxsize=256)
def parse(pattern: str) -> Matches:
    """A function that tells whether a pattern matches a message; raises InvalidPattern."""
    text = pattern.strip()
    if len(pattern) > MAX_CHARACTERS:
        raise InvalidPattern(
            f"Invalid filter pattern: it has more than {MAX_CHARACTERS} characters."
        )
    if text.startswith("["):
        raise InvalidPattern("localaws does not offer filter patterns for fields between spaces.")
    if text.startswith("%"):
        raise InvalidPattern("localaws does not offer filter patterns with regular expressions.")
    if text.startswith("{"):
        if not text.endswith("}"):
            raise InvalidPattern("Invalid filter pattern: it has no closing brace.")
        return _json(_Expression(text[1:-1]).parse())
    return _terms(text)


def _terms(text: str) -> Matches:
    found: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidPattern(f"Invalid filter pattern: {text[at : at + 40]!r} cannot be read.")
        term = match[3] if match[2] is None else _unquoted(match[2])
        found[match[1]].append(term)
        at = match.end()
    wanted, optional, excluded = found[""], found["?"], found["-"]
    if wanted or excluded:  # the guide: with other terms, those with a question mark do not count
        optional = []

    def matches(message: str) -> bool:
        return (
            all(term in message for term in wanted)
            and not any(term in message for term in excluded)
            and (not optional or any(term in message for term in optional))
        )

    return matches


def _json(test: Test) -> Matches:
    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            return False
        return test(event)

    return matches


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


class _Expression:
    """A parser, by recursive descent: ``||`` of ``&&`` of comparisons and parentheses."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def parse(self) -> Test:
        test = self._any()
        if self._at < len(self._tokens):
            raise self._unexpected()
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._takes("||"):
            tests.append(self._all())
        return lambda event: any(test(event) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._takes("&&"):
            tests.append(self._one())
        return lambda event: all(test(event) for test in tests)

    def _one(self) -> Test:
        if self._takes("("):
            self._depth += 1
            if self._depth > _MAX_PARENTHESES:
                raise InvalidPattern("Invalid filter pattern: too many parentheses.")
            test = self._any()
            if not self._takes(")"):
                raise self._unexpected()
            self._depth -= 1
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        selector = self._next("selector")
        steps = list(_steps(selector.text))
        if self._takes_word("NOT"):
            if not self._takes_word("EXISTS"):
                raise self._unexpected()
            return lambda event: not any(True for _ in _select(event, steps))
        if self._takes_word("EXISTS"):
            return lambda event: any(True for _ in _select(event, steps))
        if self._takes_word("IS"):
            for word, value in (("NULL", None), ("TRUE", True), ("FALSE", False)):
                if self._takes_word(word):
                    return functools.partial(_is, steps=steps, value=value)
            raise self._unexpected()
        operator = self._next("operator").text
        test = self._value(operator)
        return lambda event: any(test(value) for value in _select(event, steps))

    def _value(self, operator: str) -> Test:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token is None or token.kind not in ("quoted", "word", "regex"):
            raise self._unexpected()
        self._at += 1
        if token.kind == "regex":
            raise InvalidPattern(
                "localaws does not offer filter patterns with regular expressions."
            )
        if token.kind == "word" and _NUMBER.fullmatch(token.text):
            number = float(token.text)
            compare = _COMPARISONS.get(operator)
            if compare is None:
                raise self._unexpected()
            return lambda value: _is_number(value) and compare(float(value), number)
        parts = (_unquoted(token.text) if token.kind == "quoted" else token.text).split("*")
        if operator == "=":
            return lambda value: isinstance(value, str) and _is_like(value, parts)
        if operator == "!=":
            return lambda value: not (isinstance(value, str) and _is_like(value, parts))
        raise InvalidPattern(
            f"Invalid filter pattern: {operator} compares numbers, not {token.text!r}."
        )

    def _takes(self, operator: str) -> bool:
        return self._takes_token(_Token("operator", operator))

    def _takes_word(self, word: str) -> bool:
        return self._takes_token(_Token("word", word))

    def _takes_token(self, token: _Token) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False

    def _next(self, kind: str) -> _Token:
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != kind:
            raise self._unexpected()
        self._at += 1
        return self._tokens[self._at - 1]

    def _unexpected(self) -> InvalidPattern:
        here = repr(self._tokens[self._at].text) if self._at < len(self._tokens) else "its end"
        return InvalidPattern(f"Invalid filter pattern: {here} is not expected there.")


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, number: value == number,
    "!=": lambda value, number: value != number,
    "<": lambda value, number: value < number,
    ">": lambda value, number: value > number,
    "<=": lambda value, number: value <= number,
    ">=": lambda value, number: value >= number,
}


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise InvalidPattern(f"Invalid filter pattern: {text[at : at + 40]!r} cannot be read.")
        yield _Token(match.lastgroup, match[match.lastgroup])
        at = match.end()


def _steps(selector: str) -> Iterator[str | int | None]:
    """The steps of a selector: names, array indexes, None for ``*``."""
    for match in _STEP.finditer(selector):
        name, place, single, double = match.groups()
        if name == "*" or place == "*":
            yield None
        elif place is not None:
            yield int(place)
        else:
            yield next(one for one in (name, single, double) if one is not None)


def _select(value: Any, steps: list[str | int | None]) -> Iterator[Any]:
    """The values of an event at ``steps``: none, one, or with ``*`` several."""
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step is None:
        inside = value.values() if isinstance(value, dict) else value
        for one in inside if isinstance(value, dict | list) else ():
            yield from _select(one, rest)
    elif isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from _select(value[step], rest)
    elif isinstance(value, list) and step < len(value):
        yield from _select(value[step], rest)


def _is(event: Any, steps: list[str | int | None], value: bool | None) -> bool:
    return any(one is value for one in _select(event, steps))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_like(text: str, parts: list[str]) -> bool:
    """Whether ``text`` is ``parts`` with anything between them."""
    first, *between = parts
    if not between:
        return text == first
    last = between.pop()
    if not text.startswith(first) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end and text.endswith(last)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
