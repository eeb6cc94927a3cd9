"""Where the portal's milliseconds go: the calls of bench/portal.py, in one process, by part.

bench/portal.py runs it, with the environment of the stack. The WSGI application is called without
the web server, and its functions are replaced by ones that measure what they take while none of the
others runs, so the parts add up to the whole. What is measured is the time of the processor, which
is nearly the same on a busy machine; of SageMaker it is what sending and reading takes. Measuring
costs some 0.2 ms of a call itself.
"""

import argparse
import io
import os
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")

from bench.portal import ENDPOINT, MODEL, Page, tagged  # noqa: E402 - ROOT is on the path now

OTHER = "Django's handler and URLs"
#: The functions of each part, by module and name.
PARTS: dict[str, list[str]] = {
    "session or token": [
        "accounts.token_auth:_authenticate",
        "django.contrib.auth.middleware:get_user",
        "accounts.sessions:SessionStore.load",
    ],
    "permission, limits": ["core.api.operations:check", "django.contrib.auth.models:User.has_perm"],
    "reading the form": ["django.http.request:HttpRequest._load_post_and_files"],
    "decoding, scaling": ["invocations.pictures:prepare", "invocations.decoding:open_picture"],
    "signing": ["core.signature_v4:signed"],
    "SageMaker": ["core.http_exchange:exchange"],
    "the call besides": ["core.aws:invoke_endpoint"],
    "database": [
        "django.db.backends.utils:CursorWrapper.execute",
        "django.db.backends.utils:CursorWrapper.executemany",
        "django.db.backends.base.base:BaseDatabaseWrapper.commit",
        "django.db.backends.sqlite3.base:DatabaseWrapper._start_transaction_under_autocommit",
    ],
    "rendering": ["django.template.backends.django:Template.render"],
    "input and answer (ninja)": ["ninja.operation:Operation.run"],
    "the operation or view": ["invocations.views:_run"],
}


class Parts:
    """The milliseconds of each part: of this thread, and of the one that makes a page's call."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._local = threading.local()

    def measured(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, whose time counts for ``part`` where no other part's function runs."""

        @wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            helper = threading.current_thread() is not threading.main_thread()
            if helper and not threading.current_thread().name.startswith("invoke-"):
                return function(*arguments, **named)  # it works after the answer
            stack = self._local.__dict__.setdefault("stack", [])
            began = time.thread_time()
            stack.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                whole = time.thread_time() - began
                self.spent[part] += (whole - stack.pop()) * 1000
                if stack:
                    stack[-1] += whole

        return run


def instrument(parts: Parts) -> None:
    """Replace the functions, and all middleware."""
    settings = import_module("django.conf").settings
    api = import_module("mmeportal.api").api
    import_module("mmeportal.urls")  # what a first request would import
    for part, names in PARTS.items():
        for name in names:
            module_name, _, path = name.partition(":")
            owner: Any = import_module(module_name)
            *holders, last = path.split(".")
            for holder in holders:
                owner = getattr(owner, holder)
            _replace(owner, last, parts.measured(part, getattr(owner, last)))
    for bound in api._get_bound_routers():
        for view in bound.path_operations.values():
            for one in view.operations:
                one.view_func = parts.measured("the operation or view", one.view_func)
    for name in settings.MIDDLEWARE:
        module_name, _, last = name.rpartition(".")
        kind = getattr(import_module(module_name), last)
        kind.__call__ = parts.measured("middleware", kind.__call__)


def _replace(owner: Any, name: str, by: Any) -> None:
    """Also where another module of the portal imported the function by its name."""
    before = getattr(owner, name)
    setattr(owner, name, by)
    for module in list(sys.modules.values()):
        if getattr(module, name, None) is before:
            setattr(module, name, by)


def _environ(path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in headers.items():
        environ[name if name == "CONTENT_TYPE" else f"HTTP_{name}"] = value
    setup_testing_defaults(environ)
    return environ


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    # Not by a statement: what measures the portal is no part of it.
    application = import_module("mmeportal.wsgi").application

    parts = Parts()
    folder = Path(os.environ["LOCAL_DIR"])
    picture = min((folder / "demo" / "samples").glob("digit-three*")).read_bytes()
    password = (folder / "admin-password").read_text().strip()
    page = Page(int(os.environ["PORT"]), password, picture)
    path = f"/api/v1/endpoints/{ENDPOINT}/invocations?model={MODEL}"
    token = os.environ["BENCH_TOKEN"]
    api = {
        "AUTHORIZATION": f"Bearer {token}",
        "CONTENT_TYPE": "image/jpeg",
        "ACCEPT": "application/json",
    }
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "API": lambda: _environ(path, tagged(picture), api),
        "page": lambda: _environ(
            "/invoke/run/",
            page.body(),
            {"CONTENT_TYPE": page.content_type, "COOKIE": page.cookies, "HX_REQUEST": "true"},
        ),
    }
    instrument(parts)
    application.load_middleware()  # the chain holds functions, no classes
    answer = parts.measured(OTHER, application)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for turn in range(-20, options.calls):
        for way, environ in ways.items():
            given = environ()
            parts.spent.clear()
            statuses: list[str] = []
            body = answer(given, lambda status, _headers, got=statuses: got.append(status))
            b"".join(body)
            body.close()
            assert statuses[0].startswith("200"), statuses
            if turn >= 0:
                found[way].append(dict(parts.spent))
    _print(found, options.calls)


def _print(found: dict[str, list[dict[str, float]]], calls: int) -> None:
    names = ["middleware", *PARTS, OTHER]
    print(
        f"\nBy part, ms of the processor: medians of {calls} calls in one process, without the "
        "web server"
    )
    print(f"{'':28}" + "".join(f"{way:>9}" for way in found))
    for name in names:
        cells = [statistics.median(each.get(name, 0.0) for each in rows) for rows in found.values()]
        print(f"{name:28}" + "".join(f"{cell:9.2f}" for cell in cells))
    for title, less in (("all", ""), ("all but SageMaker", "SageMaker")):
        sums = (
            [sum(each.values()) - each.get(less, 0.0) for each in rows] for rows in found.values()
        )
        print(f"{title:28}" + "".join(f"{statistics.median(each):9.2f}" for each in sums))


if __name__ == "__main__":
    main()
