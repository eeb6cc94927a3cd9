"""Validation rules that are only in the text of SageMaker's API reference.

:mod:`localaws.shapes` checks lengths, patterns and enumerations. Here are the rules in the text of
botocore's documentation of the members, and what localaws does not offer. docs/localaws.md,
"Members", has each member. All functions raise ValidationException.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .aws_errors import validation_exception
from .naming import parse_s3_uri

Members = Mapping[str, Any]

MAX_ENVIRONMENT_BYTES = 32 * 1024
"""BC, ContainerDefinition.Environment: "all keys and values in the map, combined, is 32 KB"."""
MAX_VARIABLE_BYTES = 1024
"""BC, same place: "of each key and value in the Environment map is 1024 bytes"."""
_VISIBLE = re.compile(r"[\t\x20-\x7e]*")
_FREQUENCIES = (10, 30, 60, 120, 180, 240, 300)
"""BC, MetricPublishFrequencyInSeconds: "Valid values"."""
DEFAULT_FREQUENCY = 60
DEFAULT_METRICS_PATH = "/metrics"


def check_model(request: Members) -> None:
    """CreateModel, but for its containers."""
    mode = (request.get("InferenceExecutionConfig") or {}).get("Mode")
    if mode == "Direct":
        raise _not_offered("InferenceExecutionConfig with Mode Direct (multi-container endpoints)")


def check_container(container: Members) -> None:
    """A ContainerDefinition of CreateModel."""
    for member in ("ModelPackageName", "InferenceSpecificationName", "AdditionalModelDataSources"):
        if container.get(member):
            raise _not_offered(member)
    if not container.get("Image"):
        raise validation_exception("Image must be given for the container.")
    if container["Image"].startswith("-"):
        raise validation_exception("Image must be the path of an image in a registry.")
    image = container.get("ImageConfig") or {}
    if image.get("RepositoryAuthConfig") and image.get("RepositoryAccessMode") != "Vpc":
        raise validation_exception(
            "RepositoryAuthConfig may be given only where RepositoryAccessMode is Vpc."
        )
    multi_model = container.get("Mode") == "MultiModel"
    if container.get("MultiModelConfig") and not multi_model:
        raise validation_exception("MultiModelConfig needs Mode MultiModel.")
    _check_model_data(container, multi_model=multi_model)
    _check_environment(container.get("Environment") or {})
    for endpoint in (container.get("ContainerMetricsConfig") or {}).get("MetricsEndpoints") or []:
        _check_frequency(endpoint)


def _check_model_data(container: Members, *, multi_model: bool) -> None:
    url, source = container.get("ModelDataUrl"), container.get("ModelDataSource")
    if multi_model and source:
        raise validation_exception(
            "ModelDataSource is not supported for a multi-model container; use ModelDataUrl."
        )
    if multi_model and not url:
        raise validation_exception("ModelDataUrl must be given where Mode is MultiModel.")
    if url and source:
        raise validation_exception("Give either ModelDataUrl or ModelDataSource, not both.")
    if not url and not source:
        raise _not_offered("a container without model data (ModelDataUrl)")
    s3 = (source or {}).get("S3DataSource")
    if source and not s3:
        raise validation_exception("S3DataSource must be given in ModelDataSource.")
    if s3:
        if (s3["S3DataType"], s3["CompressionType"]) != ("S3Object", "Gzip"):
            raise _not_offered(
                "a ModelDataSource other than one archive (S3DataType S3Object, CompressionType "
                "Gzip)"
            )
        for member in ("HubAccessConfig", "ManifestS3Uri", "ManifestEtag", "ETag"):
            if s3.get(member):
                raise _not_offered(f"{member} of a ModelDataSource")


def model_data_url(container: Members) -> str:
    """Where the model data of a container are; empty where it has none (made long ago)."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return str(container.get("ModelDataUrl") or source.get("S3Uri") or "")


