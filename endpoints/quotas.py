"""How many instances of a type the account may run for endpoints (Service Quotas)."""

import re
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core import aws, errors, threads
from core.remembered import Remembered, Shared
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


@dataclass(frozen=True)
class _QuotaAnswer:
    """The quota of a type: ``limit`` is None where AWS tells none, or where ``error`` says why."""

    limit: int | None = None
    error: errors.AwsError | None = None


#: A creation or a change waits this long for an answer, and then goes on without it.
WAITS_S = 4.0
_answers: Remembered[str, _QuotaAnswer] = Remembered(keep_s=300, for_all=True)
_under_way: dict[str, "Future[_QuotaAnswer]"] = {}
_lock = threading.Lock()


def forget() -> None:
    """Ask anew at the next use, in this process."""
    _answers.clear()


def _asked(instance_type: str, *, again: bool = False) -> _QuotaAnswer:
    """The answer of a few minutes ago; with ``again``, or where there is none, a new one."""
    if again:
        forget()
    elif (kept := _answers.get(instance_type, lambda: None)) is not None:
        return kept
    mine: Future[_QuotaAnswer] | None = None
    with _lock:
        future = _under_way.get(instance_type)
        if future is None:
            future = mine = _under_way[instance_type] = Future()
    if mine is not None and threads.started(_ask, instance_type, mine, name="quota") is None:
        _ask(instance_type, mine)  # here, then: others may wait for it already
    try:
        return future.result(WAITS_S)
    except TimeoutError:
        said = phrase("Service Quotas did not answer within %(seconds)s s.", seconds=int(WAITS_S))
        return _QuotaAnswer(error=errors.Throttled(said))


def _ask(instance_type: str, future: "Future[_QuotaAnswer]") -> None:
    try:
        answer = _QuotaAnswer(limit_of(instance_type))
    except errors.AwsError as error:  # is remembered, too
        answer = _QuotaAnswer(error=error)
    except BaseException as error:
        _over(instance_type)
        future.set_exception(error)
        return
    _answers.get(instance_type, lambda: answer)
    _over(instance_type)
    future.set_result(answer)


def _over(instance_type: str) -> None:
    with _lock:
        _under_way.pop(instance_type, None)


def _by_type(parts: Variants) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in parts:
        counts[one.instance_type] = counts.get(one.instance_type, 0) + one.instance_count
    return counts


def check(before: Variants, after: Variants) -> None:
    """Raise ValidationError where an endpoint is to have more of a type than the account may run.

    That is sure whatever else runs. Where only what runs besides makes it too many there is a
    warning alone (`warnings`): that is as last seen. What cannot be read keeps nobody from it.
    """
    had = _by_type(before)
    for kind, count in _by_type(after).items():
        if count <= had.get(kind, 0):
            continue
        limit = _asked(kind).limit
        if limit is not None and count > limit:
            limit = _asked(kind, again=True).limit  # AWS may have raised it meanwhile
        if limit is not None and count > limit:
            said = _(
                "Your account may run %(limit)s of %(type)s for endpoints, and these are "
                "%(count)s. Nothing was created or changed: choose fewer or another type, or ask "
                "AWS to raise the quota (Service Quotas, %(type)s for endpoint usage)."
            )
            told = {"limit": limit, "type": kind, "count": count}
            raise ValidationError({"variants" if len(after) > 1 else "instance_count": said % told})


def notes(parts: Variants) -> list[str]:
    """What is to be known of the quotas where ``parts`` are started, a sentence for each type.

    What runs goes on until the new instances serve, so these come on top of it.
    """
    return [said for said, _matters in _notes(parts)]


def warnings(parts: Variants) -> list[str]:
    """Those of the `notes` that somebody should know who did not ask for a plan."""
    return [said for said, matters in _notes(parts) if matters]


def _notes(parts: Variants) -> list[tuple[str, bool]]:
    asked = _by_type(parts)
    running = _running() if asked else {}
    return [_note(kind, count, running.get(kind, 0)) for kind, count in asked.items()]


def started(before: Variants, after: Variants, *, anew: bool) -> Variants:
    """What is started for a change: all of it ``anew``, or what comes to what there was."""
    if anew:
        return after
    had = {one.name: one.instance_count for one in before}
    more = [replace(one, instance_count=one.instance_count - had.get(one.name, 0)) for one in after]
    return tuple(one for one in more if one.instance_count > 0)


def _note(instance_type: str, asked: int, running: int) -> tuple[str, bool]:
    """A sentence, and whether something may be wrong."""
    told: dict[str, object] = {"type": instance_type, "now": running}
    answer = _asked(instance_type)
    if answer.error is not None:
        said = _("The quota of %(type)s could not be read: %(error)s")
        return said % {**told, "error": answer.error}, True
    limit = answer.limit
    if limit is None:
        return _("AWS tells no quota of %(type)s for endpoints.") % told, False
    told |= {"limit": limit, "together": running + asked}
    said = _(
        "Your account may run %(limit)s of %(type)s for endpoints; those of this portal run "
        "%(now)s."
    )
    too_many = running + asked > limit
    if too_many:
        more = _(
            "With these there would be %(together)s, which SageMaker will refuse: ask AWS to raise "
            "the quota, or choose another type."
        )
        said = f"{said} {more}"
    return said % told, too_many


def _running() -> dict[str, int]:
    """How many instances of each type run for the portal's endpoints, as last seen."""
    found: dict[str, int] = {}
    for endpoint in Endpoint.objects.shown():
        if endpoint.has_instances:
            for one in endpoint.running.parts:
                found[one.instance_type] = found.get(one.instance_type, 0) + one.instance_count
    return found
