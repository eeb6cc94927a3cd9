"""Sentences that are stored as a code with parameters, and read in the reader's language.

What a job or a request says about a thing is read later, by others, who may read another language:
why a version was rejected, what an endpoint waits for, why a call failed. So a row keeps a code and
parameters, as the events of the activity log do, and the sentence is made when it is shown.

A room registers its codes in ``AppConfig.ready``::

    from django.utils.translation import gettext_noop as _

    sentences.register({"version.too_large": _("The archive has %(size)s; the most is %(most)s.")})

and stores ``Sentence("version.too_large", size="3 GB", most="2 GB").as_json()`` in a JSONField
beside the English text, ``sentence.english()``, for logs, the API and older readers. A page shows
``Sentence.from_json(row.reason_code, row.reason)``: rows from before have no code, and keep their
text. What somebody else said (AWS, a container) is a parameter, and is quoted as it is.

A part of a sentence without a code of its own is a phrase: ``phrase("reading %(uri)s", uri=uri)``.
Its English is what is stored, and is shown where it is not in the catalogs any more. Where programs
are told of it, it has a name: ``phrase("…").named("endpoint.starting")``. Names are stable, English
is not; the API gives them as codes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext

from core.storable import storable

Scalar = str | int | float | bool | None

#: Characters of one parameter that are stored: AWS's own sentences may be long.
MAX_LENGTH = 2000

PLACE = re.compile(r"%\((\w+)\)s")
"""Where a sentence takes a parameter."""
_IN_UTC = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
_VERBATIM = "text"  # the code of what somebody else said, or of a text from before there were codes
_PHRASE = "phrase"  # the code of a phrase


@dataclass(frozen=True)
class Plural:
    """A template with a form for one and a form for many, chosen by the parameter ``count``."""

    one: str
    many: str
    count: str

    def __str__(self) -> str:
        return self.many


def plural(one: str, many: str, count: str) -> Plural:
    """Mark a template that counts: ``plural("%(n)s file.", "%(n)s files.", "n")``."""
    return Plural(one, many, count)


Template = str | Plural
_templates: dict[str, Template] = {_VERBATIM: "%(text)s"}


def register(templates: Mapping[str, Template]) -> None:
    """Make codes known, each with its English sentence, marked with ``gettext_noop`` or `plural`.

    A code that has another sentence already is a ValueError.
    """
    for code, template in templates.items():
        if _templates.setdefault(code, template) != template:
            raise ValueError(f"The code {code!r} has two sentences.")


def registered() -> dict[str, Template]:
    """Every code with its template."""
    return dict(_templates)


def places(template: Template) -> frozenset[str]:
    """The names of the parameters that a template has."""
    return _places(str(template))


@lru_cache(maxsize=4096)
def _places(text: str) -> frozenset[str]:
    return frozenset(PLACE.findall(text))


def shown(value: object) -> str:
    """A parameter as the reader sees it: a time as parameters keep it ("2026-12-24 18:00 UTC") is
    told in the reader's time zone, with the zone's name."""
    text = str(value)
    if not _IN_UTC.fullmatch(text):
        return text
    try:
        moment = timezone.localtime(datetime.strptime(f"{text[:-4]}+0000", "%Y-%m-%d %H:%M%z"))
    except (ValueError, OverflowError):  # a text that only looks like one
        return text
    return f"{moment.date()} {moment:%H:%M %Z}"


def fill(template: Template, parameters: Mapping[str, object]) -> str:
    """The template in the reader's language, with its parameters put in."""
    if isinstance(template, Plural):
        count = parameters[template.count]
        number = count if isinstance(count, int) else 2
        text = ngettext(template.one, template.many, number)
    else:
        text = gettext(template) if template != "%(text)s" else template
    return PLACE.sub(lambda match: shown(parameters[match[1]]), text)


