"""Application Auto Scaling for endpoints: checks of targets, and their end.

moto keeps targets and policies. These patches add AWS's rules: a target needs an existing variant,
a policy needs a target, and DeleteEndpoint deletes both (AWS's texts:
gh:awslabs/stable-diffusion-aws-extension#161). Nothing is scaled.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moto.applicationautoscaling.models import ApplicationAutoscalingBackend as Backend

Endpoints = Callable[[str, str], list[str] | None]
"""The variants of the endpoint with a name, in a region; None where there is no such endpoint."""

_NAMESPACE = "sagemaker"
_MODELS = "moto.applicationautoscaling.models"


def install(endpoints: Endpoints) -> None:
    """Patch moto to ask ``endpoints``; to be called once."""
    from moto.applicationautoscaling.exceptions import AWSValidationException
    from moto.applicationautoscaling.models import ApplicationAutoscalingBackend as Backend
    from moto.core.exceptions import JsonRESTError

    register = Backend.register_scalable_target
    deregister = Backend.deregister_scalable_target
    put_policy, put_action = Backend.put_scaling_policy, Backend.put_scheduled_action

    def check_target(
        backend: Backend, namespace: str, resource: str, dimension: str, what: str = "registered"
    ) -> None:
        if namespace == _NAMESPACE and resource not in backend.targets.get(dimension, {}):
            raise JsonRESTError(
                "ObjectNotFoundException",
                f"No scalable target {what} for service namespace: {namespace}, resource ID: "
                f"{resource}, scalable dimension: {dimension}",
            )

    def register_scalable_target(
        self: Backend, namespace: str, r_id: str, dimension: str, **more: Any
    ) -> Any:
        if namespace == _NAMESPACE:
            name, variant = parse(r_id)
            variants = endpoints(name, self.region_name)
            if variants is None:
                raise AWSValidationException(f"Endpoint not found: {name} (resource ID: {r_id})")
            if variant not in variants:
                raise AWSValidationException(
                    f"Variant not found: {variant} of endpoint {name} (resource ID: {r_id})"
                )
        return register(self, namespace, r_id, dimension, **more)

    def deregister_scalable_target(
        self: Backend, namespace: str, r_id: str, dimension: str
    ) -> None:
        check_target(self, namespace, r_id, dimension, "found")
        deregister(self, namespace, r_id, dimension)
        if namespace == _NAMESPACE:
            _end(self, lambda resource: resource == r_id)

    def put_scaling_policy(self: Backend, **more: Any) -> Any:
        check_target(
            self, more["service_namespace"], more["resource_id"], more["scalable_dimension"]
        )
        return put_policy(self, **more)

    def put_scheduled_action(self: Backend, **more: Any) -> Any:
        check_target(
            self, more["service_namespace"], more["resource_id"], more["scalable_dimension"]
        )
        return put_action(self, **more)

    new = {
        "register_scalable_target": register_scalable_target,
        "deregister_scalable_target": deregister_scalable_target,
        "put_scaling_policy": put_scaling_policy,
        "put_scheduled_action": put_scheduled_action,
    }
    for name, method in new.items():
        setattr(Backend, name, method)


def parse(resource: str) -> tuple[str, str]:
    """Endpoint and variant of ``endpoint/NAME/variant/VARIANT``; empty for another form."""
    parts = resource.split("/")
    if len(parts) == 4 and (parts[0], parts[2]) == ("endpoint", "variant"):
        return parts[1], parts[3]
    return "", ""


def end(account: str, region: str, endpoint: str) -> None:
    """Deregister the targets of an endpoint, with their policies and scheduled actions."""
    # While moto has not loaded the service, there are no targets.
    backends = getattr(sys.modules.get(_MODELS), "applicationautoscaling_backends", None)
    if backends is not None:
        _end(backends[account][region], lambda resource: parse(resource)[0] == endpoint)


def _end(backend: "Backend", is_its: Callable[[str], bool]) -> None:
    for targets in backend.targets.values():
        for resource in [one for one in targets if is_its(one)]:
            del targets[resource]
    for key, policy in list(backend.policies.items()):
        if policy.service_namespace == _NAMESPACE and is_its(policy.resource_id):
            policy.delete_alarms(backend.account_id, backend.region_name)
            del backend.policies[key]
    backend.scheduled_actions[:] = [
        action
        for action in backend.scheduled_actions
        if action.service_namespace != _NAMESPACE or not is_its(action.resource_id)
    ]
