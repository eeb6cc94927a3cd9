"""Health, headers and refusals."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection
from django.test import Client


def test_health_tells_a_dead_redis_but_goes_on(db: None, client: Client, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"  # type: ignore[attr-defined]
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert "does not answer" in answer.json()["redis"]
    assert answer.json()["database"] == "ok"


def test_health_is_503_where_the_database_is_away(
    db: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", broken)
        answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "gone" in answer.json()["database"]


def test_health_answers_a_load_balancer_that_knows_no_host_name(
    db: None, client: Client, settings: object
) -> None:
    settings.ALLOWED_HOSTS = ["mme.example.com"]  # type: ignore[attr-defined]
    settings.SECURE_SSL_REDIRECT = True  # type: ignore[attr-defined]
    assert client.get("/healthz", headers={"host": "10.0.3.17:8000"}).status_code == 200
    assert client.get("/login/", headers={"host": "10.0.3.17:8000"}).status_code == 400


def test_pages_load_nothing_from_elsewhere(client_of: Callable[[str], Client]) -> None:
    answer = client_of("admin").get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    text = answer.content.decode()
    assert 'src="http' not in text
    assert 'href="http' not in text


def test_a_403_says_what_the_role_may_not_do(client_of: Callable[[str], Client]) -> None:
    answer = client_of("viewer").get("/models/new/")
    assert answer.status_code == 403
    assert "Your role does not allow you to upload models." in answer.content.decode()


def test_a_lost_page_says_so(client_of: Callable[[str], Client]) -> None:
    answer = client_of("viewer").get("/models/none-such/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
