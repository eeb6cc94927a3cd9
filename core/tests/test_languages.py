"""The language of what does not answer a request, and formats of each language."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone, translation

from core import languages
from core.templatetags.portal import ago, ms, percent


def _in_thread(run: Callable[[Callable[[], None]], None]) -> str:
    found: list[str] = []
    thread = threading.Thread(target=run, args=(lambda: found.append(translation.get_language()),))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_that_a_request_starts_speaks_english() -> None:
    """What it stores or logs is not in the language of who asked."""
    with translation.override("ko"):
        assert _in_thread(lambda look: look()) == "en"
        assert _in_thread(copy_context().run) == "en"


@pytest.mark.parametrize(
    ("name", "english", "korean"),
    [
        ("DATE_FORMAT", "26 Nov 2026", "2026년 11월 26일"),
        ("DATETIME_FORMAT", "26 Nov 2026, 18:49", "2026년 11월 26일 18:49"),
        ("SHORT_DATETIME_FORMAT", "26 Nov 2026, 18:49", "2026. 11. 26. 18:49"),
        ("TIME_FORMAT", "18:49", "18:49"),
    ],
)
def test_times_are_written_as_each_language_writes_them(
    name: str, english: str, korean: str
) -> None:
    at = datetime(2026, 11, 26, 18, 49, tzinfo=UTC)
    template = Template(f'{{{{ at|date:"{name}" }}}}')
    assert template.render(Context({"at": at})) == english
    with translation.override("ko"):
        assert template.render(Context({"at": at})) == korean


def test_a_time_is_in_the_readers_zone() -> None:
    at = datetime(2026, 11, 26, 18, 49, tzinfo=UTC)
    template = Template('{{ at|date:"DATETIME_FORMAT" }}')
    with timezone.override("Asia/Seoul"), translation.override("ko"):
        assert template.render(Context({"at": at})) == "2026년 11월 27일 03:49"


@pytest.mark.parametrize(
    ("shown", "english", "korean"),
    [
        (lambda: ms(87), "87 ms", "87 ms"),
        (lambda: ms(4.21), "4.2 ms", "4.2 ms"),
        (lambda: ms(0.01), "< 0.1 ms", "0.1 ms 미만"),
        (lambda: ms(1340), "1.3 s", "1.3초"),
        (lambda: ms(90_000), "1.5 min", "1.5분"),
        (lambda: ms(None), "–", "–"),
        (lambda: percent(0.5), "50.0 %", "50.0 %"),
        (lambda: percent(0.99999), "> 99.9 %", "> 99.9 %"),
        (lambda: ago(timezone.now()), "just now", "방금 전"),
        (lambda: ago(timezone.now() - timedelta(minutes=3)), "3 minutes ago", "3분 전"),
        (lambda: ago(timezone.now() + timedelta(hours=5, minutes=1)), "in 5 hours", "5시간 후"),
    ],
)
def test_figures_are_written_as_each_language_writes_them(
    shown: Callable[[], str], english: str, korean: str
) -> None:
    assert shown().replace("\xa0", " ") == english
    with translation.override("ko"):
        assert shown().replace("\xa0", " ") == korean


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("KO-kr", "ko"),
        ("de, ko;q=0.5", "ko"),
        ("*", "en"),
        ("\x00", "en"),
    ],
)
def test_the_first_language_that_there_is(header: str, language: str) -> None:
    assert languages.of_accept_language(header) == language
