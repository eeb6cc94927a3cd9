"""The chip says where the portal works: on a local stack, or in which AWS account."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core import aws, errors, where
from core.where import HOLDS_S, RETRY_S, AccountWatch

FOUND = aws.Identity("123456789012", "", "portal")


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_S3", "_SAGEMAKER", "_SAGEMAKER_RUNTIME", "_STS"):
        monkeypatch.delenv(f"AWS_ENDPOINT_URL{name}", raising=False)
    monkeypatch.delenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", raising=False)


class Now:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://[::1]:4566", True),
        ("http://localhost:4566", True),
        ("http://localaws:4566", True),  # a service of Docker Compose
        ("http://10.0.3.7:4566", True),
        ("https://api.sagemaker.ap-northeast-2.amazonaws.com", False),
        ("https://vpce-1.api.sagemaker.ap-northeast-2.vpce.amazonaws.com", False),
        ("https://proxy.example.com", False),  # it may lead to AWS
        ("http://8.8.8.8", False),
        ("", False),
    ],
)
def test_it_is_local_where_all_addresses_are(
    address: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    assert where.is_local() is local


@pytest.mark.parametrize("name", ["S3", "SAGEMAKER", "SAGEMAKER_RUNTIME"])
def test_it_is_not_local_where_one_service_is_that_of_aws(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in {"S3", "SAGEMAKER", "SAGEMAKER_RUNTIME"} - {name}:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{other}", "http://127.0.0.1:1")
    assert not where.is_local()
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", "http://127.0.0.1:1")
    assert where.is_local()
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert not where.is_local()


def test_a_local_stack_costs_nothing_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setattr(where, "WATCH", None)
    assert where.chip() == where.Chip(
        "Local stack · not AWS · costs nothing",
        "Everything runs on machines of your own. No AWS account is used, and nothing here costs "
        "money.",
        local=True,
    )


def test_on_aws_it_names_account_region_and_role(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = AccountWatch(lambda: FOUND)
    monkeypatch.setattr(where, "WATCH", watch)
    first = where.chip()
    assert first.text == "AWS · ap-northeast-2 · account unknown"
    assert not first.local
    watch.wait(10)
    assert where.chip().text == "AWS · 123456789012 · ap-northeast-2 · portal"


def test_an_alias_is_shown_instead_of_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = AccountWatch(lambda: aws.Identity("123456789012", "vision-prod", "portal"))
    monkeypatch.setattr(where, "WATCH", watch)
    where.chip()
    watch.wait(10)
    assert where.chip().text == "AWS · vision-prod · ap-northeast-2 · portal"
    assert "123456789012" in where.chip().title


def test_a_page_does_not_wait_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def look() -> aws.Identity:
        may_end.wait(30)
        return FOUND

    watch = AccountWatch(look)
    monkeypatch.setattr(where, "WATCH", watch)
    assert "being looked up" in where.chip().title  # returns while the look hangs
    may_end.set()
    watch.wait(10)
    assert "123456789012" in where.chip().text


@pytest.mark.parametrize(
    ("error", "told"),
    [(errors.Denied("No credentials."), "No credentials."), (RuntimeError("x"), "RuntimeError")],
)
def test_a_failure_is_said_and_tried_again(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, looks = Now(), []

    def look() -> aws.Identity:
        looks.append(1)
        if len(looks) == 1:
            raise error
        return FOUND

    watch = AccountWatch(look, clock)
    monkeypatch.setattr(where, "WATCH", watch)
    where.chip()
    watch.wait(10)
    assert told in where.chip().title
    assert len(looks) == 1  # not at once
    clock.now += RETRY_S
    where.chip()
    watch.wait(10)
    assert "123456789012" in where.chip().text
    clock.now += HOLDS_S - 1
    where.chip()
    watch.wait(10)
    assert len(looks) == 2


def test_what_was_found_stays_where_a_later_look_fails() -> None:
    clock, answers = Now(), [FOUND]

    def look() -> aws.Identity:
        if not answers:
            raise errors.Throttled("AWS did not answer.")
        return answers.pop()

    watch = AccountWatch(look, clock)
    for _ in range(2):
        watch.known()
        watch.wait(10)
        clock.now += HOLDS_S
    assert watch._found == FOUND
    assert watch._problem == "AWS did not answer."


class _Answers:
    """A client of AWS with one answer, or one error."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def answer() -> Any:
            given = self._answers[name]
            if isinstance(given, Exception):
                raise given
            return given

        return answer


def _client_error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": code}}, "ListAccountAliases")


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        ("arn:aws:sts::123456789012:assumed-role/mme-portal/i-0", "mme-portal"),
        ("arn:aws:iam::123456789012:user/team/kim", "kim"),
        ("arn:aws-cn:iam::123456789012:root", "root"),
    ],
)
def test_the_role_is_read_from_the_arn(
    arn: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"Account": "123456789012", "Arn": arn}
    monkeypatch.setattr(aws, "_sts", lambda: _Answers(get_caller_identity=answer))
    monkeypatch.setattr(
        aws, "_iam", lambda: _Answers(list_account_aliases={"AccountAliases": ["vision"]})
    )
    assert aws.identity() == aws.Identity("123456789012", "vision", role)


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_without_the_right_to_list_aliases_the_number_is_enough(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/kim"}
    monkeypatch.setattr(aws, "_sts", lambda: _Answers(get_caller_identity=answer))
    monkeypatch.setattr(aws, "_iam", lambda: _Answers(list_account_aliases=_client_error(code)))
    assert aws.identity() == aws.Identity("123456789012", "", "kim")


def test_the_page_shows_the_chip(admin_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    client = Client()
    client.force_login(admin_user)
    assert "Local stack · not AWS · costs nothing" in client.get("/").content.decode()
