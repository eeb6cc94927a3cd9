"""Which calls somebody asks for: the filters that the page of calls and the API share."""

from typing import Any

from django.db import connection
from django.db.models import Q

from core.remembered import Remembered
from models_catalog.models import RegisteredModel, Version

#: Of the page: calls that took at least so long, in ms.
SLOW_MS = (100, 1_000, 5_000, 30_000)


def of_model(calls: Any, text: str) -> Any:
    """The calls of ``digits:2``, of ``digits@live``, or of models with this text in their name.

    An alias finds the calls for which it was named, whatever it means now. A number is also the id
    of a model, as links of an earlier release said.
    """
    if "@" in text:
        return calls.filter(asked__iexact=text)
    name, colon, number = text.rpartition(":")
    if colon and number.isascii() and number.isdigit() and len(number) < 10:
        versions = Version.objects.filter(model__name__iexact=name, number=int(number))
        return calls.filter(version__in=versions)
    models = RegisteredModel.objects.filter(name__icontains=text)
    if text.isascii() and text.isdigit() and len(text) < 18:
        models |= RegisteredModel.objects.filter(pk=int(text))
    return calls.filter(version__in=Version.objects.filter(model__in=models))


# Each answer by one step in the index: a million calls have some thousand answers.
# untranslated: a query
_ANSWERS = """
    WITH RECURSIVE answers(answer) AS (
        SELECT MIN(answer) FROM endpoints_invocation
        UNION ALL
        SELECT (
            SELECT MIN(call.answer) FROM endpoints_invocation AS call
            WHERE call.answer > answers.answer
        ) FROM answers WHERE answers.answer IS NOT NULL
    ) SELECT answer FROM answers WHERE answer IS NOT NULL
"""
_answers: Remembered[str, list[str]] = Remembered(keep_s=5)


def _all_answers() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS)
        return [answer for (answer,) in cursor.fetchall()]


def of_label(calls: Any, text: str) -> Any:
    """The calls whose first label has this text in it, whatever the case."""
    known = _answers.get("", _all_answers) or []
    wanted = [answer for answer in known if text.casefold() in answer.casefold()]
    # The others are those of the last minute.
    others = Q(counted=False, predictions__0__label__icontains=text)
    return calls.filter(Q(answer__in=wanted) | others)


def slower_than(calls: Any, ms: float) -> Any:
    """The calls that took at least so long, also those that failed after it."""
    return calls.filter(Q(latency_ms__gte=ms))
