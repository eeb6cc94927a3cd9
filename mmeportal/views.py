"""The pages that belong to no app: home, status, and the error pages."""

import logging
from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from core import (
    attention,
    glossary,
    login_required,
    panels,
    readiness,
    request_id,
    shared_parts,
    shortage,
    ui,
)
from core.api.problems import CODES
from core.permissions import NotPermitted, actor, require_permission
from mmeportal import first_steps

log = logging.getLogger(__name__)

# Where the apps show something on Today; who sees nothing of it has no role.
_ROOMS = ("home", "home.strip", "home.more", "home.aside")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Today: what runs, what was called, what needs whoever looks; for htmx without its frame."""
    user = actor(request)
    no_role = not any(panels.visible(slot, user) for slot in _ROOMS)
    wanted = first_steps.wanted(request, user)
    steps = first_steps.steps(request, user) if wanted else []
    context = {
        "no_role": no_role,
        "groups": attention.groups(request, user),
        "steps": steps,
        "current": next((step for step in steps if not step.done), None),
        "rest_s": shared_parts.AT_REST_S,
    }
    if cast(Any, request).htmx:
        answer = render(request, "mmeportal/_today.html", context | {"part_path": "today"})
    else:
        answer = render(request, "mmeportal/home.html", context)
    if wanted and not steps:
        first_steps.hide(answer, user)  # made: the database is not asked for them again
    return answer


@require_POST
def hide_first_steps(request: HttpRequest) -> HttpResponse:
    """Show the first steps no longer; the page that follows offers to undo it."""
    ui.undo(request, gettext("The steps are hidden."), reverse("show-first-steps"))
    answer = redirect("home")
    first_steps.hide(answer, actor(request))
    return answer


@require_POST
def show_first_steps(request: HttpRequest) -> HttpResponse:
    """Show the first steps again."""
    answer = redirect("home")
    first_steps.show(answer)
    return answer


@require_safe
def glossary_page(request: HttpRequest) -> HttpResponse:
    """What the portal's words mean (core/glossary.py)."""
    context = {
        "glossary": glossary.GLOSSARY,
        "introduction": gettext(glossary.INTRODUCTION),
    }
    return render(request, "mmeportal/glossary.html", context)


@require_safe
@login_not_required
def problem(request: HttpRequest, code: str) -> HttpResponse:
    """What a problem of the API means, and what to do: where its ``type`` leads."""
    kind = CODES.get(code)
    if kind is None:
        raise Http404
    context = {"code": code, "kind": kind, "frame": frame(request)}
    return render(request, "mmeportal/problem.html", context)


@require_safe
@login_not_required
def problem_list(request: HttpRequest) -> HttpResponse:
    """Every kind of problem that the API answers with."""
    kinds = sorted(CODES.items(), key=lambda one: (one[1].status, one[0]))
    context = {"kinds": kinds, "frame": frame(request)}
    return render(request, "mmeportal/problems.html", context)


@require_safe
@require_permission("auth.change_user", "see the state of the portal's parts")
def status(request: HttpRequest) -> HttpResponse:
    """The results of the readiness checks, for admins; as JSON where Accept prefers that."""
    report = readiness.shared_checks().report()
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse(report.as_json())
    return render(request, "status.html", {"report": report})


def denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Status 403 with the reason; one line in the log names the user and the permission."""
    permission = exception.permission if isinstance(exception, NotPermitted) else "another role"
    log.warning(
        "Refused %s, who needs %s: %s %s",
        _line(request.user.get_username() or "somebody without a log-in"),
        permission,
        request.method,
        _line(request.path),
    )
    context = {"reason": str(exception) if exception else "", "frame": frame(request)}
    answer = render(request, "403.html", context, status=403)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # Django adds a traceback
    return answer


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Status 403 for a form whose CSRF token is not the session's; Django logs ``reason``.

    Without a session it is 401: the form is out of date as its session has ended.
    """
    if login_required.needs_login(request):
        return login_required.unauthorized(request)
    before = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(before, {request.get_host()}, request.is_secure())
    context = {"back": before if ours else "/", "frame": frame(request)}
    return render(request, "403_csrf.html", context, status=403)


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Status 404; without a log-in it shows nothing of the portal, such as the store's name."""
    return render(request, "404.html", {"frame": frame(request)}, status=404)


def malformed(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Status 400, in the frame for pages without a log-in, as the host name may be forged.

    Django's sessions raise a bad request for every error of the database; where the cause is a
    shortage, the answer is that of a shortage.
    """
    short = shortage.shortage(exception)
    if short is not None:
        return shortage.page(request, short)
    context = {"request_id": request_id.current()}
    return HttpResponse(render_to_string("400.html", context), status=400)


def frame(request: HttpRequest) -> str:
    """The frame of a page that also somebody without a log-in may see."""
    user = getattr(request, "user", None)
    return "base.html" if user is not None and user.is_authenticated else "gate.html"


def _line(text: str) -> str:
    """``text`` with control characters escaped, so that it stays on one line of the log."""
    return text.encode("unicode_escape").decode("ascii")
