"""Every page that a crawler reaches is accessible, fits its window, and reports no error.

The crawler logs in as an admin and follows every link of the portal's own, in an empty portal and
in a full one. axe-core looks at each page in light and dark, and at 1280 and 390 px.
"""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import Resolver404, resolve
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from accounts import roles
from activity.models import Event
from activity.services import record
from endpoints.models import Endpoint, Resource
from invocations.models import Invocation
from models_catalog.models import RegisteredModel, Version
from tests.conftest import chromium
from tests.rules import rows
from tests.test_page_policies import REPORT, _database_beside_playwright, _opened, log_in

__all__ = ["_database_beside_playwright"]

# Hundreds of audits, and the processors may be busy.
pytestmark = pytest.mark.timeout(900)

SIZES = ((1280, 900), (390, 844))
#: Pages that no link of an admin's leads to.
PAGES_WITHOUT_LINKS = ("/no/such/page/", "/models/no-such-model/")
#: Not looked at: pages of Django's own templates, whose faults are not ours to mend. Django's admin
#: is off unless DJANGO_ADMIN=1, and only superusers see it. tests/test_page_policies.py walks
#: through it and holds its Content-Security-Policy.
NOT_OURS = (
    "/admin/",
    "/favicon.ico",  # Django's admin names no icon, so browsers ask for this
)
#: Names of addresses that lead to a file and show no page.
DOWNLOADS = {
    "activity:export",
    "invocations:calls-csv",
    "models_catalog:download",
    "models_catalog:download-original",
    "invocations:test-set-download",
    "invocations:test-picture",
}
#: Addresses of one pattern look alike; so many of each that links lead to are looked at. Endpoints,
#: versions and calls are looked at in each state besides.
MOST_OF_A_PATTERN = 2
#: Rows of each kind in the full portal: more than any list that is cut off shows.
ROWS = 12
#: Where a page tells what is wrong with what was sent.
ERRORS = ".errors li:visible, .callout.error:visible"
LONG = "a-very-long-name-that-goes-on-and-on-until-there-is-no-room-left"

