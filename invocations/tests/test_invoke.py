"""Calling a model from the page: choices, pictures, answers, and what goes wrong."""

import html
import io
import json
import re
from concurrent.futures import Future

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from PIL import ExifTags, Image

from core import errors
from core.tests import nul
from endpoints.models import Endpoint
from endpoints.variants import ProductionVariant
from invocations import runtime, services
from invocations.models import Invocation, Picture
from invocations.pictures import ACCEPT
from invocations.pool import PoolFull
from invocations.recording import Recorded
from invocations.under_way import UnderWay
from models_catalog import aliases
from models_catalog.models import Alias, Version

ROLES = ("viewer", "operator", "admin")
HTMX = {"HTTP_HX_REQUEST": "true"}


def png(color="red", side=8):
    out = io.BytesIO()
    Image.new("RGB", (side, side), color).save(out, "PNG")
    return out.getvalue()


def upload(data=None, name="cat.png"):
    return SimpleUploadedFile(name, png() if data is None else data)


class Runtime:
    """SageMaker's runtime: what it is to answer, and what it was asked."""

    def __init__(self):
        self.asked = []
        self.script = []
        self.cold = True
        #: What the container says of each call, in place of its usual words.
        self.attributes = []

    def invoke(self, **call):
        self.asked.append(call)
        if self.script:
            raise self.script.pop(0)
        rows = [{"label": "tabby", "probability": 0.91}, {"label": "tiger", "probability": 0.05}]
        attributes = f"cold={int(self.cold)};load_ms=40.0;decode_ms=1.0;infer_ms=2.0"
        attributes = self.attributes.pop(0) if self.attributes else attributes
        self.cold = False
        body = json.dumps({"predictions": rows}).encode()
        return runtime.Answer(body, "application/json", attributes, "r-1", "AllTraffic")


class Inline:
    """A pool that runs the call at once."""

    def submit(self, call):
        future = Future()
        call()
        future.set_result(None)
        return future


@pytest.fixture
def sagemaker_runtime(monkeypatch):
    fake = Runtime()
    monkeypatch.setattr(runtime, "invoke", fake.invoke)
    monkeypatch.setattr(services, "pool", Inline)
    monkeypatch.setattr(services, "BETWEEN_TRIES_S", 0)
    return fake


@pytest.fixture
def version(make_version):
    return make_version()


@pytest.fixture
def post(serving, version, sagemaker_runtime, client_of):
    client = client_of("viewer")

    def send(*, htmx=True, **data):
        data = {"endpoint": serving.pk, "version": version.pk} | data
        return client.post(reverse("invocations:run"), data, **(HTMX if htmx else {}))

    send.client = client
    return send


def text(response):
    return html.unescape(response.content.decode())


def test_the_answer_comes_in_the_same_response(post, sagemaker_runtime, version):
    page = text(post(picture=upload()))
    assert "tabby" in page
    assert "91.0 %" in page
    assert 'data-state="cold"' in page
    call = Invocation.objects.get()
    assert (call.state, call.cold, call.attempts) == ("done", True, 1)
    assert call.best == {"label": "tabby", "probability": 0.91}
    assert call.created_by.username == "viewer-user"
    assert sagemaker_runtime.asked == [
        {
            "endpoint_name": "demo",
            "target_model": "digits_v1.tar.gz",
            "body": png(),
            "content_type": "image/png",
            "accept": "application/json",
            "variant": "",
            "custom_attributes": f"request_id={call.uid}",
        }
    ]


def test_the_list_of_the_latest_calls_is_fetched_after_the_answer(post):
    page = text(post(picture=upload()))
    assert 'id="recent"' not in page
    address = reverse("invocations:page") + "?part=recent"
    assert f'hx-get="{address}" hx-trigger="load" hx-target="#recent"' in page
    part = text(post.client.get(address, **HTMX))
    assert part.lstrip().startswith('<section id="recent"')
    assert "tabby" in part
    assert "<html" in text(post.client.get(address))


def test_a_picture_that_is_damaged_is_refused_by_its_model(post, sagemaker_runtime):
    """It is decoded while the model works, which reads it by the same code."""
    sagemaker_runtime.script = [errors.ModelFailed("damaged or cut short", status=400)]
    page = text(post(picture=upload(png(side=64)[:-60])))
    assert "The model cannot take this picture. The container says: “damaged" in page
    assert not Invocation.objects.get().thumbnail


