"""The portal, as an object: what there is, by noun."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from mme_client.alarms import EndpointAlarms
from mme_client.aliases import Aliases
from mme_client.calls import Invocations, Samples
from mme_client.comparisons import Comparisons
from mme_client.costs import Costs
from mme_client.endpoints import Endpoints
from mme_client.events import Events
from mme_client.experiments import Experiments
from mme_client.groups import Groups
from mme_client.mails import Mails
from mme_client.models import Models
from mme_client.orphans import Orphans
from mme_client.records import Me, Record, Status, Today
from mme_client.redactions import Redactions
from mme_client.storage import Storage
from mme_client.stores import Stores
from mme_client.tokens import Tokens
from mme_client.transport import Transport
from mme_client.uploads import Uploads
from mme_client.webhooks import Webhooks

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from mme_client.records import Invocation

R = TypeVar("R", bound=Record)


class Portal:
    """One portal, and who calls it.

    >>> from mme_client import Portal
    >>> with Portal() as portal:
    ...     portal.status().version
    '0.1.0'

    ``url`` and ``token``: those of MME_URL and MME_TOKEN where they are not given. ``timeout``:
    seconds without a byte after which a request is given up. ``language``: of the sentences, as
    Accept-Language (``ko``). ``ca_bundle``: a file or folder of certificates to trust besides the
    system's; also MME_CA_BUNDLE. HTTPS_PROXY and NO_PROXY count.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 4,
        language: str = "",
        ca_bundle: str | os.PathLike[str] | None = None,
        seen_version: Callable[[str], None] | None = None,
    ) -> None:
        url = url or os.environ.get("MME_URL", "")
        if not url:
            raise ValueError("Give the portal's address, or set MME_URL.")
        self.transport = Transport(
            url,
            token if token is not None else os.environ.get("MME_TOKEN", ""),
            timeout=timeout,
            retries=retries,
            language=language,
            ca_bundle=ca_bundle,
            seen_version=seen_version,
        )
        self.models = Models(self)
        self.aliases = Aliases(self)
        self.endpoints = Endpoints(self)
        self.alarms = EndpointAlarms(self)
        self.orphans = Orphans(self)
        self.costs = Costs(self)
        self.invocations = Invocations(self)
        self.samples = Samples(self)
        self.comparisons = Comparisons(self)
        self.experiments = Experiments(self)
        self.events = Events(self)
        self.tokens = Tokens(self)
        self.webhooks = Webhooks(self)
        self.mails = Mails(self)
        self.uploads = Uploads(self)
        self.storage = Storage(self)
        self.stores = Stores(self)
        self.groups = Groups(self)
        self.redactions = Redactions(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Its address."""
        return self.transport.url

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def within(self, seconds: float | None) -> AbstractContextManager[None]:
        """A time limit for all that is done inside; TimedOut is raised when it is over.

        >>> with portal.within(30):
        ...     portal.me().role
        'operator'
        """
        return self.transport.within(seconds)

    def me(self) -> Me:
        """Who calls, and what they may do.

        >>> portal.me().scopes
        ['read', 'upload', 'invoke', 'operate']
        """
        return Me.of(self.transport.call("GET", "/me").document(), self)

    def status(self) -> Status:
        """How the portal stands.

        >>> portal.status().region
        'ap-northeast-2'
        """
        return Status.of(self.transport.call("GET", "/status").document(), self)

    def today(self) -> Today:
        """What needs somebody, what runs and costs, and what was called since midnight.

        >>> portal.today().calls.failed
        0
        """
        return Today.of(self.transport.call("GET", "/today").document(), self)

    def invoke(
        self,
        endpoint: str,
        model: str,
        payload: str | os.PathLike[str] | bytes | IO[bytes],
        *,
        target: str = "",
        name: str = "",
        content_type: str = "",
        variant: str = "",
    ) -> Invocation:
        """Call a model with a picture, or with whatever it takes.

        ``model``: ``digits:2``, ``digits@production``, or ``digits`` for its live version (the
        newest that is ready, where none is live); empty with ``target``, a target model.
        ``payload``: a file's path, bytes, or an open file. ``variant``: which of the endpoint's is
        to answer; without it SageMaker chooses, by their weights.

        >>> answer = portal.invoke("demo", "digits:2", "7.png")
        >>> answer.predictions[0].label
        'seven'
        """
        return self.invocations.create(
            endpoint, model, payload,
            target=target, name=name, content_type=content_type, variant=variant,
        )  # fmt: skip

    def pages(self, kind: type[R], path: str, query: dict[str, Any]) -> Iterator[R]:
        """The items of a list, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            asked = query if cursor is None else {**query, "cursor": cursor}
            found = self.transport.call("GET", path, query=asked).document()
            items: Iterable[Any] = found["items"]
            for item in items:
                yield kind.of(item, self)
            cursor = found.get("next")
            if cursor is None:
                return
