"""Create endpoints, change them and tear them down; queue those that are due."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import clock, errors, pace
from core.errors import CONFLICT
from core.jobs import enqueue_on_commit
from core.sentences import phrase
from endpoints import (
    end_dates,
    execution_roles,
    idle_limits,
    images,
    looks,
    policies,
    quotas,
    sagemaker,
    warm_ups,
)
from endpoints import options as options_rules
from endpoints.events import size_of
from endpoints.limits import Limits
from endpoints.models import (
    Endpoint,
    Resource,
    Revision,
    Running,
    data_url,
    name_taken,
    name_taken_until_gone,
    valid_instance_count,
)
from endpoints.options import PRESET, DeploymentOptions
from endpoints.policies import DeploymentPolicy
from endpoints.variants import (
    ALONE,
    ProductionVariant,
    Variants,
    as_json,
    check,
    count_of,
    is_plain,
    same_configs,
    types_of,
    weighed,
)
from models_catalog import secrecy, stores
from models_catalog.models import Store

MAY_CHANGE_IMAGE = "endpoints.change_image"
ADVANCE = "endpoints.tasks.advance"
LOOK_AT_SETTLED = "endpoints.tasks.look_at_settled"
# A page shows what AWS said at most this long ago, or says that AWS is being asked.
STALE = timedelta(seconds=10)
# What users say of a new endpoint; the rest is preset.
_ASKED = ("name", "instance_type", "instance_count")


def create_endpoint(
    *,
    name: str,
    instance_type: str = "",
    instance_count: int = 1,
    variants: Variants = (),
    expires_at: datetime | None = None,
    never_ends: bool = False,
    idle_hours: int | None = None,
    warm_aliases: bool = False,
    image: str = "",
    role_arn: str = "",
    options: DeploymentOptions = PRESET,
    store: str = "",
    owner: str = "",
    reason: str = "",
    actor: User | None,
) -> Endpoint:
    """Record that an endpoint is wanted; the reconciler creates it.

    It serves ``store``, by its name, or the default one, with the image and the role of the
    settings; without a type, on the first of INSTANCE_TYPES. With ``variants`` type and number are
    those of each of them. At ``expires_at`` its teardown is requested (expiry.py); None: at what is
    preset for ``actor``, or with ``never_ends`` at no time. So it is after ``idle_hours`` without a
    call (idling.py); None: what is preset, 0: never. ``warm_aliases``: once it serves, and after
    each change, the models that aliases point at are loaded (warm_ups.py). ``owner`` is the name of
    the user who answers for it; empty: ``actor``. ``image`` and ``role_arn`` are others than those
    of the settings (images.py, execution_roles.py).

    The account's quotas of its types are asked before: where one is too small for it, it is
    refused, and ``quota_notes`` has what else to know of them.

    Raises ValidationError, by field, for what the user can put right (its code is CONFLICT where
    the name is taken), and of no field for a setting of the portal that is wrong; an AwsError where
    the account could not be asked whether the name is free. Raises ChangeNotAllowed where ``actor``
    may choose no image and no role. In each case nothing was created.
    """
    endpoint = new_endpoint(
        name=name,
        instance_type=instance_type,
        instance_count=instance_count,
        variants=variants,
        expires_at=expires_at,
        never_ends=never_ends,
        idle_hours=idle_hours,
        image=image,
        role_arn=role_arn,
        options=options,
        store=store,
        owner=owner,
        actor=actor,
    )
    notes = quotas.warnings(endpoint.requested.parts)
    try:
        with transaction.atomic():
            stores.hold(stores.chosen(store))
            endpoint.save()
            Resource.objects.bulk_create(_resources(endpoint))
            note_revision(endpoint, actor=actor, reason=reason)
            why = {"reason": reason} if reason else {}
            record(
                action="endpoint.requested_why" if reason else "endpoint.requested",
                subject=endpoint,
                actor=actor,
                parameters={"name": name, **size_of(endpoint), **why},
            )
            if endpoint.expires_at is not None:
                facts = {"name": name, "end": end_dates.in_words(endpoint.expires_at)}
                record(action="endpoint.end_set", subject=endpoint, actor=actor, parameters=facts)
            if endpoint.idle_hours is not None:
                told: dict[str, Scalar] = {"name": name, "hours": endpoint.idle_hours}
                record(action="endpoint.idle_set", subject=endpoint, actor=actor, parameters=told)
            if warm_aliases:
                warm_ups.note_wanted(endpoint, actor)
            enqueue_on_commit(ADVANCE, endpoint.pk)
    except IntegrityError:
        _refuse_taken(name)
        raise
    endpoint.quota_notes = notes
    return endpoint


def new_endpoint(
    *,
    name: str,
    instance_type: str = "",
    instance_count: int = 1,
    variants: Variants = (),
    expires_at: datetime | None = None,
    never_ends: bool = False,
    idle_hours: int | None = None,
    image: str = "",
    role_arn: str = "",
    options: DeploymentOptions = PRESET,
    store: str = "",
    owner: str = "",
    actor: User | None,
) -> Endpoint:
    """The row that `create_endpoint` would save. Raises what that raises."""
    if variants:
        if instance_type or instance_count != 1:
            raise ValidationError({"variants": _either()})
        _check_variants(variants, Running(0, ""))
    else:
        kind = instance_type or settings.INSTANCE_TYPES[0]
        _check_type(kind)
        _check_count(instance_count)
        variants = (ProductionVariant(ALONE, kind, instance_count),)
    for one in variants:
        options_rules.check(options, instance_type=one.instance_type)
    other_image = image not in ("", settings.CONTAINER_IMAGE)
    if other_image and not may_choose(actor):
        raise ChangeNotAllowed(_("Only admins may choose the image. Nothing was created."))
    other_role = role_arn not in ("", settings.EXECUTION_ROLE_ARN)
    if other_role and not may_choose(actor):
        raise ChangeNotAllowed(_("Only admins may choose the role. Nothing was created."))
    if other_role:
        execution_roles.check(role_arn)
    place = _store_for(store)
    endpoint = Endpoint(
        name=name,
        bucket=place.bucket,
        prefix=place.prefix,
        image=image or settings.CONTAINER_IMAGE,
        role_arn=role_arn or settings.EXECUTION_ROLE_ARN,
        **_columns(variants),
        expires_at=end_dates.checked(
            None if never_ends else expires_at or end_dates.preset_for(actor), actor=actor
        ),
        idle_hours=idle_limits.checked(
            idle_limits.preset_for(actor) if idle_hours is None else idle_hours, actor=actor
        ),
        options=options.as_json(),
        created_by=actor,
        owner=_user_named(owner) if owner else actor,
    )
    _check_fields(endpoint)
    endpoint.revision = Endpoint.objects.next_revision(name)
    _refuse_taken(name)
    _check_free_in_account(name)
    quotas.check((), endpoint.requested.parts)
    found = images.chosen(image) if other_image else images.preset()
    endpoint.image, endpoint.image_note = found.image, found.note
    return endpoint


def _store_for(name: str) -> Store:
    """The store of this name. Raises ValidationError where no endpoint can be on it."""
    found = stores.chosen(name)
    if found.region != settings.AWS_REGION:
        said = _(
            "The store %(store)s is in %(region)s, and SageMaker serves only buckets of its own "
            "region, %(own)s. Choose another store."
        )
        told = {"store": found, "region": found.region, "own": settings.AWS_REGION}
        raise ValidationError({"store": said % told})
    return found


def _columns(parts: Variants) -> dict[str, Any]:
    """What a row keeps of its variants."""
    return {
        "instance_type": types_of(parts),
        "instance_count": count_of(parts),
        "variants": as_json(parts),
    }


def _check_variants(parts: Variants, before: Running) -> None:
    """Raise ValidationError, of the field ``variants``, where an endpoint may not have them.

    What it has already stays allowed, where a setting has changed since.
    """
    check(parts)
    said: list[str] = []
    types = {one.name: one.instance_type for one in before.variants}
    for one in parts:
        if types.get(one.name) != one.instance_type:
            with _collected(said):
                _check_type(one.instance_type)
        if one.instance_count < 1:
            said.append(_("Each variant has at least 1 instance."))
    if count_of(parts) != before.instance_count:
        with _collected(said):
            _check_count(count_of(parts))
    if said:
        raise ValidationError({"variants": list(dict.fromkeys(said))})


@contextmanager
def _collected(said: list[str]) -> Iterator[None]:
    """Add what is wrong inside to a list, without its field."""
    try:
        yield
    except ValidationError as error:
        said += error.messages


def _check_type(instance_type: str) -> None:
    if instance_type not in settings.INSTANCE_TYPES:
        known = {"types": ", ".join(settings.INSTANCE_TYPES)}
        raise ValidationError({"instance_type": _("Choose one of: %(types)s.") % known})


def _check_count(instance_count: int) -> None:
    try:
        valid_instance_count(instance_count)
    except ValidationError as error:
        raise ValidationError({"instance_count": error}) from None


def _user_named(name: str) -> User:
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None or "\0" in name:
        said = _("There is no user %(name)s. Give the name with which somebody logs in.")
        raise ValidationError({"owner": said % {"name": name}})
    return found


def _check_fields(endpoint: Endpoint) -> None:
    """Raise ValidationError: of what users say, by its field; of what is preset, of no field.

    What is preset is not for this user to put right.
    """
    try:
        endpoint.full_clean(exclude=["created_by", "owner"], validate_constraints=False)
    except ValidationError as error:
        found = error.message_dict
    else:
        return
    asked = {name: found[name] for name in _ASKED if name in found}
    if asked:
        raise ValidationError(asked)
    said = _(
        "Nothing was created, because a setting of the portal is wrong. %(setting)s: %(problem)s "
        "Ask whoever runs the portal."
    )
    wrong = []
    for name, problems in found.items():
        setting = getattr(Endpoint._meta.get_field(name), "verbose_name", name)
        wrong += [said % {"setting": setting, "problem": problem} for problem in problems]
    raise ValidationError(wrong)


def _check_free_in_account(name: str) -> None:
    try:
        found = sagemaker.describe_endpoint(name)
    except errors.NotFound:
        return
    except errors.AwsError as error:
        why = phrase(
            "Nothing was created, because AWS could not be asked: %(error)s", error=error.sentence
        )
        raise type(error)(why, todo=error.todo, whole=True) from error
    # Somebody else may have asked the portal for it since we looked, and the portal made it.
    _refuse_taken(name)
    said = _(
        "The AWS account already has an endpoint %(name)s (%(state)s) that was not created here. "
        "Choose another name."
    )
    text = said % {"name": name, "state": found.status}
    raise ValidationError({"name": ValidationError(text, code=CONFLICT)})


def _refuse_taken(name: str) -> None:
    """Raise ValidationError where there is an endpoint of this name, in whatever case."""
    living = Endpoint.objects.filter(gone_at=None).named(name).first()
    if living is not None:
        said = name_taken_until_gone if living.tearing_down else name_taken
        taken = ValidationError(said(living.name), code=CONFLICT)
        raise ValidationError({"name": taken}) from None


def _resources(endpoint: Endpoint) -> list[Resource]:
    names = {
        Resource.Kind.MODEL: endpoint.model_name,
        Resource.Kind.CONFIG: endpoint.config_name,
        Resource.Kind.ENDPOINT: endpoint.name,
    }
    return [Resource(endpoint=endpoint, kind=kind, name=name) for kind, name in names.items()]


def note_revision(
    endpoint: Endpoint,
    *,
    actor: User | None,
    state: Revision.State = Revision.State.WANTED,
    reason: str = "",
    back_to: int | None = None,
    accepted: bool = False,
) -> Revision:
    """Write down what is wanted of the endpoint now."""
    columns = {name: getattr(endpoint, name) for name in (*Revision.FACTS, *Revision.NAMES)}
    return Revision.objects.create(
        endpoint=endpoint,
        number=endpoint.revision,
        state=state,
        reason=reason,
        back_to=back_to,
        accepted=accepted,
        created_at=clock.now(),
        created_by=actor,
        **columns,
    )


class ChangeNotAllowed(Exception):
    """Nothing was changed, as this user may not; ``str()`` says it in the reader's language."""