@pytest.mark.not_quick
def test_what_was_sent_what_was_unloaded_and_where_the_time_went_are_shown(
    post, make_version, sagemaker_runtime
):
    other = make_version(number=2)
    times = "load_ms=40;ready_ms=50;decode_ms=1;infer_ms=2"
    put_out = f"put_out_n=2;put_out={other.target_model},9d1f"
    sagemaker_runtime.attributes = [f"cold=1;{times};{put_out}", f"cold=0;{times}"]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(turned, "JPEG", exif=exif)
    post(picture=upload(turned.getvalue(), "cat.jpg"))
    call = Invocation.objects.get()
    assert call.put_out == {"names": [other.target_model, "9d1f"], "count": 2}
    assert call.sent_as == {"content_type": "image/jpeg", "width": 30, "height": 20, "turned": True}
    page = " ".join(text(post.client.get(call.get_absolute_url())).split())
    assert "image/jpeg, 30 × 20 px" in page
    assert "rotated upright, as its EXIF says" in page
    said = page.partition("Unloaded to make room for it:")[2]
    assert f'<a href="{other.get_absolute_url()}">{other}</a>, 1 model that nobody called' in said
    post(again=call.picture_sha256)
    # What a warm call's network takes is known now, so that the fetching is told apart from it.
    Invocation.objects.filter(cold=False).update(timings={"call_ms": 13.0, "infer_ms": 3.0})
    Invocation.objects.filter(cold=True).update(
        latency_ms=401.0, timings=call.timings | {"call_ms": 400.0}
    )
    page = " ".join(text(post.client.get(call.get_absolute_url())).split())
    for part in ("The portal <strong>1.0 ms", "network <strong>10 ms", "about <strong>337 ms"):
        assert part in page


def test_again_sends_the_same_picture_and_shows_warm_beside_cold(post, sagemaker_runtime):
    post(picture=upload())
    first = Invocation.objects.get()
    Invocation.objects.update(latency_ms=3800.0)
    page = text(post(again=first.picture_sha256))
    assert [call["body"] for call in sagemaker_runtime.asked] == [png(), png()]
    assert 'data-state="warm"' in page
    assert "3.8 s" in page


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("cold_ms", "said"),
    [(2000.0, "20 × faster"), (250.0, "2.5 × faster"), (104.0, None), (90.0, None)],
)
def test_how_much_faster_warm_is_is_said_where_it_is(post, cold_ms, said):
    """Both depend on what else the machine does: a warm call may well take longer."""
    post(picture=upload())
    post(again=Invocation.objects.get().picture_sha256)
    warm, cold = Invocation.objects.order_by("-pk")
    Invocation.objects.filter(pk=cold.pk).update(latency_ms=cold_ms)
    Invocation.objects.filter(pk=warm.pk).update(latency_ms=100.0)
    page = " ".join(text(post.client.get(warm.get_absolute_url())).replace("</strong>", "").split())
    assert 'data-kind="warm"' in page
    assert ("faster" in page) == (said is not None)
    assert (said or "") in page


def test_the_cold_call_of_another_version_is_not_compared(post, make_version, sagemaker_runtime):
    post(picture=upload())
    other = make_version(number=2)
    assert 'class="versus"' not in text(post(picture=upload(), version=other.pk))


@pytest.mark.not_quick
def test_the_page_offers_aliases_and_calls_where_one_points_in_that_moment(
    post, make_version, sagemaker_runtime
):
    make_version(number=2)
    aliases.move(model="digits", name="live", number=1, actor=None)
    page = text(post.client.get(reverse("invocations:page") + "?model=digits@live"))
    assert re.search(r'<option value="digits@live" selected>\s*digits@live · v1', page)
    assert page.count(" selected>") == 2  # that, and the endpoint
    aliases.move(model="digits", name="live", number=2, actor=None)
    page = text(post(picture=upload(), version="digits@live"))
    assert sagemaker_runtime.asked[-1]["target_model"] == "digits_v2.tar.gz"
    assert "digits v2" in page
    assert "asked for as digits@live" in page
    call = Invocation.objects.get()
    assert call.asked == "digits@live"
    assert '"digits@live" selected' in text(post.client.get(call.get_absolute_url()))
    post(picture=upload())
    assert Invocation.objects.first().asked == "digits:1"


