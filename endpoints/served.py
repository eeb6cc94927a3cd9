"""Which endpoints serve a version, and which are on a store."""

from collections.abc import Iterator

from django.db.models import Q
from django.utils.translation import gettext as _

from core.natural import by_name
from endpoints.models import Endpoint
from models_catalog.models import Store, Version
from models_catalog.retiring import Use

#: At most this many endpoints are named.
_NAMED = 20


def endpoints_of(version: Version) -> Iterator[Use]:
    """The endpoints on the version's store: each serves every archive that lies there."""
    rows = Endpoint.objects.filter(bucket=version.bucket, prefix=version.prefix)
    for endpoint in rows.filter(gone_at=None).order_by(*by_name("name")):
        said = _("The endpoint %(name)s serves it (%(state)s).")
        if endpoint.paused:
            said = _("The endpoint %(name)s serves it when it has resumed (%(state)s).")
        said %= {"name": endpoint.name, "state": endpoint.get_state_display()}
        yield Use("endpoint", endpoint.name, said, endpoint.get_absolute_url())


def on_store(store: Store) -> Iterator[str]:
    """A sentence for each endpoint on a store, or on its way there, that is not gone."""
    serves = Q(bucket=store.bucket, prefix=store.prefix)
    is_to = Q(model_bucket=store.bucket, model_prefix=store.prefix)
    rows = Endpoint.objects.filter(serves | is_to, gone_at=None)
    for endpoint in rows.order_by(*by_name("name"))[:_NAMED]:
        said = _("The endpoint %(name)s is on it (%(state)s).")
        yield said % {"name": endpoint.name, "state": endpoint.get_state_display()}
