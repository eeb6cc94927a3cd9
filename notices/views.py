"""Pages of webhooks."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.badges import Badge
from core.permissions import actor, require_permission
from core.sentences import Sentence
from core.tables import Choice, Column, Table
from notices import kinds, payload, services
from notices.events import TEST
from notices.forms import WebhookForm
from notices.models import Delivery, DeliveryAttempt, Webhook

_may_manage = require_permission("notices.manage_webhooks", "manage webhooks")
_LOOKS = {
    Delivery.State.PENDING: "degraded",
    Delivery.State.DELIVERED: "ok",
    Delivery.State.FAILED: "error",
}


def _there(view: Callable[[HttpRequest, str], HttpResponse]) -> Callable[..., HttpResponse]:
    """404 where another admin removes the webhook meanwhile."""

    @wraps(view)
    def answered(request: HttpRequest, uid: str) -> HttpResponse:
        try:
            return view(request, uid)
        except services.WebhookGone:
            raise Http404(_("There is no such webhook.")) from None

    return answered


def _found(uid: str) -> Webhook:
    try:
        return services.get(uid)
    except services.WebhookGone:
        raise Http404(_("There is no such webhook.")) from None


def badge(webhook: Webhook) -> Badge:
    """How a webhook stands."""
    if webhook.paused_at is not None:
        return Badge("off", _("Paused"))
    if webhook.failing_since is not None:
        return Badge("error", _("Failing"))
    return Badge("ok", _("Active"))


@require_safe
@_may_manage
def webhook_list(request: HttpRequest) -> HttpResponse:
    """All webhooks."""
    rows = [
        {
            "webhook": one,
            "badge": badge(one),
            "kinds": " · ".join(kinds.label(name) for name in one.kinds),
        }
        for one in Webhook.objects.all()
    ]
    return render(request, "notices/list.html", {"rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@_may_manage
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """Make a webhook; the answer shows its secret once."""
    if request.method != "POST":
        form = WebhookForm(initial={"language": get_language()})
        return render(request, "notices/new.html", {"form": form})
    form = WebhookForm(request.POST)
    if form.is_valid():
        change = form.change
        try:
            made, secret = services.make(
                url=change.url or "",
                note=change.note or "",
                kinds=change.kinds or (),
                models=change.models or (),
                language=change.language or "",
                actor=actor(request),
            )
        except ValidationError as error:
            form.take(error)
        else:
            return _secret_page(request, made, secret)
    return render(request, "notices/new.html", {"form": form}, status=400)


def _secret_page(request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
    """The one page that shows a secret: it is the answer of the POST, and nothing keeps it."""
    context = {"webhook": webhook, "secret": secret}
    return render(request, "notices/secret.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_manage
def webhook(request: HttpRequest, uid: str) -> HttpResponse:
    """One webhook: what it is told, and what became of its deliveries. A POST changes it."""
    found = _found(uid)
    form = WebhookForm(request.POST) if request.method == "POST" else WebhookForm.of(found)
    if request.method == "POST" and form.is_valid():
        try:
            services.change(uid=uid, change=form.change, actor=actor(request))
        except ValidationError as error:
            form.take(error)
        else:
            messages.success(request, _("The changes are saved."))
            return redirect(found)
    table = _deliveries(request, found)
    context = {
        "webhook": found,
        "badge": badge(found),
        "form": form,
        "table": table,
        "rows": [_shown(row) for row in table.rows],
        "kept_days": settings.NOTICES_KEPT_DAYS,
        "open": form.is_bound,
    }
    return render(request, "notices/webhook.html", context, status=400 if form.errors else 200)


def _deliveries(request: HttpRequest, webhook: Webhook) -> Table:
    return Table(
        request,
        webhook.deliveries.select_related("event").prefetch_related("tries"),
        columns=[
            Column("at", _("Time")),
            Column("event", _("Event")),
            Column("state", _("State")),
            Column("answer", _("Last answer")),
        ],
        filters=[
            Choice("state", _("State"), Delivery.State.choices, field="state"),
            Choice("kind", _("Event"), [(one.name, one.label) for one in kinds.all_kinds()],
                   field="kind"),
        ],
        default_sort="-pk",
    )  # fmt: skip


def _shown(row: Delivery) -> dict[str, Any]:
    state = Delivery.State(row.state)
    tries = [{"attempt": one, "problem": problem(one)} for one in row.tries.all()]
    return {
        "delivery": row,
        "badge": Badge(_LOOKS[state], str(state.label)),
        "label": _("Test") if row.kind == TEST else kinds.label(row.kind),
        "sentence": row.event.sentence,
        "tries": tries,
        "last": tries[-1] if tries else None,
        "settled": state is not Delivery.State.PENDING,
    }


@require_safe
@_may_manage
def delivery(request: HttpRequest, uid: str, message: str) -> HttpResponse:
    """One delivery: what is sent, and each attempt with the receiver's answer."""
    found = _found(uid)
    try:
        row = services.delivery(uid, message)
    except services.WebhookGone:
        raise Http404(_("There is no such delivery.")) from None
    sent = json.loads(payload.body(row, found.language))
    context = {
        **_shown(row),
        "webhook": found,
        "sent": json.dumps(sent, ensure_ascii=False, indent=2),
    }
    return render(request, "notices/delivery.html", context)


