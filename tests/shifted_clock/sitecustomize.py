"""Shifts the clock of a Python process by CLOCK_AHEAD_S seconds, as a host's wrong clock would.

Python runs this at the start of each process that has this folder in PYTHONPATH. The clocks of
other processes, of the database and of libraries in C stay right; so does the monotonic clock.
"""

import ctypes
import datetime
import functools
import gc
import os
import time

AHEAD_S = float(os.environ.get("CLOCK_AHEAD_S", "0"))


def _shift() -> None:
    real_time, real_ns, real_now = time.time, time.time_ns, datetime.datetime.now
    real_gmtime, real_localtime = time.gmtime, time.localtime
    ahead = datetime.timedelta(seconds=AHEAD_S)

    def shifted() -> float:
        return real_time() + AHEAD_S

    def shifted_ns() -> int:
        return real_ns() + int(AHEAD_S * 1e9)

    def gmtime(at: float | None = None) -> time.struct_time:
        return real_gmtime(shifted() if at is None else at)

    def localtime(at: float | None = None) -> time.struct_time:
        return real_localtime(shifted() if at is None else at)

    # Functions would become methods where a class has them as attributes, as logging's has.
    time.time, time.time_ns = functools.partial(shifted), functools.partial(shifted_ns)
    time.gmtime, time.localtime = functools.partial(gmtime), functools.partial(localtime)

    # `datetime` is a type of C, which takes no attributes but through its own dictionary. Another
    # class in its place would not be the one that libraries compare with.
    (names,) = (d for d in gc.get_referents(datetime.datetime.__dict__) if isinstance(d, dict))

    def now(cls: type, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return real_now(tz) + ahead

    def utcnow(cls: type) -> datetime.datetime:
        return real_now(datetime.UTC).replace(tzinfo=None) + ahead

    names["now"], names["utcnow"] = classmethod(now), classmethod(utcnow)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))


if AHEAD_S:
    _shift()
