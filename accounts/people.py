"""The pages of people: who may use the portal, invitations, roles, resets, deactivation."""

import smtplib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import links, services, token_pages
from accounts.forms import NO_ROLE, DetailsForm, InviteForm, RoleForm, role_of
from activity.models import Event
from core.badges import Badge
from core.natural import by_name
from core.palette import Hit, matches
from core.permissions import actor, require_permission
from core.tables import Choice, Column, Search, Table

_may_look = require_permission("auth.view_user", "see people")
_may_invite = require_permission("auth.add_user", "invite people")
_may_change = require_permission("auth.change_user", "change people")


class Standing(models.TextChoices):
    """Whether a person can log in."""

    CAN = "can", gettext_lazy("Can log in")
    INVITED = "invited", gettext_lazy("Invited")
    OFF = "off", gettext_lazy("Deactivated")


_SEARCHED = tuple(
    f"{field}__icontains" for field in ("username", "first_name", "last_name", "email")
)
_NO_PASSWORD = models.Q(password__startswith="!") | models.Q(password="")  # noqa: S106


def standing(user: User) -> Standing:
    """Whether a person can log in."""
    if not user.is_active:
        return Standing.OFF
    return Standing.CAN if user.has_usable_password() else Standing.INVITED


def _by_standing(users: models.QuerySet[User], value: str) -> models.QuerySet[User]:
    if value == Standing.OFF:
        return users.filter(is_active=False)
    users = users.filter(is_active=True)
    return users.filter(_NO_PASSWORD) if value == Standing.INVITED else users.exclude(_NO_PASSWORD)


def _shown(user: User) -> dict[str, Any]:
    state = standing(user)
    badge = None if state is Standing.CAN else Badge(state, str(state.label))
    return {"user": user, "role": role_of(user), "badge": badge}


def _there(view: Callable[[HttpRequest, int], HttpResponse]) -> Callable[..., HttpResponse]:
    """404 where there is no such person, or none any more: others withdraw invitations, too."""

    @wraps(view)
    def answered(request: HttpRequest, pk: int) -> HttpResponse:
        try:
            return view(request, pk)
        except User.DoesNotExist as gone:
            raise Http404(str(gone)) from None

    return answered


