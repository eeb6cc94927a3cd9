"""The address of a request's client, also behind proxies."""

import ipaddress
from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The address of a request that has none, as over a Unix socket.
UNKNOWN = "0.0.0.0"  # noqa: S104 - nothing binds to it

_MAX_HOPS = 20


def networks(texts: Iterable[str], setting: str = "TRUSTED_PROXIES") -> tuple[Network, ...]:
    """Parse addresses and CIDRs; raises ImproperlyConfigured for one that is invalid."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{setting} holds {text!r}, which is no address or network: {error}."
            ) from None
    return tuple(found)


def client_address(request: HttpRequest) -> str:
    """The address of the client.

    This is the peer of the connection. If the peer is one of TRUSTED_PROXIES, ``X-Forwarded-For``
    is read from the right: each proxy appends the address that it saw, so the right-most address
    that is not a trusted proxy is the last one that a trusted proxy has seen. The client itself may
    have written everything to the left of it.
    """
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    if peer is None:
        return UNKNOWN
    if not _trusted(peer):
        return str(peer)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", _MAX_HOPS)
    for text in reversed(hops[-_MAX_HOPS:]):
        hop = _parse(text)
        if hop is None:
            break
        peer = hop
        if not _trusted(hop):
            break
    return str(peer)


def throttled_as(address: str) -> str:
    """The address that attempts are counted by: for IPv6 its /64, which one client may own."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)


def _trusted(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _parse(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:4711
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:4711
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # The zone is the name of an interface, not a part of the address.
        address = ipaddress.IPv6Address(address.packed)
        return address.ipv4_mapped or address
    return address
