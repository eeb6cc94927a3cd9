"""What the container noticed of an archive that it accepts.

What a note is about is told in the reader's language; the container's own words are quoted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

#: What a note is about, by its code (the Notes of container/).
SUBJECTS: Final = {
    "batch": _("Batch"),
    "dtype": _("Kind of numbers"),
    "empty_label": _("Labels"),
    "epoch": _("Epoch"),
    "extra_left_out": _("Files left out"),
    "fixed_batch": _("Batch"),
    "folder": _("Folder"),
    "layout": _("Channels of the input"),
    "links": _("Links"),
    "links_left_out": _("Files left out"),
    "manifest_left_out": _("Files left out"),
    "names_left_out": _("Files left out"),
    "one_label": _("Answer of one number"),
    "other_inputs": _("Further inputs"),
    "output": _("Answer"),
    "outputs": _("Further outputs"),
    "outside_left_out": _("Files left out"),
    "sparse": _("Sparse files"),
}


@dataclass(frozen=True)
class Noted:
    """One note: ``about`` in the reader's language, ``said`` by the container."""

    about: str
    said: str

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> Self:
        """A note as a report has it; a code of a later container has no subject."""
        subject = SUBJECTS.get(str(note["code"]), "")
        return cls(gettext(subject) if subject else "", str(note["message"]))
