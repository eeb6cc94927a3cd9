"""What somebody changed outside the portal: accepted as what is wanted, or put back.

The reconciler finds it (reconciler/run.py) and changes nothing by itself. To accept a change makes
no call that changes anything but what the endpoint used before: that is deleted afterwards, as
after a change made here. To accept a deletion removes what the endpoint used. To put back is a
change to what was wanted all the time; an endpoint that was deleted is made again.
"""

from collections.abc import Callable
from dataclasses import replace

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import clock, errors
from core.errors import CONFLICT
from core.sentences import phrase
from endpoints import adopting, quotas, services
from endpoints.adopting import Whole
from endpoints.end_dates import MAY_TEAR_DOWN
from endpoints.models import Endpoint, Resource, Revision
from endpoints.sagemaker import SageMakerConfig, SageMakerModel
from endpoints.services import MAY_CHANGE_IMAGE, ChangeNotAllowed, SettingsChange
from endpoints.variants import as_json
from models_catalog import stores

Require = Callable[[Endpoint], None]


def accept(
    *, endpoint: Endpoint, actor: User | None, reason: str = "", require: Require | None = None
) -> Endpoint:
    """Want what AWS has: a new revision, or where the endpoint was deleted its end.

    ``require`` is called with the locked row before anything is changed, and may raise. Raises
    ValidationError, as a conflict, where nothing was changed outside, or where the portal could not
    have made what is there, with all that does not fit; ChangeNotAllowed where ``actor`` may not;
    and an AwsError where the account could not be asked. Then nothing was changed.
    """
    if endpoint.deleted_outside:
        return _accept_deletion(endpoint, actor, reason, require)
    _check_differs(endpoint)
    try:
        found = adopting.described(endpoint.name)
    except errors.NotFound:
        said = _(
            "What the endpoint %(name)s runs on is not whole in the AWS account. Nothing was "
            "changed. Put it back, or tear it down."
        )
        raise ValidationError(said % {"name": endpoint.name}, code=CONFLICT) from None
    return _accept_change(endpoint, found, actor, reason, require)


def put_back(
    *, endpoint: Endpoint, actor: User | None, reason: str = "", require: Require | None = None
) -> Endpoint:
    """Have the endpoint made as it is wanted again; one that was deleted under its name.

    Raises ValidationError, as a conflict, where it is as it is wanted; else as `request_change`.
    ``quota_notes`` has what to know where the account may not run its instances beside others.
    """
    if is_deleted(endpoint):
        row = write_renewal(endpoint=endpoint, actor=actor, reason=reason, require=require)
        if row.made_again:
            row.quota_notes = quotas.warnings(row.in_config.parts)
        return row
    _check_differs(endpoint)
    serving = endpoint.revisions.filter(state=Revision.State.SERVING).first()
    change = SettingsChange(reason=reason, back_to=serving.number if serving else None)
    return services.request_change(endpoint=endpoint, change=change, actor=actor, require=require)


@transaction.atomic
def write_renewal(
    *, endpoint: Endpoint, actor: User | None, reason: str = "", require: Require | None = None
) -> Endpoint:
    """Record that a deleted endpoint is made again, and ask AWS nothing; see `put_back`."""
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    if not is_deleted(row):
        _check_differs(row)
        return row
    row.made_again = True
    row.attempts, row.check_after = 0, clock.now()
    row.say(failure=None, hint=_STARTS)
    columns = ("made_again", "attempts", "check_after", *_SAID)
    row.save(update_fields=columns)
    _record("endpoint.put_back", row, actor, {"name": row.name}, reason)
    services.step_soon(row.pk)
    return row


_STARTS = phrase("The endpoint is made again in a few seconds.").named("endpoint.made_again_soon")
_ENDS = phrase("What the endpoint used is removed in a few seconds.").named(
    "endpoint.deletion_accepted"
)
_SAID = ("failure", "failure_code", "hint", "hint_code")


def is_deleted(row: Endpoint) -> bool:
    """Whether it was deleted in SageMaker, or is being deleted, and nobody wanted that here."""
    if row.deleted_outside:
        return True
    here = row.gone_at is None and not row.tearing_down and not row.made_again
    here = here and not row.to_pause
    return here and row.state == Endpoint.State.DELETING


def _check_differs(row: Endpoint) -> None:
    if row.gone_at is not None or row.tearing_down:
        said = _("The endpoint %(name)s is torn down, or is being torn down. Nothing was changed.")
    elif not row.changed_outside:
        said = _("The endpoint %(name)s is as it was requested here. Nothing was changed.")
    else:
        return
    raise ValidationError(said % {"name": row.name}, code=CONFLICT)


