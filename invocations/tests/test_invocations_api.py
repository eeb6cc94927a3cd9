"""Calling a model by the API: answers, Accept, payloads, refusals, and the lists of calls."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from PIL import Image

from core import errors
from core.sentences import phrase
from endpoints.models import Endpoint
from endpoints.variants import ProductionVariant
from invocations import api, pictures_kept, runtime, services
from invocations.models import Invocation, InvocationQuerySet, Picture
from models_catalog import aliases
from models_catalog.models import Version
from tests.bearer import secret_of

CALLS = "/api/v1/endpoints/demo/invocations"
LIST = "/api/v1/invocations"
ROWS = [{"label": "tabby", "probability": 0.91}, {"label": "tiger", "probability": 0.05}]


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return out.getvalue()


class Model:
    """SageMaker's runtime: what it was asked, and what it answers or raises."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.errors: list[Exception] = []
        self.body = json.dumps({"predictions": ROWS}).encode()
        self.content_type = "application/json"

    def invoke(self, **call: Any) -> runtime.Answer:
        self.asked.append(call)
        if self.errors:
            raise self.errors.pop(0)
        said = "cold=1;load_ms=40.0;decode_ms=1.0;infer_ms=2.0"
        return runtime.Answer(self.body, self.content_type, said, "r-1", "AllTraffic")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    fake = Model()
    monkeypatch.setattr(runtime, "invoke", fake.invoke)
    monkeypatch.setattr(services, "BETWEEN_TRIES_S", 0)
    return fake


@pytest.fixture
def version(make_version: Callable[..., Version]) -> Version:
    return make_version()


Ask = Callable[..., Any]


@pytest.fixture
def ask(serving: Endpoint, version: Version, model: Model, user_in: Callable[[str], User]) -> Ask:
    """Call the API as a viewer, with a token of these scopes."""
    user = user_in("viewer")
    client = Client(enforce_csrf_checks=True)

    def send(
        method: str = "POST",
        path: str = f"{CALLS}?model=digits:1",
        body: bytes = b"",
        content_type: str = "image/png",
        scopes: tuple[str, ...] = ("read", "invoke"),
        **headers: str,
    ) -> Any:
        secret = secret_of(user, scopes)
        given = {"Authorization": f"Bearer {secret}"} | headers
        return client.generic(method, path, body, content_type, headers=given)

    return send


def _code(answer: Any) -> str:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return str(json.loads(answer.content)["type"]).rpartition("/")[2]


@pytest.mark.not_quick
def test_an_answer_says_all_of_the_call_and_is_recorded(ask: Ask, model: Model) -> None:
    answer = ask(body=png())
    assert answer.status_code == 200, answer.content
    said = json.loads(answer.content)
    row = Invocation.objects.get()
    assert said["id"] == row.uid
    assert (said["model"], said["number"], said["cold"]) == ("digits", 1, True)
    assert (said["target_model"], said["request_id"]) == ("digits_v1.tar.gz", "r-1")
    assert said["predictions"] == ROWS
    assert said["timings"]["infer_ms"] == 2.0
    assert (said["put_out"], said["put_out_count"]) == ([], 0)
    sent = {name: said["picture"][name] for name in ("content_type", "width", "turned")}
    assert sent == {"content_type": "image/png", "width": 8, "turned": False}
    assert "infer;dur=2.00" in answer.headers["Server-Timing"]
    assert row.created_by.username == "viewer-user"
    assert not row.thumbnail  # it is made when somebody looks at it
    assert Picture.objects.get().sha256 == said["picture"]["sha256"]
    assert model.asked[0]["accept"] == "application/json"
    assert model.asked[0]["custom_attributes"] == f"request_id={row.uid}"  # for the container's log
    listed = json.loads(ask("GET", LIST).content)
    assert listed == {"items": [said], "next": None}
    assert json.loads(ask("GET", f"{LIST}/{row.uid}").content) == said
    shown = ask("GET", f"{LIST}/{row.uid}/picture")
    assert shown.content.startswith(b"\xff\xd8")
    small = pictures_kept.thumbnail_of(row)
    assert small.startswith(b"\xff\xd8")
    Picture.objects.all().delete()
    assert ask("GET", f"{LIST}/{row.uid}/picture").content == small


def test_another_accept_gives_the_containers_own_bytes(ask: Ask, model: Model) -> None:
    answer = ask(body=png(), Accept="*/*")
    assert answer.content == model.body
    assert model.asked[-1]["accept"] == "application/json"
    model.body, model.content_type = b"a,b", "text/csv"
    answer = ask(body=png(), Accept="text/csv")
    assert (answer.content, answer.headers["Content-Type"]) == (b"a,b", "text/csv")
    assert model.asked[-1]["accept"] == "text/csv"
    assert Invocation.objects.filter(state="done").count() == 2


