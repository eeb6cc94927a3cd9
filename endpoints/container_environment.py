"""Which variables of the environment our container takes: container/environment.json has them.

The container reads the same file when it starts. What it does not name is refused, as a typing
error would be without effect; so is what SageMaker or the image sets, and what would have the
container run another program: whoever starts one has the execution role's rights.
"""

import difflib
import functools
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

#: BC: ContainerDefinition, Environment.
MOST_BYTES = 1024


@functools.lru_cache(maxsize=1)
def known() -> dict[str, dict[str, Any]]:
    """By name: what a value must be."""
    taken: dict[str, dict[str, Any]] = _file()["taken"]
    return taken


def problems(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with an environment, each as a sentence; none: the container takes it."""
    found = (_problem(name, value) for name, value in environment.items())
    return [one for one in found if one]


def _problem(name: str, value: str) -> str:
    if name in _file()["set_elsewhere"]:
        return _("%(name)s is set by SageMaker or by the image.") % {"name": name}
    rule = known().get(name)
    if rule is None:
        near = difflib.get_close_matches(name.upper(), known(), n=1, cutoff=0.6)
        if near:
            said = _("The container knows no variable %(name)s. Do you mean %(near)s?")
            return said % {"name": name, "near": near[0]}
        said = _("The container knows no variable %(name)s. It takes: %(known)s.")
        return said % {"name": name, "known": ", ".join(known())}
    if len(value.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        said = _("The value of %(name)s has more than %(most)s bytes.")
        return said % {"name": name, "most": MOST_BYTES}
    return _value_problem(name, value, rule)


def _value_problem(name: str, value: str, rule: Mapping[str, Any]) -> str:
    if "whole" in rule:
        low, high = rule["whole"]
        plain = value.isascii() and value.isdigit() and len(value) < 12
        if not plain or not low <= int(value) <= high:
            said = _("%(name)s must be a whole number from %(low)s to %(high)s.")
            return said % {"name": name, "low": low, "high": high}
    elif "one_of" in rule:
        if value not in rule["one_of"]:
            said = _("%(name)s must be one of %(values)s.")
            return said % {"name": name, "values": ", ".join(rule["one_of"])}
    elif (word := _wrong_word(value, rule["words"])) is not None:
        said = _("%(name)s takes no option %(word)s: only memory, threads and garbage collector.")
        return said % {"name": name, "word": word}
    return ""


def _wrong_word(value: str, pattern: str) -> str | None:
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    return next((one for one in words if not re.fullmatch(pattern, one, re.ASCII)), None)


@functools.lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    path = settings.BASE_DIR / "container" / "environment.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
