"""The master process: binds the address, loads the portal once, and supervises its processes."""

import argparse
import errno
import logging
import mmap
import os
import resource
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

log = logging.getLogger("mmeportal.server")

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD}
_HANG_TIMEOUT_S = 60.0
_SWITCH_S = 0.0005
_PROCESSORS_FOR_TWO = 4
_KILL_AFTER_S = 6.5  # of SIGTERM; the processes themselves take 5 s at most
_BIND_TRIES_S = 5.0
_COUNTS = "mme-portal-counts-"


def main() -> None:
    """Serve the portal until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m mmeportal.server", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1:8000", help="ADDRESS:PORT")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--call-processes",
        type=call_processes,
        default=0,
        help="further ones, for calls of models alone; auto: as the machine has processors",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=16,
        help="of each process; of a single one for calls twice as many",
    )
    parser.add_argument("--keep-alive", type=float, default=5, help="seconds between two requests")
    options = parser.parse_args()
    # Blocked from here on, so that `Master` misses none; it takes them with sigtimedwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS - {signal.SIGINT})
    files = _raise_file_limit()
    bound = bind(options.bind)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    master = Master(
        bound,
        processes=options.processes,
        call_processes=options.call_processes,
        threads=options.threads,
        keep_alive_s=options.keep_alive,
        files=files,
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    log.info("Serving on http://%s", options.bind)
    sys.exit(master.run())


def call_processes(text: str) -> int:
    """How many; ``auto`` is one, and two with four processors or more.

    A second one has its own copy of all that a call touches. Where two processors are shared with
    the model and all other programs, each call would wait longer for memory then
    (docs/measured.md).
    """
    if text != "auto":
        return int(text)
    return 1 if len(os.sched_getaffinity(0)) < _PROCESSORS_FOR_TWO else 2


def bind(address: str, *, setting: str = "WEB_BIND") -> socket.socket:
    """A socket bound to ``address``, not listening yet; exits with a sentence on failure.

    It retries for some seconds, as the process before may still be ending.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _BIND_TRIES_S
    while True:
        try:
            family, kind, number, _, target = socket.getaddrinfo(
                host.strip("[]") or "0.0.0.0",  # noqa: S104 - as asked for
                port,
                type=socket.SOCK_STREAM,
                flags=socket.AI_PASSIVE,
            )[0]
            bound = socket.socket(family, kind, number)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(target)
            return bound
        except socket.gaierror as error:
            sys.exit(f"{setting}={address} is no address to listen on: {error.strerror}.")
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                sys.exit(f"The web server cannot listen on {address}: {error.strerror}.")
            time.sleep(0.2)


def _check() -> None:
    """Exit with what Django's checks find wrong with the code: somebody is changing it."""
    from django.core.management import CommandError, call_command

    try:
        call_command("check")
    except CommandError as error:
        sys.exit(str(error))


def _folder_of_counts(parent: str | None) -> "tempfile.TemporaryDirectory[str]":
    """Where the processes count for Prometheus; what a killed server left in ``parent`` goes."""
    if parent:
        os.makedirs(parent, mode=0o700, exist_ok=True)
        for left in Path(parent).glob(f"{_COUNTS}*"):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=_COUNTS, dir=parent)


def _raise_file_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