def test_a_page_that_a_container_answers_cannot_run_as_one_of_the_portal(
    ask: Ask, model: Model
) -> None:
    model.body, model.content_type = b"<script>alert(1)</script>", "text/html"
    answer = ask(body=png(), Accept="text/html")
    assert answer.content == model.body
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_is_no_picture_is_sent_as_it_is(ask: Ask, model: Model) -> None:
    assert ask(body=b"1,2,3", content_type="text/csv; header=absent").status_code == 200
    assert model.asked[0]["body"] == b"1,2,3"
    assert model.asked[0]["content_type"] == "text/csv; header=absent"
    assert not Picture.objects.exists()


def test_the_content_type_of_a_picture_is_handed_on(ask: Ask, model: Model) -> None:
    ask(body=png(), content_type="application/x-image")
    assert model.asked[0]["content_type"] == "application/x-image"
    assert model.asked[0]["body"] == png()


@pytest.mark.not_quick
def test_a_name_alone_means_the_newest_that_is_ready(
    ask: Ask, model: Model, make_version: Callable[..., Version]
) -> None:
    made = make_version(number=2)
    ask(path=f"{CALLS}?model=digits", body=png())
    assert model.asked[0]["target_model"] == made.target_model
    ask(path=f"{CALLS}?target=digits_v1.tar.gz", body=png())
    assert model.asked[1]["target_model"] == "digits_v1.tar.gz"


@pytest.mark.not_quick
def test_an_alias_is_resolved_at_each_call_and_recorded(
    ask: Ask, model: Model, version: Version, make_version: Callable[..., Version]
) -> None:
    make_version(number=2)

    def called(name: str) -> tuple[str, int]:
        said = json.loads(ask(path=f"{CALLS}?model={name}", body=png()).content)
        assert model.asked[-1]["target_model"] == said["target_model"]
        return said["asked"], said["number"]

    assert called("digits") == ("digits", 2)
    aliases.move(model="digits", name="live", number=1, actor=None)
    aliases.move(model="digits", name="production", number=2, actor=None)
    assert called("digits") == ("digits", 1)
    assert called("digits@live") == ("digits@live", 1)
    assert called("digits@production") == ("digits@production", 2)
    aliases.move(model="digits", name="production", number=1, actor=None)
    assert called("digits@production") == ("digits@production", 1)
    assert called("digits:2") == ("digits:2", 2)
    answer = ask(path=f"{CALLS}?model=digits@other", body=png())
    assert (answer.status_code, _code(answer)) == (404, "not-found")
    answer = ask(path=f"{CALLS}?target=digits_v1.tar.gz", body=png())
    assert json.loads(answer.content)["asked"] == ""


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "invalid"),
        ("?model=digits@", 422, "invalid"),
        ("?model=digits@live@x", 422, "invalid"),
        ("?model=digits:1&target=x", 422, "invalid"),
        ("?model=digits:x", 422, "invalid"),
        ("?model=cats", 404, "not-found"),
        ("?model=digits:99", 404, "not-found"),
        ("?target=other.tar.gz", 404, "not-found"),
        ("?modle=digits", 422, "invalid"),
    ],
)
def test_what_is_called_must_be_named_and_be_there(
    ask: Ask, model: Model, query: str, status: int, code: str
) -> None:
    answer = ask(path=f"{CALLS}{query}", body=png())
    assert (answer.status_code, _code(answer)) == (status, code)
    assert not model.asked


def test_the_endpoint_must_be_there_and_serve(ask: Ask, serving: Endpoint) -> None:
    answer = ask(path="/api/v1/endpoints/nowhere/invocations?model=digits:1", body=png())
    assert (answer.status_code, _code(answer)) == (404, "not-found")
    Endpoint.objects.update(wanted=Endpoint.Wanted.ABSENT)
    answer = ask(body=png())
    assert (answer.status_code, _code(answer)) == (409, "endpoint-not-in-service")
    assert not Invocation.objects.exists()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ModelFailed("not a picture", status=400), 422, "model-refused"),
        (errors.ModelFailed("boom", status=500), 502, "model-failed"),
        (errors.NotFound(phrase("no archive")), 404, "not-found"),
        (errors.Denied(phrase("no right")), 502, "aws-denied"),
        (errors.Invalid(phrase("no sense")), 502, "aws-failed"),
    ],
)
def test_what_goes_wrong_is_a_problem_and_a_row(
    ask: Ask, model: Model, error: Exception, status: int, code: str
) -> None:
    model.errors = [error]
    answer = ask(body=png())
    assert (answer.status_code, _code(answer)) == (status, code)
    row = Invocation.objects.get()
    assert row.state == Invocation.State.FAILED
    assert json.loads(answer.content)["detail"] == str(row.said)
    listed = json.loads(ask("GET", f"{LIST}/{row.uid}").content)
    assert (listed["error"], listed["error_code"]) == (str(row.said), code)
    assert answer.headers["MME-Invocation"] == row.uid


