"""``/_localaws/``: health, what is loaded where, and what containers tell. Not part of AWS."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import prometheus
from .faults import FaultPlan, InvalidFaultPlan
from .fleet import Fleet, Variant
from .options import Options
from .resource_store import ResourceStore
from .scaling_evaluator import Evaluator

_LONGEST_AHEAD = 365 * 24 * 3600

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def admin_token(folder: Path) -> str:
    """The token of the admin address, from a file that only its owner can read; made if missing."""
    path = folder / "admin-token"
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    path.touch(mode=0o600)
    path.chmod(0o600)
    if len(kept) < 32:
        kept = secrets.token_urlsafe(32)
        path.write_text(kept + os.linesep)
    return kept


class AdminPages:
    def __init__(
        self,
        options: Options,
        store: ResourceStore,
        fleet: Fleet,
        faults: FaultPlan,
        evaluator: Evaluator,
    ) -> None:
        self._evaluator = evaluator
        self._faults = faults
        self._options = options
        self._store = store
        self._fleet = fleet
        self._started = time.time()

    def wsgi(
        self,
        environ: dict[str, Any],
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix("/_localaws/")
        match path.strip("/").split("/"):
            case ["endpoints", name, "metrics"] if self._store.get("endpoint", name) is not None:
                page = self._metrics(name).encode()
                return _send(start_response, "200 OK", prometheus.CONTENT_TYPE, page)
            case ["endpoints", name, "metrics"]:
                return _not_found(start_response, f'Could not find endpoint "{name}".')
        line = "200 OK"
        if path.strip("/") == "faults":
            try:
                found: dict[str, Any] | None = self._fault_plan(environ)
            except InvalidFaultPlan as error:
                line, found = "400 Bad Request", {"message": str(error)}
        elif path.strip("/") == "clock":
            try:
                found = self._clock(environ)
            except (ValueError, KeyError, TypeError):
                line = "400 Bad Request"
                found = {"message": 'Put {"ahead": SECONDS}, a number from 0 to 31,536,000.'}
        else:
            found = self._page(path)
        if found is None:
            return _not_found(start_response, "There is no such page.")
        return _send(start_response, line, "application/json", json.dumps(found, indent=1).encode())

    def _fault_plan(self, environ: dict[str, Any]) -> dict[str, Any]:
        match environ["REQUEST_METHOD"]:
            case "PUT" | "POST":
                self._faults.replace(environ["wsgi.input"].read())
            case "DELETE":
                self._faults.clear()
        return self._faults.describe()

    def _clock(self, environ: dict[str, Any]) -> dict[str, Any]:
        """Put the clock of scaling and metrics ahead by so many seconds more."""
        if environ["REQUEST_METHOD"] in ("PUT", "POST"):
            seconds = float(json.loads(environ["wsgi.input"].read())["ahead"])
            if not 0 <= seconds <= _LONGEST_AHEAD:
                raise ValueError(seconds)
            self._evaluator.put_ahead(seconds)
        return self._evaluator.describe_clock()

    def _page(self, path: str) -> dict[str, Any] | None:
        match path.strip("/").split("/"):
            case ["health"]:
                return self._health()
            case ["status"]:
                return self._status()
            case ["endpoints"]:
                return {"endpoints": [row.name for row in self._store.all("endpoint")]}
            case ["endpoints", name]:
                return self._endpoint(name)
        return None

    def _health(self) -> dict[str, Any]:
        """The page that needs no signature."""
        health = {"status": "ok"}
        if not self._options.verify_signatures:
            health["warning"] = "Signatures are not verified: anybody may call."
        return health

    def _status(self) -> dict[str, Any]:
        rows = self._store.all("endpoint")
        return {
            "status": "ok",
            "region": self._options.region,
            "account": self._options.account,
            "uptime_seconds": round(time.time() - self._started, 1),
            "endpoints": {row.name: row.status for row in rows},
        }

    def _metrics(self, name: str) -> str:
        """What the containers of an endpoint tell, as one page."""
        endpoint = self._fleet.get(name)
        return prometheus.merged(endpoint.pages() if endpoint is not None else {})

    def _endpoint(self, name: str) -> dict[str, Any] | None:
        row = self._store.get("endpoint", name)
        if row is None:
            return None
        endpoint = self._fleet.get(name)
        return {
            "endpoint": name,
            "status": row.status,
            "failure_reason": row.body.get("failure"),
            "variants": [_variant(variant) for variant in endpoint.variants] if endpoint else [],
        }


def _not_found(start_response: StartResponse, message: str) -> Iterable[bytes]:
    body = json.dumps({"message": message}, indent=1).encode()
    return _send(start_response, "404 Not Found", "application/json", body)


def _send(
    start_response: StartResponse, line: str, content_type: str, body: bytes
) -> Iterable[bytes]:
    start_response(line, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "variant": variant.name,
        "weight": variant.weight,
        "instances": [
            {
                "instance": one.instance.id,
                "healthy": one.instance.healthy.is_set(),
                "pid": one.instance.pid,
                "address": one.instance.address,
                "started": one.instance.started,
                "models": one.cache.describe(),
            }
            for one in variant.instances()
        ],
    }
