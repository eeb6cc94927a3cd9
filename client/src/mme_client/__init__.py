"""The Python client of MME Portal: models, endpoints and calls, from a program.

>>> import mme_client
>>> portal = mme_client.Portal()  # MME_URL and MME_TOKEN say which, and who calls
>>> portal.me().name
'operator'

Every failure is an exception of ``mme_client.errors``. The command ``mme`` is in
``mme_client.cli``.
"""

# What the command does not need is not imported for it: names are looked up when they are used.
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mme_client.errors import (
        EndpointFailed,
        MmeError,
        NotAllowed,
        NotFound,
        ProblemError,
        RefusedArchive,
        Rejected,
        TimedOut,
        Unreachable,
    )
    from mme_client.portal import Portal

__version__ = "0.1.0"

_WHERE = {
    "Portal": "portal",
    "EndpointFailed": "errors",
    "MmeError": "errors",
    "NotAllowed": "errors",
    "NotFound": "errors",
    "ProblemError": "errors",
    "RefusedArchive": "errors",
    "Rejected": "errors",
    "TimedOut": "errors",
    "Unreachable": "errors",
}
__all__ = [
    "EndpointFailed",
    "MmeError",
    "NotAllowed",
    "NotFound",
    "Portal",
    "ProblemError",
    "RefusedArchive",
    "Rejected",
    "TimedOut",
    "Unreachable",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name in _WHERE:
        return getattr(import_module(f"mme_client.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'mme_client' has no attribute {name!r}")
