"""A worker that is killed in the middle of a delivery: real processes, a real receiver."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import F

from models_catalog.models import Version
from notices import delivering
from notices.models import Delivery, DeliveryAttempt
from notices.tests.conftest import Hook, ready
from notices.tests.receiver import Receiver
from tests.servers import running, wait_until

_WORKER = """
import sys
import django
django.setup()
from notices import delivering
delivering.deliver(delivery_pk=int(sys.argv[1]))
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_the_receiver_answers_is_followed_by_another(
    hook: Hook, receiver: Receiver, version: Version
) -> None:
    _, secret = hook()
    ready(version)
    row = Delivery.objects.get()
    receiver.drip_s = 0.05  # the answer does not end
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "SECRET_KEY": settings.SECRET_KEY,
        "WEBHOOK_ALLOW_HTTP": "1",
        "WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8",
    }
    command = [sys.executable, "-c", _WORKER, str(row.pk)]
    with running(
        command, env=environment, cwd=settings.BASE_DIR, stderr=subprocess.DEVNULL
    ) as worker:
        wait_until(lambda: receiver.got)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(timeout=30) == -signal.SIGKILL
    row.refresh_from_db()
    assert row.state == Delivery.State.PENDING
    assert row.leased_until is not None
    assert not DeliveryAttempt.objects.exists()

    delivering.deliver(delivery_pk=row.pk)
    assert len(receiver.got) == 1, "its lease still runs"
    late = delivering.LEASE + timedelta(seconds=1)
    Delivery.objects.update(leased_until=F("leased_until") - late)
    receiver.drip_s = 0
    delivering.deliver(delivery_pk=row.pk)
    row.refresh_from_db()
    assert row.state == Delivery.State.DELIVERED
    assert [got.headers["webhook-id"] for got in receiver.got] == [row.uid] * 2
    assert receiver.got[0].verified(secret) == receiver.got[1].verified(secret)
