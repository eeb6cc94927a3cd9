"""The page that says what takes up the store, where admins set quotas."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core.permissions import actor, require_permission
from models_catalog import storage
from models_catalog.forms import QuotaForm


@require_safe
@require_permission(storage.MAY_LOOK, storage.LOOKING)
def page(request: HttpRequest) -> HttpResponse:
    """What the archives take up, by person and by model."""
    return _page(request, QuotaForm())


@require_POST
@require_permission(storage.MAY_SET, storage.SETTING)
def set_quota(request: HttpRequest) -> HttpResponse:
    """Give a person a quota of their own, or the usual one again."""
    form = QuotaForm(request.POST)
    if form.is_valid():
        name, gigabytes = form.cleaned_data["person"], form.cleaned_data["gigabytes"]
        try:
            storage.set_quota(username=name, gigabytes=gigabytes, actor=actor(request))
        except User.DoesNotExist:
            form.add_error("person", _("There is no user %(name)s.") % {"name": name})
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The quota is set: %(name)s.") % {"name": name})
            return redirect("models_catalog:storage")
    return _page(request, form, status=422)


def _page(request: HttpRequest, form: QuotaForm, *, status: int = 200) -> HttpResponse:
    context = {
        "found": storage.overview(user=actor(request)),
        "form": form,
        "usual_gb": settings.USER_QUOTA_GB,
    }
    return render(request, "models_catalog/storage.html", context, status=status)
