"""Language and time zone: of the browser, of the switch, and of a user's preferences."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone, translation

from accounts.models import Preferences
from activity.models import Event
from core import languages

KOREAN = {"accept-language": "ko-KR,ko;q=0.9,en;q=0.8"}


@pytest.fixture
def reader(client_of: Callable[[str], Client]) -> Client:
    return client_of("viewer")


def test_the_list_of_zones_is_short_in_bytes_and_keeps_the_choice(reader: Client) -> None:
    _choose(time_zone="America/Sao_Paulo")
    answer = reader.get("/preferences/")
    page = answer.content.decode()
    assert len(answer.content) < 30_000
    assert "<option>Asia/Seoul\n" in page
    assert '<option value="America/Sao_Paulo" selected>America/Sao Paulo' in page
    answer = reader.post("/preferences/", {"language": "browser", "time_zone": "Asia/Seoul"})
    assert answer.status_code == 302


def _choose(**chosen: str) -> None:
    user = User.objects.get(username="viewer-user")
    Preferences.objects.update_or_create(user=user, defaults=chosen)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("ko", "ko"), ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("fr, en", "en"), ("xx", "en")],
)
def test_a_page_is_in_the_browsers_language_and_says_so(
    client: Client, db: None, accepted: str, language: str
) -> None:
    answer = client.get("/login/", headers={"accept-language": accepted})
    assert f'<html lang="{language}"' in answer.content.decode()
    assert answer.headers["Content-Language"] == language
    assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))


def test_nothing_outside_of_a_request_speaks_its_language(client: Client, db: None) -> None:
    client.cookies["mme_timezone"] = "Asia/Seoul"
    client.get("/login/", headers=KOREAN)
    assert translation.get_language() == "en"
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_static_file_is_in_no_language(client: Client) -> None:
    answer = client.get("/static/portal.css", headers=KOREAN)
    assert "Content-Language" not in answer.headers
    assert "Accept-Language" not in answer.headers.get("Vary", "")


def test_the_switch_holds_before_a_log_in(client: Client, db: None) -> None:
    answer = client.post("/language/", {"language": "ko", "next": "/login/?next=/models/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/models/")
    cookie = answer.cookies["mme_language"]
    assert (cookie["samesite"], cookie["httponly"]) == ("Lax", True)
    assert '<html lang="ko"' in client.get("/login/").content.decode()
    client.post("/language/", {"language": "en"})
    assert '<html lang="en"' in client.get("/login/", headers=KOREAN).content.decode()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_the_switch_leads_nowhere_else(client: Client, db: None, back: str) -> None:
    answer = client.post("/language/", {"language": "ko", "next": back})
    assert answer.headers["Location"] == "/"


def test_the_switch_takes_known_languages_and_a_token(client: Client, db: None) -> None:
    assert client.post("/language/", {"language": "tlh"}).status_code == 400
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/language/", {"language": "ko"}).status_code == 403


def test_the_switch_of_a_user_is_their_preference(reader: Client) -> None:
    _choose(language="en", time_zone="Asia/Seoul")
    reader.post("/language/", {"language": "ko"})
    kept = Preferences.objects.get()
    assert (kept.language, kept.time_zone) == ("ko", "Asia/Seoul")


def test_a_preference_goes_before_cookie_and_browser(reader: Client) -> None:
    _choose(language="ko")
    reader.cookies["mme_language"] = "en"
    answer = reader.get("/", headers={"accept-language": "en"})
    assert '<html lang="ko"' in answer.content.decode()
    assert answer.headers["Content-Language"] == "ko"


@pytest.mark.not_quick
def test_preferences_are_saved_and_confirmed_in_the_new_language(reader: Client) -> None:
    sent = {"language": "ko", "time_zone": "Asia/Seoul"}
    answer = reader.post("/preferences/", sent, follow=True)
    text = answer.content.decode()
    assert '<html lang="ko" data-zone="Asia/Seoul"' in text
    assert "환경 설정을 저장했습니다." in text
    assert '<option value="Asia/Seoul" selected>' in text
    reader.post("/preferences/", {"language": "browser", "time_zone": "browser"})
    assert '<html lang="en" data-zone=""' in reader.get("/").content.decode()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"language": "tlh", "time_zone": "UTC"},
        {"language": "ko", "time_zone": "../../etc/passwd"},
    ],
)
def test_a_choice_that_there_is_not_is_refused(reader: Client, sent: dict[str, str]) -> None:
    answer = reader.post("/preferences/", sent)
    assert answer.status_code == 400
    assert not Preferences.objects.exists()


def test_times_are_in_the_zone_of_the_preference_else_of_the_browser(reader: Client) -> None:
    at = datetime(2026, 11, 26, 18, 49, tzinfo=UTC)
    Event.objects.create(
        at=at, action="x", subject_kind="model", subject_id=0, subject_name="digits", text="Made."
    )
    reader.cookies["mme_timezone"] = "America/New_York"
    assert 'data-zone="America/New_York"' in reader.get("/activity/").content.decode()
    _choose(time_zone="Asia/Seoul")
    assert 'data-zone="Asia/Seoul"' in reader.get("/activity/").content.decode()
    reader.cookies["mme_timezone"] = "/etc/passwd"
    _choose(time_zone="Mars/Olympus")
    assert 'data-zone=""' in reader.get("/activity/").content.decode()


def test_the_zones_are_of_places_and_can_be_used() -> None:
    assert {"UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York"} <= set(languages.zones())
    assert all(languages.zone(name) for name in languages.zones())
    assert languages.zone("") is None
