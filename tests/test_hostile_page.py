"""A page of another origin, in a real browser, tries what localaws and the S3 server let it do."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localaws.tests.servers import REGION, LocalAwsProcess, s3_server
from tests.conftest import chromium

BUCKET = "visited"

ATTACK = """
async ({port, s3, file}) => {
  const base = `http://127.0.0.1:${port}`;
  const said = [];
  const order = (url, options) => fetch(url, options).then(
    async answer => said.push([url, answer.type, answer.status, await answer.text()]),
    error => said.push([url, "failed", 0, String(error)]));
  const call = (operation, members) => order(base + "/", {
    method: "POST",
    headers: {
      "x-amz-target": "SageMaker." + operation, "content-type": "application/x-amz-json-1.1"},
    body: JSON.stringify(members)});
  const simple = (url, method, body) => order(url, {method, mode: "no-cors", body});

  await call("CreateModel", {
    ModelName: "evil", ExecutionRoleArn: "arn:aws:iam::123456789012:role/evil",
    PrimaryContainer: {
      Image: "evil", Mode: "MultiModel", ModelDataUrl: "s3://visited/models/",
      Environment: {
        PYTHONWARNINGS: "all:0:antigravity.x:0:0",
        BROWSER: `/bin/sh -c "id > ${file}" %s`}}});
  await call("CreateEndpointConfig", {EndpointConfigName: "evil", ProductionVariants: [{
    VariantName: "AllTraffic", ModelName: "evil", InstanceType: "ml.m5.large",
    InitialInstanceCount: 1}]});
  await call("CreateEndpoint", {EndpointName: "evil", EndpointConfigName: "evil"});
  // Simple requests, which need no preflight.
  const plan = JSON.stringify({faults: [{action: "error", operation: "*", times: 0}]});
  await simple(base + "/_localaws/faults", "POST", plan);
  await simple(base + "/moto-api/reset", "POST", "");
  await simple(base + "/endpoints/demo/invocations", "POST", "x");
  await order(base + "/_localaws/status", {});
  await order(base + "/moto-api/data.json", {});
  await simple(base + "/?Action=GetSessionToken&Version=2011-06-15", "GET");
  await order(s3 + "/visited/secret.txt", {});
  await order(s3 + "/visited/planted.txt", {method: "PUT", body: "x"});
  await simple(s3 + "/visited?delete", "POST",
    "<Delete><Object><Key>secret.txt</Key></Object></Delete>");
  const form = new FormData();
  form.append("key", "planted.txt");
  form.append("file", new Blob(["x"]));
  await simple(s3 + "/visited", "POST", form);
  return said;
}
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a web server that belongs to somebody else."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("<!doctype html><title>A page</title>")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3") / "objects") as url:
        yield url


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[LocalAwsProcess]:
    process = LocalAwsProcess(tmp_path_factory.mktemp("localaws") / "data", s3).start()
    client = process.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket=BUCKET, Key="secret.txt", Body=b"a secret of the S3 server")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser to which evil.example is this machine, as DNS rebinding makes it."""
    with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as launched:
        yield launched


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1"])
def test_a_page_of_another_origin_gets_nothing_done(
    browser: Any, site: int, local: LocalAwsProcess, s3: str, tmp_path: Path, host: str
) -> None:
    file = tmp_path / "ran"
    logs = local.client("logs")
    logs.create_log_group(logGroupName=f"/kept/{host}")
    page = browser.new_page()
    page.goto(f"http://{host}:{site}/index.html")
    said = page.evaluate(ATTACK, {"port": local.port, "s3": s3, "file": str(file)})
    page.close()

    assert len(said) == 13
    # The page sees no answer: either none came, or the browser does not show it.
    assert {(kind, text) for _, kind, _, text in said if kind != "failed"} <= {("opaque", "")}
    sagemaker = local.client("sagemaker")
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert logs.describe_log_groups(logGroupNamePrefix=f"/kept/{host}")["logGroups"]
    assert local.admin("faults")["faults"] == []
    objects = local.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [one["Key"] for one in objects] == ["secret.txt"]
    assert not file.exists()


def test_dns_rebinding_reads_nothing(browser: Any, local: LocalAwsProcess, s3: str) -> None:
    """Under a name of its own the page is of the same origin as localaws: CORS does not apply."""
    page = browser.new_page()
    answer = page.goto(f"http://evil.example:{local.port}/_localaws/health")
    assert answer.status == 403
    said = page.evaluate(
        """async port => {
          const base = `http://evil.example:${port}`;
          const get = (path, options) => fetch(base + path, options).then(
            async answer => [answer.status, await answer.text()]);
          return [await get("/_localaws/health"), await get("/_localaws/status"),
            await get("/", {method: "POST", body: "{}",
              headers: {"x-amz-target": "SageMaker.ListModels"}})];
        }""",
        local.port,
    )
    assert [status for status, _ in said] == [403, 403, 403]
    assert "123456789012" not in json.dumps(said)
    stolen = page.goto(f"http://evil.example:{s3.rpartition(':')[2]}/{BUCKET}/secret.txt")
    assert stolen.status in (400, 403)
    assert "a secret of the S3 server" not in stolen.text()
    page.close()


def test_a_page_may_lead_to_a_presigned_download_and_not_read_it(
    browser: Any, site: int, local: LocalAwsProcess
) -> None:
    """A link or a redirect, as the portal has them; whoever owns the page has the URL."""
    client = local.client("s3", signature_version="s3v4")
    client.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=b"an archive")
    where = {"Bucket": BUCKET, "Key": "model.tar.gz"}
    shown = {"ResponseContentDisposition": 'attachment; filename="m.tar.gz"'}
    url = client.generate_presigned_url("get_object", Params=where | shown)
    inline = client.generate_presigned_url("get_object", Params=where)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{site}/")
    page.evaluate(
        "url => document.body.append(Object.assign(document.createElement('a'), {"
        "href: url, textContent: 'Download'}))",
        url,
    )
    with page.expect_download() as downloaded:
        page.click("text=Download")
    assert downloaded.value.suggested_filename == "m.tar.gz"
    assert Path(downloaded.value.path()).read_bytes() == b"an archive"
    for mode in ("cors", "no-cors"):
        seen = page.evaluate(
            "([url, mode]) => fetch(url, {mode}).then(a => a.text(), error => 'failed')",
            [inline, mode],
        )
        assert seen in ("failed", ""), mode
    page.close()
    client.delete_object(**where)


def test_the_browser_of_these_tests_can_do_it_where_nothing_stands_in_its_way(
    browser: Any, site: int
) -> None:
    """The attack is not stopped by the browser: a server that allows it gets all 13 requests."""
    got: list[str] = []

    class Open(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            got.append(self.command)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Headers", "*, x-amz-target, content-type")
            self.send_header("Access-Control-Allow-Methods", "*")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_OPTIONS = answer

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Open) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        page = browser.new_page()
        page.goto(f"http://evil.example:{site}/index.html")
        base = f"http://127.0.0.1:{server.server_port}"
        said = page.evaluate(ATTACK, {"port": server.server_port, "s3": base, "file": "/x"})
        page.close()
        server.shutdown()
        thread.join()
    assert not [one for one in said if one[1] == "failed"]
    assert len([command for command in got if command != "OPTIONS"]) == 13
