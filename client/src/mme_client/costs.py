"""Cost: what instances cost in a month."""

from __future__ import annotations

from mme_client.noun import Noun
from mme_client.records import CostBudget, CostReport, PriceList


class Costs(Noun):
    """What the instances of endpoints cost, and may cost."""

    def get(self, month: str = "", *, by: str = "endpoint") -> CostReport:
        """What a month cost, as ``2026-11``; the present one by default.

        ``by``: endpoint, owner, tag or day. Endpoints that were forgotten come first.

        >>> portal.costs.get().currency
        'USD'
        """
        query = {"month": month, "by": by}
        answer = self._transport.call("GET", "/cost", query=query)
        return CostReport.of(answer.document(), self._portal)

    def prices(self) -> PriceList:
        """The prices that costs are estimated by.

        >>> portal.costs.prices().currency
        'USD'
        """
        answer = self._transport.call("GET", "/cost/prices")
        return PriceList.of(answer.document(), self._portal)

    def set_budget(self, amount: str, *, owner: str = "", tag: str = "") -> CostBudget:
        """Set what a month may cost: of all, of ``owner``'s, or of those with ``tag``; for admins.

        ``amount`` is a decimal number, as text; ``tag`` is as ``team=vision``.
        """
        body = {"amount": amount, "owner": owner, "tag": tag}
        answer = self._transport.call("PUT", "/cost/budget", document=body)
        return CostBudget.of(answer.document(), self._portal)

    def remove_budget(self, *, owner: str = "", tag: str = "") -> None:
        """Remove a budget. Raises NotFound where there is none."""
        self._transport.call(
            "DELETE", "/cost/budget", query={"owner": owner, "tag": tag}, gone_is_done=True
        )
