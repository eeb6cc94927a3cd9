"""Between how many instances an endpoint is scaled."""

from dataclasses import dataclass

#: A cooldown in seconds where nobody says otherwise; AWS presets the same.
COOLDOWN_S = 300


@dataclass(frozen=True)
class Limits:
    """Between how many instances, and when: calls a minute for each, cooldowns in seconds."""

    least: int
    most: int
    target: int
    in_cooldown: int = COOLDOWN_S
    out_cooldown: int = COOLDOWN_S
