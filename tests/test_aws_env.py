"""Other programs use the stack after `source .local/aws.env`: the notebook's calls do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
from PIL import Image

from localaws.tests.test_notebook import LABELS, NOTEBOOK
from tests.artifacts import constant_archive
from tests.stack import Stack


def test_the_notebooks_calls_run_after_sourcing_aws_env(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number, name in enumerate(("resnet_18", "resnet_152", "squeezenet_v1.0")):
        path = tmp_path / "data" / f"{name}.tar.gz"
        constant_archive(path, labels=LABELS, answer=number, name=name, shape=(1, 3, 32, 32))
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "cat.jpg")
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    done = subprocess.run(
        [
            "bash",
            "-c",
            'source "$1" && exec "$2" notebook.py',
            "bash",
            str(stack.local_dir / "aws.env"),
            sys.executable,
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        input="\n",
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["first"][0].endswith("class=n02123045 tabby, tabby cat")
    assert said["other"][0].endswith("class=n02123159 tiger cat")
    assert said["warm"] < said["cold"]
    assert (said["models"], said["called"], sum(said["results"].values())) == (12, 12, 100)
    sagemaker = boto3.client(
        "sagemaker",
        endpoint_url=stack.aws["AWS_ENDPOINT_URL_SAGEMAKER"],
        aws_access_key_id=stack.aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.aws["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.aws["AWS_REGION"],
    )
    assert not sagemaker.list_models(NameContains="DEMO-MultiModel")["Models"]
    assert not sagemaker.list_endpoint_configs(NameContains="DEMO-MultiModel")["EndpointConfigs"]
    # SageMaker's DeleteEndpoint answers at once; the endpoint is there a moment longer.
    going = sagemaker.list_endpoints(NameContains="DEMO-MultiModel")["Endpoints"]
    assert all(endpoint["EndpointStatus"] == "Deleting" for endpoint in going)
