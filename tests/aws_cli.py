"""The real AWS CLI, without half a second of a processor for each start of it.

A process imports it once, and makes each command in a fork. What is put into PATH is a script that
tells its process id and waits; the fork takes arguments, environment, folder and streams of it.
"""

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tests.servers import ROOT, running, wait_until

# The id is told by a subshell: while echo writes, its standard output is the pipe, which the fork
# would take for the command's.
_SCRIPT = """#!/bin/bash
mkfifo "{folder}/$$"
(echo $$ > "{folder}/commands")
read -r code < "{folder}/$$"
rm "{folder}/$$"
exit "$code"
"""


@contextmanager
def forking(folder: Path) -> Iterator[Path]:
    """Gives a folder for PATH with the program ``aws``."""
    program = folder / "bin" / "aws"
    program.parent.mkdir()
    program.write_text(_SCRIPT.format(folder=folder))
    program.chmod(0o755)
    os.mkfifo(folder / "commands", 0o600)
    command = [sys.executable, "-m", "tests.aws_cli", str(folder)]
    with (folder / "log").open("wb") as log, running(command, cwd=ROOT, stderr=log) as process:
        wait_until(
            lambda: (folder / "ready").exists() or process.poll() is not None,
            "the AWS CLI's process",
        )
        assert process.poll() is None, (folder / "log").read_text()
        yield program.parent


def _serve(folder: Path) -> NoReturn:
    import awscli.clidriver
    import awscli.customizations.s3.s3

    assert awscli.customizations.s3.s3  # what a command imports when it is asked for
    commands = os.fdopen(os.open(folder / "commands", os.O_RDWR))  # never at its end
    gc.freeze()
    (folder / "ready").touch()
    while True:
        pid = int(commands.readline())
        if os.fork() == 0:
            _command(pid, folder)
        while _ended():
            pass


def _ended() -> bool:
    """Whether a fork has ended; it is a zombie no more."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _command(pid: int, folder: Path) -> NoReturn:
    """In the fork: what the script of process ``pid`` was called for."""
    from awscli import clidriver

    caller = Path("/proc") / str(pid)
    code: object = 255
    try:
        _, _, *sys.argv[1:] = (caller / "cmdline").read_text().split("\0")[:-1]  # bash, script
        sys.argv[0] = "aws"
        pairs = (caller / "environ").read_text().split("\0")[:-1]
        data = os.environ["AWS_DATA_PATH"]  # which awscli has set as it was imported
        os.environ.clear()
        for pair in pairs:
            name, _, value = pair.partition("=")
            os.environ[name] = value
        os.environ["AWS_DATA_PATH"] = data
        os.chdir(caller / "cwd")
        for number, how in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            os.dup2(os.open(caller / "fd" / str(number), how | os.O_APPEND), number)
        code = clidriver.main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        (folder / str(pid)).write_text(f"{code or 0}\n")
        os._exit(0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
