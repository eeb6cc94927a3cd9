"""Pages of what is in the AWS account and belongs to no endpoint."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core import clock, errors
from core.natural import by_name, natural_key
from core.permissions import actor, require_permission
from core.tables import PER_PAGE, Choice, Column, Search, Table
from endpoints import adopting, end_dates, orphans
from endpoints.forms import OrphansForm
from endpoints.models import Endpoint, Orphan, OrphanLook, OrphanQuerySet, Resource
from endpoints.rights import LOOKING, MAY_LOOK
from endpoints.tabs import list_tabs

_may_look = require_permission(MAY_LOOK, LOOKING)
_may_decide = require_permission(end_dates.MAY_TEAR_DOWN, "adopt or delete what no endpoint owns")

#: At most this many are deleted at once: all that can be ticked on a page.
MOST_AT_ONCE = PER_PAGE
#: At most this many are adopted at once: each takes three calls of AWS, and the page waits.
MOST_ADOPTED = 20
_OTHERS = "others"


@require_safe
@_may_look
def orphan_list(request: HttpRequest) -> HttpResponse:
    """What no endpoint owns, as last looked at; a look is queued where that is a while ago."""
    context = _context(request, orphans.look_if_old()) | {
        "tabs": list_tabs(request, torn_down=Endpoint.objects.gone().count())
    }
    return render(request, "endpoints/orphans.html", context)


@require_safe
@_may_look
def orphans_live(request: HttpRequest) -> HttpResponse:
    """The part of the page that changes while something is under way."""
    return render(request, "endpoints/_orphans.html", _context(request, orphans.the_look()))


def _context(request: HttpRequest, look: OrphanLook) -> dict[str, Any]:
    table = _table(request)
    orphans.with_costs(table.rows)
    looking = orphans.looking(look)
    return {
        "table": table,
        "look": look,
        "looking": looking,
        "live": looking or any(row.under_way for row in table.rows),
        "none": not table.total and not table.filtered,
        "total": orphans.total_of(table.matching),
        "estimate": orphans.estimate(),
        "may_decide": request.user.has_perm(end_dates.MAY_TEAR_DOWN),
        "others": Orphan.objects.there().exclude(ours=True).count(),
    }


def _table(request: HttpRequest) -> Table:
    with_others = request.GET.get("made") == _OTHERS
    return Table(
        request,
        orphans.shown(others=with_others).select_related("adopted_by"),
        columns=[
            Column("kind", _("Kind"), sort=("kind", "name")),
            Column("name", _("Name"), sort="name", natural=True),
            Column("state", _("State"), sort="state"),
            Column("size", _("Size"), sort=("instance_type", "instance_count")),
            Column("cost", _("Cost an hour"), numeric=True),
            Column("by", _("Made by")),
            Column("made", _("Created"), sort="made_at"),
        ],
        filters=[
            Search("q", _("Name"), fields=("name__icontains",)),
            Choice("kind", _("Any kind"), Orphan.Kind.choices),
            Choice(
                "made",
                _("Made by the portal"),
                [(_OTHERS, _("Made by others, too"))],
                narrow=_all_of_them,
            ),
        ],
        default_sort="kind",
    )


def _all_of_them(rows: Any, _value: str) -> OrphanQuerySet:
    """`_table` has chosen the rows."""
    found: OrphanQuerySet = rows
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@_may_decide
def delete(request: HttpRequest) -> HttpResponse:
    """Say which of the chosen will be deleted; the user types their names to confirm."""
    given = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(given)
    rows = Orphan.objects.filter(state=Orphan.State.FOUND, pk__in=chosen)
    old = rows.filter(made_at__lte=clock.now() - orphans.TOO_NEW).order_by("kind", *by_name("name"))
    found = orphans.with_costs(list(old[:MOST_AT_ONCE]))
    too_new = rows.count() - old.count()
    if not found:
        said = _("Nothing was chosen that can be deleted.")
        if too_new:
            said = _(
                "What was chosen was made less than ten minutes ago, and may belong to something "
                "that is being done. Nothing was deleted. Try again later."
            )
        messages.info(request, said)
        return redirect("endpoints:orphans")
    form = OrphansForm(given if "typed_names" in given else None, endpoints=found)
    if request.method == "POST" and form.is_valid():
        try:
            asked = orphans.request_deletion(orphans=found, actor=actor(request))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            said = ngettext(
                "%(count)s resource is being deleted.",
                "%(count)s resources are being deleted.",
                len(asked),
            )
            messages.info(request, said % {"count": len(asked)})
            return redirect("endpoints:orphans")
    context = {
        "form": form,
        "orphans": found,
        "names": sorted({one.name for one in found}, key=natural_key),
        "left_out": len(set(chosen)) - len(found) - too_new,
        "too_new": too_new,
        "most": MOST_AT_ONCE,
        "total": orphans.total_of(found),
        "estimate": orphans.estimate(),
    }
    status = 400 if form.errors else 200
    return render(request, "endpoints/delete_orphans.html", context, status=status)


@require_POST
@_may_decide
def adopt(request: HttpRequest) -> HttpResponse:
    """Make the chosen ones the portal's own: endpoints first, as they take along what they use."""
    rows = Orphan.objects.filter(state=Orphan.State.FOUND, pk__in=_chosen(request.POST))
    found = list(rows.order_by(*by_name("name"))[:MOST_ADOPTED])
    if not found:
        messages.info(request, _("Nothing was chosen that can be adopted."))
    if left := rows.count() - len(found):
        said = ngettext(
            "%(count)s more was chosen and is as before: %(most)s are adopted at a time.",
            "%(count)s more were chosen and are as before: %(most)s are adopted at a time.",
            left,
        )
        messages.warning(request, said % {"count": left, "most": MOST_ADOPTED})
    adopted = {}
    for one in sorted(found, key=lambda row: row.kind != Resource.Kind.ENDPOINT):
        # An endpoint before it may have taken it along; a look may have found it gone.
        now = Orphan.objects.filter(pk=one.pk).first() or one
        try:
            endpoint = adopting.adopt(orphan=now, actor=actor(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        except errors.AwsError as error:
            messages.error(request, f"{one.name}: {error}")
        else:
            adopted[endpoint.name] = endpoint
    for name in adopted:
        messages.success(request, _("%(name)s belongs to the portal now.") % {"name": name})
    if len(adopted) == 1:
        return redirect(adopted.popitem()[1])
    return redirect("endpoints:orphans")


def _chosen(given: QueryDict) -> list[int]:
    """The keys of the rows that were ticked."""
    pks = given.getlist("pk")
    return [int(pk) for pk in pks if pk.isascii() and pk.isdigit() and len(pk) < 10]