class Sentence:
    """A code with parameters; ``str()`` is the sentence in the reader's language.

    Parameters are texts, numbers, or sentences themselves; lazy texts where it is not stored.
    ``one + another`` are two sentences, one after the other. Raises ValueError
    for an unknown code, or other parameters than it has.
    """

    def __init__(self, code: str, /, **parameters: "Scalar | Sentence | Promise") -> None:
        if code not in _templates:
            raise ValueError(f"The code {code!r} is not registered.")
        self._set(code, _templates[code], parameters)

    def _set(
        self,
        code: str,
        template: Template,
        parameters: "Mapping[str, Scalar | Sentence | Promise]",
        more: "tuple[Sentence, ...]" = (),
        name: str = "",
    ) -> "Sentence":
        wanted = places(template)
        if set(parameters) != wanted:
            raise ValueError(f"{code!r} takes {sorted(wanted)}, not {sorted(parameters)}.")
        self.code = code
        self.template = template
        self.parameters = {
            key: storable(value) if isinstance(value, str) else value
            for key, value in parameters.items()
        }
        self.more = more
        self.name = name
        return self

    @classmethod
    def verbatim(cls, text: str) -> "Sentence":
        """A text as it is, in whatever language: of AWS, of a container, or from before."""
        return cls(_VERBATIM, text=text)

    @classmethod
    def of(cls, said: "Sentence | str") -> "Sentence":
        """The sentence itself, or a text as one."""
        return said if isinstance(said, Sentence) else cls.verbatim(said)

    def __str__(self) -> str:
        first = fill(self.template, self.parameters)
        return " ".join(filter(None, [first, *map(str, self.more)]))

    def __repr__(self) -> str:
        return f"Sentence({self.code!r}, {self.parameters!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sentence) and self.as_json() == other.as_json()

    def __hash__(self) -> int:
        return hash((self.code, tuple(sorted(self.parameters))))

    def __add__(self, other: "Sentence | str") -> "Sentence":
        joined = Sentence.__new__(Sentence)
        more = (*self.more, Sentence.of(other))
        return joined._set(self.code, self.template, self.parameters, more, self.name)

    def named(self, name: str) -> "Sentence":
        """The same sentence with a name, by which programs know it."""
        found = Sentence.__new__(Sentence)
        return found._set(self.code, self.template, self.parameters, self.more, name)

    @property
    def stable_code(self) -> str | None:
        """What programs know it by: its name, or else its code. None: it has neither."""
        return self.name or (None if self.code in (_VERBATIM, _PHRASE) else self.code)

    def english(self) -> str:
        """The sentence in English, for logs and the API; its times are in UTC."""
        with translation.override("en"), timezone.override(UTC):
            return str(self)

    def as_json(self) -> dict[str, Any]:
        """What a JSONField stores; long texts are truncated."""
        stored: dict[str, Any] = {
            "code": self.code,
            "parameters": {name: _stored(value) for name, value in self.parameters.items()},
        }
        if self.code == _PHRASE:
            stored["template"] = str(self.template)
        if self.name:
            stored["name"] = self.name
        if self.more:
            stored["more"] = [each.as_json() for each in self.more]
        return stored

    @classmethod
    def from_json(cls, stored: object, text: str = "") -> "Sentence":
        """What was stored; ``text`` where nothing was, or where its code is not known any more."""
        try:
            return cls._from_json(stored)
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls.verbatim(text)

    @classmethod
    def _from_json(cls, stored: Any) -> "Sentence":
        parameters = {
            name: cls._from_json(value) if isinstance(value, dict) else value
            for name, value in stored["parameters"].items()
        }
        code = str(stored["code"])
        template = str(stored["template"]) if code == _PHRASE else _templates[code]
        more = tuple(cls._from_json(each) for each in stored.get("more", ()))
        name = str(stored.get("name", ""))
        return cls.__new__(cls)._set(code, template, parameters, more, name)


def phrase(template: str, /, **parameters: "Scalar | Sentence | Promise") -> Sentence:
    """A sentence or a part of one, by its English; `make messages` finds it here.

    Raises ValueError for other parameters than it has.
    """
    return Sentence.__new__(Sentence)._set(_PHRASE, template, parameters)


def _stored(value: Scalar | Sentence | Promise) -> Any:
    if isinstance(value, Sentence):
        return value.as_json()
    if isinstance(value, str):
        clean = storable(value)
        return clean if len(clean) <= MAX_LENGTH else clean[: MAX_LENGTH - 1] + "…"
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(f"{type(value)} cannot be a parameter of a sentence.")
