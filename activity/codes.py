"""The codes of events, and the sentence of each, in English.

An event is stored as a code and its parameters, and is rendered as a sentence when it is shown.
Each app registers its codes when Django starts (``AppConfig.ready``). The sentences are marked with
``gettext_noop``, so that translators find them.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from core.sentences import PLACE, Sentence, shown
from core.storable import storable

#: What a parameter is given as. A sentence is stored as its code, and read in any language.
Scalar = str | int | float | bool | Sentence | None

MAX_LENGTH = 300  # characters of one parameter, where its app allows no more
# For sentences of AWS and of the validation: the end of one says which permission, or what to do.
LONG = 2000

_templates: dict[str, str] = {}
_max_lengths: dict[str, int] = {}


def register(templates: Mapping[str, str], *, max_length: int = MAX_LENGTH) -> None:
    """Make codes known: ``{"user.made": "Made the user %(name)s."}``.

    ``max_length``: characters of one parameter of these. A code that has another template already
    is a ValueError.
    """
    for code, template in templates.items():
        _max_lengths[code] = max_length
        if _templates.setdefault(code, template) != template:
            raise ValueError(f"The event code {code!r} is registered twice.")


def validated(code: str, parameters: Mapping[str, Scalar]) -> dict[str, Any]:
    """The parameters as they are stored: only those of the code, scalars, long texts truncated.

    Raises ValueError for an unknown code or other names than its template has, TypeError for
    anything but a text, a number, a truth value, a sentence or None.
    """
    if code not in _templates:
        raise ValueError(f"The event code {code!r} is not registered.")
    wanted = set(PLACE.findall(_templates[code]))
    if set(parameters) != wanted:
        raise ValueError(f"The event {code!r} takes {sorted(wanted)}, not {sorted(parameters)}.")
    return {name: _scalar(code, name, value) for name, value in parameters.items()}


def _scalar(code: str, name: str, value: Scalar) -> Any:
    if isinstance(value, Sentence):
        return value.as_json()
    if isinstance(value, str):
        clean = storable(value)
        longest = _max_lengths[code]
        return clean if len(clean) <= longest else clean[: longest - 1] + "…"
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(f"The parameter {name!r} of the event {code!r} is no scalar: {type(value)}.")


def render(code: str, stored: Mapping[str, Any]) -> str:
    """The sentence of an event, in the reader's language and time zone.

    The event of a code that is no longer registered is shown as it is stored.
    """
    template = _templates.get(code)
    parameters = {name: _shown(value) for name, value in stored.items()}
    if template is None or not set(PLACE.findall(template)) <= set(parameters):
        values = ", ".join(f"{name}: {value}" for name, value in parameters.items())
        return f"{code} ({values})" if values else code
    return PLACE.sub(lambda match: parameters[match[1]], gettext(template))


def readable(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored parameters with each sentence among them in the reader's language."""
    return {
        name: _shown(value) if isinstance(value, dict) else value for name, value in stored.items()
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return str(Sentence.from_json(value, str(value)))
    return shown(value)
