"""The three kinds of SageMaker resources that an endpoint owns: one small class each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from activity.codes import Scalar
from core import errors
from core.sentences import phrase
from endpoints import sagemaker
from endpoints.models import Endpoint, Resource
from endpoints.options import PRESET, DeploymentOptions
from endpoints.sagemaker import Call
from endpoints.variants import Variants, as_json


@dataclass(frozen=True)
class Found:
    """A resource as AWS has just described it.

    ``facts`` is what tells ours from somebody else's, under the names of the parameters of the
    event ``endpoint.KIND.foreign``. Endpoints alone have a ``status`` (SageMaker's word), a
    ``failure`` (its FailureReason) and a ``running_count`` (instances). ``variants`` are those of a
    config, or of an endpoint as they run, where they are not the one that nobody named.
    """

    arn: str
    created_at: datetime
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    status: str = ""
    failure: str = ""
    running_count: int | None = None
    variants: Variants = ()
    #: Those of a model or of a config.
    options: DeploymentOptions = PRESET
    #: When SageMaker last changed an endpoint; None where it does not say.
    modified_at: datetime | None = None

    @property
    def state(self) -> Resource.State:
        """The portal's state for it."""
        return Resource.State.of_sagemaker(self.status) if self.status else Resource.State.CREATED

    @property
    def in_progress(self) -> bool:
        """Whether SageMaker is working on it, and so takes no change of it."""
        return self.state in Resource.IN_PROGRESS


class ResourceKind(ABC):
    """How the portal describes, creates and deletes one kind, and tells its own from others'."""

    kind: ClassVar[Resource.Kind]
    noun: ClassVar[str]
    # The state right after a create.
    new_state: ClassVar[Resource.State] = Resource.State.CREATED
    # Whether one that was seen before is ours, though somebody changed it since.
    ours_once_seen: ClassVar[bool] = True

    @property
    def key(self) -> str:
        """What tells the endpoint's row of this kind from its other rows."""
        return str(self.kind)

    @abstractmethod
    def describe(self, name: str) -> Found:
        """What is in the AWS account under this name. Raises errors.NotFound or another error."""

    @abstractmethod
    def creation(self, endpoint: Endpoint) -> Call:
        """The call that creates it under its derived name."""

    @abstractmethod
    def create(self, endpoint: Endpoint) -> str:
        """Create it under its derived name; returns its ARN. Raises errors.AlreadyExists etc."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete it, or begin to. Raises errors.NotFound, errors.Busy etc."""

    @abstractmethod
    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        """Whether what was found is as the portal creates it for this endpoint."""


class ModelKind(ResourceKind):
    """The SageMaker model: the image, and the store that it serves."""

    kind = Resource.Kind.MODEL
    noun = "SageMaker model"

    def describe(self, name: str) -> Found:
        found = sagemaker.describe_model(name)
        single = phrase("%(image)s, as a single model", image=found.image)
        facts: dict[str, Scalar] = {
            "store": found.data_url or phrase("no store"),
            "image": found.image if found.multi_model else single,
        }
        return Found(found.arn, found.created_at, facts, options=found.options)

    def creation(self, endpoint: Endpoint) -> Call:
        return sagemaker.model_call(**self._wanted(endpoint))

    def create(self, endpoint: Endpoint) -> str:
        return sagemaker.create_model(**self._wanted(endpoint))

    def _wanted(self, endpoint: Endpoint) -> dict[str, Any]:
        return {
            "name": endpoint.model_name,
            "image": endpoint.image,
            "role_arn": endpoint.role_arn,
            "data_url": endpoint.model_data_url,
            "tags": _tags(endpoint),
            "options": endpoint.chosen,
        }

    def delete(self, name: str) -> None:
        sagemaker.delete_model(name)

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        same = found.facts == {"store": endpoint.model_data_url, "image": endpoint.image}
        return same and found.options.of_model == endpoint.chosen.of_model


class ConfigKind(ResourceKind):
    """The endpoint config: how many instances of which type serve the model."""

    kind = Resource.Kind.CONFIG
    noun = "configuration"

    def describe(self, name: str) -> Found:
        found = sagemaker.describe_config(name)
        facts: dict[str, Scalar] = {
            "model": found.model_name,
            "instance_type": found.instance_type,
            "instance_count": found.instance_count,
        }
        return Found(
            found.arn, found.created_at, facts, variants=found.variants, options=found.options
        )

    def creation(self, endpoint: Endpoint) -> Call:
        return sagemaker.config_call(**self._wanted(endpoint))

    def create(self, endpoint: Endpoint) -> str:
        return sagemaker.create_config(**self._wanted(endpoint))

    def _wanted(self, endpoint: Endpoint) -> dict[str, Any]:
        said = endpoint.in_config
        return {
            "name": endpoint.config_name,
            "model_name": endpoint.model_name,
            "instance_type": said.instance_type,
            "instance_count": said.instance_count,
            "tags": _tags(endpoint),
            **({"variants": said.variants} if said.variants else {}),
            "options": endpoint.chosen,
            **({"bucket": endpoint.place[0]} if endpoint.chosen.capture_percent else {}),
        }

    def delete(self, name: str) -> None:
        sagemaker.delete_config(name)

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        said = endpoint.in_config
        same = found.options.of_config == endpoint.chosen.of_config
        return (
            same
            and set(found.variants) == set(said.variants)
            and found.facts
            == {
                "model": endpoint.model_name,
                "instance_type": said.instance_type,
                "instance_count": said.instance_count,
            }
        )


class OutsideConfigKind(ConfigKind):
    """A config that somebody gave the endpoint outside the portal. The portal creates none.

    It is the endpoint's own where it serves the endpoint's SageMaker model, without which it is of
    no use to anybody, and where it bears the tags of the endpoint.
    """

    ours_once_seen = False

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def key(self) -> str:
        return f"{self.kind} {self.name}"

    def fill(self, row: Resource) -> str:
        """Write what the config says to its row, unsaved; returns the name of its model.

        Raises errors.NotFound and others.
        """
        found = sagemaker.describe_config(self.name)
        row.arn, row.created_at = found.arn, found.created_at
        row.instance_type, row.instance_count = found.instance_type, found.instance_count
        row.variants = as_json(found.variants)
        return found.model_name

    def create(self, endpoint: Endpoint) -> str:
        raise NotImplementedError("nobody but who changed the endpoint creates its outside config")

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        return found.facts["model"] in _own_models(endpoint) or _bears_tags(endpoint, found)


class EarlierConfigKind(OutsideConfigKind):
    """A config that the portal made for another revision; it goes when it serves no more.

    One of its name that was not seen before may be what kept the portal from making it: the tags
    tell.
    """

    ours_once_seen = True

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        return _bears_tags(endpoint, found)


class EarlierModelKind(ModelKind):
    """A model that the portal made for another revision; it goes when it serves no more.

    As of an EarlierConfigKind, the tags tell of one that was not seen before.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def key(self) -> str:
        return f"{self.kind} {self.name}"

    def create(self, endpoint: Endpoint) -> str:
        raise NotImplementedError("a revision that is not wanted any more is not created")

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        return found.facts["store"] in endpoint.all_data_urls and _bears_tags(endpoint, found)


class OutsideModelKind(EarlierModelKind):
    """A model that somebody made outside the portal for an outside config.

    It is the endpoint's own where it bears the tags of the endpoint.
    """

    ours_once_seen = False

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        return _bears_tags(endpoint, found)


class EndpointKind(ResourceKind):
    """The endpoint itself: SageMaker takes minutes to create and to delete it."""

    kind = Resource.Kind.ENDPOINT
    noun = "endpoint"
    new_state = Resource.State.CREATING

    def describe(self, name: str) -> Found:
        found = sagemaker.describe_endpoint(name)
        return Found(
            found.arn,
            found.created_at,
            {"config": found.config_name},
            found.status,
            found.failure,
            found.instance_count,
            found.variants,
            modified_at=found.modified_at,
        )

    def creation(self, endpoint: Endpoint) -> Call:
        return sagemaker.endpoint_call(**self._wanted(endpoint))

    def create(self, endpoint: Endpoint) -> str:
        return sagemaker.create_endpoint(**self._wanted(endpoint))

    def _wanted(self, endpoint: Endpoint) -> dict[str, Any]:
        name, config = endpoint.name, endpoint.config_name
        return {"name": name, "config_name": config, "tags": _tags(endpoint)}

    def delete(self, name: str) -> None:
        sagemaker.delete_endpoint(name)

    def is_ours(self, endpoint: Endpoint, found: Found) -> bool:
        return found.facts == {"config": endpoint.config_name}


MODEL, CONFIG, ENDPOINT = ModelKind(), ConfigKind(), EndpointKind()
# The order of creation; teardown goes backwards.
KINDS: tuple[ResourceKind, ...] = (MODEL, CONFIG, ENDPOINT)


def _own_models(endpoint: Endpoint) -> set[str]:
    rows = endpoint.resources.filter(kind=Resource.Kind.MODEL).exclude(revision=None)
    return {endpoint.model_name, *rows.values_list("name", flat=True)}


def _bears_tags(endpoint: Endpoint, found: Found) -> bool:
    """Whether a resource has the tags that the portal gives to what it makes for the endpoint."""
    try:
        tags = sagemaker.tags_of(found.arn)
    except (errors.Denied, errors.NotFound):
        return False
    portals = ("", sagemaker.this_portal())
    of_it = tags.get(sagemaker.TAG, "").lower() == endpoint.name.lower()
    return of_it and tags.get(sagemaker.PORTAL_TAG, "") in portals


def _tags(endpoint: Endpoint) -> dict[str, str]:
    tags = {**endpoint.chosen.tags, sagemaker.TAG: endpoint.name}
    if portal := sagemaker.this_portal():
        tags[sagemaker.PORTAL_TAG] = portal
    return tags


def wanted_counts(endpoint: Endpoint) -> dict[str, Any]:
    """What sets its number of instances, and of variants their weights, with the same config."""
    wanted: dict[str, Any] = {"name": endpoint.name, "count": endpoint.instance_count}
    if rows := endpoint.requested.variants:
        wanted["variants"] = rows
    return wanted


def how_to_update(endpoint: Endpoint) -> dict[str, Any]:
    """How it is to be moved to another config."""
    wanted: dict[str, Any] = {"retain": endpoint.limits is not None}
    if policy := endpoint.deployed_by:
        wanted["policy"] = policy
    return wanted
