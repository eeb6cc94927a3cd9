"""Which stores are hidden from whom, and who may write to a store: by the groups that it names.

A store without groups is open to everybody, as far as the role goes. One that names groups is
there for their members and for those who manage stores, and only members of a group that writes
may change what is in it. What is in a hidden store is left out of every query that is made for
somebody (core/guarded.py): its models and versions, the endpoints that serve it, and their calls.
A change of groups counts in every process within a second.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from core import guarded
from core.permissions import NotPermitted
from core.remembered import Remembered
from models_catalog.hidden import Hidden
from models_catalog.models import DEFAULT_STORE, Store, StoreGroup

MANAGES = "models_catalog.manage_stores"
WRITES = "models_catalog.change_version"


@dataclass(frozen=True)
class _Named:
    """A store that names groups; ``writers``: those of ``readers`` that may write too."""

    pk: int
    default: bool
    place: tuple[str, str]
    readers: frozenset[int]
    writers: frozenset[int]


@dataclass(frozen=True)
class _Stores:
    """All that name groups; where the default one does, the places of all that were added."""

    named: tuple[_Named, ...]
    added: tuple[tuple[str, str], ...]


_stores: Remembered[str, _Stores] = Remembered(for_all=True)
_groups: Remembered[int, frozenset[int]] = Remembered(for_all=True)


def hidden_from(user: Any) -> Hidden | None:
    """What is hidden from a user, also from an anonymous one; None: nothing is."""
    known = _known()
    if not known.named or user.has_perm(MANAGES):
        return None
    mine = _groups_of(user)
    hidden = [one for one in known.named if not one.readers & mine]
    if not hidden:
        return None
    default = any(one.default for one in hidden)
    return Hidden(
        stores=tuple(one.pk for one in hidden),
        places=tuple(one.place for one in hidden if not one.default),
        default=default,
        added=known.added if default else (),
    )


def hides_default() -> bool:
    """Whether the default store, which may have no row, is hidden from who reads now."""
    hidden: Hidden | None = guarded.hidden()
    return hidden is not None and hidden.default


def may_write(store: Store, user: User) -> bool:
    """Whether a user may change what is in a store, as far as the store says it."""
    found = next((one for one in _known().named if _is(one, store)), None)
    return found is None or bool(found.writers & _groups_of(user)) or user.has_perm(MANAGES)


def check_may_write(store: Store, user: User | None) -> None:
    """Raise NotPermitted where a user may not change what is in a store; the portal may."""
    if user is None or may_write(store, user):
        return
    said = _(
        "Only some groups may change what is in the store %(store)s, and you are in none of them. "
        "Nothing was changed. An admin can put you into one."
    )
    raise NotPermitted(said % {"store": store}, permission=WRITES)


def forget() -> None:
    """Have this process read groups and members anew, as they were changed."""
    _stores.clear()
    _groups.clear()


def _is(one: _Named, store: Store) -> bool:
    return one.default if store.is_default else one.pk == store.pk


def _groups_of(user: Any) -> frozenset[int]:
    if user.pk is None:
        return frozenset()
    found = _groups.get(
        user.pk, lambda: frozenset(user.people_groups.order_by().values_list("pk", flat=True))
    )
    return found or frozenset()


def _known() -> _Stores:
    return _stores.get("", _read) or nothing_named()


def nothing_named() -> _Stores:
    """What is known where no store names groups."""
    return _Stores((), ())


def _read() -> _Stores:
    rows = list(StoreGroup.objects.select_related("store"))
    stores = {row.store_id: row.store.as_set() for row in rows}
    named = tuple(
        _Named(
            pk,
            store.is_default,
            (store.bucket, store.prefix),
            frozenset(row.group_id for row in rows if row.store_id == pk),
            frozenset(row.group_id for row in rows if row.store_id == pk and row.may_write),
        )
        for pk, store in stores.items()
    )
    if not any(one.default for one in named):
        return _Stores(named, ())
    added = Store._base_manager.exclude(name=DEFAULT_STORE).values_list("bucket", "prefix")
    return _Stores(named, tuple(added))
