"""Pages in Prometheus' text format 0.0.4: reads those of containers, and merges them into one.

Reading is strict: whatever is not a valid page raises :class:`InvalidPage`, so that a page that is
put together from valid ones is valid too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
INSTANCE = "instance"
UP = "localaws_instance_up"
"""Whether an instance's page was read. Not ``up``, which Prometheus writes itself."""

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\["\\n])*)"\s*(?:,|$)')
_SAMPLE = re.compile(
    rf"""\s*({_NAME})\s*
    (?:\{{((?:[^"{{}}]|"(?:[^"\\\n]|\\["\\n])*")*)\}}\s*|\s)
    \s*(\S+)(?:\s+(-?\d+))?\s*""",
    re.VERBOSE,
)
_VALUE = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|nan)", re.IGNORECASE)
_HELP = re.compile(rf"\s*HELP\s+({_NAME})(?:[ \t](.*))?")
_TYPE = re.compile(rf"\s*TYPE\s+({_NAME})\s+(counter|gauge|histogram|summary|untyped)\s*")
_SUFFIXES = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
}
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_UNESCAPED = re.compile(r"\\(.)")


class InvalidPage(ValueError):
    """What a container has sent is no page of Prometheus' text format; the message says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a name, labels with their values, a number, and its time in ms where it has one."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: str
    timestamp: str | None = None

    def line(self) -> str:
        inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels)
        labels = f"{{{inside}}}" if inside else ""
        time = f" {self.timestamp}" if self.timestamp else ""
        return f"{self.name}{labels} {self.value}{time}"


@dataclass(slots=True)
class Family:
    """A metric with its HELP and TYPE, and its samples."""

    name: str
    type: str = "untyped"
    help: str = ""
    samples: list[Sample] = field(default_factory=list)

    @property
    def sample_names(self) -> tuple[str, ...]:
        return tuple(self.name + suffix for suffix in _SUFFIXES.get(self.type, ("",)))


def parse(page: bytes) -> list[Family]:
    """The families of a page. Raises InvalidPage."""
    try:
        text = page.decode()
    except UnicodeDecodeError as error:
        raise InvalidPage(f"it is not UTF-8: {error}") from None
    families: dict[str, Family] = {}
    owners: dict[str, Family] = {}
    """The family of each name that a sample may have."""
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.lstrip().startswith("#"):
                _comment(line.lstrip()[1:], families, owners)
            elif line.strip():
                sample = _sample(line)
                key = (sample.name, frozenset(sample.labels))
                if key in seen:
                    raise InvalidPage("the same sample is there twice")
                seen.add(key)
                _owner(sample.name, families, owners).samples.append(sample)
        except InvalidPage as error:
            raise InvalidPage(f"line {number}: {error}") from None
    return list(families.values())


def _comment(text: str, families: dict[str, Family], owners: dict[str, Family]) -> None:
    if match := _HELP.fullmatch(text):
        family = families.setdefault(match[1], Family(match[1]))
        family.help = (match[2] or "").strip()
    elif match := _TYPE.fullmatch(text):
        family = families.setdefault(match[1], Family(match[1]))
        if family.samples or family.type != "untyped":
            raise InvalidPage(f"TYPE of {match[1]} is given twice, or after its samples")
        family.type = match[2]
        for name in family.sample_names:
            if owners.setdefault(name, family) is not family:
                raise InvalidPage(f"{name} belongs to two metrics")
    elif text.split(maxsplit=1)[:1] in (["TYPE"], ["HELP"]):
        raise InvalidPage("TYPE or HELP cannot be read")


def _owner(name: str, families: dict[str, Family], owners: dict[str, Family]) -> Family:
    family = owners.get(name)
    if family is None:
        family = families.setdefault(name, Family(name))
        if name not in family.sample_names:
            raise InvalidPage(f"{name} is a {family.type} and has no sample of its own name")
        owners[name] = family
    return family


def _sample(line: str) -> Sample:
    match = _SAMPLE.fullmatch(line)
    if match is None or _VALUE.fullmatch(match[3]) is None:
        raise InvalidPage(f"it is no sample: {line[:100]!r}")
    labels = _labels(match[2] or "")
    if len({name for name, _ in labels}) < len(labels):
        raise InvalidPage("a label is there twice")
    return Sample(match[1], labels, match[3], match[4])


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    found, position = [], 0
    end = len(text.rstrip())
    while position < end:
        match = _LABEL.match(text, position)
        if match is None:
            raise InvalidPage(f"labels cannot be read: {text[:100]!r}")
        value = _UNESCAPED.sub(lambda part: "\n" if part[1] == "n" else part[1], match[2])
        found.append((match[1], value))
        position = match.end()
    return tuple(found)


def _escaped(value: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in value)


def merged(pages: Mapping[str, list[Family] | None]) -> str:
    """One page of those of several instances; None stands for an instance that has none.

    Each sample gets the label ``instance`` first; one that a container has given itself goes on as
    ``exported_instance``, as Prometheus does it. A metric that two instances give different types
    has that of the first, and is left out of the other.
    """
    up = Family(UP, "gauge", "1 where the page of the instance was read, else 0.")
    families: dict[str, Family] = {UP: up}
    owners = {UP: UP}
    for instance, page in pages.items():
        up.samples.append(Sample(UP, ((INSTANCE, instance),), str(int(page is not None))))
        for family in page or []:
            ours = families.get(family.name)
            if ours is up or (ours is not None and ours.type != family.type):
                continue
            if any(owners.get(name, family.name) != family.name for name in family.sample_names):
                continue
            owners |= dict.fromkeys(family.sample_names, family.name)
            if ours is None:
                ours = families[family.name] = Family(family.name, family.type, family.help)
            ours.samples += [_of(instance, sample) for sample in family.samples]
    return "".join(f"{line}\n" for family in families.values() for line in _lines(family))


def _of(instance: str, sample: Sample) -> Sample:
    taken = {name for name, _ in sample.labels}
    renamed = INSTANCE
    while renamed in taken:
        renamed = f"exported_{renamed}"
    kept = ((renamed if name == INSTANCE else name, value) for name, value in sample.labels)
    return Sample(sample.name, ((INSTANCE, instance), *kept), sample.value, sample.timestamp)


def _lines(family: Family) -> Iterable[str]:
    if family.help:
        yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.type}"
    for sample in family.samples:
        yield sample.line()
