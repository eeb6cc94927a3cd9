"""The JVM's class archive: what makes it, the server that starts with it, and without it."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from container.tests.serving import (
    ENTRYPOINT,
    REPOSITORY,
    Server,
    alive,
    container_python,
    descendants,
    java_home,
    start_server,
    wait_until,
)

pytestmark = pytest.mark.processes

NAME = "mme-classes.jsa"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the packages of the container's, and without an archive."""
    folder = tmp_path_factory.mktemp("venv")
    real = Path(container_python()).parent.parent
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(os.path.realpath(container_python()))
    shutil.copy(real / "pyvenv.cfg", folder / "pyvenv.cfg")
    (folder / "lib").symlink_to(real.resolve() / "lib")
    return folder


def making(prefix: Path, **variables: str) -> "subprocess.Popen[str]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(prefix)} | variables
    if (java := java_home()) is not None:
        environment["JAVA_HOME"] = java
    return subprocess.Popen(
        [prefix / "bin" / "python", "-I", ENTRYPOINT, "classes"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def of(server: Server) -> int:
    """The pid of its JVM."""
    (started,) = server.events("server_started")
    return int(started["pid"])


def jvms_of(pid: int) -> list[int]:
    return [one for one in descendants(pid) if command_of(one)[0].endswith("/java")]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return [""]


def ignores_sigterm(pid: int) -> bool:
    ignored = Path(f"/proc/{pid}/status").read_text().partition("SigIgn:")[2].split()[0]
    return bool(int(ignored, 16) >> (signal.SIGTERM - 1) & 1)


def is_mapped(server: Server, archive: Path) -> bool:
    return str(archive) in Path(f"/proc/{of(server)}/maps").read_text()


def with_python(prefix: Path, entrypoint: Path = ENTRYPOINT) -> list[str]:
    """What runs a server by the Python of an environment, put before its own command line."""
    return ["sh", "-c", f'exec "{prefix}/bin/python" -I "{entrypoint}" serve', "-"]


def test_it_is_made_and_started_with(prefix: Path, tmp_path: Path) -> None:
    # Java's own variables are another's: with these it would not start, and hold for nobody.
    with making(
        prefix,
        JAVA_TOOL_OPTIONS="-XX:+UseG1GC",
        JDK_JAVA_OPTIONS="-XX:ObjectAlignmentInBytes=16",
        _JAVA_OPTIONS="-Xshare:off",
    ) as made:
        said, _ = made.communicate(timeout=120)
    assert (made.returncode, said) == (0, "")
    assert sorted(path.name for path in prefix.iterdir()) == ["bin", "lib", NAME, "pyvenv.cfg"]
    loaded = tmp_path / "loaded"
    options = {"SAGEMAKER_MODEL_SERVER_VMARGS": f"-Xlog:class+load:file={loaded}"}
    with start_server(tmp_path, within=with_python(prefix), **options) as server:
        assert is_mapped(server, prefix / NAME)
        assert server.load("none", tmp_path / "none").status == 404
    classes = loaded.read_text().splitlines()
    elsewhere = [line for line in classes if "shared objects file" not in line]
    assert len(classes) > 2500
    assert len(elsewhere) < len(classes) / 20, elsewhere[:20]

    # Of another jar the JVM takes nothing, and says nothing among the lines of the log.
    other = tmp_path / "container"
    shutil.copytree(ENTRYPOINT.parent, other, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    os.utime(other / "plugin" / "plugin.jar", (0, 0))
    home = tmp_path / "other"
    home.mkdir()
    within = with_python(prefix, other / "dockerd-entrypoint.py")
    with start_server(home, within=within) as server:
        assert not is_mapped(server, prefix / NAME)


def test_one_that_is_ended_leaves_nothing(prefix: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, making(prefix, TMPDIR=folder) as made:
        wait_until(lambda: jvms_of(made.pid), 60, "its JVM")
        others = descendants(made.pid)
        # As Ctrl-C does: to all, and then from who started it. The second one finds it ending.
        made.send_signal(signal.SIGINT)
        wait_until(lambda: made.poll() is not None or ignores_sigterm(made.pid), 10, "its end")
        made.send_signal(signal.SIGTERM)
        assert made.wait(30) == 130
        assert os.listdir(folder) == []
    wait_until(lambda: not any(alive(pid) for pid in others), 10, "the end of its JVM")
    assert sorted(path.name for path in prefix.iterdir()) == ["bin", "lib", "pyvenv.cfg"]


@pytest.mark.parametrize("length", [60, 150])
def test_it_is_made_where_the_temporary_folder_has_a_long_path(prefix: Path, length: int) -> None:
    """One of 60 bytes is too long for the folder of the server's own sockets, but for no other."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short, "x" * (length - len(short) - 1))
        folder.mkdir()
        with making(prefix, TMPDIR=str(folder)) as made:
            wait_until(lambda: any(map(is_writing, jvms_of(made.pid))), 60, "Java that writes it")
            made.send_signal(signal.SIGTERM)
            assert made.wait(30) == 130
        assert list(folder.iterdir()) == []


def test_where_it_is_killed_no_java_goes_on(prefix: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, making(prefix, TMPDIR=folder) as made:
        wait_until(lambda: any(map(is_writing, jvms_of(made.pid))), 60, "Java that writes it")
        (writing,) = jvms_of(made.pid)
        os.kill(writing, signal.SIGSTOP)  # so that it does not end by itself
        try:
            made.kill()
            made.wait()
            wait_until(lambda: not alive(writing), 10, "its end")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(writing, signal.SIGKILL)


def is_writing(pid: int) -> bool:
    return "-Xshare:dump" in command_of(pid)


def test_in_a_read_only_environment_it_says_so_before_it_starts_anything(prefix: Path) -> None:
    # root, who may run this test, may write what is read-only.
    program = (
        f"import os, sys; sys.path.insert(0, {str(REPOSITORY)!r}); os.access = lambda *_: False; "
        "from container import class_archive; sys.exit(class_archive.main())"
    )
    archive = prefix / NAME
    archive.touch()
    try:
        done = subprocess.run(
            [prefix / "bin" / "python", "-I", "-c", program],
            env={"JAVA_HOME": "/nowhere"}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        said = f"No class archive was made: {prefix} may not be written.\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
        assert archive.exists()
    finally:
        archive.unlink(missing_ok=True)


def test_what_a_server_that_does_not_start_wrote_is_said(prefix: Path, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho Error: no such collector\nexit 1\n")
    java.chmod(0o755)
    done = subprocess.run(
        [prefix / "bin" / "python", "-I", ENTRYPOINT, "classes"],
        env={"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the server wrote: Error: no such collector\n" in done.stderr


def test_two_at_once_do_not_mix_their_bytes(prefix: Path) -> None:
    program = (
        f"import shutil, sys, time; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from container import class_archive\n"
        "class_archive._make = lambda _folder, made: made.write_text(sys.argv[1] * 10)\n"
        "def copyfileobj(read, written):\n"
        "    for _ in range(10):\n"
        "        written.write(read.read(1))\n"
        "        written.flush()\n"
        "        time.sleep(0.1)\n"
        "shutil.copyfileobj = copyfileobj\n"
        "sys.exit(class_archive.main())"
    )
    command = [prefix / "bin" / "python", "-I", "-c", program]
    archive = prefix / NAME
    found = set()
    try:
        making = [subprocess.Popen([*command, name]) for name in "ab"]
        while any(one.poll() is None for one in making):
            with contextlib.suppress(FileNotFoundError):
                found.add(archive.read_text())
            time.sleep(0.02)
        assert [one.returncode for one in making] == [0, 0]
        assert found | {archive.read_text()} <= {"a" * 10, "b" * 10}
    finally:
        archive.unlink(missing_ok=True)


def test_on_a_full_disk_it_leaves_no_part_of_one(prefix: Path) -> None:
    program = (
        f"import shutil, sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from container import class_archive\n"
        "class_archive._make = lambda _folder, made: made.touch()\n"
        "def copyfileobj(_read, written):\n"
        "    written.write(b'some')\n"
        "    raise OSError(28, 'No space left on device')\n"
        "shutil.copyfileobj = copyfileobj\n"
        "sys.exit(class_archive.main())"
    )
    done = subprocess.run(
        [prefix / "bin" / "python", "-I", "-c", program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = "No class archive was made: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert sorted(path.name for path in prefix.iterdir()) == ["bin", "lib", "pyvenv.cfg"]


def test_without_java_it_says_so(prefix: Path) -> None:
    environment = {"PATH": "/nowhere", "HOME": str(prefix), "JAVA_HOME": "/nowhere"}
    done = subprocess.run(
        [prefix / "bin" / "python", "-I", ENTRYPOINT, "classes"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "No class archive was made: " in done.stderr
    assert "/nowhere/bin/java" in done.stderr


def test_the_checkouts_containers_start_with_theirs(server: Server) -> None:
    """As `make test` and `make up` install it (stack/java.py)."""
    assert is_mapped(server, Path(container_python()).parent.parent / NAME)
