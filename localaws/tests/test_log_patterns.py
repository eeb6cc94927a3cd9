"""Filter patterns of CloudWatch Logs: matched, or refused, and never ignored."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from localaws.log_patterns import InvalidPattern, parse

EVENT = {
    "event": "model_loaded",
    "ms": 12.5,
    "error": None,
    "warm": True,
    "status": 404,
    "user": {"first name": "A", "roles": ["reader", "admin"], "ids": [{"id": 7}, {"id": 9}]},
    "text": 'a "quoted" word',
}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.event = "model_loaded" }', True),
        ("{ $.event = model_loaded }", True),
        ('{$.event="model_unloaded"}', False),
        ('{ $.event = "model_*" }', True),
        ('{ $.event = "*load*" }', True),
        ('{ $.event = "load*" }', False),
        ('{ $.event = "model_loaded*loaded" }', False),
        ('{ $.event != "model_loaded" }', False),
        ('{ $.event != "other" }', True),
        ('{ $.none != "other" }', False),
        ('{ $.status = "404" }', False),
        ("{ $.status = 404 }", True),
        ("{ $.status != 404 }", False),
        ("{ $.ms > 12 && $.ms < 1.3e1 }", True),
        ("{ $.ms >= 12.5 && $.ms <= 12.5 }", True),
        ("{ $.event > 5 }", False),
        ("{ $.warm = 1 }", False),
        ("{ $.warm IS TRUE }", True),
        ("{ $.warm IS FALSE }", False),
        ("{ $.error IS NULL }", True),
        ("{ $.none IS NULL }", False),
        ("{ $.error EXISTS }", True),
        ("{ $.none NOT EXISTS }", True),
        ("{ $.event NOT EXISTS }", False),
        ("{ $.user.roles[1] = admin }", True),
        ("{ $.user.roles[2] EXISTS }", False),
        ("{ $.user.roles[*] = admin }", True),
        ("{ $.user.ids[*].id = 9 }", True),
        ("{ $.user.ids[0].id = 9 }", False),
        ("{ $.user['first name'] = \"A\" }", True),
        ("{ $.user.* = A }", True),
        (r'{ $.text = "a \"quoted\" word" }', True),
        ("{ $.warm IS FALSE || $.ms > 1 && $.status = 404 }", True),
        ("{ ($.warm IS FALSE || $.ms > 1) && $.status = 500 }", False),
        ("{ (($.ms > 1)) }", True),
        ("", True),
        ("model_loaded", True),
        ("model_loaded 404", True),
        ("model_loaded 500", False),
        ("Model_loaded", False),
        ('"event\\": \\"model"', True),
        ('"model loaded"', False),
        ("?none ?model_loaded", True),
        ("?none ?nothing", False),
        ("-none", True),
        ("404 -model_loaded", False),
        ("404 ?none", True),
    ],
)
def test_a_pattern_matches(pattern, matches):
    assert parse(pattern)(json.dumps(EVENT)) is matches


@pytest.mark.parametrize(
    "message", ["plain text", "", "[1]", '"text"', "{", "{" * 5000, '{"a":' * 5000, "null"]
)
def test_json_patterns_match_json_objects_alone(message):
    assert not parse("{ $.a NOT EXISTS }")(message)


@pytest.mark.parametrize(
    "pattern",
    [
        *("{", "{ }", "{ $.a }", "{ $.a = }", "{ = 1 }", "{ $.a == 1 }", "{ $.a = 1 ", "{ a = 1 }"),
        *("{ $.a = 1 && }", "{ $.a = 1 || ) }", "{ ($.a = 1 }", "{ $.a = 1) }", "{ $.a IS x }"),
        *('{ $.a > "b" }', "{ $.a > b }", "{ $.a NOT 1 }", "{ $.a = 'b' c }", "{ $ = 1 }"),
        *(
            '"open',
            'a"b',
            "{ $.a = 1 $.b = 2 }",
            "x" * 1025,
            "{" + "(" * 60 + "$.a=1" + ")" * 60 + "}",
        ),
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern):
    with pytest.raises(InvalidPattern, match=r"^Invalid filter pattern: "):
        parse(pattern)


@pytest.mark.parametrize("pattern", ["%ERR.*%", "{ $.a = %b+% }", "[ip, user, ...]"])
def test_a_kind_that_is_not_there_is_not_offered(pattern):
    with pytest.raises(InvalidPattern, match="localaws does not offer"):
        parse(pattern)


LINES = [
    '{"event": "model_loaded", "ms": 12}',
    '{"event": "model_loaded", "ms": 3}',
    "model_loaded, in words",
    "something else",
]


@pytest.fixture
def logs(local, name):
    client = local.client("logs")
    client.create_log_group(logGroupName=name)
    client.create_log_stream(logGroupName=name, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in LINES]
    client.put_log_events(logGroupName=name, logStreamName="s", logEvents=events)
    return client


def test_a_client_sees_what_matches(logs, name):
    def found(pattern):
        answer = logs.filter_log_events(logGroupName=name, filterPattern=pattern)
        return [event["message"] for event in answer["events"]]

    assert found('{ $.event = "model_loaded" }') == LINES[:2]
    assert found("{ $.ms > 5 }") == LINES[:1]
    assert found("model_loaded") == LINES[:3]
    assert found("") == LINES


def test_a_client_is_told_of_a_pattern_that_is_none(logs, name):
    def refused(call, **members):
        with pytest.raises(ClientError) as caught:
            call(logGroupName=name, **members)
        return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]

    logs.create_log_group(logGroupName=name + "-empty")
    for group in (name, name + "-empty"):
        with pytest.raises(ClientError, match=r"InvalidParameterException.*Invalid filter pattern"):
            logs.filter_log_events(logGroupName=group, filterPattern="{ $.a = ")
    regex = {"filterPattern": "%a%"}
    assert refused(logs.filter_log_events, **regex)[1].startswith("localaws does not offer")
    transformation = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
    metric = {"filterName": "f", "metricTransformations": [transformation]}
    assert refused(logs.put_metric_filter, **metric, **regex)[0] == "InvalidParameterException"
    arn = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["arn"]
    subscription = {"filterName": "f", "destinationArn": arn}
    code, _ = refused(logs.put_subscription_filter, **subscription, **regex)
    assert code == "InvalidParameterException"


def test_a_subscription_gets_what_its_pattern_matches(logs, name):
    logs.create_log_group(logGroupName=name + "-to")
    logs.create_log_stream(logGroupName=name + "-to", logStreamName="s")
    (target,) = logs.describe_log_groups(logGroupNamePrefix=name + "-to")["logGroups"]
    logs.put_subscription_filter(
        logGroupName=name,
        filterName="f",
        filterPattern="{ $.ms > 5 }",
        destinationArn=target["arn"],
    )
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in LINES]
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events)
    answer = logs.filter_log_events(logGroupName=name + "-to")
    assert [event["message"] for event in answer["events"]] == LINES[:1]
