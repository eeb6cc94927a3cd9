"""One operation of the API: what it asks of its caller, before anything of its input is read.

::

    router = Router(tags=["models"])

    @operation(
        router, "GET", "/models", id="models_list", scope=Scope.READ,
        permission="models_catalog.view_model", doing="look at the catalog",
        response={200: Page[ModelOut]},
    )
    def list_models(request: HttpRequest, query: Query[ModelParameters]) -> Any:
        '''All models, the newest upload first.'''
        return page(request, RegisteredModel.objects.all(), query, order=("-pk",))

The docstring is the operation's description. What an operation answers is a dict or an object for
the schema of its status; ``Status(201, row)`` (ninja) for one that has several; or a whole
HttpResponse. What it raises is turned into a problem by core/api/problems.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from ninja import Router, Schema
from ninja.decorators import decorate_view
from ninja.operation import Operation
from ninja.utils import check_csrf, contribute_operation_callback

from core import languages
from core.api import idempotency, limits, problems
from core.api.caller import Caller
from core.api.headers import given
from core.api.problems import Problem
from core.api.schema import ProblemOut
from core.body_limits import BodyLimit
from core.permissions import not_permitted
from core.storable import has_nul

F = TypeVar("F", bound=Callable[..., Any])

SAFE = ("GET", "HEAD", "OPTIONS")
#: What every operation may answer besides its own.
ALWAYS = (400, 401, 403, 422, 429, 500, 503)
#: What an operation that anybody may call may answer besides its own.
ALWAYS_OPEN = (400, 422, 429, 500, 503)


@dataclass(frozen=True)
class Rules:
    """What an operation asks. ``scope`` None: anybody may call it.

    ``counts_as_change``: it counts against the limit of changes, too. ``resume`` finds the answer
    of an attempt that was cut off (core/api/idempotency.py): it returns what the operation does, or
    None; ``secret``: its answer shows a secret
    once. ``takes``: the largest body, where that is more than core.body_limits.SMALL.
    """

    id: str
    method: str
    path: str
    scope: str | None
    permission: str | None
    doing: str
    etag: bool = False
    counts_as_change: bool = True
    resume: Callable[..., Any] | None = None
    secret: bool = False
    takes: BodyLimit | None = None
    problems: tuple[int, ...] = ()


# untranslated: OpenAPI is in English
_REPEAT = "The same key and body within a day get the same answer, and change nothing twice."
_ETAG = "The ETag that this address had."  # untranslated: likewise
#: Every operation by its id, in the order of the code.
OPERATIONS: dict[str, Rules] = {}


def operation(
    router: Router,
    method: str,
    path: str,
    *,
    id: str,
    scope: str | None,
    response: dict[int, Any],
    permission: str | None = None,
    doing: str = "",
    problems: tuple[int, ...] = (),
    etag: bool = False,
    counts_as_change: bool | None = None,
    resume: Callable[..., Any] | None = None,
    secret: bool = False,
    takes: BodyLimit | None = None,
    extra: dict[str, Any] | None = None,
) -> Callable[[F], F]:
    """Add a function to ``router`` as the operation ``id`` (``noun_verb``).

    ``permission`` and ``doing`` are those of core.permissions.require_permission. ``problems``:
    the statuses of refusals beside ALWAYS. ``etag``: it answers with an ETag (core/api/etags.py),
    or takes If-Match. ``extra`` is merged into its part of the OpenAPI document.
    """

    def decorate(function: F) -> F:
        changes = method not in SAFE
        rules = Rules(
            id=id,
            method=method,
            path=path,
            scope=scope,
            permission=permission,
            doing=doing,
            etag=etag,
            counts_as_change=changes if counts_as_change is None else counts_as_change,
            resume=resume,
            secret=secret,
            takes=takes,
            problems=problems,
        )
        if OPERATIONS.setdefault(id, rules) is not rules:
            raise ValueError(f"Two operations have the id {id!r}.")
        contribute_operation_callback(function, _documented(rules))
        decorate_view(_checked(rules))(function)
        router.api_operation(
            [method],
            path,
            operation_id=id,
            response=response,
            summary=_summary(function),
            openapi_extra=_extra(rules, extra or {}),
        )(function)
        return function

    return decorate


class _Refusal(Schema):
    """What ninja keeps for an answer that is a problem.

    One for all: ninja would make a model for each status of each operation, which would make the
    import of the API longer.
    """

    response: ProblemOut

    _schemas: ClassVar[dict[object, dict[str, Any]]] = {}

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Its schema, made once for the whole document."""
        asked = arguments, *options.items()
        if asked not in cls._schemas:
            cls._schemas[asked] = super().model_json_schema(*arguments, **options)
        return cls._schemas[asked]