def problem(attempt: DeliveryAttempt) -> str:
    """Why an attempt failed, in the reader's language; "" where it did not."""
    if not attempt.problem:
        return ""
    return str(Sentence.from_json(attempt.problem_code, attempt.problem))


@require_POST
@_may_manage
@_there
def test(request: HttpRequest, uid: str) -> HttpResponse:
    """Send a test, and say what the receiver answered."""
    found = _found(uid)
    row = services.test(uid=uid, actor=actor(request))
    last = row.tries.last()
    if last is None:
        messages.error(request, _("The test is on its way."))
    elif last.problem:
        messages.error(request, _("The test failed. %(problem)s") % {"problem": problem(last)})
    else:
        said = _("The receiver took the test: it answered %(status)s after %(ms)s ms.")
        messages.success(request, said % {"status": last.status, "ms": last.ms})
    return redirect("notices:delivery", uid=found.uid, message=row.uid)


@require_POST
@_may_manage
@never_cache
@_there
def rotate(request: HttpRequest, uid: str) -> HttpResponse:
    """Make a new secret, and show it once."""
    _found(uid)
    at_once = request.POST.get("at_once") == "1"
    found, secret = services.rotate(uid=uid, at_once=at_once, actor=actor(request))
    return _secret_page(request, found, secret)


@require_POST
@_may_manage
@_there
def set_paused(request: HttpRequest, uid: str) -> HttpResponse:
    """Pause it, or resume it."""
    _found(uid)
    paused = request.POST.get("paused") == "1"
    found = services.change(uid=uid, change=services.Change(), paused=paused, actor=actor(request))
    said = _("The webhook is paused.") if paused else _("The webhook is active again.")
    messages.success(request, said)
    return redirect(found)


@require_POST
@_may_manage
@_there
def remove(request: HttpRequest, uid: str) -> HttpResponse:
    """Remove it, with its deliveries."""
    found = _found(uid)
    services.remove(uid=uid, actor=actor(request))
    messages.success(request, _("The webhook to %(host)s is removed.") % {"host": found.host})
    return redirect("notices:list")


@require_POST
@_may_manage
def redeliver(request: HttpRequest, uid: str, message: str) -> HttpResponse:
    """Send a delivery again."""
    found = _found(uid)
    try:
        services.redeliver(uid=uid, message=message)
    except services.WebhookGone:
        raise Http404(_("There is no such delivery.")) from None
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("It is sent again, with the same id."))
    return redirect("notices:delivery", uid=found.uid, message=message)
