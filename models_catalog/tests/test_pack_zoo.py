"""`manage.py pack_zoo`: what the packing program makes is uploaded, what it refuses is not.

The program itself (demo/zoo.py) is tested beside it, against a stand-in for the model zoo.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from models_catalog import publication
from models_catalog.models import Version
from tests.artifacts import constant_archive


def _program(folder: Path, code: str) -> list[str]:
    script = folder / "program.py"
    script.write_text(code)
    return [sys.executable, str(script)]


def test_what_was_packed_becomes_a_version_that_is_checked(
    db: None, store: str, archives: Path, settings: Any
) -> None:
    packed = constant_archive(archives / "packed.tar.gz", labels=["a", "b"], answer=1)
    settings.PACK_ZOO_COMMAND = _program(
        archives,
        "import shutil, sys\n"
        "network, out, path, synset, file = sys.argv[1:]\n"
        "assert (network, out, synset, file) == ('resnet18_v1', '--out', '--synset', 'labels')\n"
        f"shutil.copy({str(packed)!r}, path)\n",
    )
    call_command("pack_zoo", "resnet18_v1", "--synset", "labels")
    version = Version.objects.get()
    assert (str(version), version.size) == ("resnet18_v1 v1", packed.stat().st_size)
    publication.check_version(version_pk=version.pk)
    version.refresh_from_db()
    assert version.state == "ready"


def test_where_packing_fails_nothing_is_uploaded(
    db: None, store: str, archives: Path, settings: Any
) -> None:
    settings.PACK_ZOO_COMMAND = _program(archives, "raise SystemExit('no internet')")
    with pytest.raises(CommandError, match="nothing was uploaded"):
        call_command("pack_zoo", "resnet18_v1")
    settings.PACK_ZOO_COMMAND = ["/nowhere/python"]
    with pytest.raises(CommandError, match="cannot be run"):
        call_command("pack_zoo", "resnet18_v1")
    assert not Version.objects.exists()


def test_without_the_zoo_the_real_program_says_so(
    db: None, store: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    with pytest.raises(CommandError):
        call_command("pack_zoo", "squeezenet1.0")
    assert "MXNET_GLUON_REPO" in "".join(capfd.readouterr())
    assert not Version.objects.exists()


def test_a_name_that_is_none_is_refused_before_anything_is_fetched(db: None) -> None:
    with pytest.raises(CommandError, match="no name for a model"):
        call_command("pack_zoo", "resnet18_v1", "--name", "Not A Name")
