"""Notes on an archive: what they are about is translated, what the container says is quoted."""

import re
from pathlib import Path

from django.conf import settings
from django.test import Client
from django.utils import translation

from models_catalog.models import RegisteredModel, Version
from models_catalog.noted import SUBJECTS, Noted

_CODE = re.compile(r"""(?:\bNote|\.note)\(\s*"([a-z_]+)"|^        "([a-z_]+_left_out)": """, re.M)


def test_every_note_of_the_container_has_a_subject_and_no_other() -> None:
    files = (Path(settings.BASE_DIR) / "container").glob("*.py")
    found = {one or other for file in files for one, other in _CODE.findall(file.read_text())}
    assert len(found) > 10
    assert found == set(SUBJECTS)


def test_a_korean_reader_has_the_subject_in_korean_and_the_words_as_they_are(
    admin_client: Client,
) -> None:
    said = "The network lies in the folder 'export' of the archive."
    version = Version.objects.create(
        model=RegisteredModel.objects.create(name="digits"),
        number=1,
        size=1,
        state=Version.State.READY,
        report={"archive": {"notes": [{"code": "folder", "message": said}]}},
    )
    page = admin_client.get(version.get_absolute_url(), headers={"Accept-Language": "ko"})
    (notes,) = re.findall(r'id="notes".*?</section>', page.content.decode(), re.S)
    assert "폴더:" in notes
    assert '<q lang="en">The network lies in the folder' in notes


def test_a_code_of_a_later_container_is_quoted_alone() -> None:
    with translation.override("ko"):
        assert Noted.of({"code": "news", "message": "New."}) == Noted("", "New.")
