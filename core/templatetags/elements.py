"""The elements that pages are made of, as tags: tables, tabs, times, help marks, code, toasts.

/styleguide/ shows each in all its states. The templates are in templates/ui/.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from html import escape
from typing import Any

from django import template
from django.apps import apps
from django.contrib.messages.storage.base import Message
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.utils import dateformat, formats, timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from core.badges import Badge
from core.glossary import GLOSSARY
from core.palette import MOST_SEARCHED as LONGEST_SEARCH
from core.tables import MOST_SEARCHED, BoundFilter, Table
from core.templatetags.portal import ago, icon
from core.ui import Tab, undo_url

register = template.Library()

#: The page of all words; it is of an app above this one.
GLOSSARY_PAGE = "/glossary/"


def _render(context: template.Context, name: str, **values: Any) -> SafeString:
    """A template of templates/ui/ with these values, and with those that every page has.

    Without the white space around it, which would be seen between words.
    """
    known = {key: context.get(key) for key in ("request", "user", "perms", "csrf_token")}
    engine = context.template.engine  # type: ignore[union-attr]
    found = engine.get_template(f"ui/{name}.html")
    rendered = found.render(context.new({**known, **values}))
    return SafeString(rendered.strip())  # of a template, which escapes


def _identity(context: template.Context) -> str:
    """What ids end in: unlike on one page, also in a part that is asked for by itself.

    The same for the same request, as parts are only replaced where the answer differs. A part that
    comes with the page and then by itself has the same in both: ``part_path`` of the context names
    it.
    """
    request = context.get("request")
    numbers: dict[str, Any] = context.render_context.dicts[0]  # type: ignore[assignment]
    path = context.get("part_path") or (request.path if request is not None else "")
    counted = f"core.elements of {path}"
    numbers[counted] = n = numbers.get(counted, 0) + 1
    return f"{zlib.crc32(path.encode()):x}-{n}"


@register.simple_tag(takes_context=True)
def table_filters(context: template.Context, table: Table) -> SafeString:
    """The form above a table: its filters, and how many rows they leave."""
    return _render(context, "table_filters", table=table, most_searched=MOST_SEARCHED)


@register.simple_tag
def max_length(column: str) -> int:
    """The ``maxlength`` of a field that no form makes: that of the column, as "app.Model.field"."""
    model, _dot, field = column.rpartition(".")
    length: int = apps.get_model(model)._meta.get_field(field).max_length
    return length


@register.simple_tag
def longest_search() -> int:
    """The ``maxlength`` of what is searched for with Ctrl+K."""
    return LONGEST_SEARCH


@register.simple_tag(takes_context=True)
def table_head(context: template.Context, table: Table, select: bool = False) -> SafeString:
    """The ``<thead>``; ``select``: with a column of checkboxes before the others."""
    return _render(context, "table_head", table=table, select=select)


@register.simple_tag(takes_context=True)
def table_pages(context: template.Context, table: Table) -> SafeString:
    """Which rows of how many are shown, and links to the pages before and after."""
    return _render(context, "table_pages", table=table, page=table.page)


@register.simple_tag(takes_context=True)
def tabs(context: template.Context, items: Sequence[Tab], label: str = "") -> SafeString:
    """Links to pages that belong together; ``label`` names the group for screen readers."""
    return _render(context, "tabs", items=items, label=label or _("Sections"))


@register.simple_tag
def when(value: datetime | None, form: str = "") -> SafeString:
    """A time: how long ago or until then, with the absolute one beside it or in its title.

    ``form``: "absolute" for the absolute one alone, "second" for one with seconds. Times are in
    the user's zone. A list has hundreds of them, so there is no template to render for each.
    """
    if value is None:
        return SafeString('<span class="muted">–</span>')
    here = _here(value)
    minute = escape(_to_the_minute(here))  # formats end in it: the rest is added
    second = f"{minute}:{here.second:02}"
    machine, full = here.isoformat(), f"{second} {escape(here.tzname() or '')}".rstrip()
    said = second if form == "second" else minute
    if form:
        return SafeString(f'<time datetime="{machine}" title="{full}">{said}</time>')
    return SafeString(
        f'<time class="when" datetime="{machine}" title="{full}"'
        f'><span>{escape(ago(value))}</span><span class="absolute"> {said}</span></time>'
    )


def _here(value: datetime) -> datetime:
    return value if value.tzinfo is None else value.astimezone(timezone.get_current_timezone())


def absolute(value: datetime | None) -> str:
    """A time in the user's zone and language, to the minute: their DATETIME_FORMAT."""
    return "" if value is None else _to_the_minute(_here(value))


def _to_the_minute(here: datetime) -> str:
    return f"{_day(here.date(), get_language())}{here.hour:02}:{here.minute:02}"


@lru_cache(maxsize=1024)
def _day(day: date, language: str | None) -> str:
    """The format's part before the time, in the language that is active.

    Formatting takes long, and the times of a list are of few days.
    """
    form = formats.get_format("DATETIME_FORMAT", language)
    return dateformat.format(day, form.removesuffix("H:i"))