# What axe is asked: WCAG 2.2 A and AA, and its own best practices; of colours alone where the page
# is in its second scheme. The size of targets, which axe leaves out by itself, is asked each time.
# What it said of a page of the same structure, and of texts and links of the same looks, is not
# asked again. A part that is being asked for anew is paler for as long. What
# listens to the scheme or the width is told within a frame.
AUDIT = """
async (coloursAlone) => {
  const end = performance.now() + 15000;
  do {
    if (performance.now() > end) throw new Error("a part of the page still waits for its answer");
    await new Promise(requestAnimationFrame);
  } while (document.querySelector(".htmx-request"));

  // Of a closed box axe takes all for hidden, also the buttons that are beside it in a wide window.
  for (const one of document.querySelectorAll("details.further")) one.open = true;

  const violations = [];
  if (!coloursAlone) {
    if (window.markSmall()) {
      const runOnly = {type: "rule", values: ["target-size"]};
      const sizes = await axe.run(document, {runOnly, resultTypes: ["violations"], preload: false});
      violations.push(...sizes.violations);
    }
    const structure = await window.structure();
    if (!window.kept("structures").has(structure)) {
      const rules = {"color-contrast": {enabled: false}, "link-in-text-block": {enabled: false}};
      const found = await axe.run(document, {rules, resultTypes: ["violations"], preload: false});
      violations.push(...found.violations);
      if (!found.violations.length) window.keep("structures", [structure]);
    }
  }
  const texts = window.newTexts(), links = window.newLinks();
  const values = [
    ...(texts.size ? ["color-contrast"] : []), ...(links.size ? ["link-in-text-block"] : []),
  ];
  if (values.length) {
    const found = await axe.run(document, {
      runOnly: {type: "rule", values}, elementRef: true, preload: false,
      resultTypes: ["violations", "passes", "incomplete"],
    });
    violations.push(...found.violations);
    window.keepLooks(texts, links, [...found.passes, ...found.incomplete]);
  }
  const faults = violations.flatMap((one) => one.nodes.map((node) => ({
    rule: one.id, element: node.target.join(" "), help: one.help,
    why: node.failureSummary.split("\\n").slice(1).join(" ").trim(),
  })));
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) {
    const beyond = [...document.querySelectorAll("body *:not(svg *)")].filter((one) =>
      one.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
    const names = beyond.map((one) => `${one.localName}.${one.getAttribute("class")}`);
    const element = names.length ? `${names[0]} … ${names.at(-1)}` : "html";
    faults.push({rule: "overflow", element, help: "the page is wider than the window",
      why: `by ${wide} px`});
  }
  return faults.concat(window.violations.map((text) => (
    {rule: "CSP", element: text, help: "the Content-Security-Policy forbids it", why: ""})));
}
"""
# What axe found nothing wrong with, of all pages of a context of the browser.
_KEPT = """
(() => {
  const all = (name) => JSON.parse(localStorage.getItem(`audit ${name}`) ?? "[]");
  window.kept = (name) => new Set(all(name));
  window.keep = (name, more) => {
    if (more.length)
      localStorage.setItem(`audit ${name}`, JSON.stringify([...new Set([...all(name), ...more])]));
  };
})();
"""
# Pages of the same structure (elements, attributes, what is seen and what scrolls, which element
# refers to which) differ in texts and places alone. Of a text, rules ask only whether there is one.
# At the two widths, most pages have one structure.
_STRUCTURES = """
(() => {
  // Values that differ from row to row. Where one refers to another, they are numbered instead.
  const varied = new Set(["href", "src", "srcset", "value", "datetime", "action",
    "placeholder", "nonce", "pattern", "max", "min", "maxlength", "width", "height",
    "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "points", "transform", "viewbox"]);
  const numbered = new Set(["id", "for", "name", "headers", "form", "list", "aria-controls",
    "aria-describedby", "aria-labelledby", "aria-owns", "aria-activedescendant", "aria-details",
    "aria-errormessage", "aria-flowto", "aria-label", "title", "alt", "usemap"]);

  // As axe does: by more than 13 px, and with something outside of its box.
  const scrolls = (one) => {
    const across = one.scrollWidth > one.clientWidth + 13;
    const down = one.scrollHeight > one.clientHeight + 13;
    if (!across && !down) return "";
    const style = getComputedStyle(one);
    const can = (overflow) => overflow === "scroll" || overflow === "auto";
    if (!(across && can(style.overflowX)) && !(down && can(style.overflowY))) return "";
    const box = one.getBoundingClientRect();
    const all = document.createRange();
    all.selectNodeContents(one);
    const out = [...all.getClientRects()].some((rect) => rect.left < box.left
      || rect.right > box.right || rect.top < box.top || rect.bottom > box.bottom);
    return out ? "scrolls out" : "scrolls";
  };
  const seen = (one) => {
    if (!one.checkVisibility({visibilityProperty: true})) return "unseen";
    if (!one.matches("a, label, input, select, textarea, [style]")) return "";
    // Of these, rules ask whether they are on the screen, too.
    const box = one.getBoundingClientRect();
    return box.right + scrollX <= 0 || box.bottom + scrollY <= 0 ? "away"
      : box.width <= 1 || box.height <= 1 ? "tiny" : "";
  };

  const structure = () => {
    const numbers = new Map();
    const number = (text) => {
      if (!numbers.has(text)) numbers.set(text, numbers.size);
      return numbers.get(text);
    };
    // A form's fields hide what has their name, as `attributes`.
    const attributes = Object.getOwnPropertyDescriptor(Element.prototype, "attributes").get;
    const walk = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
    const parts = [];
    let depth = 0;
    for (let at = walk.root; at; ) {
      if (at.nodeType === Node.TEXT_NODE) {
        if (at.data.trim()) parts.push("text");
      } else if (at.nodeType === Node.ELEMENT_NODE) {
        parts.push(`<${depth} ${at.localName}`);
        // An icon without a meaning is nothing to a rule, be it seen or not.
        if (!at.closest("svg[aria-hidden=true]")) parts.push(seen(at), scrolls(at));
        for (const {name, value} of attributes.call(at)) {
          const key = name.toLowerCase();
          if (key.startsWith("data-new-")) continue;  // a mark of an audit before
          if (value.trim() === "") parts.push(key);
          else if (numbered.has(key))
            parts.push(`${key}=${value.trim().split(/\\s+/).map(number).join(",")}`);
          else if (key === "href" && value.startsWith("#"))
            parts.push(`href=#${number(value.slice(1))}`);
          else if (varied.has(key) || key.startsWith("data-") || key.startsWith("hx-"))
            parts.push(`${key}…`);
          else parts.push(`${key}=${value}`);
        }
      }
      let next = walk.firstChild();
      if (next) depth += 1;
      while (!next && walk.currentNode !== walk.root) {
        next = walk.nextSibling();
        if (!next) {
          if (!walk.parentNode()) break;
          depth -= 1;
        }
      }
      at = next;
    }
    // Whether a table without heads is one of data, axe tells by its measures.
    if (document.querySelector("table:not(:has(th))")) parts.push(innerWidth);
    return parts.join(" ");
  };

  window.structure = async () => {
    const bytes = new TextEncoder().encode(structure());
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join("-");
  };
})();
"""
# What axe said of a text's colours holds for all texts of the same looks: of the same computed
# colour and size, above the same computed backgrounds. So color-contrast, which takes more time
# than all other rules together, is asked of each look once for each context of the browser. A text
# that may lie above something else than what it is in has no look, and is asked for each time. The
# same of a link within a text, where it is told from the text by more than its colour.
_LOOKS = """
(() => {
  const TEXT = "data-new-look", LINK = "data-new-link", SMALL = "data-new-target";
  axe.configure({rules: [
    {id: "color-contrast", selector: `[${TEXT}]`},
    {id: "link-in-text-block", selector: `[${LINK}]`},
    {id: "target-size", selector: `[${SMALL}]`},
  ]});

  const none = (value) => value === "none" || value === "normal";
  const still = (value) => value === "0px" || value === "auto";
  const moved = (style) => style.float !== "none" || !none(style.transform)
    || !none(style.translate) || style.gridRowStart !== "auto" || style.gridColumnStart !== "auto"
    || (style.position === "relative"
      ? !(still(style.top) && still(style.left)) : style.position !== "static")
    || style.margin.includes("-");
  // Whether what was moved is still where only its parent is behind it.
  const isWithin = (one, parent) => {
    const box = one.getBoundingClientRect(), around = parent.getBoundingClientRect();
    const clips = getComputedStyle(parent).overflowX !== "visible";  // then overflow-y is not, too
    return (clips || (box.left >= around.left && box.right <= around.right
        && box.top >= around.top && box.bottom <= around.bottom))
      && [...parent.children].every((other) => {
        if (other === one) return true;
        const its = other.getBoundingClientRect();
        return its.right <= box.left || its.left >= box.right
          || its.bottom <= box.top || its.top >= box.bottom;
      });
  };

  // What is painted behind what is in ``one``, from the nearest opaque background on; null where
  // that may be something else. What is transparent as a whole lets through what is behind it.
  const behind = (one, told) => {
    if (!one) return {layers: "", whole: true};
    if (told.has(one)) return told.get(one);
    const above = behind(one.parentElement, told);
    const style = getComputedStyle(one);
    const colour = style.backgroundColor;
    const whole = above.whole && style.opacity === "1" && none(style.mixBlendMode)
      && none(style.filter) && none(style.clipPath);
    const plain = whole && style.backgroundImage === "none";
    let layers = above.layers;
    if (plain && colour.startsWith("rgb(")) layers = colour;
    else if (layers !== null && moved(style) && !isWithin(one, one.parentElement)) layers = null;
    else if (layers !== null && !(plain && colour === "rgba(0, 0, 0, 0)"))
      layers = [layers, colour, style.backgroundImage, style.opacity, style.mixBlendMode,
        style.filter, style.clipPath].join("|");
    told.set(one, {layers, whole});
    return {layers, whole};
  };
  // To axe, what has neither a letter nor a number nor a symbol is no text.
  const nothing = /^[\\s!-#%&(-*,-/:;?@[-\\]_{}\\u2010-\\u2027]*$/;
  const hasText = (one) => one.matches("select, textarea"
      + ", input:not([type=hidden], [type=checkbox], [type=radio], [type=range], [type=image])")
    || (!one.matches("option")  // whose colours are the system's
      && [...one.childNodes].some((node) => node.nodeType === 3 && !nothing.test(node.data)));
  // What is for screen readers alone, or comes into the window with the focus, is not seen; nor, to
  // axe, what is in a closed part whatever its style is.
  const seen = (one) => {
    if (one.closest("details:not([open]) > :not(summary)")) return false;
    if (!one.checkVisibility({visibilityProperty: true, opacityProperty: true})) return false;
    for (let at = one; at; at = at.parentElement)
      if (getComputedStyle(at).clipPath === "inset(50%)") return false;
    const box = one.getBoundingClientRect();
    return box.right + scrollX > 0 && box.bottom + scrollY > 0;
  };

  // The shades at a table's edges are gradients, above which axe never knows a colour.
  const flat = new CSSStyleSheet();
  flat.replaceSync(".table-scroll {background-image: none !important}");

  const marked = (mark, looks) => {
    for (const one of document.querySelectorAll(`[${mark}]`)) one.removeAttribute(mark);
    for (const one of looks.keys()) one.setAttribute(mark, "");
    return looks;
  };
  window.newTexts = () => {
    if (!document.adoptedStyleSheets.includes(flat)) document.adoptedStyleSheets.push(flat);
    const known = window.kept("texts");
    const looks = new Map(), told = new Map();
    for (const one of document.querySelectorAll("body, body *")) {
      // Of what is disabled, nobody asks for a contrast.
      if (!hasText(one) || !seen(one) || one.closest(":disabled, [aria-disabled=true]")) continue;
      const style = getComputedStyle(one);
      const at = behind(one, told).layers;
      const look = at && [at, style.color, style.webkitTextFillColor, style.webkitTextStroke,
        style.textShadow, style.fontSize, style.fontWeight].join("/");
      if (!look || !known.has(look)) looks.set(one, look);
    }
    return marked(TEXT, looks);
  };

  // Of what axe tells a link from the text around it by.
  const distinct = (one) => {
    const style = getComputedStyle(one);
    return [style.color, style.backgroundColor, style.backgroundImage, style.borderWidth,
      style.borderStyle, style.borderColor, style.outline, style.textDecoration, style.fontSize,
      style.fontWeight, style.fontStyle, style.fontFamily, style.display, style.opacity,
      getComputedStyle(one, "::before").content, getComputedStyle(one, "::after").content,
    ].join("/");
  };
  // As axe has it: what a text cannot go on across, and what is a box within a text.
  const isBlock = (display) => /^(block|list-item|flex|grid|table)/.test(display);
  const isBox = (display) => /^inline-(block|flex|grid)$/.test(display);
  window.newLinks = () => {
    const known = window.kept("links");
    const looks = new Map(), told = new Map(), texts = new Map();
    const once = (map, one, make) => {
      if (!map.has(one)) map.set(one, make(one));
      return map.get(one);
    };
    // As axe has it, a text is longer than the links in it.
    const isText = (block) => {
      const length = (text) => text.trim().replace(/\\s+/g, " ").length;
      let text = "", links = "";
      const walk = document.createTreeWalker(block);
      for (let at = walk.nextNode(); at; at = walk.nextNode()) {
        if (at.nodeType === 1 && (at.matches("br, hr") || isBlock(getComputedStyle(at).display)))
          return true;  // which axe looks at by lines
        if (at.nodeType !== 3) continue;
        if (at.parentElement.closest("a[href]")) links += at.data;
        else text += at.data;
      }
      return length(text) > length(links);
    };
    for (const one of document.querySelectorAll("a[href]")) {
      const {display} = getComputedStyle(one);
      if (isBlock(display) || isBox(display) || !seen(one)) continue;
      const around = [one];
      do around.push(around.at(-1).parentElement);
      while (!isBlock(getComputedStyle(around.at(-1)).display));
      if (!once(texts, around.at(-1), isText)) continue;
      const layers = behind(one, told).layers;
      const look = layers && [layers, ...around.map(distinct)].join(" < ");
      if (!look || !known.has(look)) looks.set(one, look);
    }
    return marked(LINK, looks);
  };

  // Marks the targets that axe might find too small, and gives their number. It passes one of 24 px
  // each way that no other covers, and a smaller one around whose middle a circle of 24 px touches
  // neither another one nor such a circle of it (by 2 px more here). It takes a hundred times as
  // long to say so of all.
  const SIZE = 24, MARGIN = 2;
  const TARGETS = "a, area, button, input, select, textarea, summary"
    + ["button", "checkbox", "combobox", "link", "menuitem", "menuitemcheckbox", "menuitemradio",
      "option", "radio", "searchbox", "slider", "spinbutton", "switch", "tab", "textbox",
      "treeitem"].map((role) => `, [role=${role}]`).join("");
  window.markSmall = () => {
    const targets = [...document.querySelectorAll(TARGETS)].map((one) => {
      const box = one.getBoundingClientRect();
      const {left, right, top, bottom} = box;
      return {one, left, right, top, bottom, x: (left + right) / 2, y: (top + bottom) / 2,
        small: box.width < SIZE || box.height < SIZE};
    }).filter(({left, right, top, bottom}) => left < right && top < bottom);
    const near = (a, b) => {
      if (a.one.contains(b.one) || b.one.contains(a.one)) return true;
      if (!a.small)
        return b.left < a.right && a.left < b.right && b.top < a.bottom && a.top < b.bottom;
      const away = Math.hypot(Math.max(b.left - a.x, 0, a.x - b.right),
        Math.max(b.top - a.y, 0, a.y - b.bottom));
      return away < SIZE / 2 + MARGIN
        || (b.small && Math.hypot(a.x - b.x, a.y - b.y) < SIZE + MARGIN);
    };
    const small = targets.filter((a) => targets.some((b) => a !== b && near(a, b)));
    return marked(SMALL, new Map(small.map(({one}) => [one, ""]))).size;
  };

  // What axe cannot see passes, too, but without a figure, and above a picture it never knows.
  const final = ({data}) => data && (data.messageKey
    ? ["bgImage", "bgGradient"].includes(data.messageKey) : data.contrastRatio);
  window.keepLooks = (texts, links, found) => {
    const nodes = (rule) => found.filter((one) => one.id === rule).flatMap((one) => one.nodes);
    window.keep("texts", nodes("color-contrast").filter(({element, any}) =>
      texts.get(element) && any.some(final)).map(({element}) => texts.get(element)));
    window.keep("links", nodes("link-in-text-block").map(({element}) => links.get(element))
      .filter(Boolean));
  };
})();
"""
# The first field that a person fills in, of the forms that change something.
_FIELDS = "main form[method=post] :is(input:not([type=hidden]), select, textarea)"


