"""Pages of both answers to each picture: begin a comparison, see it, take it as CSV."""

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.natural import natural_key
from core.permissions import actor, not_permitted
from core.tables import Choice, Column, Search, Table
from endpoints.models import Endpoint
from invocations import side_by_side
from invocations.models import AnswerComparison, Invocation
from invocations.views import may_invoke
from models_catalog.models import Version


@dataclass(frozen=True)
class _Cell:
    """An answer, whether it is right, and the id of its call's page."""

    answer: side_by_side.GivenAnswer | None
    right: bool | None
    call: int | None

    @classmethod
    def of(
        cls,
        answer: side_by_side.GivenAnswer | None,
        right: bool | None,
        calls: dict[str | None, int],
    ) -> "_Cell":
        return cls(answer, right, calls.get(answer.call) if answer is not None else None)


@require_POST
@may_invoke
def start(request: HttpRequest) -> HttpResponse:
    """Have two versions called with the same pictures; leads to the page of the comparison."""
    one, other = _version(request.POST.get("one")), _version(request.POST.get("other"))
    back = _facts_url(one, other)
    endpoint = Endpoint.objects.filter(pk=_number(request.POST.get("endpoint"))).first()
    if endpoint is None:
        messages.error(request, _("Choose an endpoint. Nothing was called."))
        return redirect(back)
    try:
        comparison = side_by_side.start(
            one=one,
            other=other,
            endpoint=endpoint,
            actor=actor(request),
            test_set=request.POST.get("test_set") == "1",
            with_samples=request.POST.get("samples") == "1",
        )
    except side_by_side.ComparisonRefused as refused:
        messages.error(request, str(refused))
        return redirect(back)
    return redirect(comparison)


@require_safe
@may_invoke
def listing(request: HttpRequest) -> HttpResponse:
    """All comparisons, the newest first."""
    names = AnswerComparison.objects.order_by().values_list("created_by_name", flat=True).distinct()
    table = Table(
        request,
        AnswerComparison.objects.listed().annotate(total=Count("pictures")),
        columns=[
            Column(
                "versions",
                _("Versions"),
                sort=("one__model__name", "one__number"),
                natural=True,
                stored_key="one__model__name_key",
            ),
            Column("endpoint", _("Endpoint"), sort="endpoint__name", natural=True),
            Column("pictures", _("Pictures"), sort="total", numeric=True),
            Column("state", _("State"), sort="state"),
            Column("by", _("By"), sort="created_by_name", natural=True),
            Column("when", _("When"), sort="created_at"),
        ],
        filters=[
            Search("model", _("Model"), fields=("one__model__name__icontains",)),
            Choice("state", _("State"), AnswerComparison.State.choices),
            Choice(
                "by",
                _("Person"),
                [(name, name) for name in sorted(names, key=natural_key)],
                field="created_by_name",
            ),
        ],
        default_sort="-when",
    )
    return render(request, "invocations/comparisons.html", {"table": table})


@require_POST
@may_invoke
def stop(request: HttpRequest, uid: str) -> HttpResponse:
    """Send no more pictures; leads back to the page of the comparison."""
    comparison = _comparison(uid)
    _require_right(request, comparison)
    try:
        side_by_side.stop(comparison=comparison, actor=actor(request))
    except AnswerComparison.DoesNotExist:  # somebody has deleted it meanwhile
        raise Http404 from None
    return redirect(comparison)


@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def delete(request: HttpRequest, uid: str) -> HttpResponse:
    """Ask first; a POST deletes the comparison."""
    comparison = _comparison(uid)
    _require_right(request, comparison)
    if request.method != "POST":
        return render(request, "invocations/comparison_delete.html", {"comparison": comparison})
    name = str(comparison)
    side_by_side.delete(comparison=comparison, actor=actor(request))
    messages.success(request, _("Deleted: the comparison of %(versions)s.") % {"versions": name})
    return redirect("invocations:comparisons")


def _require_right(request: HttpRequest, comparison: AnswerComparison) -> None:
    if not side_by_side.may_change(actor(request), comparison):
        raise not_permitted(
            side_by_side.MAY_DELETE, gettext_noop("stop or delete a comparison of somebody else")
        )


@require_safe
@may_invoke
def page(request: HttpRequest, uid: str) -> HttpResponse:
    """Both answers to each picture, differences first; for htmx the part that changes alone."""
    comparison = _comparison(uid)
    found = side_by_side.result(comparison)
    uids = [one.call for line in found.lines for one in (line.one, line.other) if one and one.call]
    calls = dict(Invocation.objects.filter(uid__in=uids).values_list("uid", "pk"))
    context: dict[str, Any] = {
        "comparison": comparison,
        "result": found,
        "rows": [
            (
                line,
                _Cell.of(line.one, line.one_right, calls),
                _Cell.of(line.other, line.other_right, calls),
            )
            for line in found.lines
        ],
        "facts_url": "" if comparison.alone else _facts_url(comparison.one, comparison.other),
        "confusions": [
            (getattr(comparison, side), found_one)
            for side in comparison.sides
            if (found_one := side_by_side.confusion(found.lines, side)) is not None
        ],
        "may_change": side_by_side.may_change(actor(request), comparison),
        "most": side_by_side.MOST_PICTURES,
    }
    part = cast(Any, request).htmx
    name = "_comparison.html" if part else "comparison.html"
    return render(request, f"invocations/{name}", context)


@require_safe
@may_invoke
def as_csv(request: HttpRequest, uid: str) -> StreamingHttpResponse:
    """The same as a file for spreadsheets."""
    comparison = _comparison(uid)
    lines = side_by_side.csv_of(comparison)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="answers-{comparison.uid[:12]}.csv"'
    return answer


def _facts_url(one: Version, other: Version) -> str:
    """The page that compares the two themselves."""
    address = reverse("models_catalog:compare", args=[other.model.name, other.number])
    return f"{address}?{urlencode({'with': f'{one.model.name}:{one.number}'})}"


def _comparison(uid: str) -> AnswerComparison:
    return get_object_or_404(AnswerComparison.objects.listed(), uid=uid)


def _version(text: str | None) -> Version:
    rows = Version.objects.select_related("model").defer("report")
    found = rows.filter(pk=_number(text)).first()
    if found is None:
        raise Http404(_("There is no such version."))
    return found


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 18 else 0