class OwnerNotAllowed(ChangeNotAllowed):
    """The same of another owner."""


@dataclass(frozen=True)
class SettingsChange:
    """What is to be different; None: it stays. ``back_to``: the revision whose facts these are.

    ``options`` replace those before; a mapping is a merge patch of them (options.py).
    """

    instance_type: str | None = None
    instance_count: int | None = None
    image: str | None = None
    role_arn: str | None = None
    #: The name of the store that it is to serve.
    store: str | None = None
    #: The same by bucket and prefix, where a revision is gone back to.
    place: tuple[str, str] | None = None
    #: All that it is to have, in place of a type and a number.
    variants: Variants | None = None
    #: Other weights of the variants that it has, by their names.
    weights: Mapping[str, float] | None = None
    #: How SageMaker is to make it; None: at once.
    policy: DeploymentPolicy | None = None
    reason: str = ""
    back_to: int | None = None
    options: DeploymentOptions | Mapping[str, Any] | None = None
    owner: str | None = None

    def options_after(self, before: DeploymentOptions) -> DeploymentOptions:
        """All options as they are to be."""
        if isinstance(self.options, DeploymentOptions):
            return self.options
        return before.patched(self.options or {})


def back_to(*, endpoint: Endpoint, number: int) -> SettingsChange:
    """The change that makes an endpoint what it was in a revision. Raises Revision.DoesNotExist."""
    found = endpoint.revisions.get(number=number)
    return SettingsChange(
        variants=found.size.parts,
        image=found.image,
        role_arn=found.role_arn,
        place=found.place,
        options=found.chosen,
        back_to=number,
    )


