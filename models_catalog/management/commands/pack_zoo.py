"""`manage.py pack_zoo NAME`: a pretrained network of MXNet's model zoo, as an upload."""

import subprocess
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from core.errors import AwsError
from models_catalog import services
from models_catalog.models import valid_name

TIMEOUT_S = 1800  # ResNet-152 is 230 MB; a slow line takes its time


class Command(BaseCommand):
    """Packs in the container's Python (the portal has no MXNet), uploads as the portal does."""

    help = (
        "Fetches a pretrained network with MXNet's own model zoo (e.g. resnet18_v1, "
        "resnet152_v1, squeezenet1.0), packs it with shapes, labels and preprocessing, and "
        "uploads it as a version. Needs internet, or MXNET_GLUON_REPO."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The network, and what to call it here."""
        parser.add_argument("network", help="the model zoo's name, e.g. resnet18_v1")
        parser.add_argument("--name", help="the model's name in the catalog (default: the same)")
        parser.add_argument("--synset", help="a file or address of the labels, one a line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Fetch, pack, upload."""
        network: str = options["network"]
        name: str = options["name"] or network.lower()
        try:
            valid_name(name)
        except ValidationError as error:
            raise CommandError(f"{name!r} is no name for a model. {error.messages[0]}") from error
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            path = Path(folder, f"{name}.tar.gz")
            command = [*settings.PACK_ZOO_COMMAND, network, "--out", str(path)]
            if options["synset"]:
                command += ["--synset", options["synset"]]
            try:
                done = subprocess.run(command, check=False, timeout=TIMEOUT_S)
            except OSError as error:
                raise CommandError(f"{command[0]} cannot be run: {error}") from error
            except subprocess.TimeoutExpired as error:
                raise CommandError(f"Packing took longer than {TIMEOUT_S} s.") from error
            if done.returncode != 0 or not path.exists():
                raise CommandError(f"{network} was not packed (see above); nothing was uploaded.")
            try:
                with path.open("rb") as file:
                    version = services.upload_version(
                        name=name,
                        description=f"{network} of MXNet's model zoo, trained on ImageNet.",
                        note=f"{network}, pretrained",
                        file=file,
                        file_name=path.name,
                        actor=None,
                    )
            except AwsError as error:
                raise CommandError(f"The archive could not be stored: {error}") from error
        self.stdout.write(f"Uploaded {version}; a worker checks it now: {version.uri}")
