"""Which endpoints serve a version."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from endpoints.models import Endpoint
from models_catalog.models import Version
from models_catalog.retiring import Use


def endpoints_of(version: Version) -> Iterator[Use]:
    """The endpoints on the version's store: each serves every archive that lies there."""
    rows = Endpoint.objects.filter(bucket=version.bucket, prefix=version.prefix)
    for endpoint in rows.filter(gone_at=None).order_by("name"):
        said = _("The endpoint %(name)s serves it (%(state)s).")
        said %= {"name": endpoint.name, "state": endpoint.get_state_display()}
        yield Use("endpoint", endpoint.name, said, endpoint.get_absolute_url())
