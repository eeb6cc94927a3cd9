"""The result of a validation, as a version's page leads with it.

Reports from before the preflight drew a picture have no picture, and one time in place of two: what
is not known is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.templatetags.static import static
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: A label with less is no bar of a page, which would be empty.
LEAST_SHOWN = 0.001
#: The pictures that container/sample_pictures.py draws, with what is on them.
PICTURES = {
    "digit": gettext_lazy("A handwritten 3, dark on light"),
    "star": gettext_lazy("A yellow star on blue"),
}


@dataclass(frozen=True)
class SampleAnswer:
    """One label with its probability, 0 to 1."""

    label: str
    probability: float

    @property
    def percent(self) -> float:
        """The probability in percent; rounding may make one a little more than 1."""
        return min(100.0, 100 * self.probability)


@dataclass(frozen=True)
class ValidationResult:
    """What the network did with the sample; None where the report does not tell.

    ``picture``: the address of the picture, or empty where it was shown none of ours. Times are in
    ms; ``first_ms`` with the picture's decoding, ``prediction_ms`` without (older reports).
    """

    answers: list[SampleAnswer]
    picture: str
    shows: str
    load_ms: float | None
    first_ms: float | None
    warm_ms: float | None
    prediction_ms: float | None
    memory_mb: float | None

    @property
    def others(self) -> list[SampleAnswer]:
        """The other labels that a page can show as bars: those of 0.1 % and more."""
        return [one for one in self.answers[1:] if one.probability >= LEAST_SHOWN]

    @property
    def tiny(self) -> int:
        """How many of the other labels have less than 0.1 %."""
        return len(self.answers[1:]) - len(self.others)

    @property
    def best(self) -> SampleAnswer | None:
        """The answer with the highest probability."""
        return self.answers[0] if self.answers else None


def of_report(report: Mapping[str, Any]) -> ValidationResult | None:
    """The result in a report of an accepted version; None of others."""
    if not report.get("ok"):
        return None
    sample = report.get("sample") or {}
    name = str(sample.get("image", ""))
    return ValidationResult(
        answers=[
            SampleAnswer(str(one["label"]), float(one["probability"]))
            for one in sample.get("predictions") or []
        ],
        picture=static(f"validation/{name}.png") if name in PICTURES else "",
        shows=str(PICTURES.get(name, "")),
        load_ms=report.get("load_ms"),
        first_ms=report.get("first_ms"),
        warm_ms=report.get("warm_ms"),
        prediction_ms=report.get("infer_ms"),
        memory_mb=report.get("memory_mb"),
    )


def preprocessing(artifact: Mapping[str, Any]) -> str:
    """What is done to a picture before the network sees it, as a sentence.

    Empty where it takes no pictures, or nothing is known of it.
    """
    shapes = artifact.get("inputs") or []
    said: Mapping[str, Any] = artifact.get("preprocess") or {}
    size = _size(shapes[0]["shape"], said.get("layout")) if shapes else None
    if size is None:
        return ""
    channels, height, width = size
    parts = _scaled(said, f"{width} × {height}")
    parts.append(_("grey") if channels == 1 else _("in %(order)s") % {"order": _order(said)})
    parts += _numbers(said)
    # Translators: between the steps of preprocessing, "scaled to 28 × 28, grey, divided by 255".
    return _("The picture is %(steps)s.") % {"steps": _(", ").join(parts)}


def _size(shape: list[int], layout: str | None) -> tuple[int, int, int] | None:
    if len(shape) != 4:
        return None
    _batch, *rest = shape
    if layout == "NHWC" or (layout is None and rest[0] not in (1, 3) and rest[2] in (1, 3)):
        height, width, channels = rest
    else:
        channels, height, width = rest
    return (channels, height, width) if channels in (1, 3) else None


def _scaled(said: Mapping[str, Any], size: str) -> list[str]:
    if said.get("pad") is not None:
        return [_("scaled to fit into %(size)s") % {"size": size}, _("padded at the sides")]
    if said.get("crop") and said.get("resize"):
        shorter = _("scaled until its shorter side is %(pixels)s pixels")
        centre = _("cropped at the centre to %(size)s")
        return [shorter % {"pixels": said["resize"]}, centre % {"size": size}]
    if said.get("crop"):
        return [_("cropped at the centre and scaled to %(size)s") % {"size": size}]
    return [_("scaled to %(size)s") % {"size": size}]


def _order(said: Mapping[str, Any]) -> str:
    return str(said.get("color") or "RGB")


def _numbers(said: Mapping[str, Any]) -> list[str]:
    parts = []
    scale = said.get("scale")
    if scale and scale != 1:
        divisor = 1 / scale
        if abs(divisor - round(divisor)) < 1e-6 * divisor:
            parts.append(_("divided by %(number)s") % {"number": _number(round(divisor))})
        else:
            parts.append(_("multiplied by %(number)s") % {"number": _number(scale)})
    for key, text in (
        ("mean", _("mean %(numbers)s")),
        ("std", _("standard deviation %(numbers)s")),
    ):
        values = said.get(key)
        if values:
            parts.append(text % {"numbers": " / ".join(_number(one) for one in values)})
    return parts


def _number(value: float) -> str:
    return str(number_format(round(value, 4), use_l10n=True))
