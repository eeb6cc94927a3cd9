"""What refusals show, to whom, and what they write into the log."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from endpoints.models import Endpoint
from mmeportal import views
from tests.html import one_line

PASSWORD = "a good long password"
INSIDE = ("s3://", "Region", "123456789012", "Log out", "topbar")


def _shows_nothing_of_the_inside(text: str) -> None:
    assert not [word for word in INSIDE if word in text]
    assert '<main class="gate">' in text
    assert 'href="/"' in text, "there is a way back"


def test_a_404_without_a_log_in_shows_nothing_of_the_inside(db: None, client: Client) -> None:
    answer = client.get("/nope")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
    _shows_nothing_of_the_inside(answer.content.decode())


def test_a_404_within_keeps_its_frame(client_of: Callable[[str], Client]) -> None:
    text = client_of("viewer").get("/nope").content.decode()
    assert "Log out" in text
    assert "viewer-user" in text


def test_a_400_shows_nothing_of_the_inside(client_of: Callable[[str], Client]) -> None:
    answer = client_of("viewer").get("/models/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    _shows_nothing_of_the_inside(answer.content.decode())


def test_a_403_without_a_log_in_shows_nothing_of_the_inside(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "x", "password": "y"})
    assert answer.status_code == 403
    _shows_nothing_of_the_inside(answer.content.decode())


def test_a_500_shows_nothing_of_the_inside(
    client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise ValueError("secret detail")

    client = client_of("viewer")
    client.raise_request_exception = False
    monkeypatch.setattr(Endpoint.objects, "shown", broken)
    answer = client.get("/endpoints/")
    assert answer.status_code == 500
    text = answer.content.decode()
    _shows_nothing_of_the_inside(text)
    assert "secret detail" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("address", ["/login/", "/endpoints/new/", "/models/new/", "/logout/"])
def test_a_form_that_is_out_of_date_says_so_and_how_to_go_on(
    user_in: Callable[[str], User], address: str
) -> None:
    user_in("operator")
    client = Client(enforce_csrf_checks=True)
    client.get("/login/")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    form = {"username": "operator-user", "password": PASSWORD, "csrfmiddlewaretoken": token}
    assert client.post("/login/", form).status_code == 302
    before = f"http://testserver{address}"
    answer = client.post(address, {"csrfmiddlewaretoken": "a" * 64}, headers={"referer": before})
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "Since this page was loaded you have logged in again" in text
    assert "Nothing was changed, and nothing of the form was kept." in one_line(answer)
    assert f'href="{before}"' in text
    assert "CSRF verification failed" not in text


def test_the_way_back_leads_nowhere_else() -> None:
    request = RequestFactory().post("/login/", headers={"referer": "http://evil.example/login/"})
    text = views.out_of_date(request).content.decode()
    assert "evil.example" not in text


def test_a_refusal_by_role_is_one_line_with_the_name(
    client_of: Callable[[str], Client], caplog: pytest.LogCaptureFixture
) -> None:
    client_of("viewer").get("/endpoints/new/")
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert record.getMessage() == (
        "Refused viewer-user, who needs endpoints.add_endpoint: GET /endpoints/new/"
    )
    assert record.exc_info is None
    assert "Traceback" not in caplog.text


def test_no_address_begins_a_line_of_its_own_in_the_log(
    client_of: Callable[[str], Client], caplog: pytest.LogCaptureFixture
) -> None:
    request = RequestFactory().get("/endpoints/%0aForged/")
    request.user = User.objects.create_user("viewer-user")
    views.denied(request)
    assert caplog.records[-1].getMessage().endswith("GET /endpoints/\\nForged/")


# --- for screen readers and the keyboard ---------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "heading"), [("/login/", "Log in"), ("/nope", "There is nothing here")]
)
def test_a_page_without_a_log_in_begins_with_a_heading(
    db: None, client: Client, address: str, heading: str
) -> None:
    text = client.get(address).content.decode()
    assert re.findall(r"<h(\d)[^>]*>([^<]+)", text)[0] == ("1", heading)


def test_a_403_begins_with_a_heading(client_of: Callable[[str], Client]) -> None:
    text = client_of("viewer").get("/models/new/").content.decode()
    assert re.findall(r"<h(\d)", text)[0] == "1"


def test_no_list_is_an_alert_and_what_scrolls_can_be_reached(
    client_of: Callable[[str], Client], db: None
) -> None:
    client = client_of("operator")
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    texts = [
        client.get(address).content.decode()
        for address in ("/models/new/", "/models/new/name/?name=A", endpoint.get_absolute_url())
    ]
    for text in texts:
        assert not re.search(r'<ul[^>]*role="alert"', text)
        for pre in re.findall(r"<pre[^>]*>", text):
            assert 'tabindex="0"' in pre
            assert "aria-label=" in pre
    assert "<pre" in texts[0]


def test_no_header_of_a_table_is_empty() -> None:
    templates = list((settings.BASE_DIR / "templates").rglob("*.html"))
    assert templates
    for template in templates:
        assert "<th></th>" not in template.read_text(), template
