"""Pictures of the running portal: a contact sheet of all pages, and the screenshots of the README.

`make pictures` takes them from the stack that runs (`make up`, by LOCAL_DIR and PORT), or from one
that it starts for itself where none does, with some more models. The sheets are in
LOCAL_DIR/pictures: every page that links of an admin's lead to, one of each kind, and /styleguide/,
in both schemes, both languages, 1280 and 390 px wide. With --readme it writes docs/pictures/ as
well, each below 200 KB.

The styleguide is shown where the stack runs with STYLEGUIDE=1 or DEBUG=1.
"""

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image, ImageDraw, ImageFont

from stack.layout import ROOT, Layout
from tests.artifacts import constant_archive, constant_network, pack
from tests.conftest import chromium
from tests.stack import Stack

LANGUAGES = {"en": "en-GB", "ko": "ko-KR"}
SCHEMES = ("light", "dark")
WIDTHS = {1280: 800, 390: 844}
#: Not taken: Django's own pages, what is a file, and what changes something.
LEFT_OUT = re.compile(
    r"^/(admin|logout|static)/|(?<!^/docs/api)/(try|download|sample|thumbnail|kept|picture|csv|json)/"
    r"|\.(csv|json)$"
)
#: Pages that no link leads to.
WITHOUT_LINKS = ("/styleguide/", "/search/?q=d", "/no/such/page/")
#: No page of the sheet is shown longer than this, in pixels.
LONGEST = 3000
ACROSS = {1280: 5, 390: 10}
GAP, TITLE = 24, 28
MOST_BYTES = 200_000
#: What a picture of the README is about, where that is not the beginning of the page.
MEANT = {"answer": "#answer", "metrics": "section:has(> .halves)"}
NO_FONT = (
    "Chromium has no Korean font: install one (Debian: apt-get install fontconfig fonts-nanum) "
    "and try again."
)


@dataclass
class Portal:
    """A portal that answers at ``url``, and the password of its user ``admin``."""

    url: str
    password: str


@contextlib.contextmanager
def portal() -> Iterator[Portal]:
    """The stack that runs, or one of our own for as long as the block runs."""
    layout = Layout.from_environment()
    password = layout.local_dir / "admin-password"
    with contextlib.suppress(urllib.error.URLError, OSError):
        with urllib.request.urlopen(f"{layout.url}/login/", timeout=10):
            yield Portal(layout.url, password.read_text().strip())
        return
    print("No stack runs here, so one is started for the pictures; that takes a minute.")
    demo = layout.local_dir / "demo"
    os.environ["STYLEGUIDE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        own = Stack(Path(folder) / "stack", demo if demo.is_dir() else None)
        try:
            own.start()
            fill(own, Path(folder))
            yield Portal(own.url, own.admin_password)
        finally:
            own.stop()


#: What a stack of our own is given besides the demo: models with a description and labels.
MODELS = {
    "animals": ("Animals in front of the cameras of the farm.", ["cow", "horse", "sheep"]),
    "fruit": ("Sorts fruit on the belt by kind.", ["apple", "pear", "plum", "quince"]),
    "line-4-defects": (
        "Finds scratches and dents on parts of line 4.",
        ["good", "scratch", "dent"],
    ),
    "receipts": ("Tells receipts from other papers.", ["receipt", "other"]),
    "street-signs": ("Signs in Seoul, by day and by night.", ["stop", "yield", "one way"]),
}
_UPLOAD = """
from pathlib import Path
from django.contrib.auth.models import User
from models_catalog.services import upload_version
for name, description, note, path in {uploads!r}:
    with Path(path).open("rb") as file:
        upload_version(
            name=name, description=description, note=note, file=file, file_name=Path(path).name,
            actor=User.objects.get(username="admin"),
        )
"""
_WAITING = """
from models_catalog.models import Version
print(Version.objects.filter(state__in=Version.UNSETTLED).count())
"""


def fill(own: Stack, folder: Path) -> None:
    """Give a stack of our own some models and a version that is rejected."""
    uploads = []
    for name, (description, labels) in MODELS.items():
        path = constant_archive(folder / f"{name}.tar.gz", labels=labels, answer=0)
        uploads.append(
            (name, description, f"The first that knows {len(labels)} labels.", str(path))
        )
    without = constant_network(labels=["a", "b"], answer=0)
    del without["synset.txt"]
    path = pack(folder / "animals-2.tar.gz", without)
    uploads.append(("animals", "", "Trained on the pictures of the summer.", str(path)))
    own.manage("shell", "--no-imports", "--command", _UPLOAD.format(uploads=uploads))
    deadline = time.monotonic() + 120
    while int(own.manage("shell", "--no-imports", "--command", _WAITING)):
        if time.monotonic() > deadline:
            raise SystemExit("The models for the pictures were not validated within 120 s.")


def log_in(page: Any, found: Portal) -> None:
    """Log the page's context in as admin."""
    page.goto("/login/")
    page.locator("#id_username").fill("admin")
    page.locator("#id_password").fill(found.password)
    page.locator("#id_password").press("Enter")
    page.locator(".topbar").wait_for()


def kind(path: str) -> str:
    """What pages have in common that look alike: their address without numbers and names."""
    parts = urlsplit(path).path.split("/")
    if parts[1] == "models" and len(parts) > 3 and parts[2] != "new":
        parts[2] = "NAME"
    if parts[1] == "problems" and len(parts) > 2 and parts[2]:
        parts[2] = "CODE"
    if parts[1:3] == ["docs", "api"] and len(parts) > 3 and parts[3] not in {"", "try"}:
        parts[3] = "TAG"
    return re.sub(r"\d+", "#", "/".join(parts))


def crawl(page: Any, base: str) -> list[str]:
    """One address of each kind that links lead to, from the first page on."""
    waiting, kinds, paths = ["/", *WITHOUT_LINKS], set(), []
    while waiting:
        path = waiting.pop(0)
        if LEFT_OUT.search(path) or kind(path) in kinds:
            continue
        kinds.add(kind(path))
        answer = page.goto(path)
        if answer is None or "html" not in answer.headers.get("content-type", ""):
            continue
        if kind(page.url.removeprefix(base)) != kind(path):  # it leads to another page
            waiting.append(urlsplit(page.url).path)
            continue
        if path == "/styleguide/" and answer.status == 404:
            print("No styleguide: start the stack with STYLEGUIDE=1 to have it on the sheet.")
            continue
        paths.append(path)
        for link in page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)"):
            parts = urlsplit(link)
            if link.startswith(base) and not parts.query:
                waiting.append(parts.path)
    return paths