class _Fields(HTMLParser):
    """Whether there is one, read without a browser."""

    found = in_main = in_form = False

    @classmethod
    def are_in(cls, html: str) -> bool:
        parser = cls()
        parser.feed(html)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        having = dict(attrs)
        if tag == "main":
            self.in_main = True
        elif tag == "form":
            self.in_form = (having.get("method") or "").lower() == "post"
        elif tag in ("select", "textarea") or (tag == "input" and having.get("type") != "hidden"):
            self.found |= self.in_main and self.in_form

    def handle_endtag(self, tag: str) -> None:
        if tag == "main":
            self.in_main = False
        elif tag == "form":
            self.in_form = False


# A select that has a choice from the start, and a field that is filled in, are emptied, too.
_EMPTY = """
  for (const one of field.form.elements) {
    if (one.matches("select, textarea, input:not([type=hidden], [type=radio], [type=checkbox])")) {
      one.value = "";
    }
  }
"""
_CLICK = f"""
(field) => {{
  {_EMPTY}
  field.form.noValidate = true;
  field.form.querySelector("button:not([type=button], [name])").click();
}}
"""
# Which runs no script of the page's.
_SUBMIT = f"(field) => {{ {_EMPTY} field.form.submit(); }}"


_LINK = re.compile(r"""<a\b[^>]*?\bhref="([^"]+)\"""")
# Differs from one answer to the next: CSRF tokens, nonces, request ids.
_RANDOM = re.compile(
    r"""name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"|X-CSRFToken(&quot;|"): ?\1[^"&]*"""
    r"|[0-9a-f]{32}"
)


