"""How SageMaker deploys a change that needs another configuration: at once, or step by step.

In each step a share of the calls goes to new instances, which are watched for a while. An alarm of
CloudWatch that is in ALARM meanwhile has SageMaker go back (DG/deployment-guardrails).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.sentences import Sentence, phrase
from endpoints.variants import ProductionVariant

#: Seconds; API: TrafficRoutingConfig, WaitIntervalInSeconds.
LONGEST_WAIT_S = 3600
MOST_ALARMS = 10
_ALARM = re.compile(r"[^\x00-\x1f]{1,255}")  # API: Alarm, AlarmName


class PolicyKind(models.TextChoices):
    """How the calls move to the new instances."""

    AT_ONCE = "all_at_once", gettext_lazy("All at once")
    CANARY = "canary", gettext_lazy("Canary: a share first, then all")
    LINEAR = "linear", gettext_lazy("Linear: in steps of this share")
    ROLLING = "rolling", gettext_lazy("Rolling: instances in batches of this share")


#: Percent; where nobody says another.
USUAL_SHARE = 10
#: Between how many percent a share is (API: CanarySize, LinearStepSize, MaximumBatchSize).
SHARES: dict[str, tuple[int, int]] = {
    PolicyKind.CANARY: (1, 50),
    PolicyKind.LINEAR: (10, 50),
    PolicyKind.ROLLING: (5, 50),
}


@dataclass(frozen=True)
class DeploymentPolicy:
    """One of `PolicyKind`, its share in ``percent``, and seconds to watch after each step.

    ``alarms``: the names of CloudWatch's alarms that send all calls back.
    """

    kind: str
    percent: int = 0
    wait_s: int = 0
    alarms: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What a row keeps of it."""
        return {
            "kind": str(self.kind),
            "percent": self.percent,
            "wait_s": self.wait_s,
            "alarms": list(self.alarms),
        }

    @property
    def said(self) -> Sentence:
        """What it does, in the reader's language."""
        names = ", ".join(self.alarms)
        told = {"percent": self.percent, "wait": self.wait_s}
        sentences = {
            PolicyKind.AT_ONCE: phrase("all at once, watched for %(wait)s s", wait=self.wait_s),
            PolicyKind.CANARY: phrase("%(percent)s percent for %(wait)s s, then all", **told),
            PolicyKind.LINEAR: phrase("in steps of %(percent)s percent, %(wait)s s each", **told),
            PolicyKind.ROLLING: phrase(
                "in batches of %(percent)s percent, %(wait)s s each", **told
            ),
        }
        said = sentences[PolicyKind(self.kind)]
        if not names:
            return said
        return phrase("%(policy)s; back by alarm %(names)s", policy=said, names=names)

    @property
    def config(self) -> dict[str, Any]:
        """SageMaker's DeploymentConfig."""
        size = {"Type": "CAPACITY_PERCENT", "Value": self.percent}
        if self.kind == PolicyKind.ROLLING:
            rolling = {"MaximumBatchSize": size, "WaitIntervalInSeconds": self.wait_s}
            found: dict[str, Any] = {"RollingUpdatePolicy": rolling}
        else:
            traffic: dict[str, Any] = {
                "Type": str(self.kind).upper(), "WaitIntervalInSeconds": self.wait_s,
            }  # fmt: skip
            if self.kind == PolicyKind.CANARY:
                traffic["CanarySize"] = size
            elif self.kind == PolicyKind.LINEAR:
                traffic["LinearStepSize"] = size
            found = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}}
        if self.alarms:
            alarms = [{"AlarmName": name} for name in self.alarms]
            found["AutoRollbackConfiguration"] = {"Alarms": alarms}
        return found


def from_json(kept: object) -> DeploymentPolicy | None:
    """What a row keeps; None where it keeps none."""
    if not isinstance(kept, dict):
        return None
    return DeploymentPolicy(kept["kind"], kept["percent"], kept["wait_s"], tuple(kept["alarms"]))


def check(
    policy: DeploymentPolicy,
    before: Sequence[ProductionVariant],
    after: Sequence[ProductionVariant],
    *,
    same_config: bool,
) -> None:
    """Raise ValidationError, of the field ``policy``, where SageMaker would not take it.

    ``before`` and ``after`` are the variants; ``same_config``: whether the configuration stays.
    """
    problems = []
    low, high = SHARES.get(policy.kind, (0, 100))
    if policy.kind not in PolicyKind.values:
        known = ", ".join(PolicyKind.values)
        raise ValidationError({"policy": _("Choose one of: %(names)s.") % {"names": known}})
    if policy.kind in SHARES and not low <= policy.percent <= high:
        said = _("Its share is a number of percent from %(low)s to %(high)s.")
        problems.append(said % {"low": low, "high": high})
    if not 0 <= policy.wait_s <= LONGEST_WAIT_S:
        said = _("Choose a number of seconds from 0 to %(most)s.")
        problems.append(said % {"most": LONGEST_WAIT_S})
    if len(policy.alarms) > MOST_ALARMS or not all(map(_ALARM.fullmatch, policy.alarms)):
        said = _("Name at most %(most)s alarms, each by 1 to 255 characters.")
        problems.append(said % {"most": MOST_ALARMS})
    if same_config:
        problems.append(
            _("Numbers of instances and weights alone are changed at once, without a policy.")
        )
    elif {one.name for one in before} != {one.name for one in after}:
        problems.append(_("SageMaker takes a policy only where the variants keep their names."))
    elif policy.kind == PolicyKind.ROLLING and len(after) > 1:
        problems.append(_("SageMaker rolls only endpoints with one variant."))
    if problems:
        raise ValidationError({"policy": problems})
