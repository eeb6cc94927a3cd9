"""Which address a request comes from, also behind proxies."""

import ipaddress
from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Where a request names no address, as over a Unix socket.
UNKNOWN = "0.0.0.0"  # noqa: S104 - nothing binds to it

_MOST_HOPS = 20


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and CIDRs as networks; ImproperlyConfigured names the one that is none."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"TRUSTED_PROXIES holds {text!r}, which is no address or network: {error}."
            ) from None
    return tuple(found)


def client_address(request: HttpRequest) -> str:
    """The address of the client.

    That is the peer of the connection. Only where this peer is one of TRUSTED_PROXIES is
    ``X-Forwarded-For`` read, from the right: each proxy appends the address that it saw, so the
    right-most address that is no trusted proxy is the last one that somebody we trust has seen.
    What stands left of it is the client's own word.
    """
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    if peer is None:
        return UNKNOWN
    if not _trusted(peer):
        return str(peer)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", _MOST_HOPS)
    for text in reversed(hops[-_MOST_HOPS:]):
        hop = _parse(text)
        if hop is None:
            break
        peer = hop
        if not _trusted(hop):
            break
    return str(peer)


def throttled_as(address: str) -> str:
    """The address under which attempts are counted: of IPv6 the /64, which one client owns."""
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
        # The zone is the name of an interface, and no part of the address.
        address = ipaddress.IPv6Address(address.packed)
        return address.ipv4_mapped or address
    return address
