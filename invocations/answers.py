"""Read what a container answered: labels, and where the time went."""

import json
import math
import re
from typing import Any
from urllib.parse import unquote_plus

from core.sentences import Sentence, phrase
from core.storable import storable

_LINE = re.compile(r"^probability=([0-9.eE+-]+), class=(.*)$")
_TOP = 5
JSON = "application/json"
"""What the container is asked for where the portal reads the answer."""


class UnreadableAnswer(Exception):
    """The answer is not one of this portal's containers; ``sentence`` says what it is."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def predictions(body: bytes) -> list[dict[str, Any]]:
    """The labels with their probabilities, best first, five at most. Raises UnreadableAnswer.

    Both of the container's forms are read: ``{"predictions": [{"label", "probability"}]}`` and
    the notebook's list of ``probability=0.553012, class=n02123045 tabby``.
    """
    try:
        given = json.loads(body)
        rows = given["predictions"] if isinstance(given, dict) else given
        found = [_row(row) for row in rows[:_TOP]]
    # A number of hundreds of digits, and lists within lists by the thousand, are no answer either.
    except (
        *(ValueError, KeyError, TypeError, AttributeError),
        *(OverflowError, RecursionError),
    ) as error:
        start = body[:120].decode(errors="replace")
        raise UnreadableAnswer(
            phrase(
                "The model answered, but not with labels and probabilities. The answer begins: "
                "“%(start)s”",
                start=start,
            )
        ) from error
    return found


def _row(row: Any) -> dict[str, Any]:
    if isinstance(row, str):
        match = _LINE.match(row)
        if match is None:
            raise ValueError(row)
        row = {"label": match[2], "probability": match[1]}
    probability = float(row["probability"])
    if not math.isfinite(probability):
        raise ValueError(row)
    return {"label": storable(str(row["label"])), "probability": probability}


def timings(custom_attributes: str) -> tuple[bool | None, dict[str, float]]:
    """Whether it was cold, and the container's times in ms, from ``cold=1;load_ms=12.3;…``.

    What is missing or no number is left out: a container of another kind says nothing.
    """
    given = dict(part.split("=", 1) for part in custom_attributes.split(";") if "=" in part)
    found = {}
    for name in ("load_ms", "ready_ms", "decode_ms", "infer_ms"):
        try:
            value = float(given[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(value):
            found[name] = max(0.0, value)
    cold = {"1": True, "0": False}.get(given.get("cold", ""))
    return cold, found


def put_out(custom_attributes: str) -> dict[str, Any] | None:
    """What was unloaded so that the model of this call had room, as the container tells it.

    ``names``, as far as they are told, and ``count`` of all. None: nothing, or it does not say.
    """
    given = dict(part.split("=", 1) for part in custom_attributes.split(";") if "=" in part)
    try:
        count = int(given.get("put_out_n", ""))
    except ValueError:
        return None
    names = [unquote_plus(name) for name in given.get("put_out", "").split(",") if name]
    # NUL is no text for PostgreSQL.
    names = [storable(name.replace("\0", ""))[:1024] for name in names]
    return {"names": names, "count": max(count, len(names))} if count > 0 else None
