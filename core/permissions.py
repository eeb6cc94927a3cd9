"""Permission checks for views."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

P = ParamSpec("P")


class NotPermitted(PermissionDenied):
    """A user lacks ``permission`` (``app.codename``); ``str()`` is a sentence for the page."""

    def __init__(self, message: str, *, permission: str) -> None:
        super().__init__(message)
        self.permission = permission


def not_permitted(permission: str, doing: str) -> NotPermitted:
    """The refusal of what ``doing`` names in English ("upload models"), in the reader's language.

    ``doing`` is marked for translation where it is given to `require_permission`, or with
    ``gettext_noop``.
    """
    said = _("Your role does not allow you to %(doing)s.") % {"doing": _(doing)}
    return NotPermitted(said, permission=permission)


def actor(request: HttpRequest) -> User:
    """The user of a request; raises PermissionDenied where nobody is logged in."""
    if not isinstance(request.user, User):
        raise PermissionDenied(_("Log in first."))
    return request.user


View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def require_permission(name: str, doing: str) -> Callable[[View[P]], View[P]]:
    """Require permission ``name`` for a view; the 403 page of other users names ``doing``."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.has_perm(name):
                raise not_permitted(name, doing)
            return view(request, *args, **kwargs)

        checked.requires = (name, doing)  # type: ignore[attr-defined]  # for the guard of bodies
        return checked

    return decorate
