"""Each instance type has its memory, where localaws is told so, and the portal reckons with it."""

from pathlib import Path

import pytest

from endpoints import instance_memory as of_the_portal
from localaws import instance_memory
from localaws.fleet import Variant
from localaws.options import Options


def test_the_portal_and_localaws_know_the_same_memory() -> None:
    assert instance_memory.MEMORY_GIB == of_the_portal.MEMORY_GIB


@pytest.mark.parametrize(
    ("options", "kind", "memory_mb"),
    [
        ({}, "ml.m5.large", None),
        ({"memory_mb": 700}, "ml.m5.large", 700),
        ({"type_memory": 100}, "ml.m5.large", 8192),
        ({"type_memory": 6}, "ml.m5.large", 491),
        ({"type_memory": 6}, "ml.m5.xlarge", 983),
        ({"type_memory": 6, "memory_mb": 700}, "ml.new.type", 700),
    ],
)
def test_an_instance_has_its_types_share(
    tmp_path: Path, options: dict[str, int], kind: str, memory_mb: int | None
) -> None:
    spec = {
        "VariantName": "AllTraffic",
        "InstanceType": kind,
        "count": 1,
        "weight": 1.0,
        "container": {"Image": "tiny", "Mode": "MultiModel", "ModelDataUrl": "s3://b/models/"},
    }
    given = Options(data=tmp_path, container_command=("tiny",), **options)
    variant = Variant(given, None, None, None, lambda _image: True, "demo", spec)  # type: ignore[arg-type]
    assert variant.memory_mb == memory_mb
