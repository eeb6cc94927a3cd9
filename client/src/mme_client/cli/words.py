"""The sentences of ``mme`` in the language of the locale."""

import os
from functools import cache


@cache
def language() -> str:
    """``ko`` where the locale says so, else ``en``; as gettext looks for it."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if name == "LANGUAGE" and os.environ.get("LC_ALL", "") in ("C", "POSIX"):
            continue
        if value:
            return "ko" if value.partition(":")[0].lower().startswith("ko") else "en"
    return "en"


def _(text: str) -> str:
    """``text`` in the language of the locale; the Korean is in korean.py."""
    if language() != "ko":
        return text
    from mme_client.cli.korean import MESSAGES

    return MESSAGES.get(text, text)
