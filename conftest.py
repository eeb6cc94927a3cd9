"""Fixtures for the tests of every part."""

import gc
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from hypothesis import HealthCheck
from structlog import contextvars

from core import catalogs, remembered
from tests import first_rows, migrated, quick

# pytest-django has read the settings of the tests by now (pyproject.toml). A process that a test
# starts is to have the portal's own, as a user's has.
os.environ["DJANGO_SETTINGS_MODULE"] = "mmeportal.settings"
# Without bytecode each of the hundreds of processes would compile what it imports once more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Characters of a parameter's value that are shown as its id.
LONGEST_ID = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only quick tests that start no process")
    parser.addoption("--no-processes", action="store_true", help="only tests that start no process")


def pytest_configure(config: pytest.Config) -> None:
    # The same examples in each run; and a busy machine, on which all is slow, fails no test.
    hypothesis.settings.register_profile(
        "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("same")
    catalogs.compile_changed()  # before Django reads them
    if config.getoption("--quick") or config.getoption("--no-processes"):
        left_out = quick.MARKS | ({"not_quick"} if config.getoption("--quick") else set())
        config.pluginmanager.register(quick.NoProcesses(left_out), "no-processes")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    quick.mark(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Have the garbage collector look at what tests make, and at that seldom.

    What is collected lives to the end, so looking through it again and again finds nothing.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 10, 50)
        gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A short id for a long value: pytest-xdist sends each id to and fro, be it of megabytes."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{argname} of {len(val)}"
    return None


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """Tests must never reach a real account: credentials that are none, and no local profile."""
    from core import aws, where

    patch = pytest.MonkeyPatch()
    # Each page shows the account (core/where.py), and would have a thread ask STS for it.
    patch.setattr(where.WATCH, "_look", lambda: aws.Identity("123456789012", "", "tests"))
    patch.setenv("AWS_ACCESS_KEY_ID", "test-access-key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret-key")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", "/dev/null")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    # Where nobody listens: pages ask for measurements by themselves, and a call is sent without
    # botocore. To look up a name takes seconds on a machine that reaches no name server.
    patch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    patch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://127.0.0.1:9")
    patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:9")
    yield
    patch.undo()


@pytest.fixture(scope="session")
def django_db_keepdb(
    django_db_keepdb: bool, django_db_createdb: bool, django_db_modify_db_settings: None
) -> Iterator[bool]:
    """Whether the database of the tests is there already: as a copy of a migrated one, if possible.

    Stands in for pytest-django's fixture, which the others of its name ask.
    """
    from django.db import connection

    if connection.vendor != "sqlite" or django_db_keepdb or django_db_createdb:
        yield django_db_keepdb
        return
    database = Path(connection.settings_dict["TEST"]["NAME"])
    copied = migrated.copy_to(database)
    yield copied
    if copied:  # pytest-django keeps it
        connection.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_keepdb: bool, django_db_blocker: Any
) -> Iterator[first_rows.FirstRows]:
    """The database of the tests, which is kept for the next run before a test has written to it.

    Gives the rows that every test begins with.
    """
    from django.db import connection
    from django.test import TransactionTestCase

    with django_db_blocker.unblock():
        if connection.vendor == "sqlite" and not django_db_keepdb:
            migrated.keep(Path(connection.settings_dict["NAME"]))
        rows = first_rows.FirstRows()
    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: rows.put_back())
    yield rows
    patch.undo()


@pytest.fixture(autouse=True)
def _tokens_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test takes a token from the process's memory, or leaves a thread that writes its use."""
    from accounts import token_auth, token_uses

    token_auth.CACHE.clear()
    monkeypatch.setattr(token_uses.USES, "note", lambda *_: None)


