"""Folders and ports of a stack, and what is said where one of them will not do."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from stack.layout import BUCKET, ROOT, Layout
from stack.stack_error import StackError


def test_defaults_are_the_documented_ones() -> None:
    layout = Layout.from_environment({})

    assert layout.local_dir == ROOT / ".local"
    assert layout.ports() == {
        "PORT": 8000,
        "LOCALAWS_PORT": 4566,
        "S3_PORT": 9000,
        "REDIS_PORT": 6380,
    }


def test_a_relative_folder_is_below_the_checkout() -> None:
    assert Layout.from_environment({"LOCAL_DIR": "other"}).local_dir == ROOT / "other"


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "8000.5", "٨٠"])
def test_a_port_that_is_none_is_named(text: str) -> None:
    with pytest.raises(StackError, match="S3_PORT must be a port number from 1 to 65535"):
        Layout.from_environment({"S3_PORT": text})


def test_two_parts_on_one_port_are_named() -> None:
    with pytest.raises(StackError, match="PORT and S3_PORT are both 9000"):
        Layout.from_environment({"PORT": "9000"})


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("name", ["PORT", "LOCALAWS_PORT", "S3_PORT", "REDIS_PORT"])
def test_a_taken_port_names_its_variable(tmp_path: Path, name: str, address: str) -> None:
    ports = _free_ports(4)
    environment = dict(zip(Layout(tmp_path).ports(), map(str, ports), strict=True))
    layout = Layout.from_environment(environment | {"LOCAL_DIR": str(tmp_path)})
    layout.check_ports_free()

    with socket.socket() as taken:
        taken.bind((address, layout.ports()[name]))
        taken.listen()
        with pytest.raises(StackError) as raised:
            layout.check_ports_free()

    assert f"Port {layout.ports()[name]} for " in str(raised.value)
    assert f"Choose another with {name}, for example `make up {name}=" in str(raised.value)


def test_a_port_that_is_freed_within_some_seconds_is_waited_for(tmp_path: Path) -> None:
    """As that of a process that was killed, and whose threads have not all ended."""
    ports = _free_ports(4)
    environment = dict(zip(Layout(tmp_path).ports(), map(str, ports), strict=True))
    layout = Layout.from_environment(environment | {"LOCAL_DIR": str(tmp_path)})
    taken = socket.create_server(("127.0.0.1", layout.s3_port))
    later = threading.Timer(0.3, taken.close)
    later.start()
    try:
        with pytest.raises(StackError):
            layout.check_ports_free()
        layout.check_ports_free(within_s=30)
    finally:
        later.join()


def test_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "deep" / "local")

    layout.make_folders()
    layout.make_folders()

    assert layout.local_dir.stat().st_mode & 0o777 == 0o700
    assert (layout.local_dir / "s3" / BUCKET).is_dir()


def test_what_an_earlier_version_left_open_below_the_folder_is_closed(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "local")
    layout.make_folders()
    database, program = layout.local_dir / "db.sqlite3", layout.local_dir / "s3" / "run"
    database.touch()
    program.touch()
    database.chmod(0o644)
    program.chmod(0o755)
    logs = layout.local_dir / "logs"
    logs.chmod(0o755)
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o644)
    (layout.local_dir / "link").symlink_to(outside)

    layout.remove_access_of_others()

    modes = [path.stat().st_mode & 0o777 for path in (database, program, logs, outside)]
    assert modes == [0o600, 0o700, 0o700, 0o644]


def test_folders_deeper_than_python_follows_do_not_keep_the_stack_from_starting(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path / "local")
    layout.make_folders()
    killed = layout.local_dir / "tmp" / "mme-check-killed"
    served = layout.local_dir / "localaws"
    try:
        for start in (killed, served):
            start.mkdir(exist_ok=True)
            _make_deep_folders(start)
        deepest = served.joinpath(*["d"] * _DEEP)
        deepest.chmod(0o755)

        layout.clear_temporary()
        layout.remove_access_of_others()

        assert list((layout.local_dir / "tmp").iterdir()) == []
        assert deepest.stat().st_mode & 0o777 == 0o700
    finally:  # pytest cannot remove them
        subprocess.run(["rm", "-rf", str(layout.local_dir)], check=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"Cannot write to .*/file/local.*LOCAL_DIR"):
        Layout(tmp_path / "file" / "local").make_folders()


_DEEP = 1500


def _make_deep_folders(start: Path) -> None:
    folder = os.open(start, os.O_RDONLY)
    for _ in range(_DEEP):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
