"""``GET /metrics``: what it counts, that it is one valid page always, and that nothing is lost."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from container.tests.big import big_folder
from container.tests.serving import Server, start_server, wait_for_return, wait_until
from container.tests.slow import hold

pytestmark = pytest.mark.xdist_group("container-metrics")

Unpacked = Callable[..., Path]
Labels = dict[str, str]

HISTOGRAMS = ("load", "decode", "inference", "call")


class Page:
    """One page, read by Prometheus' own parser, which refuses what is not valid."""

    def __init__(self, server: Server) -> None:
        answer = server.call("GET", "/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text = answer.body.decode()
        self.families = list(text_string_to_metric_families(self.text))
        names = [family.name for family in self.families]
        assert len(names) == len(set(names)), "each family is there once"
        assert all(family.documentation for family in self.families)
        assert all(family.type != "unknown" for family in self.families)
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one sample that has just these labels; None where there is none."""
        found = [s.value for s in self.samples if s.name == name and s.labels == labels]
        assert len(found) < 2
        return found[0] if found else None

    def of(self, target: str, name: str, **labels: str) -> float | None:
        return self.value(f"mme_model_{name}", target_model=target, **labels)

    def total(self, name: str) -> float:
        return sum(s.value for s in self.samples if s.name == f"mme_model_{name}")


def call(server: Server, name: str, body: bytes, target: str | None = None) -> int:
    headers = {} if target is None else {"X_Amzn_SageMaker_Target_Model": target}
    return server.invoke(name, body, "image/jpeg", **headers).status


LIMIT_MB = 350


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Page]]:
    """A server of this module's own, as it counts what is done to it; and its first page."""
    home = tmp_path_factory.mktemp("mme")
    with start_server(home, MME_MEMORY_LIMIT_MB=str(LIMIT_MB)) as running:
        yield running, Page(running)


@pytest.fixture(scope="module")
def server(begun: tuple[Server, Page]) -> Server:
    return begun[0]


@pytest.fixture
def loaded(server: Server, unpacked: Unpacked) -> Iterator[Callable[[str], None]]:
    """Load a tiny model by a name of the test's own; unloaded at its end."""
    names: list[str] = []

    def load(name: str) -> None:
        assert server.load(name, unpacked()).status == 200
        names.append(name)

    yield load
    for name in names:
        server.unload(name)


def test_an_empty_server_has_a_page(begun: tuple[Server, Page]) -> None:
    server, page = begun
    assert page.value("mme_models_loaded") == 0
    assert page.value("mme_memory_limit_bytes") == LIMIT_MB << 20
    used = page.value("mme_memory_used_bytes")
    assert used is not None
    assert 20 << 20 < used < LIMIT_MB << 20
    assert not [s for s in page.samples if "target_model" in s.labels]
    server.said("model_host_ready")
    wait_until(lambda: Page(server).value("mme_model_host_up") == 1, what="the model host")


def test_what_callers_name_a_model_is_logged_once_for_each_load(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    def named() -> list[str]:
        events = server.events("model_named")
        return [one["target_model"] for one in events if one["model"] == "opaque-0"]

    loaded("opaque-0")
    assert call(server, "opaque-0", picture) == 200  # nobody says
    for _ in range(3):
        assert call(server, "opaque-0", picture, "zoo/cats.tar.gz") == 200
    assert server.told("model_named", "opaque-0")["target_model"] == "zoo/cats.tar.gz"
    server.unload("opaque-0")
    loaded("opaque-0")
    assert call(server, "opaque-0", b"no picture", "zoo/cats.tar.gz") == 400
    server.told("request_refused", "opaque-0")  # after it
    assert named() == ["zoo/cats.tar.gz"] * 2


def test_a_call_is_counted_under_the_name_that_the_caller_gave(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    before = time.time()
    loaded("opaque-1")
    assert Page(server).of("opaque-1", "load_seconds_count") == 1
    assert call(server, "opaque-1", picture, "zoo/dogs.tar.gz") == 200
    assert call(server, "opaque-1", picture, "zoo/dogs.tar.gz") == 200
    assert call(server, "opaque-1", b"no picture", "zoo/dogs.tar.gz") == 400
    page = Page(server)

    def of(name: str, **labels: str) -> float | None:
        return page.of("zoo/dogs.tar.gz", name, **labels)

    assert of("calls_total") == 3
    assert of("cold_calls_total") == 1
    assert of("errors_total", kind="bad_request") == 1
    assert of("call_seconds_count") == 3
    assert of("decode_seconds_count") == of("inference_seconds_count") == 2
    assert of("load_seconds_count") == 1, "the load moved to the name by which it is known now"
    assert of("load_seconds_bucket", le="+Inf") == 1
    assert 0 < (of("load_seconds_sum") or 0) < 60
    assert before < (of("loaded_timestamp_seconds") or 0) < time.time()
    assert before < (of("last_call_timestamp_seconds") or 0) < time.time()
    assert 1 << 20 < (of("memory_bytes") or 0) < 200 << 20
    assert of("queue_length") == 0
    assert "opaque-1" not in page.text
    # A call that names no target is one of the same model.
    assert call(server, "opaque-1", picture) == 200
    assert Page(server).of("zoo/dogs.tar.gz", "calls_total") == 4


def test_without_a_header_the_model_has_the_name_that_it_was_loaded_by(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    loaded("opaque-2")
    assert call(server, "opaque-2", picture) == 200
    assert Page(server).of("opaque-2", "calls_total") == 1


def test_a_histogram_s_buckets_add_up(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    loaded("buckets")
    for _ in range(5):
        assert call(server, "buckets", picture) == 200
    page = Page(server)
    for what in HISTOGRAMS:
        buckets = [
            (float(s.labels["le"]), s.value)
            for s in page.samples
            if s.name == f"mme_model_{what}_seconds_bucket"
            and s.labels["target_model"] == "buckets"
        ]
        assert buckets == sorted(buckets)
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1] == (float("inf"), page.of("buckets", f"{what}_seconds_count"))


HOSTILE = (
    'a"b.tar.gz',
    "back\\slash",
    'end\\"',
    "a,b={c}",
    "{}",
    "ä-日本.tar.gz",
    "# HELP x",
    "n\\n",
)


@pytest.mark.parametrize("target", HOSTILE)
def test_a_hostile_name_is_one_label(
    server: Server, loaded: Callable[[str], None], picture: bytes, target: str
) -> None:
    loaded("hostile")
    raw = target.encode().decode("latin-1")
    assert call(server, "hostile", picture, raw) == 200
    page = Page(server)
    assert page.of(target, "calls_total") == 1
    assert page.of(target, "memory_bytes")


def test_a_name_with_line_ends_breaks_no_page(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    """A header that is continued in a second line, with bytes that some readers end lines at."""
    loaded("folded")
    head = (
        b"POST /models/folded/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"X-Amzn-SageMaker-Target-Model: first\r\n second\xc2\x85third\xe2\x80\xa8fourth\tfifth\r\n"
        b"Content-Length: %d\r\n\r\n" % len(picture)
    )
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(server.address)
        connection.sendall(head + picture)
        answer = connection.recv(100)
    page = Page(server)
    if answer.startswith(b"HTTP/1.1 200"):
        (target,) = {
            s.labels["target_model"]
            for s in page.samples
            if s.labels.get("target_model", "").startswith("first")
        }
        assert target.splitlines() == [target]
    assert all(line.startswith(("#", "mme_")) for line in page.text.splitlines())


def test_what_could_never_fit_is_refused_at_once_and_what_made_room_for_it_is_told(
    server: Server, unpacked: Unpacked, picture: bytes, tmp_path: Path
) -> None:
    def told(name: str, target: str) -> dict[str, str]:
        answer = server.invoke(name, picture, "image/jpeg", X_Amzn_SageMaker_Target_Model=target)
        assert answer.status == 200
        attributes = answer.headers["x-amzn-sagemaker-custom-attributes"]
        return dict(part.split("=", 1) for part in attributes.split(";"))

    for name in ("asked", "one", "two"):
        assert server.load(name, unpacked()).status == 200
    assert call(server, "asked", picture, "asked.tar.gz") == 200
    first = told("one", "zoo/o;n=e,1.tar.gz")
    assert 0 < float(first["load_ms"]) <= float(first["ready_ms"])
    assert "put_out" not in first
    assert server.unload("asked").status == 200
    wait_until(lambda: len(server.workers()) == 2, what="the end of its worker")
    before = server.processes()
    assert server.load("huge", big_folder(tmp_path / "huge", 2000)).status == 507
    assert server.models() == ["one", "two"]
    wait_until(lambda: len(server.processes()) <= len(before), what="nothing is left running")
    for name in ("one", "two"):
        assert server.unload(name).status == 200
    page = Page(server)
    assert page.of("asked.tar.gz", "evictions_total", reason="request") == 1
    assert page.of("zoo/o;n=e,1.tar.gz", "evictions_total", reason="memory") == 1
    assert page.value("mme_load_failures_total", kind="out_of_memory") == 1
    assert page.value("mme_models_loaded") == 0
    for gauge in ("memory_bytes", "queue_length", "loaded_timestamp_seconds"):
        assert page.of("zoo/o;n=e,1.tar.gz", gauge) is None, "it is not loaded"
    assert page.of("zoo/o;n=e,1.tar.gz", "calls_total") == 1, "what it did stays"
    assert page.of("zoo/o;n=e,1.tar.gz", "eviction_age_seconds_count") == 1
    assert 0 <= (page.of("zoo/o;n=e,1.tar.gz", "eviction_age_seconds_sum") or -1) < 600
    assert page.of("two", "eviction_age_seconds_count") == 0, "nobody ever called it"

    # Loaded anew, by another name, it is the same target model.
    assert server.load("again", unpacked()).status == 200
    cold = told("again", "zoo/o;n=e,1.tar.gz")
    assert (cold["cold"], cold["put_out_n"]) == ("1", "2")
    assert cold["put_out"] == "zoo%2Fo%3Bn%3De%2C1.tar.gz,two"
    assert "ready_ms" not in told("again", "zoo/o;n=e,1.tar.gz"), "a warm one waited for nothing"
    assert server.load("next", unpacked()).status == 200
    assert "put_out" not in told("next", "next.tar.gz"), "it is told once"
    page = Page(server)
    assert page.of("zoo/o;n=e,1.tar.gz", "calls_total") == 3
    assert page.of("zoo/o;n=e,1.tar.gz", "cold_calls_total") == 2
    assert page.of("zoo/o;n=e,1.tar.gz", "load_seconds_count") == 2
    for name in ("again", "next"):
        assert server.unload(name).status == 200


def test_counters_outlive_workers(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    """And the model host: test_model_host.py."""
    loaded("m")
    for _ in range(3):
        assert call(server, "m", picture, "m.tar.gz") == 200
    caller, worker = hold(server, "m")
    before = Page(server).of("m.tar.gz", "calls_total")
    os.kill(worker, signal.SIGKILL)
    assert caller.answer().status == 507
    wait_for_return(server, "m", picture)
    page = Page(server)
    assert (page.of("m.tar.gz", "calls_total") or 0) > (before or 0) >= 3
    assert page.of("m.tar.gz", "errors_total", kind="out_of_memory") == 1
    assert page.of("m.tar.gz", "worker_deaths_total") == 1
    assert page.of("m.tar.gz", "cold_calls_total") == 2, "the next worker's first answer"
    assert page.of("m.tar.gz", "memory_bytes")


def test_calls_that_no_worker_answers_are_counted(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    """A full queue is MMS's own answer, with a queue of 100."""
    loaded("busy")
    held, worker = hold(server, "busy")
    waiting = [server.connection() for _ in range(101)]
    try:
        headers = {"Content-Type": "image/jpeg"}
        for connection in waiting:
            connection.request("POST", "/models/busy/invoke", picture, headers)
        wait_until(
            lambda: Page(server).of("busy", "queue_length") == 100, what="a hundred calls that wait"
        )
        wait_until(
            lambda: Page(server).of("busy", "errors_total", kind="queue_full") == 1,
            what="the one that found no place",
        )
    finally:
        os.kill(worker, signal.SIGCONT)
        held.answer()
        for connection in waiting:
            connection.getresponse().read()
            connection.close()
    assert Page(server).of("busy", "queue_length") == 0
    assert call(server, "never-loaded", picture, "never.tar.gz") == 404
    page = Page(server)
    assert page.of("", "errors_total", kind="not_loaded") == 1
    assert "never" not in page.text


def test_series_are_bounded_and_their_sum_only_grows(
    server: Server, loaded: Callable[[str], None], picture: bytes
) -> None:
    loaded("many")
    sums = []
    for number in range(120):
        assert call(server, "many", picture, f"many/{number}.tar.gz") == 200
        if number % 40 == 39:
            sums.append(Page(server).total("calls_total"))
    page = Page(server)
    targets = {s.labels["target_model"] for s in page.samples if "target_model" in s.labels}
    many = {target for target in targets if target.startswith("many/")}
    assert len(targets) <= 102, "100, the model that is loaded, and the sum of the dropped ones"
    assert "many/0.tar.gz" in many, "it is what the loaded model is called"
    assert "many/119.tar.gz" in many
    assert "many/1.tar.gz" not in many, "the one that was in use the longest ago"
    assert sums[1] - sums[0] == sums[2] - sums[1] == 40
    assert page.of("", "calls_total")


def test_no_other_method_is_taken(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert server.call(method, "/metrics").status >= 400
    Page(server)
