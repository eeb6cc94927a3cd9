"""The overhead of the portal's page: one picture, sent in three ways, interleaved.

Needs a running stack (`make up`) with its demo endpoint; reads where it is from LOCAL_DIR.

    make bench-portal                   # ARGS="--calls 200" for more

Prints the medians over interleaved calls, and the page's as a multiple of boto3's own call.
"""

import argparse
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import boto3
import requests
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
LOCAL = Path(os.environ.get("LOCAL_DIR", ROOT / ".local"))
ENDPOINT, TARGET = "demo", "digits_v2.tar.gz"


def _aws_env() -> dict[str, str]:
    """What .local/aws.env exports."""
    lines = (LOCAL / "aws.env").read_text().splitlines()
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    return {name: value.strip("'\"") for name, value in pairs}


class Page:
    """The invoke page over HTTP, as a browser with htmx uses it."""

    def __init__(self, url: str, password: str) -> None:
        self._url = url
        self._session = requests.Session()
        token = self._token("/login/")
        login = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
        self._session.post(f"{url}/login/", data=login, timeout=30).raise_for_status()
        page = self._get("/invoke/")
        self._fields = {
            "csrfmiddlewaretoken": self._token("/invoke/"),
            "version": self._option(page, r"digits v2"),
            "endpoint": self._option(page, ENDPOINT),
        }

    def _get(self, path: str) -> str:
        answer = self._session.get(self._url + path, timeout=30)
        answer.raise_for_status()
        return answer.text

    def _token(self, path: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self._get(path))
        assert found, path
        return found[1]

    @staticmethod
    def _option(page: str, text: str) -> str:
        found = re.search(rf'<option value="(\d+)"[^>]*>\s*{text}\b', page)
        assert found, f"the page offers no {text}"
        return found[1]

    def invoke(self, picture: Path) -> None:
        """Send the picture; the answer must be in the page that comes back."""
        answer = self._session.post(
            f"{self._url}/invoke/run/",
            data=self._fields,
            files={"picture": (picture.name, picture.read_bytes(), "image/jpeg")},
            headers={"HX-Request": "true"},
            timeout=60,
        )
        assert 'data-state="done"' in answer.text, answer.text[:500]


def _ms(call: "object", *arguments: object) -> float:
    began = time.perf_counter()
    call(*arguments)  # type: ignore[operator]
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    calls = parser.parse_args().calls
    env = _aws_env()
    url = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    picture = min((LOCAL / "demo" / "samples").glob("digit-three*"))
    page = Page(url, (LOCAL / "admin-password").read_text().strip())
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=env["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_REGION"],
        config=Config(retries={"total_max_attempts": 1}),
    )

    def direct() -> None:
        answer = runtime.invoke_endpoint(
            EndpointName=ENDPOINT,
            TargetModel=TARGET,
            ContentType="application/x-image",
            Body=picture.read_bytes(),
        )
        answer["Body"].read()

    def health() -> None:
        requests.get(f"{url}/healthz", timeout=30).raise_for_status()

    for _ in range(5):
        direct()  # the first call loads the model
        page.invoke(picture)
    times: dict[str, list[float]] = {"boto3": [], "page": [], "healthz": []}
    for _ in range(calls):
        times["boto3"].append(_ms(direct))
        times["page"].append(_ms(page.invoke, picture))
        times["healthz"].append(_ms(health))
    base = statistics.median(times["boto3"])
    load = subprocess.run(["uptime"], capture_output=True, text=True, check=False, timeout=5).stdout
    print(
        f"{calls} calls each, interleaved; {os.cpu_count()} cores;{load.split(',', 2)[-1].rstrip()}"
    )
    print(f"{'':32}{'p50 ms':>9}{'p90 ms':>9}{'× boto3':>9}")
    for name, label in (
        ("boto3", "InvokeEndpoint through boto3"),
        ("page", "the invoke page, answer included"),
        ("healthz", "an empty page (healthz)"),
    ):
        p50, p90 = statistics.median(times[name]), statistics.quantiles(times[name], n=10)[8]
        print(f"{label:32}{p50:9.1f}{p90:9.1f}{p50 / base:9.2f}")


if __name__ == "__main__":
    main()
