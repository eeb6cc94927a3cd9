"""The four steps from an upload to its first call, which Today shows until a user has made them.

Who may call models and upload none has one step, the first call. They end with a cookie, so that
the page asks the database for them no longer.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Case, Exists, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from core import where
from endpoints.attention import running
from invocations.models import Invocation
from invocations.panels import MAY_INVOKE
from models_catalog.models import Version

COOKIE_AGE_S = 365 * 24 * 3600
MAY_UPLOAD = "models_catalog.add_version"
MAY_CREATE = "endpoints.add_endpoint"


@dataclass(frozen=True)
class Step:
    """One step: what to do, whether it is done, and the button that leads there ("" without)."""

    title: str
    text: str
    done: bool
    url: str = ""
    button: str = ""
    tries: bool = False  # whether archives to try are offered

    @property
    def state(self) -> str:
        """How its line looks (``.first-steps [data-state=…]`` in the styles)."""
        return "done" if self.done else "todo"


def wanted(request: HttpRequest, user: User) -> bool:
    """Whether ``user`` may make steps, and neither made them nor hid them in this browser."""
    may = user.has_perm(MAY_UPLOAD) or user.has_perm(MAY_INVOKE)
    return may and request.COOKIES.get(_cookie()) != str(user.pk)


def steps(request: HttpRequest, user: User) -> list[Step]:
    """The steps; empty where ``user`` has called an own model already, or any who uploads none."""
    if not user.has_perm(MAY_UPLOAD):
        return _first_call(request, user)
    version = _furthest(user)
    if version is not None and version.own_called:
        return []
    ready = version is not None and version.state == Version.State.READY
    endpoint = next((one for one in running(request) if one.serving), None)
    return [
        _upload(version),
        _validation(version, ready),
        Step(
            _("Have an endpoint"),
            _("%(endpoint)s is in service. It can call your version without a change.")
            % {"endpoint": endpoint}
            if endpoint
            else _create_text(),
            endpoint is not None,
            reverse("endpoints:new") if not endpoint and user.has_perm(MAY_CREATE) else "",
            _("Create an endpoint"),
        ),
        Step(
            _("Call your model"),
            _("Choose a picture. The answer comes with its time, cold or warm."),
            False,
            f"{reverse('invocations:page')}?version={version.pk}"
            if version and ready and endpoint
            else "",
            _("Call the model"),
        ),
    ]


def _first_call(request: HttpRequest, user: User) -> list[Step]:
    if Invocation.objects.filter(created_by=user, state=Invocation.State.DONE).exists():
        return []
    if any(one.serving for one in running(request)):
        text = _("Choose a model and a picture, or a sample, and see what the model says of it.")
        url = reverse("invocations:page")
    else:
        text = _("No endpoint is in service. Ask an operator to create one; then choose a picture.")
        url = ""
    return [Step(_("Call a model"), text, False, url, _("Call a model"))]


def _furthest(user: User) -> Any:
    """The newest of the user's versions that are ready; else the newest of all; None: there is
    none. ``own_called``: whether the user called a version of their own, this one or another.
    """
    first = Case(When(state=Version.State.READY, then=Value(0)), default=Value(1))
    own = Invocation.objects.filter(created_by=user, version__created_by=user)
    called = Exists(own.filter(state=Invocation.State.DONE))
    found = Version.objects.filter(created_by=user).defer("report").select_related("model")
    return found.annotate(own_called=called).order_by(first, "-pk").first()


def _upload(version: Version | None) -> Step:
    return Step(
        _("Upload a model"),
        _("You uploaded %(version)s.") % {"version": version}
        if version
        else _("A .tar.gz with a network, its weights and its labels."),
        version is not None,
        "" if version else reverse("models_catalog:new"),
        _("Upload a model"),
        tries=version is None,
    )


def _validation(version: Version | None, ready: bool) -> Step:
    title = _("Wait for its validation")
    if version is None:
        return Step(
            title,
            _("The portal loads the model in the serving container and calls it once."),
            False,
        )
    url = version.get_absolute_url()
    if ready:
        return Step(title, _("%(version)s is ready.") % {"version": version}, True)
    if version.state == Version.State.REJECTED:
        text = _("%(version)s was rejected. Its page says why, and how to fix the archive.")
        return Step(title, text % {"version": version}, False, url, _("See the reason"))
    text = _("%(version)s is being validated.")
    return Step(title, text % {"version": version}, False, url, _("Watch it"))


def _create_text() -> str:
    if where.is_local():
        return _(
            "No endpoint is in service. On this local stack one starts in seconds, and costs "
            "nothing."
        )
    return _(
        "No endpoint is in service. Creating one takes minutes, and AWS charges for every hour "
        "that it exists."
    )


def hide(response: HttpResponse, user: User) -> None:
    """Show the steps no longer to ``user`` in this browser."""
    response.set_cookie(
        _cookie(),
        str(user.pk),
        max_age=COOKIE_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def show(response: HttpResponse) -> None:
    """Show the steps again in this browser."""
    response.delete_cookie(_cookie(), samesite="Lax")


def _cookie() -> str:
    return f"{settings.COOKIE_PREFIX}_first_steps"
