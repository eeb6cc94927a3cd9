"""``mme deploy --expires``, ``mme endpoint expire`` and ``postpone``; how a time is read."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem
from mme_client import Portal
from mme_client.cli import moments
from mme_client.cli.moments import moment
from mme_client.cli.running import WrongUse

Mme = Callable[..., Ran]
API = "/api/v1/endpoints"
NOW = datetime(2026, 12, 20, 9, 30, tzinfo=UTC)
END, END_IN_SEOUL = "2026-12-24T09:00:00Z", "2026-12-24 18:00"
ENDPOINT = EXAMPLES["endpoints_update"]["202"] | {
    "name": "demo", "state": "in_service", "settled": True, "serving": True, "failure": None,
    "expires_at": END,
}  # fmt: skip
ENDLESS = ENDPOINT | {"expires_at": None}
DEPLOY = ("deploy", "demo")
EXPIRE = ("endpoint", "expire", "demo")
POSTPONE = ("endpoint", "postpone", "demo")


@pytest.fixture(autouse=True)
def _in_seoul_at_a_fixed_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "now", lambda: NOW)
        patch.setenv("TZ", "KST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("90m", NOW + timedelta(minutes=90)),
        ("8h", NOW + timedelta(hours=8)),
        ("3d", NOW + timedelta(days=3)),
        (" 3d ", NOW + timedelta(days=3)),
        ("2026-12-24T18:00", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ("2026-12-24 18:00", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ("2026-12-24T18:00Z", datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ("2026-12-24T18:00-05:00", datetime(2026, 12, 24, 23, tzinfo=UTC)),
        ("2026-12-24", datetime(2026, 12, 23, 15, tzinfo=UTC)),  # 00:00 in Seoul
        ("2020-01-01T00:00Z", datetime(2020, 1, 1, tzinfo=UTC)),  # the portal refuses it
    ],
)
def test_a_time_is_on_the_readers_clock_or_from_now(text: str, means: datetime) -> None:
    found = moment(text)
    assert found == means
    assert found.tzinfo is not None


WRONG = [
    "", "3", "d", "3w", "-3d", "+3d", "1.5h", "3 d", "3dd", "٣d", "tomorrow", "18:00", "24.12.2026",
    "2026-13-01", "2026-12-24T25:00", "99999999d", "9" * 30 + "m", "0001-01-01T00:00+14:00",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_time_is_wrong_use_with_examples(text: str) -> None:
    with pytest.raises(WrongUse) as refused:
        moment(text)
    said = str(refused.value)
    assert said.startswith(repr(text))
    assert all(one in said for one in ("2026-12-24T18:00 ", "00:00 of that day", "90m", "3d"))


@pytest.mark.parametrize("command", [(*DEPLOY, "--expires"), (*EXPIRE, "--at")])
@pytest.mark.parametrize("text", ["", "soon"])
def test_the_portal_is_not_asked_where_a_time_is_wrong(
    mme: Mme, fake: FakePortal, command: tuple[str, ...], text: str
) -> None:
    ran = mme(*command, text, url=fake.url, token="t")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Wrong use: {text!r} is no time. Give one such as ")
    assert fake.requests == []


def test_an_endpoint_is_deployed_with_an_end_date(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(201, document=ENDPOINT)]
    ran = mme(*DEPLOY, "--expires", "3d", "--count", "2", url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"demo  in_service  ends {END_IN_SEOUL}\n"
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("POST", API)
    assert json.loads(asked.body) == {
        "name": "demo", "instance_count": 2, "expires_at": "2026-12-23T09:30:00+00:00",
    }  # fmt: skip


def test_without_an_end_date_the_portals_preset_holds_and_is_said(
    mme: Mme, fake: FakePortal
) -> None:
    fake.answers = [Says(201, document=ENDPOINT)]
    assert mme(*DEPLOY, url=fake.url, token="t").out.endswith(f"ends {END_IN_SEOUL}\n")
    assert json.loads(fake.requests[0].body) == {"name": "demo"}
    fake.answers = [Says(201, document=ENDLESS)]
    assert mme(*DEPLOY).out == "demo  in_service\n"


def test_a_plan_is_asked_for_with_the_end_date(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [problem("invalid", 422)]
    ran = mme(*DEPLOY, "--plan", "--expires", "2020-01-01", url=fake.url, token="t")
    assert ran.code == 2
    (asked,) = fake.requests
    assert asked.target == f"{API}/plan"
    assert json.loads(asked.body) == {"name": "demo", "expires_at": "2019-12-31T15:00:00+00:00"}


def test_an_end_date_is_given_and_removed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT)]
    ran = mme(*EXPIRE, "--at", "2026-12-24T18:00", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, f"demo  in_service  ends {END_IN_SEOUL}\n", "")
    asked = fake.requests[0]
    assert (asked.method, asked.target) == ("PUT", f"{API}/demo/expiry")
    assert json.loads(asked.body) == {"expires_at": "2026-12-24T09:00:00+00:00"}
    fake.answers = [Says(document=ENDLESS)]
    ran = mme(*EXPIRE, "--never")
    assert (ran.code, ran.out, ran.err) == (0, "demo  in_service  no end date\n", "")
    assert json.loads(fake.requests[1].body) == {"expires_at": None}


def test_an_end_date_is_given_or_removed_and_not_both(mme: Mme, fake: FakePortal) -> None:
    ran = mme(*EXPIRE, url=fake.url, token="t")
    said = "Wrong use: Say when it ends: --at WHEN, --never, or --idle HOURS.\n"
    assert (ran.code, ran.err) == (2, said)
    ran = mme(*EXPIRE, "--at", "3d", "--never")
    assert (ran.code, ran.err) == (2, "Wrong use: Give one of --at and --never.\n")
    assert fake.requests == []


def test_an_end_date_is_postponed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT)]
    ran = mme(*POSTPONE, url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, f"demo  in_service  ends {END_IN_SEOUL}\n", "")
    (asked,) = fake.requests
    assert (asked.method, asked.target, asked.body) == ("POST", f"{API}/demo/postpone", b"")
    fake.answers = [problem("conflict", 409)]
    ran = mme(*POSTPONE)
    assert ran.code == 1
    assert "This is conflict." in ran.err


def test_a_postponement_that_is_sent_again_is_made_once(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(drop=True), Says(document=ENDPOINT)]
    assert mme(*POSTPONE, url=fake.url, token="t").code == 0
    first, second = (one.headers["Idempotency-Key"] for one in fake.requests)
    assert first == second


@pytest.mark.parametrize(
    "command",
    [(*DEPLOY, "--expires", "3d"), (*EXPIRE, "--at", "3d"), (*EXPIRE, "--never"), POSTPONE],
)
def test_quiet_is_the_name_and_json_what_the_api_gave(
    mme: Mme, fake: FakePortal, command: tuple[str, ...]
) -> None:
    fake.answers = [Says(document=ENDPOINT)]
    ran = mme(*command, "--quiet", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, "demo\n", "")
    assert json.loads(mme(*command, "--json").out) == ENDPOINT


def test_endpoints_say_when_they_end(mme: Mme, fake: FakePortal) -> None:
    endless = ENDLESS | {"name": "other"}
    fake.answers = [Says(document={"items": [ENDPOINT, endless], "next": None})]
    heading, first, second, *_ = mme("endpoints", url=fake.url, token="t").out.splitlines()
    column = heading.index("ends")
    assert first[column:].startswith(END_IN_SEOUL)
    assert second[column : column + len(END_IN_SEOUL)].strip() == ""
    fake.answers = [Says(document=ENDPOINT)]
    assert ["ends", *END_IN_SEOUL.split()] in [
        line.split() for line in mme("endpoints", "demo").out.splitlines()
    ]
    fake.answers = [Says(document=ENDLESS)]
    assert "ends" not in mme("endpoints", "demo").out


def test_end_dates_are_said_in_korean(mme_process: Callable[..., Ran], fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT)]
    said = {"MME_URL": fake.url, "MME_TOKEN": "t", "LANG": "ko_KR.UTF-8"}
    ran = mme_process(*POSTPONE, **said)
    assert (ran.code, ran.out) == (0, f"demo  서비스 중  종료일 {END_IN_SEOUL}\n"), ran.err
    ran = mme_process(*EXPIRE, "--at", "내일", **said)
    assert ran.code == 2
    assert "시각이 아닙니다: '내일'." in ran.err


def test_the_library_takes_and_gives_times(fake: FakePortal) -> None:
    with Portal(fake.url, "t") as portal:
        fake.answers = [Says(document=ENDPOINT)]
        local = datetime(2026, 12, 24, 18)  # noqa: DTZ001 - one without a zone is local
        end = datetime(2026, 12, 24, 9, tzinfo=UTC)
        for given in (local, end, end.astimezone()):
            endpoint = portal.endpoints.expire("a/b", given)
            assert endpoint.expires_at == end
            asked = fake.requests[-1]
            assert asked.target == f"{API}/a%2Fb/expiry"
            assert json.loads(asked.body) == {"expires_at": "2026-12-24T09:00:00+00:00"}
        portal.endpoints.create("demo", expires_at=local)
        portal.endpoints.preview("demo", expires_at=local)
        for asked in fake.requests[-2:]:
            assert json.loads(asked.body) == {
                "name": "demo", "expires_at": "2026-12-24T09:00:00+00:00",
            }  # fmt: skip
        assert portal.endpoints.postpone("a/b").expires_at == end
        assert fake.requests[-1].target == f"{API}/a%2Fb/postpone"
        fake.answers = [Says(document=ENDLESS)]
        assert portal.endpoints.expire("demo", None).expires_at is None
        assert json.loads(fake.requests[-1].body) == {"expires_at": None}