def scraping(config: Members, container: Members) -> Members:
    """Where a container's metrics are read, and every how many ``seconds``; None: never.

    ``config`` is an endpoint configuration. The one of a container's endpoint goes before that of
    the configuration: BC says of the first that it is of what is scraped from it.
    """
    endpoints = (container.get("ContainerMetricsConfig") or {}).get("MetricsEndpoints") or [{}]
    settings = config.get("MetricsConfig") or {}
    member = "MetricPublishFrequencyInSeconds"
    seconds = endpoints[0].get(member) or settings.get(member) or DEFAULT_FREQUENCY
    wanted = settings.get("EnableDetailedObservability", False)
    return {
        "path": endpoints[0].get("MetricsEndpointPath") or DEFAULT_METRICS_PATH,
        "seconds": seconds if wanted else None,
    }


def _check_environment(environment: Mapping[str, str]) -> None:
    sizes = {name: (_bytes(name), _bytes(value)) for name, value in environment.items()}
    for name, (of_name, of_value) in sizes.items():
        if max(of_name, of_value) > MAX_VARIABLE_BYTES:
            raise validation_exception(
                f"Environment: {name[:100]!r} or its value has more than {MAX_VARIABLE_BYTES} "
                "bytes in UTF-8."
            )
    total = sum(of_name + of_value for of_name, of_value in sizes.values())
    if total > MAX_ENVIRONMENT_BYTES:
        raise validation_exception(
            f"Environment has {total} bytes in all, keys and values together; at most "
            f"{MAX_ENVIRONMENT_BYTES} (32 KB) are allowed."
        )


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def check_config(request: Members) -> None:
    """CreateEndpointConfig."""
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) != len(names):
        raise validation_exception("Variant names of an endpoint configuration must differ.")
    for member in ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig"):
        if request.get(member):
            raise _not_offered(member)
    _check_frequency(request.get("MetricsConfig") or {})
    if capture := request.get("DataCaptureConfig"):
        parse_s3_uri(capture["DestinationS3Uri"])
        if capture.get("CaptureContentTypeHeader"):
            raise _not_offered("CaptureContentTypeHeader (captured data is base64)")
    for variant in request["ProductionVariants"]:
        _check_variant(variant)


def _check_variant(variant: Members) -> None:
    name = variant["VariantName"]
    if variant.get("ServerlessConfig"):
        raise validation_exception(
            f"Variant {name}: a multi-model endpoint runs on instances; localaws has no "
            "serverless inference."
        )
    for member in (
        "InstancePools",
        "AcceleratorType",
        "AcceleratorPartitionLayouts",
        "CapacityReservationConfig",
    ):
        if variant.get(member):
            raise _not_offered(f"{member} (variant {name})")
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if variant.get(member) is None:
            raise validation_exception(f"Variant {name}: {member} must be given.")
    if variant.get("ManagedInstanceScaling"):  # seen: gh:hashicorp/terraform-provider-aws#45926
        raise validation_exception(
            "ManagedInstanceScaling is only supported for inference component endpoints."
        )
    routing = variant.get("RoutingConfig") or {}
    by_prefix, prefix = routing.get("RoutingStrategy"), routing.get("PrefixAwareRoutingConfig")
    if prefix and by_prefix != "PREFIX_AWARE":
        raise validation_exception(
            f"Variant {name}: PrefixAwareRoutingConfig may be given only where RoutingStrategy is "
            "PREFIX_AWARE."
        )
    if by_prefix == "PREFIX_AWARE":
        for member in ("PrefixLength", "ConcurrencyThreshold"):
            if (prefix or {}).get(member) is None:
                raise validation_exception(
                    f"Variant {name}: {member} must be given where RoutingStrategy is PREFIX_AWARE."
                )


def _check_frequency(config: Members) -> None:
    seconds = config.get("MetricPublishFrequencyInSeconds")
    if seconds is not None and seconds not in _FREQUENCIES:
        raise validation_exception(
            f"MetricPublishFrequencyInSeconds is {seconds}; valid values are "
            f"{', '.join(map(str, _FREQUENCIES))}."
        )


