"""The further options of ``mme deploy`` and ``mme endpoint update``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mme_client.cli.running import WrongUse
from mme_client.cli.words import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mme_client.records import Options


def options(
    *,
    cache: bool | None,
    env: Sequence[str] | None,
    startup_timeout: int | None,
    download_timeout: int | None,
    volume: int | None,
    subnet: Sequence[str] | None,
    security_group: Sequence[str] | None,
    kms_key: str | None,
    capture: int | None,
    tag: Sequence[str] | None,
    is_new: bool = False,
) -> dict[str, Any]:
    """What was named, as the API takes it; 0 and an empty text are AWS's preset, so null.

    A new endpoint (``is_new``) has nothing that a name alone could take out.
    """
    given: dict[str, Any] = {} if cache is None else {"model_cache": cache}
    numbers = {
        "startup_timeout_s": startup_timeout,
        "download_timeout_s": download_timeout,
        "volume_gb": volume,
        "capture_percent": capture,
    }
    given |= {name: value or None for name, value in numbers.items() if value is not None}
    if kms_key is not None:
        given["kms_key"] = kms_key or None
    for name, ids in (("subnets", subnet), ("security_groups", security_group)):
        if ids:
            given[name] = [one for one in ids if one]
    for name, pairs in (("environment", env), ("tags", tag)):
        if pairs:
            given[name] = dict(_pair(one, is_new=is_new) for one in pairs)
    return given


def _pair(given: str, *, is_new: bool) -> tuple[str, str | None]:
    """NAME=VALUE, or, of an endpoint that is there, a name alone, which takes it out."""
    name, equals, value = given.partition("=")
    if is_new and not (name and equals):
        said = _("Give it as NAME=VALUE: {given}")
        raise WrongUse(said.format(given=given))
    if not name:
        said = _("Give it as NAME=VALUE, or NAME alone to take it out: {given}")
        raise WrongUse(said.format(given=given))
    return name, value if equals else None


def told(options: Options) -> list[tuple[str, str]]:
    """What is not as AWS presets it, as fields."""
    return [
        (_("model cache"), "" if options.model_cache else _("off")),
        (_("environment"), _pairs(options.environment)),
        (_("health check"), _seconds(options.startup_timeout_s)),
        (_("download"), _seconds(options.download_timeout_s)),
        (_("volume"), f"{options.volume_gb} GB" if options.volume_gb else ""),
        (_("subnets"), ", ".join(options.subnets)),
        (_("security groups"), ", ".join(options.security_groups)),
        (_("KMS key"), options.kms_key),
        (_("data capture"), f"{options.capture_percent} %" if options.capture_percent else ""),
        (_("tags"), _pairs(options.tags)),
    ]


def _pairs(pairs: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in pairs.items())


def _seconds(number: int | None) -> str:
    return f"{number} s" if number else ""
