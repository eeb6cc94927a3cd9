"""Health, headers and refusals."""

from collections.abc import Callable

from django.test import Client


def test_health_is_that_the_process_lives_and_asks_nobody(client: Client, settings: object) -> None:
    """Neither the database, which this test may not use, nor Redis, which is not there."""
    settings.REDIS_URL = "redis://127.0.0.1:9/0"  # type: ignore[attr-defined]
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


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
