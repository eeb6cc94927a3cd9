"""A text is taken out of all that people wrote and that was recorded, and of nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models
from django.test import Client

from activity import redaction
from activity.models import Event
from activity.services import record
from models_catalog.models import LabelFile, RegisteredModel, Version
from models_catalog.tests.test_aliases import make_model
from tests.bearer import secret_of

PAGE = "/activity/redact/"
API = "/api/v1/redactions"
NAME = "Jörg Müller"


@pytest.fixture
def admin(user_in: Callable[[str], User]) -> User:
    return user_in("admin")


@pytest.fixture
def version(db: None) -> Version:
    make_model(
        "digits", 1, note=f"Asked by {NAME.upper()}, jörg@example.org",
        metadata={"by": [NAME, 7], "code": NAME}, label_file=LabelFile.of(["cat", NAME, "dog"]),
    )  # fmt: skip
    return Version.objects.get()


def _everything() -> str:
    """All texts of all rows of the portal's tables, as one."""
    found = []
    for model in apps.get_models():
        found += [list(row.values()) for row in model._base_manager.values()]
    return json.dumps(found, default=str, ensure_ascii=False).casefold()


@pytest.mark.not_quick
def test_it_is_found_and_taken_out_wherever_it_stands(admin: User, version: Version) -> None:
    record(
        action="version.rejected", subject=version, actor=None,
        parameters={"version": f"of {NAME}", "reason": "x"},
    )  # fmt: skip
    RegisteredModel.objects.update(description=f"**{NAME}**")
    found = {one.name: one.count for one in redaction.find(text=NAME.lower())}
    assert found == {"notes": 2, "labels": 1, "events": 1}
    assert redaction.redact(text=NAME, actor=admin)
    assert NAME.casefold() not in _everything()
    version.refresh_from_db()
    assert version.metadata == {"by": [redaction.MARK, 7], "code": redaction.MARK}
    assert version.label_file is not None
    assert version.label_file.labels == ["cat", redaction.MARK, "dog"]
    event = Event.objects.get(action="version.rejected")
    assert redaction.MARK in event.sentence
    done = Event.objects.get(action="log.redacted")
    assert done.actor == admin
    assert redaction.find(text=NAME) == []
    assert redaction.redact(text=NAME, actor=admin) == []
    assert Event.objects.filter(action="log.redacted").count() == 1


@pytest.mark.not_quick
def test_case_and_the_way_letters_are_composed_do_not_matter(admin: User, db: None) -> None:
    make_model("a", 1, note="Ask ANNA and Jo\u0308rg")
    redaction.redact(text="anna", actor=admin)
    redaction.redact(text="J\u00f6rg", actor=admin)
    assert Version.objects.get().note == f"Ask {redaction.MARK} and {redaction.MARK}"


@pytest.mark.not_quick
def test_a_text_with_a_quote_and_letters_beyond_ascii_is_found_in_json(
    admin: User, db: None
) -> None:
    text = 'Jörg "Jo" Müller'
    make_model("a", 1, metadata={"by": f"asked by {text}"})
    assert redaction.redact(text=text, actor=admin)
    assert Version.objects.get().metadata == {"by": f"asked by {redaction.MARK}"}


def test_labels_that_become_the_same_share_a_row(admin: User, db: None) -> None:
    make_model("a", 1, label_file=LabelFile.of(["cat", "anna"]))
    make_model("b", 1, label_file=LabelFile.of(["cat", redaction.MARK]))
    redaction.redact(text="anna", actor=admin)
    one, other = Version.objects.order_by("pk")
    assert one.label_file == other.label_file
    assert LabelFile.objects.count() == 1
    # And the same labels, uploaded again, find that row.
    assert LabelFile.of(["cat", redaction.MARK]) == one.label_file


def test_what_names_an_event_stays(admin: User, version: Version) -> None:
    """A sentence is stored as a code with parameters: the code is nobody's word."""
    from core.sentences import Sentence

    said = Sentence("text", text="text by anna").as_json()
    Version.objects.update(state="rejected", reason="text by anna", reason_code=said)
    redaction.redact(text="text", actor=admin)
    version.refresh_from_db()
    assert version.reason_code["code"] == "text"
    assert version.reason_code["parameters"]["text"] == f"{redaction.MARK} by anna"


