"""What can be set of an endpoint besides image, role, type and count; most leave it as it is."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from endpoints import container_environment

#: Seconds; BC: ProductionVariant.
LEAST_TIMEOUT_S, MOST_TIMEOUT_S = 60, 3600
#: BC: VolumeSizeInGB.
MOST_VOLUME_GB = 512
#: BC: SamplingPercentage; 0 is none.
MOST_PERCENT = 100
#: BC: VpcConfig.
MOST_SUBNETS, MOST_GROUPS = 16, 5
#: AWS takes 50 of a resource; two are the portal's (sagemaker.py).
MOST_TAGS = 48
MOST_TAG_KEY, MOST_TAG_VALUE = 128, 256
#: Tags that begin so are the portal's, or AWS's.
RESERVED_TAGS = ("mme-portal:", "aws:")

_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}", re.ASCII)
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}", re.ASCII)
_KEY = re.compile(r"[a-zA-Z0-9:/_-]{1,2048}", re.ASCII)
# These have disks of their own, and take no volume: a d after the generation, and those named.
_OWN_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|p5e?n?|trn1n?|trn2)\.")

LABELS = {
    "model_cache": gettext_lazy("Model cache"),
    "environment": gettext_lazy("Environment"),
    "startup_timeout_s": gettext_lazy("Health check timeout"),
    "download_timeout_s": gettext_lazy("Download timeout"),
    "volume_gb": gettext_lazy("Volume"),
    "subnets": gettext_lazy("Subnets"),
    "security_groups": gettext_lazy("Security groups"),
    "kms_key": gettext_lazy("KMS key"),
    "capture_percent": gettext_lazy("Data capture"),
    "tags": gettext_lazy("Tags"),
}


@dataclass(frozen=True)
class DeploymentOptions:
    """Times are in seconds, the volume in GB. What is None or empty is as AWS presets it.

    ``capture_percent``: so many calls of a hundred are kept in S3 (sagemaker.py); None: none.

    A row keeps what is not preset as JSON; ``of`` reads that.
    """

    model_cache: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    startup_timeout_s: int | None = None
    download_timeout_s: int | None = None
    volume_gb: int | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str = ""
    capture_percent: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self:
        """Those of a row, or of a part of a request."""
        known = {one.name for one in fields(cls)}
        given = {name: value for name, value in (stored or {}).items() if name in known}
        for name in ("subnets", "security_groups"):
            if name in given:
                given[name] = tuple(given[name] or ())
        for name in ("environment", "tags"):
            if name in given:
                given[name] = dict(sorted((given[name] or {}).items()))
        return cls(**given)

    def as_json(self) -> dict[str, Any] | None:
        """What is not preset, for a row; None: all is preset."""
        preset = asdict(type(self)())
        found = {name: value for name, value in asdict(self).items() if value != preset[name]}
        for name in ("subnets", "security_groups"):
            if name in found:
                found[name] = list(found[name])
        return found or None

    def patched(self, patch: Mapping[str, Any]) -> Self:
        """With a JSON merge patch (RFC 7396): of maps null removes a name, else all is preset."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        preset = type(self)()
        for name, value in patch.items():
            if name not in found:
                continue
            if value is None:
                found[name] = getattr(preset, name)
            elif name in ("environment", "tags"):
                merged = {**found[name], **value}
                found[name] = {key: one for key, one in merged.items() if one is not None}
            else:
                found[name] = value
        return self.of(found)

    @property
    def of_model(self) -> Self:
        """The part that a SageMaker model has."""
        preset = type(self)()
        return replace(
            preset,
            model_cache=self.model_cache,
            environment=self.environment,
            subnets=self.subnets,
            security_groups=self.security_groups,
        )

    @property
    def of_config(self) -> Self:
        """The part that an endpoint config has."""
        preset = type(self)()
        return replace(
            preset,
            startup_timeout_s=self.startup_timeout_s,
            download_timeout_s=self.download_timeout_s,
            volume_gb=self.volume_gb,
            kms_key=self.kms_key,
            capture_percent=self.capture_percent,
        )

    def said(self) -> dict[str, str]:
        """Each in the reader's language, by its name in the API."""
        preset = _("preset")
        return {
            "model_cache": _("on") if self.model_cache else _("off"),
            "environment": _pairs(self.environment),
            "startup_timeout_s": _seconds(self.startup_timeout_s) or preset,
            "download_timeout_s": _seconds(self.download_timeout_s) or preset,
            "volume_gb": f"{self.volume_gb} GB" if self.volume_gb else preset,
            "subnets": ", ".join(self.subnets) or "–",
            "security_groups": ", ".join(self.security_groups) or "–",
            "kms_key": self.kms_key or "–",
            "capture_percent": f"{self.capture_percent} %" if self.capture_percent else _("off"),
            "tags": _pairs(self.tags),
        }

    def chosen(self) -> list[tuple[str, str]]:
        """What is not preset: its label and its value, for pages."""
        stored, said = self.as_json() or {}, self.said()
        return [(str(label), said[name]) for name, label in LABELS.items() if name in stored]

    def differences(self, other: Self) -> list[tuple[str, str, str]]:
        """What another one has other than this: names in the API, before and after."""
        mine, theirs = asdict(self), asdict(other)
        before, after = self.said(), other.said()
        return [(name, before[name], after[name]) for name in LABELS if mine[name] != theirs[name]]