def call(page: Any) -> str:
    """Call the newest model of digits with some samples: cold, then warm. Gives the last answer."""
    page.goto("/models/digits/")
    links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)")
    form = next(link for link in links if "/invoke/?" in link)
    for sample in (2, 4, 0):
        page.goto(form)
        before = _answers(page)
        page.locator("main button:has(img)").nth(sample).click()
        deadline = time.monotonic() + 120
        while True:
            if time.monotonic() > deadline:
                raise SystemExit("No answer came to the call of a sample within 120 s.")
            page.wait_for_timeout(500)
            page.goto("/invoke/")
            new = [path for path in _answers(page) if path not in before]
            if not new:
                continue
            page.goto(new[0])
            if page.locator("[hx-trigger^=every]").count() == 0:
                break
    return str(new[0])


def call_side_by_side(page: Any) -> str:
    """Call all versions of digits, and another model, with one sample; gives the answers' page."""
    page.goto("/models/digits/")
    links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)")
    page.goto(next(link for link in links if "/invoke/?" in link))
    page.locator("details:has(#others) > summary").click()
    page.locator("#others").fill("digits:1, shapes:1")
    page.locator("main button:has(img)").nth(2).click()
    link = page.locator("#answer a[href*='/calls/side/']").first
    link.wait_for()
    path = link.evaluate("(one) => one.pathname")
    page.goto(path)
    _wait_until_still(page)
    return str(path)


def experiment(page: Any) -> str:
    """Make 300 calls of the demo's models; gives the page of the experiment."""
    page.goto("/invoke/experiments/new/")
    fields = {"models": "digits:*, shapes:1", "calls": "300", "draw": "zipf:1.1", "name": "Zipf"}
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("form.card .button.primary").click()
    page.wait_for_url(re.compile(r"/invoke/experiments/\w{20,}/$"))
    _wait_until_still(page)
    return urlsplit(page.url).path


def _wait_until_still(page: Any) -> None:
    """Until no part of the page asks for itself again."""
    deadline = time.monotonic() + 180
    while page.locator("[hx-trigger*=every]").count():
        if time.monotonic() > deadline:
            raise SystemExit(f"{page.url} was not done within 180 s.")
        page.wait_for_timeout(500)
        page.reload()


def _answers(page: Any) -> list[str]:
    """Addresses of calls that a page links to."""
    links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.pathname)")
    return [path for path in links if re.fullmatch(r"/calls/\d+/", path)]


