"""What is hidden from somebody, as conditions on rows."""

from models_catalog.hidden import Hidden
from models_catalog.models import StrayObject

PLACE = (("models", "Team"),)


def _seen(hidden: Hidden) -> list[str]:
    return [one.key for one in StrayObject.objects.all().without(hidden)]


def test_stores_whose_prefixes_differ_by_case_are_told_apart(db: None) -> None:
    """Also on SQLite, whose LIKE takes any case."""
    for key in ("team/x.tar.gz", "Team/y.tar.gz"):
        StrayObject.objects.create(bucket="models", key=key, size=1)
    assert _seen(Hidden(stores=(), places=PLACE)) == ["team/x.tar.gz"]
    assert _seen(Hidden(stores=(), places=(), default=True, added=PLACE)) == ["Team/y.tar.gz"]
