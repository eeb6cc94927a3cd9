"""What is said where the catalog refuses a change."""

from django.utils.translation import gettext as _

from models_catalog.models import Version


class CatalogRefused(Exception):
    """Nothing was changed; ``str()`` says why, in the reader's language.

    ``code`` is that of the API's problem (core/api/problems.py).
    """

    def __init__(self, said: str, code: str = "conflict") -> None:
        super().__init__(said)
        self.code = code


def version_of(model: str, number: int) -> Version:
    """A version, without its report. Raises CatalogRefused where there is none."""
    rows = Version.objects.select_related("model").defer("report")
    found = rows.filter(model__name=model, number=number).first()
    if found is None:
        said = _("There is no version %(name)s:%(number)s.") % {"name": model, "number": number}
        raise CatalogRefused(said, "not-found")
    return found
