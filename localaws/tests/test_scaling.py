"""Application Auto Scaling: its operations, what it does with endpoints, and that it stays."""

import urllib.error

import pytest
from botocore.exceptions import ClientError

from localaws.scaling import parse
from localaws.tests.conftest import Hosting

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

    def put_policy(self, endpoint, **config):
        return self.client.put_scaling_policy(
            **self.about(endpoint),
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 70.0,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            }
            | config,
        )

    def put_action(self, endpoint):
        return self.client.put_scheduled_action(
            **self.about(endpoint), ScheduledActionName="a", Schedule="rate(1 hour)"
        )

    def activities(self):
        found = self.client.describe_scaling_activities(ServiceNamespace="sagemaker")
        return found["ScalingActivities"]

    def count(self, hosting, endpoint="e"):
        (variant,) = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)[
            "ProductionVariants"
        ]
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]

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


def test_other_kinds_of_scaling_are_refused_by_name(hosting, name):
    hosting.create(name)
    scaling = Scaling(hosting.process)
    scaling.register(name)
    about = scaling.about(name)
    step = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": 1}]}
    code, message = refused(
        lambda: scaling.client.put_scaling_policy(
            **about, PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=step
        )
    )
    assert code == "ValidationException"
    assert "StepScaling" in message
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    tracking = {"TargetValue": 1.0, "PredefinedMetricSpecification": metric}
    _code, message = refused(
        lambda: scaling.client.put_scaling_policy(
            **about, PolicyName="p", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=tracking,
        )
    )  # fmt: skip
    assert "ECSServiceAverageCPUUtilization" in message
    _code, message = refused(
        lambda: scaling.client.put_scheduled_action(
            **about, ScheduledActionName="a", Schedule="cron(0 8 L * ? *)"
        )
    )
    assert "field of cron" in message
    other = about | {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    _code, message = refused(lambda: scaling.client.describe_scaling_activities(**other))
    assert "DesiredProvisionedConcurrency" in message
    _code, message = refused(
        lambda: scaling.client.register_scalable_target(**about, MinCapacity=3)
    )
    assert "MaxCapacity" in message  # 2, as it was registered
    hosting.delete(name)


def test_a_least_above_the_count_acts_at_once_and_survives_a_kill(start, tmp_path):
    hosting = Hosting(start(), "scaled")
    hosting.create("e")
    scaling = Scaling(hosting.process)
    scaling.register("e")
    assert scaling.count(hosting) == (1, 1)
    scaling.put_policy("e")
    scaling.put_action("e")
    scaling.client.register_scalable_target(**scaling.about("e"), MinCapacity=2)
    hosting.settled("e")
    assert scaling.count(hosting) == (2, 2)
    hosting.process.kill()
    hosting.process.start()
    assert scaling.targets() == scaling.policies() == scaling.actions()
    (target,) = scaling.client.describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 2)
    (activity,) = scaling.activities()
    assert activity["StatusCode"] == "Successful"
    assert activity["Description"] == "Setting desired instance count to 2."
    assert activity["Cause"] == "minimum capacity was set to 2"
    assert scaling.count(hosting) == (2, 2)


def test_a_scaled_variant_keeps_its_type_and_with_retain_its_count(hosting, name):
    hosting.create(name)
    scaling = Scaling(hosting.process)
    scaling.client.register_scalable_target(**scaling.about(name), MinCapacity=2, MaxCapacity=2)
    hosting.settled(name)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    create = hosting.sagemaker.create_endpoint_config
    create(EndpointConfigName=f"{name}-2", ProductionVariants=[variant])

    def update(config, **more):
        hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **more)

    _code, message = refused(lambda: update(f"{name}-2"))
    assert message == (
        'The variant(s) "AllTraffic" must be deregistered as a scalable target with AWS Auto '
        "Scaling before they can be removed or have their instance type updated."
    )
    variant["InstanceType"] = "ml.m5.xlarge"
    create(EndpointConfigName=f"{name}-3", ProductionVariants=[variant])
    update(f"{name}-3", RetainAllVariantProperties=True)
    hosting.settled(name)
    assert scaling.count(hosting, name) == (2, 2)
    hosting.delete(name)


def test_calls_scale_out_and_their_end_scales_in(start, tmp_path):
    hosting = Hosting(start(), "busy")
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create("e")
    scaling = Scaling(hosting.process)
    scaling.register("e")
    scaling.put_policy("e", TargetValue=4.0, ScaleInCooldown=0)
    hosting.process.begin_minute()
    ahead = hosting.process.admin("clock")["ahead"]
    for _minute in range(3):
        for _ in range(9):
            hosting.invoke("e", "a.tar.gz")
        assert scaling.count(hosting) == (1, 1)
        hosting.process.admin("clock", "PUT", {"ahead": 60})
    hosting.settled("e")
    assert scaling.count(hosting) == (2, 2)  # 9 calls at 4 each want 3: the most is 2
    (activity,) = scaling.activities()
    assert "-AlarmHigh-" in activity["Cause"]
    assert activity["StatusCode"] == "Successful"
    hosting.process.admin("clock", "PUT", {"ahead": 14 * 60})
    assert scaling.count(hosting) == (2, 2)  # not yet: a minute with calls is among the fifteen
    hosting.process.admin("clock", "PUT", {"ahead": 4 * 60})
    hosting.settled("e")
    assert scaling.count(hosting) == (1, 1)
    assert "-AlarmLow-" in scaling.activities()[0]["Cause"]
    assert hosting.process.admin("clock")["ahead"] == pytest.approx(ahead + 21 * 60)


def test_a_throttled_call_and_a_refused_clock(hosting, name):
    hosting.create(name)
    scaling = Scaling(hosting.process, retries={"total_max_attempts": 1})
    fault = {"action": "throttle", "operation": "RegisterScalableTarget", "name": name}
    hosting.process.admin("faults", "PUT", {"faults": [fault]})
    assert refused(lambda: scaling.register(name))[0] == "ThrottlingException"
    scaling.register(name)
    hosting.process.admin("faults", "PUT", {"faults": []})
    with pytest.raises(urllib.error.HTTPError) as caught:
        hosting.process.admin("clock", "PUT", {"ahead": -1})
    assert caught.value.code == 400
    hosting.delete(name)
