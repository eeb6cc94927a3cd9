"""Alarms: the tables of CloudWatch's documentation for missing data, percentiles, a restart."""

import datetime as dt

import pytest

from localaws.alarms import state_of
from localaws.tests.conftest import tiny_containers

MISSING = ("missing", "ignore", "breaching", "notBreaching")
ALARM, OK, KEPT, NONE = "ALARM", "OK", None, "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("data", "needed", "states"),
    [
        # CloudWatch User Guide, "How alarm state is evaluated when data is missing", 3 of 3 and
        # 2 of 3; the data as there, the latest last.
        ("0 - X - X", 3, (OK, OK, OK, OK)),
        ("0 - - - -", 3, (OK, OK, OK, OK)),
        ("- - - - -", 3, (NONE, KEPT, ALARM, OK)),
        ("0 X X - X", 3, (ALARM, ALARM, ALARM, ALARM)),
        ("- - X - -", 3, (ALARM, KEPT, ALARM, OK)),
        ("0 - X - X", 2, (ALARM, ALARM, ALARM, ALARM)),
        ("0 0 X 0 X", 2, (ALARM, ALARM, ALARM, ALARM)),
        ("0 - X - -", 2, (OK, OK, ALARM, OK)),
        ("- - - - 0", 2, (OK, OK, ALARM, OK)),
        ("- - - X -", 2, (ALARM, KEPT, ALARM, OK)),
        ("- - - - X", 3, (OK, OK, ALARM, OK)),
    ],
)
def test_the_state_where_data_are_missing(data, needed, states):
    told = {"0": False, "X": True, "-": None}
    breaches = [told[one] for one in reversed(data.split())]
    assert tuple(state_of(breaches, 3, needed, missing) for missing in MISSING) == states


@pytest.fixture(scope="module")
def local(tmp_path_factory, s3_url):
    """One of this module's own, as its clock is put ahead."""
    with tiny_containers(tmp_path_factory.mktemp("localaws"), s3_url) as process:
        yield process


def put(cloudwatch, alarm, **more):
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[{"Name": "EndpointName", "Value": alarm}],
        **{
            "ExtendedStatistic": "p90", "Period": 60, "EvaluationPeriods": 1, "Threshold": 80,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        } | more,
    )  # fmt: skip


def described(cloudwatch, alarm):
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return found


def measured(process, alarm, values):
    process.begin_minute()
    now = process.admin("clock")["now"]
    process.client("cloudwatch").put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": "ModelLatency",
                "Value": value,
                "Timestamp": dt.datetime.fromtimestamp(now, dt.UTC),
                "Dimensions": [{"Name": "EndpointName", "Value": alarm}],
            }
            for value in values
        ],
    )
    process.admin("clock", "PUT", {"ahead": 60})


def test_an_alarm_of_a_percentile_acts(local):
    cloudwatch = local.client("cloudwatch")
    put(cloudwatch, "percentile")
    measured(local, "percentile", [10] * 8 + [90] * 2)
    assert described(cloudwatch, "percentile")["StateValue"] == "ALARM"
    measured(local, "percentile", [10] * 9 + [90])
    assert described(cloudwatch, "percentile")["StateValue"] == "OK"


def test_an_update_leaves_state_and_tags_and_a_new_one_has_neither(local):
    cloudwatch = local.client("cloudwatch")
    local.begin_minute()
    put(cloudwatch, "updated", Tags=[{"Key": "a", "Value": "1"}])
    found = described(cloudwatch, "updated")
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    cloudwatch.set_alarm_state(AlarmName="updated", StateValue="ALARM", StateReason="a test")
    put(cloudwatch, "updated", Threshold=5, Tags=[{"Key": "a", "Value": "2"}])
    found = described(cloudwatch, "updated")
    assert (found["StateValue"], found["StateReason"], found["Threshold"]) == ("ALARM", "a test", 5)
    tags = cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}]
    cloudwatch.delete_alarms(AlarmNames=["updated"])
    put(cloudwatch, "updated")
    assert described(cloudwatch, "updated")["StateValue"] == "INSUFFICIENT_DATA"
    assert cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == []


def test_alarms_survive_a_kill_with_state_and_tags(start):
    process = start()
    cloudwatch = process.client("cloudwatch")
    process.begin_minute()
    put(cloudwatch, "kept", EvaluationPeriods=3, Tags=[{"Key": "a", "Value": "1"}])
    put(cloudwatch, "removed")
    cloudwatch.set_alarm_state(AlarmName="kept", StateValue="ALARM", StateReason="a test")
    cloudwatch.delete_alarms(AlarmNames=["removed"])
    before = cloudwatch.describe_alarms()["MetricAlarms"]
    process.kill()
    process.start()
    cloudwatch = process.client("cloudwatch")
    after = cloudwatch.describe_alarms()["MetricAlarms"]
    assert after == before
    (arn,) = [one["AlarmArn"] for one in after if one["AlarmName"] == "kept"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}]
    # Nothing is known of the minutes before the start: they do not end the alarm.
    process.admin("clock", "PUT", {"ahead": 60})
    assert described(cloudwatch, "kept")["StateValue"] == "ALARM"
    process.admin("clock", "PUT", {"ahead": 240})
    assert described(cloudwatch, "kept")["StateValue"] == "OK"
