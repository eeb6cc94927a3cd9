"""Accept, after RFC 9110: weights, ranges, parameters, and what is malformed."""

import pytest

from container import accept

JSON, CSV, PLAIN = "application/json", "text/csv", "text/plain"
OFFERED = (JSON, CSV, PLAIN)

CHOSEN: dict[str, tuple[str, int] | None] = {
    # how specifically the type is named stands beside it
    "": (JSON, 0),
    "  ": (JSON, 0),
    "*/*": (JSON, 0),
    "application/json": (JSON, 2),
    "APPLICATION/JSON": (JSON, 2),
    "application/json; charset=utf-8": (JSON, 2),
    "application/json;q=1.000": (JSON, 2),
    "application/*": (JSON, 1),
    "text/*": (CSV, 1),
    "text/csv": (CSV, 2),
    "text/csv, application/json": (CSV, 2),
    "application/json, text/csv": (JSON, 2),
    "application/json;q=0.5, text/csv;q=0.9": (CSV, 2),
    "application/json; Q=0.5 , text/csv ;q = 0.4": (JSON, 2),
    "text/csv, */*": (CSV, 2),
    "*/*, text/csv": (CSV, 2),
    "text/csv;q=0.5, */*": (JSON, 0),
    "application/json, text/plain, */*": (JSON, 2),  # axios
    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2": (JSON, 0),  # Java's HttpURLConnection
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": (JSON, 0),  # browsers
    "application/json;q=0, */*": (CSV, 0),
    "application/json;q=0.1, */*": (CSV, 0),
    "text/*;q=0.3, text/plain;q=0.7, */*;q=0.5": (PLAIN, 2),
    "text/csv;q=0, text/*": (PLAIN, 1),
    'text/csv;note="a,b;q=0", image/png': (CSV, 2),
    'text/csv;note="a\\",b";q=0.5, image/png': (CSV, 2),
    "application/json;q=0.2, application/json;q=0.9, text/csv;q=0.5": (JSON, 2),
    ", ,application/json,": (JSON, 2),
    # malformed parts count as not there
    "json, text/csv": (CSV, 2),
    "application/json;q=high, text/csv;q=0.1": (CSV, 2),
    "application/json;q=2, text/csv;q=0.1": (CSV, 2),
    "*/json, text/plain": (PLAIN, 2),
    # nothing that is offered
    "image/png": None,
    "application/x-npy": None,
    "application/vnd.api+json": None,
    "application/json;q=0": None,
    "*/*;q=0": None,
    "json": None,
    ";;;,,\"": None,
}  # fmt: skip


@pytest.mark.parametrize("header", CHOSEN)
def test_the_best_match_is_chosen(header: str) -> None:
    found = accept.choose(header, OFFERED)
    assert (found and (found[0], found[1].specificity)) == CHOSEN[header]


def test_a_long_header_takes_no_long_time() -> None:
    assert accept.choose('"' * 8000 + "a/b," * 2000, OFFERED) is None
