"""Waits until the demo models are ready and the endpoint `demo` serves, and says how far it is.

Run with the portal's Python and environment, after ``manage.py seed_demo``.
"""

import json
import os
import sys
import time
from pathlib import Path

from stack.errors import StackError

_TURN_S = 0.5


def wait(folder: Path) -> None:
    """Return when all is ready; raise where something of it never will be."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    import django

    django.setup()

    from endpoints.models import Endpoint
    from models_catalog.models import Version

    manifest = json.loads((folder / "manifest.json").read_text())
    wanted = sum(len(model["versions"]) for model in manifest["models"])
    names = [model["name"] for model in manifest["models"]]
    told = ""
    while True:
        versions = Version.objects.filter(model__name__in=names)
        ready = versions.ready().count()
        if rejected := versions.filter(state=Version.State.REJECTED).first():
            raise StackError(f"The demo model {rejected} was rejected: {rejected.reason}")
        endpoint = Endpoint.objects.filter(name="demo", gone_at=None).first()
        status = endpoint.status if endpoint else "not created yet"
        if status == "Failed":
            raise StackError("The endpoint demo has failed; localaws.log says why.")
        if ready >= wanted and status == "InService":
            return
        tells = f"{ready} of {wanted} versions ready, endpoint {status or 'not created yet'}"
        if tells != told:
            told = tells
            print(tells, flush=True)
        time.sleep(_TURN_S)


if __name__ == "__main__":
    try:
        wait(Path(sys.argv[1]))
    except StackError as error:
        sys.exit(str(error))
