"""The walk of the notebook in shell, with the AWS CLI (``aws logs tail`` is only in its v2)."""

import json
import os
import subprocess

import pytest

from localaws.tests.servers import ROLE

WALK = """
set -euo pipefail
account=$(aws sts get-caller-identity --query Account --output text)
bucket=cli-$account
aws s3 mb s3://$bucket
aws s3 cp model.tar.gz s3://$bucket/models/model.tar.gz --no-progress
aws ecr create-repository --repository-name demo --query repository.repositoryUri --output text

aws sagemaker create-model --model-name cli --execution-role-arn $ROLE \
    --primary-container "Image=demo,Mode=MultiModel,ModelDataUrl=s3://$bucket/models/"
aws sagemaker create-endpoint-config --endpoint-config-name cli --production-variants \
    VariantName=AllTraffic,ModelName=cli,InstanceType=ml.m5.xlarge,InitialInstanceCount=1
aws sagemaker create-endpoint --endpoint-name cli --endpoint-config-name cli
aws sagemaker wait endpoint-in-service --endpoint-name cli
aws sagemaker describe-endpoint --endpoint-name cli --query EndpointStatus --output text
aws sagemaker-runtime invoke-endpoint --endpoint-name cli --target-model model.tar.gz \
    --content-type application/x-image --body fileb://picture answer.json > invoked.json
aws logs filter-log-events --log-group-name /aws/sagemaker/Endpoints/cli \
    --query 'events[].message' --output text > logs.txt
aws cloudwatch get-metric-statistics --namespace AWS/SageMaker --metric-name Invocations \
    --dimensions Name=EndpointName,Value=cli Name=VariantName,Value=AllTraffic --period 3600 \
    --start-time $(date -u -d '30 minutes ago' +%FT%TZ) \
    --end-time $(date -u -d '1 minute' +%FT%TZ) \
    --statistics Sum > metrics.json
aws cloudwatch get-metric-data --metric-data-queries '[{"Id": "slow", "MetricStat": {
        "Metric": {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": [
            {"Name": "EndpointName", "Value": "cli"},
            {"Name": "VariantName", "Value": "AllTraffic"}]},
        "Period": 3600, "Stat": "p90"}}]' \
    --start-time $(date -u -d '30 minutes ago' +%FT%TZ) \
    --end-time $(date -u -d '1 minute' +%FT%TZ) > slow.json

about="--service-namespace sagemaker --resource-id endpoint/cli/variant/AllTraffic
    --scalable-dimension sagemaker:variant:DesiredInstanceCount"
scaling="aws application-autoscaling"
$scaling register-scalable-target $about --min-capacity 2 --max-capacity 2 > target.json
$scaling put-scaling-policy $about --policy-name p --policy-type TargetTrackingScaling \
    --target-tracking-scaling-policy-configuration '{"TargetValue": 50,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}' > policy.json
$scaling put-scheduled-action $about --scheduled-action-name a --schedule 'cron(0 8 ? * MON *)' \
    --scalable-target-action MinCapacity=1
aws sagemaker wait endpoint-in-service --endpoint-name cli
$scaling describe-scaling-activities --service-namespace sagemaker > activities.json
$scaling delete-scheduled-action $about --scheduled-action-name a
$scaling delete-scaling-policy $about --policy-name p
$scaling deregister-scalable-target $about
$scaling describe-scalable-targets --service-namespace sagemaker > targets.json

if aws sagemaker describe-endpoint --endpoint-name none 2> missing.txt; then exit 1; fi
aws sagemaker delete-endpoint --endpoint-name cli
aws sagemaker wait endpoint-deleted --endpoint-name cli
aws sagemaker delete-endpoint-config --endpoint-config-name cli
aws sagemaker delete-model --model-name cli
aws sagemaker list-endpoints --query 'length(Endpoints)'
"""


@pytest.mark.timeout(400)
def test_the_walk_in_shell(start, tmp_path, aws_cli):
    local = start()
    home = tmp_path / "home"
    home.mkdir()
    with (home / "answer").open("w") as answer:
        answer.write("from the shell")
    subprocess.run(["tar", "czf", "model.tar.gz", "answer"], cwd=home, check=True, timeout=20)
    (home / "picture").write_bytes(b"a picture")
    env = local.environment(home) | {
        "PATH": f"{aws_cli}:{os.environ['PATH']}",
        "AWS_PAGER": "",
        "ROLE": ROLE,
    }
    walk = subprocess.run(
        ["bash", "-c", WALK], cwd=home, env=env, capture_output=True, text=True, timeout=380
    )
    assert walk.returncode == 0, walk.stdout + walk.stderr
    assert "\nInService\n" in walk.stdout
    assert walk.stdout.rstrip().endswith("\n0")
    assert json.loads((home / "answer.json").read_text())["answer"] == "from the shell"
    invoked = json.loads((home / "invoked.json").read_text())
    assert invoked["InvokedProductionVariant"] == "AllTraffic"
    assert "POST /models/" in (home / "logs.txt").read_text()
    (datum,) = json.loads((home / "metrics.json").read_text())["Datapoints"]
    assert datum["Sum"] == 1
    (slow,) = json.loads((home / "slow.json").read_text())["MetricDataResults"]
    assert slow["Values"][0] > 0
    assert "scalable-target/" in (home / "target.json").read_text()
    assert ":policyName/p" in (home / "policy.json").read_text()
    (activity,) = json.loads((home / "activities.json").read_text())["ScalingActivities"]
    assert activity["Cause"] == "minimum capacity was set to 2"
    assert activity["StatusCode"] == "Successful"
    assert json.loads((home / "targets.json").read_text())["ScalableTargets"] == []
    assert "Could not find endpoint" in (home / "missing.txt").read_text()
