"""A machine that has no thread left for a moment: what needs one goes on when there is one."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.token_uses import Uses
from core.api.idempotency import _Renewer
from core.worker_watch import WorkerWatch
from endpoints import quotas
from invocations import pool
from invocations.pictures_kept import Storing
from invocations.recording import Recorder
from invocations.under_way import UnderWay
from notices import addresses

Started = list[threading.Thread]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The threads that are started from the second on; they do nothing."""
    found: Started = []
    refused: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        if not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        found.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    return found


def _picture(number: int) -> Any:
    return SimpleNamespace(sha256=str(number), data=b"x")


class _Recorded:
    """A call, as far as it is asked."""

    payload = None

    def __init__(self, number: int) -> None:
        self.uid = str(number)


def _recorded(number: int) -> Any:
    return _Recorded(number)


def _asks(what: str, folder: Path) -> Callable[[int], Any]:
    """What asks for the thread of ``what``."""
    match what:
        case "pictures":
            storing = Storing()
            return lambda number: storing.put(_picture(number), ())
        case "calls":
            recorder = Recorder(folder)
            return lambda number: recorder._take(_recorded(number), 0)
        case "workers":
            watch = WorkerWatch(lambda: "")
            return lambda _number: watch._begin()
        case "uses of tokens":
            uses = Uses()
            return lambda number: uses.note(str(number), "::1")
        case "changes":
            renewer = _Renewer()
            return lambda number: renewer.add(str(number))
    under_way = UnderWay()
    return lambda number: under_way.add(_recorded(number))


@pytest.mark.parametrize(
    "what", ["pictures", "calls", "workers", "uses of tokens", "changes", "calls under way"]
)
def test_the_next_one_begins_the_thread(what: str, started: Started, tmp_path: Path) -> None:
    ask = _asks(what, tmp_path)
    ask(1)
    assert not started
    ask(2)
    assert len(started) == 1


def test_without_a_thread_a_call_is_written_at_once(started: Started, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    assert not recorder._take(_recorded(1), 5)
    assert recorder._take(_recorded(2), 5)
    assert recorder._unwritten == {"2"}


def test_without_a_thread_no_place_of_the_pool_is_taken(started: Started) -> None:
    places = pool.Pool(threads=1, waiting=0)
    with pytest.raises(pool.PoolFull):
        places.submit(lambda: None)
    places.submit(lambda: None)
    assert len(started) == 1


def test_without_a_thread_a_quota_is_asked_for_here(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it later waited for an answer that nobody gave."""
    monkeypatch.setattr(quotas, "limit_of", lambda _type: 7)
    quotas.forget()
    assert quotas._asked("ml.m5.large").limit == 7
    quotas.forget()
    assert not quotas._under_way


def test_without_a_thread_the_address_of_a_webhook_is_not_found_now(started: Started) -> None:
    """So its delivery is tried again, as where no name server answers."""
    with pytest.raises(addresses.Unresolved, match="not found in time"):
        addresses._look_up("receiver.example", 443)
