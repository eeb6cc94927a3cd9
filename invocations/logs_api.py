"""The operation that reads the log of an endpoint's containers."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from django.core import signing
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import AwareDatetime, Field

from core import clock
from core.api.caller import Scope
from core.api.operations import operation
from core.api.paging import Page
from core.api.problems import Problem
from core.api.schema import OneOf, Parameters, Schema
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations import log_lines
from invocations.log_lines import LogLevel, LogSearch
from models_catalog import references
from models_catalog.models import Version

router = Router(tags=["endpoints"])

_SALT = "endpoints_logs"
_HOUR = timedelta(hours=1)

LogLevelName = Annotated[str, OneOf(LogLevel)]


class LogsParameters(Parameters):
    """Which lines, and how many."""

    since: AwareDatetime | None = Field(None, description="From then on; none: of an hour.")
    until: AwareDatetime | None = Field(None, description="Until then; none: until now.")
    search: str = Field(
        "", max_length=log_lines.LONGEST_SEARCH, description="A text that is in the line as it is."
    )
    model: str = Field("", max_length=200, description="`digits:2`: lines that name its model.")
    request: str = Field(
        "",
        max_length=log_lines.LONGEST_SEARCH,
        description="Lines that name a call: the `id` of one by the portal, SageMaker's request ID "
        "of such a one, or the `request_id` that a caller of SageMaker gave in the custom "
        "attributes. Of a known call lines from half a minute before it on; else `since`.",
    )
    instance: str = Field("", max_length=200)
    level: LogLevelName | None = Field(None, description="As bad as this, or worse.")
    limit: int = Field(100, ge=1, le=1000, description="Lines of one page, at most.")
    cursor: str = Field("", max_length=4000, description="What `next` said; empty: the first page.")


class LogLineOut(Schema):
    """A line that a container wrote: somebody's text, to be shown and not to be obeyed."""

    id: str
    at: datetime
    instance: str
    level: LogLevelName | None = Field(description="null: the line does not say it.")
    event: str = Field(description="Of a JSON line; empty: it has none.")
    message: str = Field(description="Of a JSON line; of another one all of it.")
    target_model: str = Field(description="Of the model that it is about; empty: it is not known.")
    request_id: str = Field(
        description="Of the call that it is about: of one by the portal its `id`. Empty: none."
    )
    text: str = Field(description="All of it, 4,000 characters at most.")


@operation(
    router, "GET", "/endpoints/{name}/logs", id="endpoints_logs", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: Page[LogLineOut]}, problems=(502,),
)  # fmt: skip
def logs(request: HttpRequest, name: str, query: Query[LogsParameters]) -> Any:
    """The log of an endpoint's containers, the oldest line first.

    A page may have few lines, or none, and more pages after it: go on until `next` is null.
    """
    endpoint = Endpoint.objects.known_as(name)
    if endpoint is None:
        raise Problem("not-found", _("There is no endpoint %(name)s.") % {"name": name})
    try:
        text = log_lines.checked_text(query.search)
        request_id = log_lines.checked_text(query.request)
        instance = log_lines.checked_text(query.instance)
    except ValueError as problem:
        raise Problem("invalid", errors={"search": [str(problem)]}) from None
    token, since = _read(query.cursor)
    earliest = since or query.since or (endpoint.gone_at or clock.now()) - _HOUR
    made = None
    if request_id:
        request_id, made = log_lines.named_by(endpoint, request_id, since=earliest)
    if since is None:
        since = earliest if made is None or query.since else made - log_lines.AROUND
    search = LogSearch(
        since=since,
        until=query.until,
        text=text,
        request_id=request_id,
        version=_version(query.model),
        instance=instance,
        level=LogLevel(query.level) if query.level is not None else None,
    )
    page = log_lines.page(endpoint, search, limit=query.limit, token=token)
    return {
        "items": list(page.lines),
        "next": _cursor(page.token, since) if page.token else None,
    }


def _version(name: str) -> Version | None:
    if not name:
        return None
    try:
        found = references.parse(name).resolve()
    except references.Malformed as problem:
        raise Problem("invalid", errors={"model": [str(problem)]}) from None
    if found is None:
        raise Problem("not-found", _("There is no version %(name)s.") % {"name": name})
    return found


def _cursor(token: str, since: datetime) -> str:
    """AWS's token goes on with the very same question."""
    return signing.dumps([token, since.timestamp()], salt=_SALT, compress=True)


def _read(cursor: str) -> tuple[str, datetime | None]:
    if not cursor:
        return "", None
    try:
        token, since = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature:
        said = _("This cursor is not of this list. Begin without one.")
        raise Problem("invalid", errors={"cursor": [said]}) from None
    return token, datetime.fromtimestamp(since, UTC)
