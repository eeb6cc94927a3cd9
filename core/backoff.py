"""The pause after AWS throttled a call, or did not answer: exponential backoff.

This is how long an endpoint or a version then waits until it is due again. The retries within one
AWS call are botocore's (:mod:`core.aws`). A call of a model is retried after one second
(``BETWEEN_TRIES_S`` in invocations/services.py), as a user waits for it.
"""

from datetime import timedelta


def pause(failures: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after so many failures in a row: ``first``, doubled with each of them."""
    return min(longest, first * (1 << min(failures, 30)))
