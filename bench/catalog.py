"""The server time of the catalog's pages with thousands of models, and with a tenth of them.

``make bench-catalog``, or ``.venv/bin/python bench/catalog.py [--postgresql] [--models 2000]``. It
makes two databases of its own, one with a tenth of the rows of the other, and asks both for each
page in turns, in this process: no network, no browser, no compression. "Server time" is from the
request to the whole answer. A page's bound is 60 ms at the 95th percentile (150 where there are
charts), 12 queries or what mmeportal/access.py allows it, and, the searches aside, 1.5 times its
time with a tenth of the rows.
"""

import argparse
import contextlib
import json
import math
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import ending  # noqa: E402

# Of each of the two databases: so many rows for one model.
VERSIONS, EVENTS, CALLS = 5, 100, 500
PASSES = 60
BOUND_MS, BOUND_QUERIES, BOUND_GROWTH = 60.0, 12, 1.5
_SEARCHES = ("search", "API search")
_CHARTS = ("metrics of a day", "metrics of 4 weeks")
_CHARTS_MS = 150.0
# Rows that Django makes; the database makes the others of them.
_MADE_HERE = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--passes", type=int, default=PASSES, help="requests of each page")
    parser.add_argument("--postgresql", action="store_true", help="in place of SQLite")
    parser.add_argument(
        "--cpu", action="store_true", help="processor time, the database's too: for a busy machine"
    )
    parser.add_argument("--only", default="", help="pages that have this text in their name")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        serve(options.child)
        return
    sizes = [options.models, max(1, options.models // 10)]
    with contextlib.ExitStack() as stack:
        whole, tenth = (stack.enter_context(child(size, options.postgresql)) for size in sizes)
        print(
            f"{'page':<22}{'queries':>8}{'p50 ms':>9}{'p95 ms':>9}{'p95, a tenth':>14}{'ratio':>7}"
        )
        for name in ask(whole, {"do": "pages"}):
            if options.only in name:
                report(name, whole, tenth, options.passes, cpu=options.cpu)


def report(name: str, whole: Any, tenth: Any, passes: int, *, cpu: bool) -> None:
    """Measure one page on both databases in turns, and print its line."""
    took: list[list[float]] = [[], []]
    queries = ask(whole, {"do": "queries", "page": name})
    for _ in range(math.ceil(passes / 10)):
        for index, one in enumerate((whole, tenth)):
            took[index] += ask(one, {"do": "time", "page": name, "times": 10, "cpu": cpu})
    p95, small = (percentile(times, 0.95) for times in took)
    ratio = p95 / small
    bound = _CHARTS_MS if name in _CHARTS else BOUND_MS
    over = p95 > bound or queries > max(BOUND_QUERIES, ask(whole, {"do": "allowed", "page": name}))
    over = over or (ratio > BOUND_GROWTH and name not in _SEARCHES)
    print(
        f"{name:<22}{queries:>8}{statistics.median(took[0]):>9.1f}{p95:>9.1f}{small:>14.1f}"
        f"{ratio:>7.2f}{'  over its bound' if over else ''}",
        flush=True,
    )


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextlib.contextmanager
def child(models: int, postgresql: bool) -> Iterator[subprocess.Popen[str]]:
    """A process with a database of its own, filled; it answers one JSON document a line."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-catalog-"))
        url = f"sqlite:///{folder}/db.sqlite3"
        if postgresql:
            from tests.upgrade import postgresql as of_tests

            url = stack.enter_context(of_tests.server())
        process = subprocess.Popen(
            [sys.executable, __file__, "--child", str(models)],
            env=os.environ
            | {
                "DATABASE_URL": url,
                "SECRET_KEY": secrets.token_urlsafe(48),
                "DJANGO_SETTINGS_MODULE": "mmeportal.settings",
                "LOCAL_DIR": folder,
                "CACHE_URL": "locmem://",
                "ALLOWED_HOSTS": "testserver",
                # Nothing listens there: pages that ask who the AWS account is go on without.
                "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_MAX_ATTEMPTS": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            print(f"{models:,} models: {ask(process, {'do': 'fill'})}", flush=True)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def ask(process: Any, what: dict[str, Any]) -> Any:
    """The answer of a child; raises RuntimeError where it ended."""
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("A process of the benchmark ended; what it said is above.")
    return json.loads(answer)


def serve(models: int) -> None:
    """A child: fill its database, and answer what it is asked, loaded as the web server is."""
    from django.core.management import call_command

    import mmeportal.wsgi  # noqa: F401

    call_command("migrate", verbosity=0, stdout=sys.stderr)
    pages: Pages | None = None
    for line in sys.stdin:
        what = json.loads(line)
        answer: Any
        if what["do"] == "fill":
            answer = fill(models)
            pages = Pages(models)
        else:
            assert pages
            answer = getattr(pages, what["do"])(**{k: v for k, v in what.items() if k != "do"})
        print(json.dumps(answer), flush=True)


def fill(models: int) -> str:
    """Rows as years of use leave them; returns how many of what."""
    from django.contrib.auth.models import User
    from django.db import connection

    from activity.models import Event
    from endpoints.models import Endpoint
    from invocations import roll_ups
    from invocations.models import Invocation
    from models_catalog import services
    from models_catalog.models import RegisteredModel, Version

    started = time.monotonic()
    number = random.Random(7)
    people = User.objects.bulk_create(User(username=f"person-{n}") for n in range(20))
    User.objects.create_superuser("bench", password=None)
    _models(models, people, number)
    services.keep_found()  # as save() does
    _endpoints(people)
    _calls(min(_MADE_HERE, models * VERSIONS), people, number)
    _events(min(_MADE_HERE, models * VERSIONS), people, number)
    _multiply(Invocation, models * CALLS)
    _multiply(Event, models * EVENTS)
    while roll_ups.roll_up():
        pass  # as the job does each minute
    with connection.cursor() as cursor:
        # PostgreSQL does both by itself within a minute, in the midst of the first pages.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    counted = [
        f"{kind.objects.count():,} {kind._meta.verbose_name_plural}"
        for kind in (RegisteredModel, Version, Event, Invocation, Endpoint)
    ]
    return f"{', '.join(counted)}; made in {time.monotonic() - started:.0f} s"


_WORDS = [
    *("squeezenet", "resnet", "mobilenet", "digits", "faces", "plates", "leaves", "숫자", "얼굴"),
    *("번호판", "nightly", "pruned", "quantized", "baseline", "production", "korea", "berlin"),
    *("camera", "indoor", "outdoor", "winter", "summer"),
]

#: A tag of every second model, so that its list fills a page also where there is a tenth of them.
_COMMON = "vision"
#: A tag of so many models, few or many of them all, so that its list fills a page in both, too.
_CHOSEN, _SO_MANY = "pilot", 60


def _models(count: int, people: list[Any], number: random.Random) -> None:
    from django.conf import settings
    from django.utils import timezone

    from core.natural import natural_key
    from models_catalog import tags
    from models_catalog.models import Alias, AliasMove, LabelFile, RegisteredModel, Version

    now = timezone.now()
    step = max(1, count // _SO_MANY)
    words = ["model" if n in (7, 8, 9) else word for n, word in enumerate(_WORDS)]
    models = RegisteredModel.objects.bulk_create(
        RegisteredModel(
            name=(name := f"{words[n % len(words)]}-{n}"),
            name_key=natural_key(name),  # as save() has it
            description=f"{number.choice(_WORDS)} {number.choice(_WORDS)} of {n}. " * 8,
            created_by=number.choice(people),
            tag_lines=tags.framed(
                sorted(
                    {
                        *(number.choice(_WORDS), number.choice(_WORDS)),
                        *([_COMMON] * (n % 2)),
                        *([_CHOSEN] * (n % step == 0 and n < step * _SO_MANY)),
                    }
                )
            ),
        )
        for n in range(count)
    )
    versions = []
    files = LabelFile.objects.bulk_create(
        LabelFile(sha256=f"{n:064x}", text="\n".join(f"label {n} {m}" for m in range(1000)))
        for n in range(20)
    )
    for model in models:
        for one in range(1, VERSIONS + 1):
            digest = f"{number.getrandbits(256):064x}"
            versions.append(
                Version(
                    model=model,
                    number=one,
                    note=f"{number.choice(_WORDS)} run {number.randrange(9999)}",
                    metadata={"accuracy": number.random(), "run": f"run-{number.randrange(9999)}"},
                    created_by=number.choice(people),
                    bucket=settings.MODEL_BUCKET,
                    prefix=settings.MODEL_PREFIX,
                    key=f"{settings.MODEL_PREFIX}/{model.name}_v{one}.tar.gz",
                    file_name=f"{model.name}.tar.gz",
                    size=number.randrange(10**6, 10**8),
                    published_size=number.randrange(10**6, 10**8),
                    sha256=digest,
                    published_sha256=digest[::-1],
                    content_sha256=digest[32:] + digest[:32],
                    packing=Version.Packing.STORED,
                    state=Version.State.READY if number.random() < 0.9 else Version.State.REJECTED,
                    settled_at=now,
                    parameters=61706,
                    input_shape="data: 1 × 1 × 28 × 28",
                    label_file=number.choice(files),
                    report={"ok": True, "load_ms": 12.0, "artifact": {"label_count": 1000}},
                )
            )
    versions = Version.objects.bulk_create(versions, batch_size=500)
    for version in versions:
        if version.number == 3 and version.state == Version.State.READY:
            move = AliasMove.objects.create(
                model=version.model, name="live", kind=AliasMove.Kind.MADE, version=version
            )
            Alias.objects.create(model=version.model, name="live", version=version, move=move)


def _endpoints(people: list[Any]) -> None:
    from django.conf import settings

    from endpoints.models import Endpoint, Resource

    for n in range(4):
        endpoint = Endpoint.objects.create(
            name=f"endpoint-{n}",
            bucket=settings.MODEL_BUCKET,
            prefix=settings.MODEL_PREFIX,
            image="image:latest",
            role_arn="arn:aws:iam::123456789012:role/demo",
            instance_type="ml.m5.large",
            state=Endpoint.State.IN_SERVICE,
            created_by=people[0],
        )
        Resource.objects.bulk_create(
            Resource(
                endpoint=endpoint,
                kind=kind,
                name=f"{endpoint.name}-r1",
                state=Resource.State.CREATED,
            )
            for kind in Resource.Kind
        )


def _calls(count: int, people: list[Any], number: random.Random) -> None:
    """Calls of half a year; one version in ten was never called, and no version of every third
    model, so that their list fills a page also where there is a tenth of them.
    """
    from django.utils import timezone

    from endpoints.models import Endpoint
    from invocations.models import Invocation
    from models_catalog.models import Version

    now = timezone.now()
    endpoints = list(Endpoint.objects.all())
    ready = list(Version.objects.ready().select_related("model"))
    called = number.sample(ready, max(1, len(ready) * 9 // 10))
    called = [one for one in called if one.model_id % 3]
    Invocation.objects.bulk_create(
        (
            Invocation(
                endpoint=number.choice(endpoints),
                version=version,
                target_model=version.target_model,
                asked=f"{version.model.name}:{version.number}",
                created_at=now - timedelta(days=180 * number.random()),
                created_by=number.choice(people),
                state=Invocation.State.DONE,
                thumbnail=b"\xff" * 2000 if n % 100 == 0 else b"",
                predictions=[{"label": "zero", "probability": 0.9}],
                cold=number.random() < 0.1,
                attempts=1,
                latency_ms=5 + 20 * number.random(),
                timings={"infer_ms": 3.0},
                request_id=f"{number.getrandbits(128):032x}",
            )
            for n, version in enumerate(number.choices(called, k=count))
        ),
        batch_size=1000,
    )


def _events(count: int, people: list[Any], number: random.Random) -> None:
    from django.utils import timezone

    from activity.models import Event
    from models_catalog.models import Version

    now = timezone.now()
    versions = list(Version.objects.defer("report").select_related("model"))
    Event.objects.bulk_create(
        (
            Event(
                at=now - timedelta(days=180 * number.random()),
                actor=(person := number.choice(people)),
                actor_name=person.username,
                action="version.described",
                subject_kind="version" if n % 3 else "model",
                subject_id=version.pk if n % 3 else version.model.pk,
                subject_name=str(version),
                text="Something was done.",
            )
            for n, version in enumerate(number.choices(versions, k=count))
        ),
        batch_size=1000,
    )


def _multiply(kind: Any, wanted: int) -> None:
    """Have the database copy the rows until there are so many; what is unique gets a new value."""
    from django.db import connection

    have = kind.objects.count()
    fields = [field for field in kind._meta.concrete_fields if not field.primary_key]
    names = [field.column for field in fields]
    values = [
        "CAST(series.n AS varchar(10)) || '-' || CAST(t.id AS varchar(10))"
        if name == "uid"
        else f"t.{name}"
        for name in names
    ]
    table = kind._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series "
            f"WHERE n < %s) INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
            f"FROM series CROSS JOIN (SELECT * FROM {table} WHERE id <= %s) AS t "
            "ORDER BY t.id",
            [max(1, wanted // have - 1), kind.objects.order_by("-pk")[0].pk],
        )


class Pages:
    """The pages that are measured, each as addresses with other subjects."""

    def __init__(self, models: int) -> None:
        from django.contrib.auth.models import User
        from django.test import Client

        from models_catalog.models import RegisteredModel, Version

        number = random.Random(3)
        names = [model.name for model in RegisteredModel.objects.order_by("pk")]
        sums = list(Version.objects.values_list("sha256", flat=True)[:200])
        some = [number.choice(names) for _ in range(40)]
        texts = [*_WORDS, *(digits[:8] for digits in sums[:10]), "label 7 99", "no such thing"]
        searched = [number.choice(texts) for _ in range(40)]
        self._pages = {
            "home": ["/"],
            "list": ["/models/", "/models/?page=2"],
            "list, page 20": [f"/models/?page={min(20, max(1, models // 100))}"],
            "list by name": ["/models/?sort=name"],
            "list by last call": ["/models/?sort=-called_at"],
            "list by size": ["/models/?sort=ready_size"],
            "list by accuracy": ["/models/?meta=accuracy"],
            "never called": ["/models/?called=never"],
            "called in 7 days": ["/models/?called=7"],
            "tag": [f"/models/?tag={_COMMON}"],
            "a rare tag": ["/models/?tag=winter"],
            f"a tag of {_SO_MANY} models": [f"/models/?tag={_CHOSEN}"],
            "search": [f"/models/?q={text}" for text in searched],
            "model": [f"/models/{name}/" for name in some],
            "version": [f"/models/{name}/v{number.randint(1, VERSIONS)}/" for name in some],
            "aliases": [f"/models/{name}/aliases/" for name in some],
            "compare": [f"/models/{name}/v1/compare/?with={name}:2" for name in some],
            "invoke": ["/invoke/"],
            "calls": ["/calls/", "/calls/?page=2"],
            "failed calls": ["/calls/?state=failed"],
            "calls by answer": ["/calls/?label=zero", "/calls/?label=numbat"],
            "calls of a model": [f"/calls/?model={name}" for name in some],
            "slow calls": ["/calls/?slow=1000", "/calls/?cold=1"],
            "calls by time": ["/calls/?sort=-time", "/calls/?sort=answer"],
            "endpoints": ["/endpoints/"],
            "endpoint": ["/endpoints/1/", "/endpoints/2/"],
            "metrics of a day": ["/invoke/metrics/1/?range=24h", "/invoke/metrics/2/?range=24h"],
            "metrics of 4 weeks": ["/invoke/metrics/1/?range=28d", "/invoke/metrics/2/?range=28d"],
            "activity": ["/activity/", "/activity/?page=2"],
            "API list": ["/api/v1/models", "/api/v1/models?sort=name"],
            "API search": [f"/api/v1/models?search={text}" for text in searched],
            "API model": [f"/api/v1/models/{name}" for name in some],
            "API calls": ["/api/v1/invocations"],
            "API events": ["/api/v1/events"],
        }
        self._client = Client()
        self._client.force_login(User.objects.get(username="bench"))

    def pages(self) -> list[str]:
        """Their names; each is asked for once before it is measured."""
        return list(self._pages)

    def queries(self, page: str) -> int:
        """The most queries that it took, of all its addresses; the caches are empty."""
        from django.core.cache import cache
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        most = 0
        for address in self._pages[page][:10]:
            self._get(address)
            cache.clear()
            with CaptureQueriesContext(connection) as asked:
                self._get(address)
            most = max(most, len(asked))
        return most

    def allowed(self, page: str) -> int:
        """The most queries that the table of access allows the page, of all its addresses."""
        from django.urls import resolve

        from mmeportal.access import ACCESS

        names = {resolve(one.partition("?")[0]).view_name for one in self._pages[page]}
        return max(ACCESS[name].queries if name in ACCESS else 0 for name in names)

    def time(self, page: str, times: int, cpu: bool) -> list[float]:
        """Server times in ms, of random ones of its addresses."""
        number = random.Random()
        clock = _processor_time if cpu else time.perf_counter
        took = []
        for _ in range(times):
            address = number.choice(self._pages[page])
            started = clock()
            self._get(address)
            took.append((clock() - started) * 1000)
        return took

    def _get(self, address: str) -> None:
        answer = self._client.get(address, follow=False)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
        answer.getvalue()


def _processor_time() -> float:
    """Seconds of this process and of the database's that answers it, which Linux counts.

    PostgreSQL's helpers of one query (parallel workers) are not in it.
    """
    from django.db import connection

    took = time.process_time()
    if connection.vendor == "postgresql":
        counted = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
        took += int(counted.split()[0]) / 1e9
    return took


if __name__ == "__main__":
    if "--child" in sys.argv:
        main()
    else:
        ending.run(main)
