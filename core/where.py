"""Where the portal works: on a local stack, which costs nothing, or in which AWS account.

A page must not wait for AWS, so a thread looks the account up while pages show what is known.
"""

import ipaddress
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from core import aws, errors, threads

log = logging.getLogger(__name__)

# What the portal uses, as the AWS SDKs name it in AWS_ENDPOINT_URL_<SERVICE>
# (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
_SERVICES = ("S3", "SAGEMAKER", "SAGEMAKER_RUNTIME")
# An account does not change while credentials are the same; an alias may, seldom.
HOLDS_S = 3600.0
# After a failure AWS is asked again so soon, while pages are requested.
RETRY_S = 60.0


def is_local() -> bool:
    """Whether every service that the portal uses is a stand-in, so that nothing costs money.

    True where AWS_ENDPOINT_URL_<SERVICE>, or AWS_ENDPOINT_URL, names this machine, a private
    address, or a bare host name such as a service of Docker Compose. Another address may be a proxy
    of AWS, so it counts as AWS.
    """
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return False
    everywhere = os.environ.get("AWS_ENDPOINT_URL", "")
    return all(
        _is_stand_in(os.environ.get(f"AWS_ENDPOINT_URL_{service}") or everywhere)
        for service in _SERVICES
    )


def _is_stand_in(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(".localhost"))
    return number.is_loopback or number.is_private


@dataclass(frozen=True)
class Chip:
    """What the top bar says of the place: the words, more of it on hover, and which it is."""

    text: str
    title: str
    local: bool


class AccountWatch:
    """What this process knows of its AWS account; ``look`` and ``clock`` are given by tests."""

    def __init__(
        self,
        look: Callable[[], aws.Identity] = aws.identity,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._due = float("-inf")
        self._found: aws.Identity | None = None
        self._problem = ""

    def known(self) -> tuple[aws.Identity | None, str]:
        """The account that was found last, and what went wrong since; does not wait."""
        with self._lock:
            if self._looking is None and self._clock() >= self._due:
                self._looking = threads.started(self._run, name="account")
            return self._found, self._problem

    def wait(self, seconds: float) -> None:
        """Wait for a look that is under way."""
        looking = self._looking
        if looking is not None:
            looking.join(seconds)

    def _run(self) -> None:
        found: aws.Identity | None = None
        problem = ""
        try:
            found = self._look()
        except errors.AwsError as error:
            problem = str(error)
            log.warning("The AWS account could not be looked up: %s", error)
        except Exception as error:
            problem = type(error).__name__
            log.exception("The AWS account could not be looked up.")
        with self._lock:
            self._found = found or self._found
            self._problem = problem
            self._due = self._clock() + (RETRY_S if problem else HOLDS_S)
            self._looking = None


WATCH = AccountWatch()
"""What all requests of this process share."""


def chip() -> Chip:
    """Where this portal works, for the top bar; never raises and never waits."""
    if is_local():
        title = _(
            "Everything runs on machines of your own. No AWS account is used, and nothing here "
            "costs money."
        )
        return Chip(_("Local stack · not AWS · costs nothing"), title, local=True)
    region = settings.AWS_REGION
    found, problem = WATCH.known()
    if found is None:
        text = _("AWS · %(region)s · account unknown") % {"region": region}
        if not problem:
            return Chip(text, _("The AWS account is being looked up."), local=False)
        return Chip(
            text,
            _("The AWS account could not be looked up. AWS says: %(problem)s")
            % {"problem": problem},
            local=False,
        )
    names = {"account": found.alias or found.account, "region": region, "role": found.role}
    title = _("AWS account %(number)s, region %(region)s, acting as %(role)s.") % {
        "number": found.account,
        **names,
    }
    return Chip(
        _("AWS · %(account)s · %(region)s · %(role)s") % names,
        title,
        local=False,
    )