def test_a_call_that_was_interrupted_and_one_of_a_release_before_have_their_codes(
    ask: Ask, model: Model
) -> None:
    ask(body=png())
    row = Invocation.objects.get()
    path = f"{LIST}/{row.uid}"
    assert json.loads(ask("GET", path).content)["error_code"] is None
    Invocation.objects.update(state=Invocation.State.RUNNING)
    Invocation.objects.all().give_up()
    assert json.loads(ask("GET", path).content)["error_code"] == "interrupted"
    Invocation.objects.update(error="It failed.", error_code=phrase("It failed.").as_json())
    found = json.loads(ask("GET", path).content)
    assert (found["error"], found["error_code"]) == ("It failed.", None)


def test_throttled_and_still_loading(ask: Ask, model: Model, settings: Any) -> None:
    model.errors = [errors.Throttled(phrase("slow down"))] * 4
    answer = ask(body=png())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    settings.INVOKE_WAIT_S = 0
    model.errors = [errors.NotReady(phrase("loading"))]
    answer = ask(body=png())
    assert (answer.status_code, _code(answer)) == (504, "model-loading")


def test_an_answer_without_labels_is_a_failure_of_the_model(ask: Ask, model: Model) -> None:
    model.body = b"hello"
    answer = ask(body=png())
    assert (answer.status_code, _code(answer)) == (502, "model-failed")


