"""Two versions called with the same pictures: the job, the page, the CSV, the API."""

import csv
import io
import json
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image

from activity.models import Event
from core import clock, errors, spreadsheet
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations import labelled, runtime, services, side_by_side
from invocations.models import AnswerComparison, ComparedPicture, Invocation, LabelledPicture
from invocations.side_by_side import Share
from models_catalog.models import Version
from tests.bearer import secret_of

API = "/api/v1/comparisons"
State = AnswerComparison.State


def _png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), shade).save(out, "PNG")
    return out.getvalue()


class Models:
    """SageMaker's runtime: what each target model answers to a picture, or raises."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.said: dict[tuple[str, bytes], str | BaseException] = {}

    def invoke(self, **call: Any) -> runtime.Answer:
        key = (call["target_model"], call["body"])
        self.asked.append(key)
        said = self.said.get(key, "eight")
        if isinstance(said, BaseException):
            raise said
        body = json.dumps({"predictions": [{"label": said, "probability": 0.75}]}).encode()
        return runtime.Answer(body, "application/json", "cold=0;infer_ms=2.0", "r-1", "AllTraffic")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    """Calls are made at once, in this thread, which has the test's transaction."""
    fake = Models()
    monkeypatch.setattr(runtime, "invoke", fake.invoke)
    monkeypatch.setattr(services, "BETWEEN_TRIES_S", 0)
    monkeypatch.setattr(services, "pool", _AtOnce)
    return fake


class _AtOnce:
    def submit(self, call: Callable[[], None]) -> Any:
        future: Future[None] = Future()
        call()
        future.set_result(None)
        return future


@pytest.fixture
def two(serving: Endpoint, make_version: Callable[..., Version]) -> tuple[Version, Version]:
    return make_version(), make_version(number=2)


@pytest.fixture
def sample(tmp_path: Path, settings: Any) -> bytes:
    settings.SAMPLES_DIR = str(tmp_path)
    (tmp_path / "digit-3.png").write_bytes(_png(3))
    return _png(3)


def _flag(version: Version, shade: int, label: str) -> bytes:
    data = _png(shade)
    LabelledPicture.objects.create(
        model=version.model, version=version, label=label, predicted="x", probability=0.5,
        sha256=f"{shade:064}", name=f"=digit-{shade}.png", content_type="image/png",
        size=len(data), data=data, thumbnail=data,
    )  # fmt: skip
    return data


def _start(two: tuple[Version, Version], actor: User, **values: Any) -> AnswerComparison:
    endpoint = Endpoint.objects.get()
    return side_by_side.start(one=two[0], other=two[1], endpoint=endpoint, actor=actor, **values)


def _run(comparison: AnswerComparison, most: int = 20) -> side_by_side.Findings:
    for _ in range(most):
        side_by_side.step(comparison_pk=comparison.pk)
    comparison.refresh_from_db()
    return side_by_side.result(comparison)


@pytest.fixture
def viewer(user_in: Callable[[str], User]) -> User:
    return user_in("viewer")


def test_samples_of_other_models_are_left_out(
    two: tuple[Version, Version], sample: bytes, viewer: User, tmp_path: Path
) -> None:
    (tmp_path / "cat-1.png").write_bytes(_png(4))
    names = {row.name for row in _start(two, viewer).pictures.all()}
    assert names == {"digit-3.png"}
    assert side_by_side.choices(*two).samples == 1
    (tmp_path / "digit-3.png").unlink()  # then nobody knows what fits
    assert side_by_side.choices(*two).samples == 1


