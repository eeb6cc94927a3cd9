"""Jobs that the release of the first users queued still run: under their names, with their work."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core import clock, job_messages
from core.tests.test_forged_messages import message
from endpoints.models import Endpoint
from endpoints.tests.account import Account
from mmeportal.celery import app
from models_catalog import s3, services
from models_catalog.models import Version

pytestmark = pytest.mark.django_db(transaction=True)


def run(name: str, *arguments: int) -> None:
    """Run a job as a worker does: the message is read, then its task is called."""
    app.loader.import_default_modules()
    given = job_messages.read(message(name, arguments), app.tasks)
    app.tasks[given["headers"]["task"]](*arguments)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    Account().install(monkeypatch)
    return Endpoint.objects.create(
        name="old",
        bucket="b",
        image="i",
        instance_type="ml.m5.large",
        role_arn="arn:aws:iam::123456789012:role/old",
    )


@pytest.fixture
def version(store: str, tmp_path: Path) -> Version:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"no archive")
    with path.open("rb") as file:
        return services.upload_version(
            name="old", note="", file=file, file_name=path.name, actor=None
        )


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...]]]:
    """What is put into the queue."""
    app.loader.import_default_modules()
    sent: list[tuple[str, tuple[int, ...]]] = []
    for name in ("endpoints.tasks.advance", "models_catalog.tasks.check"):

        def note(args: tuple[int, ...], *, name: str = name, **options: Any) -> None:
            sent.append((name, args))

        monkeypatch.setattr(app.tasks[name], "apply_async", note)
    return sent


@pytest.mark.not_quick
def test_advance_takes_a_step(endpoint: Endpoint, sent: list[Any]) -> None:
    from endpoints.models import Resource

    for kind in Resource.Kind.values:
        Resource.objects.create(endpoint=endpoint, kind=kind, name="old-r1")
    run("endpoints.tasks.advance", endpoint.pk)
    endpoint.refresh_from_db()
    assert endpoint.checked_at is not None
    assert endpoint.resources.exclude(state=Resource.State.WAITING).exists()


def test_check_settles_a_version(version: Version) -> None:
    run("models_catalog.tasks.check", version.pk)
    version.refresh_from_db()
    assert (version.state, version.attempts) == (Version.State.REJECTED, 1)
    assert version.reason


def test_the_sweeps_queue_what_is_due(
    endpoint: Endpoint, version: Version, sent: list[Any]
) -> None:
    run("endpoints.tasks.sweep")
    run("models_catalog.tasks.sweep")
    assert sent == [
        ("endpoints.tasks.advance", (endpoint.pk,)),
        ("models_catalog.tasks.check", (version.pk,)),
    ]


def test_the_sweep_of_staging_deletes_what_is_left(store: str, version: Version) -> None:
    Version.objects.update(state=Version.State.REJECTED, settled_at=clock.now() - timedelta(1))
    run("models_catalog.tasks.sweep_staging")
    assert not s3.exists(bucket=store, key=version.staging_key)
