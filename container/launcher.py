"""The shell script that MMS starts in place of a Python worker.

A script, because starting a Python only to reach the model host would take 20 ms of each load and
5 MB of each model; the shell takes one and a tenth. To MMS it is the worker's process: where it is
killed, as MMS does to unload the model, the host ends the worker. The host reads its command line,
environment, working directory, stdout and stderr from /proc, so that all it has to say is that it
is there.

It outlives the host: MMS never starts a second one (its thread that watches the process fails as
the process ends), and without it a worker that dies could not be replaced. It offers itself to the
next host instead. Where there is none, it becomes the plain worker, which imports MXNet by itself.
"""

import shlex
from pathlib import Path

STDOUT = 5
"""Where the script keeps its stdout for the host: while it speaks to it, 1 is something else."""

REFUSED_SIGNAL = "USR1"
"""The host's word for a model that it cannot take."""

SUCCESSOR_TRIES = 60
"""How often, four times a second, a script looks for the next host when its own has died."""

_SCRIPT = """#!/bin/sh
# Written at each start by launcher.py, which explains it.
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

_PLAIN = """#!/bin/sh
unset PYTHONPATH
case "$1" in
  */model_service_worker.py) shift; exec {python} -I {worker} "$@" ;;
  *) exec {python} -I "$@" ;;
esac
"""


class HostFiles:
    """Where the host and its scripts meet, in the server's temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.requests = folder / "host.requests"
        self.life = folder / "host.life"
        self.pid = folder / "host.pid"
        self.starting = folder / "host.starting"


def write(path: Path, files: HostFiles, *, python: str, entrypoint: Path, with_host: bool) -> None:
    """Write the script to ``path``."""
    text = (_SCRIPT if with_host else _PLAIN).format(
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
