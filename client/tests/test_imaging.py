"""``mme images``: what is in ECR, against a portal that answers as the real one."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mme@sha256:" + "1" * 64
ONE = {
    "image": IMAGE, "digest": "sha256:" + "1" * 64, "tags": ["2", "latest"],
    "pushed_at": "2026-11-01T00:00:00Z", "size_bytes": 5 << 30,
}  # fmt: skip


def test_images_are_listed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [ONE], "note": None})]
    ran = mme("images", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert all(text in ran.out for text in ("2, latest", "5.0 GB", IMAGE))
    assert fake.requests[0].target == "/api/v1/images"
    assert mme("images", "-q").out == f"{IMAGE}\n"
    assert json.loads(mme("images", "--json").out)["items"] == [ONE]


def test_why_there_are_none_is_said(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [], "note": "This local stack has no ECR."})]
    ran = mme("images", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "")
    assert "This local stack has no ECR." in ran.err
