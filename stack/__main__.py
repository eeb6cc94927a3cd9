"""``python -m stack up`` and the other commands; see the Makefile."""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stack import credentials, java, leftovers, libraries, reload, venvs
from stack.console import Console
from stack.database import password_changed, portal_env
from stack.layout import PORTAL_VENV, ROOT, Layout
from stack.parts import ADMIN, environment, parts
from stack.stack_error import StackError
from stack.supervisor import Supervisor

_READY_PREFIX = "Ready:"
_PORTS_CLOSE_WITHIN_S = 10


def up(layout: Layout, *, follow: int | None, reloads: bool = False) -> int:
    """Set up what is missing, start everything, and stay until told to end.

    With ``reloads`` a part is restarted when its code changes.
    """
    outer = os.umask(0o077)  # files from here on are for our user alone
    layout.make_folders()
    lock = _lock(layout.local_dir)
    try:
        was_killed = leftovers.are_recorded(layout.local_dir)
        if found := leftovers.end(layout.local_dir):
            print(f"Ended {found} processes that an earlier run left behind.", flush=True)
        layout.clear_temporary()
        layout.remove_access_of_others()
        layout.check_ports_free(within_s=_PORTS_CLOSE_WITHIN_S if was_killed else 0)
        password = credentials.admin_password(layout)
        credentials.write_aws_env(layout)
        needed = parts(layout, umask=outer, reloads=reloads)
        changes = reload.of_checkout().take if reloads else None
        console = Console([part.step for part in needed])

        def ready() -> None:
            known = "the password that you chose" if password_changed(layout) else password
            console.say(f"{_READY_PREFIX} {layout.url}  ({ADMIN} / {known})")
            for line in next_steps(layout, known == password):
                console.say(line)

        return Supervisor(
            needed,
            stack_dir=layout.local_dir,
            console=console,
            environment={},  # each part has its own
            on_ready=ready,
            follow=follow,
            changes=changes,
        ).run()
    finally:
        os.close(lock)


def next_steps(layout: Layout, has_first_password: bool) -> list[str]:
    """What to do when the stack is ready, as lines for a terminal."""
    where = _for_people(credentials.admin_password_file(layout))
    kept = f" The password is in {where}, too." if has_first_password else ""
    digits = layout.local_dir / "demo" / "digits_v2.tar.gz"
    upload = f" {_for_people(digits)} is one to try." if digits.exists() else ""
    of_api = _for_people(portal_env(layout))
    mme = _for_people(PORTAL_VENV / "bin" / "mme")
    digit = _for_people(layout.local_dir / "demo" / "samples" / "digit-three.jpg")
    return [
        f"  1. Open {layout.url} in a browser and log in as {ADMIN}.{kept}",
        "  2. Choose “Call a model”, a picture and a model, and see the answer.",
        f"  3. Choose “Upload a model” and upload an archive.{upload}",
        "  4. Or call it from a shell, with a token of yours that this made:",
        f"     . {of_api} && {mme} invoke demo digits:2 {digit} --json",
        "  The page “Today” shows the rest. Ctrl-C ends everything; nothing is lost.",
    ]


def _for_people(path: Path) -> str:
    """A path as one types it in the checkout."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def install(names: Sequence[str]) -> None:
    """Bring the named virtual environments up to date, with a line for each that needs it.

    All at once: pip uses one processor, and waits for the network. Raises StackError where one
    fails, which has said why, when the others are done.
    """
    needed = [venv for venv in (venvs.ALL[name] for name in names) if not venv.is_current()]
    for venv in needed:
        print(f"Installing the packages in {venv.folder.name} …", flush=True)
    running = [subprocess.Popen(venv.installing, cwd=ROOT) for venv in needed]
    try:
        codes = [one.wait() for one in running]
    finally:
        for one in running:  # none, unless this was interrupted
            one.terminate()
            one.wait()
    if failed := [venv.folder.name for venv, code in zip(needed, codes, strict=True) if code]:
        raise StackError(f"Not installed: {', '.join(failed)}.")
    if "container" in names and java.JAVA_HOME.exists() and java.archive_is_to_be_made():
        print("Making the class archive of the model container …", flush=True)
        java.make_archive()


def run(arguments: Sequence[str]) -> None:
    """Run the development environment's Python in place of this process."""
    install(["dev", "container"])
    os.chdir(ROOT)
    python = str(venvs.DEV.python)
    path = f"{venvs.DEV.folder / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    os.execve(  # noqa: S606 - no shell is meant
        python, [python, *arguments], venvs.clean_environment() | {"PATH": path}
    )


def manage(layout: Layout, arguments: Sequence[str]) -> None:
    """Run manage.py in place of this process, with the environment of the stack."""
    if not (layout.local_dir / "db.sqlite3").exists():
        raise StackError(f"There is no stack in {layout.local_dir} yet: run `make up` first.")
    os.chdir(ROOT)
    os.umask(0o077)
    python = str(venvs.PORTAL.python)
    os.execve(python, [python, "manage.py", *arguments], environment(layout))  # noqa: S606


def _lock(folder: Path) -> int:
    """Lock the stack's folder for the life of this process."""
    descriptor = os.open(folder / "run" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        running = os.read(descriptor, 32).decode().strip()
        raise StackError(
            f"A stack runs already in {folder} (process {running}). End it first, or start "
            "another one with LOCAL_DIR and the four port variables set to other values."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Arguments after `run` and `manage` are passed on."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    of_up = commands.add_parser("up", help="set up what is missing and run the whole portal")
    of_up.add_argument(
        "--follow", type=int, metavar="PID", help="end when this process ends (for tests)"
    )
    of_up.add_argument("--reload", action="store_true", help="restart a part when its code changes")
    of_install = commands.add_parser("install", help="bring virtual environments up to date")
    of_install.add_argument("names", nargs="+", choices=sorted(venvs.ALL))
    commands.add_parser("run", help="run the development environment's Python")
    commands.add_parser("manage", help="run manage.py beside a stack")
    # argparse would parse a leading option of theirs, also with REMAINDER.
    ours, theirs = list(arguments), []
    if ours[:1] in (["run"], ["manage"]):
        ours, theirs = ours[:1], ours[1:]
    chosen = parser.parse_args(ours)
    chosen.arguments = theirs
    return chosen


def main() -> int:
    chosen = parse(sys.argv[1:])
    # Until the supervisor installs its handlers, SIGTERM ends the start like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        libraries.check_machine()
        if chosen.command == "up":
            return up(Layout.from_environment(), follow=chosen.follow, reloads=chosen.reload)
        if chosen.command == "install":
            install(chosen.names)
        elif chosen.command == "manage":
            manage(Layout.from_environment(), chosen.arguments)
        else:
            run(chosen.arguments)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
