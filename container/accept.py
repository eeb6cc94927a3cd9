"""What a caller's ``Accept`` asks for, and which of the offered types it gets.

The rules are those of RFC 9110, sections 12.4.2 (weights) and 12.5.1 (Accept): the most specific
range that matches a type decides its weight, 0 means "not this", and no header means "anything".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_WEIGHT = re.compile(r"[01]?(\.[0-9]*)?")  # RFC 9110 wants a leading digit; Java sends q=.2


@dataclass(frozen=True)
class Match:
    """How well a type matches: of two matches, the greater one is preferred."""

    weight: float
    specificity: int
    """0 for ``*/*``, 1 for ``text/*``, 2 for a type by its name."""
    earliness: int
    """Greater, the earlier its range stands in the header."""

    @property
    def rank(self) -> tuple[float, int, int]:
        return self.weight, self.specificity, self.earliness


@dataclass(frozen=True)
class _Range:
    main: str
    sub: str
    weight: float
    position: int

    def specificity(self, main: str, sub: str) -> int | None:
        """As in :class:`Match`; None where the type is not in this range."""
        if self.main == "*":
            return 0
        if self.main != main:
            return None
        if self.sub == "*":
            return 1
        return 2 if self.sub == sub else None


def choose(header: str, offered: Sequence[str]) -> tuple[str, Match] | None:
    """The offered type that is preferred; None where none is acceptable.

    Among equals the one that is named more closely wins, then the one that the header names
    first, then the one that is ``offered`` first. An empty ``header`` accepts all.
    """
    ranges = _ranges(header) if header.strip() else [_Range("*", "*", 1.0, 0)]
    best: tuple[str, Match] | None = None
    for media_type in offered:
        match = _match(ranges, media_type)
        if match is not None and (best is None or match.rank > best[1].rank):
            best = media_type, match
    return best


def _match(ranges: list[_Range], media_type: str) -> Match | None:
    main, _, sub = media_type.partition("/")
    found: Match | None = None
    for entry in ranges:
        specificity = entry.specificity(main, sub)
        if specificity is None:
            continue
        match = Match(entry.weight, specificity, -entry.position)
        if found is None or (specificity, match.rank) > (found.specificity, found.rank):
            found = match
    return found if found is not None and found.weight > 0 else None


def _ranges(header: str) -> list[_Range]:
    """The header's ranges; malformed ones are ignored.

    Parameters other than ``q`` are ignored: no two of the types on offer differ by them.
    """
    found = []
    for position, element in enumerate(_split(header, ",")):
        media_range, *parameters = (part.strip() for part in _split(element, ";"))
        # Java's HttpURLConnection sends "*" for "*/*".
        main, slash, sub = ("*", "/", "*") if media_range == "*" else media_range.partition("/")
        if not slash or not _TOKEN.fullmatch(main) or not _TOKEN.fullmatch(sub):
            continue
        if main == "*" and sub != "*":
            continue
        weight = _weight(parameters)
        if weight is not None:
            found.append(_Range(main.lower(), sub.lower(), weight, position))
    return found


def _weight(parameters: Sequence[str]) -> float | None:
    """``q``, from 0 to 1; 1 where it is not given, None where it is malformed."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            text = value.strip()
            if text in ("", ".") or not _WEIGHT.fullmatch(text):
                return None
            return float(text) if float(text) <= 1 else None
    return 1.0


def _split(text: str, separator: str) -> list[str]:
    """Split at the separator, outside of quoted strings (RFC 9110, section 5.6.4)."""
    parts, begin, quoted, escaped = [], 0, False, False
    for index, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and sign == "\\":
            escaped = True
        elif sign == '"':
            quoted = not quoted
        elif sign == separator and not quoted:
            parts.append(text[begin:index])
            begin = index + 1
    return [*parts, text[begin:]]