#: Nothing was chosen.
PRESET = DeploymentOptions()


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(pairs.items())) or "–"


def _seconds(number: int | None) -> str:
    return f"{number} s" if number is not None else ""


def has_own_disk(instance_type: str) -> bool:
    """Whether the disk of a type is its own, so that no volume can be attached in its place."""
    return _OWN_DISK.match(instance_type) is not None


def check(
    options: DeploymentOptions, *, instance_type: str, before: DeploymentOptions | None = None
) -> None:
    """Raise ValidationError, by field, for what SageMaker or our container would refuse.

    What is as it was ``before`` is allowed: it runs so, whoever made it. But for the volume, which
    depends on the type.
    """
    wrong: dict[str, list[str]] = {}
    has = before.environment.items() if before is not None else ()
    given = dict(one for one in options.environment.items() if one not in has)
    if found := container_environment.problems(given):
        wrong["environment"] = found
    for name in ("startup_timeout_s", "download_timeout_s"):
        value = getattr(options, name)
        if value is not None and not LEAST_TIMEOUT_S <= value <= MOST_TIMEOUT_S:
            wrong[name] = [_within(LEAST_TIMEOUT_S, MOST_TIMEOUT_S)]
    if options.volume_gb is not None:
        if not 1 <= options.volume_gb <= MOST_VOLUME_GB:
            wrong["volume_gb"] = [_within(1, MOST_VOLUME_GB)]
        elif has_own_disk(instance_type):
            said = _("%(type)s has a disk of its own and takes no volume. Leave this empty.")
            wrong["volume_gb"] = [said % {"type": instance_type}]
    if options.capture_percent is not None and not 1 <= options.capture_percent <= MOST_PERCENT:
        wrong["capture_percent"] = [_within(1, MOST_PERCENT)]
    wrong |= _vpc_problems(options)
    if options.kms_key and not _KEY.fullmatch(options.kms_key):
        said = _("Give the id, the ARN or the alias of a KMS key, as alias/endpoints.")
        wrong["kms_key"] = [said]
    if found := _tag_problems(options.tags):
        wrong["tags"] = found
    if before is not None:
        kept = {name for name in wrong if getattr(options, name) == getattr(before, name)}
        wrong = {name: wrong[name] for name in wrong if name not in kept - {"volume_gb"}}
    if wrong:
        raise ValidationError(wrong)


def _within(low: int, high: int) -> str:
    return _("Choose a number from %(low)s to %(high)s.") % {"low": low, "high": high}


def _vpc_problems(options: DeploymentOptions) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    for name, ids, form, most, example in (
        ("subnets", options.subnets, _SUBNET, MOST_SUBNETS, "subnet-0a1b2c3d"),
        ("security_groups", options.security_groups, _GROUP, MOST_GROUPS, "sg-0a1b2c3d"),
    ):
        bad = [one for one in ids if not form.fullmatch(one)]
        if bad:
            said = _("%(given)s is no such id. One looks like %(example)s.")
            wrong[name] = [said % {"given": bad[0], "example": example}]
        elif len(ids) > most:
            wrong[name] = [_("Give at most %(most)s.") % {"most": most}]
        elif len(set(ids)) < len(ids):
            wrong[name] = [_("Give each only once.")]
    if bool(options.subnets) != bool(options.security_groups):
        missing = "security_groups" if options.subnets else "subnets"
        said = _("A VPC needs subnets and security groups. Give both, or neither.")
        wrong.setdefault(missing, []).append(said)
    return wrong


def _tag_problems(tags: Mapping[str, str]) -> list[str]:
    found = []
    for key, value in tags.items():
        if key.lower().startswith(RESERVED_TAGS):
            said = _("A tag may not begin as %(key)s: AWS or the portal sets those.")
            found.append(said % {"key": key})
        elif not 1 <= len(key) <= MOST_TAG_KEY or len(value) > MOST_TAG_VALUE:
            said = _(
                "The tag %(key)s is too long: AWS takes %(most_key)s characters, and "
                "%(most_value)s as its value."
            )
            told = {"most_key": MOST_TAG_KEY, "most_value": MOST_TAG_VALUE}
            found.append(said % {"key": key[:40] or "–", **told})
        elif not all(map(_is_tag_character, key + value)):
            said = _(
                "The tag %(key)s has a character that AWS does not take. Use letters, digits, "
                "spaces and _ . : / = + - @."
            )
            found.append(said % {"key": key})
    if len(tags) > MOST_TAGS:
        found.append(_("Give at most %(most)s tags.") % {"most": MOST_TAGS})
    return found


def _is_tag_character(one: str) -> bool:
    r"""API: Tag; its pattern is [\p{L}\p{Z}\p{N}_.:/=+\-@]."""
    return one in "_.:/=+-@" or unicodedata.category(one)[0] in "LZN"
