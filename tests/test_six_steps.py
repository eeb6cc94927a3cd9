"""The README's six steps, clicked through in a real browser against the whole stack."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.artifacts import constant_archive
from tests.stack import Stack

PASSWORD = "correct horse battery"
LIVE = 60_000  # ms that a page may take to change by itself on a busy machine
LABELS = ["cat", "dog", "fish", "bird", "cow", "ant"]


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page whose every script error and failed load fails the test."""
    context = browser.new_context(base_url=stack.url)
    context.set_default_timeout(20_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda m: wrong.append(m.text) if "Content Security" in m.text else None)
    yield opened
    context.close()
    assert wrong == []


def _log_in(page: Page, name: str, password: str) -> None:
    page.goto("about:blank")  # so that no answer to the page before brings its cookies back
    page.context.clear_cookies()
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def _milliseconds(figure: str) -> float:
    """What a page says as ``148 ms`` or ``3.8 s``."""
    number, unit = figure.split()
    return float(number.replace(",", "")) * {"ms": 1, "s": 1000}[unit]


def _make_user(page: Page, name: str, role: str) -> None:
    """An admin invites a person, who chooses a password with the link, in another browser."""
    page.goto("/people/")
    page.get_by_role("link", name="Invite a person").click()
    page.get_by_label("User name").fill(name)
    page.get_by_label("Role").select_option(value=role)
    page.get_by_role("button", name="Create the account").click()
    link = page.locator("#link pre").inner_text().strip()
    assert page.context.browser is not None
    guest = page.context.browser.new_page()
    guest.goto(link)
    guest.get_by_label("New password", exact=True).fill(PASSWORD)
    guest.get_by_label("New password confirmation").fill(PASSWORD)
    guest.get_by_role("button", name="Set the password").click()
    expect(guest.get_by_role("banner")).to_contain_text(name)
    guest.close()
    page.goto("/people/")
    expect(page.get_by_role("main")).to_contain_text(name)


def _upload(page: Page, archive: Path, note: str, version: str) -> None:
    page.get_by_label("Version note").fill(note)
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.locator("#lines").get_by_role("link", name=version).click(timeout=LIVE)


def _invoke(page: Page, version: str, endpoint: str, picture: Path) -> Any:
    page.get_by_role("navigation").get_by_role("link", name="Call a model").click()
    option = page.locator("#version option").filter(has_text=version).first
    page.locator("#version").select_option(value=option.get_attribute("value"))
    option = page.locator("#endpoint option").filter(has_text=endpoint).first
    page.locator("#endpoint").select_option(value=option.get_attribute("value"))
    page.locator("#picture").set_input_files(picture)
    page.get_by_role("button", name="Call the model").click()
    return page.locator("#answer")


