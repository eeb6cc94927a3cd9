"""The glossary: its terms, its page, and its pages in docs/."""

import html
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from core import glossary
from core.glossary import GLOSSARY
from core.management.commands.write_glossary import PAGES

# What pages and docs must be able to link to.
NEEDED = {
    "model", "version", "archive", "validation", "live", "endpoint", "configuration", "store",
    "target-model", "call", "cold-start", "warm", "tear-down", "retry", "multi-model-endpoint",
}  # fmt: skip


def test_the_words_that_pages_use_are_explained() -> None:
    assert set(GLOSSARY) >= NEEDED
    for key in GLOSSARY:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", key), f"{key} is no anchor"


@pytest.mark.parametrize("key", GLOSSARY)
def test_a_term_is_one_sentence_and_a_little_more(key: str) -> None:
    term = GLOSSARY[key]
    with translation.override("en"):
        sentence, more = str(term.sentence), str(term.more)
    assert not re.search(r"[.!?] [A-Z]", sentence), "one sentence; the rest belongs into `more`"
    assert sentence.endswith(".")
    assert more.endswith(".")
    assert len(sentence) <= 130, "it stands in a small box beside the word"


@pytest.mark.parametrize("language", PAGES)
def test_the_page_in_docs_is_that_of_the_program(language: str) -> None:
    page = Path(settings.BASE_DIR) / PAGES[language]
    assert page.read_text(encoding="utf-8") == glossary.as_markdown(language), (
        "Run `make glossary`."
    )


def test_the_page_has_an_anchor_for_each_term(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody"))
    page = html.unescape(client.get("/glossary/").content.decode())
    for key, term in GLOSSARY.items():
        assert f'id="{key}"' in page
        assert f'href="#{key}"' in page
        assert str(term.sentence) in page
        assert str(term.more) in page
