"""SageMaker's control plane: create, describe and delete what an endpoint is made of.

SageMaker says "is not there", "is there already" and "not in this state" only in the text of a
ValidationException. Those texts are matched here and nowhere else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pprint import pformat
from typing import Any

from django.conf import settings

from core import aws, errors
from core.sentences import Sentence, phrase
from endpoints.models import Resource
from endpoints.options import PRESET, DeploymentOptions
from endpoints.policies import DeploymentPolicy
from endpoints.variants import ALONE, ProductionVariant, Variants, count_of, is_plain, types_of

#: The tag of all that the portal creates: the name of the endpoint that it belongs to.
TAG = "mme-portal:endpoint"
#: The tag that says which portal it was: its PORTAL_URL, where that is set.
PORTAL_TAG = "mme-portal:portal"

# By the names of the options: members of a variant (BC: ProductionVariant).
_VARIANT_OPTIONS = {
    "volume_gb": "VolumeSizeInGB",
    "download_timeout_s": "ModelDataDownloadTimeoutInSeconds",
    "startup_timeout_s": "ContainerStartupHealthCheckTimeoutInSeconds",
}

# Seen as: Could not find model "arn:…".  But not: Could not find model data at s3://…
_MISSING = re.compile(
    r"^(could not|cannot) find (model|endpoint|endpoint config(uration)?) (?!(data|artifacts?) )",
    re.I,
)
# Seen as: Cannot create already existing endpoint configuration "arn:…".
_DUPLICATE = re.compile(r"already exist", re.I)
# Seen as: Cannot update in-progress endpoint "arn:…".  Cannot delete … in state Creating.
_BUSY = re.compile(
    r"in[- ]progress|in (the )?(state|status) .*(creating|updating|deleting|rolling)"
    r"|cannot .*while .*(creating|updating|deleting|rolling)",
    re.I,
)
# ARNs, images and objects: what people call them says nothing of what is the matter.
_NAMES = re.compile(r"""[^\s"']*/[^\s"']*""")
_SENTENCES: Sequence[tuple[re.Pattern[str], type[errors.AwsError]]] = (
    (_DUPLICATE, errors.AlreadyExists),
    (_MISSING, errors.NotFound),
    (_BUSY, errors.Busy),
)
_CODES: Mapping[str, type[errors.AwsError]] = {
    "ResourceNotFound": errors.NotFound,
    "ResourceInUse": errors.Busy,
    "ConflictException": errors.Busy,
}


@dataclass(frozen=True)
class Call:
    """A call that changes something in AWS: boto3's method, and its arguments.

    ``service`` is that of boto3's client. Plans show the very calls that the reconciler makes.
    """

    method: str
    arguments: Mapping[str, Any]
    service: str = "sagemaker"

    @property
    def action(self) -> str:
        """Its name in the API of its service, as "CreateModel"."""
        return "".join(word.title() for word in self.method.split("_"))

    @property
    def client(self) -> str:
        """The name of boto3's client in `code`."""
        return "autoscaling" if self.service == "application-autoscaling" else self.service

    @property
    def code(self) -> str:
        """The same as Python; `client` is the name of boto3's client."""
        lines = [f"{self.client}.{self.method}("]
        for name, value in self.arguments.items():
            first, *others = pformat(value, width=88, sort_dicts=False).splitlines()
            lines.append(f"    {name}={first}")
            lines += [" " * (len(name) + 5) + line for line in others]
            lines[-1] += ","
        return "\n".join([*lines, ")"])

    def make(self) -> Any:
        """Make it; raises what botocore raises."""
        return getattr(aws.client_of(self.service), self.method)(**self.arguments)


@dataclass(frozen=True)
class SageMakerModel:
    """A SageMaker model: the image, and the store that it serves."""

    name: str
    arn: str
    created_at: datetime
    image: str
    data_url: str
    multi_model: bool
    role_arn: str = ""
    options: DeploymentOptions = PRESET
    #: Settings of it that the portal does not know, by SageMaker's names.
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class SageMakerConfig:
    """An endpoint configuration.

    ``variants``: empty for one variant that has the name which nobody gave. Of several,
    ``instance_type`` has the types of all, and ``instance_count`` is the number of all instances.
    """

    name: str
    arn: str
    created_at: datetime
    model_name: str
    instance_type: str
    instance_count: int
    variants: Variants = ()
    options: DeploymentOptions = PRESET
    #: Settings of it that the portal does not know, by SageMaker's names.
    extras: tuple[str, ...] = ()
    #: Models of its other variants, shadow variants too, where others made it.
    more_models: tuple[str, ...] = ()

    def serves(self, model: str) -> bool:
        """Whether any of its variants is of this SageMaker model."""
        return model in (self.model_name, *self.more_models)


@dataclass(frozen=True)
class SageMakerEndpoint:
    """An endpoint; ``status`` is SageMaker's word (BC: EndpointStatus).

    ``instance_count``: how many instances run now (BC: ProductionVariantSummary,
    CurrentInstanceCount); None where SageMaker does not say. ``variants``: their numbers and
    weights now, without types; empty for one that has the name which nobody gave.
    """

    name: str
    arn: str
    status: str
    config_name: str
    created_at: datetime
    failure: str
    instance_count: int | None = None
    #: The config that it is being moved to, while that lasts.
    pending_config: str = ""
    variants: Variants = ()
    #: When SageMaker last changed it (BC: LastModifiedTime); None where it does not say.
    modified_at: datetime | None = None


@dataclass(frozen=True)
class ListedResource:
    """A model, config or endpoint, as SageMaker lists it.

    ``status`` and ``modified_at`` are an endpoint's alone.
    """

    name: str
    arn: str
    created_at: datetime
    status: str = ""
    modified_at: datetime | None = None


def _translated(doing: Sentence) -> AbstractContextManager[None]:
    """Turn what SageMaker answers into core.errors; ``doing`` says what was tried."""

    def first(error: aws.ServiceError) -> errors.AwsError | None:
        kind = _CODES.get(error.code)
        if kind is None and error.code == "ValidationException":
            said = _NAMES.sub("…", error.message)
            kind = next((kind for words, kind in _SENTENCES if words.search(said)), None)
        if kind is None:
            return aws.not_of_it(error, doing)
        return aws.known_error(kind, error, doing)

    return aws.translated(doing, first)


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def model_call(
    *,
    name: str,
    image: str,
    role_arn: str,
    data_url: str,
    tags: Mapping[str, str],
    options: DeploymentOptions = PRESET,
) -> Call:
    """The call that creates a multi-model SageMaker model that serves the store ``data_url``."""
    container: dict[str, Any] = {"Image": image, "ModelDataUrl": data_url, "Mode": "MultiModel"}
    if options.environment:
        container["Environment"] = dict(options.environment)
    if not options.model_cache:
        container["MultiModelConfig"] = {"ModelCacheSetting": "Disabled"}
    arguments: dict[str, Any] = {
        "ModelName": name,
        "PrimaryContainer": container,
        "ExecutionRoleArn": role_arn,
    }
    if options.subnets:
        arguments["VpcConfig"] = {
            "SecurityGroupIds": list(options.security_groups),
            "Subnets": list(options.subnets),
        }
    return Call("create_model", {**arguments, "Tags": _tags(tags)})


def create_model(
    *,
    name: str,
    image: str,
    role_arn: str,
    data_url: str,
    tags: Mapping[str, str],
    options: DeploymentOptions = PRESET,
) -> str:
    """Make the `model_call`; returns the model's ARN.

    Raises AlreadyExists, or any other of :mod:`core.errors`.
    """
    call = model_call(
        name=name, image=image, role_arn=role_arn, data_url=data_url, tags=tags, options=options
    )
    with _translated(phrase("creating the SageMaker model %(name)s", name=name)):
        arn: str = call.make()["ModelArn"]
    return arn


def describe_model(name: str) -> SageMakerModel:
    """What is there under this name; raises NotFound."""
    with _translated(phrase("looking at the SageMaker model %(name)s", name=name)):
        answer = aws.sagemaker().describe_model(ModelName=name)
    container = answer.get("PrimaryContainer") or {}
    return SageMakerModel(
        name=name,
        arn=answer["ModelArn"],
        created_at=answer["CreationTime"],
        image=container.get("Image", ""),
        data_url=container.get("ModelDataUrl", ""),
        multi_model=container.get("Mode") == "MultiModel",
        role_arn=answer.get("ExecutionRoleArn", ""),
        options=_model_options(answer, container),
        extras=_extras(answer, _OF_MODEL) + _extras(container, _OF_CONTAINER),
    )


def delete_model_call(name: str) -> Call:
    """The call that deletes a SageMaker model."""
    return Call("delete_model", {"ModelName": name})


def delete_model(name: str) -> None:
    """Delete it; raises NotFound. The artifacts in S3 stay."""
    with _translated(phrase("deleting the SageMaker model %(name)s", name=name)):
        delete_model_call(name).make()


def config_call(
    *,
    name: str,
    model_name: str,
    instance_type: str,
    instance_count: int,
    tags: Mapping[str, str],
    variants: Variants = (),
    options: DeploymentOptions = PRESET,
    bucket: str = "",
) -> Call:
    """The call that creates an endpoint configuration.

    Without ``variants`` it has one of this type and count, named ``ALONE``. The options are those
    of each variant. ``bucket``: that of the store, for calls that are captured.
    """
    rows = [
        {
            "VariantName": one.name,
            "ModelName": model_name,
            "InstanceType": one.instance_type,
            "InitialInstanceCount": one.instance_count,
            "InitialVariantWeight": one.weight,
            **_variant_options(options),
        }
        for one in variants or (ProductionVariant(ALONE, instance_type, instance_count),)
    ]
    arguments: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": rows}
    if options.kms_key:
        arguments["KmsKeyId"] = options.kms_key
    if options.capture_percent:
        arguments["DataCaptureConfig"] = _capture(options.capture_percent, bucket)
    return Call("create_endpoint_config", {**arguments, "Tags": _tags(tags)})


def _capture(percent: int, bucket: str) -> dict[str, Any]:
    """BC: DataCaptureConfig. It lies beside the store, where no TargetModel reaches."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": f"s3://{bucket}/{settings.CAPTURES_PREFIX}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }


def _captured(answer: Mapping[str, Any]) -> int | None:
    """The percentage of a config's DataCaptureConfig; None: none, or it is not the portal's."""
    given = answer.get("DataCaptureConfig") or {}
    bucket = given.get("DestinationS3Uri", "").removeprefix("s3://").partition("/")[0]
    percent = given.get("InitialSamplingPercentage", 0)
    return percent if percent and given == _capture(percent, bucket) else None


def _variant_options(options: DeploymentOptions) -> dict[str, int]:
    given = {member: getattr(options, name) for name, member in _VARIANT_OPTIONS.items()}
    return {member: value for member, value in given.items() if value is not None}


def create_config(
    *,
    name: str,
    model_name: str,
    instance_type: str,
    instance_count: int,
    tags: Mapping[str, str],
    variants: Variants = (),
    options: DeploymentOptions = PRESET,
    bucket: str = "",
) -> str:
    """Make the `config_call`; returns the configuration's ARN.

    Raises AlreadyExists; NotFound where the model cannot be seen (yet).
    """
    call = config_call(
        name=name,
        model_name=model_name,
        instance_type=instance_type,
        instance_count=instance_count,
        tags=tags,
        variants=variants,
        options=options,
        bucket=bucket,
    )
    with _translated(phrase("creating the endpoint config %(name)s", name=name)):
        arn: str = call.make()["EndpointConfigArn"]
    return arn


def describe_config(name: str) -> SageMakerConfig:
    """What is there under this name; raises NotFound.

    Eventually consistent: one that was just created may not be found yet (BC: CreateEndpoint).
    """
    with _translated(phrase("looking at the endpoint config %(name)s", name=name)):
        answer = aws.sagemaker().describe_endpoint_config(EndpointConfigName=name)
    rows = answer["ProductionVariants"]
    variants = tuple(
        ProductionVariant(
            one.get("VariantName", ""),
            one.get("InstanceType", ""),
            one.get("InitialInstanceCount", 0),
            one.get("InitialVariantWeight", 1.0),
        )
        for one in rows
    )
    extras = {extra for one in rows for extra in _extras(one, _OF_VARIANT)}
    # The portal's variants serve one model, on instances.
    shadows = answer.get("ShadowProductionVariants") or []
    models = dict.fromkeys(one.get("ModelName", "") for one in (*rows, *shadows))
    of_one_model = len({one.get("ModelName", "") for one in rows}) == 1
    if len(rows) > 1 and not (of_one_model and all(one.instance_count for one in variants)):
        extras.add("ProductionVariants")
    return SageMakerConfig(
        name=name,
        arn=answer["EndpointConfigArn"],
        created_at=answer["CreationTime"],
        model_name=rows[0].get("ModelName", ""),
        instance_type=types_of(variants),
        instance_count=count_of(variants),
        variants=() if is_plain(variants) else variants,
        options=_config_options(answer, rows[0]),
        extras=(*_extras(answer, _OF_CONFIG), *sorted(extras)),
        more_models=tuple(one for one in models if one not in ("", rows[0].get("ModelName", ""))),
    )


def delete_config_call(name: str) -> Call:
    """The call that deletes an endpoint configuration."""
    return Call("delete_endpoint_config", {"EndpointConfigName": name})


def delete_config(name: str) -> None:
    """Delete it; raises NotFound."""
    with _translated(phrase("deleting the endpoint config %(name)s", name=name)):
        delete_config_call(name).make()


def endpoint_call(*, name: str, config_name: str, tags: Mapping[str, str]) -> Call:
    """The call that begins to create an endpoint."""
    return Call(
        "create_endpoint",
        {"EndpointName": name, "EndpointConfigName": config_name, "Tags": _tags(tags)},
    )


def create_endpoint(*, name: str, config_name: str, tags: Mapping[str, str]) -> str:
    """Make the `endpoint_call`; returns the endpoint's ARN.

    Raises AlreadyExists; NotFound where the config cannot be seen (yet).
    """
    call = endpoint_call(name=name, config_name=config_name, tags=tags)
    with _translated(phrase("creating the endpoint %(name)s", name=name)):
        arn: str = call.make()["EndpointArn"]
    return arn


def look() -> None:
    """Ask SageMaker for an endpoint that is not there, within seconds; raises an AwsError.

    "There is none" is the answer that is hoped for. To describe any endpoint of the account is a
    right that the portal's role has, where listing them is not (docs/aws.md).
    """
    try:
        with _translated(phrase("asking whether SageMaker answers")):
            aws.sagemaker(aws.PROBE).describe_endpoint(EndpointName="mme-portal-readiness")
    except errors.NotFound:
        return


def describe_endpoint(name: str) -> SageMakerEndpoint:
    """What is there under this name; raises NotFound."""
    with _translated(phrase("looking at the endpoint %(name)s", name=name)):
        answer = aws.sagemaker().describe_endpoint(EndpointName=name)
    rows = answer.get("ProductionVariants", [])
    counts = [one.get("CurrentInstanceCount") for one in rows]
    variants = tuple(
        ProductionVariant(one["VariantName"], "", count or 0, one.get("CurrentWeight", 1.0))
        for one, count in zip(rows, counts, strict=True)
    )
    return SageMakerEndpoint(
        name=name,
        arn=answer["EndpointArn"],
        status=answer["EndpointStatus"],
        config_name=answer.get("EndpointConfigName", ""),
        created_at=answer["CreationTime"],
        failure=answer.get("FailureReason", ""),
        instance_count=None if None in counts or not counts else count_of(variants),
        variants=() if is_plain(variants) else variants,
        pending_config=(answer.get("PendingDeploymentSummary") or {}).get("EndpointConfigName", ""),
        modified_at=answer.get("LastModifiedTime"),
    )


def list_endpoints(*, changed_since: datetime) -> list[str]:
    """The names of the account's endpoints in this region that changed since then."""
    with _translated(phrase("listing the endpoints")):
        pages = (
            aws.sagemaker()
            .get_paginator("list_endpoints")
            .paginate(LastModifiedTimeAfter=changed_since - timedelta(minutes=1))
        )
        return [one["EndpointName"] for page in pages for one in page["Endpoints"]]


def uses(endpoint: str, kind: str, name: str) -> bool:
    """Whether an endpoint uses a config or a model, or is being moved to it.

    ``kind``: Resource.Kind's. Raises an AwsError, but not NotFound.
    """
    with suppress(errors.NotFound):
        there = describe_endpoint(endpoint)
        configs = dict.fromkeys(filter(None, (there.config_name, there.pending_config)))
        if kind == Resource.Kind.CONFIG:
            return name in configs
        for config in configs:
            with suppress(errors.NotFound):
                if describe_config(config).serves(name):
                    return True
    return False


# By Resource.Kind: the operation, the list in its answer, and how members begin.
_LISTS: dict[str, tuple[str, str, str]] = {
    Resource.Kind.MODEL: ("list_models", "Models", "Model"),
    Resource.Kind.CONFIG: ("list_endpoint_configs", "EndpointConfigs", "EndpointConfig"),
    Resource.Kind.ENDPOINT: ("list_endpoints", "Endpoints", "Endpoint"),
}
_PAGE_SIZE = 100


def listed(kind: str) -> Iterator[ListedResource]:
    """All models, configs or endpoints of the account in this region; ``kind``: Resource.Kind's.

    Asks for a page when it is needed. Raises an AwsError.
    """
    operation, items, begin = _LISTS[kind]
    with _translated(phrase("listing what is in the AWS account")):
        client: Any = aws.sagemaker()
        pages = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": _PAGE_SIZE})
        for page in pages:
            for one in page[items]:
                yield ListedResource(
                    one[f"{begin}Name"],
                    one[f"{begin}Arn"],
                    one["CreationTime"],
                    one.get("EndpointStatus", ""),
                    one.get("LastModifiedTime"),
                )


def this_portal() -> str:
    """What `PORTAL_TAG` says on what this portal makes; empty where PORTAL_URL is not set.

    A value takes 256 letters, digits and some signs (API: Tag).
    """
    return re.sub(r"[^\w .:/=+\-@]", "-", settings.PORTAL_URL)[:256]


def tags_of(arn: str) -> dict[str, str]:
    """The tags of a resource; raises NotFound."""
    with _translated(phrase("reading the tags of %(arn)s", arn=arn)):
        pages = aws.sagemaker().get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _model_options(answer: Mapping[str, Any], container: Mapping[str, Any]) -> DeploymentOptions:
    cache = (container.get("MultiModelConfig") or {}).get("ModelCacheSetting")
    vpc = answer.get("VpcConfig") or {}
    return DeploymentOptions.of(
        {
            "model_cache": cache != "Disabled",
            "environment": container.get("Environment") or {},
            "subnets": vpc.get("Subnets") or (),
            "security_groups": vpc.get("SecurityGroupIds") or (),
        }
    )


def _config_options(answer: Mapping[str, Any], variant: Mapping[str, Any]) -> DeploymentOptions:
    found = {name: variant.get(member) for name, member in _VARIANT_OPTIONS.items()}
    more = {"kms_key": answer.get("KmsKeyId") or "", "capture_percent": _captured(answer)}
    return DeploymentOptions.of({**found, **more})


# What an answer has that the portal knows, or that says nothing of how it serves.
_OF_MODEL = {
    *("ModelName", "PrimaryContainer", "ExecutionRoleArn", "CreationTime", "ModelArn"),
    "VpcConfig",
}
_OF_CONTAINER = {"Image", "ModelDataUrl", "Mode", "Environment", "MultiModelConfig"}
_OF_CONFIG = {
    *("EndpointConfigName", "EndpointConfigArn", "ProductionVariants", "CreationTime", "KmsKeyId"),
}
_OF_VARIANT = {
    *("VariantName", "ModelName", "InstanceType", "InitialInstanceCount", "InitialVariantWeight"),
    *_VARIANT_OPTIONS.values(),
}
_PRESETS: Sequence[object] = ({}, [], None, False, "", {"ModelCacheSetting": "Enabled"})
# BC MetricsConfig: what counts where a config says nothing of it; AWS answers all or some of it.
_PRESET_METRICS: Mapping[str, object] = {
    "EnableDetailedObservability": True,
    "EnableEnhancedMetrics": False,
    "MetricPublishFrequencyInSeconds": 60,
}


def _extras(answer: Mapping[str, Any], known: set[str]) -> tuple[str, ...]:
    """The settings in an answer that are neither known nor AWS's preset."""
    given = {name for name, value in answer.items() if value not in _PRESETS}
    metrics = answer.get("MetricsConfig")
    if isinstance(metrics, Mapping) and metrics.items() <= _PRESET_METRICS.items():
        given.discard("MetricsConfig")
    if _captured(answer) or (answer.get("DataCaptureConfig") or {}).get("EnableCapture") is False:
        given.discard("DataCaptureConfig")
    return tuple(sorted(given - known - {"ResponseMetadata", "DeploymentRecommendation"}))


def update_call(
    *,
    name: str,
    config_name: str,
    retain: bool = False,
    policy: DeploymentPolicy | None = None,
) -> Call:
    """The call that moves an endpoint to another config; it serves meanwhile.

    API: UpdateEndpoint. Counts become those of the new config, or with ``retain`` stay as they are.
    Without a ``policy`` all calls move at once.
    """
    arguments: dict[str, Any] = {"EndpointName": name, "EndpointConfigName": config_name}
    if retain:
        arguments["RetainAllVariantProperties"] = True
    if policy is not None:
        arguments["DeploymentConfig"] = policy.config
    return Call("update_endpoint", arguments)


def count_call(*, name: str, count: int, variants: Variants = ()) -> Call:
    """The call that changes the number of instances, with the same config.

    API: UpdateEndpointWeightsAndCapacities. With ``variants`` it sets the number and the weight of
    each.
    """
    wanted: list[dict[str, Any]] = [
        {
            "VariantName": one.name,
            "DesiredWeight": one.weight,
            "DesiredInstanceCount": one.instance_count,
        }
        for one in variants
    ] or [{"VariantName": ALONE, "DesiredInstanceCount": count}]
    return Call(
        "update_endpoint_weights_and_capacities",
        {"EndpointName": name, "DesiredWeightsAndCapacities": wanted},
    )


def update_endpoint(
    *,
    name: str,
    config_name: str,
    retain: bool = False,
    policy: DeploymentPolicy | None = None,
) -> None:
    """Make the `update_call`: the change begins.

    Raises Busy while something else is under way; NotFound where the config cannot be seen (yet).
    """
    with _translated(phrase("updating the endpoint %(name)s", name=name)):
        update_call(name=name, config_name=config_name, retain=retain, policy=policy).make()


def set_count(*, name: str, count: int, variants: Variants = ()) -> None:
    """Make the `count_call`: the change begins; raises Busy."""
    with _translated(phrase("changing the number of instances of %(name)s", name=name)):
        count_call(name=name, count=count, variants=variants).make()


def tag_calls(arn: str, *, tags: Mapping[str, str], before: Mapping[str, str]) -> list[Call]:
    """The calls that give a resource ``tags`` in place of those ``before``; its others stay."""
    calls = []
    if added := {key: value for key, value in tags.items() if before.get(key) != value}:
        calls.append(Call("add_tags", {"ResourceArn": arn, "Tags": _tags(added)}))
    if removed := sorted(before.keys() - tags.keys()):
        calls.append(Call("delete_tags", {"ResourceArn": arn, "TagKeys": removed}))
    return calls


def set_tags(arn: str, *, tags: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Make the `tag_calls`; each can be repeated."""
    with _translated(phrase("setting the tags of %(arn)s", arn=arn)):
        for call in tag_calls(arn, tags=tags, before=before):
            call.make()


def delete_endpoint_call(name: str) -> Call:
    """The call that begins to delete it."""
    return Call("delete_endpoint", {"EndpointName": name})


def delete_endpoint(name: str) -> None:
    """Make the `delete_endpoint_call`; raises NotFound, or Busy while something is under way."""
    with _translated(phrase("deleting the endpoint %(name)s", name=name)):
        delete_endpoint_call(name).make()