@require_safe
@_may_look
def people(request: HttpRequest) -> HttpResponse:
    """Everybody who has an account."""
    roles = [(group.name, group.name) for group in Group.objects.order_by("pk")]
    table = Table(
        request,
        User.objects.prefetch_related("groups"),
        columns=[
            Column("name", _("Name"), sort="username", natural=True),
            Column("email", _("Mail"), sort="email"),
            Column("role", _("Role")),
            Column("seen", _("Last log-in"), sort="last_login"),
            Column("joined", _("Joined"), sort="date_joined"),
            Column("state", _("State")),
        ],
        filters=[
            Search("q", _("Name or mail"), fields=_SEARCHED),
            Choice("role", _("Role"), roles, field="groups__name"),
            Choice("state", _("State"), Standing.choices, narrow=_by_standing),
        ],
        default_sort="name",
    )
    rows = [_shown(user) for user in table.rows]
    return render(request, "accounts/people.html", {"table": table, "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@_may_invite
@never_cache
def invite(request: HttpRequest) -> HttpResponse:
    """Create an account, and show the link with which its owner sets a password."""
    form = InviteForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            user, secret = links.invite(actor=actor(request), **form.cleaned_data)
        except ValidationError as error:
            form.add_errors(error)
        except services.NotAllowed as error:
            form.add_error(None, str(error))
        else:
            return _link_page(request, user, secret, invited=True)
    status = 400 if form.errors else 200
    return render(request, "accounts/invite.html", {"form": form}, status=status)


def _link_page(request: HttpRequest, user: User, secret: str, *, invited: bool) -> HttpResponse:
    """The one page that shows a link: it is the answer of the POST, and nothing keeps it."""
    address = request.build_absolute_uri(reverse("accounts:welcome", args=[secret]))
    context = {
        "person": user,
        "address": address,
        "invited": invited,
        "days": settings.PASSWORD_LINK_DAYS,
        "mailed": _mail(user, address),
    }
    return render(request, "accounts/link.html", context)


def _mail(user: User, address: str) -> str:
    """Send the link where there is a mail server and an address; a sentence says what became."""
    if not settings.EMAIL_HOST or not user.email:
        return ""
    text = _(
        "With this link you set the password of your account %(name)s at the MME Portal. It "
        "works once, for %(days)s days:\n\n%(address)s\n"
    ) % {"name": user.get_username(), "days": settings.PASSWORD_LINK_DAYS, "address": address}
    try:
        send_mail(_("Your account at the MME Portal"), text, None, [user.email])
    except (OSError, ValueError, smtplib.SMTPException) as error:  # ValueError: of the address
        return _("The mail could not be sent (%(error)s): hand the link over yourself.") % {
            "error": error
        }
    return _("The link was also sent to %(mail)s.") % {"mail": user.email}


@require_safe
@_may_look
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: role, log-in, what was changed, and what can be done."""
    user = get_object_or_404(User, pk=pk)
    return render(request, "accounts/person.html", _person_context(request, user))


def _details(user: User) -> dict[str, str]:
    return {
        "username": user.get_username(),
        "full_name": user.get_full_name(),
        "email": user.email,
    }


def _person_context(
    request: HttpRequest, user: User, form: RoleForm | None = None, details: Any = None
) -> dict[str, Any]:
    asks = actor(request)
    link = getattr(user, "password_link", None)
    own = user.pk == asks.pk
    return {
        **_shown(user),
        "person": user,
        "own": own,
        "link": link,
        "may_change": asks.has_perm("auth.change_user")
        and (asks.is_superuser or not user.is_superuser),
        "tokens": token_pages.of_person(user),
        "may_make_superusers": asks.is_superuser,
        "never_used": services.never_used(user),
        "role_form": form or RoleForm(initial={"role": role_of(user) or NO_ROLE}),
        "details_form": details or DetailsForm(initial=_details(user)),
        "events": Event.objects.about("user", user.pk)[:30],
        "user": asks,
    }


def _change(request: HttpRequest, pk: int, change: Any, done: str) -> HttpResponse:
    """Make a change of a person, say what was done or why not, and go back to the page."""
    user = get_object_or_404(User, pk=pk)
    try:
        change(user)
    except services.NotAllowed as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done % {"name": user.get_username()})
    return redirect("accounts:person", pk=pk)


@require_POST
@_may_change
@_there
def set_role(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a person another role, or none."""
    form = RoleForm(request.POST)
    if not form.is_valid():
        context = _person_context(request, get_object_or_404(User, pk=pk), form)
        return render(request, "accounts/person.html", context, status=400)
    role = None if form.cleaned_data["role"] == NO_ROLE else form.cleaned_data["role"]
    return _change(
        request,
        pk,
        lambda user: services.set_role(actor=actor(request), user=user, role=role),
        _("The role of %(name)s is changed."),
    )


@require_POST
@_may_change
@_there
def set_details(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a person, or change the full name or the mail address."""
    user = get_object_or_404(User, pk=pk)
    form = DetailsForm(request.POST)
    if form.is_valid():
        try:
            services.set_details(actor=actor(request), user=user, **form.cleaned_data)
        except ValidationError as error:
            form.add_errors(error)
        except services.NotAllowed as error:
            messages.error(request, str(error))
            return redirect("accounts:person", pk=pk)
        else:
            messages.success(request, _("The changes are saved."))
            return redirect("accounts:person", pk=pk)
    context = _person_context(request, user, details=form)
    return render(request, "accounts/person.html", context, status=400)


@require_POST
@_may_change
@_there
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete an account that nobody has used yet, with its link."""
    user = get_object_or_404(User, pk=pk)
    try:
        services.withdraw(actor=actor(request), user=user)
    except services.NotAllowed as error:
        messages.error(request, str(error))
        return redirect("accounts:person", pk=pk)
    messages.success(
        request,
        _("The invitation of %(name)s is withdrawn; its link no longer works.")
        % {"name": user.get_username()},
    )
    return redirect("accounts:people")


@require_POST
@_may_change
def set_superuser(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a person a superuser, or no longer one; only a superuser may."""
    wanted = request.POST.get("superuser") == "1"
    return _change(
        request,
        pk,
        lambda user: services.set_superuser(actor=actor(request), user=user, superuser=wanted),
        _("%(name)s is a superuser now.") if wanted else _("%(name)s is no longer a superuser."),
    )


@require_POST
@_may_change
def set_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Deactivate a person, or activate again."""
    active = request.POST.get("active") == "1"
    return _change(
        request,
        pk,
        lambda user: services.set_active(actor=actor(request), user=user, active=active),
        _("%(name)s can log in again.")
        if active
        else _("%(name)s is deactivated, and is logged out everywhere."),
    )


@require_POST
@_may_change
@never_cache
def make_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a link to set a password, and show it once."""
    user = get_object_or_404(User, pk=pk)
    try:
        secret = links.make(actor=actor(request), user=user)
    except services.NotAllowed as error:
        messages.error(request, str(error))
        return redirect("accounts:person", pk=pk)
    return _link_page(request, user, secret, invited=not user.has_usable_password())


@require_POST
@_may_change
def revoke_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke the link of a person."""
    return _change(
        request,
        pk,
        lambda user: links.revoke(actor=actor(request), user=user),
        _("The link of %(name)s no longer works."),
    )


@require_POST
@_may_change
def unlock(request: HttpRequest, pk: int) -> HttpResponse:
    """End the pauses of a person's log-ins."""
    return _change(
        request,
        pk,
        lambda user: services.unlock(actor=actor(request), name=user.get_username()),
        _("%(name)s can try to log in again."),
    )


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def welcome(request: HttpRequest, secret: str) -> HttpResponse:
    """Set a password with a link, without a log-in, and log in."""
    try:
        user = links.find(secret)
        form = SetPasswordForm(user, request.POST if request.method == "POST" else None)
        if form.is_valid():
            user = links.use(secret=secret, password=form.cleaned_data["new_password1"])
            # Anybody who has the link could log in with the password anyway.
            login(request, user, backend="accounts.backends.PortalBackend")
            messages.success(request, _("Your password is set, and you are logged in."))
            return redirect("home")
    except links.Gone:
        return render(request, "accounts/link_gone.html", status=404)
    context = {"form": form, "person": user}
    return render(request, "accounts/welcome.html", context, status=400 if form.errors else 200)


def found(user: Any, query: str) -> list[Hit]:
    """What the search finds of people (core/palette.py)."""
    hits = []
    if user.has_perm("auth.view_user"):
        if matches(gettext_lazy("People"), query):
            hits.append(Hit(_("People"), reverse("accounts:people"), "user", _("Page")))
        if query:
            named = User.objects.filter(username__icontains=query)
            for one in named.order_by(*by_name("username"))[:8]:
                address = reverse("accounts:person", args=[one.pk])
                hits.append(Hit(one.get_username(), address, "user", _("Person")))
    return hits