def test_no_more_calls_than_there_are_places(
    ask: Ask, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = services.threading.BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(services, "_places", lambda: full)
    answer = ask(body=png())
    assert (answer.status_code, _code(answer)) == (503, "too-many-calls")
    assert answer.headers["Retry-After"]
    assert not model.asked


def test_the_scope_and_the_headers_are_looked_at(ask: Ask, model: Model) -> None:
    assert _code(ask(body=png(), scopes=("read",))) == "scope-missing"
    assert _code(ask(body=png(), content_type="image/png\x01")) == "invalid"
    assert _code(ask(body=b"")) == "invalid"
    assert not model.asked


@pytest.mark.not_quick
def test_the_list_is_filtered_and_paged(ask: Ask, model: Model, version: Version) -> None:
    for _turn in range(3):
        ask(body=png())
    model.errors = [errors.Invalid(phrase("no sense"))]
    ask(body=png())

    def ids(query: str) -> list[str]:
        return [row["id"] for row in json.loads(ask("GET", f"{LIST}?{query}").content)["items"]]

    every = ids("")
    assert len(every) == 4
    assert ids("state=failed") == every[:1]
    assert ids("cold=true") == every[1:]
    assert ids("model=digits") == ids("model=digits:1") == ids("endpoint=demo") == every
    assert ids("model=digits:2") == ids("endpoint=other") == []
    assert ids("since=2001-01-01T00:00:00Z") == every
    assert ids("until=2001-01-01T00:00:00Z") == []
    first = json.loads(ask("GET", f"{LIST}?limit=3").content)
    second = json.loads(ask("GET", f"{LIST}?limit=3&cursor={first['next']}").content)
    assert [row["id"] for row in first["items"] + second["items"]] == every


@pytest.mark.not_quick
def test_rows_of_the_release_before_get_an_id_in_the_sweep(ask: Ask) -> None:
    ask(body=png())
    ask(body=png())
    Invocation.objects.update(uid=None)
    assert json.loads(ask("GET", LIST).content)["items"] == []
    services.sweep()
    found = json.loads(ask("GET", LIST).content)["items"]
    assert len({row["id"] for row in found} - {None}) == 2


@pytest.mark.not_quick
def test_the_api_repeats_and_forgets(ask: Ask, model: Model) -> None:
    first = json.loads(ask(body=png()).content)
    again = ask(path=f"{LIST}/{first['id']}/repeat", content_type="application/json")
    assert again.status_code == 200, again.content
    second = json.loads(again.content)
    assert second["id"] != first["id"]
    assert second["picture"]["sha256"] == first["picture"]["sha256"]
    assert model.asked[0]["body"] == model.asked[1]["body"]
    assert again.headers["MME-Invocation"] == second["id"]
    gone = ask("DELETE", f"{LIST}/{first['id']}/picture")
    assert json.loads(gone.content) == {"calls": 2, "others": False, "in_test_set": False}
    assert json.loads(ask("GET", f"{LIST}/{second['id']}").content)["picture"] is None
    refused = ask(path=f"{LIST}/{second['id']}/repeat", content_type="application/json")
    assert refused.status_code == 404
    assert "no longer kept" in json.loads(refused.content)["detail"]
    assert len(model.asked) == 2


@pytest.mark.not_quick
def test_the_api_finds_calls_by_alias_label_time_and_person(
    ask: Ask,
    serving: Endpoint,
    version: Version,
) -> None:
    def make_call(**values: Any) -> Invocation:
        target = version.target_model
        return Invocation.objects.create(
            endpoint=serving, version=version, target_model=target, state="done", **values
        )

    me = User.objects.get(username="viewer-user")
    rows = {
        "alias": make_call(asked="digits@live"),
        "cat": make_call(predictions=[{"label": "Tabby cat", "probability": 0.9}]),
        "slow": make_call(latency_ms=1500.0),
        "mine": make_call(created_by=me),
    }

    def found(query: str) -> set[str]:
        items = json.loads(ask("GET", f"{LIST}?{query}").content)["items"]
        return {name for name, row in rows.items() if row.uid in {one["id"] for one in items}}

    assert found("model=digits@live") == {"alias"}
    assert found("label=tabby") == {"cat"}
    assert found("slower_than_ms=1500") == {"slow"}
    assert found("by=me") == found("by=viewer-user") == {"mine"}
    assert found("") == set(rows)


def test_a_call_may_name_the_variant_that_answers(
    ask: Ask, model: Model, serving: Endpoint
) -> None:
    rows = [ProductionVariant(name, "ml.m5.large", 1).as_json() for name in ("large", "small")]
    Endpoint.objects.update(variants=rows, running_variants=rows, running_count=2)
    api._ENDPOINTS.clear()
    refused = ask(path=f"{CALLS}?model=digits:1&variant=blue", body=png())
    assert (refused.status_code, _code(refused)) == (422, "invalid")
    assert "has no variant blue. It has: large, small." in refused.content.decode()
    assert not model.asked
    answer = ask(path=f"{CALLS}?model=digits:1&variant=small", body=png())
    assert model.asked[0]["variant"] == "small"
    # Who answered is what SageMaker says.
    assert json.loads(answer.content)["variant"] == "AllTraffic"
    row = Invocation.objects.get()
    assert (row.variant, row.asked_variant) == ("AllTraffic", "small")
    # Once more, it is named again.
    assert json.loads(ask(path=f"{LIST}/{row.uid}/repeat").content)["asked_variant"] == "small"
    assert model.asked[-1]["variant"] == "small"
    assert json.loads(ask(body=png()).content)["asked_variant"] == ""


@pytest.mark.not_quick
def test_how_long_the_archive_of_a_cold_call_was_fetched_is_told(
    ask: Ask, model: Model, serving: Endpoint, version: Version
) -> None:
    first = json.loads(ask(body=png()).content)
    assert first["timings"]["fetch_ms"] is None, "no warm call says what the network takes"
    timings = {"call_ms": 8.0, "decode_ms": 1.0, "infer_ms": 2.0}
    told = {"endpoint": serving, "version": version, "state": Invocation.State.DONE, "attempts": 1}
    warm = Invocation.objects.create(**told, cold=False, timings=timings, latency_ms=9.0)
    timings = {"call_ms": 1000.0, "ready_ms": 200.0, "decode_ms": 1.0, "infer_ms": 2.0}
    cold = Invocation.objects.create(**told, cold=True, timings=timings, latency_ms=1002.0)
    listed = json.loads(ask("GET", LIST).content)["items"]
    fetched = {one["id"]: one["timings"]["fetch_ms"] for one in listed}
    assert fetched[cold.uid] == pytest.approx(1000 - 200 - 1 - 2 - 5)
    assert fetched[warm.uid] is None
    assert fetched[first["id"]] is not None, "by the warm call after it"
    for uid, fetch_ms in fetched.items():
        assert json.loads(ask("GET", f"{LIST}/{uid}").content)["timings"]["fetch_ms"] == fetch_ms
    # Where the model was loaded while SageMaker refused, nobody knows what was waited for.
    Invocation.objects.filter(pk=cold.pk).update(attempts=2)
    assert json.loads(ask("GET", f"{LIST}/{cold.uid}").content)["timings"]["fetch_ms"] is None


def test_a_database_that_is_away_takes_no_answer_away(
    ask: Ask, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_calls: Any) -> Any:
        raise OperationalError("the database is locked")

    monkeypatch.setattr(InvocationQuerySet, "usual_networks", away)
    answer = ask(body=png())
    assert answer.status_code == 200
    assert json.loads(answer.content)["timings"]["fetch_ms"] is None
    assert "the database is locked" in caplog.text
