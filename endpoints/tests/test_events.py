"""Each change that a run can see has a sentence, and its parameters fit."""

import pytest

from activity import codes
from activity.models import Event
from core import errors
from endpoints.models import Endpoint, Resource
from endpoints.reconciler.kinds import ENDPOINT, KINDS, ResourceKind
from endpoints.reconciler.run import NotOurs, Run
from endpoints.tests.account import Account

State = Resource.State
# States of each kind that a run can note.
NOTED = [
    (kind, state)
    for kind in KINDS
    for state in State
    if state != State.WAITING
    and (kind is ENDPOINT) >= (state not in (State.CREATED, State.DELETING, State.GONE, State.KEPT))
    and (kind, state) != (ENDPOINT, State.CREATED)
]
EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def sentences(run: Run) -> list[str]:
    for event in run.events:
        stored = codes.validated(event.code, event.parameters)
        assert codes.render(event.code, stored) == str(event) == str(event.sentence)
    return [str(event) for event in run.events]


@pytest.mark.parametrize(("kind", "state"), NOTED, ids=lambda value: getattr(value, "kind", value))
def test_each_state_of_each_kind_is_told(
    endpoint: Endpoint, kind: ResourceKind, state: Resource.State
) -> None:
    run = Run(endpoint)
    run.note(kind, state)
    (sentence,) = sentences(run)
    assert kind.noun in sentence
    assert run.resources[kind.kind].state == state


@EACH_KIND
def test_what_was_changed_outside_is_told(serving: Endpoint, kind: ResourceKind) -> None:
    run = Run(serving)
    run.tell(f"endpoint.{kind.kind}.lost", kind)
    run.tell(f"endpoint.{kind.kind}.replaced", kind)
    assert all(kind.noun in sentence for sentence in sentences(run))
    assert len(run.events) == 2


@EACH_KIND
def test_what_is_not_ours_is_told_with_what_it_is(
    serving: Endpoint, account: Account, kind: ResourceKind
) -> None:
    Resource.objects.update(created_at=None)
    Endpoint.objects.update(image="other", instance_type="ml.other", name="demo")
    run = Run(Endpoint.objects.get())
    run.endpoint.revision = 7  # so that the config's and the model's names differ
    with pytest.raises(NotOurs) as caught:
        run.look(kind)
    run.events.append(caught.value.event)
    assert sentences(run)[-1] == str(caught.value)
    assert f"{kind.noun} named {run.resources[kind.kind].name}" in str(caught.value)


def test_what_aws_says_is_told_to_its_end(endpoint: Endpoint, account: Account, advance) -> None:
    denied = "User is not authorized. " * 40 + "The action is sagemaker:CreateModel"
    account.failures["create_model"] = [errors.Denied(denied)]
    row = advance(endpoint)
    event = Event.objects.about("endpoint", row.pk).first()
    assert event is not None
    assert event.sentence == row.failure
    assert event.sentence.endswith("sagemaker:CreateModel")
    assert len(denied) < codes.LONG