@cache
def axe_source() -> str:
    spec = find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    axe = (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    return f"{axe}\n{_KEPT}\n{_STRUCTURES}\n{_LOOKS}"


class Wanted:
    """Whether a crawl looks at an address: at some of each pattern, and at no page of others."""

    def __init__(self) -> None:
        self._patterns: dict[str, int] = {}

    def __call__(self, path: str) -> bool:
        if path.startswith(NOT_OURS):
            return False
        try:
            match = resolve(urlsplit(path).path)
            if match.view_name in DOWNLOADS:
                return False
            pattern = match.route
        except Resolver404:
            pattern = path
        self._patterns[pattern] = self._patterns.get(pattern, 0) + 1
        return self._patterns[pattern] <= MOST_OF_A_PATTERN


def found_by_links(user: User, *paths: str) -> dict[str, str]:
    """The HTML of each page that a crawl from ``paths`` comes to, without a browser.

    For tests that do something on a page of each kind: a browser takes ten times as long to find
    them.
    """
    client = Client()
    client.force_login(user)
    wanted, waiting, seen = Wanted(), [*paths], set()
    found: dict[str, str] = {}
    while waiting:
        path = waiting.pop(0)
        if path in seen or not (wanted(path) or path in paths):
            continue
        seen.add(path)
        answer = client.get(path, follow=True)
        if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
            continue
        if answer.request["PATH_INFO"].startswith(NOT_OURS):
            continue
        found[path] = html = answer.content.decode()
        links = (urljoin(path, unescape(one)) for one in _LINK.findall(html))
        waiting += [urldefrag(one).url for one in links if not urlsplit(one).netloc]
    return found


@dataclass
class Crawl:
    """What was looked at, and what was found. ``seen``: the status of each page."""

    url: str
    page: Page
    seen: dict[str, int] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)  # what links lead to and is no page
    wanted: Wanted = field(default_factory=Wanted)
    audits: int = 0
    _sizes: tuple[tuple[int, int], ...] = SIZES
    # Each page as it was, without its random values; of all tests of this process.
    looked: ClassVar[set[str]] = set()
    faults: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        def note(message: ConsoleMessage) -> None:
            if message.type == "error" and not urlsplit(message.location["url"]).path.startswith(
                (*NOT_OURS, *(f"{settings.STATIC_URL}{app[1:]}" for app in NOT_OURS))
            ):
                self.console.append(f"{message.text} ({message.location['url']})")

        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        self.page.set_viewport_size(_window(self._sizes[0]))
        self.page.on("console", note)
        self.page.on("pageerror", lambda error: self.console.append(str(error)))

    def run(self, *paths: str) -> None:
        """Look at each of ``paths``, and at what they lead to: at some of each pattern."""
        waiting = [*paths]
        while waiting:
            path = waiting.pop(0)
            if path in self.seen or path in self.files or not (self.wanted(path) or path in paths):
                continue
            waiting += self._visit(path)

    def _visit(self, path: str) -> list[str]:
        with self.page.expect_response(lambda answer: answer.request.is_navigation_request()) as at:
            try:
                self.page.goto(path)
            except Exception as error:
                if "Download is starting" not in str(error) and "ERR_ABORTED" not in str(error):
                    raise
        answer = at.value
        if "html" not in answer.headers.get("content-type", ""):
            self.files.add(path)
            return []
        self.seen[path] = answer.status
        expected = 404 if path in PAGES_WITHOUT_LINKS else 200
        if answer.status != expected and not 300 <= answer.status < 400:
            self.faults.append(f"{path}: answered with {answer.status}")
        if urlsplit(self.page.url).path.startswith(NOT_OURS):
            self.console.clear()
            return []
        self.look(path)
        told = [text for text in self.console if str(expected) not in text or expected == 200]
        self.faults += [f"{path}: the console has an error: {text}" for text in told]
        self.console.clear()
        # By a script of ours: for a selector, Playwright puts its own of 300 KB into each page.
        links = self.page.evaluate("[...document.querySelectorAll('a[href]')].map(one => one.href)")
        return [self._path(link) for link in links if link.startswith(self.url)]

    def _path(self, link: str) -> str:
        parts = urlsplit(link)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def look(self, path: str) -> None:
        """axe-core on the page as it is, in each scheme and size, without loading it again.

        The second scheme changes colours alone, so only what is said of colours is asked again.
        """
        # Some pages are the same in an empty portal and a full one, or however a form is sent.
        html = _RANDOM.sub("", str(self.page.evaluate("document.documentElement.outerHTML")))
        if html in self.looked:
            told = self.page.evaluate("window.violations")
            self.faults += [
                f"{path}: the Content-Security-Policy forbids it: {one}" for one in told
            ]
            return
        self.looked.add(html)
        if not self.page.evaluate("'axe' in window"):
            # A script that is there from the start is compiled once, and sent once.
            self.page.add_init_script(axe_source())
            self.page.evaluate(axe_source())
        # Back in the first scheme, and the next page begins at the size at which this one ends: as
        # few changes as there can be.
        first, second = self._sizes
        self._audit(path, "light", first[0])
        self.page.emulate_media(color_scheme="dark")
        self._audit(path, "dark", first[0])
        self.page.set_viewport_size(_window(second))
        self._audit(path, "dark", second[0])
        self.page.emulate_media(color_scheme="light")
        self._audit(path, "light", second[0])
        self._sizes = second, first

    def _audit(self, path: str, scheme: str, width: int) -> None:
        self.audits += 1
        for fault in self.page.evaluate(AUDIT, scheme == "dark"):
            self.faults.append(
                f"{path} ({scheme}, {width} px): {fault['rule']} at {fault['element']}: "
                f"{fault['help']}. {fault['why']}"
            )