def test_the_six_steps(page: Page, stack: Stack, tmp_path: Path) -> None:
    # 1. Log in; an admin makes an operator and a viewer.
    page.goto("/models/")
    expect(page).to_have_url(re.compile("/login/"))
    _log_in(page, "admin", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    _log_in(page, "admin", stack.admin_password)
    expect(page.get_by_role("heading", level=1)).to_have_text("Today")
    expect(page.get_by_role("banner")).to_contain_text("admin")
    _make_user(page, "olive", "operator")
    _make_user(page, "vera", "viewer")

    # 2. An operator uploads a model, and sees it checked, live.
    _log_in(page, "olive", PASSWORD)
    page.get_by_role("navigation").get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Upload a model").click()
    page.get_by_label("Description").fill("Tells animals apart.")
    archive = constant_archive(tmp_path / "animals.tar.gz", labels=LABELS, answer=0)
    _upload(page, archive, "says cat", "animals v1")
    expect(page).to_have_url(re.compile("/models/animals/v1/$"))
    expect(page.locator("#state")).to_have_text("Ready", timeout=LIVE)
    inside = page.locator("#version")
    for shown in ("data 1 × 3 × 8 × 8", "1,158", "FullyConnected", "animals_v1.tar.gz", "fish"):
        expect(inside).to_contain_text(shown)

    # … and a broken one rejected, with the reason on the page.
    page.goto("/models/animals/upload/")
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(archive.read_bytes()[:300])
    _upload(page, broken, "broken", "animals v2")
    expect(page.locator("#reason")).to_contain_text("cut short", timeout=LIVE)

    # 3. Creates an endpoint, leaves its page and comes back, and sees it come into service.
    page.get_by_role("navigation").get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="Create an endpoint").first.click()
    page.get_by_label("Name", exact=True).fill("zoo")
    page.get_by_role("button", name="Create").click()
    page.goto("/models/")
    page.get_by_role("navigation").get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="zoo").first.click()
    expect(page.locator("main")).to_contain_text("InService", timeout=LIVE)
    endpoint_page = page.url
    page.get_by_role("link", name="Configuration", exact=True).click()
    for shown in ("endpoint/zoo", "endpoint-config/zoo-r1", "model/zoo-r1"):
        expect(page.locator("main")).to_contain_text(shown)

    # 4. Invokes it: cold, then warm beside it.
    picture = tmp_path / "picture.jpg"
    Image.new("RGB", (320, 240), "orange").save(picture)
    answer = _invoke(page, "animals v1", "zoo", picture)
    expect(answer.locator(".headline")).to_have_text("cat", timeout=LIVE)
    expect(answer).to_contain_text("Cold start: the model was loaded for this call")
    expect(answer).to_contain_text("Where the time went")
    answer.get_by_role("button", name="Call again").click()
    expect(answer.locator(".versus")).to_contain_text("Warm", timeout=LIVE)
    expect(answer.locator(".versus")).to_contain_text("Cold start")
    # Which is larger depends on what else the machine does; what is said of them has to be so.
    cold, warm = (
        _milliseconds(answer.locator(f'.versus [data-kind="{kind}"] .big').inner_text())
        for kind in ("cold", "warm")
    )
    if cold > 1.1 * warm:
        expect(answer.locator(".times")).to_contain_text("faster")
    elif cold <= warm:
        expect(answer.locator(".times")).to_have_count(0)

    # … a picture that is too large is made smaller, and a text is no picture.
    noise = tmp_path / "noise.png"
    Image.frombytes("RGB", (2000, 1500), os.urandom(9_000_000)).save(noise)
    assert noise.stat().st_size > 6_291_456
    answer = _invoke(page, "animals v1", "zoo", noise)
    expect(answer).to_contain_text("Scaled down", timeout=LIVE)
    expect(answer.locator(".headline")).to_have_text("cat")
    text = tmp_path / "text.jpg"
    text.write_text("This is no picture.")
    answer = _invoke(page, "animals v1", "zoo", text)
    expect(answer.get_by_role("alert")).to_contain_text("picture", timeout=LIVE)
    expect(answer).not_to_contain_text("Traceback")

    # 5. A second version, on the same endpoint, which nobody touched.
    page.goto("/models/animals/")
    page.get_by_role("link", name="Upload a version").click()
    _upload(
        page,
        constant_archive(tmp_path / "b.tar.gz", labels=LABELS, answer=3),
        "says bird",
        "animals v3",
    )
    expect(page).to_have_url(re.compile("/models/animals/v3/$"))
    expect(page.locator("#state")).to_have_text("Ready", timeout=LIVE)
    for version, label in (("animals v3", "bird"), ("animals v1", "cat")):
        answer = _invoke(page, version, "zoo", picture)
        expect(answer.locator(".headline")).to_have_text(label, timeout=LIVE)

    # … a viewer invokes, but neither uploads nor creates nor tears down.
    _log_in(page, "vera", PASSWORD)
    answer = _invoke(page, "animals v3", "zoo", picture)
    expect(answer.locator(".headline")).to_have_text("bird", timeout=LIVE)
    for path in ("/models/", "/models/animals/", "/endpoints/", endpoint_page):
        page.goto(path)
        for text_of_button in ("Upload", "Create", "Tear down"):
            button = re.compile(rf"^{text_of_button}\b")
            assert page.get_by_role("link", name=button).count() == 0, (
                path,
                text_of_button,
            )
    for path in ("/models/new/", "/endpoints/new/", f"{endpoint_page}teardown/"):
        answer_of_server = page.goto(path)
        assert answer_of_server is not None
        assert answer_of_server.status == 403

    # 6. An admin tears it down, by typing its name; the archives stay.
    _log_in(page, "admin", stack.admin_password)
    page.goto(endpoint_page)
    page.get_by_role("link", name="Tear down").click()
    page.locator("form input[type=text]").first.fill("zoo")
    page.get_by_role("button", name="Tear down").click()
    page.get_by_role("link", name="Configuration", exact=True).click()
    expect(page.locator(".badge[data-state=gone]")).to_have_count(4, timeout=LIVE)
    aws = {
        "aws_access_key_id": stack.aws["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": stack.aws["AWS_SECRET_ACCESS_KEY"],
        "region_name": stack.aws["AWS_REGION"],
    }
    control = boto3.client("sagemaker", endpoint_url=stack.aws["AWS_ENDPOINT_URL_SAGEMAKER"], **aws)
    assert "zoo" not in {e["EndpointName"] for e in control.list_endpoints()["Endpoints"]}
    assert "zoo-r1" not in {m["ModelName"] for m in control.list_models()["Models"]}
    configs = control.list_endpoint_configs()["EndpointConfigs"]
    assert "zoo-r1" not in {c["EndpointConfigName"] for c in configs}
    store = boto3.client("s3", endpoint_url=stack.aws["AWS_ENDPOINT_URL_S3"], **aws)
    found = store.list_objects_v2(Bucket=stack.aws["MME_BUCKET"], Prefix="models/animals")
    keys = {item["Key"] for item in found["Contents"]}
    assert keys == {"models/animals_v1.tar.gz", "models/animals_v3.tar.gz"}


def test_the_samples_of_the_demo_are_answered_right(page: Page, stack: Stack) -> None:
    _log_in(page, "admin", stack.admin_password)
    page.goto("/invoke/")
    option = page.locator("#version option").filter(has_text="digits v2")
    page.locator("#version").select_option(value=option.get_attribute("value"))
    sample = page.locator("button[name=sample][value*=digit]").first
    name = sample.get_attribute("value") or ""
    sample.click()
    first = page.locator("#answer .headline")
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    expect(first).to_contain_text(next(word for word in words if word in name), timeout=LIVE)