def test_a_redaction_that_was_cut_off_is_done_when_it_is_asked_for_again(
    admin: User, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_BATCH", 2)
    for number in range(1, 6):
        make_model(f"m{number}", 1, note="by anna")
    calls = []
    real = redaction._without

    def dies(value: Any, pattern: Any) -> Any:
        calls.append(value)
        if calls.count("by anna") == 4:
            raise KeyboardInterrupt
        return real(value, pattern)

    with monkeypatch.context() as patched:
        patched.setattr(redaction, "_without", dies)
        with pytest.raises(KeyboardInterrupt):
            redaction.redact(text="anna", actor=admin)
    left = Version.objects.filter(note__contains="anna").count()
    assert 0 < left < 5
    redaction.redact(text="anna", actor=admin)
    assert not Version.objects.filter(note__contains="anna").exists()


@pytest.mark.parametrize("text", ["", "ab", "  ab  ", "a" * 501, "a\0bc", "███"])
def test_what_would_fit_anything_or_nothing_is_refused(
    admin: User, version: Version, text: str
) -> None:
    before = _everything()
    for call in (redaction.find, lambda text: redaction.redact(text=text, actor=admin)):
        with pytest.raises(ValidationError):
            call(text=text)
    assert _everything() == before


def test_every_column_of_free_text_is_known() -> None:
    """A long text or a document is redacted, or is the portal's own: chosen or computed by it."""
    without = {
        "accounts.Token.scopes", "core.RepeatableCall.headers", "invocations.Invocation.timings",
        "core.RepeatableCall.hidden",
        "invocations.Experiment.targets", "invocations.Experiment.progress",
        "invocations.Experiment.given", "invocations.Experiment.recorded",
        "invocations.Invocation.put_out", "invocations.Invocation.sent_as",
        "invocations.Warming.targets",
        "invocations.EndpointHour.times", "invocations.VersionHalfDay.times",
        "invocations.MeasuredHour.figures",
        "endpoints.Endpoint.scaling_told", "endpoints.Endpoint.scale_schedule",
        "endpoints.Endpoint.variants",
        "endpoints.Endpoint.policy", "endpoints.Revision.policy",
        "endpoints.Endpoint.config_variants", "endpoints.Endpoint.running_variants",
        "endpoints.PriceLook.problem", "endpoints.PriceLook.problem_code",
        "endpoints.PriceLook.per_hour", "endpoints.Resource.variants",
        "endpoints.Revision.variants", "endpoints.Revision.config_variants",
        "invocations.Invocation.scaled_code", "invocations.Picture.scaled_code",
        "models_catalog.RegisteredModel.name_key",
        "models_catalog.SearchText.text",  # made anew of what was redacted
        "notices.Webhook.url", "notices.Webhook.kinds", "notices.Webhook.only_models",
        "notices.MailChoice.kinds", "notices.Delivery.page", "notices.Delivery.api",
    }  # fmt: skip
    known = {
        f"{place.model._meta.label}.{name}" for place in redaction.places() for name in place.fields
    }
    ours = {one.label for one in apps.get_app_configs() if "site-packages" not in one.path}
    free = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in ours
        for field in model._meta.get_fields()
        if isinstance(field, models.TextField | models.JSONField)
    }
    assert free - known == without


@pytest.mark.not_quick
def test_the_page_says_where_it_is_and_takes_it_out_after_the_word_was_typed(
    client_of: Callable[[str], Client], version: Version
) -> None:
    assert client_of("operator").get(PAGE).status_code == 403
    client = client_of("admin")
    assert PAGE in client.get("/activity/").content.decode()
    nowhere = client.post(PAGE, {"text": "nobody at all"}).content.decode()
    assert "It is nowhere." in nowhere
    found = client.post(PAGE, {"text": "example.org"})
    assert found.status_code == 200
    assert "Redact 1 row" in " ".join(found.content.decode().split())
    wrong = client.post(PAGE, {"text": "example.org", "typed": "yes"})
    assert wrong.status_code == 422
    assert "Nothing was changed" in wrong.content.decode()
    assert "example.org" in Version.objects.get().note
    assert client.post(PAGE, {"text": "example.org", "typed": "redact"}).status_code == 302
    assert "example.org" not in Version.objects.get().note


@pytest.mark.not_quick
def test_the_api_plans_and_redacts_for_admins(
    user_in: Callable[[str], User], version: Version
) -> None:
    def client(role: str, *scopes: str) -> Client:
        secret = secret_of(user_in(role), scopes)
        return Client(headers={"Authorization": f"Bearer {secret}"})

    def post(client: Client, path: str, text: str) -> Any:
        return client.post(path, {"text": text}, content_type="application/json")

    assert post(client("operator", "operate"), API, "example.org").status_code == 403
    admin = client("admin", "admin")
    label = "Descriptions, tags, notes and metadata"
    expected = {"places": [{"name": "notes", "label": label, "rows": 1}], "rows": 1}
    assert post(admin, f"{API}/plan", "example.org").json() == expected
    assert "example.org" in Version.objects.get().note
    assert post(admin, API, "example.org").json() == expected
    assert "example.org" not in Version.objects.get().note
    assert post(admin, API, "example.org").json() == {"places": [], "rows": 0}
    assert post(admin, API, "ab").status_code == 422
