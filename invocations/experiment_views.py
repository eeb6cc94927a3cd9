"""Pages of experiments: begin one, watch it, stop and name it, export it, compare it."""

from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
    QueryDict,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.body_limits import accepts_body
from core.errors import AwsError
from core.natural import by_name
from core.permissions import actor
from core.tables import Choice, Column, Search, Table
from core.ui import EXACT_TEXT
from endpoints import prices
from endpoints.models import Endpoint
from invocations import given as given_pictures
from invocations.experiments import chart, compared, document, drawing
from invocations.experiments import services as experiments
from invocations.experiments import targets as named_targets
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.services import Wanted
from invocations.models import EXPERIMENT_NAME_LENGTH, Experiment
from invocations.pictures import ACCEPT, MAX_FILE_BYTES, NotAPicture, too_large
from invocations.views import may_invoke

#: At most this many others the page offers to compare with; further ones are named.
OTHERS = 20


class ExperimentForm(forms.Form):
    """What a person says about a new experiment."""

    models = forms.CharField(
        label=gettext_lazy("What to call"),
        max_length=named_targets.MAX_LENGTH,
        help_text=gettext_lazy(
            "digits:* is all ready versions of digits. Or digits:1, digits@live, target models "
            "below a prefix as in demo-subfolder/*, or several with commas between."
        ),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    calls = forms.IntegerField(label=gettext_lazy("Calls"), min_value=1, initial=100)
    callers = forms.IntegerField(
        label=gettext_lazy("Callers"),
        min_value=1,
        initial=8,
        help_text=gettext_lazy("So many calls are under way at a time."),
    )
    rate = forms.FloatField(
        label=gettext_lazy("Calls a second"),
        required=False,
        help_text=gettext_lazy(
            "Empty: each caller calls again as soon as it has its answer. With a rate each call "
            "has its planned moment and its latency counts from there, so that waiting for a free "
            "caller counts."
        ),
    )
    draw = forms.CharField(
        label=gettext_lazy("Draw"),
        max_length=20,
        initial=drawing.UNIFORM,
        help_text=gettext_lazy(
            "uniform: all alike. zipf:1.1: a few are called often, the first most. day:2026-11-27: "
            "as the endpoint was called on that day (of UTC), in order of time."
        ),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    pictures = forms.ChoiceField(
        label=gettext_lazy("Pictures"), choices=Experiment.Pictures.choices
    )
    given = forms.RegexField(
        r"[0-9a-f]{64}(,[0-9a-f]{64})*",
        required=False,
        widget=forms.HiddenInput,
        error_messages={"invalid": gettext_lazy("Choose the pictures again.")},
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        required=False,
        min_value=0,
        help_text=gettext_lazy("The same seed draws the same calls. Empty: any."),
    )
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=EXPERIMENT_NAME_LENGTH, required=False, strip=True
    )

    def __init__(self, *args: Any, endpoints: QuerySet[Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["endpoint"] = forms.ModelChoiceField(
            endpoints,
            label=_("Endpoint"),
            empty_label=None,
            widget=forms.Select(attrs={"data-combobox": True}),
        )

    def wanted(self) -> Wanted:
        """What was asked for, of a form that is valid."""
        told = {key: value for key, value in self.cleaned_data.items() if key != "endpoint"}
        own = told["pictures"] == Experiment.Pictures.GIVEN
        told["given"] = self.kept_pictures if own else ()
        return Wanted(**told)

    @property
    def kept_pictures(self) -> list[str]:
        """Pictures that were given with this form before, by their SHA-256."""
        named = self.data.get("given", "")
        return named.split(",") if named and "given" not in self.errors else []


class OtherExperimentForm(forms.Form):
    """Which other experiment stands beside."""

    other = forms.CharField(
        label=gettext_lazy("Or its id or name"),
        max_length=EXPERIMENT_NAME_LENGTH,
        required=False,
        strip=True,
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )

    def __init__(self, *args: Any, experiment: Experiment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._experiment = experiment
        self.found: Experiment | None = None
        # One of those that are offered, by its id. "with" is no name in Python.
        self.fields["with"] = forms.CharField(max_length=EXPERIMENT_NAME_LENGTH, required=False)

    def clean(self) -> dict[str, Any]:
        """Look the other one up; what is typed goes before what is chosen."""
        told = super().clean() or {}
        named = told.get("other") or told.get("with")
        if named and not self.errors:
            self.found = compared.find(self._experiment, named)
            if self.found is None:
                said = _("There is no other experiment %(name)s.") % {"name": named}
                self.add_error("other", said)
        return told


class ExperimentNameForm(forms.Form):
    """Another name for an experiment."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=EXPERIMENT_NAME_LENGTH,
        required=False,
        help_text=gettext_lazy("Empty: it is called by what it calls."),
    )


# The CSRF check reads the whole body; so the user's role and the size are looked at before it.
@accepts_body(
    megabytes=lambda: (MAX_FILE_BYTES >> 20) + 1,
    too_large=lambda: too_large(_("All pictures together")),
    at_once=4,
)
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def new(request: HttpRequest) -> HttpResponse:
    """The form, preset by ``?endpoint=`` and ``?models=``; its plan, or the experiment begins."""
    return _new(request)


@csrf_protect
def _new(request: HttpRequest) -> HttpResponse:
    serving = Endpoint.objects.serving()
    limits = experiments.limits_of(actor(request))
    given, problem = None, ""
    if request.method == "POST":
        try:
            given = _with_pictures(request)
        except (NotAPicture, AwsError, ExperimentRefused) as refused:
            given, problem = request.POST, str(refused)
    asked = {"endpoint": request.GET.get("endpoint"), "models": request.GET.get("models", "")}
    form = ExperimentForm(given, initial=asked, endpoints=serving)
    form.fields["calls"].widget.attrs["max"] = limits.calls
    form.fields["callers"].widget.attrs["max"] = limits.callers
    form.fields["callers"].initial = min(8, limits.callers)
    plan = None
    if problem:
        form.add_error("pictures", problem)
    if form.is_valid():
        chosen = form.cleaned_data["endpoint"]
        try:
            if "plan" not in request.POST:
                made = experiments.start(
                    wanted=form.wanted(), endpoint=chosen, actor=actor(request)
                )
                return redirect(made)
            plan = experiments.plan(wanted=form.wanted(), endpoint=chosen, actor=actor(request))
        except ExperimentRefused as refused:
            field = "pictures" if refused.field == "given" else refused.field
            form.add_error(field or None, str(refused))
    context = {
        "form": form,
        "plan": plan,
        "estimate": prices.known().estimate if plan is not None else "",
        "limits": limits,
        "endpoints": serving.exists(),
        "accept": ACCEPT,
        "most": settings.EXPERIMENT_PICTURES,
    }
    status = 400 if form.errors else 200
    return render(request, "invocations/experiment_new.html", context, status=status)


def _with_pictures(request: HttpRequest) -> QueryDict:
    """What the form says, with the pictures that came with it kept, and named by their SHA-256.

    Raises NotAPicture, AwsError and ExperimentRefused.
    """
    files = request.FILES.getlist("files")
    if not files:
        return request.POST
    if len(files) > settings.EXPERIMENT_PICTURES:
        said = _("Give %(most)s pictures at most. Nothing was called.")
        raise ExperimentRefused(said % {"most": settings.EXPERIMENT_PICTURES}, "invalid", "given")
    named = [(cast(Any, file), file.name or "") for file in files]
    kept = given_pictures.keep(named, lambda _name: "", actor(request))
    told = request.POST.copy()
    told["given"] = ",".join(dict.fromkeys(one.sha256 for one in kept))
    told["pictures"] = Experiment.Pictures.GIVEN
    return told


@require_safe
@may_invoke
def listed(request: HttpRequest) -> HttpResponse:
    """All experiments, newest first."""
    named = Endpoint.objects.values_list("pk", "name").order_by(*by_name("name"), "pk")
    table = Table(
        request,
        Experiment.objects.listed(),
        columns=[
            Column("name", _("Experiment"), sort=("name", "named"), natural=True),
            Column("endpoint", _("Endpoint"), sort="endpoint__name", natural=True),
            Column("state", _("State"), sort="state"),
            Column("calls", _("Calls"), sort="calls", numeric=True),
            Column("cold", _("Cold starts"), numeric=True),
            Column("median", _("Median time"), numeric=True),
            Column("rate", _("Calls a second"), numeric=True),
            Column("by", _("By"), sort="created_by_name", natural=True),
            Column("when", _("When"), sort="created_at"),
        ],
        filters=[
            Search("q", _("Name"), fields=("name__icontains", "named__icontains")),
            Choice("endpoint", _("Endpoint"), named),
            Choice("state", _("State"), Experiment.State.choices),
        ],
        default_sort="-when",
    )
    return render(request, "invocations/experiments.html", {"table": table})


@require_safe
@may_invoke
def page(request: HttpRequest, uid: str) -> HttpResponse:
    """What came of an experiment so far; for htmx the part that changes alone.

    ``?with=`` and ``?other=`` are the id or the name of another one, whose figures stand beside.
    """
    experiment = _experiment(uid)
    result = experiment.result
    context: dict[str, Any] = {
        "experiment": experiment,
        "result": result,
        "chart": chart.latency_chart(result),
        "rows": chart.target_rows(experiment.targets, result),
        "may_change": experiments.may_change(actor(request), experiment),
    }
    if cast(Any, request).htmx:
        return render(request, "invocations/_experiment.html", context)
    others = list(Experiment.objects.listed().exclude(pk=experiment.pk)[:OTHERS])
    form = OtherExperimentForm(request.GET, experiment=experiment)
    form.is_valid()
    beside = form.found
    if beside is not None and beside not in others:
        others.append(beside)
    context |= {
        "beside_form": form,
        "again": urlencode({"endpoint": experiment.endpoint_id, "models": experiment.named}),
        "others": others,
        "other": beside,
        "figures": compared.figures(experiment, beside) if beside is not None else [],
        "both": chart.beside_chart(experiment, beside) if beside is not None else None,
    }
    return render(request, "invocations/experiment.html", context)


@require_POST
@may_invoke
def stop(request: HttpRequest, uid: str) -> HttpResponse:
    """Begin no further call."""
    experiment = _experiment(uid)
    try:
        experiments.stop(experiment=experiment, actor=actor(request))
    except ExperimentRefused as refused:
        messages.error(request, str(refused))
    return redirect(experiment)


@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def rename(request: HttpRequest, uid: str) -> HttpResponse:
    """Give it another name; empty: none."""
    experiment = _experiment(uid)
    given = request.POST if request.method == "POST" else None
    form = ExperimentNameForm(given, initial={"name": experiment.name})
    if form.is_valid():
        try:
            experiments.rename(experiment=experiment, actor=actor(request), **form.cleaned_data)
        except ExperimentRefused as refused:
            messages.error(request, str(refused))
        return redirect(experiment)
    context = {"form": form, "experiment": experiment}
    status = 400 if form.errors else 200
    return render(request, "invocations/experiment_name.html", context, status=status)


@require_safe
@may_invoke
def as_csv(request: HttpRequest, uid: str) -> StreamingHttpResponse:
    """The results as a file for spreadsheets: a line for each target."""
    experiment = _experiment(uid)
    lines = experiments.csv_of(experiment)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"experiment-{experiment.uid[:12]}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
@may_invoke
def as_json(request: HttpRequest, uid: str) -> JsonResponse:
    """The same document as the API's, as a file."""
    experiment = _experiment(uid)
    answer = JsonResponse(document.whole(experiment), json_dumps_params={"indent": 2})
    name = f"experiment-{experiment.uid[:12]}.json"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _experiment(uid: str) -> Experiment:
    return get_object_or_404(Experiment.objects.listed(), uid=uid)
