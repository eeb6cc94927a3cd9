"""Starts the parts of a stack in order, keeps them running, and ends every one of them.

One thread runs a loop that checks every part. A part that ends after it was ready is restarted with
backoff. One that keeps ending, or was never ready, ends the whole stack with a message.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import FrameType

from localaws.parent_death import ending_with_parent
from stack import leftovers, processes
from stack.console import Console
from stack.log_files import open_log, rotate
from stack.part import Log, Part

_BUSY_INTERVAL_S = 0.05
_IDLE_INTERVAL_S = 1.0
_WATCHING_INTERVAL_S = 0.25
_LAST_LINES = 15


@dataclass(frozen=True)
class RestartPolicy:
    """How often a part may end within ``window_s`` seconds, and the backoff before its restarts."""

    limit: int = 5
    window_s: float = 120
    first_pause_s: float = 0.5
    longest_pause_s: float = 8

    def pause_s(self, deaths: int) -> float:
        return min(self.longest_pause_s, float(self.first_pause_s * 2 ** (deaths - 1)))


class PartState(Enum):
    WAITING = "waiting"  # for other parts, or for its backoff
    STARTING = "starting"
    READY = "ready"  # a service that serves
    DONE = "done"  # a step that has ended well
    STOPPING = "stopping"  # told to end, to be started again
    FAILED = "failed"  # until a file changes


@dataclass
class _Running:
    part: Part
    log: Log
    state: PartState = PartState.WAITING
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0
    was_ready: bool = False
    not_before: float = 0
    stopping_since: float = 0
    deaths: deque[float] = field(default_factory=deque)

    @property
    def is_ready(self) -> bool:
        return self.state in (PartState.READY, PartState.DONE)


class Supervisor:
    """Runs ``parts`` until a signal (SIGTERM, SIGINT, SIGHUP) or until one of them fails.

    ``stack_dir`` identifies the stack. ``on_ready`` is called once, when all parts are ready.
    ``follow``, a process number, makes the stack end when that process does. ``changes`` gives the
    files that changed since its last call: the parts with ``reload_on`` are restarted for them.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        stack_dir: Path,
        console: Console | None = None,
        policy: RestartPolicy | None = None,
        environment: Mapping[str, str] | None = None,
        on_ready: Callable[[], None] = lambda: None,
        follow: int | None = None,
        changes: Callable[[], set[Path]] | None = None,
    ) -> None:
        self._dir = stack_dir
        self._console = console or Console([part.step for part in parts])
        self._policy = policy or RestartPolicy()
        self._environment = dict(os.environ if environment is None else environment)
        self._on_ready = on_ready
        self._follow = processes.read(follow) if follow is not None else None
        self._follows = follow is not None
        self._changes = changes
        self._running = [_Running(part, Log(self._log_path(part), 0)) for part in parts]
        self._by_name = {running.part.name: running for running in self._running}
        self._announced = False
        self._signals = 0
        self._problem: str | None = None
        self._unwritten: set[str] = set()
        self._logs_bounded_at = 0.0
        endless = [part.name for part in parts if not part.once and part.ready is None]
        if endless:
            raise ValueError(f"services need a probe that tells when they are ready: {endless}")
        missing = {name for part in parts for name in part.after} - set(self._by_name)
        if missing:
            raise ValueError(f"unknown parts are waited for: {sorted(missing)}")

    def run(self) -> int:
        """Run the stack; returns 0 after a signal, 1 after a part failed."""
        for folder in ("run", "logs"):
            (self._dir / folder).mkdir(parents=True, exist_ok=True)
        processes.adopt_orphans()
        with self._signal_wakeup() as wakeup:
            try:
                while not self._signals and self._problem is None:
                    self._step()
                    self._sleep(wakeup)
            finally:
                self._end_all()
        if self._problem is not None:
            self._console.say(self._problem)
            return 1
        return 0

    # One pass of the loop

    def _step(self) -> None:
        if self._changes is not None:
            self._reload(self._changes())
        now = time.monotonic()
        for running in self._running:
            if self._problem is not None:
                return
            if running.process is not None:
                self._check(running, now)
            elif self._may_start(running, now):
                self._start(running)
        if not self._announced and all(running.is_ready for running in self._running):
            self._announced = True
            self._on_ready()
        if self._follows and (
            self._follow is None or not processes.is_alive(self._follow.pid, self._follow.started)
        ):
            self._console.say("Ending, because the process that this stack follows has ended.")
            self._signals += 1
        if now - self._logs_bounded_at > 5:
            self._logs_bounded_at = now
            for running in self._running:
                with self._writing(running.log.path):
                    rotate(running.log.path)
        self._reap_adopted()

    def _may_start(self, running: _Running, now: float) -> bool:
        return (
            running.state is PartState.WAITING
            and now >= running.not_before
            and all(self._by_name[name].is_ready for name in running.part.after)
        )

    def _start(self, running: _Running) -> None:
        part = running.part
        if not running.was_ready:
            self._console.begin(part.step)
        environment = (
            self._environment
            | dict(part.environment)
            | {processes.STACK_MARK: str(self._dir), processes.PART_MARK: part.name}
        )
        with open_log(running.log.path, part.name) as (file, start):
            running.log = Log(running.log.path, start)
            running.process = subprocess.Popen(
                ending_with_parent(tuple(part.command)),
                env=environment,
                cwd=part.cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                umask=part.umask,
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor alone
            )
        running.started_at = time.monotonic()
        running.state = PartState.STARTING
        note = self._dir / "run" / f"{part.name}.pid"
        with self._writing(note):
            note.write_text(f"{running.process.pid}\n")
        self._record()

    def _check(self, running: _Running, now: float) -> None:
        part, process = running.part, running.process
        assert process is not None
        code = process.poll()
        if code is not None:
            self._ended(running, code, now)
        elif running.state in (PartState.STOPPING, PartState.FAILED):
            if now - running.stopping_since > part.stop_within_s:
                process.kill()
        elif running.state is PartState.STARTING:
            if part.ready is not None and part.ready(running.log) and process.poll() is None:
                running.state = PartState.READY
                if part.nice:
                    processes.be_nice(process.pid, by=part.nice)
                self._became_ready(running)
            elif now - running.started_at > part.ready_within_s:
                self._fail(
                    running,
                    f"{part.name} was not ready within {part.ready_within_s:.0f} s",
                )
            elif not running.was_ready:
                last = running.log.last_lines(1) if part.tells_progress else []
                self._console.remind(part.step, last[0][:100] if last else "")

    def _became_ready(self, running: _Running) -> None:
        step = running.part.step
        if running.was_ready:
            what = "has run again" if running.part.once else "is back"
            self._console.say(f"{running.part.name} {what}.")
        elif all(other.is_ready for other in self._running if other.part.step == step):
            self._console.done(step)
        running.was_ready = True

    def _ended(self, running: _Running, code: int, now: float) -> None:
        part = running.part
        running.process = None
        (self._dir / "run" / f"{part.name}.pid").unlink(missing_ok=True)
        self._record()
        if running.state in (PartState.STOPPING, PartState.FAILED):
            self._end_descendants(part)
            if running.state is PartState.STOPPING:
                running.state = PartState.WAITING
            return
        if part.once and code == 0:
            running.state = PartState.DONE
            self._became_ready(running)
            return
        how = _exit_description(code)
        at_start = running.state is PartState.STARTING
        if not running.was_ready or (at_start and part.reload_on is not None):
            what = "failed" if part.once else "did not start"
            self._fail(running, f"{part.name} {what}: it ended with {how}")
            return
        running.deaths.append(now)
        while running.deaths and now - running.deaths[0] > self._policy.window_s:
            running.deaths.popleft()
        if len(running.deaths) > self._policy.limit:
            self._fail(
                running,
                f"{part.name} ended {len(running.deaths)} times within "
                f"{self._policy.window_s:.0f} s, at last with {how}",
            )
            return
        pause = self._policy.pause_s(len(running.deaths))
        self._console.say(
            f"{part.name} ended with {how}; starting it again in {pause:g} s "
            f"({len(running.deaths)} of {self._policy.limit}; log: {running.log.path})."
        )
        self._end_descendants(part)
        running.state = PartState.WAITING
        running.not_before = time.monotonic() + pause

    def _end_descendants(self, part: Part) -> None:
        """End what a part that has ended had started: it may hold a port of the next run."""
        processes.end(lambda: processes.marked(self._dir, part.name), grace_s=1)

    def _fail(self, running: _Running, what: str) -> None:
        lines = running.log.last_lines(_LAST_LINES)
        tail = "".join(f"\n    {line}" for line in lines)
        log = f"Its log: {running.log.path}" + (f"\nThe last lines of it:{tail}" if tail else "")
        if running.part.reload_on is None:
            self._problem = f"Stopped: {what}. Everything was ended; nothing stored was lost. {log}"
            return
        if running.process is not None:
            running.process.terminate()
        else:
            self._end_descendants(running.part)
        running.state, running.stopping_since = PartState.FAILED, time.monotonic()
        self._console.say(f"Failed: {what}. It is started again when a file changes. {log}")

    # Reloading

    def _reload(self, changed: set[Path]) -> None:
        """Restart the parts that run a changed file, and those that failed before."""
        concerned = {
            running.part.name: {path for path in changed if running.part.reload_on(path)}
            for running in self._running
            if running.part.reload_on is not None
        }
        files = sorted(set().union(*concerned.values()))
        if not files:
            return
        restarted = [
            self._by_name[name]
            for name, paths in concerned.items()
            if paths or self._by_name[name].state is PartState.FAILED
        ]
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        names = ", ".join(running.part.name for running in restarted)
        self._console.say(f"{files[0]}{more} changed; restarting {names}.")
        for running in restarted:
            self._restart(running)

    def _restart(self, running: _Running) -> None:
        running.deaths.clear()
        running.not_before = 0
        if running.process is None:
            running.state = PartState.WAITING
        elif running.state is not PartState.STOPPING:
            if running.state is not PartState.FAILED:  # that was told to end already
                running.process.terminate()
                running.stopping_since = time.monotonic()
            running.state = PartState.STOPPING

    # The end

    def _end_all(self) -> None:
        """End every process that was started, parents and their descendants alike."""
        running = [each for each in self._running if each.process is not None]
        if running and self._problem is None:
            self._console.say("Ending …")
        self._end_parts([each for each in running if not each.part.ends_last])
        self._end_parts([each for each in running if each.part.ends_last])
        # Descendants in other process groups that outlived their parents were adopted by us.
        processes.end(
            lambda: processes.marked(self._dir) + _not_zombies(processes.children()), grace_s=0.5
        )
        self._reap_adopted()
        for each in self._running:
            (self._dir / "run" / f"{each.part.name}.pid").unlink(missing_ok=True)
        leftovers.clear(self._dir)

    def _end_parts(self, running: Sequence[_Running]) -> None:
        began = time.monotonic()
        for each in running:
            assert each.process is not None
            each.process.terminate()
        left = list(running)
        while left:
            patience = 0.0 if self._signals > 1 else time.monotonic() - began
            for each in list(left):
                assert each.process is not None
                if each.process.poll() is not None:
                    left.remove(each)
                elif self._signals > 1 or patience > each.part.stop_within_s:
                    each.process.kill()
            time.sleep(_BUSY_INTERVAL_S / 2)
        for each in running:
            each.process = None

    # Bookkeeping

    def _log_path(self, part: Part) -> Path:
        return self._dir / "logs" / f"{part.name}.log"

    def _record(self) -> None:
        running = [each.process for each in self._running if each.process is not None]
        with self._writing(self._dir / "run"):
            leftovers.record(self._dir, [process.pid for process in running])

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Notes and logs that cannot be written, as the disk is full, end no part: it is said."""
        try:
            yield
        except OSError as error:
            said = f"Could not write {path}: {error.strerror or error}. All parts go on."
            if said not in self._unwritten:
                self._unwritten.add(said)
                self._console.say(said)

    def _reap_adopted(self) -> None:
        own = {each.process.pid for each in self._running if each.process is not None}
        # The kernel is asked, as each pass comes here: to read all of /proc takes milliseconds.
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in own:
                    return  # the next pass checks it, and comes here again
                os.waitpid(ended.si_pid, os.WNOHANG)

    @contextlib.contextmanager
    def _signal_wakeup(self) -> Iterator[socket.socket]:
        """In the block signals wake the loop, and those that end the stack are counted."""
        read, write = socket.socketpair()
        read.setblocking(False)
        write.setblocking(False)

        def ask_to_end(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1

        handlers = {
            number: signal.signal(number, ask_to_end)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        try:
            yield read
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            read.close()
            write.close()

    def _sleep(self, wakeup: socket.socket) -> None:
        settled = (PartState.READY, PartState.DONE, PartState.FAILED)
        busy = any(running.state not in settled for running in self._running)
        idle = _IDLE_INTERVAL_S if self._changes is None else _WATCHING_INTERVAL_S
        ready, _, _ = select.select([wakeup], [], [], _BUSY_INTERVAL_S if busy else idle)
        if ready:
            with contextlib.suppress(BlockingIOError):
                wakeup.recv(4096)


def _not_zombies(found: Sequence[processes.Process]) -> list[processes.Process]:
    return [process for process in found if not process.is_zombie]


def _exit_description(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
