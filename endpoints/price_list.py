"""AWS's price list, read once a day where that is allowed (pricing:GetProducts).

What it said is kept in a row, so that prices are known while AWS does not answer; prices.py uses
it. On a local stack, and where PRICE_LIST names a file, AWS is not asked.
"""

import json
import logging
import re
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings

from core import aws, clock, errors
from core.sentences import Sentence, phrase
from endpoints import prices
from endpoints.models import PriceLook

logger = logging.getLogger(__name__)

#: Prices change seldom; who was just given the right to read them does not want to wait a day.
READ_AGAIN = timedelta(days=1)
TRY_AGAIN = timedelta(hours=1)
# How an hour of an instance for real-time inference is named: USE1-Host:ml.m5.xlarge.
_USAGE = re.compile(r"(?:[A-Z0-9]+-)?Host:(ml\.[a-z0-9-]+\.[a-z0-9]+)", re.ASCII)


def sweep() -> None:
    """Read the price list where that is due; a look that fails keeps the prices read before."""
    if not prices.asks_aws():
        return
    region, now = settings.AWS_REGION, clock.now()
    row = PriceLook.objects.filter(region=region).first()
    if row is not None and now < row.tried_at + (TRY_AGAIN if row.problem else READ_AGAIN):
        return
    try:
        currency, per_hour = of_region(region)
    except errors.AwsError as error:
        logger.warning("AWS's price list was not read: %s", error.sentence.english())
        _write(region, problem=error.sentence)
        return
    if not per_hour:
        none = phrase("AWS’s price list has no prices of %(region)s.", region=region)
        _write(region, problem=none)
        return
    kept = {kind: str(price) for kind, price in sorted(per_hour.items())}
    _write(region, currency=currency, per_hour=kept, read_at=now)
    logger.info("Read %d prices of %s from AWS's price list.", len(kept), region)


def _write(region: str, *, problem: Sentence | None = None, **read: Any) -> None:
    said = {
        "tried_at": clock.now(),
        "problem": problem.english() if problem else "",
        "problem_code": problem.as_json() if problem else None,
    }
    PriceLook.objects.update_or_create(region=region, defaults=said | read)
    prices.forget()


def of_region(region: str) -> tuple[str, dict[str, Decimal]]:
    """The currency, and what an hour of each instance type costs for real-time inference.

    Raises an AwsError. Source: Price List Query API, GetProducts of AmazonSageMaker, by its
    attributes ``regionCode`` and ``component``.
    """
    wanted = {"regionCode": region, "component": "Hosting"}
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
    ]
    with aws.translated(phrase("reading AWS’s price list")):
        pages = (
            aws.pricing()
            .get_paginator("get_products")
            .paginate(ServiceCode="AmazonSageMaker", Filters=filters, FormatVersion="aws_v1")
        )
        products = [product for page in pages for product in page["PriceList"]]
    # Regions of China have theirs in yuan, all others in dollars.
    found: dict[str, dict[str, Decimal]] = {}
    for currency, kind, price in _read(products):
        found.setdefault(currency, {})[kind] = price
    return max(found.items(), key=lambda one: len(one[1])) if found else ("", {})


def _read(products: Iterable[str]) -> Iterable[tuple[str, str, Decimal]]:
    """Currency, instance type and price an hour of each product; others are passed over."""
    for text in products:
        try:
            product: dict[str, Any] = json.loads(text)
            named = _USAGE.fullmatch(product["product"]["attributes"]["usagetype"])
            for term in product["terms"]["OnDemand"].values() if named else ():
                for part in term["priceDimensions"].values():
                    for currency, price in part["pricePerUnit"].items():
                        if named and part["unit"] == "Hrs" and Decimal(price) > 0:
                            yield currency, named[1], Decimal(price)
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
            logger.warning("A product of AWS's price list is not understood: %r", error)
