"""An AWS account in memory, in place of :mod:`endpoints.sagemaker`, that can fail as AWS does."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from core import errors
from endpoints import autoscaling, cloudwatch, ecr, log_groups, quotas, sagemaker
from endpoints.alarm_presets import PRESETS
from endpoints.autoscaling import ScalableTarget
from endpoints.cloudwatch import ListedAlarm
from endpoints.limits import Limits
from endpoints.log_groups import LogGroup
from endpoints.options import PRESET, DeploymentOptions
from endpoints.policies import DeploymentPolicy
from endpoints.variants import ALONE, Variants, count_of
from localaws import aws_errors, shapes
from models_catalog import staged
from models_catalog.s3 import StoredObject

#: An image other than that of the settings.
OTHER_IMAGE = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/other:2"


class Crash(BaseException):
    """The process is killed here."""


def _named(method: str, member: str) -> Callable[..., list[sagemaker.Call]]:
    return lambda name: [sagemaker.Call(method, {member: name})]


#: By the names of the functions that an account stands in for: the calls that they would make.
CALLS: Mapping[str, Callable[..., Iterable[sagemaker.Call]]] = {
    "create_model": lambda **wanted: [sagemaker.model_call(**wanted)],
    "create_config": lambda **wanted: [sagemaker.config_call(**wanted)],
    "create_endpoint": lambda **wanted: [sagemaker.endpoint_call(**wanted)],
    "update_endpoint": lambda **wanted: [sagemaker.update_call(**wanted)],
    "set_count": lambda **wanted: [sagemaker.count_call(**wanted)],
    "set_tags": sagemaker.tag_calls,
    "delete_model": lambda name: [sagemaker.delete_model_call(name)],
    "delete_config": lambda name: [sagemaker.delete_config_call(name)],
    "delete_endpoint": lambda name: [sagemaker.delete_endpoint_call(name)],
    "put_alarm": lambda *args, **wanted: [cloudwatch.put_call(*args, **wanted)],
    "delete_alarm": lambda name: [cloudwatch.delete_call(name)],
    "describe_model": _named("describe_model", "ModelName"),
    "describe_config": _named("describe_endpoint_config", "EndpointConfigName"),
    "describe_endpoint": _named("describe_endpoint", "EndpointName"),
    "scaling_register": lambda **wanted: [autoscaling.register_call(**wanted)],
    "scaling_put_policy": lambda **wanted: [autoscaling.policy_call(**wanted)],
    "scaling_schedule": lambda *, name, call: [call],
    "scaling_deregister": lambda **wanted: [autoscaling.deregister_call(**wanted)],
}


def check_calls(of: str, /, *args: Any, **kwargs: Any) -> None:
    """Assert that AWS would take the calls of a function: members, lengths, patterns, enumerations.

    By botocore's model of the service.
    """
    for call in CALLS[of](*args, **kwargs) if of in CALLS else ():
        shape = shapes.operation(call.action, call.service).input_shape
        assert shape is not None
        try:
            shapes.check(shape, dict(call.arguments))
        except aws_errors.AwsError as refused:
            raise AssertionError(f"{call.action} would be refused: {refused}") from refused


class Account:
    """Models, configs and endpoints; each call can be made to crash, or to fail."""

    def __init__(self) -> None:
        self.models: dict[str, sagemaker.SageMakerModel] = {}
        self.configs: dict[str, sagemaker.SageMakerConfig] = {}
        self.endpoints: dict[str, sagemaker.SageMakerEndpoint] = {}
        self.looks = 2  # how many looks creation and deletion of an endpoint take
        self.left: dict[str, int] = {}
        self.changes: list[str] = []  # changing calls that did something, in order
        self.calls = 0
        self.asked: list[sagemaker.Call] = []  # each that would change something, as AWS gets it
        self.crash_at: int | None = None
        self.crash_after_acting = True
        self.failures: dict[str, list[errors.AwsError]] = {}
        self.unseen: set[str] = set()  # names of configs that reads do not show yet
        self.fail_with = ""  # an endpoint's FailureReason
        self.roll_back_with = ""  # that of an update, which is rolled back then
        self.rollback_fails = False  # so that it ends with both configs
        self.update_unseen = 0  # so many looks miss that an update was asked for
        self.moving: dict[str, tuple[str, int | None]] = {}  # to this config and count
        self.counts: dict[str, int] = {}  # where it is not the config's
        self.weighed: dict[str, Variants] = {}  # the same of variants
        self.to_weigh: dict[str, Variants] = {}
        self.modified: dict[str, datetime] = {}  # where it is not the creation
        self.modified_before: dict[str, datetime] = {}  # before the update that is under way
        self.targets: dict[str, Limits] = {}  # what is scaled
        self.policies: dict[str, Limits] = {}
        self.scheduled: dict[str, dict[str, dict[str, Any]]] = {}  # actions, by their names
        self.policy: DeploymentPolicy | None = None  # that of the last update
        self.scaled_variants: dict[str, str] = {}
        self.activities: dict[str, list[autoscaling.Activity]] = {}
        self._quotas: dict[str, int] | None = None
        self.alarms: dict[str, ListedAlarm] = {}
        self.log_groups: dict[str, LogGroup] = {}
        self.staged: dict[str, StoredObject] = {}
        self.digests: dict[str, str] | None = None  # by tag
        self.clock = itertools.count()
        self._since = self._now()
        self.tags: dict[str, Mapping[str, str]] = {}  # by ARN

    @property
    def quotas(self) -> dict[str, int] | None:
        """How many the account may run, by instance type; None: that may not be asked."""
        return self._quotas

    @quotas.setter
    def quotas(self, given: dict[str, int] | None) -> None:
        self._quotas = given
        quotas.forget()

    def install(self, monkeypatch: Any) -> None:
        """Take the gateway's place."""
        for name in ("model", "config", "endpoint"):
            for verb in ("create", "describe", "delete"):
                call = f"{verb}_{name}"
                monkeypatch.setattr(sagemaker, call, self._wrapped(call))
        others = ("list_endpoints", "update_endpoint", "set_count", "listed", "tags_of", "set_tags")
        for call in others:
            monkeypatch.setattr(sagemaker, call, self._wrapped(call))
        of_scaling = ("register", "put_policy", "schedule", "deregister")
        for call in (*of_scaling, "has_policy", "misscheduled", "activities"):
            wrapped = self._wrapped(f"scaling_{call}")
            monkeypatch.setattr(autoscaling, call, wrapped)

        for call in ("put_alarm", "delete_alarm", "listed_alarms"):
            monkeypatch.setattr(cloudwatch, call, self._wrapped(call))
        for call in ("listed_log_groups", "delete_log_group"):
            monkeypatch.setattr(log_groups, call, self._wrapped(call))
        monkeypatch.setattr(autoscaling, "listed_targets", self._wrapped("listed_targets"))
        monkeypatch.setattr(staged, "unowned", self._wrapped("unowned"))
        monkeypatch.setattr(staged, "find", self.staged.get)
        monkeypatch.setattr(staged, "delete", self._wrapped("delete_staged"))
        monkeypatch.setattr(ecr, "digest_of", self._digest_of)
        monkeypatch.setattr(ecr, "pushed", self._pushed)
        monkeypatch.setattr(quotas, "limit_of", self._limit_of)

    def _put_alarm(
        self, name: str, does: Mapping[str, Any], *, description: str, tags: Mapping[str, str]
    ) -> None:
        before = self.alarms.get(name)
        if before is None:
            self.tags[name] = tags
        if before is None or before.does != does:
            self.changes.append(f"{'~' if before else '+'}alarm {name}")
        self.alarms[name] = ListedAlarm(
            name=name,
            arn=f"arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:{name}",
            updated_at=self._now(),
            namespace=does["Namespace"],
            dimensions={pair["Name"]: pair["Value"] for pair in does["Dimensions"]},
            state=before.state if before else "INSUFFICIENT_DATA",
            reason=before.reason if before else "Unchecked: Initial alarm creation",
            changed_at=self._now(),
            does=dict(does),
        )

    def _delete_alarm(self, name: str) -> None:
        self._get(self.alarms, name)
        del self.alarms[name]
        self.changes.append(f"-alarm {name}")

    def _listed_alarms(self, prefix: str = "") -> Iterator[ListedAlarm]:
        return iter([one for name, one in self.alarms.items() if name.startswith(prefix)])

    def _listed_targets(self) -> Iterator[ScalableTarget]:
        names = [(name, self.scaled_variants.get(name, ALONE)) for name in self.targets]
        return iter([ScalableTarget(name, one, "arn", self._since) for name, one in names])

    def _listed_log_groups(self, endpoint: str = "") -> Iterator[LogGroup]:
        return iter([one for name, one in self.log_groups.items() if name.startswith(endpoint)])

    def _delete_log_group(self, endpoint: str) -> None:
        self._get(self.log_groups, endpoint)
        del self.log_groups[endpoint]
        self.changes.append(f"-log group {endpoint}")

    def _unowned(self, *, before: datetime) -> Iterator[StoredObject]:
        return iter(list(self.staged.values()))

    def _delete_staged(self, key: str) -> None:
        self.staged.pop(key, None)
        self.changes.append(f"-staged {key}")

    def leave_more(self, name: str) -> None:
        """What an endpoint leaves beside SageMaker's own: one of each kind, and one in staging."""
        self.targets[name] = Limits(1, 2, 50)
        does = cloudwatch.alarm_arguments(
            PRESETS["p99"], endpoint=name, variant=ALONE, threshold=1, minutes=1
        )
        self._put_alarm(f"mme-portal.{name}.p99.{ALONE}", does, description="", tags={})
        self.log_groups[name] = LogGroup(name, "arn", self._since, 5 << 30)
        key = f"staging/{name}.tar.gz"
        self.staged[key] = StoredObject(key, 100 << 30, self._since, "etag")
        self.changes.clear()

    def goes(self, name: str, state: str) -> None:
        """An alarm changes its state."""
        self.alarms[name] = replace(
            self.alarms[name], state=state, reason="Threshold Crossed.", changed_at=self._now()
        )

    def _limit_of(self, instance_type: str) -> int | None:
        """Of the quotas in ``quotas``; None of them: the portal may not ask."""
        if self.quotas is None:
            raise errors.Denied("Service Quotas may not be asked.")
        return self.quotas.get(instance_type)

    def _pushed(self, address: ecr.EcrAddress) -> list[ecr.PushedImage]:
        digest = "sha256:" + "1" * 64
        return [ecr.PushedImage(address.pinned(digest), digest, ["latest"], self._since, 5 << 30)]

    def _digest_of(self, address: ecr.EcrAddress) -> str:
        """Of the images in ``digests``; None of them: the portal may not ask."""
        if self.digests is None:
            raise errors.Denied("ECR may not be asked.")
        if address.digest in self.digests.values():
            return address.digest
        if address.tag not in self.digests:
            raise errors.NotFound("no such image")
        return self.digests[address.tag]

    def _wrapped(self, name: str) -> Callable[..., Any]:
        act = getattr(self, f"_{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            check_calls(name, *args, **kwargs)
            if name in CALLS and not name.startswith("describe_"):
                self.asked += CALLS[name](*args, **kwargs)
            crash = self.calls == self.crash_at
            self.calls += 1
            if crash and not self.crash_after_acting:
                raise Crash(name)
            if self.failures.get(name):
                raise self.failures[name].pop(0)
            try:
                return act(*args, **kwargs)
            finally:
                if crash:
                    raise Crash(name)

        return call

    def _now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self.clock))

    @staticmethod
    def _arn(kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:ap-northeast-2:123456789012:{kind}/{name}"

    def _create_model(
        self,
        *,
        name: str,
        image: str,
        role_arn: str,
        data_url: str,
        tags: Mapping[str, str],
        options: DeploymentOptions = PRESET,
    ) -> str:
        if name in self.models:
            raise errors.AlreadyExists(name)
        arn = self._arn("model", name)
        self.tags[arn] = tags
        self.models[name] = sagemaker.SageMakerModel(
            name, arn, self._now(), image, data_url, True, role_arn, options.of_model
        )
        self.changes.append(f"+model {name}")
        return arn

    def _create_config(
        self,
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
        if name in self.configs:
            raise errors.AlreadyExists(name)
        if model_name not in self.models:
            raise errors.NotFound(model_name)
        arn = self._arn("endpoint-config", name)
        self.tags[arn] = tags
        self.configs[name] = sagemaker.SageMakerConfig(
            name, arn, self._now(), model_name, instance_type, instance_count, variants,
            options=options.of_config,
        )  # fmt: skip
        self.changes.append(f"+config {name}")
        return arn

    def _create_endpoint(self, *, name: str, config_name: str, tags: Mapping[str, str]) -> str:
        if name in self.endpoints:
            raise errors.AlreadyExists(name)
        if config_name not in self.configs or config_name in self.unseen:
            raise errors.NotFound(config_name)
        arn = self._arn("endpoint", name)
        self.modified.pop(name, None)
        self.tags[arn] = tags
        self.endpoints[name] = sagemaker.SageMakerEndpoint(
            name, arn, "Creating", config_name, self._now(), ""
        )
        self.left[name] = self.looks
        self.counts.pop(name, None)  # it begins with what its config says
        self.weighed.pop(name, None)
        self.changes.append(f"+endpoint {name}")
        return arn

    def _describe_model(self, name: str) -> sagemaker.SageMakerModel:
        return self._get(self.models, name)

    def _describe_config(self, name: str) -> sagemaker.SageMakerConfig:
        if name in self.unseen:
            raise errors.NotFound(name)
        return self._get(self.configs, name)

    def _describe_endpoint(self, name: str) -> sagemaker.SageMakerEndpoint:
        endpoint: sagemaker.SageMakerEndpoint = self._get(self.endpoints, name)
        unseen = name in self.moving and self.update_unseen > 0
        if unseen:
            self.update_unseen -= 1
            endpoint = replace(endpoint, status="InService")
        elif name in self.moving:
            self.left[name] -= 1
            if self.left[name] < 0:
                endpoint = self._moved(name, endpoint)
        modified = (self.modified_before if unseen else self.modified).get(name)
        endpoint = replace(endpoint, modified_at=modified or endpoint.created_at)
        if name in self.moving:
            endpoint = replace(endpoint, pending_config=self.moving[name][0])
        if endpoint.config_name in self.configs:
            config = self.configs[endpoint.config_name]
            seen = self.weighed.get(name, config.variants)
            endpoint = replace(
                endpoint,
                instance_count=count_of(seen)
                if seen
                else self.counts.get(name, config.instance_count),
                # SageMaker gives them in an order of its own.
                variants=tuple(replace(one, instance_type="") for one in reversed(seen)),
            )
        if endpoint.status in {"Creating", "Deleting"}:
            self.left[name] -= 1
            if self.left[name] < 0 and endpoint.status == "Deleting":
                del self.endpoints[name]
                raise errors.NotFound(name)
            if self.left[name] < 0:
                status = "Failed" if self.fail_with else "InService"
                self.modified[name] = self._now()
                endpoint = replace(endpoint, status=status, failure=self.fail_with)
                self.endpoints[name] = endpoint
        return endpoint

    def _moved(
        self, name: str, endpoint: sagemaker.SageMakerEndpoint
    ) -> sagemaker.SageMakerEndpoint:
        config, count = self.moving.pop(name)
        self.modified[name] = self._now()
        if self.roll_back_with:
            status = "UpdateRollbackFailed" if self.rollback_fails else "InService"
            endpoint = replace(endpoint, status=status, failure=self.roll_back_with)
            self.to_weigh.pop(name, None)
        else:
            endpoint = replace(endpoint, status="InService", failure="", config_name=config)
            self.counts.pop(name, None)
            self.weighed.pop(name, None)
            if name in self.to_weigh:
                self.weighed[name] = self.to_weigh.pop(name)
            elif count is not None and len(self.configs[config].variants) == 1:
                (one,) = self.configs[config].variants
                self.weighed[name] = (replace(one, instance_count=count),)
            elif count is not None:
                self.counts[name] = count
        self.endpoints[name] = endpoint
        return endpoint

    def _update_endpoint(
        self,
        *,
        name: str,
        config_name: str,
        retain: bool = False,
        policy: DeploymentPolicy | None = None,
    ) -> None:
        self.policy = policy
        if config_name not in self.configs or config_name in self.unseen:
            raise errors.NotFound(config_name)
        before = self.configs.get(self._get(self.endpoints, name).config_name)
        other_type = before and before.instance_type != self.configs[config_name].instance_type
        if other_type and name in self.targets:
            raise errors.Invalid(f"{name} must be deregistered as a scalable target.")
        count = self.counts.get(name, before.instance_count) if retain and before else None
        self._move(name, config_name, count)
        self.changes.append(f"~endpoint {name} {config_name}" + (" retained" if retain else ""))

    def _scaling_register(self, *, name: str, limits: Limits, variant: str = ALONE) -> None:
        if name not in self.endpoints:
            raise errors.Invalid(f"Endpoint not found: {name}")
        again = self.targets.get(name) == limits
        self.targets[name], self.scaled_variants[name] = limits, variant
        if not again:
            self.changes.append(f"+target {name} {limits.least} {limits.most}")
        endpoint = self.endpoints[name]
        count = self.counts.get(name, self.configs[endpoint.config_name].instance_count)
        within = min(max(count, limits.least), limits.most)
        if endpoint.status == "InService" and name not in self.moving and count != within:
            self.scaled(name, within)

    def scaled(self, name: str, count: int) -> None:
        """Autoscaling begins to change the number of instances."""
        number = sum(map(len, self.activities.values()))
        told = f"Successfully set desired instance count to {count}."
        activity = autoscaling.Activity(
            f"activity-{number}", self._now(), "Successful", count, "an alarm", told
        )
        self.activities.setdefault(name, []).append(activity)
        self._move(name, self.endpoints[name].config_name, count)

    def _scaling_put_policy(self, *, name: str, limits: Limits, variant: str = ALONE) -> None:
        if name not in self.targets:
            raise errors.NotFound(f"No scalable target registered for {name}")
        if self.policies.get(name) != limits:
            self.changes.append(f"+policy {name} {limits.target}")
        self.policies[name] = limits

    def _scaling_deregister(self, *, name: str, variant: str = ALONE) -> None:
        self._get(self.targets, name)
        del self.targets[name]
        self.policies.pop(name, None)
        self.scheduled.pop(name, None)
        self.changes.append(f"-target {name}")

    def _scaling_schedule(self, *, name: str, call: sagemaker.Call) -> None:
        key = call.arguments["ScheduledActionName"]
        there = self.scheduled.setdefault(name, {})
        if call.action == "DeleteScheduledAction":
            self._get(there, key)
            del there[key]
            self.changes.append(f"-scheduled {name} {key}")
            return
        if name not in self.targets:
            raise errors.NotFound(f"No scalable target registered for {name}")
        if there.get(key) != dict(call.arguments):
            self.changes.append(f"+scheduled {name} {key}")
        there[key] = dict(call.arguments)

    def _scaling_misscheduled(
        self, *, name: str, limits: Limits, variant: str = ALONE
    ) -> list[sagemaker.Call]:
        there = self.scheduled.get(name, {})
        calls = autoscaling.scheduled_calls(name=name, limits=limits, variant=variant)
        wanted = {call.arguments["ScheduledActionName"]: call for call in calls}
        missing = [one for key, one in wanted.items() if there.get(key) != dict(one.arguments)]
        surplus = [key for key in there if key not in wanted]
        return missing + [
            autoscaling.unscheduled_call(name=name, action=key, variant=variant) for key in surplus
        ]

    def _scaling_has_policy(self, name: str, variant: str = ALONE) -> bool:
        return name in self.policies

    def _scaling_activities(self, name: str, variant: str = ALONE) -> list[autoscaling.Activity]:
        return self.activities.get(name, [])

    def _set_count(self, *, name: str, count: int, variants: Variants = ()) -> None:
        self._move(name, self._get(self.endpoints, name).config_name, count)
        if variants:
            self.to_weigh[name] = variants
        told = [f"{one.name}={one.instance_count}:{one.weight:g}" for one in variants]
        self.changes.append(f"~endpoint {name} {' '.join(told) or count}")

    def _move(self, name: str, config: str, count: int | None) -> None:
        endpoint: sagemaker.SageMakerEndpoint = self._get(self.endpoints, name)
        if endpoint.status in {"Creating", "Deleting"} or name in self.moving:
            raise errors.Busy(f"Cannot update in-progress endpoint {name}")
        self.endpoints[name] = replace(endpoint, status="Updating")
        self.moving[name], self.left[name] = (config, count), self.looks
        self.modified_before[name] = self.modified.get(name, endpoint.created_at)
        self.modified[name] = self._now()

    def _list_endpoints(self, *, changed_since: datetime) -> list[str]:
        return [
            name
            for name, one in self.endpoints.items()
            if self.modified.get(name, one.created_at) >= changed_since
        ]

    def _listed(self, kind: str) -> Iterator[sagemaker.ListedResource]:
        things: dict[str, Any] = getattr(self, f"{kind}s")
        return iter(
            [
                sagemaker.ListedResource(
                    *(one.name, one.arn, one.created_at, getattr(one, "status", "")),
                    self.modified.get(one.name, one.created_at) if kind == "endpoint" else None,
                )
                for one in things.values()
            ]
        )

    def _tags_of(self, arn: str) -> dict[str, str]:
        return dict(self.tags.get(arn, {}))

    def _set_tags(self, arn: str, *, tags: Mapping[str, str], before: Mapping[str, str]) -> None:
        had = self.tags.get(arn, {})
        kept = {key: one for key, one in had.items() if key not in before.keys() - tags.keys()}
        self.tags[arn] = kept | tags
        if self.tags[arn] != had:
            self.changes.append(f"~tags {arn.rpartition('/')[2]}")

    def _delete_model(self, name: str) -> None:
        self._get(self.models, name)
        del self.models[name]
        self.changes.append(f"-model {name}")

    def _delete_config(self, name: str) -> None:
        self._get(self.configs, name)
        used = {one.config_name for one in self.endpoints.values() if one.status != "Deleting"}
        moving_to = {config for config, _count in self.moving.values()}
        assert name not in used | moving_to, f"the config {name} is in use"
        del self.configs[name]
        self.changes.append(f"-config {name}")

    def _delete_endpoint(self, name: str) -> None:
        endpoint: sagemaker.SageMakerEndpoint = self._get(self.endpoints, name)
        if endpoint.status in {"Creating", "Deleting", "Updating"}:
            raise errors.Busy(f"Cannot update in-progress endpoint {name}")
        self.targets.pop(name, None)  # SageMaker ends it, too
        self.policies.pop(name, None)
        self.scheduled.pop(name, None)
        self.endpoints[name] = replace(endpoint, status="Deleting")
        self.left[name] = self.looks
        self.changes.append(f"-endpoint {name}")

    def update_outside(self, name: str, config: str, *, model: str, count: int) -> None:
        """Give an endpoint another config, as somebody does outside the portal."""
        self.configs[config] = sagemaker.SageMakerConfig(
            config, self._arn("endpoint-config", config), self._now(), model, "ml.c5.xlarge", count
        )
        self.endpoints[name] = replace(self.endpoints[name], config_name=config)
        self.modified[name] = self._now()

    def left_behind(self, name: str = "demo", *, tags: Mapping[str, str] | None = None) -> None:
        """An endpoint in service with its config and model, of which the portal has no row."""
        given = {sagemaker.TAG: name} if tags is None else tags
        store = f"s3://{settings.MODEL_BUCKET}/{settings.MODEL_PREFIX}/"
        begun = len(self.changes)
        self._create_model(
            name=f"{name}-r1", image="image:1", role_arn="role", data_url=store, tags=given
        )
        self._create_config(
            name=f"{name}-r1",
            model_name=f"{name}-r1",
            instance_type="ml.m5.large",
            instance_count=2,
            tags=given,
        )
        self._create_endpoint(name=name, config_name=f"{name}-r1", tags=given)
        self.endpoints[name] = replace(self.endpoints[name], status="InService")
        del self.changes[begun:]

    @staticmethod
    def _get(things: dict[str, Any], name: str) -> Any:
        if name not in things:
            raise errors.NotFound(f'Could not find "{name}".')
        return things[name]

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.models or self.configs or self.endpoints or self.targets or self.alarms)