def _window(size: tuple[int, int]) -> ViewportSize:
    return {"width": size[0], "height": size[1]}


@pytest.fixture
def admin(transactional_db: None) -> User:
    roles.ensure_roles()
    user = User.objects.create_user("an-admin", password="a good long password")
    user.groups.add(Group.objects.get(name="admin"))
    return user


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """As everybody else's, but for scripts that run for a moment, as a page's and axe's do.

    What V8 would optimize them for never comes, and it would do so for each page anew. Swagger UI
    takes a third longer without.
    """
    with chromium("--js-flags=--no-maglev,--no-opt") as launched:
        yield launched


@pytest.fixture(scope="module")
def context(browser: Browser, live_server: Any) -> Iterator[BrowserContext]:
    """One for all tests: what axe found nothing wrong with is kept in it."""
    with _opened(browser, live_server.url) as opened:
        yield opened


@pytest.fixture
def crawl(
    context: BrowserContext, live_server: Any, admin: User, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Crawl]:
    monkeypatch.setattr("core.context.WATCH.problem", lambda: "No worker has reported.")
    with _crawl_of(context, live_server.url, admin) as crawl:
        yield crawl


@contextmanager
def _crawl_of(context: BrowserContext, url: str, user: User | None = None) -> Iterator[Crawl]:
    """A crawl as this user, or as one who is not logged in."""
    context.clear_cookies()
    if user is not None:
        log_in(context, url, user)
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield Crawl(url, page)
    page.close()


