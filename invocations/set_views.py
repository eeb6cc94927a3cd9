"""Pages of test sets: "Wrong?" under an answer, what a model's set holds, download, empty."""

from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core import ui
from core.errors import AwsError, NotFound
from core.permissions import actor, not_permitted, require_permission
from core.tables import Column, Search, Table
from invocations import labelled
from invocations.models import Invocation, LabelledPicture
from invocations.views import may_invoke
from models_catalog.models import RegisteredModel

# A version of a thousand labels: all can be typed, so many are offered.
MOST_OFFERED = 2000


@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def wrong(request: HttpRequest, pk: int) -> HttpResponse:
    """The form for the right label of an answer; a POST stores picture and label."""
    rows = Invocation.objects.select_related("version__model", "endpoint").defer("thumbnail")
    invocation = get_object_or_404(rows, pk=pk)
    model = invocation.version.model
    problem = ""
    if request.method == "POST":
        # A button of one of the answer's other labels, or what was typed.
        label = request.POST.get("other") or request.POST.get("label", "")
        try:
            flagged = labelled.flag(invocation=invocation, label=label, actor=actor(request))
        except (labelled.FlagRefused, AwsError) as error:
            problem = str(error)
        else:
            said = {"label": flagged.row.label, "model": model.name}
            text = (
                _("Stored in the test set of %(model)s: this picture is “%(label)s”.")
                if flagged.new
                else _("The picture was in the test set of %(model)s. It is now “%(label)s”.")
            ) % said
            undo_url = f"{reverse('invocations:test-set-undo')}?{urlencode({'of': flagged.undo})}"
            if not _is_htmx(request):
                ui.undo(request, text, undo_url)
                return redirect(invocation)
            stored = {
                "invocation": invocation,
                "model": model,
                "stored": text,
                "undo_url": undo_url,
            }
            return render(request, "invocations/_wrong.html", stored)
    context = {
        "invocation": invocation,
        "model": model,
        "problem": problem,
        "labels": labelled.labels_of(invocation.version)[:MOST_OFFERED],
        "known": LabelledPicture.objects.filter(model=model, sha256=invocation.picture_sha256)
        .only("label")
        .first(),
    }
    if _is_htmx(request):
        return render(request, "invocations/_wrong.html", context)
    return render(request, "invocations/wrong.html", context, status=400 if problem else 200)


@require_POST
@may_invoke
def undo(request: HttpRequest) -> HttpResponse:
    """Take a flag back, as ``?of=`` names it; leads to the page that the button was on."""
    try:
        row = labelled.take_back(undo=request.GET.get("of", ""), actor=actor(request))
    except labelled.NothingToUndo as problem:
        messages.error(request, str(problem))
        return redirect(ui.back(request, reverse("invocations:page")))
    said = _("Undone. The test set of %(model)s is as it was before.")
    messages.success(request, said % {"model": row.model.name})
    return redirect(ui.back(request, reverse("invocations:test-set", args=[row.model.name])))


@require_safe
@may_invoke
def page(request: HttpRequest, model: str) -> HttpResponse:
    """What the model's test set holds."""
    found = get_object_or_404(RegisteredModel, name=model)
    table = Table(
        request,
        LabelledPicture.objects.filter(model=found).listed(),
        columns=[
            Column("picture", _("Picture"), hidden_label=True),
            Column("label", _("Right label"), sort="label"),
            Column("predicted", _("Answer"), sort="predicted"),
            Column("version", _("Version"), sort="version__number"),
            Column("by", _("Flagged by"), sort="flagged_by_name"),
            Column("when", _("When"), sort="flagged_at"),
            Column("size", _("Size"), sort="size", numeric=True),
            Column("remove", _("Take out"), hidden_label=True),
        ],
        filters=[Search("q", _("Label"), fields=("label__icontains", "predicted__icontains"))],
        default_sort="-when",
    )
    count, size = labelled.size_of(found)
    user = actor(request)
    context = {
        "model": found,
        "table": table,
        "removable": {row.pk for row in table.rows if labelled.may_remove(user, row)},
        "count": count,
        "size": size,
        "most": settings.TEST_SET_PICTURES,
        "on": settings.TEST_SETS,
    }
    return render(request, "invocations/test_set.html", context)


@require_safe
@may_invoke
def download(request: HttpRequest, model: str) -> StreamingHttpResponse:
    """The test set as a zip."""
    found = get_object_or_404(RegisteredModel, name=model)
    answer = StreamingHttpResponse(labelled.archive(found), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{found.name}-test-set.zip"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@require_permission(labelled.MAY_EMPTY, "empty a model's test set")
def empty(request: HttpRequest, model: str) -> HttpResponse:
    """Ask first; a POST deletes all pictures of the set."""
    found = get_object_or_404(RegisteredModel, name=model)
    if request.method != "POST":
        count, size = labelled.size_of(found)
        context = {"model": found, "count": count, "size": size}
        return render(request, "invocations/test_set_empty.html", context)
    try:
        gone = labelled.empty(model=found, actor=actor(request))
    except AwsError as error:
        said = _("Not all pictures could be deleted; the rest is kept. Try again. (%(error)s)")
        messages.error(request, said % {"error": error})
    else:
        said = _("The test set of %(model)s is empty. Pictures deleted: %(count)s.")
        messages.success(request, said % {"model": found.name, "count": gone})
    return redirect(reverse("invocations:test-set", args=[found.name]))


@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def remove(request: HttpRequest, test_pk: int) -> HttpResponse:
    """Ask first; a POST takes one picture out of its set."""
    rows = LabelledPicture.objects.listed().select_related("model")
    row = get_object_or_404(rows, pk=test_pk)
    if not labelled.may_remove(actor(request), row):
        raise not_permitted(
            labelled.MAY_EMPTY, gettext_noop("take out a picture that somebody else flagged")
        )
    if request.method != "POST":
        return render(request, "invocations/test_picture_remove.html", {"row": row})
    try:
        labelled.remove(row=row, actor=actor(request))
    except AwsError as error:
        said = _("The picture could not be deleted, and is kept. Try again. (%(error)s)")
        messages.error(request, said % {"error": error})
    else:
        said = _("Taken out of the test set of %(model)s: a picture with the label “%(label)s”.")
        messages.success(request, said % {"model": row.model.name, "label": row.label})
    return redirect(reverse("invocations:test-set", args=[row.model.name]))


@require_safe
@may_invoke
@cache_control(private=True, max_age=3600)
def picture(request: HttpRequest, test_pk: int) -> HttpResponse:
    """A picture of a test set, as it was sent."""
    row = get_object_or_404(LabelledPicture, pk=test_pk)
    try:
        return HttpResponse(labelled.content(row), content_type=row.content_type)
    except NotFound:
        raise Http404(_("The picture is no longer in the store.")) from None


@require_safe
@may_invoke
@cache_control(private=True, max_age=86_400, immutable=True)
def thumbnail(request: HttpRequest, test_pk: int) -> HttpResponse:
    """The small JPEG of a picture of a test set."""
    rows = LabelledPicture.objects.only("thumbnail")
    data = bytes(get_object_or_404(rows, pk=test_pk).thumbnail)
    return HttpResponse(data, content_type="image/jpeg")


def _is_htmx(request: HttpRequest) -> bool:
    return bool(cast(Any, request).htmx)
