"""Take into the portal what others made, or what its database lost: an endpoint with all it uses.

An adopted endpoint serves on as it is; nothing is called that changes it. From then on it is one of
the portal's: watched, changed, paid for, torn down with its config and model. So only what the
portal could have made itself is adopted, and where something does not fit, all that does not is
said.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from activity.services import record
from core import clock, errors
from core.errors import CONFLICT
from endpoints import sagemaker
from endpoints.events import size_of
from endpoints.models import Endpoint, Orphan, Resource, Revision, name_taken, valid_endpoint_name
from endpoints.options import DeploymentOptions
from endpoints.orphans import what
from endpoints.sagemaker import SageMakerConfig, SageMakerEndpoint, SageMakerModel
from endpoints.services import note_revision, step_soon
from endpoints.variants import MOST_VARIANTS, Variants, as_json, with_types
from models_catalog.models import Store, Version


@dataclass(frozen=True)
class Whole:
    """An endpoint in the account with the config and the model that it uses."""

    endpoint: SageMakerEndpoint
    config: SageMakerConfig
    model: SageMakerModel

    @property
    def store(self) -> tuple[str, str]:
        """Bucket and prefix of what it serves."""
        bucket, _slash, prefix = self.model.data_url.removeprefix("s3://").partition("/")
        return bucket, prefix.strip("/")

    @property
    def chosen(self) -> DeploymentOptions:
        """What else was chosen of its model and its config."""
        model, config = self.model.options, self.config.options
        return replace(
            config.of_config,
            model_cache=model.model_cache,
            environment=model.environment,
            subnets=model.subnets,
            security_groups=model.security_groups,
        )

    @property
    def count(self) -> int:
        """How many instances run."""
        count = self.endpoint.instance_count
        return self.config.instance_count if count is None else count

    @property
    def variants(self) -> Variants:
        """Those that run, where they are not the one that nobody named."""
        seen = self.endpoint.variants or self.config.variants
        return with_types(seen, self.config.variants)


def described(name: str) -> Whole:
    """What is in the account under an endpoint's name. Raises an AwsError."""
    endpoint = sagemaker.describe_endpoint(name)
    config = sagemaker.describe_config(endpoint.config_name)
    return Whole(endpoint, config, sagemaker.describe_model(config.model_name))


def adopt(*, orphan: Orphan, actor: User | None) -> Endpoint:
    """Take an orphan in: an endpoint as a new one of the portal, else into the one it belongs to.

    Raises ValidationError, as a conflict, with all that does not fit; and an AwsError where the
    account could not be asked. Either way nothing was changed. Idempotent.
    """
    if orphan.state == Orphan.State.ADOPTED and orphan.adopted_by is not None:
        return orphan.adopted_by
    if orphan.state != Orphan.State.FOUND:
        raise _refused(orphan, [_("It is being deleted, or is gone.")])
    if not orphan.adoptable:
        raise _refused(orphan, [_("What it is of is not there: it can be deleted alone.")])
    try:
        if orphan.kind == Resource.Kind.ENDPOINT:
            return _adopt_endpoint(orphan, described(orphan.name), actor)
        return _adopt_into(orphan, actor)
    except errors.NotFound:
        raise _refused(orphan, [_("It, or what it uses, is not in the AWS account.")]) from None


def _refused(orphan: Orphan, why: Iterable[str]) -> ValidationError:
    said = _("%(name)s cannot be adopted. %(why)s Nothing was changed.")
    told = {"name": orphan.name, "why": " ".join(why)}
    return ValidationError(said % told, code=CONFLICT)


