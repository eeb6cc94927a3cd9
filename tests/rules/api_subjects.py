"""The operations of the API, and what to visit each with: a new one is held by itself."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from core.api.operations import OPERATIONS, Rules
from mmeportal import api
from tests.rules.rows import Rows

PREFIX = "/api/v1"
#: What rules about reading and refusing send: an operation that reads no body is given none.
JSON = ("application/json", b"{}")


@dataclass(frozen=True)
class Subject:
    """One operation: what it asks, and its part of the document."""

    rules: Rules
    documented: dict[str, Any]

    @property
    def method(self) -> str:
        return self.rules.method

    def url(self, rows: Rows) -> str:
        """Its path for the first row of each kind."""
        known = _known(self.rules.path, rows)
        names = re.findall(r"{(?:\w+:)?(\w+)}", self.rules.path)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise KeyError(
                f"The operation {self.rules.id} ({self.rules.path}) takes {unknown}, of which "
                "tests/rules/api_subjects.py knows nothing: say in _known what to visit it with."
            )
        path = re.sub(
            r"{(?:\w+:)?(\w+)}", lambda found: quote(str(known[found[1]])), self.rules.path
        )
        return PREFIX + path

    def wrong(self, answer: Any) -> str:
        """What of an answer is not documented; empty: nothing."""
        status = str(answer.status_code)
        if status not in self.documented["responses"]:
            return f"answers {status}, which is not documented"
        content = self.documented["responses"][status].get("content", {})
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if not content:
            body = b"" if answer.streaming else answer.content
            return f"has a body in its answer {status}" if body else ""
        if kind not in content and "*/*" not in content:
            return f"answers {status} with {kind!r}, and {sorted(content)} are documented"
        return ""


@cache
def document() -> dict[str, Any]:
    """The API's document."""
    found: dict[str, Any] = json.loads(api.document())
    return found


def subjects() -> list[Subject]:
    """Every operation, in the order of the code."""
    documented = {
        one["operationId"]: one
        for methods in document()["paths"].values()
        for one in methods.values()
    }
    return [Subject(rules, documented[id]) for id, rules in OPERATIONS.items()]


def _known(path: str, rows: Rows) -> dict[str, Any]:
    match path.strip("/").split("/"):
        case ["models", *_]:
            known = {"name": rows.version.model.name, "number": rows.version.number}
            return known | {"alias": "live"}
        case ["endpoints", *_]:
            alarm = rows.alarm.key
            return {"name": rows.endpoint.name, "id": rows.warming.uid, "alarm": alarm}
        case ["storage", *_]:
            return {"name": rows.person.username}
        case ["groups", *_]:
            return {"name": "group-0"}
        case ["stores", *_]:
            return {"name": "store-0"}
        case ["orphans", *_]:
            return {"kind": rows.orphan.kind, "name": rows.orphan.name}
        case ["samples", *_]:
            return {"name": rows.sample}
        case ["uploads", *_]:
            return {"id": rows.upload.uid}
        case ["webhooks", *_]:
            return {"id": rows.webhook.uid, "message": rows.delivery.uid}
        case ["tokens", *_]:
            return {"id": rows.token.pk}
        case ["invocations", *_]:
            made = rows.invocation
            return {"id": getattr(made, "uid", made.pk)}
        case ["comparisons", *_]:
            return {"id": rows.comparison.uid}
        case ["experiments", *_]:
            return {"id": rows.experiment.uid}
        case ["events", *_]:
            return {"id": 1}
    return {}
