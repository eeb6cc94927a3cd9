"""The pages of groups: which there are, make one, put people in and take them out, delete one."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import groups
from accounts.models import GROUP_NAME_LENGTH, PeopleGroup
from accounts.services import NotAllowed
from core.natural import by_name
from core.permissions import actor, require_permission

_may_manage = require_permission(groups.MAY_MANAGE, groups.MANAGING)
#: Names that the field of a member offers while one types.
_OFFERED = 500


class GroupForm(forms.Form):
    """A new group."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=GROUP_NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
        help_text=gettext_lazy("Small letters, digits, dots, hyphens and underscores."),
    )


class MemberForm(forms.Form):
    """Who joins a group."""

    join = forms.CharField(
        label=gettext_lazy("User name"),
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocapitalize": "none", "autocomplete": "off", "list": "people"}
        ),
    )


def _there(view: Callable[[HttpRequest, str], HttpResponse]) -> Callable[..., HttpResponse]:
    """404 where there is no group of that name, or none any more: others delete groups, too."""

    @wraps(view)
    def answered(request: HttpRequest, name: str) -> HttpResponse:
        try:
            return view(request, name)
        except PeopleGroup.DoesNotExist:
            raise Http404(_("There is no group %(name)s.") % {"name": name}) from None

    return answered


@require_http_methods(["GET", "HEAD", "POST"])
@_may_manage
def group_list(request: HttpRequest) -> HttpResponse:
    """All groups, and a new one."""
    form = GroupForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            made = groups.make(name=form.cleaned_data["name"], actor=actor(request))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The group is made: %(name)s.") % {"name": made})
            return redirect(made)
    context = {"groups": groups.listed(), "form": form}
    status = 422 if form.errors else 200
    return render(request, "accounts/groups.html", context, status=status)


@require_safe
@_may_manage
@_there
def group(request: HttpRequest, name: str) -> HttpResponse:
    """One group, with its people."""
    return _page(request, groups.get(name), MemberForm())


def _page(
    request: HttpRequest, group: PeopleGroup, form: MemberForm, *, status: int = 200
) -> HttpResponse:
    inside = groups.members(group)
    others = User.objects.filter(is_active=True).exclude(people_groups=group)
    names = others.order_by(*by_name("username")).values_list("username", flat=True)
    context: dict[str, Any] = {
        "group": group,
        "members": inside,
        "form": form,
        "offered": names[:_OFFERED],
    }
    return render(request, "accounts/group.html", context, status=status)


@require_POST
@_may_manage
@_there
def join(request: HttpRequest, name: str) -> HttpResponse:
    """Put somebody into a group."""
    group, form = groups.get(name), MemberForm(request.POST)
    if form.is_valid():
        person = form.cleaned_data["join"]
        try:
            groups.change(name=name, join=[person], actor=actor(request))
        except ValidationError as error:
            form.add_error("join", error.messages)
        else:
            said = _("%(person)s is in the group now.")
            messages.success(request, said % {"person": person})
            return redirect(group)
    return _page(request, group, form, status=422)


@require_POST
@_may_manage
@_there
def leave(request: HttpRequest, name: str) -> HttpResponse:
    """Take somebody out of a group."""
    group, person = groups.get(name), request.POST.get("leave", "")
    if person:
        groups.change(name=name, leave=[person], actor=actor(request))
        said = _("%(person)s is in the group no more.")
        messages.success(request, said % {"person": person})
    return redirect(group)


@require_POST
@_may_manage
@_there
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Delete a group that no store names."""
    group = groups.get(name)
    try:
        groups.delete(name=name, actor=actor(request))
    except NotAllowed as refused:
        messages.error(request, str(refused))
        return redirect(group)
    messages.success(request, _("The group is deleted: %(name)s.") % {"name": name})
    return redirect("accounts:groups")