def sheet(shots: list[tuple[str, Image.Image]], width: int, to: Path) -> None:
    """All shots of one scheme, language and width as one picture."""
    across = ACROSS[width]
    thumb = 2400 // across
    font = ImageFont.load_default(14)
    small = [
        (name, shot.resize((thumb, shot.height * thumb // shot.width))) for name, shot in shots
    ]
    rows = [small[n : n + across] for n in range(0, len(small), across)]
    heights = [max(shot.height for _, shot in row) + TITLE + GAP for row in rows]
    whole = Image.new("RGB", (across * (thumb + GAP) + GAP, sum(heights) + GAP), "#8a9099")
    draw, top = ImageDraw.Draw(whole), GAP
    for row, height in zip(rows, heights, strict=True):
        for n, (name, shot) in enumerate(row):
            left = GAP + n * (thumb + GAP)
            draw.text((left, top), name, "white", font)
            whole.paste(shot, (left, top + TITLE))
        top += height
    whole.save(to, quality=88)
    print(f"{to} ({len(shots)} pages)")


def take_sheets(browser: Any, found: Portal, folder: Path) -> None:
    """Every page in every scheme, language and width."""
    paths: list[str] = []
    for language, width in product(LANGUAGES, WIDTHS):
        with opened(browser, found.url, language, width) as page:
            page.goto("/login/")
            first = {scheme: _shot(page, scheme) for scheme in SCHEMES}
            log_in(page, found)
            paths = paths or crawl(page, found.url)
            shots = {scheme: [("/login/", first[scheme])] for scheme in SCHEMES}
            for path in paths:
                page.goto(path)
                for scheme in SCHEMES:
                    shots[scheme].append((path, _shot(page, scheme)))
            for scheme in SCHEMES:
                sheet(shots[scheme], width, folder / f"{language}-{scheme}-{width}.jpg")


def _shot(page: Any, scheme: str) -> Image.Image:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    return shot.crop((0, 0, shot.width, min(shot.height, LONGEST)))


@contextlib.contextmanager
def opened(
    browser: Any, url: str, language: str, width: int, height: int = 0, scale: float = 1
) -> Iterator[Any]:
    """A page of a new context, in a language and a size."""
    context = browser.new_context(
        base_url=url,
        locale=LANGUAGES[language],
        timezone_id="Asia/Seoul",
        viewport={"width": width, "height": height or WIDTHS[width]},
        device_scale_factor=scale,
    )
    yield context.new_page()
    context.close()


def take_readme(browser: Any, found: Portal, folder: Path) -> None:
    """The pictures of both READMEs, below MOST_BYTES each."""
    for language in LANGUAGES:
        with opened(browser, found.url, language, 1280, 760, scale=1.5) as page:
            log_in(page, found)
            page.goto("/endpoints/")
            links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.pathname)")
            endpoint = next((one for one in links if re.fullmatch(r"/endpoints/\d+/", one)), "")
            if not endpoint:
                raise SystemExit("The stack has no endpoint to take a picture of.")
            subjects = {
                "catalog": "/models/",
                "endpoint": endpoint,
                "answer": call(page),
                "side-by-side": call_side_by_side(page),
                "experiment": experiment(page),
                "metrics": f"{endpoint}metrics/?range=1h",
            }
            for name, path in subjects.items():
                page.goto(path)
                page.emulate_media(color_scheme="light", reduced_motion="reduce")
                if name in MEANT:
                    page.locator(MEANT[name]).first.evaluate("part => part.scrollIntoView()")
                ending = "" if language == "en" else f".{language}"
                _save(page.screenshot(), folder / f"{name}{ending}.png")


def _save(png: bytes, to: Path) -> None:
    """As a PNG of 256 colours, smaller and smaller until it is below MOST_BYTES."""
    shot = Image.open(io.BytesIO(png)).convert("RGB")
    while True:
        shot.quantize(256, dither=Image.Dither.NONE).save(to, optimize=True)
        if to.stat().st_size < MOST_BYTES:
            print(f"{to} ({shot.width} × {shot.height}, {to.stat().st_size // 1000} KB)")
            return
        shot = shot.resize((shot.width * 9 // 10, shot.height * 9 // 10))


def has_korean_font() -> bool:
    """Whether fontconfig knows a font for Korean."""
    if not shutil.which("fc-list"):
        return False
    listed = subprocess.run(["fc-list", ":lang=ko", "family"], capture_output=True, check=True)
    return bool(listed.stdout.strip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--readme", action="store_true", help="write docs/pictures/ as well")
    parser.add_argument("--only-readme", action="store_true", help="no contact sheets")
    options = parser.parse_args()
    if not has_korean_font():
        print(NO_FONT, file=sys.stderr)
        return 1
    with portal() as found, chromium("--hide-scrollbars") as browser:
        if options.readme or options.only_readme:
            folder = ROOT / "docs" / "pictures"
            folder.mkdir(exist_ok=True)
            take_readme(browser, found, folder)
        if not options.only_readme:
            folder = Layout.from_environment().local_dir / "pictures"
            folder.mkdir(parents=True, exist_ok=True)
            take_sheets(browser, found, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
