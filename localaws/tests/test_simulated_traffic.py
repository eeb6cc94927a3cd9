"""What the portal's simulation of the cache predicts, and what localaws does with them."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from invocations import cache_simulation
from localaws.tests.conftest import Hosting

MODELS = 20
CALLS = 200
POINTS = 0.05
"""How far the predicted share of hits may be from the measured one; a model more or less in memory
is worth about as much."""


@pytest.mark.parametrize(
    ("room", "instances", "callers", "sizes"),
    [
        (9, 1, 4, [1]),
        (5, 2, 1, [1]),
        (14, 1, 1, [1, 2, 3]),
    ],
    ids=["four-callers", "two-instances", "unequal-models"],
)
def test_hits_are_predicted_within_five_points(
    hosting: Hosting,
    name: str,
    tmp_path: Path,
    room: int,
    instances: int,
    callers: int,
    sizes: list[int],
) -> None:
    taken = {f"m{n}.tar.gz": sizes[n % len(sizes)] for n in range(MODELS)}
    for target, size in taken.items():
        hosting.put_model(tmp_path, target, memory=size)
    hosting.create(name, count=instances, Environment={"SAGEMAKER_TINY_CAPACITY": str(room)})
    weights = [1 / rank for rank in range(1, MODELS + 1)]  # Zipf's law
    calls = cache_simulation.drawn(list(taken), weights, calls=CALLS, seed=7)

    def call(target: str) -> None:
        answer = hosting.invoke(name, target)["Body"]
        assert json.loads(answer)["answer"] == target

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, calls))
    loads = sum(
        model["loads"] for one in hosting.process.instances(name) for model in one["models"]
    )
    measured = 1 - loads / CALLS

    def predicted_with(room: float) -> float:
        met = cache_simulation.simulate(calls, sizes=taken, room=room, instances=instances)
        assert not met.too_large
        return 1 - (met.first + met.again) / CALLS

    predicted = predicted_with(room)
    assert 0.3 < measured < 0.9, measured
    assert abs(predicted - measured) <= POINTS, (predicted, measured)
    assert predicted_with(room - 2 * max(sizes)) < predicted - 0.03
    print(room, instances, callers, f"predicted {predicted:.3f}, measured {measured:.3f}")
