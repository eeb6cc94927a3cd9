"""SageMaker's control plane: models, endpoint configurations, endpoints and tags.

Each operation is a method named after it; :func:`ControlPlane.call` checks the request,
runs the method and shapes its answer. Starting and stopping containers
is done in the background by :class:`localaws.lifecycle.Lifecycle`.
"""

import base64
import binascii
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from . import container_environment, data_capture, quotas, rules, scaling, shapes
from .alarms import Alarms
from .aws_errors import AwsError, unknown_operation, validation_exception
from .deployments import rollout
from .faults import Fault
from .lifecycle import Lifecycle, pending_deployment, variant_summaries
from .model_data import check_model_data
from .naming import arn, parse_model_data_url
from .options import Options
from .resource_store import Duplicate, EmptyStore, Kind, Resource, ResourceStore
from .statuses import EndpointStatus

log = logging.getLogger(__name__)

_NOUNS: dict[Kind, str] = {
    "model": "model",
    "endpoint-config": "endpoint configuration",
    "endpoint": "endpoint",
}
_IN_PROGRESS = {
    EndpointStatus.CREATING,
    EndpointStatus.UPDATING,
    EndpointStatus.SYSTEM_UPDATING,
    EndpointStatus.ROLLING_BACK,
    EndpointStatus.DELETING,
}
_MAX_TAGS = 50
_DEFAULT_PAGE = 10

Members = dict[str, Any]


