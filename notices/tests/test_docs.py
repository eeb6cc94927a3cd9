"""docs/webhooks.md: its receiver runs as it stands there, and its kinds are those of the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from models_catalog.models import Version
from notices import delivering, kinds, services
from notices.models import Delivery
from notices.tests.conftest import ready
from notices.tests.receiver import Receiver
from tests.servers import free_port, running, wait_for_port, wait_until

PAGE = Path(settings.BASE_DIR) / "docs" / "webhooks.md"


def test_the_receiver_of_the_docs_verifies_what_it_is_sent(
    tmp_path: Path, version: Version, receiver: Receiver
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    script, said = tmp_path / "receiver.py", tmp_path / "said"
    script.write_text(code)
    port = free_port()
    webhook, secret = services.make(
        url=f"http://127.0.0.1:{port}/", kinds=["version.ready"], actor=None
    )
    environment = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": secret}
    with (
        said.open("wb") as out,
        running(
            [sys.executable, str(script)], stdout=out, stderr=subprocess.DEVNULL, env=environment
        ) as process,
    ):
        wait_for_port(port, process)
        ready(version)
        row = Delivery.objects.get()
        delivering.deliver(delivery_pk=row.pk)
        row.refresh_from_db()
        assert row.state == Delivery.State.DELIVERED
        wait_until(lambda: b"version.ready Validated digits v1" in said.read_bytes())
        # With another secret it takes nothing.
        services.rotate(uid=webhook.uid, at_once=True, actor=None)
        ready(version)
        row = Delivery.objects.order_by("-pk")[0]
        delivering.deliver(delivery_pk=row.pk)
        row.refresh_from_db()
        assert row.state == Delivery.State.PENDING
        assert said.read_bytes().count(b"\n") == 1


def test_the_kinds_of_the_docs_are_those_that_there_are() -> None:
    table = PAGE.read_text().partition("## What can be told")[2].partition("## ")[0]
    named = set(re.findall(r"^\| `([a-z._]+)` \|", table, re.MULTILINE))
    assert named == {kind.name for kind in kinds.all_kinds()}
