"""How many instances of a type the account may run for endpoints (Service Quotas)."""

import re
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from core import aws, errors
from core.remembered import Shared
from core.sentences import phrase
from endpoints.models import Endpoint
from endpoints.variants import Variants

_SERVICE = "sagemaker"
_NAME = re.compile(r"(ml\.\S+) for endpoint usage")
#: The codes of quotas do not change, and to list them takes seconds.
_codes: Shared[str, dict[str, str]] = Shared(keep_s=86_400)


def limit_of(instance_type: str) -> int | None:
    """How many the account may run for endpoints; None: AWS tells no such quota.

    Raises an AwsError.
    """

    def none(error: aws.ServiceError) -> errors.AwsError | None:
        return errors.NotFound(error.message) if error.code == "NoSuchResourceException" else None

    with aws.translated(phrase("reading the quota of %(type)s", type=instance_type), none):
        code = (_codes.get(_SERVICE, _listed) or {}).get(instance_type)
        if code is None:
            return None
        answer = aws.service_quotas().get_service_quota(ServiceCode=_SERVICE, QuotaCode=code)
    return int(answer["Quota"]["Value"])


def _listed() -> dict[str, str]:
    """The codes of the quotas of endpoints, by instance type."""
    pages = aws.service_quotas().get_paginator("list_service_quotas")
    found: dict[str, str] = {}
    for page in pages.paginate(ServiceCode=_SERVICE, PaginationConfig={"PageSize": 100}):
        quotas: Iterable[dict[str, Any]] = page["Quotas"]
        for one in quotas:
            if name := _NAME.fullmatch(one["QuotaName"]):
                found[name[1]] = one["QuotaCode"]
    return found


def notes(parts: Variants) -> list[str]:
    """What is to be known of the quotas where ``parts`` are started, a sentence for each type.

    What runs goes on until the new instances serve, so these come on top of it.
    """
    asked: dict[str, int] = {}
    for one in parts:
        asked[one.instance_type] = asked.get(one.instance_type, 0) + one.instance_count
    running = _running()
    return [_note(kind, count, running.get(kind, 0)) for kind, count in asked.items()]


def _note(instance_type: str, asked: int, running: int) -> str:
    told: dict[str, object] = {"type": instance_type, "now": running}
    try:
        limit = limit_of(instance_type)
    except errors.AwsError as error:
        said = _("The quota of %(type)s could not be read: %(error)s")
        return said % {**told, "error": error}
    if limit is None:
        return _("AWS tells no quota of %(type)s for endpoints.") % told
    told |= {"limit": limit, "together": running + asked}
    said = _(
        "Your account may run %(limit)s of %(type)s for endpoints; those of this portal run "
        "%(now)s."
    )
    if running + asked > limit:
        more = _(
            "With these there would be %(together)s, which SageMaker will refuse: ask AWS to raise "
            "the quota, or choose another type."
        )
        said = f"{said} {more}"
    return said % told


def _running() -> dict[str, int]:
    """How many instances of each type run for the portal's endpoints, as last seen."""
    found: dict[str, int] = {}
    for endpoint in Endpoint.objects.shown():
        if endpoint.has_instances:
            for one in endpoint.running.parts:
                found[one.instance_type] = found.get(one.instance_type, 0) + one.instance_count
    return found
