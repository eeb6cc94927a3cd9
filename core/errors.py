"""The exceptions of calls to AWS.

Every message is a sentence that may be shown on a page.
"""

from typing import Final

from core.sentences import Sentence

#: The code of a ValidationError for a value that is right in itself, and not possible in the state
#: that things are in: a name that is taken. The API answers 409 for it, and 422 for all others.
CONFLICT: Final = "conflict"


class AwsError(Exception):
    """An AWS call failed; the subclasses say how. ``str()`` may be shown on a page.

    ``sentence`` is what a row stores (core/sentences.py); ``str()`` is the same in the reader's
    language. ``todo`` is what a person can do about it, if known; ``str()`` includes it.
    ``whole``: it also says what was changed or kept, so that nothing is said in its place.
    """

    def __init__(
        self, message: Sentence | str, *, todo: Sentence | str = "", whole: bool = False
    ) -> None:
        super().__init__(message)
        self.whole = whole
        self.sentence = Sentence.of(message)
        self._todo = todo

    @property
    def todo(self) -> str:
        """What a person can do about it, in the reader's language; "" where nothing is known."""
        return str(self._todo)


class NotFound(AwsError):
    """The resource or object does not exist."""


class AlreadyExists(AwsError):
    """A resource of that name, or an object with that key, exists already."""


class Busy(AwsError):
    """The resource's state does not allow this now; a retry later may succeed."""


class NotReady(AwsError):
    """SageMaker is still loading the model (ModelNotReadyException); retry."""


class Throttled(AwsError):
    """AWS throttles the calls, or cannot be reached for the moment; retry with backoff."""


class StorageFull(Throttled):
    """The store has no space left; the object was not stored."""


class Denied(AwsError):
    """AWS denies the call until a person changes permissions or settings."""


class Invalid(AwsError):
    """AWS rejects the request as invalid; a retry will not help."""


class QuotaReached(Invalid):
    """The account may have no more of it until AWS raises a quota, or others are deleted."""


class ModelFailed(AwsError):
    """The model's container answered with an error.

    ``status`` is the container's HTTP status (InvokeEndpoint's OriginalStatusCode).
    """

    def __init__(self, message: Sentence | str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
