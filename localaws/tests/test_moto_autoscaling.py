"""Application Auto Scaling knows the endpoints that there are."""

import pytest
from botocore.exceptions import ClientError

from localaws.moto_autoscaling import parse

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


class Scaling:
    def __init__(self, process, **config):
        self.client = process.client("application-autoscaling", **config)

    def about(self, endpoint, variant="AllTraffic"):
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
            "ScalableDimension": DIMENSION,
        }

    def register(self, endpoint, variant="AllTraffic"):
        return self.client.register_scalable_target(
            **self.about(endpoint, variant), MinCapacity=1, MaxCapacity=2
        )

    def put_policy(self, endpoint):
        return self.client.put_scaling_policy(
            **self.about(endpoint),
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 70.0,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            },
        )

    def put_action(self, endpoint):
        return self.client.put_scheduled_action(
            **self.about(endpoint), ScheduledActionName="a", Schedule="rate(1 hour)"
        )

    def targets(self):
        found = self.client.describe_scalable_targets(ServiceNamespace="sagemaker")
        return [target["ResourceId"] for target in found["ScalableTargets"]]

    def policies(self):
        found = self.client.describe_scaling_policies(ServiceNamespace="sagemaker")
        return [policy["ResourceId"] for policy in found["ScalingPolicies"]]

    def actions(self):
        found = self.client.describe_scheduled_actions(ServiceNamespace="sagemaker")
        return [action["ResourceId"] for action in found["ScheduledActions"]]


def test_a_target_is_of_an_endpoint_and_a_variant_that_are_there(hosting, name):
    scaling = Scaling(hosting.process)
    code, message = refused(lambda: scaling.register("none"))
    assert (code, message) == (
        "ValidationException",
        "Endpoint not found: none (resource ID: endpoint/none/variant/AllTraffic)",
    )
    hosting.create(name)
    code, message = refused(lambda: scaling.register(name, "other"))
    assert (code, message.partition(" of")[0]) == (
        "ValidationException",
        "Variant not found: other",
    )
    far = Scaling(hosting.process, region_name="us-west-2")
    assert refused(lambda: far.register(name))[0] == "ValidationException"
    scaling.register(name)
    assert scaling.targets() == [f"endpoint/{name}/variant/AllTraffic"]
    hosting.delete(name)


def test_a_target_its_policies_and_its_actions_end_with_the_endpoint(hosting, name):
    scaling, other = Scaling(hosting.process), name + "-2"
    for endpoint in (name, other):
        hosting.create(endpoint)
        scaling.register(endpoint)
        scaling.put_policy(endpoint)
        scaling.put_action(endpoint)
    hosting.delete(name)
    left = [f"endpoint/{other}/variant/AllTraffic"]
    assert scaling.targets() == scaling.policies() == scaling.actions() == left
    assert refused(lambda: scaling.register(name))[0] == "ValidationException"
    # Deregistering a target ends its policies (API reference, DeregisterScalableTarget).
    scaling.client.deregister_scalable_target(**scaling.about(other))
    assert scaling.targets() == scaling.policies() == scaling.actions() == []
    hosting.delete(other)


def test_policies_want_a_target(hosting, name):
    hosting.create(name)
    scaling = Scaling(hosting.process)
    sentence = (
        "No scalable target {} for service namespace: sagemaker, resource ID: "
        f"endpoint/{name}/variant/AllTraffic, scalable dimension: {DIMENSION}"
    )
    for call in (scaling.put_policy, scaling.put_action):
        code, message = refused(lambda call=call: call(name))
        assert (code, message) == ("ObjectNotFoundException", sentence.format("registered"))
    code, message = refused(
        lambda: scaling.client.deregister_scalable_target(**scaling.about(name))
    )
    assert (code, message) == ("ObjectNotFoundException", sentence.format("found"))
    hosting.delete(name)


def test_a_resource_of_another_form_is_of_no_endpoint():
    assert parse("endpoint/e/variant/v") == ("e", "v")
    assert parse("endpoint/e") == parse("table/t/index/i") == ("", "")
