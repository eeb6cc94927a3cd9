"""Writes the shell script that MMS starts in place of a Python worker.

To MMS the script is the worker's process: MMS kills it to unload the model, and the host then ends
the forked worker. It sends its process id to the model host, which reads its command line,
environment, working directory, stdout and stderr from /proc. When the host dies, it sends its id to
the next host; where there is none, it becomes a worker that imports MXNet by itself.

It is a shell script because a Python process in its place would make each load longer and each
model larger (docs/measured.md).
"""

import shlex
from pathlib import Path

STDOUT = 5
"""The descriptor under which the script keeps its stdout for the host."""

REFUSED_SIGNAL = "USR1"
"""The signal by which the host refuses a model."""

SUCCESSOR_TRIES = 60
"""How often a script looks for the next host, four times a second, when its own has died."""

_SCRIPT = """#!/bin/sh
# Written by launcher.py at each start of the server.
unset PYTHONPATH
case "$1" in
  */model_service_worker.py) shift ;;
  *) exec {python} -I "$@" ;;
esac
last= tries=0 refused=
trap 'refused=1' {refused}
while [ -z "$refused" ]; do
  while [ -e {starting} ] && kill -0 "$PPID" 2>/dev/null; do sleep 0.05; done
  host=
  {{ read -r host < {pid_file}; }} 2>/dev/null
  if [ -n "$host" ] && [ "$host" != "$last" ] && kill -0 "$host" 2>/dev/null; then
    last=$host tries=0
    exec 3<{life} 4<>{requests} {stdout}>&1
    echo "$$" >&4
    # Nothing is ever written to 3; it ends with the host.
    while [ -z "$refused" ]; do
      read -r nothing <&3
      [ "$?" -gt 128 ] || break
    done
  elif ! kill -0 "$PPID" 2>/dev/null; then
    exit 1  # MMS is gone
  elif [ -n "$last" ] && [ "$tries" -lt {tries} ]; then
    tries=$((tries + 1))
    sleep 0.25
  else
    break
  fi
done
echo '{{"time": "", "level": "WARNING", "event": "model_host_unavailable", "message": \
"There is no model host; this model imports MXNet by itself."}}'
exec 3<&- 4>&- {stdout}>&-
exec {python} -I {worker} "$@"
"""

_SCRIPT_WITHOUT_HOST = """#!/bin/sh
unset PYTHONPATH
case "$1" in
  */model_service_worker.py) shift; exec {python} -I {worker} "$@" ;;
  *) exec {python} -I "$@" ;;
esac
"""


class HostFiles:
    """The files and pipes by which the scripts and the host communicate, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        #: A pipe: scripts write their process ids to it.
        self.requests = folder / "host.requests"
        #: A pipe that nobody writes to: reading it ends when the host ends.
        self.life = folder / "host.life"
        #: The host's process id, while it takes requests.
        self.pid = folder / "host.pid"
        #: Exists while a host starts: scripts wait for it.
        self.starting = folder / "host.starting"


def write(path: Path, files: HostFiles, *, python: str, entrypoint: Path, with_host: bool) -> None:
    """Write the script to ``path``, executable by its owner."""
    text = (_SCRIPT if with_host else _SCRIPT_WITHOUT_HOST).format(
        python=shlex.quote(python),
        worker=f"{shlex.quote(str(entrypoint))} worker",
        requests=shlex.quote(str(files.requests)),
        life=shlex.quote(str(files.life)),
        pid_file=shlex.quote(str(files.pid)),
        starting=shlex.quote(str(files.starting)),
        stdout=STDOUT,
        tries=SUCCESSOR_TRIES,
        refused=REFUSED_SIGNAL,
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