class Master:
    """Forks the processes, restarts one that dies or hangs, and ends them gracefully."""

    def __init__(
        self,
        bound: socket.socket,
        *,
        processes: int,
        call_processes: int,
        threads: int,
        keep_alive_s: float,
        files: int,
    ) -> None:
        from django.conf import settings

        from core import prometheus

        self._counts: tempfile.TemporaryDirectory[str] | None = None
        self._prometheus: socket.socket | None = None
        if settings.PROMETHEUS_BIND:
            self._prometheus = bind(settings.PROMETHEUS_BIND, setting="PROMETHEUS_BIND")
            self._prometheus.listen()
            self._counts = _folder_of_counts(settings.FILE_UPLOAD_TEMP_DIR)
            prometheus.count_in(self._counts.name)

        from mmeportal.server import access_log, loop
        from mmeportal.server.exchange import Exchange
        from mmeportal.server.guard import Slots
        from mmeportal.wsgi import application  # loaded once, before the processes are forked

        if settings.DEBUG:
            _check()
        access_log.set_up(as_json=settings.LOG_AS_JSON)
        loop.use_temporary_folder(settings.FILE_UPLOAD_TEMP_DIR)
        self._application = application
        self._slots = Slots()
        self._bound = bound
        self._threads = threads
        self._keep_alive_s = keep_alive_s
        self._files = files
        self._processes = processes + call_processes
        self._call_processes = call_processes
        self._exchange = Exchange(self._processes, call_processes) if call_processes else None
        self._heartbeats = mmap.mmap(-1, 8 * self._processes)
        self._children: dict[int, int] = {}  # pid: which of the processes it is
        self._started: dict[int, float] = {}
        self._replaced: set[int] = set()

    def run(self) -> int:
        """Serve; returns the exit code."""
        self._bound.listen(2048)
        for index in range(self._processes):
            self._fork(index)
        while True:
            received = signal.sigtimedwait(_SIGNALS, 1.0)
            number = received.si_signo if received else 0
            if number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                return self._end()
            if number == signal.SIGHUP:
                self._replace()
            self._reap()
            self._kill_hanging()

    def _fork(self, index: int) -> None:
        self._heartbeat(index)
        sys.stdout.flush()
        sys.stderr.flush()
        # Asked before the fork: who is the parent afterwards is another where it was just killed.
        master = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._serve(index, master)
        self._children[pid] = index
        self._started[pid] = time.monotonic()

    def _serve(self, index: int, master: int) -> NoReturn:
        code = 1
        try:
            from core import prometheus_page, web_threads
            from invocations import recording
            from mmeportal.server.guard import Guard
            from mmeportal.server.loop import Server

            for_calls = index >= self._processes - self._call_processes
            # Half of them wait for models. So as many calls are under way with one process as with
            # two.
            alone = for_calls and self._call_processes == 1
            threads = 2 * self._threads if alone else self._threads
            web_threads.have(threads)
            server = Server(
                self._application,
                self._bound,
                guard=Guard(self._slots),
                threads=threads,
                keep_alive_s=self._keep_alive_s,
                files=self._files,
                exchange=self._exchange,
                index=index,
            )
            if for_calls:
                # Where the kernel shares the processor among sessions (sched(7), autogroup), calls
                # have a share of their own.
                os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, lambda *_: server.end())
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            recording.replay_when_it_begins()
            if index == 0 and self._prometheus is not None and self._counts is not None:
                prometheus_page.serve(self._prometheus, folder=self._counts.name)
            if not for_calls:
                # A call of a model gives up the interpreter's lock at each read and write, and
                # would get it back after 5 ms each time while a page is rendered. Calls among
                # themselves do so often enough, and lose what lies in the processor's caches.
                sys.setswitchinterval(_SWITCH_S)

            def heartbeat() -> None:
                self._heartbeat(index)
                if os.getppid() != master:  # the master died, so nobody would end this process
                    server.end()

            server.serve(heartbeat)
            recording.recorder().close()
            code = 0
        except BaseException:
            log.exception("A process of the web server failed.")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # its threads are daemons, so do not wait for them

    def _heartbeat(self, index: int) -> None:
        struct.pack_into("d", self._heartbeats, 8 * index, time.monotonic())

    def _replace(self) -> None:
        """Restart all processes, one after the other, without losing a request."""
        log.info("Restarting all processes.")
        for pid, index in list(self._children.items()):
            if pid not in self._replaced:
                self._replaced.add(pid)
                self._fork(index)
                os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            index = self._children.pop(pid)
            lived = time.monotonic() - self._started.pop(pid)
            if pid in self._replaced:
                self._replaced.remove(pid)
                continue
            code = os.waitstatus_to_exitcode(status)
            log.error("A process of the web server ended with %d; starting another.", code)
            if lived < 1:
                time.sleep(1)  # backoff: one that cannot start must not be forked in a busy loop
            self._fork(index)

    def _kill_hanging(self) -> None:
        now = time.monotonic()
        for pid, index in self._children.items():
            (heartbeat,) = struct.unpack_from("d", self._heartbeats, 8 * index)
            if now - heartbeat > _HANG_TIMEOUT_S and pid not in self._replaced:
                log.error("A process of the web server hangs; ending it.")
                os.kill(pid, signal.SIGKILL)

    def _end(self) -> int:
        self._bound.close()
        if self._prometheus is not None:
            self._prometheus.close()
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _KILL_AFTER_S
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                del self._children[pid]
            elif time.monotonic() > deadline:
                for left in self._children:
                    os.kill(left, signal.SIGKILL)
                deadline = float("inf")
            else:
                signal.sigtimedwait({signal.SIGCHLD}, 0.1)
        if self._counts is not None:
            self._counts.cleanup()
        return 0


if __name__ == "__main__":
    main()