def _variety(owner: User) -> None:
    """Rows of every state, with long names and texts."""
    for state in Endpoint.State:
        endpoint = Endpoint.objects.create(
            name=f"e-{state.replace('_', '-')}-{'x' * 30}"[:53],
            bucket="bucket",
            prefix="models",
            image=f"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/{LONG}:latest",
            role_arn=f"arn:aws:iam::123456789012:role/{LONG}",
            instance_type="ml.m5.large",
            instance_count=10,
            state=state,
            failure=f"It failed: {LONG * 4}" if state == Endpoint.State.FAILED else "",
            hint="SageMaker starts the instances.",
            gone_at=timezone.now() if state == Endpoint.State.GONE else None,
            created_by=owner,
        )
        for kind in Resource.Kind:
            Resource.objects.create(endpoint=endpoint, kind=kind, name=f"{endpoint.name}-r1")
    model = RegisteredModel.objects.create(name=LONG[:63], description=f"{LONG} " * 20)
    for number, state in enumerate(Version.State, start=1):
        version = Version.objects.create(
            model=model,
            number=number,
            note=LONG * 5,
            bucket="bucket",
            key=f"models/{LONG}-{number}",
            file_name=f"{LONG * 3}.tar.gz",
            size=10**9,
            sha256=f"{number:064x}",
            state=state,
            reason=f"There is no synset.txt in {LONG * 3}."
            if state == Version.State.REJECTED
            else "",
            created_by=owner,
        )
    serving = Endpoint.objects.filter(state=Endpoint.State.IN_SERVICE).first()
    assert serving is not None
    for cold in (True, False):
        for state in Invocation.State:
            Invocation.objects.create(
                endpoint=serving,
                version=version,
                target_model=LONG,
                state=state,
                cold=cold,
                error=f"The container failed: {LONG * 3}" if state == "failed" else "",
                picture_name=f"{LONG}.png",
                predictions=[{"label": LONG, "probability": 0.5}, {"label": "b", "probability": 0}],
                latency_ms=1234.5,
                timings={"load_ms": 700.0, "decode_ms": 3.0, "infer_ms": 20.0},
                thumbnail=rows._jpeg(),
                created_by=owner,
            )
    for level in Event.Level:
        record(action="x.y", subject=model, text=f"{level}: {LONG * 3}", level=level, actor=owner)


def _one_of_each_state() -> list[str]:
    """The newest endpoint, version and call of each state; links alone lead to some of them."""
    paths = []
    for model in (Endpoint, Version):
        for state in model.State:
            newest = model._default_manager.filter(state=state).order_by("-pk").first()
            assert newest is not None, f"Let _variety make a {model.__name__} that is {state}."
            paths.append(newest.get_absolute_url())
    for state in Invocation.State:
        for cold in (True, False):
            call = Invocation.objects.filter(state=state, cold=cold).order_by("-pk").first()
            assert call is not None, f"Let _variety make a call that is {state}, cold: {cold}."
            paths.append(f"/calls/{call.pk}/")
    return paths


def _say(crawl: Crawl) -> str:
    return "\n".join(
        [
            f"{len(crawl.faults)} faults on {len(crawl.seen)} pages, in {crawl.audits} audits. "
            "Mend the template or the style; dequeuniversity.com/rules/axe explains each rule.",
            *crawl.faults,
        ]
    )


