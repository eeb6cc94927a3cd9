"""Which versions an experiment calls, as in ``digits:*``, ``digits:1,digits@live``, ``demo/*``."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.utils.translation import gettext as _

from core.natural import by_name
from endpoints.models import Endpoint
from invocations.experiments.refused import ExperimentRefused
from models_catalog import references
from models_catalog.models import Version

MOST_TARGETS = 200
MAX_LENGTH = 1000
"""Characters of what is named."""
_MOST_LOOKED_AT = 5000


@dataclass(frozen=True)
class CallTarget:
    """A version as an experiment calls it: what it was when the experiment was begun.

    ``name`` is ``digits:2``, by which results name it; ``asked`` what was named.
    """

    name: str
    version: int
    target_model: str
    asked: str

    def as_json(self) -> dict[str, Any]:
        """What a row stores."""
        return asdict(self)

    @classmethod
    def all_from(cls, stored: list[dict[str, Any]]) -> list["CallTarget"]:
        """What a row has."""
        return [cls(**one) for one in stored]


def resolve(named: str, endpoint: Endpoint) -> list[CallTarget]:
    """The versions that ``named`` means on an endpoint now, in the order in which it names them.

    A model with ``:*`` is all its ready versions, the oldest first; a pattern of target models
    (``demo-subfolder/*``, ``*``) all ready versions with such keys below the endpoint's store, by
    key. Raises ExperimentRefused.
    """
    parts = [part.strip() for part in named.split(",") if part.strip()]
    if not parts or len(named) > MAX_LENGTH:
        raise ExperimentRefused(
            _("Name what to call, such as digits:* or digits:1,digits@live. Nothing was called."),
            "invalid",
            "models",
        )
    found: dict[int, CallTarget] = {}
    for part in parts:
        for version in _versions(part, endpoint):
            name = f"{version.model.name}:{version.number}"
            target = CallTarget(name, version.pk, version.target_model, part)
            found.setdefault(version.pk, target)
    if len(found) > MOST_TARGETS:
        said = _("That is more than %(most)s versions. Name fewer. Nothing was called.")
        raise ExperimentRefused(said % {"most": MOST_TARGETS}, "invalid", "models")
    return list(found.values())


def _versions(part: str, endpoint: Endpoint) -> Iterator[Version]:
    served = Version.objects.ready().filter(bucket=endpoint.bucket, prefix=endpoint.prefix)
    if part.endswith(":*"):
        named = served.filter(model__name=part[:-2]).order_by("number")[: MOST_TARGETS + 1]
    elif "*" in part:
        begin = f"{endpoint.prefix}/" if endpoint.prefix else ""
        rows = served.filter(key__startswith=begin + part.partition("*")[0]).order_by(
            *by_name("key")
        )
        matching = (row for row in rows[:_MOST_LOOKED_AT] if fnmatchcase(row.target_model, part))
        named = matching  # type: ignore[assignment]
    else:
        yield _one(part, endpoint)
        return
    count = 0
    for version in named:
        count += 1
        yield version
    if not count and endpoint.pk is None:  # it is planned
        said = _("The store %(store)s has no ready version %(name)s. Nothing was called.")
        told = {"store": endpoint.name, "name": part}
        raise ExperimentRefused(said % told, "not-found")
    if not count:
        said = _(
            "No version that the endpoint %(endpoint)s serves is %(name)s. Nothing was called."
        )
        raise ExperimentRefused(said % {"endpoint": endpoint.name, "name": part}, "not-found")


def _one(part: str, endpoint: Endpoint) -> Version:
    try:
        found = references.parse(part).resolve()
    except references.Malformed as problem:
        raise ExperimentRefused(str(problem), "invalid", "models") from None
    if found is None:
        said = _("There is no version %(name)s that can be called. Nothing was called.")
        raise ExperimentRefused(said % {"name": part}, "not-found")
    return found