@pytest.mark.not_quick
def test_an_alias_that_was_deleted_is_said_and_its_calls_stay(post, make_version):
    make_version(number=2)
    aliases.move(model="digits", name="live", number=1, actor=None)
    post(picture=upload(), version="digits@live")
    aliases.remove(model="digits", name="live", actor=None)
    assert not Alias.objects.exists()
    assert "no digits@live any more" in text(post(picture=upload(), version="digits@live"))
    page = text(post.client.get(Invocation.objects.get().get_absolute_url()))
    assert "asked for as digits@live" in page
    assert re.search(r'<option value="\d+" selected>\s*digits v1', page)


@pytest.mark.parametrize(("named", "number"), [("digits", 2), ("digits:1", 1), ("cats", 2)])
def test_a_link_names_a_version_as_calls_do(post, make_version, named, number):
    make_version(number=2)
    page = text(post.client.get(reverse("invocations:page"), {"model": named}))
    assert re.search(rf'<option value="\d+" selected>\s*digits v{number}', page)


@pytest.mark.not_quick
def test_the_models_button_calls_what_is_live(post, make_version):
    make_version(number=2)
    assert "Call v2" in text(post.client.get("/models/digits/"))
    aliases.move(model="digits", name="live", number=1, actor=None)
    page = text(post.client.get("/models/digits/"))
    assert "Call live (v1)" in page
    assert "?model=digits@live" in page


def test_without_htmx_a_post_leads_to_the_page_of_the_answer(post):
    response = post(htmx=False, picture=upload())
    call = Invocation.objects.get()
    assert response.url == reverse("invocations:result", args=[call.pk])
    page = text(post.client.get(response.url))
    assert "tabby" in page
    assert 'http-equiv="refresh"' not in page
    assert f'name="again" value="{call.picture_sha256}"' in page


def test_samples_are_offered_and_sent(post, settings, tmp_path, sagemaker_runtime):
    settings.SAMPLES_DIR = str(tmp_path)
    (tmp_path / "digit-3.png").write_bytes(png("blue"))
    (tmp_path / "notes.txt").write_text("no")
    page = text(post.client.get(reverse("invocations:page")))
    address = reverse("invocations:sample", args=["digit-3.png"])
    assert address in page
    assert "notes.txt" not in page
    response = post.client.get(address)
    assert (response.content, response["Content-Type"]) == (png("blue"), "image/png")
    assert "tabby" in text(post(sample="digit-3.png"))
    assert sagemaker_runtime.asked[0]["body"] == png("blue")


@pytest.mark.parametrize("name", ["../secret.png", "..", "/etc/passwd", "link.png", "none.png"])
def test_only_samples_are_samples(post, settings, tmp_path, name):
    (tmp_path / "samples").mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "samples" / "link.png").symlink_to(tmp_path / "secret.png")
    settings.SAMPLES_DIR = str(tmp_path / "samples")
    assert post.client.get(f"/invoke/samples/{name}").status_code == 404
    assert "no longer there" in text(post(sample=name))
    assert not Invocation.objects.exists()


def test_a_text_file_renamed_jpg_gets_a_sentence_and_the_choices_stay(
    post, make_version, sagemaker_runtime
):
    other = make_version(number=2)
    fake = upload(b"just text " * 20, "cat.jpg")
    response = post(picture=fake)
    assert response.status_code == 200
    assert "cat.jpg is not a picture" in text(response)
    response = post(htmx=False, picture=upload(b"just text", "cat.jpg"), version=other.pk)
    page = text(response)
    assert response.status_code == 400
    assert "cat.jpg is not a picture" in page
    assert f'<option value="{other.pk}" selected>' in page
    assert "Version and endpoint are as you chose them" in page
    assert not sagemaker_runtime.asked
    assert not Invocation.objects.exists()


