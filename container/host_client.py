"""What MMS starts as a model's Python worker: hands the job to the model host, and stands for it.

Started anew for each model, so it imports next to nothing (no ``socket``, no ``json``: 10 ms), and
turns itself into a small shell once the host has taken over: a Python that only waits would cost
each model 5 MB. To MMS it is the worker's process: it ends when the worker is to end, with its
exit code; a SIGTERM to it reaches the worker; where it is killed, the host ends the worker.

Where the host cannot be reached, it becomes the plain worker, which imports MXNet by itself.
"""

import _socket
import os
import sys
import time

CONNECT_SECONDS = 5.0
START_SECONDS = 30.0
FIELD, PART = b"\x1f", b"\x1e"

# Waits on the socket (descriptor 3) for the exit code. A SIGTERM is passed on to the host, which
# answers with the exit code once the worker is gone.
STAND_IN = """
trap 'echo TERM >&3' TERM
while :; do
  if read -r code <&3; then exit "$code"; fi
  [ "$?" -gt 128 ] || exit 1
done
"""


def hand_over(host_path: str, arguments: list[str]) -> _socket.socket:
    """Ask the host for a worker; returns the connection. ``OSError`` where there is no host."""
    message = PART.join(
        (
            FIELD.join(os.fsencode(argument) for argument in arguments),
            os.fsencode(os.getcwd()),
            FIELD.join(key + b"=" + value for key, value in os.environb.items()),
        )
    )
    connection = _connect(host_path)
    streams = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (1, 2))
    header = len(message).to_bytes(4, "big")
    connection.sendmsg([header], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    connection.sendall(message)
    if connection.recv(1) != b"\n":  # the host's word that it has taken over
        raise OSError("the model host does not take over")
    connection.settimeout(None)
    return connection


def _connect(host_path: str) -> _socket.socket:
    """Connect to the host; while it is still starting, wait for it."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(host_path)
        except OSError:
            connection.close()
            if time.monotonic() > deadline or not _exists(host_path + ".starting"):
                raise
            time.sleep(0.02)
        else:
            return connection


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def main() -> None:
    host_path, plain_worker, *arguments = sys.argv[1:]
    try:
        connection = hand_over(host_path, arguments)
    except OSError as error:
        name = arguments[arguments.index("--model-name") + 1]
        name = "".join(c if c.isalnum() or c in "-_./" else "?" for c in name)
        print(
            f'{{"time": "", "level": "WARNING", "event": "model_host_unavailable", '
            f'"model": "{name}", "message": "{type(error).__name__} {error.errno}: '
            'this model imports MXNet by itself."}',
            flush=True,
        )
        os.execv(sys.executable, [sys.executable, "-I", plain_worker, *arguments])  # noqa: S606
    if connection.fileno() != 3:
        os.dup2(connection.fileno(), 3)
    os.set_inheritable(3, True)
    os.execv("/bin/sh", ["sh", "-c", STAND_IN, "mme-model"])  # noqa: S606


if __name__ == "__main__":
    main()
