"""Reads the Procfile: the commands of the web server, the worker and beat.

``python -m stack.procfile NAME`` runs its process NAME, as the images do.
"""

import os
import sys
from pathlib import Path

from stack.layout import ROOT


def read_procfile(path: Path = ROOT / "Procfile") -> dict[str, str]:
    """The commands of a Procfile by their names."""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: command.strip() for name, colon, command in lines if colon and name[:1] != "#"}


def shell(command: str) -> list[str]:
    """``command`` in a shell, with exec, so that signals reach the program itself."""
    return ["sh", "-c", f"exec {command}"]


def main(arguments: list[str]) -> None:
    commands = read_procfile()
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.exit(f"usage: python -m stack.procfile {'|'.join(commands)}")
    words = shell(commands[arguments[0]])
    os.execvp(words[0], words)  # noqa: S606 - the shell is among the words


if __name__ == "__main__":
    main(sys.argv[1:])
