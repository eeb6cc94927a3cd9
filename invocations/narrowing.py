"""Which calls somebody asks for: the filters that the page of calls and the API share."""

from typing import Any

from django.db.models import Q

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


def of_label(calls: Any, text: str) -> Any:
    """The calls whose first label has this text in it."""
    return calls.filter(predictions__0__label__icontains=text)


def slower_than(calls: Any, ms: float) -> Any:
    """The calls that took at least so long, also those that failed after it."""
    return calls.filter(Q(latency_ms__gte=ms))
