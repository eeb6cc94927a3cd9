"""What Django shows of an error holds no password, wherever it stands."""

import sys
from typing import Any

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

#: In pieces, because pages about errors show the source, too.
PLANTED = "-".join(["planted", "5f0c2b7e"])


def _fail() -> None:
    address = f"redis://portal:{PLANTED}@127.0.0.1/0"
    connection = {"host": "127.0.0.1", "password": PLANTED, "urls": [address]}
    raise RuntimeError(f"something about {sorted(connection)}")


@pytest.fixture
def report(settings: Any) -> ExceptionReporter:
    settings.DEBUG = True  # worse than in production, where no page shows any of it
    address = f"redis://portal:{PLANTED}@127.0.0.1/0"
    settings.REDIS_URL = settings.CELERY_BROKER_URL = address
    settings.A_LIST_OF_ADDRESSES = [address]
    request = RequestFactory().get("/")
    request.META["DATABASE_URL"] = f"postgres://portal:{PLANTED}@127.0.0.1/portal"
    try:
        _fail()
    except RuntimeError:
        return ExceptionReporter(request, *sys.exc_info())
    raise AssertionError


def test_a_page_about_an_error_shows_no_password(report: ExceptionReporter) -> None:
    page = report.get_traceback_html()
    assert "something about" in page
    assert "CELERY_BROKER_URL" in page
    assert PLANTED not in page


def test_a_mail_about_an_error_shows_no_password(report: ExceptionReporter) -> None:
    text = report.get_traceback_text()
    assert "CELERY_BROKER_URL" in text
    assert PLANTED not in text
