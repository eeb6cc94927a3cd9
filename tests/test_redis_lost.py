"""Work that is taken while Redis is read-only, full, emptied or away is done afterwards."""

from collections.abc import Iterator

import pytest

from core.tests.test_redis_faults import FAULTS
from tests.servers import redis_client
from tests.small_portal import SmallPortal, small_portal

_UPLOAD = """
import io
from models_catalog import services
services.upload_version(name={name!r}, note="", file=io.BytesIO(b"no archive"),
                        file_name="a.tar.gz", actor=None)
"""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPortal]:
    with small_portal(tmp_path_factory.mktemp("redis-lost") / "portal") as made:
        yield made


def _settled(portal: SmallPortal, name: str) -> bool:
    """Whether the upload was looked at; it is no archive."""
    query = (
        "SELECT state FROM models_catalog_version v JOIN models_catalog_model m"
        f" ON v.model_id = m.id WHERE m.name = '{name}'"
    )
    return portal.row(query) == ("rejected",)


def test_what_is_taken_while_redis_fails_is_done_afterwards_and_nothing_ends(
    portal: SmallPortal,
) -> None:
    with portal.program("worker") as worker, portal.program("beat") as beat:
        with portal.redis() as first, redis_client(portal.redis_port) as client:
            portal.wait(lambda: "ready." in portal.said("worker"), "the worker")
            for fault in ("read-only", "full"):
                begin, end = FAULTS[fault]
                begin(client)
                portal.run(_UPLOAD.format(name=fault))  # it is no error
                assert not _settled(portal, fault)
                end(client)
            portal.run(_UPLOAD.format(name="emptied"))
            client.flushall()  # its message too
            run_id = client.info("server")["run_id"]
            first.kill()
            first.wait()
        portal.run(_UPLOAD.format(name="away"))
        assert not _settled(portal, "away")
        with portal.redis(), redis_client(portal.redis_port) as client:
            assert client.info("server")["run_id"] != run_id, "another one, and empty"
            for name in ("read-only", "full", "emptied", "away"):
                portal.wait(lambda n=name: _settled(portal, n), f"what was taken: {name}")
            ended = [program.poll() for program in (worker, beat)]
    assert ended == [None, None], "the worker and beat are those of the beginning"
    assert "Unrecoverable" not in portal.said("worker")
