import re

import pytest

from localaws import shapes
from localaws.aws_errors import AwsError
from localaws.controlplane import ControlPlane
from localaws.options import Options
from localaws.resource_store import Resource, ResourceStore


def patterns(shape, seen):
    if shape.name in seen:
        return
    seen.add(shape.name)
    if shape.type_name == "structure":
        for member in shape.members.values():
            yield from patterns(member, seen)
    elif shape.type_name == "list":
        yield from patterns(shape.member, seen)
    elif shape.type_name == "map":
        yield from patterns(shape.key, seen)
        yield from patterns(shape.value, seen)
    elif "pattern" in shape.metadata:
        yield shape.metadata["pattern"]


def test_it_understands_every_pattern_of_the_operations_offered():
    seen: set[str] = set()
    names = [name for name in vars(ControlPlane) if name[:1].isupper()]
    assert len(names) == 21
    found = [p for n in names for p in patterns(shapes.operation(n).input_shape, seen)]
    found += patterns(
        shapes.service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape,
        seen,
    )
    assert len(found) > 30
    for pattern in found:
        assert r"\p" not in shapes.python_pattern(pattern).pattern


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            b"{}",
            "1 validation error detected: Value null at 'modelName' failed to satisfy "
            "constraint: Member must not be null",
        ),
        (
            b'{"ModelName": "-x"}',
            "1 validation error detected: Value '-x' at 'modelName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: "
            r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?",
        ),
        (
            b'{"ModelName": "' + b"x" * 64 + b'"}',
            f"1 validation error detected: Value '{'x' * 64}' at 'modelName' failed to satisfy "
            "constraint: Member must have length less than or equal to 63",
        ),
        (
            b'{"ModelName": "x", "PrimaryContainer": {"Mode": "Many"}}',
            "1 validation error detected: Value 'Many' at 'primaryContainer.mode' failed to "
            "satisfy constraint: Member must satisfy enum value set: [SingleModel, MultiModel]",
        ),
        (
            b'{"ModelName": "x", "Tags": [{"Key": "a"}], "Colour": 1}',
            "2 validation errors detected: Value null at 'tags.1.member.value' failed to satisfy "
            "constraint: Member must not be null; Unknown member 'colour'",
        ),
    ],
)
def test_it_says_what_is_wrong_as_sagemaker_does(body, sentence):
    with pytest.raises(AwsError) as caught:
        shapes.parse("CreateModel", body)
    assert caught.value.code == "ValidationException"
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"nonsense",
        b"[" * 100_000,
        b'{"ModelName": 5}',
        b'{"ModelName": true}',
        b'{"Tags": {}}',
    ],
)
def test_it_refuses_wrong_types(body):
    with pytest.raises(AwsError, match="SerializationException"):
        shapes.parse("CreateModel", body)


@pytest.mark.parametrize(
    ("count", "weight"), [("1", "NaN"), ("1", "Infinity"), ("1", "1e400"), ("10000000000", "1")]
)
def test_it_refuses_numbers_that_java_has_not(count, weight):
    variant = f'{{"VariantName": "v", "InitialInstanceCount": {count}, "InitialVariantWeight": '
    body = f'{{"EndpointConfigName": "c", "ProductionVariants": [{variant}{weight}}}]}}'
    with pytest.raises(AwsError, match="SerializationException"):
        shapes.parse("CreateEndpointConfig", body.encode())


def test_numbers_have_limits():
    with pytest.raises(AwsError, match="greater than or equal to 1"):
        shapes.parse("ListModels", b'{"MaxResults": 0}')
    with pytest.raises(AwsError, match="less than or equal to 100"):
        shapes.parse("ListModels", b'{"MaxResults": 101}')


def test_timestamps_are_numbers_or_text():
    assert shapes.timestamp(12.5) == 12.5
    assert shapes.timestamp("1970-01-01T00:01:00Z") == 60
    with pytest.raises(AwsError, match="is not a timestamp"):
        shapes.parse("ListModels", b'{"CreationTimeBefore": "soon"}')


def test_answers_hold_only_what_the_shape_knows():
    body = shapes.answer("DescribeModel", {"ModelName": "a", "Secret": 1, "CreationTime": None})
    assert re.sub(rb"\s", b"", body) == b'{"ModelName":"a"}'


def test_a_member_that_is_null_counts_as_one_that_is_not_given(tmp_path):
    assert shapes.parse("ListModels", b'{"NameContains": null, "MaxResults": null}') == {}
    store = ResourceStore(tmp_path / "state.sqlite3")
    options = Options(data=tmp_path, container_command=("none",))
    control = ControlPlane(options, store, None, None, None)
    store.add(Resource("model", "m", "arn", 1.0, 1.0))
    assert b'"m"' in control.call("ListModels", b'{"NameContains": null, "MaxResults": null}')
    variant = b'{"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", '
    variant += b'"InitialInstanceCount": 1, "InitialVariantWeight": null}'
    body = b'{"EndpointConfigName": "c", "ProductionVariants": [' + variant + b"]}"
    control.call("CreateEndpointConfig", body)
    assert store.get("endpoint-config", "c").body["ProductionVariants"][0][
        "InitialVariantWeight"
    ] == 1.0  # fmt: skip
