"""What beat's page for Prometheus says of versions."""

# untranslated file: Prometheus alone has its sentences

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client.core import Metric

from core.prometheus_page import gauge
from models_catalog.models import Version


def versions() -> Iterator[Metric]:
    """How many versions there are, by state."""
    rows = Version.objects.order_by().values_list("state").annotate(Count("pk"))
    states = dict.fromkeys(map(str, Version.State.values), 0.0) | {
        str(state): float(number) for state, number in rows
    }
    yield gauge("mme_portal_versions", "Versions, by state.", "state", states)
