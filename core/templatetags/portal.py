"""Template tags and filters of all apps, loaded everywhere as builtins."""

import json
import re
import shlex
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import avoid_wrapping, escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import TIME_STRINGS, timeuntil
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from core import icons, links
from core import panels as registry

register = template.Library()


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """An inline SVG icon, hidden from screen readers; see core/icons.py for the names."""
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>',
        mark_safe(icons.drawing(name)),  # noqa: S308  (of a package, not of a user)
    )


@register.simple_tag
def link(view: str, *parts: int | str) -> str:
    """As ``url``, in the lines of a list: its address is made in a fraction of the time."""
    return links.link(view, *parts)


# What panels get of the page.
_KNOWN = ("request", "user", "perms", "csrf_token", "part_path")


@register.simple_tag(takes_context=True)
def panels(context: template.Context, slot: str, *subject: Any, **more: Any) -> SafeString:
    """What other apps registered for a slot of this page (core/panels.py).

    ``subject`` and ``more`` are handed to each panel's function.
    """
    request, engine = context["request"], context.template.engine  # type: ignore[union-attr]
    known = {name: context.get(name) for name in _KNOWN}
    rendered = []
    for panel in registry.visible(slot, request.user):
        given = panel.context(request, *subject, **more)
        if given is not None:
            inside = context.new({**known, **given})
            rendered.append(engine.get_template(panel.template).render(inside))
    return mark_safe("".join(rendered))  # noqa: S308  (rendered by templates, which escape)


@register.filter
def percent(value: float | None) -> str:
    """A share of one as a percentage; one decimal place below ten and above ninety."""
    if value is None:
        return "–"
    shown = 100 * value
    if 99.95 <= shown < 100:
        return f"> {number_format('99.9')} %"
    return f"{number_format(f'{shown:.1f}')} %"


@register.filter
def ms(value: float | str | None) -> str:
    """Milliseconds in a readable unit: 4.2 ms, 87 ms, 1.3 s."""
    if value is None or isinstance(value, str):  # Django gives "" for what a report does not have
        return "–"
    if 0 < value < 0.05:
        return _("< %(number)s ms") % {"number": number_format("0.1")}
    if value >= 60_000:
        return _("%(number)s min") % {"number": number_format(f"{value / 60_000:.1f}")}
    if value >= 1000:
        return _("%(number)s s") % {"number": number_format(f"{value / 1000:.1f}")}
    return _("%(number)s ms") % {
        "number": number_format(f"{value:.1f}" if value < 10 else f"{value:.0f}")
    }


@register.filter
def ago(value: datetime | None) -> str:
    """How long ago or until then, in one unit: just now, 3 minutes ago, in 2 days."""
    if value is None:
        return ""
    now = timezone.now()
    passed = (now - value).total_seconds()
    if passed <= -60:
        return _("in %(time)s") % {"time": timeuntil(value, depth=1)}
    return _("just now") if passed < 60 else time_ago(value, now)


def time_ago(value: datetime, now: datetime) -> str:
    """A minute or more that passed, in the largest unit of django.utils.timesince."""
    now = now.astimezone(value.tzinfo)
    months = 12 * (now.year - value.year) + now.month - value.month
    if (value.day, value.time()) > (now.day, now.time()):
        months -= 1
    if months:
        unit, count = ("year", months // 12) if months >= 12 else ("month", months)
    else:
        passed = (now - value).total_seconds()
        unit, length = next((unit, length) for unit, length in _UNITS if passed >= length)
        count = int(passed // length)
    return _passed(unit, count, get_language())


# The longest first.
_UNITS = [("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)]


@lru_cache(maxsize=1024)
def _passed(unit: str, count: int, language: str | None) -> str:
    """What a list says many times, in the language that is active, is put together once."""
    time = avoid_wrapping(TIME_STRINGS[unit] % {"num": count})
    return _("%(time)s ago") % {"time": time}


@register.filter
def unbroken(text: Any) -> str:
    """A sentence in which "2 × ml.m5.large", and a number and its unit, stay on one line."""
    return _BEFORE_UNIT.sub(
        "\N{NO-BREAK SPACE}", str(text).replace(" × ", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}")
    )


# In Korean a particle may follow the unit at once.
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|(?:USD|ms|s|min|[KMGT]i?B)(?![A-Za-z])))")


@register.filter
def shell(text: Any) -> str:
    """A text as one word of a shell's command."""
    return shlex.quote(str(text))


@register.filter
def python(text: Any) -> str:
    """A text of ASCII as Python has it, in double quotes."""
    return json.dumps(str(text))


@register.filter
def marked_code(text: Any) -> SafeString:
    """A sentence in which `this` is code: for sentences that documents in Markdown have as well."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(str(text))))  # noqa: S308
