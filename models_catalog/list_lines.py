"""The lines of the list of models, as HTML: by a template they take half of the page's time."""

from html import escape
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from core.links import link
from core.templatetags.elements import badge, cut_at, when
from models_catalog.models import RegisteredModel

_MOST_TAGS, _MOST_OF_SUMMARY = 3, 120
_NOTHING = "–"


def line(model: RegisteredModel, *, best: bool) -> SafeString:
    """The ``<tr>`` of a row of in_list(); with ``best``, the number that it is sorted by."""
    called = model.last_call
    row: Any = model
    cells = (
        f'<td class="name" title="{escape(model.name)}">'
        f'<a href="{escape(model.get_absolute_url())}">{escape(model.name)}</a></td>',
        _described(model),
        f'<td class="number">{_newest(row)}</td>',
        f'<td class="number">{escape(row.best[0])} {_version(row, row.best[1])}</td>'
        if best
        else "",
        _named(model.aliases_said),
        f'<td class="number">{_size(row.ready_size)}</td>',
        f"<td>{_NOTHING if called is None else when(called)}</td>",
        _named(row.owner_name),
        f"<td>{when(row.uploaded_at)}</td>",
        _named(row.uploaded_by or ""),
    )
    return SafeString(f"<tr>{''.join(cells)}</tr>\n")


def _described(model: RegisteredModel) -> str:
    summary = model.summary
    tags = "".join(
        f'<span class="badge plain">{escape(tag)}</span> ' for tag in model.tags[:_MOST_TAGS]
    )
    return (
        f'<td class="fill muted" title="{escape(summary)}">'
        f"{tags}{escape(cut_at(summary, _MOST_OF_SUMMARY))}</td>"
    )


def _newest(row: Any) -> str:
    """The newest version with its state, where it is not ready, and the newest that is."""
    state = row.newest_badge
    ready = _version(row, row.ready_number) if row.ready_number else ""
    if state is not None:
        newest = f"{badge(state)}{_version(row, row.newest_number)}"
        return f"{newest} · {ready}" if ready else newest
    none = escape(_("none"))
    return ready or f'<span class="muted">{none}</span>'


def _version(row: Any, number: int) -> str:
    return f'<a href="{escape(link("models_catalog:version", row.name, number))}">v{number}</a>'


def _size(size: int) -> str:
    return escape(filesizeformat(size)) if size else _NOTHING


def _named(text: str) -> str:
    return f'<td class="who" title="{escape(text)}">{escape(text) or _NOTHING}</td>'