@pytest.fixture(autouse=True)
def _pace_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the calls of AWS that tests before it made."""
    from core import pace

    monkeypatch.setattr(pace.CONTROL_PLANE, "_own_full_at", -math.inf)


@pytest.fixture(autouse=True)
def _whole_pauses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause is drawn at random, but in the tests of the draw."""
    from core import backoff

    if "jitter" not in request.keywords:
        monkeypatch.setattr(backoff, "share", lambda: 1.0)


@pytest.fixture(autouse=True)
def _request_of_this_test() -> None:
    """No test is given the id of a request that one before it sent without a server's end."""
    contextvars.clear_contextvars()


@pytest.fixture(scope="session", autouse=True)
def _journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The journals of calls are in a folder of the tests."""
    patch = pytest.MonkeyPatch()
    patch.setattr(settings, "JOURNAL_DIR", str(tmp_path_factory.mktemp("journal")))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _calls_of_this_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows of calls are written at once, by the thread of the test; nothing is remembered."""
    from invocations import pictures_kept, recording
    from models_catalog import secrecy

    for each in remembered.ALL:
        each.clear()
    # No store names groups until a test says so (secrecy.forget): else whoever counts queries would
    # count that one once a second.
    monkeypatch.setattr(secrecy._stores, "_keep_s", 3600)
    secrecy._stores.get("", secrecy.nothing_named)
    made: list[recording.Recorder] = []

    def recorder() -> recording.Recorder:
        if not made:
            made.append(recording.Recorder(Path(settings.JOURNAL_DIR), inline=True))
        return made[0]

    monkeypatch.setattr(recording, "recorder", recorder)
    monkeypatch.setattr(pictures_kept, "storing", lambda: pictures_kept.Storing(inline=True))
    yield
    for recorder_made in made:
        recorder_made.close()
    for left in Path(settings.JOURNAL_DIR).glob("*"):
        left.unlink()  # no test is told of another one's calls


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered for a second is remembered for the whole test, however slow it runs."""
    from accounts import token_auth

    for each in (token_auth.CACHE, *remembered.ALL):
        monkeypatch.setattr(each, "_keep_s", 3600)


@pytest.fixture
def user_in(db: None, django_db_setup: first_rows.FirstRows) -> Callable[[str], Any]:
    """Make a user of a role: ``user_in("viewer")``; ``"superuser"`` is one without a role."""
    from django.contrib.auth.models import Group, User

    from accounts import roles

    if first_rows.permissions_of_roles() != django_db_setup.permissions:  # by a setting
        roles.ensure_roles()

    def make(role: str) -> Any:
        user = User.objects.create_user(f"{role}-user", password="a good long password")
        if role == "superuser":
            user.is_superuser = True
            user.save()
        else:
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def client_of(user_in: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a logged-in test client of a role: ``client_of("operator")``."""
    from django.test import Client

    def make(role: str) -> Any:
        client = Client()
        client.force_login(user_in(role))
        return client

    return make


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """A folder to put archives in."""
    folder = tmp_path / "archives"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def s3_address(_no_real_aws: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server, one for each test process."""
    from tests.servers import s3_server

    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder, "test-access-key", "test-secret-key") as address:
        yield address


@pytest.fixture(scope="session")
def aws_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for PATH with the AWS CLI as ``aws``, which is started once for all its commands."""
    from tests.aws_cli import forking

    with forking(tmp_path_factory.mktemp("aws")) as folder:
        yield folder


@pytest.fixture
def store(s3_address: str, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[str]:
    """The portal's bucket, new and empty, in a real S3 server; gives its name."""
    import uuid

    from core import aws

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_address)
    aws.s3.cache_clear()
    aws.s3_for_browsers.cache_clear()
    settings.MODEL_BUCKET = f"store-{uuid.uuid4().hex[:12]}"
    region = settings.AWS_REGION
    aws.s3().create_bucket(
        Bucket=settings.MODEL_BUCKET, CreateBucketConfiguration={"LocationConstraint": region}
    )
    yield settings.MODEL_BUCKET
    aws.s3.cache_clear()
    aws.s3_for_browsers.cache_clear()