@transaction.atomic
def _accept_deletion(
    endpoint: Endpoint, actor: User | None, reason: str, require: Require | None
) -> Endpoint:
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    if not row.deleted_outside:
        said = _("The endpoint %(name)s was changed meanwhile: look again. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    own = actor is None or row.is_own(actor)
    if not own and not (actor and actor.has_perm(MAY_TEAR_DOWN)):
        raise ChangeNotAllowed(
            _(
                "Only admins, and the owner of the endpoint, may accept that it was deleted. "
                "Nothing was changed."
            )
        )
    row.wanted = Endpoint.Wanted.ABSENT
    row.attempts, row.check_after = 0, clock.now()
    row.say(failure=None, hint=_ENDS)
    row.save(update_fields=["wanted", "attempts", "check_after", *_SAID])
    _record("endpoint.deletion_accepted", row, actor, {"name": row.name}, reason)
    services.step_soon(row.pk)
    return row


@transaction.atomic
def _accept_change(
    endpoint: Endpoint,
    found: Whole,
    actor: User | None,
    reason: str,
    require: Require | None,
) -> Endpoint:
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    _check_differs(row)
    services.check_may_be_changed(row)
    old = services.serving_revision(row)
    _check_fits(row, old, found, actor)
    if found.store != services.place_of(row, old):
        services.name_places(row, old)
    if row.updating:
        services.withdraw(row)
    before = Endpoint(name=row.name)
    before.take(old)
    _want_found(row, old, before, found)
    services.write_resources(row, old)
    _note_found(row, before, found)
    now = clock.now()
    serving = row.revisions.filter(state=Revision.State.SERVING)
    serving.update(state=Revision.State.REPLACED, settled_at=now)
    # What it used before goes, as after a change.
    services.go_on(row, Endpoint.Update.CLEANING)
    made = services.note_revision(
        row, actor=actor, state=Revision.State.SERVING, reason=reason, accepted=True
    )
    made.settled_at = now
    made.save(update_fields=["settled_at"])
    facts: dict[str, Scalar] = {
        "name": row.name,
        "revision": row.revision,
        "before": str(old.size),
        "after": str(row.requested),
    }
    _record("endpoint.drift_accepted", row, actor, facts, reason)
    return row


def _check_fits(row: Endpoint, old: Revision, found: Whole, actor: User | None) -> None:
    problems = adopting.misfits_of(found)
    place, store = services.place_of(row, old), None
    if found.store != place:
        store = stores.at(*found.store)
        if store is None:
            said = _("It serves %(store)s, and the endpoint %(endpoint)s another store.")
            problems.append(said % {"store": found.model.data_url, "endpoint": row.name})
    if problems:
        said = _("What runs cannot be accepted. %(why)s Nothing was changed. Put it back instead.")
        raise ValidationError(said % {"why": " ".join(problems)}, code=CONFLICT)
    if store is not None:
        services.check_may_serve(place, store, actor)
    same = (found.model.image, found.model.role_arn) == (old.image, old.role_arn)
    if not same and actor is not None and not actor.has_perm(MAY_CHANGE_IMAGE):
        raise ChangeNotAllowed(
            _("Only admins may accept another image or role. Nothing was changed.")
        )


def _want_found(row: Endpoint, old: Revision, before: Endpoint, found: Whole) -> None:
    """Set what the row wants to what is there; names that others gave are kept."""
    row.take(old)
    row.image, row.role_arn = found.model.image, found.model.role_arn
    if found.store != services.place_of(row, old):
        row.model_bucket, row.model_prefix = found.store
        row.bucket, row.prefix = found.store
    row.instance_type, row.instance_count = found.config.instance_type, found.count
    row.options = replace(found.chosen, tags=old.chosen.tags).as_json()
    row.config_in_use = found.config.name
    row.running_count = found.endpoint.instance_count
    row.variants = row.running_variants = as_json(found.variants)
    if found.model.name == before.model_name:
        row.model_revision = old.model_revision or old.number
    else:
        row.model_revision, row.model_given = None, found.model.name
    if found.config.name == before.config_name:
        row.config_revision = old.config_revision or old.number
        counted = True
    else:
        row.config_revision, row.config_given = None, found.config.name
        counted = found.count != found.config.instance_count
        counted = counted or found.variants != found.config.variants
    row.config_count = found.config.instance_count if counted else None
    row.config_variants = as_json(found.config.variants) if counted else None
    row.revision = adopting.free_revision(row.name, [found.config.name, found.model.name])


def _note_found(row: Endpoint, before: Endpoint, found: Whole) -> None:
    """Take the config and the model into the endpoint: from now on they are its own."""
    parts: list[tuple[Resource.Kind, str, SageMakerModel | SageMakerConfig]] = [
        (Resource.Kind.MODEL, before.model_name, found.model),
        (Resource.Kind.CONFIG, before.config_name, found.config),
    ]
    for kind, name_before, part in parts:
        if part.name == name_before:
            continue
        row.resources.filter(kind=kind, name=part.name).update(
            revision=row.revision,
            state=Resource.State.CREATED,
            arn=part.arn,
            created_at=part.created_at,
            gone_at=None,
        )


def _record(
    code: str, row: Endpoint, actor: User | None, facts: dict[str, Scalar], reason: str
) -> None:
    if reason:
        code, facts = f"{code}_why", {**facts, "reason": reason}
    record(action=code, subject=row, actor=actor, level=Event.Level.WARNING, parameters=facts)
