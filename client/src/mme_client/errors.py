"""What can go wrong, as exceptions."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mme_client.records import Alarm, Endpoint, Orphan, Version


class MmeError(Exception):
    """The base of all that this package raises for a call."""


class Unreachable(MmeError):
    """Nothing answered at the address, or it is no portal, or its certificate is not trusted.

    ``status``: of an answer that is none of a portal; 0: there was no answer. ``never_connected``:
    there was no connection either, from the beginning.
    """

    def __init__(self, *said: object, status: int = 0, never_connected: bool = False) -> None:
        super().__init__(*said)
        self.status = status
        self.never_connected = never_connected


class TimedOut(MmeError):
    """The time that was given is over. What was asked for may go on in the portal."""


class ProblemError(MmeError):
    """The portal refused, or failed: the fields of its problem document (RFC 9457).

    ``code`` is stable (docs/problems.md), ``detail`` is for people, ``instance`` is the id of the
    request, which the portal's log has. ``errors`` has sentences by field.
    """

    def __init__(self, document: Mapping[str, Any], status: int) -> None:
        self.document = dict(document)
        self.status = int(document.get("status") or status)
        self.type = str(document.get("type") or "about:blank")
        self.code = self.type.rpartition("/")[2]
        self.title = str(document.get("title") or "")
        self.detail = str(document.get("detail") or "")
        self.instance = str(document.get("instance") or "")
        found = document.get("errors")
        self.errors: dict[str, list[str]] = (
            {str(name): [str(one) for one in said] for name, said in found.items()}
            if isinstance(found, dict)
            else {}
        )
        super().__init__(" ".join(self.sentences()))

    def sentences(self) -> Sequence[str]:
        """What happened, and what is wrong with each field, where that was not said before."""
        fields = [
            f"{name}: {' '.join(said)}"
            for name, said in self.errors.items()
            if self.code == "invalid" or not all(one in self.detail for one in said)
        ]
        # The detail of `invalid` tells programs to read `errors`; people read them below.
        told = f"{self.title}." if self.code == "invalid" and self.errors else self.detail
        return [told or self.title or f"{self.status} {self.code}", *fields]


class NotFound(ProblemError):
    """404: it is not there, or not for this caller to see."""


class NotAllowed(ProblemError):
    """401 or 403: the token is not known, or it or its owner may not do this."""


class RefusedArchive(ProblemError):
    """The portal did not take an archive: it is too large, or came otherwise than it was sent."""


class Rejected(MmeError):
    """The portal's validation refused an archive; ``version.reason`` says why."""

    def __init__(self, version: "Version") -> None:
        self.version = version
        super().__init__(version.reason or "")


class EndpointFailed(MmeError):
    """An endpoint does not come to serve, or to be gone; ``endpoint.failure`` says why."""

    def __init__(self, endpoint: "Endpoint") -> None:
        self.endpoint = endpoint
        super().__init__(" ".join(filter(None, (endpoint.failure, endpoint.hint))))


class ChangeRefused(MmeError):
    """SageMaker refused a change of an endpoint or rolled it back; it serves as before."""

    def __init__(self, endpoint: "Endpoint") -> None:
        self.endpoint = endpoint
        refused = endpoint.refused_change
        super().__init__(refused.failure if refused is not None else "")


class OrphanKept(MmeError):
    """What was to be deleted is still there; ``orphan.failure`` says why."""

    def __init__(self, orphan: "Orphan") -> None:
        self.orphan = orphan
        super().__init__(f"{orphan.kind} {orphan.name}: {orphan.failure or orphan.state}")


class AlarmRefused(MmeError):
    """AWS does not make, change or delete an alarm; ``alarm.failure`` says why."""

    def __init__(self, alarm: "Alarm") -> None:
        self.alarm = alarm
        super().__init__(f"{alarm.name}: {alarm.failure or alarm.state}")


def of_document(document: Mapping[str, Any], status: int) -> ProblemError:
    """The exception that a problem document is."""
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(document, status)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return NotAllowed(document, status)
    return ProblemError(document, status)