class ControlPlane:
    """The operations; requests come in by ``call``."""

    def __init__(
        self, options: Options, store: ResourceStore, lifecycle: Lifecycle, s3: Any, alarms: Alarms
    ) -> None:
        self._alarms = alarms
        self._options = options
        self._store = store
        self._lifecycle = lifecycle
        self._s3 = s3
        self.operations: dict[str, Callable[[Members], Members]] = {
            name: getattr(self, name) for name in shapes.OPERATIONS
        }

    def call(
        self,
        operation: str,
        body: bytes,
        faults: Sequence[Fault] = (),
        *,
        region: str | None = None,
    ) -> bytes:
        """Answer one request; raises AwsError.

        ``faults`` are injected, ``region`` is that of the request's signature: a resource exists
        only in the region in which it was created.
        """
        if region not in (None, self._options.region):
            return self._in_other_region(region or "").call(operation, body, faults)
        method = self.operations.get(operation)
        if method is None:
            known = operation in shapes.service_model().operation_names
            what = "is not offered by localaws" if known else "is not an operation of SageMaker"
            raise unknown_operation(
                f"{operation} {what}. Offered are: {', '.join(sorted(self.operations))}."
            )
        request = shapes.parse(operation, body)
        capacity_fault = next((fault for fault in faults if fault.action == "capacity"), None)
        if capacity_fault is not None and operation == "CreateEndpoint":
            return shapes.answer(
                operation, self.CreateEndpoint(request, failure=capacity_fault.reason)
            )
        return shapes.answer(operation, method(request))

    def _in_other_region(self, region: str) -> "ControlPlane":
        """The operations in another region, which has no resources and takes none."""
        store = EmptyStore(
            f"This localaws serves the region {self._options.region} (--region), and this request "
            f"is signed for {region}: nothing can be created there."
        )
        options = replace(self._options, region=region)
        return ControlPlane(options, store, self._lifecycle, self._s3, self._alarms)

    # --- models --------------------------------------------------------------------------

    def CreateModel(self, request: Members) -> Members:
        containers = request.get("Containers") or []
        primary = request.get("PrimaryContainer")
        if bool(containers) == bool(primary):
            raise validation_exception(
                "Specify either PrimaryContainer or Containers, and not both, for the model."
            )
        if len(containers) > 1:
            raise validation_exception(
                "localaws runs one container for a model; Containers must have one member."
            )
        rules.check_model(request)
        container = primary or containers[0]
        rules.check_container(container)
        multi_model = container.get("Mode") == "MultiModel"
        url = rules.model_data_url(container)
        source = parse_model_data_url(url, is_prefix=multi_model)
        if not self._options.container_engine:
            try:
                container_environment.check(container.get("Environment") or {})
            except container_environment.VariableRefused as error:
                raise validation_exception(str(error)) from None
        self._store.check_writable()
        if not multi_model:
            role, region = request.get("ExecutionRoleArn", ""), self._options.region
            check_model_data(self._s3, source, url, role=role, region=region)
        return {"ModelArn": self._create("model", request["ModelName"], request).arn}

    def DescribeModel(self, request: Members) -> Members:
        model = self._find("model", request["ModelName"])
        answer = {"EnableNetworkIsolation": False, **model.body}
        return answer | {"ModelArn": model.arn, "CreationTime": model.created}

    def ListModels(self, request: Members) -> Members:
        page, token = self._page("model", request)
        models = [
            {"ModelName": row.name, "ModelArn": row.arn, "CreationTime": row.created}
            for row in page
        ]
        return {"Models": models, "NextToken": token}

    def DeleteModel(self, request: Members) -> Members:
        self._remove("model", request["ModelName"])
        return {}

    # --- endpoint configurations -----------------------------------------------------------

    def CreateEndpointConfig(self, request: Members) -> Members:
        rules.check_config(request)
        variants = request["ProductionVariants"]
        for variant in variants:
            self._find("model", variant["ModelName"])
        variants = [{"InitialVariantWeight": 1.0} | variant for variant in variants]
        # "The default value for new endpoint configurations is True" (BC), and it is described so
        # (DG/monitoring-detailed-observability-getting-started).
        metrics = {"EnableDetailedObservability": True} | (request.get("MetricsConfig") or {})
        body = request | {"ProductionVariants": variants, "MetricsConfig": metrics}
        config = self._create("endpoint-config", request["EndpointConfigName"], body)
        return {"EndpointConfigArn": config.arn}

    def DescribeEndpointConfig(self, request: Members) -> Members:
        config = self._find("endpoint-config", request["EndpointConfigName"])
        answer = {"EnableNetworkIsolation": False, **config.body}
        return answer | {"EndpointConfigArn": config.arn, "CreationTime": config.created}

    def ListEndpointConfigs(self, request: Members) -> Members:
        page, token = self._page("endpoint-config", request)
        configs = [
            {
                "EndpointConfigName": row.name,
                "EndpointConfigArn": row.arn,
                "CreationTime": row.created,
            }
            for row in page
        ]
        return {"EndpointConfigs": configs, "NextToken": token}

    def DeleteEndpointConfig(self, request: Members) -> Members:
        self._remove("endpoint-config", request["EndpointConfigName"])
        return {}

    # --- endpoints -------------------------------------------------------------------------

    def CreateEndpoint(self, request: Members, failure: str | None = None) -> Members:
        """``failure``: an injected FailureReason."""
        config = self._find("endpoint-config", request["EndpointConfigName"])
        wanted = self._wanted_variants(config)
        self._check_deployment(request, wanted)
        quotas.check(self._options, self._store, wanted)
        body: Members = {
            "config": config.name,
            "deployment": request.get("DeploymentConfig"),
            "variants": [],
            "wanted": wanted,
            "settings": _settings_of(config),
        }
        endpoint = self._create(
            "endpoint",
            request["EndpointName"],
            body,
            status=EndpointStatus.CREATING,
            tags=request.get("Tags"),
        )
        self._lifecycle.start_creation(endpoint.name, failure)
        return {"EndpointArn": endpoint.arn}

    def DescribeEndpoint(self, request: Members) -> Members:
        endpoint = self._find("endpoint", request["EndpointName"])
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.body["config"],
            "ProductionVariants": variant_summaries(endpoint),
            "EndpointStatus": endpoint.status,
            "FailureReason": endpoint.body.get("failure"),
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
            "LastDeploymentConfig": endpoint.body.get("deployment"),
            "PendingDeploymentSummary": pending_deployment(endpoint),
            **_settings_told(endpoint),
        }

    def ListEndpoints(self, request: Members) -> Members:
        page, token = self._page("endpoint", request)
        endpoints = [
            {
                "EndpointName": row.name,
                "EndpointArn": row.arn,
                "CreationTime": row.created,
                "LastModifiedTime": row.modified,
                "EndpointStatus": row.status,
            }
            for row in page
        ]
        return {"Endpoints": endpoints, "NextToken": token}

    def UpdateEndpoint(self, request: Members) -> Members:
        config = self._find("endpoint-config", request["EndpointConfigName"])
        wanted = self._wanted_variants(config)
        self._check_deployment(request, wanted)
        quotas.check(self._options, self._store, wanted)
        with self._store.transaction():
            endpoint = self._find_updatable(request["EndpointName"])
            rules.check_kept_names(request.get("DeploymentConfig"), wanted, endpoint.body)
            self._check_scaled(endpoint, wanted)
            if request.get("RetainAllVariantProperties"):
                excluded = {
                    item["VariantPropertyType"]
                    for item in request.get("ExcludeRetainedVariantProperties") or []
                }
                _retain(wanted, endpoint.body["variants"], excluded)
            endpoint.body |= {
                "wanted": wanted,
                "wanted_config": config.name,
                "wanted_settings": _settings_of(config),
            }
            if not request.get("RetainDeploymentConfig"):
                endpoint.body["deployment"] = request.get("DeploymentConfig")
            self._begin_update(endpoint)
        self._lifecycle.start_update(endpoint.name)
        return {"EndpointArn": endpoint.arn}

    def _check_deployment(self, request: Members, wanted: list[Members]) -> None:
        config = request.get("DeploymentConfig")
        if not config:
            return
        rules.check_deployment(config, [variant["count"] for variant in wanted])
        missing = self._alarms.missing(rollout(config, [1]).alarms)
        if missing:
            names = ", ".join(f'"{name}"' for name in missing)
            raise validation_exception(f"Could not find alarm(s) {names}.")

    def _check_scaled(self, endpoint: Resource, wanted: list[Members]) -> None:
        """DG/endpoint-scaling-update: a scaled variant keeps its type; it must be there, too."""
        types = {variant["VariantName"]: variant["InstanceType"] for variant in wanted}
        changed = [
            variant["VariantName"]
            for variant in endpoint.body["variants"]
            if types.get(variant["VariantName"]) != variant["InstanceType"]
            and scaling.registered(self._store, endpoint.name, variant["VariantName"])
        ]
        if changed:
            names = ", ".join(f'"{name}"' for name in changed)
            raise validation_exception(
                f"The variant(s) {names} must be deregistered as a scalable target with AWS Auto "
                "Scaling before they can be removed or have their instance type updated."
            )

    def UpdateEndpointWeightsAndCapacities(self, request: Members) -> Members:
        with self._store.transaction():
            endpoint = self._find_updatable(request["EndpointName"])
            wanted = json.loads(json.dumps(endpoint.body["variants"]))
            by_name = {variant["VariantName"]: variant for variant in wanted}
            changes = request["DesiredWeightsAndCapacities"]
            rules.check_desired(changes, by_name, endpoint.body["config"])
            for desired in changes:
                variant = by_name[desired["VariantName"]]
                if desired.get("DesiredWeight") is not None:
                    variant["weight"] = desired["DesiredWeight"]
                if desired.get("DesiredInstanceCount") is not None:
                    variant["count"] = desired["DesiredInstanceCount"]
            endpoint.body |= {"wanted": wanted, "wanted_config": endpoint.body["config"]}
            self._begin_update(endpoint)
        self._lifecycle.start_rescale(endpoint.name)
        return {"EndpointArn": endpoint.arn}

    def set_count(self, endpoint: str, variant: str, count: int) -> None:
        """Set the instances of a variant, as UpdateEndpointWeightsAndCapacities does."""
        desired = {"VariantName": variant, "DesiredInstanceCount": count}
        self.UpdateEndpointWeightsAndCapacities(
            {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [desired]}
        )

    def DeleteEndpoint(self, request: Members) -> Members:
        with self._store.transaction():
            endpoint = self._find("endpoint", request["EndpointName"])
            if endpoint.status in _IN_PROGRESS:
                raise _in_progress(endpoint)
            endpoint.status = EndpointStatus.DELETING
            endpoint.modified = round(time.time(), 3)
            self._store.save(endpoint)
        self._lifecycle.start_deletion(endpoint.name)
        return {}

    def _begin_update(self, endpoint: Resource) -> None:
        endpoint.status = EndpointStatus.UPDATING
        endpoint.modified = round(time.time(), 3)
        endpoint.body.pop("failure", None)
        self._store.save(endpoint)

    def _find_updatable(self, name: str) -> Resource:
        """An endpoint that may be updated now; a Failed one takes only DeleteEndpoint (BC)."""
        endpoint = self._find("endpoint", name)
        if endpoint.status in _IN_PROGRESS:
            raise _in_progress(endpoint)
        if endpoint.status == EndpointStatus.FAILED:
            raise validation_exception(
                f'Cannot update endpoint "{endpoint.arn}": its status is Failed. Delete it and '
                "create it anew."
            )
        return endpoint

    def _wanted_variants(self, config: Resource) -> list[Members]:
        """The values of configuration and models that an endpoint keeps: both may be deleted."""
        wanted = []
        for variant in config.body["ProductionVariants"]:
            model = self._find("model", variant["ModelName"])
            container = model.body.get("PrimaryContainer") or model.body["Containers"][0]
            timeout = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
            wanted.append(
                {
                    "VariantName": variant["VariantName"],
                    "ModelName": model.name,
                    "InstanceType": variant["InstanceType"],
                    "count": variant["InitialInstanceCount"],
                    "weight": variant["InitialVariantWeight"],
                    "startup_timeout": timeout,
                    "download_timeout": variant.get("ModelDataDownloadTimeoutInSeconds"),
                    "container": container,
                    "metrics": rules.scraping(config.body, container),
                    "routing": variant.get("RoutingConfig"),
                }
            )
        return wanted

    # --- what localaws never has: the lists are empty ------------------------------------------

    def ListInferenceComponents(self, request: Members) -> Members:
        _has_one_page(request)
        return {"InferenceComponents": []}

    def ListMonitoringSchedules(self, request: Members) -> Members:
        _has_one_page(request)
        return {"MonitoringScheduleSummaries": []}

    def ListMonitoringExecutions(self, request: Members) -> Members:
        _has_one_page(request)
        return {"MonitoringExecutionSummaries": []}

    def ListMonitoringAlertHistory(self, request: Members) -> Members:
        _has_one_page(request)
        return {"MonitoringAlertHistory": []}

    # --- tags ------------------------------------------------------------------------------

    def AddTags(self, request: Members) -> Members:
        resource = self._find_arn(request["ResourceArn"])
        with self._store.transaction():
            self._store.put_tags(resource.arn, _tags(request["Tags"]))
            tags = self._store.tags(resource.arn)
            if len(tags) > _MAX_TAGS:
                raise validation_exception(f"A resource takes at most {_MAX_TAGS} tags.")
        return {"Tags": _tag_list(tags)}

    def ListTags(self, request: Members) -> Members:
        resource = self._find_arn(request["ResourceArn"])
        _has_one_page(request)  # 50 tags at most, and a page has at least as many
        return {"Tags": _tag_list(self._store.tags(resource.arn))}

    def DeleteTags(self, request: Members) -> Members:
        resource = self._find_arn(request["ResourceArn"])
        self._store.remove_tags(resource.arn, request["TagKeys"])
        return {}

    # --- common ----------------------------------------------------------------------------

    def _arn(self, kind: Kind, name: str) -> str:
        return arn(self._options.region, self._options.account, kind, name)

    def _find(self, kind: Kind, name: str) -> Resource:
        resource = self._store.get(kind, name)
        if resource is None:
            raise validation_exception(f'Could not find {_NOUNS[kind]} "{self._arn(kind, name)}".')
        return resource

    def _find_arn(self, resource_arn: str) -> Resource:
        resource = self._store.by_arn(resource_arn)
        if resource is None or resource.kind not in _NOUNS:
            raise validation_exception(f'Could not find resource "{resource_arn}".')
        return resource

    def _create(
        self,
        kind: Kind,
        name: str,
        body: Members,
        *,
        status: str = "",
        tags: list[Members] | None = None,
    ) -> Resource:
        now = round(time.time(), 3)  # milliseconds, as AWS gives them
        kept = {key: value for key, value in body.items() if key != "Tags"}
        resource = Resource(kind, name, self._arn(kind, name), now, now, status, kept)
        try:
            self._store.add(resource, _tags(tags or body.get("Tags") or []))
        except Duplicate:
            raise validation_exception(
                f'Cannot create already existing {_NOUNS[kind]} "{resource.arn}".'
            ) from None
        return resource

    def _remove(self, kind: Kind, name: str) -> None:
        if not self._store.remove(kind, name):
            raise validation_exception(f'Could not find {_NOUNS[kind]} "{self._arn(kind, name)}".')

    def _page(self, kind: Kind, request: Members) -> tuple[list[Resource], str | None]:
        """Filter, sort and cut as the List operations do (BC: newest first, tens)."""
        rows = [row for row in self._store.all(kind) if _matches(row, request)]
        sort_by = request.get("SortBy", "CreationTime")

        def sort_key(row: Resource) -> list[Any]:
            first = {"Name": row.name, "Status": row.status}.get(sort_by, row.created)
            return [first, row.name]

        descending = request.get("SortOrder", "Descending") == "Descending"
        rows.sort(key=sort_key, reverse=descending)
        if request.get("NextToken"):
            last = _read_token(request["NextToken"])
            try:
                rows = [
                    row
                    for row in rows
                    if (sort_key(row) < last if descending else sort_key(row) > last)
                ]
            except TypeError:
                raise validation_exception("NextToken is of another sort order.") from None
        size = request.get("MaxResults", _DEFAULT_PAGE)
        token = _write_token(sort_key(rows[size - 1])) if len(rows) > size else None
        return rows[:size], token