@pytest.mark.not_quick
def test_a_kind_that_is_not_read_is_named_and_the_field_offers_what_is(post, sagemaker_runtime):
    heic = upload(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "IMG_4711.HEIC")
    refused = text(post(picture=heic))
    assert "HEIC is not read here: export the picture as JPEG" in refused
    assert not sagemaker_runtime.asked
    pages = text(post.client.get("/invoke/")), text(post(picture=upload()))
    for page in pages:
        assert f'accept="{ACCEPT}"' in page
    assert "AVIF or JPEG 2000" in pages[0]
    korean = text(post.client.get("/invoke/", headers={"Accept-Language": "ko"}))
    assert "AVIF 또는 JPEG 2000" in korean


def test_a_picture_before_is_kept_when_the_next_is_none(post):
    post(picture=upload())
    sha = Invocation.objects.get().picture_sha256
    page = text(post(htmx=False, picture=upload(b"text", "cat.jpg"), again=sha))
    assert f'name="again" value="{sha}"' in page


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "Choose a picture first"),
        ({"again": "f" * 64}, "no longer kept"),
        ({"again": "f" * 64, "version": ""}, "Choose a version"),
        ({"endpoint": "999999"}, "Choose an endpoint"),
        ({"endpoint": "x; drop table"}, "Choose an endpoint"),
    ],
)
def test_what_is_missing_is_said(post, data, says):
    assert says in text(post(**data))


def test_what_cannot_be_served_is_refused(post, serving, make_version, sagemaker_runtime):
    elsewhere = make_version(name="other", prefix="elsewhere", key="elsewhere/other_v1.tar.gz")
    assert "not in the store" in text(post(picture=upload(), version=elsewhere.pk))
    rejected = make_version(name="bad", state=Version.State.REJECTED, reason="no")
    assert "not ready" in text(post(picture=upload(), version=rejected.pk))
    Endpoint.objects.update(state=Endpoint.State.CREATING)
    assert "not in service" in text(post(picture=upload()))
    assert not sagemaker_runtime.asked


def test_a_full_pool_is_told(post, monkeypatch):
    class NoRoom:
        def submit(self, call):
            raise PoolFull

    monkeypatch.setattr(services, "pool", NoRoom)
    assert "Too many calls are waiting" in text(post(picture=upload()))
    assert not Invocation.objects.exists()


def test_a_model_that_is_loading_is_asked_until_it_is_ready(post, sagemaker_runtime):
    sagemaker_runtime.script = [errors.NotReady("loading")] * 3
    assert "tabby" in text(post(picture=upload()))
    call = Invocation.objects.get()
    assert (call.attempts, call.state) == (4, "done")


def test_it_gives_up_after_the_longest_that_sagemaker_loads(post, sagemaker_runtime, settings):
    settings.INVOKE_WAIT_S = 0
    sagemaker_runtime.script = [errors.NotReady("loading")] * 3
    assert "still loading after 0 s" in text(post(picture=upload()))
    assert len(sagemaker_runtime.asked) == 1


def test_throttling_is_tried_again_but_not_for_ever(post, sagemaker_runtime):
    sagemaker_runtime.script = [errors.Throttled("slow down")] * 3
    assert "tabby" in text(post(picture=upload()))
    sagemaker_runtime.script = [errors.Throttled("slow down")] * 9
    assert "slow down" in text(post(picture=upload()))
    assert len(sagemaker_runtime.script) == 5


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.NotFound("SageMaker could not fetch the artifact."), "could not fetch"),
        (
            errors.ModelFailed('{"code":400,"message":"Scale it down."}', status=400),
            "The model cannot take this picture. The container says: “Scale it down.”",
        ),
        (errors.ModelFailed("out of memory", status=507), "Choose a larger instance type"),
        (errors.ModelFailed("Prediction failed", status=503), "failed with status 503"),
        (errors.Denied("not authorized to invoke"), "not authorized to invoke"),
    ],
)
def test_errors_are_sentences_in_place(post, sagemaker_runtime, error, says):
    sagemaker_runtime.script = [error]
    page = text(post(picture=upload()))
    assert says in page
    assert "Try again" in page
    call = Invocation.objects.get()
    assert call.state == "failed"
    assert call.settled


def test_a_call_that_was_given_up_stays_so(post, monkeypatch):
    def slow(**call):
        for each in services._under_way.calls():
            each.write_now()
        Invocation.objects.give_up()
        return Runtime().invoke(**call)

    monkeypatch.setattr(runtime, "invoke", slow)
    post(picture=upload())
    call = Invocation.objects.get()
    assert (call.state, call.predictions) == ("failed", [])
    assert "was stopped" in call.error


