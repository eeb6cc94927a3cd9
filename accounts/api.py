"""The operations of people's own things: who calls, and their tokens."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router, Status
from pydantic import Field

from accounts import services, tokens
from accounts.forms import role_of
from accounts.models import Token
from accounts.preferences import of_user
from activity.attempts import made_by
from core import clock
from core.api import etags
from core.api.caller import ANY, Caller, Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, Parameters, Schema
from core.permissions import not_permitted

router = Router(tags=["tokens"])


class OwnTokenOut(Schema):
    """The token with which the call was made."""

    id: str
    name: str
    expires_at: datetime


class MeOut(Schema):
    """Who calls, and what they may do."""

    name: str = Field(description="The user name.")
    role: str = Field(description="viewer, operator, admin, superuser, or empty for none.")
    scopes: list[str] = Field(description="What this call could be for, by token and role.")
    token: OwnTokenOut | None = Field(description="null: the call came with a session.")
    language: str = Field(description="en or ko, as preferred; empty: as Accept-Language says.")


class TokenOut(Schema):
    """A token, without its secret."""

    id: str
    name: str
    person: str = Field(description="The user name of its owner.")
    scopes: list[str] = Field(description="As asked for; the owner's role may allow less now.")
    state: str = Field(description="valid, expired or revoked")
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    last_used_from: str | None = Field(description="An IP address.")


class TokenMade(TokenOut):
    """A token, with its secret."""

    token: str = Field(description="The secret: mme_…; it is shown this once.")


class TokenIn(Input):
    """What token to make."""

    name: str = Field(max_length=100, description="By which you know it again.")
    scopes: list[Scope]
    days: int | None = Field(
        None, ge=1, description="How long it counts; null: 90, unless the portal says otherwise."
    )


class PersonParameter(Parameters):
    """Whose tokens."""

    person: str = Field("", max_length=150, description="A user name, for admins; empty: your own.")


class TokenParameters(ListParameters, PersonParameter):
    """Which tokens."""

    state: Token.State | None = None


@operation(router, "GET", "/me", id="me_get", scope=ANY, response={200: MeOut})
def me(request: HttpRequest) -> Any:
    """Who calls: user name, role, scopes, and the token."""
    caller = _caller(request)
    user = caller.user
    token = Token.objects.filter(pk=caller.token_id).first() if caller.token_id else None
    chosen = of_user(user)
    allowed = tokens.scopes_of(user) if caller.scopes is None else caller.scopes
    return {
        "name": user.get_username(),
        "role": "superuser" if user.is_superuser else role_of(user),
        "scopes": [scope.value for scope in Scope if scope in allowed],
        "token": token,
        "language": chosen.language if chosen is not None else "",
    }


@operation(
    router, "GET", "/tokens", id="tokens_list", scope=Scope.READ, response={200: Page[TokenOut]},
    problems=(404,),
)  # fmt: skip
def list_tokens(request: HttpRequest, query: Query[TokenParameters]) -> Any:
    """Your tokens, the newest first. Those that ended stay for 30 days."""
    owner = _owner(request, query.person, "auth.view_user", gettext_noop("see people"))
    now = clock.now()
    rows = Token.objects.filter(user=owner).select_related("user").in_state(query.state, now)
    found = page(request, rows, query, order=("-created_at", "-pk"))
    return {**found, "items": [_shown(token, now) for token in found["items"]]}


def _made_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """That an attempt made a token whose secret nobody saw (core/api/idempotency.py)."""
    return None if made_by(attempt, "token.made") is None else HttpResponse(status=201)


@operation(
    router, "POST", "/tokens", id="tokens_create", scope=ANY, response={201: TokenMade},
    secret=True, resume=_made_before,
)  # fmt: skip
def make(request: HttpRequest, body: TokenIn) -> Any:
    """Make a token of your own. Its secret is in this answer alone.

    A token makes tokens with its own scopes or fewer, that expire when it does or before; they are
    revoked with it.
    """
    caller = _caller(request)
    within = None
    if caller.scopes is not None:
        within = tokens.Bounds(caller.token_id, caller.scopes)
    token, secret = tokens.make(
        user=caller.user, name=body.name, scopes=body.scopes, days=body.days, within=within
    )
    set_header(request, "Location", f"{request.path}/{token.pk}")
    return Status(201, {**_shown(token, clock.now()), "token": secret})


@operation(
    router, "GET", "/tokens/{id}", id="tokens_get", scope=Scope.READ, response={200: TokenOut},
    etag=True,
)  # fmt: skip
def get(request: HttpRequest, id: str, query: Query[PersonParameter]) -> Any:
    """One of your tokens."""
    owner = _owner(request, query.person, "auth.view_user", gettext_noop("see people"))
    shown = _shown(_token(owner, id), clock.now())
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "DELETE", "/tokens/{id}", id="tokens_revoke", scope=ANY, response={204: None}, etag=True
)
def revoke(request: HttpRequest, id: str, query: Query[PersonParameter]) -> Any:
    """Revoke a token, and those that were made with it. It counts for a second more at most.

    A token revokes itself, and those of its owner that have no scope which it does not have.
    """
    caller = _caller(request)
    owner = _owner(request, query.person, "auth.change_user", gettext_noop("change people"))
    token = _token(owner, id)
    own = owner.pk == caller.user.pk
    if own and caller.scopes is not None and token.pk != caller.token_id:
        beyond = sorted(set(token.scopes) - caller.scopes)
        if beyond:
            said = _("This needs a token with the scope %(scope)s. Nothing was changed.")
            raise Problem("scope-missing", said % {"scope": ", ".join(beyond)})
    etags.require_match(request, *_shown(token, clock.now()).values())
    try:
        tokens.revoke(actor=caller.user, token=token)
    except services.NotAllowed as error:
        raise Problem("not-allowed", str(error)) from None
    return Status(204, None)


def _caller(request: HttpRequest) -> Caller:
    caller: Caller = request.caller  # type: ignore[attr-defined]
    return caller


def _owner(request: HttpRequest, name: str, permission: str, doing: str) -> User:
    """Whose tokens are meant: the caller's, or those of somebody whom an admin names."""
    caller = _caller(request)
    if name in ("", caller.user.get_username()):
        return caller.user
    if not caller.may(Scope.ADMIN):
        said = _("This needs a token with the scope %(scope)s. Nothing was changed.")
        raise Problem("scope-missing", said % {"scope": Scope.ADMIN.value})
    if not caller.user.has_perm(permission):
        raise not_permitted(permission, doing)
    found = User.objects.filter(username=name).first()
    if found is None:
        raise Problem("not-found", _("There is nobody called %(name)s.") % {"name": name})
    return found


def _token(owner: User, id: str) -> Token:
    found = Token.objects.filter(user=owner, pk=id).select_related("user").first()
    if found is None:
        raise Problem("not-found", _("There is no token %(id)s.") % {"id": id})
    return found


def _shown(token: Token, now: datetime) -> dict[str, Any]:
    return {
        "id": token.pk,
        "name": token.name,
        "person": token.user.get_username(),
        "scopes": token.scopes,
        "state": token.state(now).value,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
    }
