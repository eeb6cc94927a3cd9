"""The multi-model notebook's own calls, in its order and with its parameters.

The client is plain boto3 in a process of its own, with nothing but the environment that
``make up`` writes to ``aws.env``. Networks are small; their layout is the notebook's.
"""

import json
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from localaws.tests.servers import KEY, REAL, REGION, ROLE, SECRET, alive, wait_for
from tests.artifacts import constant_archive

NOTEBOOK = """
import json, os, random, sys
from collections import defaultdict
from time import gmtime, strftime

import boto3
from botocore.client import ClientError

sm_client = boto3.client(service_name="sagemaker")
runtime_sm_client = boto3.client(service_name="sagemaker-runtime")
account_id = boto3.client("sts").get_caller_identity()["Account"]
region = boto3.Session().region_name
bucket = "sagemaker-{}-{}".format(region, account_id)
prefix = "demo-multimodel-endpoint"
role = os.environ["MME_EXECUTION_ROLE_ARN"]

s3 = boto3.resource("s3")
try:
    s3.meta.client.head_bucket(Bucket=bucket)
except ClientError:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
models = {"resnet_18.tar.gz", "resnet_152.tar.gz"}
for model in models:
    key = os.path.join(prefix, model)
    with open("data/" + model, "rb") as file_obj:
        s3.Bucket(bucket).Object(key).upload_fileobj(file_obj)

model_name = "DEMO-MultiModelModel" + strftime("%Y-%m-%d-%H-%M-%S", gmtime())
model_url = "https://s3-{}.amazonaws.com/{}/{}/".format(region, bucket, prefix)
container = "{}.dkr.ecr.{}.amazonaws.com/{}:latest".format(
    account_id, region, "demo-sagemaker-multimodel"
)
container = {"Image": container, "ModelDataUrl": model_url, "Mode": "MultiModel"}
create_model_response = sm_client.create_model(
    ModelName=model_name, ExecutionRoleArn=role, Containers=[container]
)
endpoint_config_name = "DEMO-MultiModelEndpointConfig-" + strftime("%Y-%m-%d-%H-%M-%S", gmtime())
create_endpoint_config_response = sm_client.create_endpoint_config(
    EndpointConfigName=endpoint_config_name,
    ProductionVariants=[
        {
            "InstanceType": "ml.m5.xlarge",
            "InitialInstanceCount": 2,
            "InitialVariantWeight": 1,
            "ModelName": model_name,
            "VariantName": "AllTraffic",
        }
    ],
)
endpoint_name = "DEMO-MultiModelEndpoint-" + strftime("%Y-%m-%d-%H-%M-%S", gmtime())
create_endpoint_response = sm_client.create_endpoint(
    EndpointName=endpoint_name, EndpointConfigName=endpoint_config_name
)
resp = sm_client.describe_endpoint(EndpointName=endpoint_name)
status = resp["EndpointStatus"]
waiter = sm_client.get_waiter("endpoint_in_service")
waiter.config.delay = 1  # the one change: look every second, where AWS takes minutes
waiter.wait(EndpointName=endpoint_name)

with open("cat.jpg", "rb") as f:
    payload = f.read()

def invoke(target_model):
    response = runtime_sm_client.invoke_endpoint(
        EndpointName=endpoint_name,
        ContentType="application/x-image",
        TargetModel=target_model,
        Body=payload,
    )
    answer = json.loads(response["Body"].read())
    return answer, response["CustomAttributes"].partition(";")[0]

first, cold = invoke("resnet_18.tar.gz")
second, warm = invoke("resnet_18.tar.gz")
other, _ = invoke("resnet_152.tar.gz")

file = "data/squeezenet_v1.0.tar.gz"
for x in range(0, 10):
    s3_file_name = "demo-subfolder/squeezenet_v1.0_{}.tar.gz".format(x)
    key = os.path.join(prefix, s3_file_name)
    with open(file, "rb") as file_obj:
        s3.Bucket(bucket).Object(key).upload_fileobj(file_obj)
    models.add(s3_file_name)

random.seed(1)
results = defaultdict(int)
called = set()
for x in range(0, 100):
    target_model = random.choice(sorted(models))
    called.add(target_model)
    results[invoke(target_model)[0][0]] += 1

print(json.dumps({
    "status": status, "endpoint": endpoint_name, "first": first, "second": second,
    "other": other, "cold": cold, "warm": warm, "results": results, "called": len(called),
    "models": len(models),
}), flush=True)
sys.stdin.readline()  # the test looks at what runs

sm_client.delete_endpoint(EndpointName=endpoint_name)
sm_client.delete_endpoint_config(EndpointConfigName=endpoint_config_name)
sm_client.delete_model(ModelName=model_name)
"""

LABELS = ["n02123045 tabby, tabby cat", "n02123159 tiger cat", "n02124075 Egyptian cat"]
LABELS += ["n02127052 lynx", "n02119789 kit fox", "n02085620 Chihuahua"]


@pytest.mark.timeout(580)
def test_the_notebooks_calls(start, tmp_path):
    local = start(container=REAL)
    home = tmp_path / "notebook"
    (home / "data").mkdir(parents=True)
    for number, name in enumerate(("resnet_18", "resnet_152", "squeezenet_v1.0")):
        path = home / "data" / f"{name}.tar.gz"
        constant_archive(path, labels=LABELS, answer=number, name=name, shape=(1, 3, 32, 32))
    Image.radial_gradient("L").convert("RGB").save(home / "cat.jpg")
    env = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": local.url,
        "AWS_ENDPOINT_URL_S3": local.s3,
        "AWS_ENDPOINT_URL_SAGEMAKER": local.url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": local.url,
        "MME_EXECUTION_ROLE_ARN": ROLE,
    }
    notebook = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK],
        cwd=home,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        declared = json.loads(notebook.stdout.readline() or "null")
        assert declared, "the notebook's code failed; its traceback is above"
        assert declared["status"] == "Creating"
        assert len(declared["first"]) == 5
        assert declared["first"][0].endswith("class=n02123045 tabby, tabby cat")
        # The notebook's own handler writes Python's %f: six decimals.
        assert re.fullmatch(r"probability=[01]\.[0-9]{6}, class=.*", declared["first"][4])
        assert declared["first"] == declared["second"]
        assert declared["other"][0].endswith("class=n02123159 tiger cat")
        assert (declared["cold"], declared["warm"]) == ("cold=1", "cold=0")
        assert sum(declared["results"].values()) == 100
        assert {text.partition("class=")[2] for text in declared["results"]} <= set(LABELS[:3])
        assert declared["models"] == declared["called"] == 12

        instances = local.instances(declared["endpoint"])
        assert len(instances) == 2
        held = [model["target_model"] for one in instances for model in one["models"]]
        assert len(held) == len(set(held)) == 12
        assert "cold start" in local.log.read_text()

        notebook.communicate("\n", timeout=60)
        assert notebook.returncode == 0
    finally:
        notebook.kill()
        notebook.wait()

    sagemaker = local.client("sagemaker")
    wait_for(lambda: not sagemaker.list_endpoints()["Endpoints"], 30)
    assert not sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert not sagemaker.list_models()["Models"]
    assert not any(alive(one["pid"]) for one in instances)
    assert not list((local.data / "instances").iterdir())
