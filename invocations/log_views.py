"""What an endpoint's page shows of its containers' log, and asks again while it is followed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from core import clock, errors
from core.permissions import require_permission
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations import log_lines
from invocations.log_lines import LogLevel, LogPage, LogSearch
from invocations.models import Invocation
from models_catalog import references
from models_catalog.models import Version

SHOWN = 200
#: Seconds between two looks while the log is followed.
FOLLOWED_EVERY_S = 5


class Since(models.TextChoices):
    """How far back."""

    MINUTES = "15m", gettext_lazy("15 minutes")
    HOUR = "1h", gettext_lazy("1 hour")
    HOURS = "6h", gettext_lazy("6 hours")
    DAY = "24h", gettext_lazy("24 hours")
    WEEK = "7d", gettext_lazy("7 days")


_SPANS = {
    Since.MINUTES: timedelta(minutes=15),
    Since.HOUR: timedelta(hours=1),
    Since.HOURS: timedelta(hours=6),
    Since.DAY: timedelta(hours=24),
    Since.WEEK: timedelta(days=7),
}


@dataclass
class _Asked:
    """What the address asks for; ``wrong``: why it cannot be asked."""

    endpoint: Endpoint
    since: Since
    text: str = ""
    model: str = ""
    instance: str = ""
    level: LogLevel | None = None
    call: Invocation | None = None
    version: Version | None = None
    wrong: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint, given: QueryDict) -> "_Asked":
        since, level = given.get("since", ""), given.get("level", "")
        asked = cls(
            endpoint=endpoint,
            since=Since(since) if since in Since.values else Since.HOUR,
            level=LogLevel(level) if level in LogLevel.values else None,
            instance=given.get("instance", "")[: log_lines.LONGEST_SEARCH],
        )
        call = given.get("call", "")
        if call.isascii() and call.isdigit() and len(call) < 18:
            rows = Invocation.objects.filter(endpoint=endpoint, pk=int(call)).listed()
            asked.call = rows.first()
        asked._read(given)
        return asked

    def _read(self, given: QueryDict) -> None:
        try:
            self.text = log_lines.checked_text(given.get("search", ""))
            self.model = log_lines.checked_text(given.get("model", ""))
        except ValueError as problem:
            self.wrong = str(problem)
            return
        if self.call is not None:
            self.version = self.call.version
            self.model = f"{self.version.model.name}:{self.version.number}"
        elif self.model:
            self._resolve()

    def _resolve(self) -> None:
        try:
            self.version = references.parse(self.model).resolve()
        except references.Malformed as problem:
            self.wrong = str(problem)
            return
        if self.version is None:
            said = _("There is no version %(name)s. Write it as digits:2.")
            self.wrong = said % {"name": self.model}

    def search(self, now: datetime) -> LogSearch:
        """The search, for lines until ``now``."""
        since, until, text = now - _SPANS[self.since], None, self.text
        if text:
            # SageMaker's request ID of a call by the portal is in no line; the call's own one is.
            text, _made = log_lines.named_by(self.endpoint, text, since=since)
        if self.call is not None:
            since = self.call.created_at - log_lines.AROUND
            took = timedelta(milliseconds=self.call.latency_ms or 0)
            until = self.call.created_at + took + log_lines.AROUND
        return LogSearch(
            since=since,
            until=until,
            text=text,
            version=self.version,
            instance=self.instance,
            level=self.level,
        )


def context_of(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
    """What templates/invocations/_logs.html shows of the lines that the address asks for."""
    asked = _Asked.of(endpoint, request.GET)
    found, problem = LogPage([]), None
    if not asked.wrong:
        try:
            search = asked.search(endpoint.gone_at or clock.now())
            found = log_lines.latest(endpoint, search, most=SHOWN)
        except errors.AwsError as error:
            problem = error
    query = request.GET.copy()
    query.pop("follow", None)
    known = log_lines.instances(found.lines)
    return {
        "endpoint": endpoint,
        "asked": asked,
        "found": found,
        "problem": problem,
        "instances": known if asked.instance in ("", *known) else [asked.instance, *known],
        "levels": LogLevel,
        "spans": Since,
        "query": query.urlencode(),
        "follow": bool(request.GET.get("follow")) and endpoint.gone_at is None and not asked.call,
        "every_s": FOLLOWED_EVERY_S,
        "most": SHOWN,
        "most_searched": log_lines.LONGEST_SEARCH,
        "filtered": bool(asked.text or asked.model or asked.instance or asked.level),
    }


@require_safe
@require_permission(MAY_LOOK, LOOKING)
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The lines by themselves, for htmx."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    return render(request, "invocations/_log_lines.html", context_of(request, endpoint))
