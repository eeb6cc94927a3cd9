"""`manage.py seed_demo DIR`: the demo models and one endpoint, for an empty portal."""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from activity.models import Event
from activity.services import record
from core.errors import AwsError
from endpoints.models import Endpoint
from endpoints.services import create_endpoint
from models_catalog.models import RegisteredModel, Version
from models_catalog.services import upload_version

ENDPOINT = "demo"


class Command(BaseCommand):
    """Goes through the services that the pages use; may be killed and run again."""

    help = (
        "Uploads the models that DIR/manifest.json names (see demo/) into an empty catalog and "
        "creates the endpoint `demo`. Does nothing in a portal that is in use."
    )
    # Django's checks of the code would load all pages and the API, which are not needed.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the demo is, and whether to wait."""
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--wait", type=int, default=0, metavar="S", help="wait so long for all to be ready"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed what is missing; wait if asked to."""
        folder: Path = options["folder"]
        models = json.loads((folder / "manifest.json").read_text())["models"]
        names = [model["name"] for model in models]
        if Event.objects.filter(action="demo.seeded").exists():
            self.stdout.write("The demo was set up before; nothing to do.")
            return
        if RegisteredModel.objects.exclude(name__in=names).exists():
            self.stdout.write("The catalog is in use; the demo stays out of it.")
            return
        try:
            for model in models:
                for number, version in enumerate(model["versions"], start=1):
                    self._upload(model, number, version, folder)
            endpoint = self._endpoint()
        except AwsError as error:
            raise CommandError(f"The demo could not be set up: {error}") from error
        except ValidationError as error:
            raise CommandError(f"The demo was not set up: {' '.join(error.messages)}") from error
        # From here on users mend what is wrong on the pages: the demo is not seeded again.
        record(
            action="demo.seeded",
            subject=endpoint,
            parameters={},
            level=Event.Level.SUCCESS,
        )
        if options["wait"]:
            self._wait(names, endpoint, options["wait"])

    def _upload(
        self, model: dict[str, Any], number: int, version: dict[str, Any], at: Path
    ) -> None:
        # Versions are uploaded in order: the number says whether an interrupted run did this one.
        if Version.objects.filter(model__name=model["name"], number=number).exists():
            return
        path = at / version["archive"]
        with path.open("rb") as file:
            made = upload_version(
                name=model["name"],
                description=model["description"],
                note=version["note"],
                file=file,
                file_name=path.name,
                actor=None,
            )
        self.stdout.write(f"Uploaded {made}")

    def _endpoint(self) -> Endpoint:
        there = Endpoint.objects.shown().named(ENDPOINT).first()
        return there or create_endpoint(
            name=ENDPOINT, instance_type=settings.INSTANCE_TYPES[0], instance_count=1, actor=None
        )

    def _wait(self, names: list[str], endpoint: Endpoint, seconds: int) -> None:
        deadline = time.monotonic() + seconds
        fails_after = time.monotonic() + min(seconds, 30)  # a failure may pass by itself
        said = ""
        while True:
            states = Version.objects.filter(model__name__in=names).values_list("state", flat=True)
            endpoint.refresh_from_db()
            ready = sum(state == Version.State.READY for state in states)
            line = f"{ready} of {len(states)} versions ready, endpoint {endpoint.state_label}"
            if line != said:
                self.stdout.write(line)
                self.stdout.flush()
                said = line
            if ready == len(states) and endpoint.serving:
                return
            bad = Version.objects.filter(model__name__in=names, state=Version.State.REJECTED)
            problem = ""
            if found := bad.select_related("model").first():
                problem = f"{found} was rejected: {found.reason}"
            elif endpoint.state == Endpoint.State.FAILED or (
                endpoint.failure and time.monotonic() > fails_after
            ):
                problem = f"The endpoint {endpoint} does not come up: {endpoint.failure}"
            elif time.monotonic() > deadline:
                problem = f"It was not ready after {seconds} s: {line}."
            if problem:
                # The portal itself works, and its pages help to mend this: do not stop it.
                self.stderr.write(f"The demo is not complete. {problem} Its pages say more.")
                return
            time.sleep(0.2)