def _adopt_endpoint(orphan: Orphan, found: Whole, actor: User | None) -> Endpoint:
    problems = _misfits(found)
    if found.endpoint.created_at != orphan.made_at:
        problems.insert(0, _("It is not the one that was listed: somebody made it anew."))
    if problems:
        raise _refused(orphan, problems)
    try:
        with transaction.atomic():
            _lock(orphan)
            endpoint = _new_row(found, actor)
            note_revision(endpoint, actor=actor, state=Revision.State.SERVING)
            Resource.objects.bulk_create(_rows(endpoint, found))
            _note_adopted(endpoint, found)
            record(
                action="endpoint.adopted",
                subject=endpoint,
                actor=actor,
                parameters={
                    "name": endpoint.name,
                    "config": found.config.name,
                    "model": found.model.name,
                    **size_of(endpoint),
                },
            )
            step_soon(endpoint.pk)
    except IntegrityError:
        raise _refused(orphan, [name_taken(orphan.name)]) from None
    return endpoint


def _lock(orphan: Orphan) -> None:
    row = Orphan.objects.select_for_update().filter(pk=orphan.pk).first()
    if row is None or row.state != Orphan.State.FOUND or row.made_at != orphan.made_at:
        raise _refused(orphan, [_("It was changed meanwhile: look again.")])


def _misfits(found: Whole) -> list[str]:
    """All for which the portal could not have made it, each as a sentence."""
    problems = []
    try:
        valid_endpoint_name(found.endpoint.name)
    except ValidationError:
        problems.append(_("Its name is longer than 53 characters."))
    if Endpoint.objects.filter(gone_at=None).named(found.endpoint.name).exists():
        problems.append(name_taken(found.endpoint.name))
    problems += misfits_of(found)
    if found.model.multi_model and found.store not in _known_stores():
        said = _("It serves %(store)s, where no version of the portal is.")
        problems.append(said % {"store": found.model.data_url})
    return problems


def misfits_of(found: Whole) -> list[str]:
    """Why an endpoint could not be one of the portal's as it is now, each as a sentence."""
    problems = []
    if Resource.State.of_sagemaker(found.endpoint.status) != Resource.State.IN_SERVICE:
        said = _("Its state is %(state)s; it must be InService.")
        problems.append(said % {"state": found.endpoint.status})
    if len(found.config.variants) > MOST_VARIANTS:
        said = _("It has more variants than the %(most)s that the portal shows.")
        problems.append(said % {"most": MOST_VARIANTS})
    if not found.config.instance_type or not found.config.instance_count:
        problems.append(_("It does not run on instances of its own."))
    problems += model_misfits(found.model)
    extras = found.config.extras + found.model.extras
    if extras:
        said = _("It has settings that the portal does not know: %(names)s.")
        problems.append(said % {"names": ", ".join(extras)})
    return problems


def model_misfits(model: SageMakerModel) -> list[str]:
    """Why a SageMaker model could not be one of the portal's."""
    if not model.multi_model:
        return [_("It serves a single model; the portal's endpoints are multi-model.")]
    if not model.image or not model.role_arn or not model.data_url.startswith("s3://"):
        return [_("Its model names no image, role or store.")]
    return []


def _known_stores() -> set[tuple[str, str]]:
    used = Version.objects.order_by().values_list("bucket", "prefix").distinct()
    added = Store.objects.added().filter(retired_at=None).values_list("bucket", "prefix")
    return {*used, *added, (settings.MODEL_BUCKET, settings.MODEL_PREFIX)}


def _new_row(found: Whole, actor: User | None) -> Endpoint:
    bucket, prefix = found.store
    count = found.count
    scaled = count != found.config.instance_count or found.variants != found.config.variants
    endpoint = Endpoint(
        name=found.endpoint.name,
        bucket=bucket,
        prefix=prefix,
        image=found.model.image,
        role_arn=found.model.role_arn,
        instance_type=found.config.instance_type,
        instance_count=count,
        options=found.chosen.as_json(),
        config_count=found.config.instance_count if scaled else None,
        model_given=found.model.name,
        config_given=found.config.name,
        config_in_use=found.config.name,
        variants=as_json(found.variants),
        config_variants=as_json(found.config.variants) if scaled else None,
        running_count=found.endpoint.instance_count,
        running_variants=as_json(found.variants),
        state=Endpoint.State.IN_SERVICE,
        sagemaker_status=found.endpoint.status,
        created_by=actor,
    )
    endpoint.revision = free_revision(endpoint.name, [found.config.name, found.model.name])
    endpoint.save()
    return endpoint


