"""One picture on several versions: the form, the answers as they come, and how far they agree."""

import html
import io
import json
import re
from concurrent.futures import Future

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from core import errors
from invocations import beside, runtime, services
from invocations.models import Invocation
from invocations.pool import PoolFull
from models_catalog import aliases
from models_catalog.models import Version

HTMX = {"HTTP_HX_REQUEST": "true"}


def upload():
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return SimpleUploadedFile("cat.png", out.getvalue())


class Models:
    """What each target model says, or raises."""

    def __init__(self):
        self.said = {}
        self.asked = []

    def invoke(self, *, target_model, **call):
        self.asked.append(target_model)
        said = self.said.get(target_model, "tabby")
        if isinstance(said, Exception):
            raise said
        body = json.dumps({"predictions": [{"label": said, "probability": 0.75}]}).encode()
        return runtime.Answer(body, "application/json", "cold=0;infer_ms=2.0", "r-1", "AllTraffic")


class Inline:
    """A pool that runs each call at once, of which ``room`` find a place."""

    room = 100

    def submit(self, call):
        if Inline.room <= 0:
            raise PoolFull
        Inline.room -= 1
        future = Future()
        call()
        future.set_result(None)
        return future


@pytest.fixture
def models(monkeypatch):
    fake = Models()
    monkeypatch.setattr(runtime, "invoke", fake.invoke)
    monkeypatch.setattr(services, "pool", Inline)
    monkeypatch.setattr(Inline, "room", 100)
    monkeypatch.setattr(services, "BETWEEN_TRIES_S", 0)
    return fake


@pytest.fixture
def versions(make_version):
    return [make_version(number=number) for number in (1, 2, 3)]


@pytest.fixture
def post(serving, versions, models, client_of):
    client = client_of("viewer")

    def send(*, htmx=True, **data):
        data = {"endpoint": serving.pk, "version": versions[0].pk, "picture": upload()} | data
        return client.post(reverse("invocations:run"), data, **(HTMX if htmx else {}))

    send.client = client
    return send


def text(response):
    return " ".join(html.unescape(response.content.decode()).split())


def side_of(calls):
    return reverse("invocations:side", args=["-".join(str(call.pk) for call in calls)])


@pytest.mark.not_quick
def test_each_version_is_a_call_of_its_own_and_agreement_is_marked(post, versions, models):
    models.said["digits_v3.tar.gz"] = "tiger"
    page = text(post(also=[versions[1].pk, versions[2].pk]))
    calls = list(Invocation.objects.order_by("pk"))
    assert [call.version.number for call in calls] == [1, 2, 3]
    assert len({call.picture_sha256 for call in calls}) == 1
    assert all(call.thumbnail for call in calls)
    assert "2 of 3 say: tabby" in page
    assert (page.count("As most say"), page.count("Differs")) == (2, 1)
    for call in calls:
        assert f'href="{call.get_absolute_url()}"' in page
    assert page.count('<span class="bar"><svg width="') == 3
    assert 'width="100.0%"' in page
    assert "every 1s" not in page
    assert f'href="{side_of(calls)}"' in page
    # The same again, by its address and without a script.
    shown = text(post.client.get(side_of(calls)))
    assert "2 of 3 say: tabby" in shown
    assert 'http-equiv="refresh"' not in shown
    for version in versions[1:]:
        assert f'name="also" value="{version.pk}" checked' in shown


@pytest.mark.not_quick
def test_without_a_script_a_post_leads_to_the_page_of_the_answers(post, versions):
    response = post(htmx=False, also=[versions[1].pk])
    assert response.url == side_of(Invocation.objects.order_by("pk"))
    assert "All 2 say: tabby" in text(post.client.get(response.url))


def test_aliases_and_versions_that_are_typed_count_and_none_twice(post, versions, models):
    aliases.move(model="digits", name="live", number=3, actor=None)
    page = text(post(also=[versions[0].pk, "digits@live"], others="digits:2, digits@live,digits:2"))
    assert models.asked == [f"digits_v{number}.tar.gz" for number in (1, 3, 2)]
    assert [call.asked for call in Invocation.objects.order_by("pk")] == [
        "digits:1", "digits@live", "digits:2"
    ]  # fmt: skip
    assert "digits@live" in page
    again = re.findall(r'<input type="hidden" name="(version|also)" value="([^"]+)"', page)
    assert again == [
        ("version", str(versions[0].pk)), ("also", "digits@live"), ("also", str(versions[1].pk))
    ]  # fmt: skip


