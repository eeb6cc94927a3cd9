"""What pydantic does not take of a value, in sentences that have a translation."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from django.utils import translation
from pydantic import Field, TypeAdapter, ValidationError

from core.api.sentences import of_input_error

_Money = Annotated[Decimal, Field(max_digits=6, decimal_places=2)]


@pytest.mark.parametrize(
    ("kind", "value", "said", "korean"),
    [
        (_Money, "abc", "It must be a number.", "숫자여야 합니다."),
        (_Money, [], "It must be a number.", "숫자여야 합니다."),
        (_Money, "1.005", "It may have at most 2 digits behind the point.", "자릿수: 2"),
        (_Money, "12345", "The number is too large.", "숫자가 너무 큽니다."),
        (date, [], "It must be a day as in 2026-01-31.", "2026-01-31"),
        (date, "2026-01-31T10:00:00", "It must be a day as in 2026-01-31.", "2026-01-31"),
    ],
)
def test_a_value_is_refused_in_both_languages(
    kind: Any, value: object, said: str, korean: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(value)
    (error,) = refused.value.errors()
    assert of_input_error(error) == said
    with translation.override("ko"):
        assert korean in of_input_error(error)
        assert of_input_error(error) != said
