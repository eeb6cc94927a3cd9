"""The overhead of localaws over the bare container, and the parts of a cold start.

``make bench-localaws``, or ``.venv/bin/python bench/localaws.py [--calls N]``. It starts its own
S3 server, localaws and container on free ports, and ends them.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import urllib3  # noqa: E402
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from PIL import Image  # noqa: E402

from container.tests.serving import Server, free_port, start_server  # noqa: E402
from localaws.container_client import ContainerClient  # noqa: E402
from localaws.keys import Key, KeyRing  # noqa: E402
from localaws.signature import Request, read_claim, verify  # noqa: E402
from localaws.tests.servers import (  # noqa: E402
    CONTAINER_PYTHON,
    KEY,
    REAL,
    REGION,
    ROLE,
    SECRET,
    LocalAwsProcess,
    s3_server,
    wait_for,
)
from tests import ending  # noqa: E402
from tests.artifacts import constant_archive  # noqa: E402

BUCKET = "bench-localaws"
NETWORKS = ROOT / "bench" / "out" / "networks"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400, help="calls of each kind")
    calls = parser.parse_args().calls
    resnet = resnet_18()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with s3_server(home / "s3") as s3:
            local = LocalAwsProcess(home / "localaws", s3, container=REAL)
            local.start()
            try:
                (home / "port").mkdir()
                # As in the image; localaws's own container listens at a Unix socket.
                with start_server(
                    home / "port", SAGEMAKER_BIND_TO_PORT=str(free_port())
                ) as at_a_port:
                    measure(local, home, resnet, calls, at_a_port)
            finally:
                local.stop()
    return 0


def resnet_18() -> Path:
    """ResNet-18 with generated weights, packed as the notebook packs it."""
    subprocess.run(
        [CONTAINER_PYTHON, str(ROOT / "bench" / "networks.py"), str(NETWORKS)],
        check=True,
        timeout=300,
        stdout=subprocess.DEVNULL,
    )
    archive = NETWORKS / "resnet-18.tar.gz"
    if not archive.exists():
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(NETWORKS / "resnet-18", arcname=".")
    return archive


def measure(
    local: LocalAwsProcess, home: Path, resnet: Path, calls: int, at_a_port: Server
) -> None:
    sagemaker, s3 = local.client("sagemaker"), local.client("s3")
    runtime = local.client("sagemaker-runtime")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    tiny = constant_archive(home / "tiny.tar.gz", labels=list("abcdef"), answer=0)
    s3.upload_file(str(tiny), BUCKET, "models/tiny.tar.gz")
    for number in range(3):
        s3.upload_file(str(resnet), BUCKET, f"models/resnet_18_{number}.tar.gz")
    image = io.BytesIO()
    Image.effect_noise((224, 224), 60).convert("RGB").save(image, "JPEG")
    picture = image.getvalue()
    sagemaker.create_model(
        ModelName="bench",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "bench",
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{BUCKET}/models/",
        },
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "bench",
        "InstanceType": "ml.m5.xlarge",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])

    print(f"{os.cpu_count()} processors, load before: {os.getloadavg()[0]:.1f}\n")
    seconds = []
    for number in range(3):
        if number:
            sagemaker.delete_endpoint(EndpointName="bench")
            wait_for(lambda: not sagemaker.list_endpoints()["Endpoints"], 60)
        start = time.perf_counter()
        sagemaker.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
        wait_for(lambda: status(sagemaker) != "Creating", 240)
        assert status(sagemaker) == "InService"
        seconds.append(time.perf_counter() - start)
    print(f"CreateEndpoint to InService   {', '.join(f'{s:.2f}' for s in seconds)} s")

    def call(target: str) -> None:
        runtime.invoke_endpoint(
            EndpointName="bench",
            ContentType="application/x-image",
            TargetModel=target,
            Body=picture,
        )["Body"].read()

    print("\nFirst call of ResNet-18, ms     whole  download  unpack  load  rest")
    for number in range(3):
        target = f"resnet_18_{number}.tar.gz"
        whole = timed(lambda target=target: call(target))
        (instance,) = local.instances("bench")
        model = next(m for m in instance["models"] if m["target_model"] == target)
        parts = [model["download_ms"], model["unpack_ms"], model["load_ms"]]
        row = "".join(f"{part:8.0f}" for part in parts)
        print(f"{'':30}{whole:7.0f}{row}{whole - sum(parts):6.0f}")

    call("tiny.tar.gz")
    (instance,) = local.instances("bench")
    name = next(m["model_name"] for m in instance["models"] if m["target_model"] == "tiny.tar.gz")
    bare = ContainerClient(instance["address"])
    port = ContainerClient(at_a_port.address)
    with tarfile.open(tiny) as archive:
        archive.extractall(home / "tiny")
    assert at_a_port.load(name, home / "tiny").status == 200
    through = urllib3.HTTPConnectionPool("127.0.0.1", local.port)

    def direct(container: ContainerClient) -> None:
        plain = {"Content-Type": "application/x-image"}
        assert container.invoke(name, picture, plain, timeout=60).ok

    path = "/endpoints/bench/invocations"
    headers = {
        "Content-Type": "application/x-image",
        "X-Amzn-SageMaker-Target-Model": "tiny.tar.gz",
    }

    def localaws() -> None:
        assert through.request("POST", path, body=picture, headers=signed()).status == 200

    # Signed once a minute: signing takes a client 0.1 ms, which is not localaws's time. A signature
    # is valid for five minutes.
    made: dict[int, dict[str, str]] = {}

    def signed() -> dict[str, str]:
        minute = int(time.time() // 60)
        if minute not in made:
            request = AWSRequest("POST", f"{local.url}{path}", headers=headers, data=picture)
            SigV4Auth(Credentials(KEY, SECRET), "sagemaker", REGION).add_auth(request)
            made[minute] = dict(request.headers.items())
        return made[minute]

    def verifying() -> None:
        wire = [(name.lower(), value) for name, value in signed().items()]
        wire.append(("host", f"127.0.0.1:{local.port}"))
        request = Request("POST", path, wire)
        verify(request, picture, read_claim(request), ring, service="sagemaker")

    ring = KeyRing([Key(KEY, SECRET)])

    kinds: dict[str, Callable[[], None]] = {
        "a container at a port, bare": lambda: direct(port),
        "the container, bare": lambda: direct(bare),
        "through localaws": localaws,
        "through localaws, with boto3": lambda: call("tiny.tar.gz"),
        "verifying a signature": verifying,
    }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(20):
        for run in kinds.values():
            run()
    for _ in range(calls):  # interleaved, so that other load affects all
        for kind, run in kinds.items():
            times[kind].append(timed(run))
    print("\nWarm call of a tiny model, ms     p50     p99")
    for kind, values in times.items():
        p99 = statistics.quantiles(values, n=100)[98]
        print(f"{kind:30}{statistics.median(values):7.2f} {p99:7.2f}")
    overhead = statistics.median(times["through localaws"]) - statistics.median(
        times["the container, bare"]
    )
    print(f"{'overhead of localaws':30}{overhead:7.2f}")


def status(sagemaker: Any) -> str:
    found: str = sagemaker.describe_endpoint(EndpointName="bench")["EndpointStatus"]
    return found


def timed(run: Callable[[], None]) -> float:
    """Milliseconds that ``run`` takes."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    ending.run(main)
