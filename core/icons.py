"""Icons of the package `lucide` (https://lucide.dev), under the names that the pages use."""

import re
from functools import cache
from importlib.resources import files
from io import BytesIO
from zipfile import ZipFile

#: Names of the pages' own where they say what is meant; every other name is lucide's.
NAMES = {
    "model": "box",
    "endpoint": "server",
    "config": "sliders-horizontal",
    "invoke": "zap",
    "clock": "clock",
    "warn": "triangle-alert",
    "error": "circle-x",
    "success": "circle-check",
    "snow": "snowflake",
    "trash": "trash-2",
    "out": "log-out",
    "help": "circle-question-mark",
    "undo": "undo-2",
    "more": "ellipsis",
    "close": "x",
    "sort": "chevrons-up-down",
    "ascending": "arrow-up",
    "descending": "arrow-down",
    "previous": "chevron-left",
    "next": "chevron-right",
}


@cache
def _archive() -> ZipFile:
    return ZipFile(BytesIO((files("lucide") / "lucide.zip").read_bytes()))


@cache
def drawing(name: str) -> str:
    """What stands inside the icon's ``<svg>``, drawn on a grid of 24.

    Raises KeyError where neither the pages nor lucide have an icon of that name.
    """
    try:
        svg = _archive().read(f"{NAMES.get(name, name)}.svg").decode()
    except KeyError:
        raise KeyError(f"There is no icon {name!r}: see https://lucide.dev/icons.") from None
    inside = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    return re.sub(r"\s*\n\s*", "", inside).replace(" />", "/>")
