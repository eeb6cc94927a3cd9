"""Markdown as people write it, as HTML that is safe to show, or as plain text.

No HTML that somebody writes gets through: markdown-it shows it as text, and nh3 lets only what is
named here pass. Pictures are not loaded, wherever they are: each becomes a link to it. The
Content-Security-Policy of the pages (core/middleware.py) holds the same a second time.
"""

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token

# Page and section have a heading already: the first below them is the third.
_BELOW = 2
_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
# Of a text without any of these there is nothing to render for a line of a list.
_SIGNS = frozenset("*_`[]<>#|~\\&!\n")


def _picture(
    renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    options: Any,
    env: MutableMapping[str, Any],
) -> str:
    """A link to a picture in place of the picture; inside a link its text alone."""
    token = tokens[index]
    escape = _escape
    said = escape(token.content or str(token.attrs.get("src", "")))
    opened = sum(one.nesting for one in tokens[:index] if one.type.startswith("link_"))
    if opened:
        return said
    return f'<a href="{escape(str(token.attrs.get("src", "")))}">{said}</a>'


def _escape(text: str) -> str:
    return nh3.clean_text(text)


def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.add_render_rule("image", _picture)
    return made


_PARSER = _parser()


@lru_cache(maxsize=64)
def html(text: str) -> SafeString:
    """The HTML of a text in Markdown."""
    env: dict[str, Any] = {}
    tokens = _PARSER.parse(text, env)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + _BELOW)}"
    rendered = _PARSER.renderer.render(tokens, _PARSER.options, env)
    clean = nh3.clean(
        rendered,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # noqa: S308 - nh3 made it


@lru_cache(maxsize=4096)
def line(text: str) -> str:
    """The first paragraph or heading as plain text, for a line of a list."""
    first = text.strip()[:400].partition("\n\n")[0].strip()
    if _SIGNS.isdisjoint(first):
        return first
    words = []
    for token in _PARSER.parse(first):
        for one in token.children or ():
            if one.type in ("text", "code_inline", "image"):
                words.append(one.content)
            elif one.type in ("softbreak", "hardbreak"):
                words.append(" ")
        if token.type in ("fence", "code_block"):
            words.append(token.content)
        if token.type.endswith("_close"):
            words.append(" ")
    return " ".join("".join(words).split())
