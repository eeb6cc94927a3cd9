"""Which address counts is nothing that a client can choose."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from accounts.addresses import UNKNOWN, client_address, networks, throttled_as
from accounts.tests.conftest import LogIn


def _address(peer: str, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))


@pytest.mark.parametrize("forwarded", [None, "198.51.100.1", "127.0.0.1", "198.51.100.1, 10.0.0.1"])
def test_without_a_trusted_proxy_a_forwarded_address_is_only_a_claim(forwarded: str | None) -> None:
    assert _address("192.0.2.1", forwarded) == "192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # What the client itself sent stands further left.
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8:5::1]:4711", "2001:db8:5::1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::7", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9," * 5000 + "198.51.100.1", "198.51.100.1"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", "198.51.100.1", UNKNOWN),
    ],
)
def test_behind_trusted_proxies_the_last_address_that_one_of_them_saw_counts(
    settings: Any, peer: str, forwarded: str | None, client: str
) -> None:
    settings.TRUSTED_PROXIES = networks(["10.0.0.0/8", "2001:db8::7"])
    assert _address(peer, forwarded) == client


def test_a_typo_among_the_trusted_proxies_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"TRUSTED_PROXIES holds '10\.0\.0\.1/8'"):
        networks(["192.0.2.0/24", "10.0.0.1/8"])


def test_attempts_of_ipv6_count_by_its_64_bit_network() -> None:
    assert (
        throttled_as("2001:db8:1:2:3:4:5:6") == throttled_as("2001:db8:1:2::") == "2001:db8:1:2::"
    )
    assert throttled_as("192.0.2.1") == "192.0.2.1"


def test_a_client_cannot_make_further_attempts_with_forged_headers(
    ada: User, log_in: LogIn
) -> None:
    statuses = [
        log_in("ada", "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}").status_code
        for number in range(8)
    ]
    assert statuses == [400] * 4 + [429] * 4


def test_a_client_cannot_lock_another_ones_address_with_forged_headers(
    ada: User, log_in: LogIn, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = networks(["10.0.0.1"])
    for _ in range(6):
        log_in("ada", "wrong", address="10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.1, 198.51.100.66")
    victim = {"address": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}
    assert log_in("ada", **victim).status_code == 302
