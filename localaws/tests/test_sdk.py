"""The SageMaker Python SDK v2 as a client, with the container that is shipped."""

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from localaws.tests.servers import REAL, REGION
from stack.layout import SDK_VENV
from tests.artifacts import constant_archive

PYTHON = Path(os.environ.get("SDK_PYTHON", SDK_VENV / "bin" / "python"))
#: The SDK's own switch for its calls home (its documentation, "Configuring and using defaults").
CONFIG = """
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


@pytest.mark.timeout(400)
def test_the_walk_with_multidatamodel(start, tmp_path):
    assert PYTHON.exists(), "The SDK is not installed: run `make test`, or `stack/run install sdk`."
    local = start(container=REAL)
    home = tmp_path / "home"
    archives = home / "archives"
    archives.mkdir(parents=True)
    for number in range(3):
        labels = [f"m{number} label {i}" for i in range(6)]
        constant_archive(archives / f"m{number}.tar.gz", labels=labels, answer=number)
    Image.new("RGB", (32, 32), "teal").save(home / "picture.png")
    (home / "sagemaker.yaml").write_text(CONFIG)
    bucket = "sdk-walk"
    local.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    env = local.environment(home) | {
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(home / "sagemaker.yaml"),
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(home / "sagemaker.yaml"),
    }
    script = Path(__file__).with_name("sdk_walk.py")
    walk = subprocess.run(
        [PYTHON, script, bucket, archives, home / "picture.png"],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert walk.returncode == 0, walk.stdout + walk.stderr + local.log.read_text()[-3000:]
    assert walk.stdout.rstrip().endswith(": done")
    assert not list((local.data / "instances").iterdir())
