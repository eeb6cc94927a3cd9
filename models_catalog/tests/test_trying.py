"""Archives to try an upload with."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.artifacts import constant_archive

GOOD, BROKEN = (reverse("models_catalog:try", args=[kind]) for kind in ("good", "broken"))


@pytest.fixture
def demo(archives: Path, settings: Any) -> Path:
    """The archive that DEMO_ARCHIVE names."""
    path = constant_archive(archives / "digits_v2.tar.gz", labels=["a"], answer=0)
    settings.DEMO_ARCHIVE = str(path)
    return path


@pytest.mark.not_quick
def test_both_are_downloaded_by_whoever_may_upload(
    client_of: Callable[[str], Client], demo: Path, client: Client
) -> None:
    operator, admin = client_of("operator"), client_of("admin")
    for url in (GOOD, BROKEN):
        assert f'href="{url}"' in operator.get("/models/").content.decode()
        assert f'href="{url}"' in operator.get("/models/new/").content.decode()
        assert client.get(url).status_code == 302
        assert admin.get(url).status_code == 200
    good, broken = operator.get(GOOD), operator.get(BROKEN)
    assert good.content == demo.read_bytes()
    named = good.headers["Content-Disposition"]
    assert named == 'attachment; filename="digits-operator-user.tar.gz"'
    named = broken.headers["Content-Disposition"]
    assert named == 'attachment; filename="digits-operator-user-broken.tar.gz"'
    with tarfile.open(fileobj=io.BytesIO(broken.content)) as tar:
        assert sorted(tar.getnames()) == ["tiny-0000.params", "tiny-symbol.json"]


@pytest.mark.parametrize("path", ["", "/nothing/there.tar.gz"])
def test_without_one_there_is_no_link_and_no_page(
    client_of: Callable[[str], Client], settings: Any, path: str
) -> None:
    settings.DEMO_ARCHIVE = path
    client = client_of("operator")
    assert "No archive at hand?" not in client.get("/models/new/").content.decode()
    assert client.get(GOOD).status_code == 404


def test_a_viewer_gets_none(client_of: Callable[[str], Client], demo: Path) -> None:
    assert client_of("viewer").get(GOOD).status_code == 403
    assert client_of("operator").get(GOOD.replace("good", "other")).status_code == 404
