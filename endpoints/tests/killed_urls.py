"""The URLs of a portal with an account in memory, which stands still when an endpoint is made."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.api import idempotency
from endpoints import api as endpoints_api
from endpoints import sagemaker
from endpoints.tests.account import Account
from mmeportal import urls

FOLDER = Path(os.environ["KILLED_FOLDER"])
idempotency.LEASE = timedelta(seconds=1.5)


class Patch:
    """What Account asks of pytest's monkeypatch."""

    @staticmethod
    def setattr(where: Any, name: str, value: Any) -> None:
        setattr(where, name, value)


Account().install(Patch)
assert sagemaker.describe_endpoint
_created = endpoints_api._created


def _pausing(*arguments: Any) -> Any:
    """The row is committed, and the answer is not made yet."""
    while (FOLDER / "pause").exists():
        (FOLDER / "paused").write_text(str(os.getpid()))
        time.sleep(0.02)
    return _created(*arguments)


endpoints_api._created = _pausing
urlpatterns = urls.urlpatterns
handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500
