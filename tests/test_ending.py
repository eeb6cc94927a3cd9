"""A benchmark that is ended or killed leaves no server and no file behind."""

import ast
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localaws.tests.servers import SECRET
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[1]
MARK = "MME_TEST_OF_ENDING"

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("ending")]

LOCALAWS = f"""
import signal, sys, tempfile
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}]
from tests import ending

def main():
    from localaws.tests.servers import REAL, ROLE, LocalAwsProcess, s3_server, wait_for
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with s3_server(Path(folder) / "s3") as s3:
            local = LocalAwsProcess(Path(folder) / "localaws", s3, container=REAL)
            local.start()
            try:
                sagemaker = local.client("sagemaker")
                sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=dict(
                    Image="m", Mode="MultiModel", ModelDataUrl="s3://bucket/models/"))
                sagemaker.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[dict(
                    VariantName="A", ModelName="m", InstanceType="ml.m5.xlarge",
                    InitialInstanceCount=1)])
                sagemaker.create_endpoint(EndpointName="m", EndpointConfigName="m")
                wait_for(lambda: sagemaker.describe_endpoint(EndpointName="m")["EndpointStatus"]
                         == "InService", 120)
                print("ready", flush=True)
                signal.pause()
            finally:
                local.stop()

ending.run(main)
"""

CONTAINER = f"""
import signal, sys, tempfile
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}]
from tests import ending

def main():
    from bench import container
    home = Path(tempfile.mkdtemp(prefix="mme-bench-"))
    for side in ("plain", "container"):
        (home / side).mkdir()
    with (container.plain_server(home / "plain"),
          container.start_server(home / "container", {MARK}="1")):
        print("ready", flush=True)
        signal.pause()

ending.run(main)
"""

SCRIPTS = {"localaws": LOCALAWS, "container": CONTAINER}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the paths of sockets some folders below it, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="mme-e-") as made:
        yield Path(made)


@contextmanager
def bench(script: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A benchmark's servers, all of them up; ends whatever outlives the test."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPTS[script]],
        env=os.environ | {"TMPDIR": str(folder), MARK: str(folder)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.stdout is not None:
            process.stdout.close()
        for pid in running(folder):
            os.kill(pid, signal.SIGKILL)
        process.wait(10)


def running(folder: Path) -> dict[int, str]:
    """The processes that were started from below ``folder``, by what they run."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(folder).encode() in text and state != "Z" and int(entry.name) != os.getpid():
            command = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
            found[int(entry.name)] = command[:200]
    return found


def child_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[:1]
    return int(child)


@pytest.mark.parametrize(
    ("script", "victim", "number"),
    [
        ("localaws", "parent", signal.SIGINT),
        ("localaws", "child", signal.SIGKILL),
        ("container", "parent", signal.SIGTERM),
        ("container", "parent", signal.SIGKILL),
        ("container", "child", signal.SIGKILL),
    ],
)
def test_an_ended_benchmark_leaves_nothing(
    folder: Path, script: str, victim: str, number: signal.Signals
) -> None:
    with bench(script, folder) as process:
        before = running(folder)
        assert any("java" in command for command in before.values()), before
        assert any(" model-host " in command for command in before.values()), before

        os.kill(process.pid if victim == "parent" else child_of(process.pid), number)

        wait_until(lambda: not running(folder), lambda: running(folder))
        assert list(folder.iterdir()) == []
        code = process.wait(10)
        assert code == (-9 if victim == "parent" and number == signal.SIGKILL else 128 + number)


def test_localaws_and_s3_end_even_where_the_whole_benchmark_is_killed(folder: Path) -> None:
    """And no secret stands in an argument while they run."""
    with bench("localaws", folder) as process:
        commands = running(folder)
        assert any("localaws.s3" in command for command in commands.values())
        whole = [Path(f"/proc/{pid}/cmdline").read_text() for pid in commands]
        assert not [command for command in whole if SECRET in command]

        child = child_of(process.pid)
        for pid in (process.pid, child):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not running(folder), lambda: running(folder))


STARTS = re.compile(r"Popen\(|running\(|start_server\(|s3_server\(|S3Server\(|worktree")


def commands() -> Iterator[tuple[Path, ast.Module]]:
    """The programs for people that start servers, or leave a checkout where they are cut short."""
    for path in [*(ROOT / "bench").glob("*.py"), ROOT / "localaws" / "tests" / "soak.py"]:
        tree = ast.parse(path.read_text())
        if STARTS.search(ast.unparse(tree)):
            yield path, tree


@pytest.mark.not_quick
def test_every_program_that_starts_servers_is_run_so() -> None:
    found = {path.name: "ending.run(main)" in ast.unparse(tree) for path, tree in commands()}
    assert {"localaws.py", "container.py", "threads.py", "web.py", "soak.py"} <= set(found)
    assert all(found.values()), found
