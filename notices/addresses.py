"""Which addresses a webhook may have, and which of the hosts that they name are connected to.

A webhook makes the portal send a request to an address that somebody typed. So that it reaches no
service that only the portal's own network does, the name is resolved once, each address that it has
must be of the public internet, or of a network that WEBHOOK_PRIVATE_NETWORKS names, and the
connection goes to one of these very addresses (notices/sending.py): a name that leads elsewhere a
moment later leads nowhere.
"""

import ipaddress
import queue
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core import threads
from core.sentences import Sentence, phrase
from notices.models import URL_LENGTH

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RESOLVE_S: Final = 5.0
# Services of old that answer plain text have ports below it; 25 is mail.
_FIRST_FREE_PORT = 1024
_PORTS = {"https": 443, "http": 80}
_LONGEST_HOST = 253
# IPv6 addresses that lead to an IPv4 address: NAT64 (RFC 6052), 6to4, and the old compatible ones.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
# EC2's own services by IPv6: metadata, credentials of pods, DNS. None of it is link-local.
_EC2 = ipaddress.IPv6Network("fd00:ec2::/32")
_IPV4 = 0xFFFF_FFFF


class AddressRefused(Exception):
    """The address is not connected to; ``sentence`` says why."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class Unresolved(Exception):
    """The name has no address now; ``sentence`` says so."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


@dataclass(frozen=True)
class Target:
    """A webhook's address in its parts. ``path`` has the query, and is ASCII."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """Host and port, as the header Host has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """The parts of a webhook's address; raises ValidationError, of the field ``url``."""
    try:
        return _parse(url)
    except ValueError:
        raise _wrong(_("It is no address: write it as https://example.com/hook.")) from None


def _parse(url: str) -> Target:
    if len(url) > URL_LENGTH:
        raise _wrong(_("It may have at most %(most)s characters.") % {"most": URL_LENGTH})
    if not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
        said = _("It may hold no spaces, backslashes or letters beyond ASCII: percent-encode them.")
        raise _wrong(said)
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _wrong(_("It is no address: write it as https://example.com/hook."))
    if parts.scheme == "http" and not settings.WEBHOOK_ALLOW_HTTP:
        said = _(
            "It must begin with https://. An admin of the server may allow http (%(setting)s)."
        )
        raise _wrong(said % {"setting": "WEBHOOK_ALLOW_HTTP"})
    if "@" in parts.netloc:
        raise _wrong(_("It may hold no user name or password: they would be shown in lists."))
    if parts.fragment or url.endswith("#"):
        raise _wrong(_("It may hold no #: what follows is never sent."))
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    if port not in _PORTS.values() and port < _FIRST_FREE_PORT:
        said = _("The port must be 443, 80, or 1024 and more.")
        raise _wrong(said)
    host = parts.hostname
    if len(host) > _LONGEST_HOST or "%" in host:
        raise _wrong(_("It is no address: write it as https://example.com/hook."))
    path = parts.path or "/"
    return Target(parts.scheme, host, port, f"{path}?{parts.query}" if parts.query else path)


def _wrong(said: str) -> ValidationError:
    return ValidationError({"url": said})


def resolve(target: Target) -> list[Address]:
    """The addresses of a target's host, all of which may be connected to.

    Raises AddressRefused where one of them may not, Unresolved where there is none.
    """
    found = _look_up(target.host, target.port)
    for address in found:
        if not is_allowed(address):
            raise AddressRefused(
                phrase(
                    "%(host)s leads to %(address)s, which is not on the public internet. The "
                    "setting %(setting)s can allow its network.",
                    host=target.host,
                    address=str(address),
                    setting="WEBHOOK_PRIVATE_NETWORKS",
                )
            )
    return found


def is_allowed(address: Address) -> bool:
    """Whether webhooks may connect to it: it is public, or of an allowed network.

    Where clouds have their metadata and credentials, it never is: at link-local addresses, and at
    those that EC2 has for its services.
    """
    plain = _embedded(address)
    if plain is None or plain.is_link_local or plain.is_multicast or plain.is_unspecified:
        return False
    if plain in _EC2:
        return False
    if any(plain in network for network in settings.WEBHOOK_PRIVATE_NETWORKS):
        return True
    if plain.is_reserved or getattr(plain, "is_site_local", False):
        return False
    return plain.is_global


def _embedded(address: Address) -> Address | None:
    """The address that a packet to ``address`` may end at; None: nobody can tell."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    address = ipaddress.IPv6Address(address.packed)  # without a zone
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None or address in _NAT64_LOCAL:
        return None
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & _IPV4)
    return address


def _look_up(host: str, port: int) -> list[Address]:
    """Ask the system, for some seconds at most: it has no time limit of its own."""
    answers: queue.Queue[list[Address] | Exception] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(ipaddress.ip_address(one[4][0]) for one in found)))
        except (OSError, ValueError) as error:  # UnicodeError, too: a label that is too long
            answers.put(error)

    thread = threads.started(ask, name="resolve")
    try:
        found = answers.get(timeout=RESOLVE_S if thread is not None else 0)
    except queue.Empty:
        raise Unresolved(
            phrase("The address of %(host)s was not found in time.", host=host)
        ) from None
    if isinstance(found, Exception) or not found:
        raise Unresolved(phrase("There is no address of %(host)s.", host=host))
    return found
