"""The portal's images hold every part of the portal: .dockerignore lists what is copied."""

from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]


def portal_apps() -> list[str]:
    """The names of the portal's own Django apps, each a folder of the repository."""
    found = [config.name for config in apps.get_app_configs() if (ROOT / config.name).is_dir()]
    assert len(found) > 5
    return found


def test_every_app_is_copied_into_the_images() -> None:
    copied = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    missing = {f"!{name}" for name in portal_apps()} - set(copied)
    assert not missing, f"Add {sorted(missing)} to .dockerignore: the images start without them."
