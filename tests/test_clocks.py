"""Hosts whose clocks are off: endpoints still move, versions are still validated."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.artifacts import constant_archive
from tests.rules.test_images import portal_apps
from tests.small_portal import ROOT, SmallPortal, small_portal

_CREATE = """
from endpoints import services
services.create_endpoint(name={name!r}, instance_type="ml.m5.large", instance_count=1, actor=None)
"""
_UPLOAD = """
from models_catalog import services
with open({path!r}, "rb") as file:
    services.upload_version(name={name!r}, note="", file=file, file_name="a.tar.gz", actor=None)
"""
_TEAR_DOWN = """
from endpoints import services
from endpoints.models import Endpoint
services.request_teardown(endpoint=Endpoint.objects.get(name={name!r}), typed_name={name!r},
                          actor=None)
"""


# Where the host's own clock is meant: (file, use of it).
_OF_THE_HOST = {
    ("accounts/sessions.py", "timezone.now"),  # Django writes a session's end by it
    ("core/templatetags/portal.py", "timezone.now"),  # "3 minutes ago", for people
    ("core/styleguide.py", "timezone.now"),  # of rows that are made up
    ("core/ready_checks.py", "timezone.now"),  # of a row that is deleted at once
    ("core/ready_checks.py", "time.time"),  # what is told as the host's
    ("core/heartbeat.py", "time.time"),  # likewise
    ("core/broker.py", "time.time"),  # where Redis does not tell its own
    ("core/aws.py", "datetime.now"),  # put right by AWS's
    ("core/celery_heartbeat.py", "datetime.now"),  # once, at the start
    ("mmeportal/server/channel.py", "time.time"),  # waitress compares it with its own
    ("models_catalog/temporary.py", "time.time"),  # beside times of files of the same host
}


@pytest.mark.not_quick
def test_nothing_else_of_the_portal_asks_its_hosts_clock() -> None:
    found = {
        (str(path.relative_to(ROOT)), use)
        for part in (*portal_apps(), "mmeportal")
        for path in (ROOT / part).rglob("*.py")
        if not {"tests", "migrations"} & set(path.parts)
        for use in re.findall(r"\b(?:timezone|datetime)\.now\b|\btime\.time\b", path.read_text())
    }
    assert found == _OF_THE_HOST


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPortal]:
    with small_portal(tmp_path_factory.mktemp("clocks") / "portal") as made, made.redis():
        yield made


@pytest.mark.parametrize(
    ("worker_ahead_s", "beat_ahead_s"),
    [(3, 0), (600, -600), (-600, 3)],
    ids=["a worker 3 s ahead", "10 minutes ahead, beat as far behind", "10 minutes behind"],
)
def test_endpoints_move_and_versions_are_validated_whatever_the_hosts_clocks_show(
    portal: SmallPortal, tmp_path: Path, worker_ahead_s: int, beat_ahead_s: int
) -> None:
    name = f"clock-{abs(worker_ahead_s)}-{abs(beat_ahead_s)}"
    archive = constant_archive(tmp_path / "a.tar.gz", labels=["a", "b"], answer=1)
    status = f"SELECT status FROM endpoints_endpoint WHERE name = '{name}'"
    state = (
        "SELECT state, reason, step FROM models_catalog_version v JOIN models_catalog_model m"
        f" ON v.model_id = m.id WHERE m.name = '{name}'"
    )
    portal.run(_CREATE.format(name=name) + _UPLOAD.format(path=str(archive), name=name))
    with portal.program("worker", worker_ahead_s), portal.program("beat", beat_ahead_s):
        portal.wait(lambda: portal.row(status) == ("InService",), "the endpoint to serve")
        portal.wait(lambda: portal.row(state)[0] in {"ready", "rejected"}, "the validation")
        assert portal.row(state)[0] == "ready", portal.row(state)
        if worker_ahead_s == 600:
            portal.run(_TEAR_DOWN.format(name=name))
            portal.wait(lambda: portal.row(status) == ("Gone",), "the endpoint to be gone")
    if abs(worker_ahead_s) > 300:
        assert "requests are signed by AWS's" in portal.said("worker"), "its clock is off"
