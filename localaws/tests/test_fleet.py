"""The instances of variants, with containers that are none: how many there are after what fails."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws import fleet
from localaws.fleet import Fleet, StartFailed, Variant
from localaws.instance import InstanceDied
from localaws.lifecycle import Lifecycle
from localaws.options import Options
from localaws.resource_store import Resource, ResourceStore
from localaws.tests.servers import wait_for


class _Machine:
    """What all fake instances share."""

    def __init__(self) -> None:
        self.made: list[_Instance] = []
        self.open = threading.Event()  # until then none becomes healthy
        self.open.set()
        self.problem: Exception | None = None


class _Instance:
    """In place of localaws.instance.Instance."""

    def __init__(
        self, machine: _Machine, *, on_death: Callable[[Any], None], folder: Path, **_: object
    ) -> None:
        self._machine, self._on_death, self.models = machine, on_death, folder
        self.id, self.container = f"i-{len(machine.made)}", None
        self.healthy, self.alive = threading.Event(), True
        machine.made.append(self)

    def path_inside(self, folder: Path) -> str:
        return str(folder)

    def start(self, _timeout: float) -> None:
        assert self._machine.open.wait(30)
        if self._machine.problem is not None:
            raise self._machine.problem
        self.healthy.set()

    def stop(self, *_: object) -> None:
        self.alive = False

    def dies(self) -> None:
        self.alive = False
        threading.Thread(target=self._on_death, args=(self,), daemon=True).start()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> _Machine:
    machine = _Machine()
    cache = SimpleNamespace(close=lambda: None, wait_until_unused=lambda _seconds: None)
    monkeypatch.setattr(fleet, "Instance", lambda **given: _Instance(machine, **given))
    monkeypatch.setattr(Variant, "_cache", lambda _self, _instance: cache)
    return machine


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(data=tmp_path, container_command=("none",), max_instances=4)


def _spec(name: str, count: int, weight: float = 1.0) -> dict[str, Any]:
    container = {"Image": "none", "Mode": "MultiModel", "ModelDataUrl": "s3://b/models/"}
    spec = {"VariantName": name, "InstanceType": "ml.m5.large", "count": count, "weight": weight}
    return spec | {"container": container}


def test_two_that_die_together_are_replaced_by_two(machine: _Machine, options: Options) -> None:
    telemetry: Any = None
    spawner: Any = None
    variant = Variant(options, spawner, None, telemetry, lambda _image: True, "e", _spec("v", 2))
    variant.start()
    machine.open.clear()
    for one in list(machine.made):
        one.dies()
    wait_for(lambda: not variant.instances() and len(machine.made) >= 4, 30, "their replacement")
    machine.open.set()
    wait_for(lambda: len(variant.instances()) == len(machine.made) - 2, 30, "those that replace")
    assert len(variant.instances()) == 2


def test_of_a_rescale_that_fails_nothing_is_left(machine: _Machine, options: Options) -> None:
    telemetry: Any = None
    running = Fleet(options, None, telemetry)
    running.deploy("e", [_spec("a", 2), _spec("b", 1)])
    machine.problem = InstanceDied("It does not become healthy.")
    with pytest.raises(StartFailed):
        running.rescale("e", [_spec("a", 1, weight=0), _spec("b", 2)])
    endpoint = running.get("e")
    assert endpoint is not None
    now = [(one.name, one.size, len(one.instances()), one.weight) for one in endpoint.variants]
    assert now == [("a", 2, 2, 1.0), ("b", 1, 1, 1.0)]


def test_an_update_for_which_the_machine_lacks_something_is_rolled_back(
    machine: _Machine, options: Options, tmp_path: Path
) -> None:
    telemetry: Any = None
    alarms: Any = SimpleNamespace(tripped=lambda _names: [])
    clock: Any = SimpleNamespace(now=time.time)
    running, store = Fleet(options, None, telemetry), ResourceStore(tmp_path / "state.sqlite3")
    running.deploy("e", [_spec("v", 1)])
    body = {"variants": [_spec("v", 1)], "wanted": [_spec("v", 2)]}
    body |= {"config": "before", "wanted_config": "after"}
    store.add(Resource("endpoint", "e", "arn", 1.0, 1.0, "Updating", body))
    machine.problem = OSError(28, "No space left on device")
    Lifecycle(options, store, running, alarms, clock).start_update("e")

    def ended() -> Resource | None:
        row = store.get("endpoint", "e")
        return row if row is not None and row.status not in ("Updating", "RollingBack") else None

    row = wait_for(ended, 30, "the end of the update")
    assert (row.status, row.body["config"]) == ("InService", "before")
    assert "No space left" in row.body["failure"]
    endpoint = running.get("e")
    assert endpoint is not None
    assert len(endpoint.variants[0].instances()) == 1
