"""The exit codes of ``mme``, and which failure has which."""

import enum

from mme_client import errors


class Exit(enum.IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    REFUSED_ARTIFACT = 5
    TIMED_OUT = 6
    UNREACHABLE = 7
    INTERRUPTED = 130


#: Codes of problems that say the values were wrong.
_WRONG = {"invalid", "bad-key", "bad-request", "malformed-json"}


def of_error(error: BaseException) -> Exit:
    """The exit code of a failure."""
    if isinstance(error, errors.NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, errors.NotAllowed):
        return Exit.NOT_ALLOWED
    if isinstance(error, errors.Rejected | errors.RefusedArchive):
        return Exit.REFUSED_ARTIFACT
    if isinstance(error, errors.TimedOut):
        return Exit.TIMED_OUT
    if isinstance(error, errors.Unreachable):
        return Exit.UNREACHABLE
    if isinstance(error, errors.ProblemError):
        if error.code in _WRONG:
            return Exit.WRONG_USE
        if error.code == "model-loading":
            return Exit.TIMED_OUT
    return Exit.FAILED