def free_revision(name: str, used: Iterable[str]) -> int:
    """The next revision of an endpoint whose derived names are none of those in use."""
    number = Endpoint.objects.next_revision(name)
    taken = {one.lower() for one in used}
    while f"{name}-r{number}".lower() in taken:
        number += 1
    return number


def _rows(endpoint: Endpoint, found: Whole) -> list[Resource]:
    parts: dict[Resource.Kind, tuple[Any, Resource.State]] = {
        Resource.Kind.MODEL: (found.model, Resource.State.CREATED),
        Resource.Kind.CONFIG: (found.config, Resource.State.CREATED),
        Resource.Kind.ENDPOINT: (found.endpoint, Resource.State.IN_SERVICE),
    }
    return [
        Resource(
            endpoint=endpoint,
            kind=kind,
            name=part.name,
            arn=part.arn,
            created_at=part.created_at,
            state=state,
            sagemaker_status=getattr(part, "status", ""),
            revision=None if kind == Resource.Kind.ENDPOINT else endpoint.revision,
        )
        for kind, (part, state) in parts.items()
    ]


def _note_adopted(endpoint: Endpoint, found: Whole) -> None:
    names = {
        Resource.Kind.ENDPOINT: found.endpoint.name,
        Resource.Kind.CONFIG: found.config.name,
        Resource.Kind.MODEL: found.model.name,
    }
    for kind, name in names.items():
        Orphan.objects.filter(kind=kind, name=name).update(
            state=Orphan.State.ADOPTED, adopted_by=endpoint, over_at=clock.now(), leased_until=None
        )


def _adopt_into(orphan: Orphan, actor: User | None) -> Endpoint:
    """Take a config or model into the endpoint that its tag names: a teardown deletes it, too."""
    endpoint = Endpoint.objects.filter(gone_at=None).named(orphan.made_for).first()
    if not orphan.made_for or endpoint is None or endpoint.tearing_down:
        said = _(
            "It belongs to no endpoint that runs here. Adopt the endpoint that uses it, or delete "
            "it."
        )
        raise _refused(orphan, [said])
    problems = []
    if orphan.kind == Resource.Kind.CONFIG:
        config = sagemaker.describe_config(orphan.name)
        arn, made_at = config.arn, config.created_at
        models = endpoint.resources.filter(kind=Resource.Kind.MODEL)
        if config.model_name not in models.values_list("name", flat=True):
            said = _("It is for the SageMaker model %(model)s, which is not one of %(endpoint)s.")
            problems.append(said % {"model": config.model_name, "endpoint": endpoint.name})
    else:
        model = sagemaker.describe_model(orphan.name)
        arn, made_at = model.arn, model.created_at
        if model.data_url != endpoint.model_data_url:
            said = _("It serves %(store)s, and the endpoint %(endpoint)s another store.")
            problems.append(said % {"store": model.data_url, "endpoint": endpoint.name})
    if made_at != orphan.made_at:
        problems.append(_("It is not the one that was listed: somebody made it anew."))
    if problems:
        raise _refused(orphan, problems)
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        _lock(orphan)
        if row.gone_at is not None or row.tearing_down:
            raise _refused(orphan, [_("Its endpoint is being torn down.")])
        facts = {"state": Resource.State.CREATED, "arn": arn, "created_at": made_at}
        Resource.objects.update_or_create(
            endpoint=row, kind=orphan.kind, name=orphan.name, defaults={**facts, "gone_at": None}
        )
        Orphan.objects.filter(pk=orphan.pk).update(
            state=Orphan.State.ADOPTED, adopted_by=row, over_at=clock.now()
        )
        record(
            action="orphan.adopted",
            subject=row,
            actor=actor,
            parameters={"name": row.name, "what": what(orphan)},
        )
    return row
