"""The pause before a retry, after AWS throttled a call or did not answer: exponential backoff.

The retries within one call are botocore's (:mod:`core.aws`). This is how long a row then waits
until it is due again.
"""

from datetime import timedelta


def pause(failures: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after so many failures in a row: ``first``, doubled with each of them."""
    return min(longest, first * (1 << min(failures, 30)))