def check_deployment(config: Members, counts: Iterable[int]) -> None:
    """A DeploymentConfig, for an endpoint whose variants have so many instances each."""
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise validation_exception(
            "Only one update policy may be given in DeploymentConfig: BlueGreenUpdatePolicy or "
            "RollingUpdatePolicy."
        )
    sizes = list(counts)
    fewest = min(sizes, default=1)
    if rolling and len(sizes) > 1:
        raise validation_exception(
            "RollingUpdatePolicy is supported for endpoints with one production variant only."
        )
    if blue_green:
        traffic = blue_green["TrafficRoutingConfiguration"]
        _check_share("CanarySize", traffic.get("CanarySize"), 0, 50, fewest)
        _check_share("LinearStepSize", traffic.get("LinearStepSize"), 10, 50, fewest)
        waits = traffic["WaitIntervalInSeconds"] + blue_green.get("TerminationWaitInSeconds", 0)
        most = blue_green.get("MaximumExecutionTimeoutInSeconds")
        if most is not None and most <= waits:
            raise validation_exception(
                f"MaximumExecutionTimeoutInSeconds ({most}) must be larger than the waiting times "
                f"together ({waits})."
            )
    if rolling:
        _check_share("MaximumBatchSize", rolling["MaximumBatchSize"], 5, 50, fewest)


def check_kept_names(config: Members | None, wanted: Sequence[Members], endpoint: Members) -> None:
    """UpdateEndpoint with a DeploymentConfig: the variants keep their names."""
    before = {variant["VariantName"] for variant in endpoint["variants"]}
    if config and before != {variant["VariantName"] for variant in wanted}:
        raise validation_exception(
            "DeploymentConfig may be given only where the names of the production variants stay: "
            f"the endpoint has {', '.join(sorted(before))}."
        )


def _check_share(name: str, size: Members | None, low: int, high: int, fewest: int) -> None:
    """BC: a size is "50%" of the variant's instances at most, some at least ``low`` percent.

    Of a variant with one instance, that one is taken.
    """
    if size is None:
        return
    value = size["Value"]
    if size["Type"] == "INSTANCE_COUNT":
        good = value <= max(1, fewest * high // 100) and value * 100 >= fewest * low
    else:
        good = low <= value <= high
    if not good:
        what = f"between {low}% and {high}%" if low else f"at most {high}%"
        raise validation_exception(f"{name} must be {what} of the variant's total instance count.")


def check_desired(desired: Sequence[Members], present: Iterable[str], config: str) -> None:
    """UpdateEndpointWeightsAndCapacities, for an endpoint with variants ``present``."""
    known, seen = set(present), dict[str, None]()  # in the request's order
    for one in desired:
        name = one["VariantName"]
        if name in seen:  # this and the next: seen in moto's sagemaker/models.py alone
            raise validation_exception(
                f'The variant name "{name}" was non-unique within the request.'
            )
        seen[name] = None
    missing = ", ".join(f'"{name}"' for name in seen if name not in known)
    if missing:
        raise validation_exception(
            f"The variant name(s) {missing} is/are not present within endpoint configuration "
            f'"{config}".'
        )
    for one in desired:
        if one.get("ServerlessUpdateConfig"):
            raise _not_offered("ServerlessUpdateConfig")
        if one.get("DesiredInstanceCount") == 0:
            raise validation_exception(
                f"DesiredInstanceCount of variant {one['VariantName']} must be at least 1: only "
                "managed instance scaling, which localaws does not offer, goes to 0."
            )


def check_attributes(value: str | None) -> None:
    """CustomAttributes of InvokeEndpoint; BC: "visible US-ASCII characters", as in a header."""
    if value is not None and not _VISIBLE.fullmatch(value):
        raise validation_exception("CustomAttributes must consist of visible US-ASCII characters.")


def _not_offered(what: str) -> Exception:
    return validation_exception(f"localaws does not offer {what}.")
