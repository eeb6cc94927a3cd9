"""One set of tests over every model with leases: versions, endpoints, calls, and those to come.

Each is claimed by one worker, is due again when that one dies, and takes nothing from a worker
whose lease ran out.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from activity.services import record
from core import clock
from core.lease import Lease, Leased, LeaseLost, LeaseQuerySet
from core.tests.locked import locked_by_another_program
from endpoints.models import AlarmWatch, Endpoint, Orphan, OrphanLook, Resource
from invocations.models import AnswerComparison, Experiment, Invocation, Warming
from models_catalog.models import AliasMirror, RegisteredModel, StoreComparison, Upload, Version
from notices.models import Delivery, Webhook
from tests.together import together

LEASE = timedelta(seconds=30)


def _version() -> Version:
    model, _ = RegisteredModel.objects.get_or_create(name="digits")
    return Version.objects.create(
        model=model,
        number=model.versions.count() + 1,
        bucket="b",
        key=f"models/{model.versions.count()}",
        file_name="a.tar.gz",
        size=1,
        sha256="0" * 64,
    )


def _endpoint() -> Endpoint:
    return Endpoint.objects.create(
        name=f"e{Endpoint.objects.count()}", bucket="b", image="i", role_arn="r", instance_type="t"
    )


def _invocation() -> Invocation:
    call = Invocation.objects.create(
        endpoint=_endpoint(), version=_version(), target_model="m", leased_until=None
    )
    # As its process left it when it died.
    Invocation.objects.filter(pk=call.pk).update(
        leased_until=Now() - timedelta(seconds=1), seen_at=Now() - timedelta(hours=1)
    )
    return call


def _alias_mirror() -> AliasMirror:
    model, _ = RegisteredModel.objects.get_or_create(name="digits")
    key = f"aliases/{AliasMirror.objects.count()}.json"
    return AliasMirror.objects.create(model=model, name="live", bucket="b", key=key, wanted=1)


def _upload() -> Upload:
    owner, _ = User.objects.get_or_create(username="uploader")
    expires_at = clock.now() + timedelta(days=1)
    return Upload.objects.create(owner=owner, expires_at=expires_at, length=10, bucket="b")


def _delivery() -> Delivery:
    event = record(action="model.registered", subject=_version().model, parameters={"name": "m"})
    webhook = Webhook.objects.create(url="https://example.com/", digest="")
    return Delivery.objects.create(webhook=webhook, event=event, kind="version.ready")


def _store_comparison() -> StoreComparison:
    return StoreComparison.objects.create(bucket="b", prefix=str(StoreComparison.objects.count()))


def _answer_comparison() -> AnswerComparison:
    one, other = _version(), _version()
    return AnswerComparison.objects.create(endpoint=_endpoint(), one=one, other=other)


def _experiment() -> Experiment:
    return Experiment.objects.create(
        endpoint=_endpoint(), named="digits:*", targets=[], calls=1, callers=1, seed=1
    )


def _orphan() -> Orphan:
    return Orphan.objects.create(
        kind=Resource.Kind.MODEL,
        name=f"stray-{Orphan.objects.count()}",
        made_at=clock.now(),
        found_at=clock.now(),
        state=Orphan.State.DELETING,
    )


# How a row is made that is due; a new leased model gets its line here.
MAKE: dict[type[Leased], Callable[[], Any]] = {
    Version: _version,
    Endpoint: _endpoint,
    Invocation: _invocation,
    AnswerComparison: _answer_comparison,
    Experiment: _experiment,
    Warming: lambda: Warming.objects.create(endpoint=_endpoint(), named="*", targets=[]),
    Orphan: _orphan,
    AlarmWatch: AlarmWatch.objects.create,
    OrphanLook: OrphanLook.objects.create,
    AliasMirror: _alias_mirror,
    Upload: _upload,
    Delivery: _delivery,
    StoreComparison: _store_comparison,
}
LEASED = [model for model in apps.get_models() if issubclass(model, Leased)]


def _number(model: type[Leased]) -> str:
    """A column with a number, to write with a lease; of an upload there are no attempts."""
    return "offset" if model is Upload else "attempts"


@pytest.fixture(params=LEASED, ids=lambda model: model.__name__)
def model(request: pytest.FixtureRequest) -> Any:
    assert request.param in MAKE, f"Say in MAKE how a {request.param.__name__} is made."
    return request.param


@pytest.fixture
def row(db: None, model: Any) -> Any:
    return MAKE[model]()


def _expire(model: Any, pk: int) -> None:
    """Let the lease of a worker that died run out."""
    past = clock.now() - timedelta(seconds=1)
    model.objects.filter(pk=pk).update(leased_until=past, check_after=past)
    # A lease is told by its end, in milliseconds: the next one, seconds later in life, ends later.
    now = clock.now()
    while clock.now() <= now:
        pass


def test_its_manager_knows_leases(model: Any) -> None:
    assert isinstance(model.objects.all(), LeaseQuerySet)


def test_a_row_that_is_due_is_claimed_once(model: Any, row: Any) -> None:
    assert model.objects.due().filter(pk=row.pk).exists()
    claimed = model.objects.claim(row.pk, lease=LEASE)
    assert claimed.pk == row.pk
    assert clock.now() < claimed.leased_until <= clock.now() + LEASE
    assert model.objects.claim(row.pk, lease=LEASE) is None
    assert not model.objects.due().filter(pk=row.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_claims_it(model: Any) -> None:
    row = MAKE[model]()
    claims = together([lambda: model.objects.claim(row.pk, lease=LEASE)] * 6)
    assert [claim.pk for claim in claims if claim is not None] == [row.pk]


def test_a_row_that_is_not_due_yet_is_not_claimed(model: Any, row: Any) -> None:
    model.objects.filter(pk=row.pk).update(check_after=clock.now() + timedelta(minutes=1))
    assert model.objects.claim(row.pk, lease=LEASE) is None


def test_a_row_of_a_worker_that_died_is_due_when_its_lease_ran_out(model: Any, row: Any) -> None:
    dead = model.objects.claim(row.pk, lease=LEASE)
    assert not model.objects.due().filter(pk=row.pk).exists()
    _expire(model, row.pk)
    heir = model.objects.claim(row.pk, lease=LEASE)
    assert heir.leased_until != dead.leased_until


def test_who_lost_the_lease_can_neither_renew_nor_release_nor_write(model: Any, row: Any) -> None:
    slow = model.objects.claim(row.pk, lease=LEASE)
    _expire(model, row.pk)
    other = model.objects.claim(row.pk, lease=LEASE)
    before = model.objects.filter(pk=row.pk).values().get()
    for write in (
        lambda: model.objects.renew(slow, lease=LEASE, **{_number(model): 99}),
        lambda: model.objects.release(slow, **{_number(model): 99}),
        lambda: Lease(model.objects.all(), slow, LEASE).renew(**{_number(model): 99}),
        lambda: Lease(model.objects.all(), slow, LEASE).release(**{_number(model): 99}),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert model.objects.filter(pk=row.pk).values().get() == before
    assert model.objects.held(other).exists()
    assert not model.objects.held(slow).exists()


def test_a_lease_that_is_renewed_goes_on(model: Any, row: Any) -> None:
    mine = model.objects.claim(row.pk, lease=LEASE)
    first = mine.leased_until
    name = _number(model)
    model.objects.renew(mine, lease=2 * LEASE, **{name: F(name) + 7})
    assert mine.leased_until > first + LEASE / 2
    again = model.objects.get(pk=row.pk)
    assert getattr(again, name) == getattr(mine, name) + 7
    model.objects.renew(mine, lease=LEASE)


def test_a_row_that_is_released_is_due_when_it_says(model: Any, row: Any) -> None:
    mine = model.objects.claim(row.pk, lease=LEASE)
    model.objects.release(mine, check_after=clock.now())
    with pytest.raises(LeaseLost):
        model.objects.release(mine)
    with pytest.raises(LeaseLost):
        model.objects.renew(mine, lease=LEASE)
    again = model.objects.claim(row.pk, lease=LEASE)
    assert again is not None
    model.objects.release(again, check_after=clock.now() + timedelta(minutes=1))
    assert model.objects.claim(row.pk, lease=LEASE) is None


@pytest.mark.django_db(transaction=True)
def test_a_release_that_is_rolled_back_leaves_the_lease_held(model: Any) -> None:
    row = MAKE[model]()
    mine = model.objects.claim(row.pk, lease=LEASE)
    with transaction.atomic():
        model.objects.release(mine, **{_number(model): 99})
        transaction.set_rollback(True)  # as where the event cannot be written
    assert getattr(model.objects.get(pk=row.pk), _number(model)) != 99
    model.objects.release(mine, check_after=clock.now())


def test_who_never_claimed_holds_nothing(model: Any, row: Any) -> None:
    model.objects.filter(pk=row.pk).update(leased_until=None)
    row.refresh_from_db()
    for write in (model.objects.release, lambda one: model.objects.renew(one, lease=LEASE)):
        with pytest.raises(LeaseLost):
            write(row)


def test_a_lease_is_kept_when_half_of_it_is_gone(
    model: Any, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("core.lease.time.monotonic", lambda: now[0])
    mine = model.objects.claim(row.pk, lease=LEASE / 2)
    lease, first = Lease(model.objects.all(), mine, LEASE), mine.leased_until
    now[0] += LEASE.total_seconds() / 2 - 1
    lease.keep()
    assert mine.leased_until == first
    now[0] += 2
    lease.keep()
    assert mine.leased_until > first + LEASE / 4


# Claims rows and is killed before it releases them.
_KILLED = """
import os, signal, sys
from datetime import timedelta
import django
django.setup()
from django.apps import apps
lease = timedelta(seconds=float(sys.argv[1]))
for one in sys.argv[2:]:
    label, pk = one.split("=")
    row = apps.get_model(label).objects.claim(int(pk), lease=lease)
    print(row.leased_until.isoformat(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.django_db(transaction=True)
def test_the_rows_of_a_killed_worker_are_due_when_their_lease_is_over_and_not_before() -> None:
    """One worker holds a row of every kind: to start one takes longer than all else here."""
    rows = {model: MAKE[model]() for model in LEASED}
    name = connection.settings_dict["NAME"]
    held = [f"{model._meta.label}={row.pk}" for model, row in rows.items()]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, "3", *held],
        env=os.environ | {"DATABASE_URL": f"sqlite:///{name}", "SECRET_KEY": settings.SECRET_KEY},
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    ends = map(datetime.fromisoformat, done.stdout.split())
    leased_until = dict(zip(rows, ends, strict=True))
    early: Counter[type[Leased]] = Counter()
    left = set(rows)
    while left:
        for model in sorted(left, key=str):
            row, manager = rows[model], cast(Any, model).objects
            before = clock.now()
            late = "nobody could claim it after the lease was over"
            assert before < leased_until[model] + LEASE, f"{model.__name__}: {late}"
            heir = manager.claim(row.pk, lease=LEASE)
            if heir is None:
                early[model] += 1
                continue
            assert clock.now() >= leased_until[model]  # at that very moment it is free
            assert heir.pk == row.pk
            left.remove(model)
        time.sleep(0.01)  # the database's clock goes on; asking without a pause fills a processor
    assert all(early[model] for model in rows), f"claimed while the lease was held: {early}"


@pytest.mark.django_db(transaction=True)
def test_a_locked_database_loses_no_lease(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = MAKE[model]()
    mine = model.objects.claim(row.pk, lease=LEASE)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()
    with locked_by_another_program(), pytest.raises(OperationalError):
        model.objects.renew(mine, lease=LEASE)
    model.objects.renew(mine, lease=LEASE)
    assert model.objects.held(mine).exists()


def test_a_version_that_a_worker_of_the_release_before_validates_is_left_to_it(db: None) -> None:
    version = _version()
    until = clock.now() + timedelta(minutes=1)
    Version.objects.filter(pk=version.pk).update(state="checking", check_after=until)
    assert Version.objects.claim(version.pk, lease=LEASE) is None
    assert not Version.objects.due().exists()
    # The worker died: its lease, in check_after, is over.
    Version.objects.filter(pk=version.pk).update(check_after=clock.now())
    assert Version.objects.claim(version.pk, lease=LEASE) is not None


def test_a_worker_of_the_release_before_leaves_a_version_to_one_of_this(db: None) -> None:
    """It claims by check_after alone, so a claim and each renewal move that as well."""
    version = _version()
    old_claim = Version.objects.filter(pk=version.pk, check_after__lte=Now())
    mine = Version.objects.claim(version.pk, lease=LEASE)
    assert mine is not None
    assert not old_claim.exists()
    Version.objects.renew(mine, lease=2 * LEASE)
    assert Version.objects.get(pk=version.pk).check_after > clock.now() + LEASE
    # Once the lease is over, the old worker takes it, and this one notices.
    _expire(Version, version.pk)
    theirs = clock.now() + timedelta(minutes=1)
    assert old_claim.update(check_after=theirs, attempts=F("attempts") + 1) == 1
    with pytest.raises(LeaseLost):
        Version.objects.renew(mine, lease=LEASE)
    with pytest.raises(LeaseLost):
        Version.objects.release(mine, state="ready")
    version.refresh_from_db()
    assert (version.state, version.check_after) == ("checking", theirs)


def test_a_call_of_a_process_of_the_release_before_is_left_to_it(db: None) -> None:
    call = Invocation.objects.create(endpoint=_endpoint(), version=_version(), target_model="m")
    assert not Invocation.objects.due().exists()
    Invocation.objects.filter(pk=call.pk).update(seen_at=Now() - timedelta(seconds=27))
    assert Invocation.objects.due().exists()


def test_the_release_before_can_insert_rows_that_have_leases_now(db: None) -> None:
    """It does not know the columns of this release; they have defaults in the database, or NULL."""
    call = Invocation.objects.create(endpoint=_endpoint(), version=_version(), target_model="m")
    _insert_copy(call, {"check_after", "leased_until", "uid"}, {})
    _insert_copy(call.version, {"leased_until"}, {"number": 99, "key": "models/99"})
    copy = Invocation.objects.exclude(pk=call.pk).get()
    assert copy.check_after <= clock.now()
    assert not Invocation.objects.due().exists()
    assert Version.objects.due().filter(number=99).exists()


def _insert_copy(row: Any, unknown: set[str], changed: dict[str, Any]) -> None:
    """Insert the row again, as a release does that does not know all columns."""
    values = type(row).objects.filter(pk=row.pk).values().get() | changed
    fields = [
        field
        for field in row._meta.concrete_fields
        if not field.primary_key and field.column not in unknown
    ]
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {row._meta.db_table} ({names}) VALUES ({marks})",
            [field.get_db_prep_save(values[field.attname], connection) for field in fields],
        )
