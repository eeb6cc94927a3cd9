"""Forms of the endpoint pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.natural import by_name
from core.ui import EXACT_TEXT
from endpoints import execution_roles, idle_limits, instance_memory, options, prices
from endpoints.alarm_presets import LONGEST_MINUTES, AlarmKind
from endpoints.limits import COOLDOWN_S, Limits, ScheduledLimits
from endpoints.models import (
    Endpoint,
    EndpointAlarm,
    Orphan,
    Running,
    data_url,
    valid_endpoint_name,
    valid_instance_count,
)
from endpoints.options import DeploymentOptions
from endpoints.policies import LONGEST_WAIT_S, SHARES, USUAL_SHARE, DeploymentPolicy, PolicyKind
from endpoints.scaling import HIGHEST_TARGET, LONGEST_COOLDOWN_S, scheduled
from endpoints.variants import ALONE, HIGHEST_WEIGHT, ProductionVariant, Variants, is_plain
from models_catalog import stores
from models_catalog.forms import offer_stores
from models_catalog.models import REASON_LENGTH, Store


def _end_date() -> forms.DateTimeField:
    return forms.DateTimeField(
        label=_("End date"),
        required=False,
        help_text=_(
            "The endpoint is torn down then. You are told a day and an hour before. Empty: it has "
            "no end date."
        ),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


def _idle_hours() -> forms.IntegerField:
    return forms.IntegerField(
        label=_("Idle hours"),
        required=False,
        min_value=0,
        max_value=idle_limits.MOST_HOURS,
        help_text=_(
            "The endpoint is torn down when nobody has called it for so many hours. You are told "
            "before. Empty: it is not."
        ),
    )


def _reason() -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,
        help_text=_("The history keeps it. You can leave it empty."),
    )


if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _cooldown(label: StrOrPromise, help_text: StrOrPromise) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=0,
        max_value=LONGEST_COOLDOWN_S,
        initial=COOLDOWN_S,
        label=label,
        help_text=help_text,
    )


def _weight(label: StrOrPromise) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        min_value=0,
        max_value=HIGHEST_WEIGHT,
        initial=1,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text=_("Its share of the calls is this of the weights of both."),
    )


def _or_one(weight: float | None) -> float:
    return 1.0 if weight is None else weight


class WeightsForm(forms.Form):
    """How the calls are shared among the variants of an endpoint: a field for each."""

    def __init__(self, *args: Any, variants: Variants, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names = {f"weight_{number}": one.name for number, one in enumerate(variants)}
        for number, one in enumerate(variants):
            field = forms.FloatField(
                label=one.name,
                min_value=0,
                max_value=HIGHEST_WEIGHT,
                initial=f"{one.weight:g}",
                widget=forms.NumberInput(attrs={"step": "any"}),
            )
            self.fields[f"weight_{number}"] = field

    @property
    def weights(self) -> dict[str, float]:
        """What a valid form says, by the names of variants."""
        return {name: self.cleaned_data[field] for field, name in self._names.items()}


class EndDateForm(forms.Form):
    """When an endpoint ends."""

    expires_at = _end_date()


class IdleForm(forms.Form):
    """After how many hours without a call an endpoint ends."""

    idle_hours = _idle_hours()


class _WithVariants(forms.Form):
    """The fields of a second variant, and what tells the first from it.

    What is chosen is ``variants`` of the cleaned data: empty where there is one that nobody named.
    """

    first_name = forms.CharField(
        label=_("Name of the first variant"), max_length=63, initial=ALONE, required=False
    )
    first_weight = _weight(_("Weight of the first variant"))
    second_name = forms.CharField(
        label=_("Name of the second variant"),
        max_length=63,
        required=False,
        help_text=_("Letters, digits and hyphens. Empty: there is no second variant."),
    )
    second_type = forms.ChoiceField(
        label=_("Instance type"), required=False, widget=forms.Select(attrs={"data-combobox": True})
    )
    second_count = forms.IntegerField(
        label=_("Number of instances"), min_value=1, initial=1, required=False
    )
    second_weight = _weight(_("Weight of the second variant"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("first_name", "second_name"):
            self.fields[name].widget.attrs.update(EXACT_TEXT)

    @property
    def open(self) -> bool:
        """Whether the form has a second variant, or something is wrong with one."""
        wrong = any(name.startswith(("first_", "second_")) for name in self.errors)
        return wrong or bool(self["second_name"].value())

    def clean(self) -> dict[str, Any]:
        """Put the variants together."""
        told = super().clean() or self.cleaned_data
        if "instance_type" not in told or "instance_count" not in told:
            return told
        first = ProductionVariant(
            told.pop("first_name", "") or ALONE,
            told["instance_type"],
            told["instance_count"],
            _or_one(told.pop("first_weight", None)),
        )
        rows = [first]
        name, kind = told.pop("second_name", ""), told.pop("second_type", "")
        count, weight = told.pop("second_count", None), told.pop("second_weight", None)
        if name:
            kind = kind or first.instance_type
            rows.append(ProductionVariant(name, kind, count or 1, _or_one(weight)))
        self.choose(told, tuple(rows))
        return told

    def choose(self, told: dict[str, Any], rows: Variants) -> None:
        """Write what is chosen to the cleaned data."""
        told["variants"] = () if is_plain(rows) else rows
        if told["variants"]:  # which say both
            told["instance_type"], told["instance_count"] = "", 1

    def add_error(self, field: str | None, error: Any) -> None:
        """What a service says of variants is shown at the second one.

        What it says of a store is said of the form, where that offers none.
        """
        if isinstance(error, forms.ValidationError) and hasattr(error, "error_dict"):
            told = error.error_dict
            if "variants" in told:
                told["second_name"] = told.pop("variants")
            if "store" in told and "store" not in self.fields:
                told[NON_FIELD_ERRORS] = told.pop("store")
        super().add_error(field, error)


class Pairs(forms.CharField):
    """NAME=VALUE, each on a line of its own; a dictionary."""

    widget = forms.Textarea(
        attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off", "class": "code"}
    )

    def prepare_value(self, value: object) -> object:
        """As it stands in the form."""
        if isinstance(value, Mapping):
            return "\n".join(f"{name}={one}" for name, one in value.items())
        return value

    def to_python(self, value: object) -> dict[str, str]:  # type: ignore[override]
        """Raise ValidationError for a line without =, and for a name that is there twice."""
        if isinstance(value, Mapping):
            return dict(value)
        found: dict[str, str] = {}
        for line in str(value or "").splitlines():
            name, equals, one = line.strip().partition("=")
            if not line.strip():
                continue
            if not equals or not name.strip():
                said = gettext("Write each on a line of its own, as NAME=value: %(line)s")
                raise forms.ValidationError(said % {"line": line.strip()[:60]})
            if name.strip() in found:
                said = gettext("%(name)s is there twice.") % {"name": name.strip()}
                raise forms.ValidationError(said)
            found[name.strip()] = one.strip()
        return found

    def has_changed(self, initial: object, data: object) -> bool:
        """Whether another dictionary was given, or none that is one."""
        try:
            return bool(self.to_python(initial) != self.to_python(data))
        except forms.ValidationError:
            return True


class Ids(forms.CharField):
    """Some ids, separated by commas, spaces or lines; a tuple."""

    def prepare_value(self, value: object) -> object:
        """As they stand in the form."""
        return ", ".join(value) if isinstance(value, tuple | list) else value

    def to_python(self, value: object) -> tuple[str, ...]:  # type: ignore[override]
        """The ids, in their order."""
        if isinstance(value, tuple | list):
            return tuple(value)
        return tuple(str(value or "").replace(",", " ").split())


def _timeout(label: StrOrPromise, help_text: StrOrPromise) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=options.LEAST_TIMEOUT_S,
        max_value=options.MOST_TIMEOUT_S,
        label=label,
        help_text=help_text,
    )


class OptionsForm(forms.Form):
    """What can be set of an endpoint and most leave as it is: the fields under "More options"."""

    MORE = (
        *("model_cache", "environment", "startup_timeout_s", "download_timeout_s", "volume_gb"),
        *("subnets", "security_groups", "kms_key", "capture_percent", "tags", "owner"),
    )
    model_cache = forms.ChoiceField(
        label=_("Model cache"),
        required=False,
        choices=[
            ("on", _("on: models stay in memory")),
            ("off", _("off: a model leaves after its calls")),
        ],
        help_text=_("Off suits many models that are each called once in a while."),
    )
    environment = Pairs(
        label=_("Environment of the container"),
        required=False,
        help_text=_("A variable on each line, as OMP_NUM_THREADS=2."),
    )
    startup_timeout_s = _timeout(
        _("Time to become healthy, in seconds"),
        _("Within it the container must answer its health check. Empty: AWS's preset."),
    )
    download_timeout_s = _timeout(
        _("Time to download a model, in seconds"),
        _("From S3 to the instance, unpacked. Empty: AWS's preset."),
    )
    volume_gb = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=options.MOST_VOLUME_GB,
        label=_("Volume of each instance, in GB"),
        help_text=_("For models on disk. Types with a disk of their own take none."),
    )
    subnets = Ids(
        label=_("Subnets"),
        required=False,
        help_text=_("Of your VPC, as subnet-0a1b2c3d. The containers reach S3 through it then."),
    )
    security_groups = Ids(
        label=_("Security groups"), required=False, help_text=_("Of the same VPC, as sg-0a1b2c3d.")
    )
    kms_key = forms.CharField(
        label=_("KMS key"),
        required=False,
        max_length=2048,
        help_text=_("It encrypts the volume. An id, an ARN or an alias."),
    )
    capture_percent = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=options.MOST_PERCENT,
        label=_("Data capture, in percent of the calls"),
        help_text=_(
            "SageMaker keeps what these calls sent and what was answered, in S3. Empty: none."
        ),
    )
    tags = Pairs(
        label=_("Tags"),
        required=False,
        help_text=_("For the bill of AWS, a tag on each line, as team=vision."),
    )
    owner = forms.CharField(
        label=_("Owner"),
        required=False,
        max_length=150,
        help_text=_(
            "Who answers for its cost, and may end or pause it: a name with which somebody logs in "
            "here."
        ),
    )

    def __init__(self, *args: object, chosen: DeploymentOptions, **kwargs: Any) -> None:
        self._chosen = chosen
        told = dataclasses.asdict(chosen) | {"model_cache": "on" if chosen.model_cache else "off"}
        kwargs["initial"] = {**told, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def options(self) -> DeploymentOptions:
        """What a valid form says; a field that was not sent is as it was."""
        told, patch = self.cleaned_data, dataclasses.asdict(self._chosen)
        for name in patch:
            if self.add_prefix(name) in self.data:
                patch[name] = told[name]
        if self.add_prefix("model_cache") in self.data:
            patch["model_cache"] = told["model_cache"] != "off"
        return DeploymentOptions.of(patch)

    @property
    def more(self) -> list[forms.BoundField]:
        """The fields under "More options"."""
        return [self[name] for name in self.MORE]

    @property
    def more_is_open(self) -> bool:
        """Whether one of them has an error, or says something that is not preset."""
        others = [self[name] for name in ("image", "role_arn", "store") if name in self.fields]
        if any(field.errors for field in [*self.more, *others]):
            return True
        if self.is_bound:
            own = self.initial.get("owner")
            owner = self.data.get(self.add_prefix("owner"), own)
            return owner != own or (self.is_valid() and self.options.as_json() is not None)
        return self._chosen.as_json() is not None


class NewEndpointForm(_WithVariants, OptionsForm):
    """What a user says about a new endpoint; the rest is preset."""

    name = forms.CharField(
        label=_("Name"),
        max_length=53,
        validators=[valid_endpoint_name],
        help_text=_("Letters, digits and hyphens. Programs call the endpoint by this name."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "demo"}
        ),
    )
    instance_type = forms.ChoiceField(
        label=_("Instance type"),
        help_text=_("The kind of machine. More memory keeps more models warm at the same time."),
        widget=forms.Select(attrs={"data-combobox": True}),
    )
    instance_count = forms.IntegerField(
        min_value=1,
        validators=[valid_instance_count],
        initial=1,
        label=_("Number of instances"),
        help_text=_(
            "How many of these machines share the calls. With two or more, calls go on when one "
            "fails. Each loads models into its own memory."
        ),
    )

    store = forms.ChoiceField(
        required=False,
        label=_("Store"),
        help_text=_("It serves all versions in there."),
    )
    expires_at = _end_date()
    idle_hours = _idle_hours()
    warm_aliases = forms.BooleanField(
        label=_("Load the models that aliases point at"),
        required=False,
        help_text=_(
            "Once it serves, and after each change, the portal calls each of them once, so that "
            "nobody waits for a first load."
        ),
    )
    image = forms.CharField(
        label=_("Container image"),
        max_length=255,
        required=False,
        help_text=_("In ECR. It runs with the execution role, so admins alone choose it."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "list": "images-in-ecr"}
        ),
    )
    role_arn = forms.CharField(
        label=_("Execution role"),
        max_length=execution_roles.MOST,
        required=False,
        help_text=_("The containers have its rights, so admins alone choose it. An ARN."),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    reason = _reason()

    def __init__(self, *args: object, may_change_image: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"chosen": DeploymentOptions(), **kwargs})
        for name in ("image", "role_arn"):  # an image has the rights of the role
            self.fields[name].disabled = not may_change_image
        self.offer([one for one in stores.offered() if one.region == settings.AWS_REGION])
        choice = self.fields["instance_type"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(kind, _priced(kind)) for kind in settings.INSTANCE_TYPES]
        second = self.fields["second_type"]
        assert isinstance(second, forms.ChoiceField)
        second.choices = list(choice.choices)
        self.fields["second_count"].widget.attrs["max"] = settings.MAX_INSTANCES
        # For the browser alone: the validator of the field refuses more.
        self.fields["instance_count"].widget.attrs["max"] = settings.MAX_INSTANCES

    def offer(self, here: list[Store]) -> None:
        """Let the field ``store`` choose one of those that can be served."""
        offer_stores(self, here)

    @property
    def asked(self) -> dict[str, Any]:
        """What a valid form asks for, as the services take it."""
        names = (
            *("name", "instance_type", "instance_count", "variants", "expires_at", "image"),
            *("role_arn", "owner", "reason", "warm_aliases"),
        )
        asked = {name: self.cleaned_data[name] for name in names} | {"options": self.options}
        asked["store"] = self.cleaned_data.get("store", "")
        # An empty field is meant so: what is preset stands in it.
        idle_hours = self.cleaned_data["idle_hours"] or idle_limits.NONE
        return asked | {"idle_hours": idle_hours, "never_ends": asked["expires_at"] is None}


class ChangeForm(NewEndpointForm):
    """What is to be different of a living endpoint."""

    field_order = (
        "instance_type",
        "instance_count",
        "image",
        "role_arn",
        *OptionsForm.MORE,
        "reason",
    )
    # Django's way to leave fields of the parent out.
    name = None  # type: ignore[assignment]
    expires_at = None  # type: ignore[assignment]
    idle_hours = None  # type: ignore[assignment]
    warm_aliases = None  # type: ignore[assignment]

    policy = forms.ChoiceField(
        label=_("How the calls move"),
        choices=PolicyKind.choices,
        initial=PolicyKind.AT_ONCE,
        required=False,
    )
    percent = forms.IntegerField(
        label=_("Share in percent"), min_value=0, max_value=50, required=False
    )
    wait_s = forms.IntegerField(
        label=_("Watched after each step, in seconds"),
        min_value=0,
        max_value=LONGEST_WAIT_S,
        required=False,
        help_text=_("Empty: not at all."),
    )
    alarms = forms.CharField(
        label=_("Other alarms that go back"),
        max_length=2000,
        required=False,
        help_text=_("Names of alarms in CloudWatch, with commas between. Empty: none."),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    own_alarms = forms.MultipleChoiceField(
        label=_("Its alarms that go back"),
        required=False,
        help_text=_("Those of the tab Alarms."),
        widget=forms.CheckboxSelectMultiple,
    )
    store = forms.ChoiceField(
        required=False,
        label=_("Store"),
        help_text=_(
            "It serves all versions in there. Those of the store before can be called no more."
        ),
    )
    remaining = forms.ChoiceField(
        label=_("Variants"),
        required=False,
        help_text=_("One that is not kept is deleted when the change is made."),
    )

    def __init__(
        self,
        *args: object,
        place: tuple[str, str],
        alarms: Sequence[EndpointAlarm] = (),
        **kwargs: Any,
    ) -> None:
        self._place = place
        super().__init__(*args, **kwargs)
        usual = gettext("For a canary, linear or rolling change. Empty: %(usual)s.")
        self.fields["percent"].help_text = usual % {"usual": USUAL_SHARE}
        own = self.fields["own_alarms"]
        assert isinstance(own, forms.MultipleChoiceField)
        own.choices = [(one.name, f"{one.get_kind_display()} ({one.key})") for one in alarms]
        if not alarms:
            del self.fields["own_alarms"]
        # A variant keeps its name: SageMaker tells by it what goes on.
        names = [self.initial[f"{which}_name"] for which in ("first", "second")]
        self.fields["first_name"].disabled = True
        if names[1]:
            self.fields["second_name"].disabled = True
            remaining = self.fields["remaining"]
            assert isinstance(remaining, forms.ChoiceField)
            only = gettext("%(name)s alone")
            remaining.choices = [
                ("", gettext("Both")),
                *((name, only % {"name": name}) for name in names),
            ]
        else:
            del self.fields["remaining"]
        choice = self.fields["instance_type"]
        assert isinstance(choice, forms.ChoiceField)
        now = self.initial["instance_type"]
        if now not in settings.INSTANCE_TYPES:  # what it has already can stay
            choice.choices = [(now, _priced(now)), *choice.choices]  # type: ignore[misc]
        second, now = self.fields["second_type"], self.initial["second_type"]
        assert isinstance(second, forms.ChoiceField)
        if now and now not in settings.INSTANCE_TYPES:
            second.choices = [(now, _priced(now)), *second.choices]  # type: ignore[misc]

    def choose(self, told: dict[str, Any], rows: Variants) -> None:
        """Keep what was chosen of the variants that there are."""
        remaining = told.pop("remaining", "")
        told["variants"] = tuple(one for one in rows if remaining in ("", one.name))

    def offer(self, here: list[Store]) -> None:
        """Let the field ``store`` choose another one than that before, where there is one."""
        others = [one for one in here if (one.bucket, one.prefix) != self._place]
        if not others:
            del self.fields["store"]
            return
        choice = self.fields["store"]
        assert isinstance(choice, forms.ChoiceField)
        stays = gettext("as it is: %(url)s") % {"url": data_url(self._place)}
        choice.choices = [("", stays), *((one.name, f"{one.name} – {one.url}") for one in others)]

    @property
    def other_store(self) -> str | None:
        """The name of the store that a valid form chooses; None: it stays."""
        return self.cleaned_data.get("store") or None

    def offers(self, store: Store | None) -> bool:
        """Whether it can choose this store."""
        field = self.fields.get("store")
        names = [name for name, _label in field.choices] if field else []  # type: ignore[attr-defined]
        return store is not None and store.name in names

    @property
    def by_policy(self) -> DeploymentPolicy | None:
        """How SageMaker is to make it, of a valid form; None: at once, and unwatched."""
        told = self.cleaned_data
        typed = filter(None, (one.strip() for one in told["alarms"].split(",")))
        names = tuple(dict.fromkeys((*told.get("own_alarms", ()), *typed)))
        kind, wait = told["policy"] or PolicyKind.AT_ONCE, told["wait_s"] or 0
        if kind == PolicyKind.AT_ONCE and not (names or wait):
            return None
        given = USUAL_SHARE if told["percent"] is None else told["percent"]
        share = given if kind in SHARES else 0
        return DeploymentPolicy(kind, share, wait, names)

    @property
    def policy_open(self) -> bool:
        """Whether something is chosen, or wrong, of how it is made."""
        names = ("policy", "percent", "wait_s", "alarms", "own_alarms")
        return self.is_bound and any(
            name in self.errors or name in self.changed_data for name in names
        )

    @staticmethod
    def presets(size: Running) -> dict[str, Any]:
        """The fields that say what runs."""
        found: dict[str, Any] = {"second_name": "", "second_type": ""}
        for which, one in zip(("first", "second"), size.parts, strict=False):
            found[f"{which}_name"], found[f"{which}_weight"] = one.name, f"{one.weight:g}"
            found[f"{which}_type"], found[f"{which}_count"] = one.instance_type, one.instance_count
        found["instance_type"] = found.pop("first_type")
        found["instance_count"] = found.pop("first_count")
        return found


def _priced(instance_type: str) -> str:
    """The type with its vCPUs, its memory and what one instance costs, as far as they are known."""
    told: dict[str, Any] = {"type": instance_type}
    cpus, memory = instance_memory.vcpus(instance_type), instance_memory.memory_mb(instance_type)
    said = instance_type
    if cpus is not None and memory is not None:
        told |= {"cpus": cpus, "memory": f"{memory / 1024:.3g}"}
        said = gettext("%(type)s: %(cpus)s vCPUs, %(memory)s GiB") % told
    cost = prices.known().cost(instance_type, 1)
    if cost is None:
        return said
    told |= {"said": said, "price": cost.hourly, "currency": cost.currency}
    return gettext("%(said)s, about %(price)s %(currency)s an hour") % told


class HoursForm(forms.Form):
    """When an endpoint works; else it is paused."""

    hours = forms.CharField(
        label=_("Working hours"),
        max_length=60,
        required=False,
        help_text=_(
            "Days and times, as mon-fri 08:00-19:00 or sat,sun 22:00-06:00. Empty: it runs always."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "mon-fri 08:00-19:00"}),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        required=False,
        help_text=_(
            "Such as Asia/Seoul. The hours are those of the clock there, in summer and winter."
        ),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )


class BudgetForm(forms.Form):
    """What a month may cost; without an amount the budget is removed."""

    owner = forms.ModelChoiceField(
        label=_("Owner"),
        queryset=User.objects.order_by(*by_name("username")),
        required=False,
        empty_label=_("Of all owners"),
        help_text=_("Of the endpoints of one person alone."),
    )
    tag = forms.CharField(
        label=_("Tag"),
        max_length=400,
        required=False,
        help_text=_("As team=vision: of the endpoints with this tag alone."),
    )
    amount = forms.DecimalField(
        label=_("Amount a month"),
        required=False,
        max_digits=12,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"step": "0.01", "min": "0.01"}),
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        said = gettext("In %(currency)s. Empty: it has no budget any more.")
        self.fields["amount"].help_text = said % {"currency": currency}


class DriftForm(forms.Form):
    """Why what was changed outside the portal is accepted, or put back."""

    reason = forms.CharField(max_length=REASON_LENGTH, required=False)


class Schedule(forms.CharField):
    """Limits from times of the week on, each on a line of its own, as mon-fri 08:00 2-4."""

    widget = forms.Textarea(
        attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off", "class": "code",
               "placeholder": "mon-fri 08:00 2-4"}
    )  # fmt: skip

    def prepare_value(self, value: object) -> object:
        """As it stands in the form."""
        return "\n".join(map(str, value)) if isinstance(value, tuple) else value

    def to_python(self, value: object) -> tuple[ScheduledLimits, ...]:  # type: ignore[override]
        """Raise ValidationError for a line that is none."""
        found = []
        for line in str(value or "").splitlines():
            when, _space, numbers = line.strip().rpartition(" ")
            least, dash, most = numbers.partition("-")
            if not line.strip():
                continue
            if not (dash and least.isdecimal() and most.isdecimal() and len(numbers) < 20):
                said = gettext("Write each on a line of its own, as mon-fri 08:00 2-4: %(line)s")
                raise forms.ValidationError(said % {"line": line.strip()[:60]})
            try:
                found.append(scheduled(when, int(least), int(most)))
            except forms.ValidationError as error:
                raise forms.ValidationError(error.messages) from None
        return tuple(found)


class ScalingForm(forms.Form):
    """Between how many instances AWS scales an endpoint, and when."""

    min_instances = forms.IntegerField(min_value=1, label=_("Fewest instances"))
    max_instances = forms.IntegerField(
        min_value=1,
        label=_("Most instances"),
        help_text=_("They cost money as long as they run, so this limits the cost."),
    )
    calls_per_minute = forms.IntegerField(
        min_value=1,
        max_value=HIGHEST_TARGET,
        label=_("Calls a minute for each instance"),
        help_text=_(
            "With more than this for three minutes, AWS adds instances; with less than nine tenths "
            "for a quarter of an hour, it takes some away."
        ),
    )
    out_cooldown_s = _cooldown(
        _("Pause after more instances, in seconds"),
        _("Until instances are added again. An instance needs some minutes to start."),
    )
    in_cooldown_s = _cooldown(
        _("Pause after fewer instances, in seconds"),
        _("Until instances are taken away again."),
    )

    schedule = Schedule(
        label=_("Other limits by the clock"),
        required=False,
        help_text=_(
            "A time of the week on each line, with the fewest and the most instances from then on: "
            "mon-fri 08:00 2-4. Empty: the same limits always."
        ),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        required=False,
        help_text=_("That of these times, such as Asia/Seoul."),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )

    @property
    def limits(self) -> Limits:
        """What a valid form says."""
        told = self.cleaned_data
        return Limits(
            least=told["min_instances"],
            most=told["max_instances"],
            target=told["calls_per_minute"],
            in_cooldown=told["in_cooldown_s"],
            out_cooldown=told["out_cooldown_s"],
            schedule=told["schedule"],
            zone=told["zone"],
        )


class _WhatStays(forms.Form):
    """What a teardown leaves in the AWS account."""

    keep_config = forms.BooleanField(
        label=_("Keep the configuration"),
        required=False,
        help_text=_("And the SageMaker model, which it needs. Neither costs anything."),
    )
    keep_model = forms.BooleanField(label=_("Keep the SageMaker model"), required=False)

    @property
    def kept(self) -> dict[str, bool]:
        """What a valid form says, as the services take it."""
        return {name: self.cleaned_data[name] for name in ("keep_config", "keep_model")}


class TeardownOfManyForm(_WhatStays):
    """The names of the chosen endpoints, typed again."""

    typed_names = forms.CharField(
        label=_("Names of the endpoints"),
        help_text=_("Separate them by spaces or commas. Their order does not matter."),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )

    def __init__(
        self, *args: object, endpoints: Sequence[Endpoint | Orphan], **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._names = {one.name for one in endpoints}

    def clean_typed_names(self) -> str:
        """Raise ValidationError where a name is missing or is that of no chosen endpoint."""
        typed: str = self.cleaned_data["typed_names"]
        names = set(typed.replace(",", " ").split())
        missing, unknown = self._names - names, names - self._names
        if missing or unknown:
            said = gettext(
                "Type each name as it is above. Missing: %(missing)s. Not chosen: %(unknown)s."
            )
            told = {
                "missing": ", ".join(sorted(missing)) or "–",
                "unknown": ", ".join(sorted(unknown)) or "–",
            }
            raise forms.ValidationError(said % told)
        return typed


class OrphansForm(TeardownOfManyForm):
    """The names of what no endpoint owns, typed again."""

    def __init__(self, *args: object, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["typed_names"].label = _("Names of what is to be deleted")
        # What others made may have spaces in its name.
        self._names = set(" ".join(self._names).replace(",", " ").split())
        del self.fields["keep_config"], self.fields["keep_model"]


class AlarmForm(forms.Form):
    """What an alarm is of, and when it goes off."""

    kind = forms.ChoiceField(label=_("Alarm"), choices=AlarmKind.choices)
    variant = forms.ChoiceField(label=_("Variant"))
    threshold = forms.IntegerField(
        label=_("Goes off at"),
        min_value=1,
        required=False,
        help_text=_(
            "Failed calls: 5 or more. Latency: above 2000 ms. Cache hit ratio: below 60 percent. "
            "Memory: above 90 percent. Left empty, it is this value. No calls: leave it empty."
        ),
    )
    minutes = forms.IntegerField(
        label=_("Over so many minutes"),
        min_value=1,
        max_value=LONGEST_MINUTES,
        required=False,
        help_text=_("Empty: 5; of the cache hit ratio 15, of no calls 60."),
    )

    def __init__(
        self,
        *args: Any,
        variants: Sequence[str],
        of: EndpointAlarm | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["variant"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(name, name) for name in variants]
        self._first = variants[0]
        if len(variants) == 1:
            del self.fields["variant"]
        if of is not None:
            self.fields["kind"].disabled = True
            if of.fixed:
                del self.fields["threshold"]

    def clean(self) -> dict[str, Any]:
        """The one variant where there is one, and no threshold of what has none."""
        told = super().clean() or {}
        told.setdefault("variant", self._first)
        told.setdefault("threshold", None)
        return told


class TeardownForm(_WhatStays):
    """The name, typed again, and what is to stay."""

    typed_name = forms.CharField(
        label=_("Name of the endpoint"),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
