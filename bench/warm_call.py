"""The latency of a warm call through localaws, compared with another checkout, interleaved.

    git worktree add ../before COMMIT && (cd ../before && ./stack/run run -c 0)
    make bench-warm-call ARGS="--against ../before"

Each checkout starts its own S3 server, localaws and container, with its own virtual environments,
and serves the demo network for digits. One boto3 client for each calls it, in turns. It prints the
time of a call as the client sees it, and the ratio.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from PIL import Image  # noqa: E402

from bench.validation import digits  # noqa: E402
from tests import ending  # noqa: E402

# Run in each checkout, with its own code: starts the servers and says where they are.
_SERVE = """
import json, sys, tempfile
from pathlib import Path
sys.path.insert(0, ".")
from localaws.tests.servers import (
    KEY, REAL, REGION, ROLE, SECRET, LocalAwsProcess, s3_server, wait_for)
with tempfile.TemporaryDirectory(prefix="bench-") as folder, s3_server(Path(folder) / "s3") as s3:
    local = LocalAwsProcess(Path(folder) / "localaws", s3, container=REAL)
    local.start()
    try:
        store, sagemaker = local.client("s3"), local.client("sagemaker")
        store.create_bucket(Bucket="bench",
                            CreateBucketConfiguration={"LocationConstraint": REGION})
        store.upload_file(sys.argv[1], "bench", "models/digits.tar.gz")
        sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=dict(
            Image="m", Mode="MultiModel", ModelDataUrl="s3://bench/models/"))
        sagemaker.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[dict(
            VariantName="A", ModelName="m", InstanceType="ml.m5.xlarge", InitialInstanceCount=1)])
        sagemaker.create_endpoint(EndpointName="m", EndpointConfigName="m")
        wait_for(lambda: sagemaker.describe_endpoint(EndpointName="m")["EndpointStatus"]
                 == "InService", 120)
        print(json.dumps({"url": local.url, "key": KEY, "secret": SECRET, "region": REGION}),
              flush=True)
        sys.stdin.read()
    finally:
        local.stop()
"""


@contextmanager
def _serving(checkout: Path, archive: Path) -> Any:
    """A client of the checkout's localaws; the servers end with the block, or with this process."""
    process = subprocess.Popen(
        [checkout / ".venv" / "bin" / "python", "-c", _SERVE, str(archive)],
        cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        about = json.loads(process.stdout.readline())
        yield boto3.client(
            "sagemaker-runtime",
            endpoint_url=about["url"],
            region_name=about["region"],
            aws_access_key_id=about["key"],
            aws_secret_access_key=about["secret"],
            config=Config(retries={"total_max_attempts": 1}),
        )
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _call(client: Any, picture: bytes) -> float:
    began = time.perf_counter()
    client.invoke_endpoint(
        EndpointName="m", TargetModel="digits.tar.gz", ContentType="image/png", Body=picture
    )["Body"].read()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, required=True, help="the other checkout")
    parser.add_argument("--calls", type=int, default=2000, help="calls of each")
    arguments = parser.parse_args()
    file = BytesIO()
    Image.new("L", (28, 28), 90).save(file, "PNG")
    archive = digits()
    with ExitStack() as stack:
        clients = {
            "before": stack.enter_context(_serving(arguments.against.resolve(), archive)),
            "now": stack.enter_context(_serving(ROOT, archive)),
        }
        took: dict[str, list[float]] = {name: [] for name in clients}
        for number in range(arguments.calls + 50):
            for name, client in clients.items():
                milliseconds = _call(client, file.getvalue())
                if number >= 50:  # the first ones load the model and open connections
                    took[name].append(milliseconds)
    print(f"A warm call, {arguments.calls} of each in turns (ms):")
    for name, times in took.items():
        cuts = statistics.quantiles(times, n=100)
        print(f"  {name:8} p50 {cuts[49]:.2f}   p90 {cuts[89]:.2f}   p99 {cuts[98]:.2f}")
    ratio = statistics.median(took["now"]) / statistics.median(took["before"])
    print(f"  ratio of the medians {ratio:.2f}")


if __name__ == "__main__":
    ending.run(main)
