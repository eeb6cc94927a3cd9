"""The API at /api/v1: joins the operations of the rooms.

What an operation asks of its caller is in core/api/operations.py.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from django.utils.cache import patch_vary_headers
from ninja import Field, NinjaAPI, Query, Router
from ninja.openapi.schema import OpenAPISchema

from accounts import api as accounts_api
from accounts import group_api
from activity import api as activity_api
from activity import redaction_api
from core.api import operations, problems
from core.api.operations import Rules, operation
from core.api.schema import Parameters
from core.compression import takes_gzip
from core.version import VERSION
from endpoints import alarm_api, cost_api, image_api, orphan_api
from endpoints import api as endpoints_api
from invocations import api as invocations_api
from invocations import (
    comparison_api,
    experiment_api,
    logs_api,
    metrics_api,
    planner_api,
    samples_api,
    thrash_api,
    warm_api,
)
from mmeportal import api_sentences, site_api
from models_catalog import alias_api, storage_api, store_api, upload_api
from models_catalog import api as models_api
from notices import api as notices_api
from notices import mails_api

#: Answers by operation and status, as a test got them (tests/test_api_examples.py).
EXAMPLES = Path(__file__).with_name("openapi_examples.json")
#: A body for each operation that takes JSON, by its id.
BODIES = Path(__file__).with_name("openapi_bodies.json")
_TITLE = "MME Portal"
# untranslated: OpenAPI is in English
_DESCRIPTION = (
    "Call models on SageMaker multi-model endpoints, and look at what was called. "
    "Every operation goes through the same services as the pages."
)
# untranslated: OpenAPI is in English
_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the page Tokens: `Authorization: Bearer mme_…`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The log-in of the pages. What changes something needs X-CSRFToken, too.",
    },
}


class PortalDocument(OpenAPISchema):
    """ninja's document. ninja keeps one of two schemas with the same name, and says nothing."""

    def add_schema_definitions(self, definitions: dict[str, Any]) -> None:
        """Add schemas; two that have one name and differ are a fault of the code."""
        for name, schema in definitions.items():
            if self.schemas.setdefault(name, schema) != schema:
                raise ValueError(
                    f"Two schemas of the API have the name {name!r}: rename the newer class; of "
                    "an enum that rows have, a Literal of its values does, too."
                )


class PortalAPI(NinjaAPI):
    """ninja's API with problems as answers to what goes wrong."""

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """The problem that ``exc`` is; what is a fault of the portal goes on to Django."""
        answer = operations.problem_response(request, exc)
        if answer is None:
            raise exc
        return answer

    def get_openapi_schema(self, **arguments: Any) -> OpenAPISchema:
        """ninja's document, with examples, and with the content type that problems have."""
        prefix = arguments.get("path_prefix")
        document = PortalDocument(self, self.get_root_path({}) if prefix is None else prefix)
        document["components"]["securitySchemes"] = _SECURITY
        examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
        bodies = json.loads(BODIES.read_text(encoding="utf-8"))
        for methods in document["paths"].values():
            for found in methods.values():
                if found["operationId"] in bodies:
                    taken = found["requestBody"]["content"]["application/json"]
                    taken["example"] = bodies[found["operationId"]]
                for status, answer in found["responses"].items():
                    example = examples.get(found["operationId"], {}).get(str(status))
                    if example is not None:
                        answer["content"]["application/json"]["example"] = example
                    if int(status) >= 400 and "content" in answer:
                        schema = answer["content"].pop("application/json")
                        answer["content"][problems.CONTENT_TYPE] = schema
        return document


_own = Router(tags=["site"])


class DocumentParameters(Parameters):
    """In which language."""

    language: Literal["en", "ko"] = Field(
        "en", description="`ko`: what each operation does is said in Korean."
    )


@operation(
    _own,
    "GET",
    "/openapi.json",
    id="openapi_get",
    scope=None,
    response={200: dict[str, Any]},
)
def openapi(request: HttpRequest, query: Query[DocumentParameters]) -> HttpResponse:
    """This document: what the API offers, as OpenAPI 3.1."""
    # It is the same for all and holds no secret, so it may be compressed (core/compression.py).
    packed = takes_gzip(request)
    body = _packed(query.language) if packed else document(query.language)
    response = HttpResponse(body, content_type="application/json")
    patch_vary_headers(response, ("Accept-Encoding",))
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


@cache
def _packed(language: str) -> bytes:
    return gzip.compress(document(language), 6, mtime=0)


@cache
def document(language: str = "en") -> bytes:
    """The OpenAPI document as it is served, in English as docs/openapi.json has it.

    In another language all that it says is; names, values and examples are as they are.
    """
    if language == "en":
        schema: dict[str, Any] = api.get_openapi_schema()
    else:
        schema = api_sentences.translated(json.loads(document("en")), language)
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return text.encode() + b"\n"


def routers() -> list[Router]:
    """The routers of the rooms, in the order of the document."""
    return [
        site_api.router,
        accounts_api.router,
        group_api.router,
        models_api.router,
        upload_api.router,
        storage_api.router,
        store_api.router,
        alias_api.router,
        endpoints_api.router,
        alarm_api.router,
        image_api.router,
        orphan_api.router,
        cost_api.router,
        invocations_api.router,
        metrics_api.router,
        thrash_api.router,
        planner_api.router,
        warm_api.router,
        logs_api.router,
        samples_api.router,
        comparison_api.router,
        experiment_api.router,
        activity_api.router,
        redaction_api.router,
        notices_api.router,
        mails_api.router,
        _own,
    ]


def make() -> PortalAPI:
    """The API with the operations of all rooms."""
    api = PortalAPI(
        title=_TITLE,
        version=VERSION,
        description=_DESCRIPTION,
        urls_namespace="api",
        docs_url=None,
        openapi_url=None,
        openapi_extra={"security": [{"token": []}, {"session": []}]},
    )
    for router in routers():
        api.add_router("", router)
    return api


api = make()


def api_urls() -> tuple[list[URLPattern | URLResolver], str, str]:
    """The addresses of the API."""
    return urls_of(api)


def urls_of(joined: PortalAPI) -> tuple[list[URLPattern | URLResolver], str, str]:
    """The addresses, with what middleware and the web server's guard read of a view."""
    patterns, app_name, namespace = joined.urls
    # Django tries one after the other, and calls of models come far more often than all else.
    patterns = sorted(patterns, key=lambda one: not str(one.pattern).endswith("/invocations"))
    rules = _rules(joined)
    for pattern in patterns:
        view: Any = getattr(pattern, "callback", None)
        if view is None:
            continue
        # An operation says itself who may call it. ninja's own root is 404, for every method: no
        # redirect leads there, and no CSRF check stands before it.
        view.login_required = False
        view.should_append_slash = False
        view.csrf_exempt = True
        view.api_rules = rules.get(str(pattern.pattern), {})
        view.body_limits = {
            method: one.takes for method, one in view.api_rules.items() if one.takes is not None
        }
    return patterns, app_name, namespace


def _rules(joined: PortalAPI) -> dict[str, dict[str, Rules]]:
    """The rules of the operations, by route and method."""
    found: dict[str, dict[str, Rules]] = {}
    for bound in joined._get_bound_routers():
        patterns = iter(bound.urls_paths(bound.prefix))
        for view in bound.path_operations.values():
            for one in view.operations:  # ninja has a pattern for each; the first one answers all
                route = found.setdefault(str(next(patterns).pattern), {})
                rules = operations.OPERATIONS[str(one.operation_id)]
                route.update(dict.fromkeys(one.methods, rules))
    return found
