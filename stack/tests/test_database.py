"""What the last line of a start may say of the administrator's password, and what is cleared."""

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from stack.database import _note_password, password_changed
from stack.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.from_environment({"LOCAL_DIR": str(tmp_path / "local")})
    made.make_folders()
    (made.local_dir / "admin-password").write_text("the first one\n")
    return made


def test_a_password_that_was_changed_is_not_told(db: None, layout: Layout) -> None:
    admin = User.objects.create_superuser("admin", password="the first one")
    _note_password(layout)
    assert not password_changed(layout)
    admin.set_password("another one")
    admin.save()
    _note_password(layout)
    assert password_changed(layout)


def test_what_killed_uploads_left_is_cleared(layout: Layout) -> None:
    temporary = layout.local_dir / "tmp"
    (temporary / "check-1").mkdir()
    (temporary / "check-1" / "archive.tar.gz").write_bytes(b"half")
    (temporary / "upload").write_bytes(b"half")
    os.symlink("/etc", temporary / "link")
    layout.clear_temporary()
    assert os.listdir(temporary) == []
    assert Path("/etc/passwd").exists()
