"""The pages of the API: its reference, and Swagger UI, which is loaded on purpose."""

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from mmeportal import swagger_ui
from mmeportal.api_reference import found, reference

#: Longer texts are nothing that anybody looks for.
_MOST_SEARCHED = 200


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All operations by their tags, or those that have the words of ``q``."""
    tags = reference(_language())
    query = request.GET.get("q", "").replace("\0", "")[:_MOST_SEARCHED].strip()
    groups = found(tags.values(), query)
    context = {
        "query": query,
        "groups": groups,
        "count": sum(len(operations) for _tag, operations in groups),
        "document": reverse("api:openapi"),
        "portal_url": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "mmeportal/api_docs.html", context)


@require_safe
def tag_page(request: HttpRequest, tag: str) -> HttpResponse:
    """The operations of a tag, and the schemas that they name."""
    tags = reference(_language())
    if tag not in tags:
        raise Http404
    context = {"tag": tags[tag], "tags": tags.values()}
    return render(request, "mmeportal/api_tag.html", context)


@require_safe
def try_page(request: HttpRequest) -> HttpResponse:
    """Swagger UI, of django-ninja's package: it makes requests, and needs JavaScript."""
    language = _language()
    context = {
        "document": reverse("api:openapi"),
        "tags": reference(language).values(),
        "shown": reverse("api:openapi") + ("?language=ko" if language == "ko" else ""),
        "words": "{}" if language == "en" else json.dumps(swagger_ui.words(), ensure_ascii=False),
    }
    return render(request, "mmeportal/api_try.html", context)


def _language() -> str:
    return get_language() or "en"
