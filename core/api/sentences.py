"""pydantic's errors as sentences of ours, which have a translation."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

# By the type of the error (pydantic's documentation, "Validation errors").
_SENTENCES = {
    "missing": _("It is missing."),
    "extra_forbidden": _("There is no such field."),
    "string_type": _("It must be a text."),
    "nul_character": _("It may hold no NUL character."),
    "string_too_short": _("It needs at least %(min_length)s characters."),
    "string_too_long": _("It may have at most %(max_length)s characters."),
    "string_pattern_mismatch": _("It does not have the form %(pattern)s."),
    "int_type": _("It must be a whole number."),
    "int_parsing": _("It must be a whole number."),
    "int_parsing_size": _("The number is too large."),
    "int_from_float": _("It must be a whole number."),
    "float_type": _("It must be a number."),
    "float_parsing": _("It must be a number."),
    "finite_number": _("It must be a finite number."),
    "decimal_type": _("It must be a number."),
    "decimal_parsing": _("It must be a number."),
    "decimal_max_places": _("It may have at most %(decimal_places)s digits behind the point."),
    "decimal_max_digits": _("It may have at most %(max_digits)s digits."),
    "decimal_whole_digits": _("The number is too large."),
    "bool_type": _("It must be true or false."),
    "bool_parsing": _("It must be true or false."),
    "greater_than": _("It must be more than %(gt)s."),
    "greater_than_equal": _("It must be at least %(ge)s."),
    "less_than": _("It must be less than %(lt)s."),
    "less_than_equal": _("It may be at most %(le)s."),
    "literal_error": _("It must be one of: %(expected)s."),
    "enum": _("It must be one of: %(expected)s."),
    "list_type": _("It must be a list."),
    "dict_type": _("It must be an object."),
    "model_type": _("It must be an object."),
    "model_attributes_type": _("It must be an object."),
    "too_short": _("It needs at least %(min_length)s entries."),
    "too_long": _("It may have at most %(max_length)s entries."),
    "datetime_type": _("It must be a time as in 2026-01-31T09:30:00Z."),
    "datetime_parsing": _("It must be a time as in 2026-01-31T09:30:00Z."),
    "datetime_from_date_parsing": _("It must be a time as in 2026-01-31T09:30:00Z."),
    "date_parsing": _("It must be a day as in 2026-01-31."),
    "date_type": _("It must be a day as in 2026-01-31."),
    "date_from_datetime_inexact": _("It must be a day as in 2026-01-31."),
    "date_from_datetime_parsing": _("It must be a day as in 2026-01-31."),
    "timezone_aware": _("The time needs its zone, as in 2026-01-31T09:30:00Z."),
    "timezone_naive": _("The time needs its zone, as in 2026-01-31T09:30:00Z."),
}


_QUOTED = re.compile(r"'([^']*)'")


def of_input_error(error: Mapping[str, Any]) -> str:
    """The sentence for one of pydantic's errors; pydantic's own words where there is none."""
    sentence = _SENTENCES.get(error["type"])
    if sentence is None:
        return str(error["msg"])
    told = {name: str(value) for name, value in error.get("ctx", {}).items()}
    if "expected" in told:  # 'uploaded' or 'name'
        told["expected"] = ", ".join(filter(None, _QUOTED.findall(told["expected"])))
    return gettext(sentence) % told
