"""The AWS account in memory with what goes wrong in it: one plan for each step of a worker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core import clock, errors
from endpoints import sagemaker
from endpoints.models import Endpoint
from endpoints.tests.account import Account, Crash, check_calls

#: What goes wrong with one call. All but the first two leave the worker alive.
CALL_FAULTS = (
    "killed before",
    "killed after",
    "throttled",
    "busy",
    "lost answer",
    "refused",
    "denied",
)
#: The worker is killed around the transaction that ends its step.
WRITE_FAULTS = ("killed before the write", "killed in the write", "killed after the write")
_READS = ("describe", "list", "tags_of", "scaling_has", "scaling_mis", "scaling_act")
_MAINTAINED = "SystemUpdating"


@dataclass
class StepPlan:
    """What happens in one step: ``fault`` at its call number ``at``, and ``meanwhile`` before it.

    ``meanwhile`` is what another worker, or a person, does in that moment. ``lost``: another worker
    has the row by now, so that this one may change nothing more.
    """

    fault: str = ""
    at: int = 0
    meanwhile: Callable[[bool], None] | None = None
    calls: int = 0
    changes: int = 0
    lost: bool = False
    raced: bool = False
    #: Whether the lease is known to have ended within a changing call.
    late: bool = False


class FaultyAccount(Account):
    """Calls are killed, refused, lost, interrupted and late; reads lag behind."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[StepPlan] = []
        self.lag = timedelta(0)  # how long a read misses what was created, or shows what was
        self.hidden: dict[tuple[str, str], datetime] = {}  # until then it is not shown
        self.shown: dict[str, tuple[datetime, sagemaker.SageMakerEndpoint]] = {}
        self.maintained: dict[str, int] = {}  # so many looks more
        self.at_work: list[StepPlan] = []  # who is within a changing call
        self.orphans_go = False

    @contextmanager
    def step(self, plan: StepPlan) -> Iterator[StepPlan]:
        """One worker's step, or what a person asks for, within which the plan holds."""
        self.plans.append(plan)
        try:
            yield plan
        finally:
            self.plans.remove(plan)
            if plan in self.at_work:
                self.at_work.remove(plan)

    def _wrapped(self, name: str) -> Callable[..., Any]:
        act = getattr(self, f"_{name}")
        changing = not name.startswith(_READS)

        def call(*args: Any, **kwargs: Any) -> Any:
            check_calls(name, *args, **kwargs)
            plan = self.plans[-1]
            plan.calls += 1
            self.calls += 1
            now = plan.calls == plan.at
            if now and plan.meanwhile is not None:
                plan.raced = True
                self._meanwhile(plan, changing)
            fault = plan.fault if now else ""
            if fault == "killed before":
                raise Crash(name)
            if fault == "throttled":
                raise errors.Throttled("Rate exceeded.")
            if fault == "busy":
                raise errors.Busy("Cannot update in-progress endpoint.")
            if fault == "denied":
                raise errors.Denied("The portal is not allowed this.")
            if fault == "refused" and changing:
                raise errors.AwsError("You have no instances of this type left.")
            if changing:
                assert plan.late or not plan.lost, f"{name} by a worker that lost its lease"
                others = [one for one in self.at_work if one is not plan and not one.late]
                assert not others, f"{name} while another worker makes a changing call"
                plan.changes += 1
            answer = act(*args, **kwargs)
            if fault == "killed after":
                raise Crash(name)
            if fault == "lost answer":
                raise errors.Throttled("The connection was lost.")
            return answer

        return call

    def _meanwhile(self, plan: StepPlan, changing: bool) -> None:
        assert plan.meanwhile is not None
        if changing:
            self.at_work.append(plan)
        plan.meanwhile(changing)
        if changing:
            self.at_work.remove(plan)

    # --- reads that lag

    def _hide(self, kind: str, name: str) -> None:
        if self.lag:
            self.hidden[kind, name] = clock.now() + self.lag

    def _is_hidden(self, kind: str, name: str) -> bool:
        until = self.hidden.get((kind, name))
        if until is None:
            return False
        if until > clock.now():
            return True
        del self.hidden[kind, name]
        return False

    def _create_model(self, **wanted: Any) -> str:
        arn = super()._create_model(**wanted)
        self._hide("model", wanted["name"])
        return arn

    def _create_config(self, **wanted: Any) -> str:
        arn = super()._create_config(**wanted)
        self._hide("config", wanted["name"])
        return arn

    def _create_endpoint(self, **wanted: Any) -> str:
        if self._is_hidden("config", wanted["config_name"]):
            raise errors.NotFound(wanted["config_name"])
        arn = super()._create_endpoint(**wanted)
        self.maintained.pop(wanted["name"], None)
        self.shown.pop(wanted["name"], None)
        self._hide("endpoint", wanted["name"])
        return arn

    def _update_endpoint(self, **wanted: Any) -> None:
        if self._is_hidden("config", wanted["config_name"]):
            raise errors.NotFound(wanted["config_name"])
        super()._update_endpoint(**wanted)

    def _describe_model(self, name: str) -> sagemaker.SageMakerModel:
        if self._is_hidden("model", name):
            raise errors.NotFound(name)
        return super()._describe_model(name)

    def _describe_config(self, name: str) -> sagemaker.SageMakerConfig:
        if self._is_hidden("config", name):
            raise errors.NotFound(name)
        return super()._describe_config(name)

    def _describe_endpoint(self, name: str) -> sagemaker.SageMakerEndpoint:
        if self._is_hidden("endpoint", name):
            raise errors.NotFound(name)
        until, before = self.shown.get(name, (None, None))
        if until is not None and before is not None and until > clock.now():
            return before
        found = super()._describe_endpoint(name)
        if self.maintained.get(name):
            self.maintained[name] -= 1
            return replace(found, status=_MAINTAINED)
        return found

    def _delete_endpoint(self, name: str) -> None:
        self._refuse_while_maintained(name)
        if not self.plans[-1].raced and not self.orphans_go:
            unwanted = Endpoint.objects.filter(name=name, gone_at=None)
            assert not unwanted.filter(wanted=Endpoint.Wanted.PRESENT, to_pause=False).exists(), (
                f"{name} is deleted, and wanted"
            )
        before = self.endpoints.get(name)
        super()._delete_endpoint(name)
        if self.lag and before is not None:
            self.shown[name] = clock.now() + self.lag, before

    # --- what SageMaker does by itself

    def _refuse_while_maintained(self, name: str) -> None:
        if self.maintained.get(name):
            raise errors.Busy(f"Cannot update in-progress endpoint {name}")

    def _move(self, name: str, config: str, count: int | None) -> None:
        self._refuse_while_maintained(name)
        super()._move(name, config, count)

    def quiet(self, name: str) -> bool:
        """Whether an endpoint serves, and nothing is under way with it."""
        found = self.endpoints.get(name)
        here = found is not None and found.status == "InService" and name not in self.moving
        return here and not self.maintained.get(name)

    def settle_reads(self) -> None:
        """From now on reads show what is."""
        self.lag = timedelta(0)
        self.hidden.clear()
        self.shown.clear()
        self.update_unseen = 0
