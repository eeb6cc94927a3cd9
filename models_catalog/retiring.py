"""Versions that are no longer wanted: retire and restore them, and delete what they are stored as.

A retired version is offered and called nowhere in the portal; its archive stays in the store. The
deletion removes its objects, and its row stays, with the checksums. Every change locks the model's
row, as those of aliases do, so no alias comes to point at a version that is being retired.

The deletion of objects is a job: the state is written first, and the objects go then, so no row
says `ready` whose object is gone. Each step may be cut off and run again.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from activity.models import Event
from activity.services import record
from core import backoff, clock, errors
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from models_catalog import s3, secrecy
from models_catalog.models import Alias, RegisteredModel, Version, VersionQuerySet
from models_catalog.refusals import CatalogRefused, version_of

log = logging.getLogger(__name__)

MAY_RETIRE = "models_catalog.change_version"
MAY_DELETE = "models_catalog.delete_version"
LEASE = timedelta(seconds=60)
State = Version.State


@dataclass(frozen=True)
class Use:
    """What uses a version, as somebody is told before it is deleted.

    ``kind``: alias, endpoint, call; ``name``: of the alias or endpoint; ``said``: a sentence.
    """

    kind: str
    name: str
    said: str
    url: str = ""


_uses: list[Callable[[Version], Iterable[Use]]] = []
_left_overs: list[Callable[[Version, Callable[[], None]], None]] = []


def register_uses(found: Callable[[Version], Iterable[Use]]) -> None:
    """Let ``found`` tell what of another app uses a version."""
    _uses.append(found)


def register_left_overs(delete: Callable[[Version, Callable[[], None]], None]) -> None:
    """Let ``delete(version, beat)`` remove what another app keeps of a version that is deleted.

    It may run twice, and calls ``beat`` at least every few seconds.
    """
    _left_overs.append(delete)


def uses(version: Version) -> list[Use]:
    """What uses a version now: its aliases, and what the other apps know."""
    return [*_aliases(version), *other_uses(version)]


def other_uses(version: Version) -> list[Use]:
    """The same without its aliases: the endpoints that serve it, and its last call."""
    return [use for found in _uses for use in found(version)]


def _aliases(version: Version) -> Iterable[Use]:
    for alias in Alias.objects.filter(version=version).listed():
        said = _("The alias %(alias)s points at it.") % {"alias": alias}
        yield Use("alias", alias.name, said)


def retire(
    *, model: str, number: int, actor: User | None, check: Callable[[Version], None] | None = None
) -> tuple[Version, bool]:
    """Offer and call a ready version nowhere any more; and whether that changed anything.

    ``check`` is called with the version when nobody else can change it; what it raises keeps all.
    Raises CatalogRefused: it is not ready, an alias points at it, or there is no such version.
    """
    with transaction.atomic():
        version = _locked(model, number, actor, check)
        if version.state == State.RETIRED:
            return version, False
        if version.state != State.READY:
            said = _("%(version)s is not ready, so it cannot be retired. Nothing was changed.")
            raise CatalogRefused(said % {"version": version}, "model-not-ready")
        _check_aliases(version)
        _change(version, State.RETIRED, "version.retired", actor)
    return version, True


def restore(
    *, model: str, number: int, actor: User | None, check: Callable[[Version], None] | None = None
) -> tuple[Version, bool]:
    """Take a retirement back: the version is ready again; and whether that changed anything.

    Raises CatalogRefused: it is not retired, or there is no such version.
    """
    with transaction.atomic():
        version = _locked(model, number, actor, check)
        if version.state == State.READY:
            return version, False
        if version.state != State.RETIRED:
            said = _("%(version)s is not retired, so it cannot be restored. Nothing was changed.")
            raise CatalogRefused(said % {"version": version})
        _change(version, State.READY, "version.unretired", actor)
    return version, True


def delete(
    *, model: str, number: int, actor: User | None, check: Callable[[Version], None] | None = None
) -> tuple[Version, bool]:
    """Have a job delete what a version is stored as; and whether that changed anything.

    Its row stays, with the checksums. Raises CatalogRefused: it was never published, an alias
    points at it, copies of it are being made, or there is no such version.
    """
    with transaction.atomic():
        version = _locked(model, number, actor, check)
        if version.state in (State.DELETING, State.DELETED):
            return version, False
        if version.state not in (State.READY, State.RETIRED):
            said = _("%(version)s was never published, so nothing of it is stored.")
            raise CatalogRefused(said % {"version": version})
        _check_aliases(version)
        _check_copies(version)
        now = clock.now()
        lease = {"check_after": now, "leased_until": None, "attempts": 0}
        _change(version, State.DELETING, "version.deletion_requested", actor, **lease)
        enqueue_on_commit("models_catalog.tasks.remove", version.pk)
    return version, True


def _locked(
    model: str, number: int, actor: User | None, check: Callable[[Version], None] | None
) -> Version:
    row = RegisteredModel.objects.select_for_update().filter(name=model).first()
    if row is None:
        raise CatalogRefused(_("There is no model %(name)s.") % {"name": model}, "not-found")
    secrecy.check_may_write(row.placed_in, actor)
    version = version_of(model, number)
    version.model = row
    if check is not None:
        check(version)
    return version


def _check_aliases(version: Version) -> None:
    names = [str(alias) for alias in Alias.objects.filter(version=version).listed()]
    if names:
        said = _(
            "An alias points at %(version)s: %(aliases)s. Point it at another version, or delete "
            "it, first. Nothing was changed."
        )
        raise CatalogRefused(said % {"version": version, "aliases": ", ".join(names)})


def _check_copies(version: Version) -> None:
    under_way = version.copies.filter(state=State.COPYING).select_related("model")
    names = [str(copy) for copy in under_way.defer("report").order_by("pk")[:5]]
    if names:
        said = _(
            "Copies of %(version)s are being made: %(copies)s. Delete it when they are ready. "
            "Nothing was changed."
        )
        raise CatalogRefused(said % {"version": version, "copies": ", ".join(names)})


def _change(
    version: Version, state: str, action: str, actor: User | None, **columns: object
) -> None:
    columns |= {"state": state, "retired_at": None if state == State.READY else clock.now()}
    for name, value in columns.items():
        setattr(version, name, value)
    version.save(update_fields=list(columns))
    level = Event.Level.SUCCESS if state == State.READY else Event.Level.WARNING
    parameters = {"version": str(version)}
    record(action=action, subject=version, parameters=parameters, actor=actor, level=level)


def _deleting() -> VersionQuerySet:
    return Version.objects.filter(state=State.DELETING)


def resume() -> None:
    """Queue each deletion that is due: what Redis lost, was cut off, or failed."""
    for pk in _deleting().due().values_list("pk", flat=True)[:50]:
        enqueue_on_commit("models_catalog.tasks.remove", pk)


def remove(*, version_pk: int) -> None:
    """Delete the objects of a version whose deletion was requested; idempotent.

    What fails is retried, with pauses, for as long as it takes: the row says what is wrong.
    """
    rows = _deleting()
    version = rows.select_related("model").claim(version_pk, lease=LEASE)
    if version is None:
        return
    lease = Lease(rows, version, LEASE)
    try:
        try:
            _remove(version, lease)
        except errors.AwsError as problem:
            _try_later(version, lease, problem)
    except LeaseLost:
        log.warning("Another worker has taken over the deletion of %s.", version)


def _remove(version: Version, lease: Lease[Version]) -> None:
    for key in (version.key, version.original_key, version.staging_key):
        if key:
            s3.delete(bucket=version.bucket, key=key)
            lease.keep()
    for left_over in _left_overs:
        left_over(version, lease.keep)
    with transaction.atomic():
        lease.release(state=State.DELETED, original_key="", step="", step_code=None)
        record(
            action="version.deleted",
            subject=version,
            parameters={"version": str(version), "uri": version.uri},
            level=Event.Level.WARNING,
        )


def _try_later(version: Version, lease: Lease[Version], problem: errors.AwsError) -> None:
    log.warning("The objects of %s could not be deleted: %s", version, problem)
    pause = backoff.pause(
        version.attempts, first=timedelta(seconds=5), longest=timedelta(minutes=10)
    )
    said = problem.sentence
    lease.release(check_after=clock.now() + pause, step=said.english(), step_code=said.as_json())
