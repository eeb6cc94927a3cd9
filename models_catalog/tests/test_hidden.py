"""What is hidden from somebody, as conditions on rows."""

from collections.abc import Callable

from django.contrib.auth.models import User

from accounts.models import PeopleGroup
from core import guarded
from models_catalog import measured, secrecy
from models_catalog.hidden import Hidden
from models_catalog.models import RegisteredModel, Store, StoreGroup, StrayObject, Version

PLACE = (("models", "Team"),)


def _seen(hidden: Hidden) -> list[str]:
    return [one.key for one in StrayObject.objects.all().without(hidden)]


def test_stores_whose_prefixes_differ_by_case_are_told_apart(db: None) -> None:
    """Also on SQLite, whose LIKE takes any case."""
    for key in ("team/x.tar.gz", "Team/y.tar.gz"):
        StrayObject.objects.create(bucket="models", key=key, size=1)
    assert _seen(Hidden(stores=(), places=PLACE)) == ["team/x.tar.gz"]
    assert _seen(Hidden(stores=(), places=(), default=True, added=PLACE)) == ["Team/y.tar.gz"]


def test_keys_of_metadata_are_those_of_the_versions_that_somebody_may_see(
    user_in: Callable[[str], User],
) -> None:
    far = Store.objects.create(name="far", bucket="far", prefix="m", region="ap-northeast-2")
    StoreGroup.objects.create(store=far, group=PeopleGroup.objects.create(name="team-a"))
    for name, store, metadata in (("near", None, {"accuracy": 1}), ("far", far, {"secret": 1})):
        model = RegisteredModel.objects.create(name=name, store=store)
        Version.objects.create(model=model, number=1, size=1, metadata=metadata, key=name)
    secrecy.forget()
    with guarded.reading_as(user_in("viewer")):
        assert measured.keys(Version.objects.all()) == ["accuracy"]
    assert measured.keys(Version.objects.all()) == ["accuracy", "secret"]