def _documented(rules: Rules) -> Callable[[Operation], None]:
    """What adds the problems to the answers of ninja's operation."""

    def add(found: Operation) -> None:
        found.response_models |= dict.fromkeys(_refusals(rules), _Refusal)
        if rules.etag and rules.method == "GET":
            found.response_models[304] = None

    return add


def _refusals(rules: Rules) -> list[int]:
    """The statuses of problems that are documented."""
    found = set(ALWAYS_OPEN if rules.scope is None else ALWAYS) | set(rules.problems)
    if rules.method == "POST":
        found |= {409}  # Idempotency-Key
    if rules.etag and rules.method not in SAFE:
        found |= {412}
    if rules.method not in SAFE:
        found |= {413}
    if "{" in rules.path:
        found |= {404}
    return sorted(found)


def _summary(function: Callable[..., Any]) -> str:
    """The first sentence of the docstring."""
    text = " ".join((function.__doc__ or "").split())
    if not text:
        raise TypeError(f"{function!r} is an operation and needs a docstring.")
    return text.split(". ")[0].rstrip(".") + "."


def _extra(rules: Rules, extra: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says beside the function's signature."""
    headers = []
    if rules.method == "POST":
        headers.append(_header("Idempotency-Key", _REPEAT))
    if rules.etag:
        name = "If-None-Match" if rules.method == "GET" else "If-Match"
        headers.append(_header(name, _ETAG))
    found: dict[str, Any] = {"parameters": headers} | extra
    if "parameters" in extra:
        found["parameters"] = headers + extra["parameters"]
    if rules.scope is None:
        found["security"] = []
    else:
        found["x-scope"] = str(rules.scope)
    return found


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


def _checked(rules: Rules) -> Callable[[Any], Any]:
    """What wraps ninja's ``Operation.run``: it is called before any input is read."""

    def wrap(run: Any) -> Any:
        known = _query_names(run.__self__)

        @wraps(run)
        def checked(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            def call() -> HttpResponseBase:
                return _finished(request, run(request, **arguments))

            def resume(request: HttpRequest, attempt: str) -> HttpResponseBase | None:
                found = rules.resume(request, attempt) if rules.resume is not None else None
                return None if found is None else _finished(request, _made(run, request, found))

            speak(request)
            try:
                check(request, rules, known)
                answer = _once(request, rules, call, resume)
            except Problem as problem:
                answer = problem.response()
            return limits.told(request, answer)

        return checked

    return wrap


def _made(run: Any, request: HttpRequest, found: Any) -> HttpResponseBase:
    """The answer that ninja makes of what an operation, or its ``resume``, returns."""
    ninjas = run.__self__
    temporary = ninjas.api.create_temporal_response(request)
    answer: HttpResponseBase = ninjas._result_to_response(request, found, temporary)
    return answer


def _once(
    request: HttpRequest,
    rules: Rules,
    call: Callable[[], HttpResponseBase],
    resume: idempotency.Resume,
) -> HttpResponseBase:
    """The answer of ``call``; for a POST that names a key, of the first one that named it."""
    if rules.method != "POST":
        return call()
    return idempotency.run(
        request,
        operation_id=rules.id,
        caller=getattr(request, "caller", None),
        secret=rules.secret,
        resume=resume if rules.resume is not None else None,
        call=call,
    )


def speak(request: HttpRequest) -> None:
    """Answer in the language of Accept-Language, where there is one: programs have no cookie."""
    if "Accept-Language" in request.headers:
        translation.activate(languages.of_browser(request))


def check(request: HttpRequest, rules: Rules, known: frozenset[str]) -> None:
    """Raise Problem where the request may not call the operation; set ``request.caller``."""
    check_caller(request, rules)
    unknown = sorted(set(request.GET) - known)
    if unknown:
        said = _("There is no such parameter. This address takes: %(known)s.")
        names = ", ".join(sorted(known)) or _("none")
        raise Problem("invalid", errors={key: [said % {"known": names}] for key in unknown})
    if has_nul(request.path_info):  # nothing has such a name, and PostgreSQL refuses to look
        raise Problem("not-found")


def check_caller(request: HttpRequest, rules: Rules, *, counted: bool = True) -> None:
    """Raise Problem where nobody calls, too often, or who may not; set ``request.caller``.

    The web server's guard asks this first for a large body, with ``counted=False``: what is let
    through is counted when its body has arrived.
    """
    if rules.scope is None:
        limits.check(request, key=limits.address_key(request), change=False)
        return
    try:
        caller = caller_of(request)
    except Problem:
        limits.check(request, key=limits.address_key(request), change=False)
        raise
    request.caller = caller  # type: ignore[attr-defined]
    if counted:
        limits.check(request, key=caller.limit_key, change=rules.counts_as_change)
    _check_allowed(caller, rules)


def caller_of(request: HttpRequest) -> Caller:
    """Who calls: by a token (accounts/token_auth.py sets it), else by the session.

    Raises Problem: nobody, a token that does not count, or a session without its CSRF token.
    """
    problem: str = getattr(request, "token_problem", "")
    if problem:
        raise Problem(problem, headers=getattr(request, "token_headers", {}))
    caller: Caller | None = getattr(request, "caller", None)
    if caller is not None:
        return caller
    if not isinstance(request.user, User):
        raise Problem(
            "not-authenticated",
            _("There is no token and no session. Nothing was changed or kept."),
        )
    # Middleware does not check the token for views of ninja.
    if request.method not in SAFE and check_csrf(request) is not None:
        raise Problem("csrf")
    return Caller(request.user, None, f"user:{request.user.pk}")


def _check_allowed(caller: Caller, rules: Rules) -> None:
    if rules.scope is not None and not caller.may(rules.scope):
        said = _("This needs a token with the scope %(scope)s. Nothing was changed.")
        raise Problem("scope-missing", said % {"scope": rules.scope})
    if rules.permission is not None and not caller.user.has_perm(rules.permission):
        refused = not_permitted(rules.permission, rules.doing)
        raise Problem("not-allowed", str(refused))


def _query_names(ninjas: Any) -> frozenset[str]:
    """The names of the query parameters that ninja reads for an operation."""
    names: set[str] = set()
    for model in ninjas.models:
        if model.__ninja_param_source__ == "query":
            names |= set(getattr(model, "__ninja_flatten_map__", None) or model.model_fields)
    return frozenset(names)


def _finished(request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
    """The answer with the headers that the operation set; 304 where the client has it already."""
    for name, value in given(request).items():
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            answer.headers[name] = value
    tag = answer.headers.get("ETag")
    asked = request.headers.get("If-None-Match")
    if tag and asked and request.method in SAFE and answer.status_code == HTTPStatus.OK:
        # A weak tag counts, too (RFC 9110, section 13.1.2): proxies that compress make it weak.
        known = [one.removeprefix("W/") for one in parse_etags(asked)]
        if known == ["*"] or tag in known:
            unchanged = HttpResponse(status=304)
            del unchanged.headers["Content-Type"]
            unchanged.headers["ETag"] = tag
            return unchanged
    return answer


def problem_response(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """The answer to what an operation raised; None for a fault of the portal."""
    found = problems.of_exception(error)
    return None if found is None else found.response()
