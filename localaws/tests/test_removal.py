"""What an instance's model left is removed, whatever it is."""

import os
from pathlib import Path

import pytest

from localaws.removal import remove


@pytest.mark.processes
def test_folders_deeper_than_python_follows_and_closed_ones_are_removed(tmp_path: Path) -> None:
    """shutil's own removal raises RecursionError, and with it localaws did not start."""
    folder = tmp_path / "instance"
    folder.mkdir()
    inner = os.open(folder, os.O_RDONLY)
    for number in range(1500):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        if number == 700:
            os.chmod("d", 0, dir_fd=outer)
        os.close(outer)
    os.close(inner)

    remove(folder)

    assert not folder.exists()


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "none")
