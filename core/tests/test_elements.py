"""The tags of pages' elements: what they show, escaped, and what they refuse."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.fallback import FallbackStorage
from django.template import TemplateSyntaxError, engines
from django.test import RequestFactory
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.timesince import timesince
from hypothesis import given
from hypothesis import strategies as st

from core import icons, ui
from core.glossary import GLOSSARY
from core.templatetags.elements import absolute
from core.templatetags.portal import time_ago, unbroken
from core.ui import Tab

EVIL = '"><script>alert(1)</script>'
TEMPLATES = Path(settings.BASE_DIR) / "templates"


def _rendered(source: str, path: str = "/here/", **context: Any) -> str:
    template = engines["django"].from_string(source)
    return str(template.render(context, RequestFactory().get(path)))


# --- icons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*icons.NAMES, "search", "upload", "image"])
def test_an_icon_is_drawn_in_the_texts_colour(name: str) -> None:
    text = _rendered("{% icon name %}", name=name)
    assert text.startswith('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><')
    assert "style=" not in text
    assert "\n" not in text


def test_an_icon_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="no icon 'no-such-thing'"):
        icons.drawing("no-such-thing")


def test_every_icon_that_templates_name_is_there() -> None:
    named = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r"\{% icon \"([^\"]+)\"", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 15
    for name in named:
        assert icons.drawing(name)


# --- times and numbers ----------------------------------------------------------------------------


def test_a_time_is_said_both_ways_in_the_users_zone_and_language() -> None:
    moment = datetime(2026, 1, 31, 20, 5, 9, tzinfo=UTC)
    with timezone.override("Asia/Seoul"):
        text = _rendered("{% when at %}", at=moment)
        assert 'datetime="2026-02-01T05:05:09+09:00"' in text
        assert " ago</span>" in text
        assert "1 Feb 2026, 05:05" in text
        assert 'title="1 Feb 2026, 05:05:09 KST"' in text
        alone = _rendered("{% when at 'absolute' %}|{% when at 'second' %}", at=moment)
        assert re.findall(">([^<]+)</time>", alone) == ["1 Feb 2026, 05:05", "1 Feb 2026, 05:05:09"]
        with translation.override("ko"):
            assert "2026" in _rendered("{% when at 'absolute' %}", at=moment)


def test_what_never_happened_is_a_dash() -> None:
    assert "–" in _rendered("{% when None %}")
    assert _rendered("{{ a|number }} {{ b|number }}", a=None, b=1234567) == "– 1,234,567"


def test_a_minute_ago_is_just_now() -> None:
    assert "just now" in _rendered("{% when at %}", at=timezone.now() - timedelta(seconds=30))


@pytest.mark.not_quick
@pytest.mark.parametrize(("language", "sentence"), [("en", "%s ago"), ("ko", "%s 전")])
@given(
    at=st.timedeltas(timedelta(0), timedelta(days=1200)).map(
        lambda later: datetime(2023, 12, 1, tzinfo=UTC) + later
    ),
    passed=st.timedeltas(timedelta(minutes=1), timedelta(days=1200)),
)
def test_times_are_said_and_written_as_django_does(
    language: str, sentence: str, at: datetime, passed: timedelta
) -> None:
    with translation.override(language):
        assert time_ago(at, at + passed) == sentence % timesince(at, at + passed, depth=1)
        assert absolute(at) == date_format(timezone.localtime(at), "DATETIME_FORMAT")


# --- tabs, help, copies, code ---------------------------------------------------------------------


def test_tabs_are_links_and_one_is_current() -> None:
    items = [Tab(EVIL, "/a/?x=1&y=2", True, 1151), Tab("Use", "/b/", False)]
    text = _rendered("{% tabs items %}", items=items)
    assert "<script>" not in text
    assert 'href="/a/?x=1&amp;y=2" aria-current="page"' in text
    assert ">1,151<" in text
    assert text.count("aria-current") == 1


def test_help_says_the_glossarys_sentence_and_leads_there() -> None:
    text = _rendered('{% help "cold-start" %}{% help "cold-start" %}')
    assert text.count('href="/glossary/#cold-start"') == 2
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(set(ids)) == 2
    assert ids == re.findall(r'popovertarget="([^"]+)"', text)
    # A part that is asked for by itself may stand on a page that has marks already.
    assert not set(ids) & set(re.findall(r'id="([^"]+)"', _rendered('{% help "warm" %}', "/b/")))
    with pytest.raises(KeyError):
        _rendered('{% help "no-such-word" %}')


def test_every_word_that_templates_explain_is_in_the_glossary() -> None:
    named = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r"\{% help \"([^\"]+)\"", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(GLOSSARY)


def test_a_copy_has_all_of_a_value_that_is_shown_short() -> None:
    text = _rendered("{% copy value short=12 %}", value="0123456789abcdef")
    assert '<code title="0123456789abcdef">0123456789ab…</code>' in text
    assert 'data-copy="0123456789abcdef"' in text
    assert (
        "title"
        not in _rendered("{% copy value short=12 %}", value="0123456789abc").partition("<button")[0]
    )
    assert "<script>" not in _rendered("{% copy value %}", value=EVIL)


def test_code_is_without_the_lines_around_it_and_its_variables_are_escaped() -> None:
    text = _rendered("{% code label='AWS CLI' %}\n  a {{ x }}\n    b\n{% endcode %}", x=EVIL)
    assert "<script>" not in text
    inside = text.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]
    assert inside.startswith("  a &quot;")
    assert inside.endswith("\n    b")
    assert 'aria-label="AWS CLI"' in text
    # Where several have one label, each has another name for screen readers.
    named = _rendered("{% code label='curl' spoken='curl of a call' %}x{% endcode %}")
    assert '<div class="snippet-label">curl</div>' in named
    assert 'aria-label="curl of a call"' in named


def test_a_block_refuses_an_option_that_it_does_not_know() -> None:
    with pytest.raises(TemplateSyntaxError, match="code knows no 'lable=1'"):
        _rendered("{% code lable=1 %}{% endcode %}")


def test_a_bar_for_ticked_rows_is_the_form_that_the_boxes_name() -> None:
    text = " ".join(
        _rendered("{% bulk_bar action='/x/' %}<button>Go</button>{% endbulk_bar %}").split()
    )
    assert '<form class="bulk-bar" id="bulk" method="post" action="/x/">' in text
    assert "csrfmiddlewaretoken" in text
    assert "<button>Go</button>" in text
    text = _rendered("{% bulk_bar method='get' %}<button>Go</button>{% endbulk_bar %}")
    assert 'method="get"' in text
    assert "csrfmiddlewaretoken" not in text, "an address is seen by others"


# --- messages -------------------------------------------------------------------------------------


def test_undo_is_a_form_that_leads_back_to_the_page() -> None:
    request: Any = RequestFactory().get("/models/?page=2")
    request.session = {}
    request._messages = FallbackStorage(request)
    ui.undo(request, f"{EVIL} is gone.", "/models/undo/7/")
    messages.error(request, "It failed.")
    template = engines["django"].from_string("{% toasts messages %}")
    text = str(template.render({"messages": messages.get_messages(request)}, request))
    assert "<script>" not in text
    assert text.count("<form") == 1
    assert 'action="/models/undo/7/"' in text
    assert 'name="next" value="/models/?page=2"' in text
    assert 'class="callout toast error"' in text


def test_a_message_of_others_has_no_button() -> None:
    assert ui.undo_url(Message(messages.INFO, "text", extra_tags="safe")) == ""
    assert ui.undo_url(Message(messages.INFO, "text")) == ""


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/models/?page=2", "/models/?page=2"),
        ("", "/"),
        ("https://example.com/", "/"),
        ("//example.com/", "/"),
        ("javascript:alert(1)", "/"),
        ("http://testserver/models/", "http://testserver/models/"),
        ("word", "/"),
        ("a\0b", "/"),
    ],
)
def test_a_form_leads_back_to_the_portal_alone(wanted: str, led_to: str) -> None:
    assert ui.back(RequestFactory().post("/undo/", {"next": wanted}), "/") == led_to


def test_a_number_of_machines_stays_on_one_line() -> None:
    assert unbroken("Requested 2 × ml.m5.large.") == "Requested 2\xa0×\xa0ml.m5.large."


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("At 50, 80 and 100 % it is told", "At 50, 80 and 100\xa0% it is told"),
        ("한 달에 약 0.10 USD가 듭니다.", "한 달에 약 0.10\xa0USD가 듭니다."),
        ("S3 +0.1 s, calls above 500 ms", "S3 +0.1\xa0s, calls above 500\xa0ms"),
        ("version 2 said it serves 3 models", "version 2 said it serves 3 models"),
    ],
)
def test_a_number_and_its_unit_stay_on_one_line(sentence: str, shown: str) -> None:
    assert unbroken(sentence) == shown
