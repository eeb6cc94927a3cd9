"""A page with all that it loads is below 150 KB, compressed and without pictures.

Its styles and scripts are the files of the repository, or of a package: nothing builds them.
"""

import gzip
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles import finders
from django.db import transaction
from django.test import Client, override_settings

from accounts import roles
from tests.rules import rows
from tests.rules.subjects import addresses

# Every page is rendered, with 60 rows of everything.
pytestmark = [pytest.mark.slow, pytest.mark.django_db]
#: In bytes. What gzip makes of each file counts, as a proxy or WhiteNoise sends it.
MOST = 150_000
ROOT = Path(settings.BASE_DIR)
_LOADS = re.compile(r"<(?:link|script)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"")
_IMPORTS = re.compile(r"""(?:@import\s+|\burl\(|\bfrom\s+|\bimport\s*\(?)["']([^"')]+)["']""")


def loads(html: str) -> list[str]:
    """The addresses of styles and scripts that a page names, once each."""
    found = [url for url in _LOADS.findall(html) if not url.endswith(".html")]
    return sorted({urlsplit(url).path for url in found})


def file_of(url: str) -> Path:
    """The static file that an address shows."""
    found = finders.find(url.removeprefix("/").removeprefix(settings.STATIC_URL.strip("/") + "/"))
    assert found, f"There is no static file for {url}."
    return Path(str(found))


@cache
def all_of(url: str) -> dict[str, Path]:
    """The file of an address, and those that it names itself."""
    found: dict[str, Path] = {}
    waiting = [url]
    while waiting:
        at = waiting.pop()
        found[at] = file_of(at)
        if found[at].suffix in (".css", ".js"):
            for other in _IMPORTS.findall(found[at].read_text(encoding="utf-8")):
                if found[at].suffix == ".js" and not other.startswith("."):
                    continue  # a browser loads no bare name: it is a text of a bundle
                beside = str(Path(at).parent / other)
                if beside not in found and not other.startswith(("/", "http", "data:")):
                    waiting.append(beside)
    return found


def size(content: bytes) -> int:
    return len(gzip.compress(content, 6))


@cache
def size_of(file: Path) -> int:
    """The size of a file; most pages load the same ones."""
    return size(file.read_bytes())


@pytest.fixture(scope="module")
def pages(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The HTML of every page as an admin sees it, by its path, with 60 rows of everything."""
    samples = tmp_path_factory.mktemp("samples")
    where = override_settings(SAMPLES_DIR=str(samples))
    with django_db_blocker.unblock(), where, transaction.atomic():
        try:
            return _pages(samples)
        finally:
            transaction.set_rollback(True)


def _pages(samples: Path) -> dict[str, str]:
    roles.ensure_roles()
    admin = User.objects.create_user("an-admin")
    admin.groups.add(Group.objects.get(name=roles.ADMIN))
    built = rows.build(60, owner=admin, samples=samples)
    client = Client()
    client.force_login(admin)
    found = {}
    for address in addresses():
        if address.route.startswith("admin/"):
            continue  # Django's own pages
        for arguments in built.arguments(address):
            path = address.url(arguments)
            answer = client.get(path)
            if answer.status_code == 200 and "text/html" in answer.headers["Content-Type"]:
                found[path] = answer.content.decode()
    found["/login/"] = Client().get("/login/").content.decode()
    return found


def test_every_page_is_light(pages: dict[str, str]) -> None:
    assert len(pages) > 12
    weights = {}
    for path, html in pages.items():
        files = {url: file for one in loads(html) for url, file in all_of(one).items()}
        parts = {url: size_of(file) for url, file in files.items()}
        weights[path] = (size(html.encode()) + sum(parts.values()), parts)
    heavy = {path: found for path, found in weights.items() if found[0] > MOST}
    assert max(total for total, _ in weights.values()) > 20_000, "nothing was weighed"
    assert not heavy, f"Above {MOST} bytes compressed, with what each loads: {heavy}"


def test_nothing_builds_what_pages_load(pages: dict[str, str]) -> None:
    files = {
        file for html in pages.values() for one in loads(html) for file in all_of(one).values()
    }
    assert len(files) > 5
    for file in files:
        ours = file.is_relative_to(ROOT / "static")
        installed = "site-packages" in file.parts
        assert ours or installed, f"{file} is neither in static/ nor of a package."
        if ours and file.suffix in (".css", ".js"):
            text = file.read_text(encoding="utf-8")
            assert "sourceMappingURL" not in text, f"{file} is the output of a build."


def test_pages_load_from_the_portal_alone(pages: dict[str, str]) -> None:
    elsewhere = {
        path: found
        for path, html in pages.items()
        if (found := [url for url in _LOADS.findall(html) if urlsplit(url).netloc])
    }
    assert not elsewhere
