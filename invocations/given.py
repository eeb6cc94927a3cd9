"""Pictures that somebody gives to a comparison or an experiment: kept for a while, with labels."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import BinaryIO

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from core.storable import storable
from invocations import payload, pictures_kept
from invocations.side_by_side import ComparisonRefused, GivenPicture

#: What counts the pictures of a label: ``three_01.png``, ``three (2).png``, ``three-7.png``.
_COUNTED = re.compile(r"[\s_.-]*\(?\d+\)?$")


def label_of_name(name: str) -> str:
    """The label that a file's name says: ``three`` of ``three_01.png``, ``7`` of ``7.png``."""
    stem = PurePath(name).stem.strip()
    return _COUNTED.sub("", stem).strip() or stem


def label_of_folder(name: str) -> str:
    """The folder that a file lies in: ``three`` of ``three/01.png``."""
    return PurePath(name).parent.name


def labels_of_csv(data: bytes, name: str) -> dict[str, str]:
    """The right labels of a CSV file of name and label, with or without that header.

    Raises ComparisonRefused.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        said = _("%(file)s is no text in UTF-8. Nothing was called.") % {"file": name}
        raise ComparisonRefused(said, "invalid") from None
    found: dict[str, str] = {}
    at = (0, 1)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), start=1):
            cells = [cell.strip() for cell in row]
            head = [cell.lower() for cell in cells]
            if number == 1 and "name" in head and "label" in head:
                at = (head.index("name"), head.index("label"))
            elif any(cells):
                if len(cells) <= max(at) or not cells[at[0]] or not cells[at[1]]:
                    said = _("%(file)s, line %(line)s: a line has a name and a label.")
                    raise ComparisonRefused(said % {"file": name, "line": number}, "invalid")
                picture, label = cells[at[0]], cells[at[1]]
                if found.setdefault(picture, label) != label:
                    said = _("%(file)s: %(name)s has two labels. Nothing was called.")
                    raise ComparisonRefused(said % {"file": name, "name": picture}, "invalid")
    except csv.Error as error:
        said = _("%(file)s is no CSV file: %(error)s. Nothing was called.")
        raise ComparisonRefused(said % {"file": name, "error": error}, "invalid") from None
    return found


def by_name(labels: Mapping[str, str]) -> Callable[[str], str]:
    """Which label a file has; empty: not known.

    On both sides folders may stand before the name. Where the table has a name in two folders with
    two labels, a file without its folder has none.
    """
    names: dict[str, set[str]] = {}
    for name, label in labels.items():
        names.setdefault(PurePath(name).name, set()).add(label)

    def found(name: str) -> str:
        parts = PurePath(name).parts
        for first in range(len(parts)):
            if label := labels.get("/".join(parts[first:])):
                return label
        same = names.get(PurePath(name).name, set())
        return next(iter(same)) if len(same) == 1 else ""

    return found


def keep(
    files: Iterable[tuple[BinaryIO, str]], label_of: Callable[[str], str], giver: User
) -> list[GivenPicture]:
    """Keep each file with its right label, for who gives them.

    Raises NotAPicture where one is none, and AwsError where the store does not take one.
    """
    found = []
    for file, name in files:
        read = payload.read(file, name)
        sha256 = pictures_kept.keep_now(read, giver)
        found.append(GivenPicture(sha256, storable(name), storable(label_of(name))))
    return found
