"""Instances as real containers of the built image; collected where MME_TEST_IMAGE names one."""

import os
import shlex
import signal
import subprocess

import pytest
from PIL import Image

from localaws.telemetry import INSTANCES
from localaws.tests.conftest import Hosting
from localaws.tests.servers import wait_for
from localaws.tests.test_telemetry import total
from tests.artifacts import constant_archive

IMAGE = os.environ.get("MME_TEST_IMAGE", "")
ENGINE = os.environ.get("CONTAINER_ENGINE", "docker")


def containers():
    listing = [*shlex.split(ENGINE), "ps", "--all", "--format", "{{.Names}}"]
    result = subprocess.run(listing, capture_output=True, text=True, check=True, timeout=120)
    return set(result.stdout.split())


@pytest.mark.timeout(590)
def test_an_endpoint_of_real_containers(start, tmp_path):
    options = ("--container-engine", ENGINE, "--memory-mb", "2000", "--metrics-seconds", "1")
    hosting = Hosting(start(*options, container=None), f"engine-{os.getpid()}")
    path = constant_archive(tmp_path / "a.tar.gz", labels=list("abcdef"), answer=2)
    hosting.s3.upload_file(str(path), hosting.bucket, "models/a.tar.gz")
    picture = tmp_path / "picture.png"
    Image.new("RGB", (32, 32), "teal").save(picture)

    def call():
        body = picture.read_bytes()
        return hosting.invoke("e", "a.tar.gz", body, ContentType="application/x-image")["Body"]

    hosting.create("e", wait=False, Image=IMAGE)
    wait_for(lambda: hosting.process.admin("endpoints/e")["status"] != "Creating", 240)
    assert hosting.settled("e")["EndpointStatus"] == "InService"
    assert call().startswith(b'["probability=0.999773, class=c"')
    (one,) = hosting.process.instances("e")
    assert f"localaws-{one['instance']}" in containers()

    told = hosting.process.metrics("e").splitlines()
    stream = f'instance="AllTraffic/{one["instance"]}"'
    assert f'mme_model_calls_total{{{stream},target_model="a.tar.gz"}} 1' in told
    assert f"mme_memory_limit_bytes{{{stream}}} {2000 << 20}" in told

    # Its use of processor and memory is the container's, not that of the engine's client.
    cloudwatch = hosting.process.client("cloudwatch")
    memory = wait_for(lambda: total(cloudwatch, "e", "MemoryUtilization", "Maximum", INSTANCES), 60)
    assert 4 < memory < 100
    assert total(cloudwatch, "e", "CPUUtilization", "Maximum", INSTANCES) > 0

    # A killed localaws takes its containers along.
    hosting.process.kill()
    wait_for(lambda: f"localaws-{one['instance']}" not in containers(), 60, "the container's end")
    # Where it cannot, because the engine's client is killed too, the next start removes them.
    hosting.process.start()
    wait_for(lambda: hosting.process.instances("e"), 240)
    (orphan,) = hosting.process.instances("e")
    hosting.process.process.send_signal(signal.SIGSTOP)  # so that it does not clean up itself
    os.kill(orphan["pid"], signal.SIGKILL)
    hosting.process.kill()
    assert f"localaws-{orphan['instance']}" in containers()
    hosting.process.start()
    wait_for(lambda: hosting.process.instances("e"), 240)
    assert call().startswith(b'["probability=0.999773, class=c"')
    (two,) = hosting.process.instances("e")
    assert f"localaws-{orphan['instance']}" not in containers()
    hosting.sagemaker.delete_endpoint(EndpointName="e")
    wait_for(lambda: not hosting.exists("e"), 180, "an engine that has much to do to remove it")
    assert f"localaws-{two['instance']}" not in containers()
    assert not list((hosting.process.data / "instances").iterdir())
