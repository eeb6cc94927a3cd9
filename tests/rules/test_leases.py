"""There is one lease: every row that one worker at a time works on is a ``Leased`` (core/lease.py).

tests/test_leases.py kills the workers of each of them.
"""

from core.lease import Leased, LeaseQuerySet
from tests.rules.test_states import portal_models

#: Rows with a lease of another kind, each with the reason.
OTHERS = {
    "RepeatableCall": "a process renews those of all its requests by one UPDATE, by their holder",
}


def test_every_row_with_a_lease_has_the_one_of_core() -> None:
    leased = {one.__name__ for one in portal_models() if issubclass(one, Leased)}
    assert {"Version", "Endpoint", "Invocation"} <= leased
    own = {
        one.__name__
        for one in portal_models()
        if any(field.name == "leased_until" for field in one._meta.get_fields())
    } - leased
    wrong = sorted(own - set(OTHERS))
    assert not wrong, f"Derive these from core.lease.Leased, and claim by its QuerySet: {wrong}"
    gone = sorted(set(OTHERS) - own)
    assert not gone, f"These have no lease of their own; remove them from OTHERS here: {gone}"


def test_every_leased_row_is_claimed_by_the_queryset_of_core() -> None:
    wrong = [
        one.__name__
        for one in portal_models()
        if issubclass(one, Leased)
        and not issubclass(type(one._default_manager.all()), LeaseQuerySet)
    ]
    assert not wrong, f"Make the managers of these from a LeaseQuerySet (core/lease.py): {wrong}"
