"""Which variables of a model's ``Environment`` may reach a container that is a plain process.

On AWS they reach only a container, which is isolated. A plain process runs as the user who started
localaws, and ``PYTHONWARNINGS``, ``LD_PRELOAD``, ``JAVA_TOOL_OPTIONS``, ``MXNET_LIBRARY_PATH``,
``PATH`` and others make it run other code. So only the names that container/README.md documents and
those that begin with ``SAGEMAKER_`` are accepted, and of JVM options only those that set sizes,
numbers and the garbage collector.
"""

import re
import shlex
from collections.abc import Mapping

PREFIX = "SAGEMAKER_"
NAMES = (
    "GOMP_SPINCOUNT",
    "MME_BIND_HOST",
    "MME_BIND_SOCKET",
    "MME_DIE_WITH_PARENT",
    "MME_HOME",
    "MME_MEMORY_LIMIT_MB",
    "MME_MODELS_DIR",
    "MME_MODEL_HOST",
    "MXNET_ENGINE_TYPE",
    "OMP_NUM_THREADS",
)
"""Besides SAGEMAKER_*."""
_SET_BY_LOCALAWS = (
    *("MME_BIND_HOST", "MME_BIND_SOCKET", "MME_DIE_WITH_PARENT", "MME_HOME", "MME_MODELS_DIR"),
    *("SAGEMAKER_BASE_DIR",),
    *("SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_MULTI_MODEL", "SAGEMAKER_SAFE_PORT_RANGE"),
)
"""Addresses and folders: accepted, as on SageMaker, but localaws sets its own values."""
_INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "JAVA_HOME"),
    *("GOMP_SPINCOUNT", "MME_MEMORY_LIMIT_MB", "MME_MODEL_HOST", "OMP_NUM_THREADS"),
    *("MXNET_ENGINE_TYPE", "MXNET_SUBGRAPH_VERBOSE", "MXNET_USE_OPERATOR_TUNING"),
    *("MME_STACK", "MME_STACK_PART"),  # by which `make up` finds what it has started
)
_VMARGS = "SAGEMAKER_MODEL_SERVER_VMARGS"
_SIZE = r"[0-9]{1,12}[kKmMgGtT]?"
_JVM_OPTION = re.compile(
    rf"-Xm[nsx]{_SIZE}|-Xss{_SIZE}|-Xshare:(?:auto|off)"
    r"|-XX:[+-]Use(?:Serial|Parallel|G1|Z)GC"
    r"|-XX:[+-](?:UseContainerSupport|ExitOnOutOfMemoryError|AlwaysPreTouch|UseStringDeduplication"
    r"|UsePerfData|UseCompressedOops|TieredCompilation|DisableExplicitGC)"
    rf"|-XX:(?:MaxDirectMemorySize|MaxMetaspaceSize|MetaspaceSize|ReservedCodeCacheSize)={_SIZE}"
    r"|-XX:(?:ActiveProcessorCount|ParallelGCThreads|ConcGCThreads|MaxGCPauseMillis|NewRatio"
    r"|TieredStopAtLevel|CICompilerCount)=[0-9]{1,6}"
    r"|-XX:(?:Max|Min|Initial)RAMPercentage=[0-9]{1,3}(?:\.[0-9]{1,3})?",
    re.ASCII,
)


class VariableRefused(ValueError):
    """A variable that a plain process must not get; the message says which, and why."""


def check(environment: Mapping[str, str]) -> None:
    """Raise VariableRefused for a variable that a plain process must not get."""
    for name, value in environment.items():
        if not name.startswith(PREFIX) and name not in NAMES:
            raise VariableRefused(
                f"localaws runs this container as a plain process of this machine, which takes of "
                f"Environment only {PREFIX}* and {', '.join(NAMES)}, not {name!r}. With "
                "--container-engine a container takes every name."
            )
        if name == _VMARGS:
            _check_vmargs(value)


def _check_vmargs(value: str) -> None:
    try:
        options = shlex.split(value)
    except ValueError as error:
        raise VariableRefused(f"{_VMARGS} in Environment cannot be read: {error}.") from None
    for option in options:
        if not _JVM_OPTION.fullmatch(option):
            raise VariableRefused(
                f"localaws passes on to the JVM what sets its memory, threads and garbage "
                f"collector ({_VMARGS} in Environment), not {option!r}, which could make it run or "
                "write something."
            )


def without_reserved(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without the variables that localaws sets itself."""
    return {name: value for name, value in environment.items() if name not in _SET_BY_LOCALAWS}


def inherited(own: Mapping[str, str]) -> dict[str, str]:
    """The part of localaws's own environment that a plain process gets.

    It has no credentials, and nothing that makes programs load other code.
    """
    return {
        name: value
        for name, value in own.items()
        if name in _INHERITED or name.startswith("SAGEMAKER_MODEL_SERVER_")
    }


def without_secrets(own: Mapping[str, str]) -> dict[str, str]:
    """The environment for the client of a container engine: without our keys."""
    return {
        name: value for name, value in own.items() if not name.startswith(("AWS_", "LOCALAWS_"))
    }
