"""Which versions are warmed: as experiments name them, and all that aliases point at."""

from core.natural import by_name
from endpoints.models import Endpoint
from invocations.experiments import targets
from invocations.experiments.targets import CallTarget
from models_catalog.models import Alias, Version

ALL_ALIASES = "@*"
"""Means every version that an alias points at."""


def resolve(named: str, endpoint: Endpoint) -> list[CallTarget]:
    """The versions that ``named`` means on an endpoint now, each once, in that order.

    Raises ExperimentRefused, with a sentence.
    """
    found: dict[int, CallTarget] = {}
    rest = []
    for part in (one.strip() for one in named.split(",")):
        if part == ALL_ALIASES:
            for one in _of_aliases(endpoint):
                found.setdefault(one.version, one)
        elif part:
            rest.append(part)
    if rest or ALL_ALIASES not in named:
        for one in targets.resolve(",".join(rest), endpoint):
            found.setdefault(one.version, one)
    return list(found.values())


def _of_aliases(endpoint: Endpoint) -> list[CallTarget]:
    served = Version.objects.ready().filter(bucket=endpoint.bucket, prefix=endpoint.prefix)
    rows = Alias.objects.filter(version__in=served).select_related("model", "version__model")
    return [
        CallTarget(
            f"{one.version.model.name}:{one.version.number}",
            one.version_id,
            one.version.target_model,
            str(one),
        )
        for one in rows.order_by(
            *by_name("model__name", stored="model__name_key"), *by_name("name")
        )[: targets.MOST_TARGETS]
    ]
