"""How much memory and how many vCPUs instance types have, and what is left for models."""

import re

from django.conf import settings

#: GiB, as AWS lists its instance types (https://aws.amazon.com/ec2/instance-types/).
MEMORY_GIB: dict[str, float] = {
    "ml.t2.medium": 4, "ml.t2.large": 8, "ml.t2.xlarge": 16, "ml.t2.2xlarge": 32,
    "ml.t3.medium": 4,
    "ml.m4.xlarge": 16, "ml.m4.2xlarge": 32, "ml.m4.4xlarge": 64,
    "ml.m5.large": 8, "ml.m5.xlarge": 16, "ml.m5.2xlarge": 32, "ml.m5.4xlarge": 64,
    "ml.m5.12xlarge": 192, "ml.m5.24xlarge": 384,
    "ml.m5d.large": 8, "ml.m5d.xlarge": 16, "ml.m5d.2xlarge": 32, "ml.m5d.4xlarge": 64,
    "ml.m6i.large": 8, "ml.m6i.xlarge": 16, "ml.m6i.2xlarge": 32, "ml.m6i.4xlarge": 64,
    "ml.m7i.large": 8, "ml.m7i.xlarge": 16, "ml.m7i.2xlarge": 32, "ml.m7i.4xlarge": 64,
    "ml.c4.large": 3.75, "ml.c4.xlarge": 7.5, "ml.c4.2xlarge": 15, "ml.c4.4xlarge": 30,
    "ml.c5.large": 4, "ml.c5.xlarge": 8, "ml.c5.2xlarge": 16, "ml.c5.4xlarge": 32,
    "ml.c5.9xlarge": 72, "ml.c5.18xlarge": 144,
    "ml.c5d.large": 4, "ml.c5d.xlarge": 8, "ml.c5d.2xlarge": 16, "ml.c5d.4xlarge": 32,
    "ml.c6i.large": 4, "ml.c6i.xlarge": 8, "ml.c6i.2xlarge": 16, "ml.c6i.4xlarge": 32,
    "ml.c7i.large": 4, "ml.c7i.xlarge": 8, "ml.c7i.2xlarge": 16, "ml.c7i.4xlarge": 32,
    "ml.r5.large": 16, "ml.r5.xlarge": 32, "ml.r5.2xlarge": 64, "ml.r5.4xlarge": 128,
    "ml.r5d.large": 16, "ml.r5d.xlarge": 32, "ml.r5d.2xlarge": 64, "ml.r5d.4xlarge": 128,
    "ml.r6i.large": 16, "ml.r6i.xlarge": 32, "ml.r6i.2xlarge": 64, "ml.r6i.4xlarge": 128,
    "ml.r7i.large": 16, "ml.r7i.xlarge": 32, "ml.r7i.2xlarge": 64, "ml.r7i.4xlarge": 128,
    "ml.g4dn.xlarge": 16, "ml.g4dn.2xlarge": 32, "ml.g5.xlarge": 16, "ml.g5.2xlarge": 32,
}  # fmt: skip

# Of all these types: a medium and a large have 2 vCPUs, an xlarge 4, and an Nxlarge N times 4.
_SIZE = re.compile(r"\.(?:(?P<small>medium|large)|(?P<times>\d*)xlarge)$")

#: What the container takes itself: its server, the model host, and the reserve for requests that
#: it refuses a model for (container/memory.py). As measured (tests/test_room_of_models.py).
KEPT_MB = 260


def memory_mb(instance_type: str) -> float | None:
    """What a container of such an instance may take, in MiB; None where the type is not known."""
    gib = MEMORY_GIB.get(instance_type)
    return None if gib is None else gib * 1024 * settings.INSTANCE_MEMORY_PERCENT / 100


def vcpus(instance_type: str) -> int | None:
    """How many vCPUs such an instance has; None where the type is not known."""
    size = _SIZE.search(instance_type) if instance_type in MEMORY_GIB else None
    if size is None:
        return None
    return 2 if size["small"] else 4 * int(size["times"] or 1)


def model_mb(measured: float) -> float:
    """What a model takes by what its validation measured, in MiB; 1 at least."""
    return max(1.0, measured)


def room_mb(instance_type: str) -> float | None:
    """What of it is left for models, in MiB."""
    memory = memory_mb(instance_type)
    return None if memory is None else max(0.0, memory - KEPT_MB)