@pytest.mark.browser
def test_pages_of_an_empty_portal(crawl: Crawl) -> None:
    crawl.run("/", "/password/", "/styleguide/", "/search/?q=e", *PAGES_WITHOUT_LINKS)
    assert len(crawl.seen) > 10
    assert not crawl.faults, _say(crawl)


@pytest.mark.browser
def test_pages_of_a_full_portal(crawl: Crawl, admin: User, tmp_path: Path, settings: Any) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(ROWS, owner=admin, samples=tmp_path)
    _variety(admin)
    # A report of everything; those of the other versions are short.
    Version.objects.filter(state=Version.State.READY, model__name=LONG[:63]).update(report=REPORT)
    each_state = _one_of_each_state()
    crawl.run("/", "/password/", "/models/?q=nothing", *PAGES_WITHOUT_LINKS, *each_state)
    assert {path: crawl.seen.get(path) for path in each_state} == dict.fromkeys(each_state, 200)
    assert len(crawl.seen) > 40
    assert not crawl.faults, _say(crawl)


@pytest.mark.browser
@pytest.mark.parametrize("tag", ["tokens", "uploads", "comparisons"])
def test_pages_of_the_api_with_everything_unfolded(crawl: Crawl, tag: str) -> None:
    crawl.page.goto(f"/docs/api/{tag}/")
    crawl.page.get_by_role("button", name="Unfold all").click()
    crawl.page.locator("details.operation:not([open])").first.wait_for(state="detached")
    crawl.look(f"/docs/api/{tag}/ unfolded")
    assert crawl.audits == 2 * len(SIZES)  # in light and dark
    assert not crawl.faults, _say(crawl)


@pytest.mark.browser
def test_pages_of_who_is_not_logged_in(context: BrowserContext, live_server: Any, db: None) -> None:
    with _crawl_of(context, live_server.url) as crawl:
        crawl.run("/login/", "/no/such/page/")
        page = crawl.page
        page.goto("/login/")
        page.get_by_label("User name").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").first.wait_for()
        crawl.look("/login/ with a wrong password")
        assert not crawl.faults, _say(crawl)


#: Forms that may be sent empty, by the route of their page, and why.
MAY_BE_EMPTY = {
    "models/new/stores/<model_name:name>/groups/": "no group opens the store to everybody",
    "models/<model_name:name>/describe/": "an empty description is none",
    "models/<model_name:name>/v<int:number>/describe/": "an empty note is none",
    "endpoints/cost/budget/": "no amount is no budget",
    "endpoints/<int:pk>/end-date/": "no end date is one of the choices",
    "endpoints/<int:pk>/idle/": "no idle hours is one of the choices",
    "endpoints/<int:pk>/alarms/<int:alarm_pk>/": "what is left empty stays as it is",
    "endpoints/<int:pk>/hours/": "no working hours is one of the choices",
    "invoke/experiments/<slug:uid>/name/": "an empty name is none",
}


@pytest.mark.browser
def test_forms_with_their_errors(crawl: Crawl, admin: User, tmp_path: Path, settings: Any) -> None:
    """Each form that the crawler reaches is sent empty, by its button and without scripts."""
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(2, owner=admin, samples=tmp_path)
    page = crawl.page
    sent = set()
    for path, html in sorted(found_by_links(admin, "/", "/password/").items()):
        pattern = resolve(urlsplit(path).path).route
        if pattern in sent or not _Fields.are_in(html):
            continue
        sent.add(pattern)
        for how, send in (("its button", _CLICK), ("no script", _SUBMIT)):
            page.goto(path)
            page.evaluate(f"({send})(document.querySelector({_FIELDS!r}))")
            if pattern in MAY_BE_EMPTY:
                page.wait_for_url(lambda url, sent=path: not url.endswith(sent))  # type: ignore[misc]
                continue
            try:
                page.locator(ERRORS).first.wait_for()
            except PlaywrightTimeoutError:
                crawl.faults.append(
                    f"{path} sent empty by {how}: no error is told (none of: {ERRORS}); it is at "
                    f"{page.url}, and says: {page.locator('main').inner_text()[:200]!r}"
                )
            page.wait_for_load_state()
            crawl.look(f"{path} sent empty by {how}")
        told = [text for text in crawl.console if "responded with a status of 4" not in text]
        crawl.faults += [f"{path} sent empty: the console has an error: {text}" for text in told]
        crawl.console.clear()
    assert {"password/", "endpoints/new/", "models/new/", "invoke/"} <= sent
    assert len(sent) >= 6, sent
    assert set(MAY_BE_EMPTY) <= sent, "Take those that are there no more out of MAY_BE_EMPTY."
    assert not crawl.faults, _say(crawl)


@pytest.mark.browser
def test_pages_of_who_has_no_role(context: BrowserContext, live_server: Any, db: None) -> None:
    user = User.objects.create_user("no-role", password="a good long password")
    with _crawl_of(context, live_server.url, user) as crawl:
        crawl.page.goto("/")
        crawl.look("/ without a role")
        crawl.page.goto("/models/")
        crawl.look("/models/ without a role (403)")
        assert not crawl.faults, _say(crawl)


