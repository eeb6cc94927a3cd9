"""A day of an admin against a whole stack: once in the browser, and once more with `mme`."""

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from playwright.sync_api import Browser, Page, expect

from tests.servers import wait_until
from tests.stack import Stack
from tests.test_client_on_stack import shell

REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/mme"
GOOD, BROKEN = f"{REGISTRY}:2", f"{REGISTRY}:broken"
WHY = "did not pass the ping health check"
LIVE = 90_000  # ms that a page may take to change by itself on a busy machine
#: Between two calls: as many as leave the processors to what is tested.
PAUSE_S = 0.1
#: Between two looks that load a page or start `mme`.
LOOK_S = 0.5
#: Between two looks at the orphans, for which the portal looks at AWS once a minute at most.
ORPHANS_S = 3
#: What beat sends each minute, and in which the portal tells that an end comes.
ENDS = "endpoints.tasks.sweep_ends"


def _client(stack: Stack, service: str, variable: str = "AWS_ENDPOINT_URL_SAGEMAKER") -> Any:
    return boto3.client(
        service,
        endpoint_url=stack.aws[variable],
        aws_access_key_id=stack.aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.aws["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.aws["AWS_REGION"],
        config=Config(retries={"total_max_attempts": 1}),
    )


class Caller:
    """A program that calls an endpoint on SageMaker all day, and tries nothing twice."""

    def __init__(self, stack: Stack, endpoint: str) -> None:
        self._runtime = _client(stack, "sagemaker-runtime", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME")
        self._endpoint = endpoint
        self._picture = (stack.local_dir / "demo" / "samples" / "digit-three.jpg").read_bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.answers = 0
        self.problem: Exception | None = None

    def _work(self) -> None:
        try:
            while not self._over.wait(PAUSE_S):
                answer = self._runtime.invoke_endpoint(
                    EndpointName=self._endpoint, TargetModel="digits_v2.tar.gz",
                    Body=self._picture, ContentType="image/jpeg",
                )  # fmt: skip
                assert b"three" in answer["Body"].read()
                self.answers += 1
        except Exception as problem:
            self.problem = problem

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Call no more."""
        self._over.set()
        self._thread.join()

    def goes_on(self) -> None:
        """Return when further calls were answered; no call failed until then."""
        before = self.answers
        wait_until(lambda: self.problem or self.answers > before + 2, "further calls", 90)
        assert self.problem is None, self.problem


@contextlib.contextmanager
def broken_image(stack: Stack) -> Iterator[None]:
    """Containers of one image do not become healthy, as those of an image that cannot start."""
    address = f"{stack.layout.localaws_url}/_localaws/faults"
    token = (stack.local_dir / "localaws" / "admin-token").read_text().strip()
    headers = {"X-Localaws-Token": token}
    plan = {"faults": [{"action": "unhealthy", "name": BROKEN}]}
    requests.put(address, json=plan, headers=headers, timeout=30).raise_for_status()
    try:
        yield
    finally:
        requests.delete(address, headers=headers, timeout=30).raise_for_status()


@contextlib.contextmanager
def left_model(stack: Stack, endpoint: str) -> Iterator[str]:
    """A SageMaker model that bears the tags of an endpoint, and that no row knows; its name."""
    control, name = _client(stack, "sagemaker"), f"{endpoint}-left"
    control.create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::123456789012:role/mme",
        PrimaryContainer={
            "Image": GOOD,
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{stack.environment['MODEL_BUCKET']}/models/",
        },
        Tags=[{"Key": "mme-portal:endpoint", "Value": endpoint}],
    )
    try:
        yield name
    finally:
        left = {one["ModelName"] for one in control.list_models(MaxResults=100)["Models"]}
        if name in left:
            control.delete_model(ModelName=name)


def nothing_left(stack: Stack, endpoint: str) -> bool:
    """Whether SageMaker has nothing whose name begins with that of the endpoint."""
    control = _client(stack, "sagemaker")
    found = (
        control.list_endpoints(NameContains=endpoint)["Endpoints"],
        control.list_endpoint_configs(NameContains=endpoint)["EndpointConfigs"],
        control.list_models(NameContains=endpoint)["Models"],
    )
    return not any(found)


# --- in the browser ------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page, logged in as an admin; a script error fails the test."""
    context = browser.new_context(base_url=stack.url, timezone_id="Asia/Seoul")
    context.set_default_timeout(30_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto("/login/")
    opened.get_by_label("User name").fill("admin")
    opened.get_by_label("Password").fill(stack.admin_password)
    opened.get_by_role("button", name="Log in").click()
    expect(opened.get_by_role("heading", level=1)).to_have_text("Today")
    yield opened
    context.close()
    assert wrong == []


def _choose(page: Page, field: str, value: str) -> None:
    """Choose in a select, which may have a field with a search in its place."""
    page.locator(f"select[name={field}]").select_option(value=value)


def _change(page: Page, endpoint: str) -> None:
    page.goto(endpoint)
    page.get_by_role("link", name="Change", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Change")


def _revision(page: Page, endpoint: str, number: int, state: str) -> None:
    """Wait until a revision has a state."""
    page.goto(f"{endpoint}revisions/")
    row = page.locator("tr", has=page.get_by_role("cell", name=f"r{number}", exact=True))
    expect(row).to_contain_text(state, timeout=LIVE)


def test_an_admins_day_in_the_browser(page: Page, stack: Stack) -> None:
    name = "day-pages"
    # Plan it: two variants, and an end within the day, of which the portal tells.
    page.get_by_role("navigation").get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="Create an endpoint").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("summary").filter(has_text="A second variant").click()
    page.get_by_label("Name of the first variant").fill("large")
    page.get_by_label("Weight of the first variant").fill("9")
    page.get_by_label("Name of the second variant").fill("small")
    shown = page.evaluate("() => new Date(Date.now() + 3 * 3600e3).toLocaleString('sv')")
    page.get_by_label("End date").fill(shown[:16].replace(" ", "T"))
    page.get_by_role("button", name="Show the plan").click()
    plan = page.locator("#plan")
    for said in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "USD an hour"):
        expect(plan).to_contain_text(said)
    assert nothing_left(stack, name)
    changed = plan.locator("[data-changed]")
    page.get_by_label("Weight of the first variant").fill("8")
    expect(changed).to_contain_text("The form was changed after this plan was made.")
    page.get_by_label("Weight of the first variant").fill("9")
    expect(changed).to_be_hidden()

    # Create it as planned; programs call it from then on.
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(re.compile(r"/endpoints/\d+/(#.*)?$"))
    endpoint = page.url.partition("#")[0]
    live = page.locator("#live")
    in_service = re.compile("In ?service", re.I)
    expect(live.get_by_role("heading", level=1)).to_contain_text(in_service, timeout=LIVE)
    with contextlib.ExitStack() as during:
        left = during.enter_context(left_model(stack, name))
        caller = during.enter_context(Caller(stack, name))
        caller.goes_on()

        # Resize it.
        _change(page, endpoint)
        _choose(page, "instance_type", "ml.m5.xlarge")
        page.get_by_role("button", name="Show the plan").click()
        expect(page.locator("#plan")).to_contain_text("UpdateEndpoint")
        page.get_by_role("button", name="Change it").click()
        page.wait_for_url(re.compile(rf"^{re.escape(endpoint)}(#.*)?$"))
        expect(page.locator(".strip")).to_contain_text("1 × ml.m5.xlarge", timeout=LIVE)
        _revision(page, endpoint, 2, "Serving")
        caller.goes_on()

        # A bad image rolls back, and the page says why.
        with broken_image(stack):
            _change(page, endpoint)
            page.get_by_label("Container image").fill(BROKEN)
            page.get_by_role("button", name="Change it").click()
            page.wait_for_url(re.compile(rf"^{re.escape(endpoint)}(#.*)?$"))
            expect(live).to_contain_text(WHY, timeout=LIVE)
        expect(live).to_contain_text("The endpoint serves as before")
        _revision(page, endpoint, 3, "Rolled back")
        caller.goes_on()

        # A good one serves.
        _change(page, endpoint)
        page.get_by_label("Container image").fill(GOOD)
        page.get_by_role("button", name="Change it").click()
        _revision(page, endpoint, 4, "Serving")
        caller.goes_on()

        # Other weights, at once.
        page.goto(endpoint)
        weights = page.locator("#weights")
        weights.get_by_label("large", exact=True).fill("1")
        weights.get_by_role("button", name="Share the calls so").click()
        expect(page.locator("#weights")).to_contain_text("50 %", timeout=LIVE)
        _revision(page, endpoint, 5, "Serving")
        caller.goes_on()

        # Its end was told of meanwhile: it is to go on for a day more.
        stack.send(ENDS)
        page.goto(endpoint)
        wait_until(
            lambda: page.reload() and live.get_by_text("Its end date comes:").count(),
            "the warning", 90, every_s=LOOK_S,
        )  # fmt: skip
        live.get_by_role("button", name="One day longer").click()
        expect(live.get_by_text("Its end date comes:")).to_have_count(0)
        page.goto(f"{endpoint}history/")
        expect(page.locator("main")).to_contain_text("within a day")

        # What no endpoint owned is found, and belongs to this one now.
        wait_until(
            lambda: page.goto("/endpoints/orphans/") and page.get_by_text(left).count(),
            "the orphan", 90, every_s=ORPHANS_S,
        )  # fmt: skip
        page.get_by_role("checkbox", name=re.compile(re.escape(left))).check()
        page.get_by_role("button", name="Adopt").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        caller.goes_on()
        caller.stop()

        # Tear it down: the orphan goes as well.
        page.goto(endpoint)
        page.get_by_role("link", name="Tear down").click()
        expect(page.locator("main")).to_contain_text(left)
        page.get_by_label("Name of the endpoint").fill(name)
        page.get_by_role("button", name="Tear down").click()
        expect(live).to_contain_text("Torn down.", timeout=LIVE)
        assert nothing_left(stack, name)

    # What it cost stays.
    page.goto("/endpoints/cost/")
    line = page.get_by_role("row").filter(has=page.get_by_role("link", name=name))
    expect(line).to_contain_text("torn down")
    expect(line.get_by_role("cell").last).to_have_text(re.compile(r"^\s*\d+\.\d\d\s*$"))


# --- with `mme` ----------------------------------------------------------------------------


class Mme:
    """`mme` as an admin has it, in a shell that has sourced portal.env."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._variables = shell(stack, folder)
        self._folder = folder

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command, which ends with this code."""
        done = subprocess.run(
            ["mme", *arguments], cwd=self._folder, env=self._variables, capture_output=True,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments}\n{done.stdout}{done.stderr}"
        return done

    def __call__(self, *arguments: str) -> Any:
        """What it prints with --json."""
        return json.loads(self.run(*arguments, "--json").stdout)


def test_an_admins_day_with_mme(stack: Stack, tmp_path: Path) -> None:
    mme, name = Mme(stack, tmp_path), "day-mme"
    size = ("--variant", "large=ml.m5.large:1:9", "--variant", "small=ml.m5.large:1:1")
    plan = mme("deploy", name, *size, "--plan")
    actions = [one["action"] for one in plan["calls"]]
    assert actions == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert float(plan["cost"]["per_hour"]) > 0
    mme.run("endpoints", name, code=3)

    made = mme("deploy", name, *size, "--expires", "3h", "--reason", "the day", "--wait")
    assert made["state"] == "in_service"
    picture = str(stack.local_dir / "demo" / "samples" / "digit-three.jpg")
    assert mme("invoke", name, "digits:2", picture)["predictions"][0]["label"] == "three"
    load = mme(
        "experiment", name, "--models", "digits:2", "--calls", "2000", "--callers", "2",
        "--rate", "5",
    )["id"]  # fmt: skip

    def calls_go_on() -> None:
        before = mme("experiments", load)["calls"]
        wait_until(
            lambda: mme("experiments", load)["calls"] > before + 2, "further calls", 90,
            every_s=LOOK_S,
        )  # fmt: skip

    with left_model(stack, name) as left:
        calls_go_on()
        larger = ("--variant", "large=ml.m5.xlarge:1:9", "--variant", "small=ml.m5.large:1:1")
        resized = mme("endpoint", "update", name, *larger, "--wait")
        assert [one["instance_type"] for one in resized["running"]["variants"]] == [
            "ml.m5.xlarge",
            "ml.m5.large",
        ]
        with broken_image(stack):
            failed = mme.run("endpoint", "update", name, "--image", BROKEN, "--wait", code=1)
        assert WHY in failed.stderr
        after = mme("endpoints", name)
        assert (after["state"], after["image"]) == ("in_service", made["image"])
        assert mme("endpoint", "update", name, "--image", GOOD, "--wait")["image"] == GOOD
        calls_go_on()
        shared = mme("endpoint", "weights", name, "large=1", "small=1", "--wait")
        assert [one["weight"] for one in shared["running"]["variants"]] == [1, 1]
        states = [one["state"] for one in mme("endpoint", "revisions", name)["items"]]
        assert states == ["serves", "superseded", "rolled_back", "superseded", "superseded"]

        def warned() -> bool:
            told = mme("events", "--subject", name, "-n", "200")["items"]
            return "endpoint.expires_in_a_day" in {one["action"] for one in told}

        stack.send(ENDS)
        wait_until(warned, "the warning", 90, every_s=LOOK_S)
        later = mme("endpoint", "postpone", name)["expires_at"]
        day = datetime.fromisoformat(later) - datetime.fromisoformat(made["expires_at"])
        assert day == timedelta(days=1)

        def found() -> bool:
            return left in [one["name"] for one in mme("orphans")["items"]]

        wait_until(found, "the orphan", 90, every_s=ORPHANS_S)
        (adopted,) = mme("orphans", f"model/{left}", "--adopt")["items"]
        assert (adopted["state"], adopted["adopted_by"]) == ("adopted", name)

        calls_go_on()
        calls = mme("experiments", load, "--stop", "--wait")
        assert (calls["failed"], calls["calls"]) == (0, calls["succeeded"])
        assert calls["calls"] > 0
        ran = {one["name"]: one for one in mme("cost")["items"]}
        assert float(ran[name]["forecast"]) >= float(ran[name]["cost"]) >= 0

        assert mme("teardown", name, "--yes", "--wait")["state"] == "gone"
        assert nothing_left(stack, name)
        over = {one["name"]: one for one in mme("cost")["items"]}
        assert over[name]["forecast"] == over[name]["cost"]
