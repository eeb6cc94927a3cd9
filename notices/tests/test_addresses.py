"""Where a webhook may lead: what is refused when it is typed, and when it is connected to."""

import ipaddress
import socket
import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from core.sentences import Sentence
from notices import addresses, sending
from notices.addresses import AddressRefused, Unresolved
from notices.tests.receiver import Receiver

PUBLIC = "93.184.216.34"


def _allowed(address: str) -> bool:
    return addresses.is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/hook?key=a%20b",
        "https://xn--bcher-kva.example/hook",
        "https://[2606:2800:220:1::1]/hook",
        "https://example.com:443/",
        "https://example.com.:2000/a/b",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert addresses.parse(url).scheme == "https"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",  # http is a setting
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "example.com/hook",
        "//example.com/hook",
        "https:///hook",
        "https://",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://@example.com/",
        "https://example.com\\@internal/",
        "https://example.com/a b",
        "https://example.com/\thook",
        "https://example.com/\r\nHost: internal",
        "https://example.com/#part",
        "https://example.com/#",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:port/",
        "https://example.com:-443/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://bücher.example/",
        "https://example.com/훅",
        "https://" + "a" * 254 + "/",
        "https://example.com/" + "a" * 2000,
        "",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        addresses.parse(url)
    assert list(raised.value.message_dict) == ["url"]


def test_http_is_a_setting(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    assert addresses.parse("http://example.com/hook").port == 80
    assert addresses.parse("http://example.com:8099/hook").shown == "example.com:8099"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",  # of a provider's own
        "169.254.169.254",  # AWS's metadata
        "169.254.170.2",  # the credentials of a task
        "0.0.0.0",
        "0.1.2.3",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",  # 127.0.0.1, as of old
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",  # NAT64
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",  # 6to4
        "2002:a9fe:a9fe::1",
        "2001:0:53aa:64c::1",  # Teredo
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",  # AWS's metadata
        "ff02::1",
        "2001:db8::1",
        "100::1",
    ],
)
def test_what_is_not_public_is_never_connected_to(address: str) -> None:
    assert not _allowed(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_public_is(address: str) -> None:
    assert _allowed(address)


def test_a_setting_allows_networks_and_never_what_is_link_local(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = tuple(
        ipaddress.ip_network(one) for one in ("10.1.0.0/16", "169.254.0.0/16", "::/0")
    )
    assert _allowed("10.1.2.3")
    assert _allowed("::ffff:10.1.2.3")
    assert not _allowed("10.2.0.1")
    assert not _allowed("169.254.169.254")
    assert not _allowed("fe80::1")
    assert not _allowed("0.0.0.0")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"],
)
def test_no_setting_allows_where_clouds_have_credentials(settings: Any, address: str) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = tuple(
        ipaddress.ip_network(one) for one in ("169.254.0.0/16", "fd00::/8", "fe80::/10", "::/0")
    )
    assert _allowed("fd00::1")
    assert not _allowed(address)


def _leads_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have the system's resolver give these, one after the other; gives the names asked for."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _leads_to(monkeypatch, [PUBLIC, "10.0.0.1"])
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        addresses.resolve(addresses.parse("https://example.com/"))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost"])
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises((AddressRefused, Unresolved)):
        addresses.resolve(addresses.parse(f"https://{host}/"))


def test_a_name_without_an_address_says_so() -> None:
    with pytest.raises(Unresolved):
        addresses.resolve(addresses.parse("https://nowhere.invalid/"))
    with pytest.raises(Unresolved):  # labels have 63 characters at most
        addresses.resolve(addresses.parse(f"https://{'a' * 64}.example/"))


def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        ended.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(addresses, "RESOLVE_S", 0.05)
    try:
        with pytest.raises(Unresolved, match="in time"):
            addresses.resolve(addresses.parse("https://example.com/"))
    finally:
        ended.set()


def test_the_address_that_was_checked_is_connected_to_whatever_the_name_says_later(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """DNS rebinding: the first answer is allowed, each later one is another machine."""
    port = receiver.url.split(":")[2].partition("/")[0]
    asked = _leads_to(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    target = addresses.parse(f"http://rebound.example:{port}/hook")
    answer = sending.post(target, {}, b"{}")
    assert (answer.status, answer.problem) == (204, None)
    assert asked == ["rebound.example"]
    assert receiver.got[0].headers["Host"] == f"rebound.example:{port}"


def test_what_leads_inside_is_not_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = ()
    answer = sending.post(addresses.parse(receiver.url), {}, b"{}")
    assert answer.status is None
    assert isinstance(answer.problem, Sentence)
    assert "not on the public internet" in str(answer.problem)
    assert receiver.got == []