def _settings_of(config: Resource) -> Members:
    """What DescribeEndpoint says of an endpoint's configuration besides its variants."""
    names = ("MetricsConfig", "CrossRegionTrafficConfig", "DataCaptureConfig")
    return {name: config.body.get(name) for name in names}


def _settings_told(endpoint: Resource) -> Members:
    """The same as DescribeEndpoint has it (API: DataCaptureConfigSummary)."""
    settings: Members = endpoint.body.get("settings", {})
    capture = settings.get("DataCaptureConfig")
    if not capture:
        return settings
    on = data_capture.is_on(capture)
    return settings | {
        "DataCaptureConfig": {
            "EnableCapture": on,
            "CaptureStatus": "Started" if on else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    }


def _retain(wanted: list[Members], current: list[Members], excluded: set[str]) -> None:
    """RetainAllVariantProperties: keep counts and weights of variants that stay (BC)."""
    before = {variant["VariantName"]: variant for variant in current}
    for variant in wanted:
        old = before.get(variant["VariantName"])
        if old is None:
            continue
        if "DesiredInstanceCount" not in excluded:
            variant["count"] = old["count"]
        if "DesiredWeight" not in excluded:
            variant["weight"] = old["weight"]


def _in_progress(endpoint: Resource) -> AwsError:
    return validation_exception(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _matches(row: Resource, request: Members) -> bool:
    def moment(name: str) -> float | None:
        value = request.get(name)
        return None if value is None else shapes.timestamp(value)

    checks = [
        request.get("NameContains", "").lower() in row.name.lower(),
        request.get("StatusEquals") in (None, row.status),
    ]
    # BC: CreationTimeAfter is "greater than or equal to", LastModifiedTimeAfter "after".
    for prefix, value in (("CreationTime", row.created), ("LastModifiedTime", row.modified)):
        before, after = moment(f"{prefix}Before"), moment(f"{prefix}After")
        includes = prefix == "CreationTime" and value == after
        checks += [before is None or value < before, after is None or value > after or includes]
    return all(checks)


def _has_one_page(request: Members) -> None:
    """Refuse a NextToken for an operation that has one page."""
    if request.get("NextToken"):
        raise validation_exception("NextToken is not one that was given out.")


def _write_token(last: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def _read_token(token: str) -> list[Any]:
    try:
        last = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError):
        last = None
    if not isinstance(last, list) or len(last) != 2:
        raise validation_exception("NextToken is not one that was given out.")
    return last


def _tags(tags: list[Members]) -> dict[str, str]:
    for tag in tags:
        if re.match("aws:", tag["Key"], re.IGNORECASE):
            raise validation_exception(f"Tag key '{tag['Key']}' must not begin with aws:.")
    found = {tag["Key"]: tag["Value"] for tag in tags}
    if len(found) < len(tags):
        raise validation_exception("A tag key was given more than once.")
    return found


def _tag_list(tags: dict[str, str]) -> list[Members]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