def test_axe_finds_what_is_wrong(browser: Browser, live_server: Any, db: None) -> None:
    """The rule can fail: no text of a picture, a page too wide, a dark colour, near targets."""
    with _opened(browser, live_server.url) as own, _crawl_of(own, live_server.url) as crawl:
        crawl.page.goto("/login/")
        crawl.page.evaluate(
            "() => { document.querySelector('main').append(document.createElement('img'));"
            " document.querySelector('main').insertAdjacentHTML('beforeend', '<p class=near>"
            '<a href="/">One</a><br><a href="/">Another</a>\');'
            " document.querySelector('.near').style.lineHeight = '12px';"
            " document.body.style.width = '3000px';"
            " const dark = matchMedia('(prefers-color-scheme: dark)');"
            " dark.addEventListener('change', () => { if (dark.matches)"
            " document.querySelector('main label').style.cssText ="
            " 'background: #000; color: #222' }); }"
        )
        crawl.look("/login/")
        for rule in ("image-alt", "overflow", "target-size", "(dark, 390 px): color-contrast"):
            assert any(rule in fault for fault in crawl.faults), crawl.faults


_WITH_A_LINK = (
    "() => {{ document.querySelector('main').insertAdjacentHTML('beforeend',"
    " '<p>A text around <a href=\"/\" class=within>a link</a></p>');"
    " document.querySelector('.within').style.cssText = '{}'; }}"
)


def test_axe_finds_what_is_wrong_on_pages_that_look_alike(
    browser: Browser, live_server: Any, db: None
) -> None:
    """What was asked of one page is not asked of the next, unless that one differs."""
    with _opened(browser, live_server.url) as own, _crawl_of(own, live_server.url) as crawl:
        for change in (
            "() => {}",
            "() => { document.querySelector('main label').style.color = '#999'; }",
            "() => { document.querySelector('main form').style.opacity = '0.3'; }",
            "() => { document.querySelector('main form').style.background = '#777'; }",
            "() => { document.querySelector('main form').style.cssText ="
            " 'position: relative; top: 0.1px; background: none'; const under ="
            " document.createElement('div'); document.querySelector('main').prepend(under);"
            " under.style.cssText = 'height: 600px; margin-bottom: -600px; background: #777'; }",
            "() => { document.querySelector('main').insertAdjacentHTML('beforeend',"
            " '<div class=table-scroll tabindex=0><table class=table><tr>"
            "<td class=pale>pale</table></div>');"
            " document.querySelector('.pale').style.color = '#999'; }",
            "() => { document.querySelector('main').insertAdjacentHTML('beforeend',"
            " '<details class=further><summary>More</summary><div class=actions>"
            '<a class=faint href="/">faint</a></div></details>\');'
            " document.querySelector('.faint').style.color = '#999'; }",
            _WITH_A_LINK.format(""),
            _WITH_A_LINK.format("text-decoration: none"),
            "() => { document.querySelector('main button').style.cssText ="
            " 'position: relative; left: 3px; background: #777'; }",
            "() => { document.querySelector('main button').textContent = ' '; }",
            "() => { document.querySelector('main label').setAttribute('for', 'elsewhere'); }",
        ):
            crawl.page.goto("/login/")
            crawl.page.evaluate(change)
            before = len(crawl.faults)
            crawl.look(f"/login/ with {change}")
            wrong = change not in {"() => {}", _WITH_A_LINK.format("")}
            assert (len(crawl.faults) > before) == wrong, (change, crawl.faults)


_SCATTERED = """
(boxes) => {
  const kinds = ["a href=/", "button", "input", "input type=checkbox", "button tabindex=-1",
    "span role=button tabindex=0"];
  document.body.innerHTML = boxes.map(([left, top, width, height], number) =>
    `<${kinds[number % kinds.length]} id=t${number} aria-label=T style="position: absolute;
      margin: 0; padding: 0; border: 0; box-sizing: border-box; appearance: none; min-width: 0;
      min-height: 0; left: ${left}px; top: ${top}px; width: ${width}px; height: ${height}px">
      </${kinds[number % kinds.length].split(" ")[0]}>`).join("");
}
"""
_TOO_SMALL = """
async () => {
  window.markSmall();
  const marked = [...document.querySelectorAll("[data-new-target]")].map((one) => one.id);
  axe.configure({rules: [{id: "target-size", selector: "*"}]});
  const {violations, incomplete} = await axe.run(document, {
    runOnly: {type: "rule", values: ["target-size"]}, elementRef: true, preload: false});
  const found = [...violations, ...incomplete].flatMap((one) => one.nodes);
  return [marked, found.map(({element}) => element.id)];
}
"""


def test_axe_is_asked_of_each_target_that_it_finds_too_small(
    browser: Browser, live_server: Any, db: None
) -> None:
    chance = random.Random(7)
    boxes = [
        [chance.randrange(1200), chance.randrange(800), chance.choice((8, 16, 23, 24, 60)),
         chance.choice((8, 16, 23, 24, 40))]
        for _ in range(200)
    ]  # fmt: skip
    with _opened(browser, live_server.url) as own, _crawl_of(own, live_server.url) as crawl:
        page = crawl.page
        page.goto("/login/")
        page.evaluate(axe_source())
        page.evaluate(_SCATTERED, boxes)
        marked, found = map(set, page.evaluate(_TOO_SMALL))
        assert found <= marked, f"axe was not asked of {sorted(found - marked)}"
        assert len(found) > 20
        assert len(marked) < len(boxes) - 20
