"""Our signature is botocore's, of the same request at the same time."""

from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from core import aws, signature_v4

AT = datetime(2026, 11, 29, 21, 0, 7, tzinfo=UTC)
_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60)


def botocores(monkeypatch, url, headers, body, token, region):
    """What botocore adds to the headers of a request, ``Host`` by itself."""
    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: AT.replace(tzinfo=None))
        request = AWSRequest(method="POST", url=url, data=body, headers=headers)
        SigV4Auth(Credentials("AKID", "secret", token), "sagemaker", region).add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("https://runtime.sagemaker.eu-west-1.amazonaws.com", None),
        ("http://127.0.0.1:8181", "127.0.0.1:8181"),
        ("http://[::1]:8181", "[::1]:8181"),
        ("https://example.test:443", "example.test"),
        ("https://example.test/a/prefix", "example.test"),
    ],
)
@given(
    kind=_TEXT,
    attributes=_TEXT,
    name=st.sampled_from(["demo", "a-b", "with%20space", "%ED%95%9C"]),
    body=st.binary(max_size=100),
)
@settings(max_examples=25)
def test_it_is_botocores(monkeypatch_session, base, host, token, kind, attributes, name, body):
    url = f"{base}/endpoints/{name}/invocations"
    path = "/" + url.split("/", 3)[3]
    sent = {"Content-Type": kind, "X-Amzn-SageMaker-Custom-Attributes": attributes}
    theirs = botocores(monkeypatch_session, url, sent, body, token, "eu-west-1")
    ours = signature_v4.signed(
        method="POST",
        path=path,
        headers={"Host": host or base.partition("//")[2], **sent},
        body=body,
        access_key="AKID",
        secret_key="secret",
        token=token,
        region="eu-west-1",
        service="sagemaker",
        at=AT,
    )
    assert ours.pop("Host") == host or host is None
    assert ours == theirs


@pytest.fixture(scope="module")
def monkeypatch_session():
    """One for all examples of Hypothesis, which runs a test many times with one fixture."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_another_day_has_another_key():
    keys = {signature_v4._key("secret", day, "r", "s") for day in ("20261129", "20261130")}
    assert len(keys) == 2


def test_the_host_is_the_one_that_botocore_signs():
    assert aws._invoke_address(aws.sagemaker_runtime()).host
