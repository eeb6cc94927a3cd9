"""Reading the HTML of a page in a test."""

import re
from typing import Any


def one_line(response: Any) -> str:
    """The page with every run of spaces and line ends as one space, as a browser shows it."""
    return re.sub(r"[ \t\r\n]+", " ", response.content.decode())
