"""``mme events``: filters, and a CSV file."""

import csv
import io
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
EVENT = {
    "id": "7",
    "at": "2026-11-29T09:30:00Z",
    "actor": "kim",
    "level": "info",
    "action": "model.created",
    "subject": {"kind": "model", "name": "=1+1", "url": "/models/1/"},
    "sentence": "Made the model, and\nnothing else.",
    "request_id": "r-1",
    "channel": "mme",
    "address": None,
}


def test_events_as_a_csv_file_without_formulas(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [EVENT, EVENT | {"id": "6"}], "next": None})]
    ran = mme(
        *("events", "--csv", "--until", "2026-11-30T00:00Z", "--request", "r-1"),
        url=fake.url,
        token="t",
    )
    assert ran.code == 0, ran.err
    target = fake.requests[0].target
    assert "until=2026-11-30T00%3A00Z" in target
    assert "request=r-1" in target
    head, first, second = csv.reader(io.StringIO(ran.out))
    assert head[:2] == ["at", "person"]
    row = dict(zip(head, first, strict=True))
    assert (row["kind"], row["subject"], row["address"]) == ("model", "'=1+1", "")
    assert row["sentence"] == "Made the model, and\nnothing else."
    assert second == first


def test_what_is_followed_has_no_end_and_is_no_file(mme: Mme, fake: FakePortal) -> None:
    ran = mme("events", "--follow", "--csv", url=fake.url, token="t")
    assert ran.code == 2
    assert "--follow does not go with" in ran.err
    assert not fake.requests