@pytest.mark.not_quick
def test_both_versions_are_called_with_each_picture_and_differences_come_first(
    two: tuple[Version, Version], models: Models, sample: bytes, viewer: User
) -> None:
    one, other = (version.target_model for version in two)
    right = _flag(two[0], 10, "eight")
    wrong = _flag(two[0], 20, "nine")
    models.said[other, wrong] = "nine"
    comparison = _start(two, viewer)
    found = _run(comparison)
    assert models.asked == [
        (one, wrong), (other, wrong), (one, right), (other, right), (one, sample), (other, sample),
    ]  # fmt: skip
    assert comparison.state == State.DONE
    assert comparison.finished_at is not None
    assert [line.kind for line in found.lines] == ["differ", "same", "same"]
    assert [line.picture.name for line in found.lines] == [
        "=digit-20.png", "=digit-10.png", "digit-3.png",
    ]  # fmt: skip
    assert (found.one_right, found.other_right) == (
        Share(1, 2),
        Share(2, 2),
    )
    assert found.agreement == Share(2, 3)
    calls = Invocation.objects.all()
    assert {(call.created_by, call.state) for call in calls} == {(viewer, Invocation.State.DONE)}
    first = found.lines[0].one
    assert first is not None
    assert calls.get(uid=first.call).asked == "digits:1"
    event = Event.objects.get(action="comparison.requested")
    assert "digits v1 and digits v2" in event.sentence


@pytest.mark.not_quick
def test_a_picture_that_fails_does_not_end_the_rest(
    two: tuple[Version, Version], models: Models, sample: bytes, viewer: User
) -> None:
    refused = _flag(two[0], 10, "eight")
    gone = _flag(two[0], 20, "eight")
    models.said[two[1].target_model, refused] = errors.ModelFailed("no picture", status=400)
    comparison = _start(two, viewer)
    LabelledPicture.objects.filter(label="eight", sha256=f"{20:064}").delete()
    found = _run(comparison)
    assert comparison.state == State.DONE
    assert [line.kind for line in found.lines] == ["error", "error", "same"]
    said = [str(line.other.said) for line in found.lines[:2] if line.other]
    assert said[0] == "The picture was taken out of the test set."
    assert "no picture" in said[1]
    assert found.errors == 2
    assert found.other_right == Share(0, 0)
    assert gone not in [body for _target, body in models.asked]


def test_an_answer_that_is_there_is_not_asked_for_again_after_a_kill(
    two: tuple[Version, Version], models: Models, sample: bytes, viewer: User
) -> None:
    class Killed(BaseException):
        pass

    target = two[1].target_model
    comparison = _start(two, viewer)
    models.said[target, sample] = Killed()
    with pytest.raises(Killed):
        side_by_side.step(comparison_pk=comparison.pk)
    side_by_side.step(comparison_pk=comparison.pk)
    assert len(models.asked) == 2, "the dead worker's lease still holds it"
    past = clock.now() - timedelta(seconds=1)
    AnswerComparison.objects.update(leased_until=past, check_after=past)
    del models.said[target, sample]
    found = _run(comparison)
    asked = [target for target, _body in models.asked]
    assert asked == [two[0].target_model, target, target]
    assert [line.kind for line in found.lines] == ["same"]


def test_a_picture_that_ends_its_workers_is_given_up(
    two: tuple[Version, Version], models: Models, sample: bytes, viewer: User
) -> None:
    comparison = _start(two, viewer)
    AnswerComparison.objects.update(attempts=side_by_side.MOST_ATTEMPTS)
    found = _run(comparison)
    assert comparison.state == State.DONE
    assert [line.kind for line in found.lines] == ["error"]
    assert models.asked == []