def test_a_call_that_was_given_up_is_not_retried(post, monkeypatch):
    calls = []

    def loading(**call):
        calls.append(call)
        for each in services._under_way.calls():
            each.write_now()
        Invocation.objects.give_up()
        raise errors.NotReady("the model is loading")

    monkeypatch.setattr(runtime, "invoke", loading)
    post(picture=upload())
    assert len(calls) == 1
    assert Invocation.objects.get().state == "failed"


def test_a_bug_leaves_no_call_running(post, sagemaker_runtime):
    sagemaker_runtime.script = [RuntimeError("a bug")]
    with pytest.raises(RuntimeError):
        post(picture=upload())
    call = Invocation.objects.get()
    assert (call.state, "the portal failed" in call.error.lower()) == ("failed", True)


def test_a_shutdown_gives_up_what_is_under_way_and_says_so(serving, version, monkeypatch):
    rows = [
        Invocation.objects.create(endpoint=serving, version=version, target_model="t", state=state)
        for state in ("loading", "done", "running")
    ]
    under_way = UnderWay(every_s=60)
    for row in rows[:2]:
        under_way.add(Recorded(row))
    monkeypatch.setattr(services, "_under_way", under_way)
    services._give_up_the_rest()
    assert [Invocation.objects.get(pk=row.pk).state for row in rows] == [
        "failed",
        "done",
        "running",
    ]


def test_what_is_over_is_not_under_way(post):
    post(picture=upload())
    assert services._under_way.calls() == []


def test_an_answer_of_another_kind_is_told(post, sagemaker_runtime, monkeypatch):
    answer = runtime.Answer(b"<html>", "text/html", "", "r-1", "")
    monkeypatch.setattr(runtime, "invoke", lambda **call: answer)
    assert "not with labels and probabilities" in text(post(picture=upload()))


@pytest.mark.not_quick
def test_a_picture_over_the_limit_is_scaled_and_says_so(post, sagemaker_runtime):
    import random

    noise = Image.frombytes("RGB", (1800, 1400), random.Random(1).randbytes(1800 * 1400 * 3))
    out = io.BytesIO()
    noise.save(out, "BMP")
    assert "Scaled down from" in text(post(picture=upload(out.getvalue(), "big.bmp")))
    assert len(sagemaker_runtime.asked[0]["body"]) <= runtime.MAX_PAYLOAD_BYTES


def test_a_call_under_way_is_polled_and_says_for_how_long(post, serving, version):
    call = Invocation.objects.create(
        endpoint=serving, version=version, target_model="t", state="loading"
    )
    address = reverse("invocations:result", args=[call.pk])
    fragment = text(post.client.get(address, **HTMX))
    assert f'hx-get="{address}" hx-trigger="every 1s"' in fragment
    assert "The model is loading" in fragment
    assert " 0 s" not in fragment  # counted by the page, so that what is the same looks the same
    assert "<html" not in fragment
    assert 'http-equiv="refresh"' in text(post.client.get(address))


def test_the_page_can_be_preset(post, make_version, serving):
    other = make_version(number=2)
    page = text(post.client.get(f"/invoke/?endpoint={serving.pk}&version={other.pk}"))
    assert f'<option value="{other.pk}" selected>' in page
    assert post.client.get("/invoke/?endpoint=x&version=-1").status_code == 200


@pytest.mark.not_quick
def test_the_form_offers_the_variants_of_an_endpoint_with_two(post, serving, sagemaker_runtime):
    assert 'name="variant"' not in text(post.client.get("/invoke/"))
    rows = [ProductionVariant(name, "ml.m5.large", 1).as_json() for name in ("large", "small")]
    Endpoint.objects.update(variants=rows, running_variants=rows, running_count=2)
    assert '<option value="small"' in text(post.client.get("/invoke/"))
    post(picture=upload(), variant="small")
    assert sagemaker_runtime.asked[0]["variant"] == "small"
    assert "has no variant blue" in text(post(picture=upload(), variant="blue"))


