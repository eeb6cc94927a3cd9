"""On the whole stack: an upload by the page, cut off by a killed portal, until it is ready."""

import random
import re
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.artifacts import constant_network
from tests.servers import wait_until
from tests.stack import Stack
from tests.upload_page import LONG, MB, Sent, choose, kept, line, send, slowly

LABELS = ["cat", "dog"]


def _archive(path: Path, answer: int) -> Path:
    """A good archive of some MB: it has a file that no network needs."""
    files = constant_network(labels=LABELS, answer=answer)
    files["notes.bin"] = random.Random(answer).randbytes(6 * MB)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    return path


def test_a_portal_that_is_killed_in_the_midst_of_an_upload_makes_it_ready(
    stack: Stack, browser: Any, tmp_path: Path
) -> None:
    good = _archive(tmp_path / "survives.tar.gz", 0)
    broken = tmp_path / "broken-one.tar.gz"
    broken.write_bytes(good.read_bytes()[: 2 * MB])
    page = browser.new_page()
    page.goto(f"{stack.url}/login/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(stack.admin_password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{stack.url}/")
    page.goto(f"{stack.url}/models/new/")
    sent = Sent(page)
    slowly(page, 2 * MB)
    choose(page, good, broken)
    send(page)
    wait_until(lambda: kept(page).get(good.name, 0) >= MB)
    stack.kill_and_wait_back("web")
    slowly(page, 0)
    expect(line(page, good.name)).to_contain_text("survives v1 is ready.", timeout=3 * LONG)
    expect(line(page, broken.name)).to_contain_text("broken-one v1 was rejected:", timeout=3 * LONG)
    expect(line(page, broken.name)).to_contain_text("Rejected")
    assert len([one for one in sent.offsets if one == 0]) <= 4, "it began anew"

    # The same file once more: it is said what that is already.
    choose(page, good)
    line(page, good.name).nth(1).get_by_role(
        "button", name=re.compile("Upload it as survives v2")
    ).click()
    send(page)
    again = line(page, good.name).nth(1)
    expect(again).to_contain_text("The same file is survives v1 already.", timeout=LONG)
    expect(again).to_contain_text("survives v2 is ready.", timeout=3 * LONG)
    again.get_by_role("link", name="survives v2").click()
    expect(page.locator("#state")).to_have_text("Ready")
    page.context.close()
