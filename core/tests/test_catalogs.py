"""The compiled catalogs: made where they are missing or out of date, and in no other case."""

import gettext
import os
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError

from core import catalogs

_PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Yes"\nmsgstr "{}"\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "room" / "locale" / "ko" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    path.write_text(_PO.format("예"))
    return path


def _says(source: Path) -> str:
    with source.with_suffix(".mo").open("rb") as file:
        return gettext.GNUTranslations(file).gettext("Yes")


def test_it_is_made_once(source: Path, tmp_path: Path) -> None:
    assert catalogs.compile_changed(tmp_path) == [source]
    assert _says(source) == "예"
    made = source.with_suffix(".mo").stat().st_mtime_ns
    assert catalogs.compile_changed(tmp_path) == []
    assert source.with_suffix(".mo").stat().st_mtime_ns == made


def test_a_changed_source_is_compiled_also_where_its_time_is_older(
    source: Path, tmp_path: Path
) -> None:
    catalogs.compile_changed(tmp_path)
    source.write_text(_PO.format("네"))
    os.utime(source, (0, 0))  # as an archive that was unpacked has it
    catalogs.compile_changed(tmp_path)
    assert _says(source) == "네"


def test_one_without_a_source_is_removed(source: Path, tmp_path: Path) -> None:
    catalogs.compile_changed(tmp_path)
    source.unlink()
    catalogs.compile_changed(tmp_path)
    assert not list(tmp_path.rglob("*.mo"))


def test_a_source_that_is_broken_is_told(source: Path, tmp_path: Path) -> None:
    source.write_text('<<<<<<< HEAD\nmsgid "Yes"\n')
    with pytest.raises(PoFileError):
        catalogs.compile_changed(tmp_path)