def test_thumbnails(post):
    post(picture=upload())
    call = Invocation.objects.get()
    response = post.client.get(reverse("invocations:thumbnail", args=[call.pk]))
    assert response["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).size == (8, 8)
    response = post.client.get(reverse("invocations:kept", args=[call.picture_sha256]))
    assert response.status_code == 200
    assert Picture.objects.count() == 1


def test_the_form_begins_with_what_was_called_last(post, make_version, serving, version):
    other = make_version(number=2)
    page = text(post.client.get("/invoke/"))
    first = re.search(r'<option value="(\d+)" selected>', page[page.index('id="version"') :])
    assert first is not None
    called = version if first[1] == str(other.pk) else other
    Invocation.objects.create(endpoint=serving, version=called, target_model="t")
    assert f'<option value="{called.pk}" selected>' in text(post.client.get("/invoke/"))


def test_what_is_no_picture_has_a_drawing_in_its_place(post, serving, version):
    call = Invocation.objects.create(
        endpoint=serving, version=version, target_model="t", picture_sha256="b" * 64
    )
    Picture.objects.create(sha256="b" * 64, name="a.jpg", data=b"not a picture", thumbnail=b"")
    for name in ("thumbnail", "picture"):
        answer = post.client.get(reverse(f"invocations:{name}", args=[call.pk]))
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
        assert answer.content.startswith(b"<svg ")
        assert "max-age=60" in answer["Cache-Control"]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_may_invoke(serving, version, client_of, role):
    assert client_of(role).get(reverse("invocations:page")).status_code == 200


def test_who_has_no_role_may_not(serving, version, client, django_user_model):
    call = Invocation.objects.create(endpoint=serving, version=version, target_model="t")
    addresses = [
        reverse("invocations:page"),
        reverse("invocations:result", args=[call.pk]),
        reverse("invocations:thumbnail", args=[call.pk]),
        reverse("invocations:kept", args=["a" * 64]),
        reverse("invocations:sample", args=["a.png"]),
    ]
    for address in addresses:
        assert client.get(address).url.startswith("/login/")
    client.force_login(django_user_model.objects.create_user("nobody"))
    for address in addresses:
        assert client.get(address).status_code == 403
    assert client.post(reverse("invocations:run")).status_code == 403


def test_a_file_that_is_far_too_large_is_refused_before_it_is_read(post):
    for header, kept in ((HTMX, "Your choices are as they were"), ({}, "Choose again")):
        response = post.client.post(
            reverse("invocations:run"),
            data=b"never read",
            content_type="multipart/form-data; boundary=x",
            CONTENT_LENGTH=str(80 << 20),
            **header,
        )
        assert "larger than 64 MB" in text(response)
        assert f"Nothing was sent. {kept}." in text(response)


@pytest.mark.not_quick
def test_the_csrf_token_is_needed(serving, version, user_in, sagemaker_runtime):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_in("viewer"))
    data = {"endpoint": serving.pk, "version": version.pk, "picture": upload()}
    assert client.post(reverse("invocations:run"), data).status_code == 403
    assert not sagemaker_runtime.asked
    client.get(reverse("invocations:page"))
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    data["picture"] = upload()
    assert "tabby" in text(
        client.post(reverse("invocations:run"), data, HTTP_X_CSRFTOKEN=token, **HTMX)
    )


def test_get_runs_nothing(post, sagemaker_runtime):
    assert post.client.get(reverse("invocations:run")).status_code == 405


@pytest.mark.not_quick
def test_empty_portals_say_what_to_do(db, account, client_of, make_version):
    client = client_of("operator")
    assert "There is no endpoint to call" in text(client.get("/invoke/"))
    assert reverse("endpoints:new") in text(client.get("/invoke/"))
    Endpoint.objects.create(name="demo", state=Endpoint.State.CREATING, instance_type="t")
    assert "demo is not in service yet" in text(client.get("/invoke/"))
    Endpoint.objects.update(state=Endpoint.State.IN_SERVICE)
    assert "There is no version to call" in text(client.get("/invoke/"))
    make_version()
    assert "No answer yet" in text(client.get("/invoke/"))


def test_a_kept_picture_with_nul_in_its_name_is_not_there(post, monkeypatch):
    monkeypatch.setattr(connection, "execute_wrappers", [nul.refuse])
    answer = post(again="a\0b")
    assert "no longer kept" in html.unescape(answer.content.decode())
