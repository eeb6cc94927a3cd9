"""Many callers, many models, little memory: no wrong answer, no error that AWS would not give."""

import json

from botocore.exceptions import ClientError

from localaws.tests import traffic


def test_an_answer_that_was_cut_short_is_counted_as_a_broken_connection():
    cut = ClientError({"Error": {"Code": "ModelError", "Message": ""}}, "InvokeEndpoint")
    assert traffic.name_of(cut)[0] == "ConnectionClosedError"
    whole = cut.response | {"OriginalStatusCode": 507, "OriginalMessage": "no room"}
    assert traffic.name_of(ClientError(whole, "InvokeEndpoint"))[0] == "ModelError 507"


def test_skewed_traffic_over_more_models_than_fit(hosting, name, tmp_path):
    targets = [f"m{number}.tar.gz" for number in range(40)]
    for target in targets:
        hosting.put_model(tmp_path, target, load_seconds=0.02, invoke_seconds=0.005)
    hosting.create(name, count=2, Environment={"SAGEMAKER_TINY_CAPACITY": "5"})
    tally = traffic.drive(
        hosting.runtime,
        name,
        targets,
        callers=50,
        seconds=3,
        body=b"x",
        is_right=lambda target, answer: json.loads(answer)["answer"] == target,
    )
    assert not tally.wrong
    assert set(tally.errors) <= traffic.ALLOWED, tally.errors
    assert tally.right > 100
    for one in hosting.process.instances(name):
        assert sum(model["state"] == "loaded" for model in one["models"]) <= 5
        assert not any(model["in_use"] for model in one["models"])
    hosting.delete(name)