def request_change(
    *,
    endpoint: Endpoint,
    change: SettingsChange,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """Record that a living endpoint is to be another one; the reconciler updates it.

    It serves meanwhile. Where the image, the role, the store or an option of the container differs
    it gets a new SageMaker model and config, where a type, the names of variants or an option of
    the instances differ a new config; where counts or weights alone differ it keeps both. Another
    owner is no revision. A change that SageMaker has not been asked for yet is withdrawn by the
    next one.
    ``require`` is called with the locked row before anything is changed, and may raise. Idempotent:
    what it is already changes nothing.

    Raises ValidationError, by field, with nothing changed; its code is CONFLICT where the endpoint
    does not serve, or is being updated. Raises ChangeNotAllowed where ``actor`` may give it no
    other image or role: an image runs with the execution role, so who chooses it has the rights;
    and no other owner.
    Raises NotPermitted where ``actor`` may not write to the store before, or to the one after.
    Raises an AwsError where ECR could not be asked for another image (images.py).
    """
    change, note = asked_before(endpoint=endpoint, change=change, actor=actor)
    running = endpoint.running.parts
    row = write_change(endpoint=endpoint, change=change, actor=actor, require=require)
    row.image_note = note
    if row.updating:
        wanted = row.requested.parts
        row.quota_notes = quotas.warnings(quotas.started(running, wanted, anew=not row.count_alone))
    return row


def asked_before(
    *, endpoint: Endpoint, change: SettingsChange, actor: User | None
) -> tuple[SettingsChange, str]:
    """Ask AWS of a change what takes seconds, before its row is locked; with a note of the image.

    Raises as `request_change`.
    """
    note = ""
    if change.image not in (None, endpoint.image) and change.back_to is None and may_choose(actor):
        found = images.chosen(change.image or "")
        change, note = replace(change, image=found.image), found.note
    serving = endpoint.revisions.filter(state=Revision.State.SERVING).first()
    if serving is not None and endpoint.may_be_changed:
        try:
            wanted = _wanted_parts(endpoint, serving, change)
        except ValidationError:  # it is told when the row is locked, in its turn
            wanted = ()
        quotas.check(serving.size.parts, wanted)
    return change, note


def may_choose(actor: User | None) -> bool:
    """Whether somebody may give an endpoint another image, or another role."""
    return actor is None or actor.has_perm(MAY_CHANGE_IMAGE)


@transaction.atomic
def write_change(
    *,
    endpoint: Endpoint,
    change: SettingsChange,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """`request_change` of what was `asked_before`."""
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    check_may_be_changed(row)
    old = serving_revision(row)
    parts, chosen = _wanted_parts(row, old, change), change.options_after(old.chosen)
    wanted: dict[str, Any] = {
        **_columns(parts),
        "image": change.image or old.image,
        "role_arn": change.role_arn or old.role_arn,
        "options": chosen.as_json(),
    }
    if wanted["image"] != old.image and not may_choose(actor):
        raise ChangeNotAllowed(
            _("Only admins may give an endpoint another image. Nothing was changed.")
        )
    if wanted["role_arn"] != old.role_arn:
        if not may_choose(actor):
            raise ChangeNotAllowed(
                _("Only admins may give an endpoint another role. Nothing was changed.")
            )
        execution_roles.check(wanted["role_arn"])
    place = _wanted_place(row, old, change, actor)
    if place != place_of(row, old):
        name_places(row, old)
        wanted |= {"model_bucket": place[0], "model_prefix": place[1]}
    # What it has already stays allowed, where a rule has changed since.
    if chosen != old.chosen or parts != old.size.parts:
        for one in parts:
            options_rules.check(chosen, instance_type=one.instance_type, before=old.chosen)
    if change.owner is not None:
        _give_to(row, change.owner, actor)
    # One that was made again is to have its number of instances again: that is no change.
    pending = row.updating and row.revision != old.number
    same = all(getattr(old, name) == value for name, value in wanted.items())
    # What autoscaling left is not what is wanted now.
    same = same and not (row.left_scaled and row.running_count != wanted["instance_count"])
    row.scaled_count = None if not row.scales else row.scaled_count
    # Where both configurations serve, the same values are what mends it.
    same = same and not (row.rollback_failed and not pending)
    if same and not pending and not row.changed_outside:
        return row
    if pending:
        withdraw(row)
    row.take(old)
    if same and not row.changed_outside:
        go_on(row, Endpoint.Update.CLEANING)
        record(
            action="endpoint.update_withdrawn",
            subject=row,
            actor=actor,
            parameters={"name": row.name, "revision": row.revision},
        )
        return row
    _want(row, old, wanted)
    row.policy = None
    if change.policy is not None:
        same_config = row.config_count is not None
        policies.check(change.policy, old.size.parts, parts, same_config=same_config)
        row.policy = change.policy.as_json()
    _check_fields(row)
    write_resources(row, old)
    go_on(row, Endpoint.Update.WANTED)
    note_revision(row, actor=actor, reason=change.reason, back_to=change.back_to)
    record(
        action="endpoint.update_requested"
        if not change.reason
        else "endpoint.update_requested_why",
        subject=row,
        actor=actor,
        parameters={
            "name": row.name,
            "revision": row.revision,
            **_before_and_after(row, old),
            **({"reason": change.reason} if change.reason else {}),
        },
    )
    if change.policy is not None:
        facts: dict[str, Scalar] = {"name": row.name, "policy": change.policy.said}
        record(action="endpoint.update_by_policy", subject=row, actor=actor, parameters=facts)
    return row


def place_of(row: Endpoint, revision: Revision) -> tuple[str, str]:
    """Bucket and prefix of the store of a revision."""
    return revision.place or row.serves_from


def name_places(row: Endpoint, old: Revision) -> None:
    """Write down the store of each revision, as the endpoint gets another one for the first time.

    ``old`` is the revision that serves.
    """
    unnamed = row.revisions.filter(model_bucket="")
    unnamed.update(model_bucket=row.bucket, model_prefix=row.prefix)
    old.model_bucket, old.model_prefix = place_of(row, old)


def _wanted_place(
    row: Endpoint, old: Revision, change: SettingsChange, actor: User | None
) -> tuple[str, str]:
    """Bucket and prefix of the store that is to be served. Raises as `check_may_serve`."""
    before = place_of(row, old)
    if change.store is None and change.place in (None, before):
        return before
    now = stores.at(*before)
    if change.store is not None and now is not None and now.name == change.store:
        return before
    if change.store is not None:
        found = _store_for(change.store)
    else:
        found = _store_at(change.place or before)
    check_may_serve(before, found, actor)
    return found.bucket, found.prefix


def _store_at(place: tuple[str, str]) -> Store:
    found = stores.at(*place)
    if found is None:
        said = _("There is no store at %(url)s, or you may not see it. Nothing was changed.")
        told = ValidationError(said % {"url": data_url(place)}, code=CONFLICT)
        raise ValidationError({"store": told})
    return _store_for(found.name)


def check_may_serve(before: tuple[str, str], after: Store, actor: User | None) -> None:
    """Keep ``after`` from being retired, and see that ``actor`` may move an endpoint there.

    Its versions get what serves them, and those of the store before lose it, so that is for who may
    write to both. Raises ValidationError of the field ``store``, and NotPermitted.
    """
    for one in filter(None, (stores.at(*before), after)):
        secrecy.check_may_write(one, actor)
    stores.hold(after)


def _before_and_after(row: Endpoint, old: Revision) -> dict[str, str]:
    """What the event of a change says: the size, and what else differs."""
    before, after = [str(old.size)], [str(row.requested)]
    if old.image != row.image:
        before, after = [*before, old.image], [*after, row.image]
    if old.role_arn != row.role_arn:
        before, after = [*before, old.role_arn], [*after, row.role_arn]
    if place_of(row, old) != row.place:
        before, after = [*before, data_url(place_of(row, old))], [*after, row.model_data_url]
    with override("en"):  # the log keeps one language's words
        for name, was, now in old.chosen.differences(row.chosen):
            before.append(f"{name}: {was}")
            after.append(f"{name}: {now}")
    return {"before": ", ".join(before), "after": ", ".join(after)}


def _give_to(row: Endpoint, name: str, actor: User | None) -> None:
    """Make somebody else the owner; AWS has nothing of it.

    The owner has the rights of one's own endpoint, so nobody may take one that is another's.
    """
    owner, before = _user_named(name), row.owned_by
    if owner == before:
        return
    if actor is not None and not actor.has_perm(end_dates.MAY_TEAR_DOWN) and not row.is_own(actor):
        raise OwnerNotAllowed(
            _(
                "Only admins, and the owner of the endpoint, may name another owner. Nothing was "
                "changed."
            )
        )
    row.owner = owner
    row.save(update_fields=["owner"])
    record(
        action="endpoint.owner_changed",
        subject=row,
        actor=actor,
        parameters={
            "name": row.name,
            "before": before.get_username() if before else "–",
            "after": owner.get_username(),
        },
    )


def _wanted_parts(row: Endpoint, old: Revision, change: SettingsChange) -> Variants:
    """The variants that are to run. Raises ValidationError for what an endpoint may not have."""
    before = old.size
    parts = before.parts
    alone = change.instance_type or change.instance_count
    if change.weights is not None:
        parts = weighed(parts, change.weights)
    if change.variants is not None:
        if alone:
            raise ValidationError({"variants": _either()})
        parts = _alone_gets_all(change.variants)
    elif alone and len(parts) > 1:
        said = _("It has several variants. Say the type and the number of instances of each.")
        raise ValidationError({"variants": said})
    elif alone:
        parts = (
            replace(
                parts[0],
                instance_type=change.instance_type or parts[0].instance_type,
                instance_count=change.instance_count or parts[0].instance_count,
            ),
        )
    if row.limits is not None and len(parts) > 1:
        raise ValidationError({"variants": _scaled_has_one()})
    if row.limits is not None and count_of(parts) != before.instance_count:
        if change.back_to is None:
            raise ValidationError({"instance_count": _scaled_by_aws(row.limits)})
        # Autoscaling has the number it needs.
        parts = (replace(parts[0], instance_count=before.instance_count),)
    if is_plain(parts) and is_plain(before.parts):
        # What it has already stays allowed, where a setting has changed since.
        if parts[0].instance_type != before.instance_type:
            _check_type(parts[0].instance_type)
        if parts[0].instance_count != before.instance_count:
            _check_count(parts[0].instance_count)
    elif change.back_to is None:
        _check_variants(parts, before)
    return parts


def _alone_gets_all(parts: Variants) -> Variants:
    """A variant that is left alone gets the calls, though it had none before."""
    if len(parts) == 1 and not parts[0].weight:
        return (replace(parts[0], weight=1),)
    return parts


def _either() -> str:
    return _("Say a type and a number of instances, or variants, not both.")


def _scaled_has_one() -> str:
    return _("Autoscaling is of endpoints with one variant. Switch it off before you add another.")


def _scaled_by_aws(limits: Limits) -> str:
    said = _(
        "Autoscaling sets the number of instances, from %(least)s to %(most)s. Change its limits, "
        "or switch it off."
    )
    return said % {"least": limits.least, "most": limits.most}


def check_may_be_changed(row: Endpoint) -> None:
    """Raise ValidationError, as a conflict, where SageMaker takes no change of it now."""
    if row.gone_at is not None or row.tearing_down:
        said = _("The endpoint %(name)s is torn down, or is being torn down. Nothing was changed.")
    elif row.deleted_outside:
        said = _(
            "Somebody deleted the endpoint %(name)s outside the portal. Put it back, then change "
            "it."
        )
    elif row.to_pause:
        said = _("The endpoint %(name)s is paused. Resume it, then change it. Nothing was changed.")
    elif not row.serving:
        said = _("The endpoint %(name)s does not serve yet, so it cannot be changed. Wait for it.")
    elif not row.may_be_changed:
        said = _(
            "SageMaker is updating the endpoint %(name)s. Wait until that is over. Nothing was "
            "changed."
        )
    else:
        return
    raise ValidationError(said % {"name": row.name}, code=CONFLICT)


def serving_revision(row: Endpoint) -> Revision:
    """What serves now; written down where the endpoint was made by the release before."""
    found = row.revisions.filter(state=Revision.State.SERVING).first()
    if found is None:
        first = row.revisions.filter(number=row.revision).first()
        if first is None:
            first = note_revision(row, actor=row.created_by)
        first.state, first.settled_at = Revision.State.SERVING, clock.now()
        first.save(update_fields=["state", "settled_at"])
        found = first
    return found


def withdraw(row: Endpoint) -> None:
    """Give up a change that SageMaker was not asked for yet."""
    wanted = row.revisions.filter(number=row.revision, state=Revision.State.WANTED)
    wanted.update(state=Revision.State.WITHDRAWN, settled_at=clock.now())


def _want(row: Endpoint, old: Revision, wanted: dict[str, Any]) -> None:
    """Set what the row wants, and whose model and config it uses."""
    for name, value in wanted.items():
        setattr(row, name, value)
    same_model = row.image == old.image and row.role_arn == old.role_arn
    same_model = same_model and row.place == place_of(row, old)
    same_model = same_model and row.chosen.of_model == old.chosen.of_model
    same_parts = same_configs(row.requested.parts, old.size.parts)
    same_parts = same_parts and row.chosen.of_config == old.chosen.of_config
    same_config = same_model and same_parts and not row.outside_config
    same_config = same_config and not row.rollback_failed
    row.revision = Endpoint.objects.next_revision(row.name)
    row.model_revision = (old.model_revision or old.number) if same_model else None
    row.config_revision = (old.config_revision or old.number) if same_config else None
    row.config_count = (old.config_count or old.instance_count) if same_config else None
    row.config_variants = (old.config_variants or old.variants) if same_config else None
    row.model_given = old.model_given if same_model else ""
    row.config_given = old.config_given if same_config else ""


def write_resources(row: Endpoint, old: Revision) -> None:
    """Rows for what is to be made; those that there are say of which revision they are."""
    there = row.resources.exclude(kind=Resource.Kind.ENDPOINT)
    before = Endpoint(name=row.name)
    before.take(old)
    model, config = before.model_name, before.config_name
    own = there.filter(kind=Resource.Kind.MODEL, name=model)
    own.update(revision=old.model_revision or old.number)
    there.filter(kind=Resource.Kind.CONFIG, name=config).update(
        revision=old.config_revision or old.number,
        instance_type=old.instance_type,
        instance_count=old.config_count or old.instance_count,
        variants=old.config_variants or old.variants,
    )
    for kind, name in (
        (Resource.Kind.MODEL, row.model_name),
        (Resource.Kind.CONFIG, row.config_name),
    ):
        Resource.objects.get_or_create(
            endpoint=row, kind=kind, name=name, defaults={"revision": row.revision}
        )


def go_on(row: Endpoint, update: Endpoint.Update) -> None:
    """Save the row, and have the reconciler go on with it."""
    row.update_state, row.update_asked_at = update, None
    row.attempts, row.check_after = 0, clock.now()
    starts = phrase("The update starts in a few seconds.").named("endpoint.update_starts")
    row.say(failure=None, hint=starts)
    row.save()
    enqueue_on_commit(ADVANCE, row.pk)


def locked(endpoint: Endpoint, require: Callable[[Endpoint], None] | None = None) -> Endpoint:
    """The row, locked until the transaction ends, for a setting of an endpoint that lives.

    ``require`` is called with it, and may raise. Raises ValidationError, as a conflict, where it is
    torn down, or is being torn down.
    """
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    if row.gone_at is not None or row.tearing_down:
        said = _("The endpoint %(name)s is torn down, or is being torn down. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    return row


@transaction.atomic
def request_teardown(
    *,
    endpoint: Endpoint,
    typed_name: str,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
    keep_config: bool = False,
    keep_model: bool = False,
) -> Endpoint:
    """Record that the endpoint is to be torn down; the reconciler deletes it.

    ``typed_name`` must be the endpoint's name, else ValidationError. ``require`` is called with
    the locked row before anything is changed, and may raise. Idempotent. The artifacts in S3 stay;
    so does its SageMaker model with ``keep_model``, and with ``keep_config`` its configuration and
    the model that this needs. Where ``actor`` asks for it, it begins TEARDOWN_UNDO_S later
    (`undo_teardown`). Where it is being torn down already, and keeps something else, that is a
    ValidationError with the code CONFLICT.
    """
    if typed_name.strip() != endpoint.name:
        said = _("Type the name of the endpoint, %(name)s, to tear it down.")
        raise ValidationError({"typed_name": said % {"name": endpoint.name}})
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    keep_model = keep_model or keep_config
    if row.gone_at is not None or row.wanted == Endpoint.Wanted.ABSENT:
        if (keep_config, keep_model) not in ((False, False), (row.keep_config, row.keep_model)):
            said = _(
                "The endpoint %(name)s is torn down, or is being torn down, and was not asked to "
                "keep this. Nothing was changed."
            )
            raise ValidationError(said % {"name": row.name}, code=CONFLICT)
        return row
    now = clock.now()
    row.wanted = Endpoint.Wanted.ABSENT
    row.keep_config, row.keep_model = keep_config, keep_model
    row.teardown_at = now
    if actor is not None:  # what the portal does by itself was told of before
        row.teardown_at += timedelta(seconds=settings.TEARDOWN_UNDO_S)
    row.attempts, row.check_after = 0, row.teardown_at
    starts = phrase("The teardown starts in a few seconds.").named("endpoint.teardown_starts")
    row.say(failure=None, hint=starts)
    told = ("failure", "failure_code", "hint", "hint_code")
    keeps = ("keep_config", "keep_model", "teardown_at")
    row.save(update_fields=["wanted", "attempts", "check_after", *keeps, *told])
    record(
        action="endpoint.teardown_requested",
        subject=row,
        actor=actor,
        level=Event.Level.WARNING,
        parameters={"name": row.name},
    )
    _deleted, left = row.to_be_torn_down(keep_config=keep_config, keep_model=keep_model)
    if left:
        facts: dict[str, Scalar] = {"name": row.name, "names": _names(left)}
        record(action="endpoint.teardown_keeps", subject=row, actor=actor, parameters=facts)
    if row.teardown_at <= now:
        enqueue_on_commit(ADVANCE, row.pk)
    return row


def _names(resources: Sequence[Resource]) -> str:
    """Kinds and names, as an event keeps them."""
    return ", ".join(f"{one.kind} {one.name}" for one in resources)


@transaction.atomic
def undo_teardown(
    *,
    endpoint: Endpoint,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """Want an endpoint again whose teardown was requested, and has not begun. Idempotent.

    The reconciler takes `teardown_at` away in the UPDATE that renews its lease before the first
    deleting call, so that one of both UPDATEs finds the row as it must be. An end date that is over
    is removed, and idle hours are counted anew. ``require`` is called with the locked row, and may
    raise. Raises ValidationError, as a conflict, where the teardown has begun.
    """
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    if row.gone_at is None and not row.tearing_down:
        return row
    now = clock.now()
    over = row.expires_at is not None and row.expires_at <= now
    back = phrase("The endpoint goes on as before.").named("endpoint.teardown_undone")
    row.say(failure=None, hint=back)
    undone = Endpoint.objects.filter(
        pk=row.pk, gone_at=None, wanted=Endpoint.Wanted.ABSENT, teardown_at__isnull=False
    ).update(
        wanted=Endpoint.Wanted.PRESENT,
        teardown_at=None,
        keep_config=False,
        keep_model=False,
        expires_at=None if over else row.expires_at,
        end_told=Endpoint.EndTold.NOTHING if over else row.end_told,
        idle_from=None,
        idle_ends_at=None,
        idle_told=Endpoint.EndTold.NOTHING,
        attempts=0,
        check_after=now,
        **{name: getattr(row, name) for name in ("failure", "failure_code", "hint", "hint_code")},
    )
    if not undone:
        said = _(
            "The teardown of the endpoint %(name)s has begun, so it cannot be undone. Create it "
            "again when it is gone."
        )
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    facts: dict[str, Scalar] = {"name": row.name}
    record(action="endpoint.teardown_undone", subject=row, actor=actor, parameters=facts)
    if over:
        record(action="endpoint.end_removed", subject=row, actor=actor, parameters=facts)
    enqueue_on_commit(ADVANCE, row.pk)
    row.refresh_from_db()
    return row


@transaction.atomic
def request_teardowns(
    *,
    endpoints: Sequence[Endpoint],
    actor: User | None,
    keep_config: bool = False,
    keep_model: bool = False,
) -> list[Endpoint]:
    """Request the teardown of several endpoints, whose names were typed: of all, or of none."""
    return [
        request_teardown(
            endpoint=endpoint,
            typed_name=endpoint.name,
            actor=actor,
            keep_config=keep_config,
            keep_model=keep_model,
        )
        for endpoint in sorted(endpoints, key=lambda one: one.pk)  # one order of locks
    ]


def check_now(*, endpoint: Endpoint) -> None:
    """Look at the endpoint at once instead of when it is due."""
    Endpoint.objects.filter(pk=endpoint.pk, gone_at=None).update(
        check_after=clock.now(), attempts=0
    )
    enqueue_on_commit(ADVANCE, endpoint.pk)


def look_if_old(*, endpoint: Endpoint, now: datetime | None = None) -> bool:
    """Queue a look at an endpoint that nobody has looked at for STALE; True where one is queued.

    So a page that is opened shows what AWS says, also of a settled endpoint: else it is looked at
    once a minute. It is queued once, however many people open the page. One that stopped, or that
    waits after errors, is retried in its own time. ``now``: by the database's clock.
    """
    if not endpoint.settled or endpoint.gone_at is not None:
        return False
    if endpoint.failure or endpoint.attempts:
        return False
    now = now or clock.now()
    if endpoint.checked_at is None or endpoint.checked_at > now - STALE:
        return False
    rows = Endpoint.objects.filter(pk=endpoint.pk, gone_at=None, check_after__gt=now)
    if rows.update(check_after=now):
        enqueue_on_commit(ADVANCE, endpoint.pk)
    return True


def step_soon(endpoint_pk: int) -> None:
    """Queue the next step of an endpoint."""
    enqueue_on_commit(ADVANCE, endpoint_pk)


def sweep() -> int:
    """Send a task for the endpoints that are due; returns how many were due.

    Only so many as there are calls of AWS left for (core/pace.py): first those with something under
    way, the longest due first; those that are settled while half of the calls are left, so that a
    look at them delays nobody. Of many settled ones lists tell (looks.py). What is left out is due
    still, and the next sweep finds it.
    """
    due = list(Endpoint.objects.due())
    if not due:
        return 0
    room, spare = pace.CONTROL_PLANE.room(), pace.CONTROL_PLANE.burst / 2
    urgent = [row for row in due if not row.settled]
    others = [row for row in due if row.settled]
    sent = urgent[: max(0, int(room))]
    in_lists = [row for row in others if looks.fits(row)]
    if len(in_lists) >= looks.LEAST and looks.listed_now():
        others = [row for row in others if not looks.fits(row)]
        if room - spare - len(sent) >= 1:
            enqueue_on_commit(LOOK_AT_SETTLED)
    sent += others[: max(0, int(room - spare - len(sent)))]
    for row in sent:
        enqueue_on_commit(ADVANCE, row.pk)
    return len(due)
