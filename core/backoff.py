"""The pause after AWS throttled a call, or did not answer: exponential backoff with jitter.

This is how long an endpoint or a version then waits until it is due again. The retries within one
AWS call are botocore's (:mod:`core.aws`). A call of a model is retried after one second
(``BETWEEN_TRIES_S`` in invocations/services.py), as a user waits for it.
"""

import random
from datetime import timedelta

#: The least share of a pause that is waited for: many that failed together do not retry together.
LEAST_SHARE = 0.5


def pause(failures: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after so many failures in a row.

    Drawn from the upper half of ``first``, doubled with each of them, and of ``longest`` at most.
    """
    return min(longest, first * (1 << min(failures, 30))) * share()


def share() -> float:
    """The share of a pause that is waited for."""
    return random.uniform(LEAST_SHARE, 1)  # noqa: S311 - no secret
