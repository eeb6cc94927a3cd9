"""The few ways in which an outside call fails, as errors of the portal.

Every message is a sentence that a person may read on a page.
"""


class AwsError(Exception):
    """An AWS call failed; the subclasses say how. ``str()`` is fit for a page.

    ``todo`` says what a person is to do about it, where that is known; ``str()`` says it too.
    """

    def __init__(self, message: str, *, todo: str = "") -> None:
        super().__init__(message)
        self.todo = todo


class NotFound(AwsError):
    """The thing is not there."""


class AlreadyExists(AwsError):
    """A thing of that name, or an object of that key, is there already."""


class Busy(AwsError):
    """The thing is in a state that does not allow this now; trying later may help."""


class NotReady(AwsError):
    """SageMaker is still loading the model (ModelNotReadyException); try again."""


class Throttled(AwsError):
    """AWS asks to slow down, or cannot be reached for the moment; try again."""


class Full(Throttled):
    """The store has no room left; what was sent is not kept."""


class Denied(AwsError):
    """AWS does not let the portal do this, until a person changes something there or here."""


class Invalid(AwsError):
    """AWS refuses the request as it stands; trying again will not help."""


class ModelFailed(AwsError):
    """The model's container answered with an error.

    ``status`` is the container's HTTP status (InvokeEndpoint's OriginalStatusCode).
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
