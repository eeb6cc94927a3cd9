"""Markdown becomes harmless HTML, whatever somebody writes."""

import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest

from core import markdown
from tests.conftest import chromium

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](vbscript:x)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    '[x](https://a.b "t\\" onmouseover=\\"alert(1)")',
    "![x](https://elsewhere.example/pixel.png)",
    '![x" onerror="alert(1)](https://elsewhere.example/pixel.png)',
    "![x](javascript:alert(1))",
    "[![x](https://elsewhere.example/pixel.png)](https://a.b)",
    '<iframe src="https://elsewhere.example/"></iframe>',
    '<form action="https://elsewhere.example/"><button>x</button></form>',
    "<style>body{background:url(https://elsewhere.example/a)}</style>",
    '<a href="#" style="position:fixed" id="describe" class="button">x</a>',
    '```"><script>alert(1)</script>\nx\n```',
    "`<script>alert(1)</script>`",
    "| <script> |\n|---|\n| <img src=x> |",
    "<!-- --><script>alert(1)</script>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
    "\0<scr\0ipt>alert(1)</script>",
]
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class _Seen(HTMLParser):
    """Every element and attribute, as a parser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def seen(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Seen()
    parser.feed(html)
    return parser.found


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_gets_through(text: str) -> None:
    for tag, attributes in seen(markdown.html(text)):
        assert tag in TAGS
        assert set(attributes) <= {"href", "title", "rel", "start"}
        href = attributes.get("href") or ""
        assert re.match(r"https?://|mailto:|/|$", href), href
        if tag == "a":
            assert attributes["rel"] == "noopener noreferrer nofollow"
    assert "<" not in markdown.line(text) or "<" in text


def test_what_people_write_is_shown() -> None:
    shown = markdown.html(
        "# Digits\n\nReads **숫자** and `code`:\n\n- one\n- two\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "[docs](https://a.b/c?d=1&e=2) ~~old~~ ![a plot](https://a.b/plot.png)\n\n```\nx < 1\n```\n"
    )
    for part in (
        "<h3>Digits</h3>", "<strong>숫자</strong>", "<code>code</code>", "<li>one</li>",
        "<td>1</td>", "<s>old</s>", "x &lt; 1",
        '<a href="https://a.b/c?d=1&amp;e=2" rel="noopener noreferrer nofollow">docs</a>',
        '<a href="https://a.b/plot.png" rel="noopener noreferrer nofollow">a plot</a>',
    ):  # fmt: skip
        assert part in shown, part


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Plain words.", "Plain words."),
        ("# Digits\n\nMore.", "Digits"),
        (
            "Reads **bold** [words](https://a.b) and ![a plot](x.png).",
            "Reads bold words and a plot.",
        ),
        ("한 줄\n두 줄", "한 줄 두 줄"),
        ("- one\n- two", "one two"),
        ("a < b & c", "a < b & c"),
        ("", ""),
    ],
)
def test_a_list_shows_the_first_paragraph_as_text(text: str, line: str) -> None:
    assert markdown.line(text) == line


@pytest.mark.not_quick
@pytest.mark.parametrize(
    "part", ["[", "![", "> ", "`a", "- ", "[a](<", "_*", "](", "&", "a\\\n", "[x]: y\n", "![](a)"]
)
def test_no_text_takes_long(part: str) -> None:
    text = part * (10_000 // len(part))
    before = time.process_time()
    markdown.html(text)
    markdown.line(text)
    assert time.process_time() - before < 3


def test_no_browser_loads_or_runs_anything_of_it() -> None:
    asked: list[str] = []
    body = "".join(f"<div>{markdown.html(text)}</div>" for text in HOSTILE)

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(body=f"<!doctype html><body>{body}", content_type="text/html")

    def dismiss(dialog: Any) -> None:
        asked.append("dialog")
        dialog.dismiss()

    with chromium() as launched:
        page = launched.new_page()
        page.on("dialog", dismiss)
        page.route("**/*", answer)
        page.goto("http://portal.test/", wait_until="networkidle")
        assert page.locator("img, script, iframe, form, svg, style").count() == 0
    assert asked == ["http://portal.test/"]


def test_the_policy_of_the_pages_forbids_foreign_pictures_too(client: Any) -> None:
    policy = client.get("/login/").headers["Content-Security-Policy"]
    (images,) = re.findall(r"img-src ([^;]*);", policy)
    assert images.split() == ["'self'", "blob:"]
