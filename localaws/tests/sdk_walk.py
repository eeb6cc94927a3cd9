"""The SageMaker Python SDK's MultiDataModel against localaws: run by ``test_sdk.py``.

Runs in an environment of its own (``requirements/sdk.txt``), which has nothing of this project.
The addresses of localaws and S3 are in AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3, credentials and
region in the AWS_* variables. Usage: ``sdk_walk.py BUCKET ARCHIVES PICTURE``, where the folder
ARCHIVES holds m0.tar.gz, m1.tar.gz and m2.tar.gz, each with labels that begin with its own name.
"""

import ipaddress
import logging
import sys
from pathlib import Path
from typing import Any

calls_outside: list[str] = []
ROLE = "arn:aws:iam::123456789012:role/mme-execution"  # by ARN: of a name the SDK would ask IAM


def stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse, and remember, whatever is not for this machine (the SDK swallows the error)."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        if ipaddress.ip_address(name).is_loopback:
            return
    except ValueError:
        if name == "localhost":
            return
    calls_outside.append(name)
    raise OSError(f"a call to {name}")


sys.addaudithook(stay_here)

import sagemaker  # noqa: E402 - nothing of it is to run before the hook
from botocore.exceptions import ClientError  # noqa: E402
from sagemaker.deserializers import JSONDeserializer  # noqa: E402
from sagemaker.multidatamodel import MultiDataModel  # noqa: E402
from sagemaker.predictor import Predictor  # noqa: E402
from sagemaker.serializers import IdentitySerializer  # noqa: E402


def main(bucket: str, archives: Path, picture: bytes) -> None:
    session = sagemaker.Session()
    name = "from-the-sdk"
    multi = MultiDataModel(
        name=name,
        model_data_prefix=f"s3://{bucket}/models/",
        image_uri="demo-sagemaker-multimodel:latest",
        role=ROLE,
        predictor_cls=Predictor,
        sagemaker_session=session,
    )
    predictor = multi.deploy(
        initial_instance_count=1,
        instance_type="ml.m5.xlarge",
        serializer=IdentitySerializer("application/x-image"),
        deserializer=JSONDeserializer(),
        tags=[{"Key": "made-by", "Value": "the SDK"}],
        wait=False,
    )
    # What deploy does where it is to wait, but asking each second, not each half-minute.
    described = session.wait_for_endpoint(name, poll=1)
    assert described["EndpointStatus"] == "InService", described
    tags = session.sagemaker_client.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    assert tags == [{"Key": "made-by", "Value": "the SDK"}], tags

    assert list(multi.list_models()) == []
    for number in range(2):
        uri = multi.add_model(str(archives / f"m{number}.tar.gz"))
        assert uri == f"s3://{bucket}/models/m{number}.tar.gz", uri
    assert sorted(multi.list_models()) == ["m0.tar.gz", "m1.tar.gz"]

    def label(target: str) -> str:
        answer = predictor.predict(picture, target_model=target)
        return str(answer["predictions"][0]["label"])

    for _ in range(2):  # cold, then warm
        assert label("m0.tar.gz") == "m0 label 0"
        assert label("m1.tar.gz") == "m1 label 1"

    # While it serves: one more, below a name of its own, from elsewhere in S3.
    session.upload_data(str(archives / "m2.tar.gz"), bucket=bucket, key_prefix="elsewhere")
    uri = multi.add_model(f"s3://{bucket}/elsewhere/m2.tar.gz", "new/m2.tar.gz")
    assert uri == f"s3://{bucket}/models/new/m2.tar.gz", uri
    assert sorted(multi.list_models()) == ["m0.tar.gz", "m1.tar.gz", "new/m2.tar.gz"]
    assert label("new/m2.tar.gz") == "m2 label 2"

    for target, sent, code in (
        (None, picture, "ValidationError"),
        ("none.tar.gz", picture, "ValidationError"),
        ("m0.tar.gz", b"no picture", "ModelError"),
    ):
        refusal = None
        try:
            predictor.predict(sent, target_model=target)
        except ClientError as error:
            refusal = error.response["Error"]["Code"]
        assert refusal == code, f"{target}: {refusal}"

    # What the SDK's own tests ask before they delete an endpoint.
    assert predictor.list_monitors() == []
    associated = session.list_and_paginate_inference_component_names_associated_with_endpoint
    assert associated(name) == []
    executions = session.list_monitoring_executions(monitoring_schedule_name="none")
    assert executions["MonitoringExecutionSummaries"] == []

    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)
    session.sagemaker_client.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    client = session.sagemaker_client
    assert client.list_endpoints()["Endpoints"] == []
    assert client.list_endpoint_configs()["EndpointConfigs"] == []
    assert client.list_models()["Models"] == []
    assert not calls_outside, calls_outside
    print(f"sagemaker {sagemaker.__version__}: done")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).read_bytes())
