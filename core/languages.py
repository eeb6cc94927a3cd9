"""The language and the time zone of an answer.

The language is the browser's wish (Accept-Language) or what was chosen: a cookie, which also holds
before a log-in. The zone is the browser's, which a script puts into a cookie, else TIME_ZONE. What
a user chose (accounts/preferences.py) goes before both.
"""

import zoneinfo
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, parse_cookie
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header


def codes() -> list[str]:
    """The languages of the pages."""
    return [code for code, _ in settings.LANGUAGES]


@cache
def zones() -> list[str]:
    """The names of the time zones that can be chosen: those of places, and UTC."""
    found = zoneinfo.available_timezones()
    return sorted(
        name for name in found if name == "UTC" or ("/" in name and not name.startswith("Etc/"))
    )


def zone(name: str) -> zoneinfo.ZoneInfo | None:
    """The time zone of a name from outside; None for one that there is not."""
    # Names are paths of files: one that is not of the list is not opened.
    return zoneinfo.ZoneInfo(name) if name in _known() else None


@cache
def _known() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def use_zone(request: HttpRequest, name: str) -> None:
    """Answer ``request`` in a time zone; one that there is not changes nothing."""
    found = zone(name)
    if found is not None:
        timezone.activate(found)
        request.time_zone = name  # type: ignore[attr-defined]


def zone_of(request: HttpRequest) -> str:
    """The zone that the browser named or the user chose; "" where neither is known."""
    return str(getattr(request, "time_zone", ""))


def of_browser(request: HttpRequest) -> str:
    """The language that the browser asks for, whatever was chosen."""
    accepted = request.headers.get("Accept-Language", "")
    return of_accept_language(accepted)


def of_accept_language(header: str) -> str:
    """The first language of the header that the pages have, else English."""
    for name, _ in parse_accept_lang_header(header.lower()):
        try:
            return translation.get_supported_language_variant(name)
        except LookupError:
            continue
    return str(settings.LANGUAGE_CODE)


def of_headers(accept_language: str, cookies: str) -> str:
    """The language of a request by its headers alone, where Django has not seen it."""
    chosen = parse_cookie(cookies).get(settings.LANGUAGE_COOKIE_NAME, "")
    return chosen if chosen in codes() else of_accept_language(accept_language)


def remember(answer: HttpResponse, code: str) -> None:
    """Have the browser keep the language for a year; "" has it forget the choice."""
    if not code:
        answer.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
        return
    answer.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


class LanguageMiddleware:
    """Answers in the reader's language and time zone, and names the language in the headers.

    Stands before everything that can refuse a request with a page, and after WhiteNoise, whose
    files are in no language. Afterwards the thread's language is what it was, so that nothing
    outside of a request speaks another one than English.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Choose by what the browser sends; what stands below may choose again."""
        language = translation.get_language_from_request(request)
        with translation.override(language), timezone.override(None):
            use_zone(request, request.COOKIES.get(settings.TIME_ZONE_COOKIE_NAME, ""))
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language())
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response
