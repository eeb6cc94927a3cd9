"""localaws ends, politely or not; what it acknowledged is there afterwards."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localaws.__main__ import main
from localaws.resource_store import FolderUnusable, lock_folder
from localaws.tests.conftest import Hosting
from localaws.tests.servers import ROOT, S3Server, alive, wait_for


def pids(hosting, name):
    return [one["pid"] for one in hosting.process.instances(name)]


def test_endpoints_come_back_after_a_kill_and_after_a_stop(start, tmp_path):
    """Two instances, one of which holds a model; and a roll back that the kill cuts off."""
    serving = Hosting(start(), f"bkt-{tmp_path.name}".lower().replace("_", "-")[:60].strip("-"))
    serving.put_model(tmp_path, "a.tar.gz")
    serving.create("e", count=2)
    serving.invoke("e", "a.tar.gz")
    _roll_back(serving)
    for how in ("kill", "stop"):
        before = pids(serving, "e")
        if how == "kill":
            serving.process.kill()
        else:
            serving.process.process.terminate()
            assert serving.process.process.wait(12) == 0
            assert not any(map(alive, before))
            assert not list((serving.process.data / "instances").iterdir())
        wait_for(lambda: not any(map(alive, before)), 12, "the containers to end with localaws")  # noqa: B023
        serving.process.start()
        # Never shown as Creating again; a call waits for the new instance.
        found = serving.sagemaker.describe_endpoint(EndpointName="e")
        assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "e")
        assert "errors" in found["FailureReason"]
        assert b"a.tar.gz" in serving.invoke("e", "a.tar.gz")["Body"]
        wait_for(lambda: len(pids(serving, "e")) == 2)
        folders = list((serving.process.data / "instances").iterdir())
        assert len(folders) == 2  # those of before are gone
    after = pids(serving, "e")
    serving.delete("e")
    assert not any(map(alive, after))


def _roll_back(serving):
    """Begin an update, and have an alarm roll it back."""
    cloudwatch = serving.process.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="n", MetricName="m", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    serving.create_config("e-2", model="e")
    traffic = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 3600}
    serving.sagemaker.update_endpoint(
        EndpointName="e",
        EndpointConfigName="e-2",
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
        },
    )

    def rolls_back():
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a test")
        found = serving.sagemaker.describe_endpoint(EndpointName="e")
        return found["EndpointStatus"] != "Updating"

    wait_for(rolls_back, 30, "the roll back")


def test_what_was_under_way_is_finished(start, tmp_path, name):
    slow = ("--create-seconds", "2", "--delete-seconds", "5")  # longer than a start takes
    hosting = Hosting(start(*slow), "under-way")
    hosting.create("new", wait=False)
    hosting.process.kill()
    hosting.process.start()
    assert hosting.settled("new")["EndpointStatus"] == "InService"
    (instance,) = pids(hosting, "new")
    hosting.sagemaker.delete_endpoint(EndpointName="new")
    hosting.process.kill()
    hosting.process.start()
    assert hosting.sagemaker.describe_endpoint(EndpointName="new")["EndpointStatus"] == "Deleting"
    wait_for(lambda: not hosting.exists("new"), 20)
    assert not alive(instance)


def test_sigterm_ends_it_while_s3_does_not_answer(start, tmp_path, name):
    """Downloads wait a minute for S3, and are tried again: no thread of theirs holds the end."""
    s3 = S3Server(tmp_path / "objects").start()
    try:
        hosting = Hosting(start("--invocation-timeout", "1", s3=s3.url), "stopped-s3")
        hosting.create(name)
        s3.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ClientError):
            hosting.invoke(name, "a.tar.gz")  # its download has begun, and goes on
        hosting.process.process.terminate()
        assert hosting.process.process.wait(12) == 0
    finally:
        s3.process.send_signal(signal.SIGCONT)
        s3.stop()


def test_a_taken_port_and_a_folder_in_use_are_said_and_left_alone(hosting, name):
    hosting.create(name)
    before = pids(hosting, name)
    taken = str(hosting.process.port)
    command = [sys.executable, "-m", "localaws", "--container-command", "x"]

    def refused(*options):
        result = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 1
        return result.stderr

    other = str(hosting.process.data.parent / "other")
    assert f"port {taken} is taken" in refused("--port", taken, "--data", other)
    assert "another localaws runs with --data" in refused("--data", str(hosting.process.data))
    assert pids(hosting, name) == before
    assert len(list((hosting.process.data / "instances").iterdir())) == len(before)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--port=99999", "'99999' is not a whole number from 1 to 65535"),
        ("--threads=none", "'none' is not a whole number of at least 4"),
        ("--max-instances=0", "of at least 1"),
        ("--disk-mb=-5", "of at least 1"),
        ("--create-seconds=-1", "'-1' is not a number of at least 0"),
        ("--load-timeout=inf", "'inf' is not a number"),
        ("--account=12", "not of the form [0-9]{12}"),
        ("--s3-endpoint=nonsense", "not of the form https?://"),
        ("--container-engine=no-such-engine", "give either"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as ending:
        main(["--data", str(tmp_path), "--container-command", "x", option])
    assert ending.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_that_cannot_be_is_said():
    with pytest.raises(FolderUnusable, match="/proc/none cannot be written to"):
        lock_folder(Path("/proc/none"))


def test_an_engine_that_is_not_there_is_said(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--container-engine", "no-such-engine"])
    assert "there is no program no-such-engine" in capsys.readouterr().err


def test_help_explains():
    command = [sys.executable, "-m", "localaws", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    for word in ("multi-model", "--s3-endpoint", "--create-seconds", "AWS_ENDPOINT_URL"):
        assert word in text
