"""What a badge shows: the row decides, and the tag ``badge`` renders it (core/templatetags)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Badge:
    """A small label with a colour.

    ``state`` chooses the colour (``.badge[data-state=…]`` in static/portal.css), ``label`` is the
    text, ``icon`` names a picture of core/templatetags/portal.py, and ``spinning`` says that
    something is under way.
    """

    state: str
    label: str
    icon: str = ""
    spinning: bool = False