@pytest.mark.not_quick
def test_what_cannot_be_called_stops_all_before_anything_is_sent(
    post, versions, models, make_version
):
    rejected = make_version(name="bad", state=Version.State.REJECTED, reason="no")
    assert "not ready" in text(post(also=[rejected.pk]))
    assert "There is no version digits:9" in text(post(others="digits:9"))
    assert "no digits@gone any more" in text(post(others="digits@gone"))
    for number in range(4, 9):
        make_version(number=number)
    said = text(post(others=" ".join(f"digits:{number}" for number in range(2, 8))))
    assert "At most 6 versions" in said
    assert not models.asked
    assert not Invocation.objects.exists()
    assert "say: tabby" in text(post(others=" ".join(f"digits:{n}" for n in range(2, 7))))


@pytest.mark.not_quick
def test_one_that_fails_or_finds_no_place_leaves_the_others(post, versions, models):
    models.said["digits_v2.tar.gz"] = errors.ModelFailed("cannot", status=400)
    page = text(post(also=[versions[1].pk, versions[2].pk]))
    assert "The model cannot take this picture" in page
    assert "All 2 say: tabby" in page
    Inline.room = 2
    page = text(post(also=[versions[1].pk, versions[2].pk]))
    assert "digits:3</strong> Too many calls are waiting" in page
    assert Invocation.objects.count() == 5
    Inline.room = 0
    page = text(post(also=[versions[1].pk]))
    assert "Too many calls are waiting" in page
    assert Invocation.objects.count() == 5


@pytest.mark.not_quick
def test_answers_are_shown_as_they_come(post, versions, serving, client_of):
    first = Invocation.objects.create(
        endpoint=serving, version=versions[0], target_model="a", state=Invocation.State.DONE,
        latency_ms=10.0, predictions=[{"label": "tabby", "probability": 0.9}], picture_sha256="0",
    )  # fmt: skip
    second = Invocation.objects.create(
        endpoint=serving, version=versions[1], target_model="b", state=Invocation.State.LOADING,
        picture_sha256="0",
    )  # fmt: skip
    address = side_of([first, second])
    page = text(post.client.get(address))
    assert "tabby" in page
    assert "The model is loading" in page
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in page
    part = text(post.client.get(address, **HTMX))
    assert part.lstrip().startswith("<section")
    assert f'hx-get="{address}" hx-trigger="every 1s"' in part
    assert post.client.get(reverse("invocations:side", args=["0-x"])).status_code == 404


def test_what_waits_for_a_model_does_not_hold_the_answer_of_others(
    post, versions, models, monkeypatch
):
    """The first response has what is there within half a second."""
    waits = []
    real = services.Started.answered

    def answered(self, within_s):
        waits.append(within_s)
        return real(self, within_s)

    monkeypatch.setattr(services.Started, "answered", answered)
    post(also=[version.pk for version in versions[1:]])
    assert len(waits) == 3
    assert all(0 <= wait <= 0.5 for wait in waits)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("labels", "said", "agrees"),
    [
        (["a", "a", "a"], "All 3 say: a", [True, True, True]),
        (["a", "b", "a"], "2 of 3 say: a", [True, False, True]),
        (["a", "b"], "They disagree.", [False, False]),
        (["a", "a", "b", "b"], "They disagree.", [False] * 4),
        (["a", None], "", [None, None]),
        (["a", None, "a"], "All 2 say: a", [True, None, True]),
    ],
)
def test_how_far_they_agree(labels, said, agrees):
    calls = [
        Invocation(
            state=Invocation.State.DONE if label else Invocation.State.RUNNING,
            predictions=[{"label": label, "probability": 0.5}] if label else [],
            latency_ms=number * 10.0 if label else None,
        )
        for number, label in enumerate(labels, start=1)
    ]
    found = beside.of(calls)
    assert (found.said, [one.agrees for one in found.answers]) == (said, agrees)


def test_the_choices_follow_the_version(post, versions, make_version):
    other = make_version(name="cats", number=1)
    page = text(post.client.get(reverse("invocations:page"), {"version": versions[0].pk}))
    ticks = re.findall(r'name="also" value="(\d+)"', page)
    assert ticks == [str(versions[2].pk), str(versions[1].pk)]
    address = reverse("invocations:versions")
    part = text(post.client.get(address, {"part": "also", "version": other.pk}))
    assert "This model has no other version" in part
    part = text(
        post.client.get(address, {"part": "also", "version": other.pk, "also": versions[1].pk})
    )
    assert f'value="{versions[1].pk}" checked' in part