def test_what_may_pass_is_tried_again_and_given_up_after_some_attempts(
    two: tuple[Version, Version],
    models: Models,
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _flag(two[0], 10, "eight")
    comparison = _start(two, viewer)

    def away(_row: LabelledPicture) -> bytes:
        raise errors.Throttled(phrase("S3 does not answer."))

    monkeypatch.setattr(labelled, "content", away)
    for attempt in range(1, side_by_side.MOST_ATTEMPTS):
        side_by_side.step(comparison_pk=comparison.pk)
        comparison.refresh_from_db()
        assert (comparison.state, comparison.attempts) == (State.RUNNING, attempt)
        assert comparison.check_after > clock.now(), "it waits"
        AnswerComparison.objects.update(check_after=clock.now())
    side_by_side.step(comparison_pk=comparison.pk)
    comparison.refresh_from_db()
    assert comparison.state == State.DONE
    (line,) = side_by_side.result(comparison).lines
    assert line.one is not None
    assert str(line.one.said) == "S3 does not answer."


def test_what_cannot_be_compared_is_refused_with_nothing_written(
    two: tuple[Version, Version],
    models: Models,
    viewer: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.SAMPLES_DIR = ""

    def refused(pair: tuple[Version, Version], **values: Any) -> str:
        with pytest.raises(side_by_side.ComparisonRefused) as raised:
            _start(pair, viewer, **values)
        return str(raised.value)

    assert "no picture to call them with" in refused(two)
    _flag(two[0], 10, "eight")
    assert "no picture to call them with" in refused(two, test_set=False)
    assert "two different versions" in refused((two[0], two[0]))
    Version.objects.filter(pk=two[1].pk).update(state=Version.State.RETIRED)
    two[1].refresh_from_db()
    assert "it is retired" in refused(two)
    Version.objects.update(state=Version.State.READY)
    two[1].refresh_from_db()
    assert not AnswerComparison.objects.exists()
    monkeypatch.setattr(side_by_side, "MOST_RUNNING", 1)
    _start(two, viewer)
    assert "1 of your comparisons are running" in refused(two)


def test_more_pictures_than_the_limit_are_left_out_and_counted(
    two: tuple[Version, Version],
    models: Models,
    sample: bytes,
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
    client_of: Callable[[str], Client],
) -> None:
    monkeypatch.setattr(side_by_side, "MOST_PICTURES", 2)
    for shade in (10, 20, 30):
        _flag(two[0], shade, "eight")
    comparison = _start(two, viewer)
    names = [picture.name for picture in comparison.pictures.all()]
    assert names == ["=digit-30.png", "=digit-20.png"], "the newest of the test set first"
    assert comparison.left_out == 2
    page = client_of("operator").get(comparison.get_absolute_url()).content.decode()
    assert "2 pictures were left out." in page


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_is_taken_out_while_a_comparison_begins_is_left_out(
    two: tuple[Version, Version], sample: bytes, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = side_by_side._pictures
    for shade in (10, 20):
        _flag(two[0], shade, "eight")

    def overtaken(*asked: Any, **how: Any) -> Any:
        found = real(*asked, **how)
        labelled.remove(row=LabelledPicture.objects.all()[0], actor=viewer)
        return found

    monkeypatch.setattr(side_by_side, "_pictures", overtaken)
    comparison = _start(two, viewer)
    assert {one.name for one in comparison.pictures.all()} == {"=digit-10.png", "digit-3.png"}
    with pytest.raises(side_by_side.ComparisonRefused, match="no picture"):
        _start(two, viewer, with_samples=False)
    assert AnswerComparison.objects.count() == 1


@pytest.mark.not_quick
def test_the_page_starts_one_shows_its_progress_and_has_a_csv(
    two: tuple[Version, Version], models: Models, sample: bytes, client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")
    data = _flag(two[0], 10, "nine")
    models.said[two[1].target_model, data] = "nine"
    facts = client.get("/models/digits/v2/compare/").content.decode()
    assert "Compare their answers" in facts
    form = {"one": two[0].pk, "other": two[1].pk, "endpoint": Endpoint.objects.get().pk}
    refused = client.post("/invoke/comparisons/start/", form, follow=True)
    assert "There is no picture to call them with." in refused.content.decode()
    assert refused.redirect_chain[-1][0] == "/models/digits/v2/compare/?with=digits%3A1"
    answer = client.post("/invoke/comparisons/start/", form | {"samples": "1", "test_set": "1"})
    comparison = AnswerComparison.objects.get()
    assert answer["Location"] == comparison.get_absolute_url()
    page = client.get(comparison.get_absolute_url()).content.decode()
    assert 'hx-trigger="every 1s"' in page
    assert "0 of 2" in page
    _run(comparison)
    part = client.get(comparison.get_absolute_url(), HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part
    assert "hx-trigger" not in part, "it is done"
    assert part.index("They differ") < part.index("The same</span>")
    for said in ("2 of 2", "50.0 %", "100.0 %", "0.0 %"):
        assert said in part
    call = Invocation.objects.order_by("pk")[0]
    assert f'href="{call.get_absolute_url()}"' in part
    assert (
        comparison.get_absolute_url() in client.get("/models/digits/v2/compare/").content.decode()
    )
    answer = client.get(f"{comparison.get_absolute_url()}csv/")
    text = b"".join(answer).decode()  # type: ignore[arg-type]
    assert text.startswith(spreadsheet.BYTE_ORDER_MARK)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(spreadsheet.BYTE_ORDER_MARK))))
    assert [row["picture"] for row in rows] == ["'=digit-10.png", "digit-3.png"]
    first = rows[0]
    assert (first["label"], first["one_answer"], first["other_answer"]) == ("nine", "eight", "nine")
    assert (first["one_version"], first["result"]) == ("digits v1", "differ")


@pytest.mark.not_quick
def test_the_api_starts_one_waits_for_it_and_says_all_of_it(
    two: tuple[Version, Version], models: Models, sample: bytes, viewer: User
) -> None:
    def ask(
        method: str, path: str, scopes: tuple[str, ...] = ("read", "invoke"), **body: Any
    ) -> Any:
        secret = secret_of(viewer, scopes)
        headers = {"Authorization": f"Bearer {secret}"}
        return Client().generic(method, path, json.dumps(body), "application/json", headers=headers)

    wanted = {"one": "digits:1", "other": "digits", "endpoint": "demo"}
    assert ask("POST", API, ("read",), **wanted).status_code == 403
    assert ask("POST", API, **wanted | {"other": "digits:1"}).status_code == 422
    assert ask("POST", API, **wanted | {"other": "digits:7"}).status_code == 404
    assert ask("POST", API, **wanted | {"endpoint": "none"}).status_code == 404
    assert ask("POST", API, **wanted, samples=False).status_code == 409
    answer = ask("POST", API, **wanted)
    assert answer.status_code == 202
    made = json.loads(answer.content)
    assert (made["state"], made["total"], made["sent"]) == ("running", 1, 0)
    assert answer["Location"] == f"{API}/{made['id']}"
    _run(AnswerComparison.objects.get())
    found = json.loads(ask("GET", f"{API}/{made['id']}?wait=30").content)
    assert (found["state"], found["same"], found["compared"]) == ("done", 1, 1)
    (picture,) = found["pictures"]
    assert (picture["name"], picture["source"], picture["result"]) == (
        "digit-3.png", "sample", "same",
    )  # fmt: skip
    assert (picture["one"]["label"], picture["one"]["probability"]) == ("eight", 0.75)
    assert found["other"] == {"model": "digits", "number": 2, "right": 0, "labelled": 0}
    text = ask("GET", f"{API}/{made['id']}/csv").content.decode()
    assert "digit-3.png" in text
    assert ask("GET", f"{API}/nothing").status_code == 404


@pytest.mark.usefixtures("models")
def test_the_sweep_takes_up_what_is_due(
    two: tuple[Version, Version], sample: bytes, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = _start(two, viewer)
    queued: list[tuple[str, int]] = []
    monkeypatch.setattr(
        side_by_side, "enqueue_on_commit", lambda task, pk: queued.append((task, pk))
    )
    side_by_side.resume()
    assert queued == [("invocations.tasks.compare_answers", comparison.pk)]
    AnswerComparison.objects.update(state=State.DONE)
    queued.clear()
    side_by_side.resume()
    assert queued == []
    assert ComparedPicture.objects.count() == 1
