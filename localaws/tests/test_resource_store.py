import subprocess
import sys

import pytest

from localaws.resource_store import Duplicate, Resource, ResourceStore

WRITER = """
import sys, time
from pathlib import Path
from localaws.resource_store import Resource, ResourceStore
store = ResourceStore(Path(sys.argv[1]))
for number in range(100000):
    name = f"m{number}"
    store.add(Resource("model", name, f"arn/{name}", 1.0, 1.0, "", {"n": number}), {"k": name})
    print(name, flush=True)
"""


def resource(name="a", **body):
    return Resource("model", name, f"arn/{name}", 1.0, 2.0, "InService", body)


def test_kill_9_loses_no_acknowledged_write(tmp_path):
    path = tmp_path / "state.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        declared = [writer.stdout.readline().strip() for _ in range(50)]
        writer.kill()
        declared += writer.stdout.read().split()
    store = ResourceStore(path)
    kept = {row.name for row in store.all("model")}
    assert len(declared) >= 50
    assert set(declared) <= kept
    assert all(store.tags(f"arn/{name}") == {"k": name} for name in declared)


def test_a_transaction_is_all_or_nothing(tmp_path):
    store = ResourceStore(tmp_path / "s")

    def write_and_fail():
        with store.transaction():
            store.add(resource("a"))
            with store.transaction():
                store.put_tags("arn/a", {"x": "y"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert store.get("model", "a") is None
    assert store.tags("arn/a") == {}


def test_names_and_removal(tmp_path):
    store = ResourceStore(tmp_path / "s")
    store.add(resource("a", colour="red"), {"x": "y"})
    with pytest.raises(Duplicate):
        store.add(resource("a"))
    assert store.by_arn("arn/a").body == {"colour": "red"}
    assert store.remove("model", "a")
    assert not store.remove("model", "a")
    assert store.tags("arn/a") == {}
