"""Template tags and filters of all apps, loaded everywhere as builtins."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from core import panels as registry

register = template.Library()

# Drawn on a grid of 24, stroked with the text's own colour.
# ruff: noqa: E501
_ICONS = {
    "model": '<path d="M12 3 4 7v10l8 4 8-4V7z"/><path d="m4 7 8 4 8-4M12 11v10"/>',
    "endpoint": '<rect x="3" y="4" width="18" height="7" rx="2"/><rect x="3" y="13" width="18" height="7" rx="2"/><path d="M7 7.5h.01M7 16.5h.01"/>',
    "config": '<path d="M4 7h10M18 7h2M4 17h2M10 17h10"/><circle cx="16" cy="7" r="2"/><circle cx="8" cy="17" r="2"/>',
    "invoke": '<path d="M13 3 5 14h6l-1 7 8-11h-6z"/>',
    "activity": '<path d="M3 12h4l3-8 4 16 3-8h4"/>',
    "upload": '<path d="M12 16V4m0 0L7 9m5-5 5 5M4 16v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3"/>',
    "download": '<path d="M12 4v12m0 0 5-5m-5 5-5-5M4 18v1a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-1"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "check": '<path d="m5 13 4 4L19 7"/>',
    "clock": '<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3 2"/>',
    "warn": '<path d="M12 4 2.5 20h19zM12 10v4m0 3h.01"/>',
    "snow": '<path d="M12 3v18M4.2 7.5l15.6 9M19.8 7.5l-15.6 9"/>',
    "flame": '<path d="M12 3c1 4 5 5.5 5 10a5 5 0 0 1-10 0c0-2 1-3 2-4 .5 2 1.5 2.5 2 2.5C12 9 11 6 12 3z"/>',
    "image": '<rect x="3" y="4" width="18" height="16" rx="2"/><circle cx="9" cy="10" r="1.8"/><path d="m4 18 5-5 4 4 3-3 4 4"/>',
    "trash": '<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13"/>',
    "user": '<circle cx="12" cy="8" r="4"/><path d="M4 21c1-5 4-7 8-7s7 2 8 7"/>',
    "out": '<path d="M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 8l-4 4 4 4M6 12h9"/>',
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """An inline SVG icon, hidden from screen readers."""
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>',
        mark_safe(_ICONS[name]),  # noqa: S308  (our own constants)
    )


@register.simple_tag(takes_context=True)
def panels(context: template.Context, slot: str, *subject: Any, **more: Any) -> SafeString:
    """What other apps registered for a slot of this page (core/panels.py).

    ``subject`` and ``more`` are handed to each panel's function.
    """
    request, engine = context["request"], context.template.engine  # type: ignore[union-attr]
    known = {name: context.get(name) for name in ("request", "user", "perms", "csrf_token")}
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
    """How long ago, in one unit: just now, 3 minutes ago, 2 days ago."""
    if value is None:
        return ""
    if (timezone.now() - value).total_seconds() < 60:
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(value, depth=1)}
