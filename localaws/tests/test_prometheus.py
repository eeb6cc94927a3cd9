"""Pages of Prometheus' text format: read strictly, merged into one that is valid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from localaws import prometheus
from localaws.prometheus import Family, InvalidPage, Sample, merged, parse

PAGE = rb"""# HELP calls_total Calls, with a \\ and a "quote".
# TYPE calls_total counter
calls_total{target_model="a\"b\\c\nd",kind="{,}"} 3
calls_total{kind="x",} 4.5e3
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1
took_seconds_bucket{le="+Inf"} 2
took_seconds_sum 1.25
took_seconds_count 2
# any other comment
untyped{instance="mine"} NaN 1700000000000
"""


def read(page: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What Prometheus' own parser reads; each family once."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    names = []
    for family in text_string_to_metric_families(page):
        names.append(family.name)
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    assert len(names) == len(set(names))
    return found


def test_two_instances_become_one_page():
    page = merged({"A/i-1": parse(PAGE), "A/i-2": parse(PAGE), "B/i-3": None})
    assert page.count("# TYPE calls_total ") == page.count("# HELP calls_total ") == 1
    found = read(page)
    assert [(labels["instance"], value) for labels, value in found[prometheus.UP]] == [
        ("A/i-1", 1),
        ("A/i-2", 1),
        ("B/i-3", 0),
    ]
    hostile = {"target_model": 'a"b\\c\nd', "kind": "{,}"}
    assert ({"instance": "A/i-2"} | hostile, 3.0) in found["calls_total"]
    assert found["took_seconds_count"] == [({"instance": f"A/i-{n}"}, 2.0) for n in (1, 2)]
    assert [labels for labels, _ in found["untyped"]] == [
        {"instance": f"A/i-{n}", "exported_instance": "mine"} for n in (1, 2)
    ]
    assert len(found["calls_total"]) == 4


def test_no_instance_is_a_page_too():
    assert read(merged({})) == {}


def test_what_two_instances_call_differently_does_not_break_the_page():
    one = parse(b"# TYPE a counter\na 1\n# TYPE b histogram\nb_count 1\n")
    two = parse(b"# TYPE a gauge\na 2\nb_count 3\nonly 4\nlocalaws_instance_up 5\n")
    found = read(merged({"1": one, "2": two}))
    assert found["only"] == [({"instance": "2"}, 4.0)]
    assert found[prometheus.UP] == [({"instance": "1"}, 1.0), ({"instance": "2"}, 1.0)]
    assert "2" not in {labels["instance"] for labels, _ in found["b_count"]}


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (b"<html></html>", "line 1: it is no sample"),
        (b'{"models": []}', "line 1"),
        (b"\xff 1", "not UTF-8"),
        (b"a 1_0", "no sample"),
        (b"a", "no sample"),
        (b'a{b="c} 1', "no sample"),
        (b"a{b=c} 1", "labels cannot be read"),
        (b'a{b="1" c="2"} 1', "labels cannot be read"),
        (b'a{b="1",b="2"} 1', "a label is there twice"),
        (b'a{b="\\x"} 1', "no sample"),
        (b"a 1\na 2", "line 2: the same sample is there twice"),
        (b"a 1\n# TYPE a counter\n", "after its samples"),
        (b"# TYPE a counter\n# TYPE a counter\n", "given twice"),
        (b"# TYPE a thing\n", "cannot be read"),
        (b"# TYPE h histogram\nh 1", "no sample of its own name"),
        (b"h_sum 1\n# TYPE h summary\n", "belongs to two metrics"),
    ],
)
def test_what_is_no_page_is_told(page, why):
    with pytest.raises(InvalidPage, match=why):
        parse(page)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.not_quick
@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True), TEXTS)
def test_any_name_of_a_model_survives_the_way(targets, instance):
    samples = [Sample("a_total", (("target_model", target),), "1") for target in targets]
    written = merged({instance: [Family("a_total", "counter", "A.", samples)]})
    (_, family) = parse(written.encode())
    assert [dict(sample.labels) for sample in family.samples] == [
        {"instance": instance, "target_model": target} for target in targets
    ]
