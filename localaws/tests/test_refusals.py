"""What a caller may ask of SageMaker's runtime and localaws does not have, or cannot find."""

import pytest
from botocore.exceptions import ClientError


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("invoke_endpoint_async", {"InputLocation": "s3://bucket/key"}),
        ("invoke_endpoint_with_response_stream", {"Body": b"x"}),
    ],
)
def test_other_kinds_of_invocation_are_refused(hosting, operation, members):
    code, message = refused(
        lambda: getattr(hosting.runtime, operation)(EndpointName="any", **members)
    )
    assert code == "UnknownOperationException"
    assert "InvokeEndpoint" in message


@pytest.mark.parametrize("member", ["InferenceComponentName", "TargetContainerHostname"])
def test_a_call_for_another_target_is_refused(hosting, member):
    code, message = refused(
        lambda: hosting.invoke("any", "a.tar.gz", **{member: "something"}),
    )
    assert (code, message) == ("ValidationError", f"localaws does not offer {member}.")


@pytest.mark.parametrize("target", ["../a.tar.gz", "x/../../a.tar.gz"])
def test_a_name_that_no_object_has_is_the_callers_fault(hosting, name, tmp_path, target):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    code, message = refused(lambda: hosting.invoke(name, target))
    assert code == "ValidationError"
    assert message.startswith(f"Failed to download model data (bucket: {hosting.bucket}, key: ")
    hosting.delete(name)
