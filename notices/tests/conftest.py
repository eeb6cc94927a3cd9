"""What the tests of webhooks share."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from activity.services import record
from models_catalog.models import RegisteredModel, Version
from notices import delivering, services
from notices.models import Webhook
from notices.tests.receiver import Receiver, receiving

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
Hook = Callable[..., tuple[Webhook, str]]


@pytest.fixture
def _loopback(settings: Any) -> None:
    """Webhooks may reach this machine, and by http."""
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_PRIVATE_NETWORKS = LOOPBACK


@pytest.fixture
def receiver(_loopback: None) -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the deliveries that were queued; nothing is run."""
    queued: list[int] = []
    for module in (delivering, services):
        monkeypatch.setattr(module, "enqueue_on_commit", lambda _task, pk: queued.append(pk))
    return queued


@pytest.fixture
def hook(db: None, receiver: Receiver) -> Hook:
    """Make a webhook to the receiver: ``hook(kinds=[…])``; gives it and its secret."""

    def make(**fields: Any) -> tuple[Webhook, str]:
        given = {"url": receiver.url, "kinds": ["version.ready", "version.rejected"]} | fields
        return services.make(**given, actor=None)

    return make


@pytest.fixture
def version(db: None) -> Version:
    return make_version()


def make_version(model: str = "digits", number: int = 1, **fields: Any) -> Version:
    registered, _ = RegisteredModel.objects.get_or_create(name=model)
    return Version.objects.create(
        model=registered,
        number=number,
        bucket="b",
        key=f"models/{model}_v{number}.tar.gz",
        file_name="a.tar.gz",
        size=1,
        sha256="0" * 64,
        **fields,
    )


def ready(version: Version) -> None:
    """Record that a version is ready, as models_catalog/publication.py does."""
    record(
        action="version.published",
        subject=version,
        parameters={"version": str(version), "target_model": version.target_model},
        level="success",
    )


def rejected(version: Version, reason: str = "It holds no network.") -> None:
    """Record that a version was rejected."""
    record(
        action="version.rejected",
        subject=version,
        parameters={"version": str(version), "reason": reason},
        level="error",
    )
