"""docs/problems.md: every kind of problem that the API answers with, from core/api/problems.py."""

from django.utils import translation

from core.api.problems import CODES

_HEAD = """\
# Problems of the API

Every refusal and failure below `/api/` is a document of RFC 9457, `application/problem+json`. The
last part of its `type` is one of these codes. Codes are stable; sentences are not, and are in the
language of `Accept-Language`. Each code has a page in the portal, `/problems/CODE`.

`make openapi` writes this page from `core/api/problems.py`.

| code | status | meaning | what to do |
|---|---|---|---|
"""


def as_markdown() -> str:
    """The page, in English: by status, then by code."""
    with translation.override("en"):
        kinds = sorted(CODES.items(), key=lambda one: (one[1].status, one[0]))
        rows = [
            f"| `{code}` | {kind.status} | {kind.title} | {kind.todo} |" for code, kind in kinds
        ]
    return _HEAD + "\n".join(rows) + "\n"
