"""What beat's page for Prometheus says of endpoints."""

# untranslated file: Prometheus alone has its sentences

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric

from core.prometheus_page import gauge
from endpoints.models import Endpoint


def endpoints() -> Iterator[Metric]:
    """How many endpoints there are, by state."""
    found = Counter(row.state for row in Endpoint.objects.filter(gone_at=None))
    states = {
        state: float(found[state])
        for state in Endpoint.State.values
        if state != Endpoint.State.GONE
    }
    yield gauge("mme_portal_endpoints", "Endpoints that are not gone, by state.", "state", states)
