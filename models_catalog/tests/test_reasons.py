"""The reason of a rejection: in the reader's language, with the container's words quoted."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from activity.models import Event
from core import sentences
from models_catalog import publication, reasons
from models_catalog.models import Version
from tests.artifacts import constant_network, pack


def _rejected(upload: Callable[..., Version], path: Path) -> Version:
    version = upload(path)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == Version.State.REJECTED
    return version


def test_all_missing_files_are_told_in_the_readers_language(
    upload: Callable[..., Version], archives: Path, client_of: Callable[[str], Client]
) -> None:
    files = constant_network(labels=["a"], answer=0)
    kept = {name: data for name, data in files.items() if name.endswith(("symbol.json", ".params"))}
    version = _rejected(upload, pack(archives / "a.tar.gz", kept))
    english = "2 files are missing at the top of the archive: tiny-shapes.json, synset.txt."
    assert version.reason == english
    event = Event.objects.get(action="version.rejected")
    assert event.sentence == f"Rejected digits v1: {english}"
    with translation.override("ko"):
        korean = str(version.said)
        assert "빠진 파일이 2개 있습니다: tiny-shapes.json, synset.txt" in korean
        assert korean in event.sentence
    client = client_of("viewer")
    page = client.get(version.get_absolute_url(), headers={"Accept-Language": "ko"})
    assert korean in page.content.decode()


def test_what_the_container_found_is_named_by_kind_and_quoted(
    upload: Callable[..., Version], archives: Path
) -> None:
    path = archives / "a.tar.gz"
    path.write_bytes(gzip.compress(b"no tar at all" * 99))
    version = _rejected(upload, path)
    assert version.reason.startswith(
        "What is inside is no tar archive, or it is damaged. The container says: “The archive"
    )
    with translation.override("ko"):
        assert "컨테이너의 메시지: “The archive" in str(version.said)


def test_a_command_in_a_reason_is_code_on_every_page(
    upload: Callable[..., Version], archives: Path, client_of: Callable[[str], Client]
) -> None:
    path = archives / "a.tar.gz"
    path.write_bytes(b"no gzip at all")
    version = _rejected(upload, path)
    assert "`tar -C FOLDER -czf NAME.tar.gz .`" in version.reason
    client = client_of("admin")
    for address in (version.get_absolute_url(), "/", "/activity/"):
        page = client.get(address).content.decode()
        assert "<code>tar -C FOLDER -czf NAME.tar.gz .</code>" in page, address
        assert "`tar" not in page, address


def test_a_row_from_before_keeps_its_text(db: None) -> None:
    version = Version(state="rejected", reason="It lacks synset.txt.")
    with translation.override("ko"):
        assert str(version.said) == "It lacks synset.txt."


@pytest.mark.parametrize(
    ("parameters", "ends"),
    [
        (
            {"missing": ["NAME-symbol.json"], "found": ["resnet 18/r-symbol.json"],
             "command": "tar -C 'resnet 18' -czf NAME.tar.gz ."},
            "Found resnet 18/r-symbol.json in a folder; pack with: tar -C 'resnet 18' -czf "
            "NAME.tar.gz .",
        ),
        (
            {"missing": ["a-0000.params"], "others": ["b-0000.params"], "beside": "a-symbol.json"},
            "Found b-0000.params, but the names must agree with a-symbol.json.",
        ),
        (
            {"missing": ["synset.txt"], "found": ["x/synset.txt"], "command": ""},
            "Found x/synset.txt: all files must lie in one folder.",
        ),
        (
            {"folders": ["'a'", "'b'"], "command": "tar -C a -czf NAME.tar.gz ."},
            "Pack one of them with: tar -C a -czf NAME.tar.gz .",
        ),
        ({"networks": ["a", "b"]}, "One archive holds one network."),
        ({}, "The container says: “No.”"),
        ({"missing": "x"}, "The container says: “No.”"),
    ],
)  # fmt: skip
def test_what_a_refusal_tells_of_files_becomes_a_sentence(
    parameters: dict[str, Any], ends: str
) -> None:
    error = {"code": "missing_file", "message": "No.", "parameters": parameters}
    assert reasons.of_error(error).english().endswith(ends)


def test_an_unknown_kind_is_quoted_too() -> None:
    said = reasons.of_error({"code": "new_kind", "message": "No."})
    assert said.english() == "The archive was not accepted. The container says: “No.”"


def test_every_kind_that_the_preflight_reports_has_a_sentence() -> None:
    root = Path(reasons.__file__).parents[1] / "container"
    known = {code.removeprefix("rejected.") for code in sentences.registered()}
    for code in ("not_gzip", "missing_file", "bad_params", "predict_failed"):
        assert any(f'"{code}"' in path.read_text() for path in root.glob("*.py")), code
        assert code in known
