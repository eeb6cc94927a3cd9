"""The options of a run of localaws; ``__main__`` fills them from the command line."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_REGION = "ap-northeast-2"
DEFAULT_ACCOUNT = "123456789012"
"""moto answers for this account too, so that ARNs are the same in all services."""
MAX_PAYLOAD_BYTES = 6_291_456
"""Largest body of an invocation: botocore's model of sagemaker-runtime, shape BodyBlob."""


@dataclass(frozen=True, slots=True)
class Options:
    """Times are in seconds."""

    data: Path
    """Folder for everything that localaws keeps."""
    container_command: tuple[str, ...]
    """The argument list that starts one container as a process ("serve" included)."""
    container_engine: tuple[str, ...] = ()
    """docker or podman, with options: run the model's Image in place of the command."""
    host: str = "127.0.0.1"
    port: int = 4566
    answer_to: tuple[str, ...] = ()
    """Further values of Host to answer to, besides that address and localhost (localaws.guard)."""
    keys_file: Path | None = None
    """Keys that requests may be signed with, besides those of the AWS_* variables."""
    verify_signatures: bool = True
    region: str = DEFAULT_REGION
    account: str = DEFAULT_ACCOUNT
    s3_endpoint: str | None = None
    """Where S3 is; None: as boto3's own configuration says."""
    threads: int = 128
    """Requests answered at a time; an invocation that waits for its model holds one."""
    max_instances: int = 2
    """Limit of real containers for each variant, whatever the requested instance count."""
    quota: int = 100
    """Instances of each type that the account may run for endpoints (Service Quotas)."""
    prices: Path | None = None
    """File with what an hour of each instance type costs, for the price list (localaws.pricing)."""
    memory_mb: int | None = None
    """Memory of an instance, handed to the container as MME_MEMORY_LIMIT_MB."""
    type_memory: int | None = None
    """In place of that: an instance has so many percent of its type's memory."""
    disk_mb: int = 20_480
    """Disk of an instance for unpacked models; the least recently used go first."""
    create_seconds: float = 0.0
    update_seconds: float = 0.0
    delete_seconds: float = 0.0
    """Minimum time of creation, update and deletion of an endpoint, to simulate AWS."""
    metrics_seconds: float = 60.0
    """Interval at which the use of processor, memory and disk is measured."""
    faults: Path | None = None
    """File with a fault plan (localaws.faults)."""
    startup_timeout: float = 240.0
    """A container must answer /ping within this (DG/your-algorithms-inference-code: 4 minutes)."""
    invocation_timeout: float = 60.0
    """The container must answer, and a model be ready, in this (DG/invoke-multi-model-endpoint)."""
    load_timeout: float = 360.0
    """Loading may take this long, also after its first callers timed out."""

    @property
    def invocation_slots(self) -> int:
        """Threads that invocations may hold; the rest stay free for the control plane."""
        return max(1, self.threads - max(2, self.threads // 8))