@register.simple_tag
def badge(badge: Badge, id: str = "", say: bool = False) -> SafeString:
    """A badge (core/badges.py); ``say``: where it is replaced, its change is read aloud.

    A list has one in each line, so there is no template to render for each.
    """
    marks = "".join(
        (
            f' id="{escape(id)}"' if id else "",
            " data-say" if say else "",
            f' data-state="{escape(badge.state)}"',
            " data-spinning" if badge.spinning else "",
        )
    )
    drawn = icon(badge.icon) if badge.icon else ""
    return SafeString(f'<span class="badge"{marks}>{drawn} {escape(badge.label)}</span>\n')


@register.simple_tag
def options(choice: BoundFilter) -> SafeString:
    """The ``<option>`` of each value of a filter; there may be hundreds."""
    return option_list(choice.options, choice.value)


@register.simple_tag
def option_list(pairs: Iterable[tuple[str, Any]], chosen: str = "") -> SafeString:
    """The ``<option>`` of each pair of value and label, ``chosen`` the value that is selected."""
    return SafeString(
        "".join(
            f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>'
            f"{escape(str(label))}</option>"
            for value, label in pairs
        )
    )


@register.simple_tag(takes_context=True)
def help(context: template.Context, term: str) -> SafeString:
    """A mark that explains a word of core/glossary.py in one sentence, with a link to more.

    Raises KeyError for a word that is not there.
    """
    return _render(
        context,
        "help",
        href=f"{GLOSSARY_PAGE}#{term}",
        term=GLOSSARY[term],
        identity=_identity(context),
    )


@register.simple_tag(takes_context=True)
def chart(context: template.Context, chart: Any) -> SafeString:
    """A chart of core/charts.py, with its table."""
    return _render(context, "chart", chart=chart, identity=_identity(context))


@register.simple_tag(takes_context=True)
def copy(context: template.Context, value: object, short: int = 0, label: str = "") -> SafeString:
    """A value with a button that copies it; ``short``: only so many letters of it are shown."""
    text = str(value)
    shown = f"{text[:short]}…" if short and len(text) > short + 1 else text
    return _render(context, "copy", value=text, shown=shown, label=label or _("Copy"))


@register.simple_tag(takes_context=True)
def toasts(context: template.Context, messages: Sequence[Message] | None) -> SafeString:
    """Django's messages; one of core.ui.undo has a button."""
    items = [{"message": one, "undo_url": undo_url(one)} for one in messages or ()]
    return _render(context, "toasts", items=items)


@register.filter
def cut_at(value: str, length: int) -> str:
    """The first characters of a text, the last an ellipsis; truncatechars is slow in long lists."""
    text = str(value)
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


@register.filter
def last_part(value: str) -> str:
    """What stands after the last slash of an address: an image's name without its registry."""
    return str(value).rpartition("/")[2]


@register.filter
def number(value: float | str | None) -> str:
    """A number as the user's language groups its digits; a dash where there is none."""
    if value is None or value == "":
        return "–"
    return str(formats.number_format(value, force_grouping=True))


@register.simple_tag
def rows_shown(table: Table) -> str:
    """Which rows of how many a page of a table shows, as a sentence."""
    page = table.page
    if table.not_all_counted:
        return _("%(first)s–%(last)s of more than %(total)s") % {
            "first": number(page.start_index()),
            "last": number(page.end_index()),
            "total": number(table.total),
        }
    if page.paginator.num_pages < 2:
        return ngettext("%(n)s row", "%(n)s rows", table.total) % {"n": number(table.total)}
    return _("%(first)s–%(last)s of %(total)s") % {
        "first": number(page.start_index()),
        "last": number(page.end_index()),
        "total": number(table.total),
    }


class _Block(template.Node):
    """What stands between a tag and its end, rendered into a template of templates/ui/."""

    child_nodelists = ("nodelist",)

    def __init__(self, name: str, nodelist: NodeList, options: dict[str, FilterExpression]) -> None:
        self.name = name
        self.nodelist = nodelist
        self.options = options

    def render(self, context: template.Context) -> SafeString:
        values = {key: value.resolve(context) for key, value in self.options.items()}
        return _render(context, self.name, body=self.inside(context), **values)

    def inside(self, context: template.Context) -> SafeString:
        """What stands between, rendered."""
        return self.nodelist.render(context)


class _Code(_Block):
    def inside(self, context: template.Context) -> SafeString:
        text = self.nodelist.render(context)
        return type(text)(re.sub(r"^\n|\s+$", "", text))


def _block(parser: Parser, token: Token, node: type[_Block], *known: str) -> _Block:
    name, *given = token.split_contents()
    options = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or key not in known:
            raise template.TemplateSyntaxError(f"{name} knows no {one!r}, but {', '.join(known)}.")
        options[key] = parser.compile_filter(value)
    nodelist = parser.parse((f"end{name}",))
    parser.delete_first_token()
    return node(name, nodelist, options)


@register.tag
def code(parser: Parser, token: Token) -> _Block:
    """Code with a button that copies it: ``{% code label="AWS CLI" %}…{% endcode %}``.

    It is HTML, as all of a template is: write ``&lt;`` for ``<``. Variables are escaped.
    ``spoken``: what screen readers call it, where several on a page have the same label.
    """
    return _block(parser, token, _Code, "label", "spoken")


@register.tag
def bulk_bar(parser: Parser, token: Token) -> _Block:
    """A bar with the buttons for the rows that are ticked: ``{% bulk_bar action=url %}``.

    It is the form "bulk", which the checkboxes name; each button may have its ``formaction``.
    ``method="get"``: it changes nothing, and its address can be kept.
    """
    return _block(parser, token, _Block, "action", "method")
