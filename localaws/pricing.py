"""AWS's price list: what an hour of each instance type costs for real-time inference.

The prices are those of a file, ``--prices``: JSON with ``currency`` and ``regions``, of each region
the price by type, as the portal's endpoints/prices.json. GetProducts answers with the products of
the form that the Price List Query API has; it knows AmazonSageMaker alone.
"""

import hashlib
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from . import shapes
from .aws_errors import AwsError, unknown_operation

_PAGE = 100  # GetProducts, MaxResults
#: Both are part of a price's id in the list: on demand, and by the hour.
_TERM, _RATE = "JRTCKXETXF", "6YS6EN2CT7"

Members = dict[str, Any]


class PricesUnreadable(ValueError):
    """The file of prices is none; the message says why."""


class Pricing:
    """The operations; requests come in by ``call``."""

    def __init__(self, file: Path | None) -> None:
        """``file`` None: there are no prices, and each operation is refused.

        Raises PricesUnreadable.
        """
        self._products = None if file is None else _products(file)

    def call(self, operation: str, body: bytes) -> bytes:
        """Answer one request; raises AwsError."""
        if operation != "GetProducts" or self._products is None:
            raise unknown_operation(
                f"{operation} is not offered by localaws. Of the price list it offers GetProducts, "
                "where --prices names a file."
            )
        request = shapes.parse(operation, body, shapes.PRICING)
        return shapes.answer(operation, self._found(request), shapes.PRICING)

    def _found(self, request: Members) -> Members:
        if request["ServiceCode"] != "AmazonSageMaker":
            raise AwsError("NotFoundException", "The service is not found: localaws has the prices "
                           "of AmazonSageMaker alone.")  # fmt: skip
        for one in request.get("Filters", []):
            if one["Type"] != "TERM_MATCH":
                raise AwsError(
                    "InvalidParameterException",
                    f"localaws offers filters of the type TERM_MATCH, not {one['Type']}.",
                )
        wanted = {one["Field"]: one["Value"] for one in request.get("Filters", [])}
        found = [
            product
            for product in self._products or ()
            if all(product["product"]["attributes"].get(key) == wanted[key] for key in wanted)
        ]
        token = request.get("NextToken") or "0"
        if not token.isdigit() or len(token) > 6:
            raise AwsError("InvalidNextTokenException", "The pagination token is invalid.")
        begin, size = int(token), request.get("MaxResults") or _PAGE
        page: Members = {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(one) for one in found[begin : begin + size]],
        }
        if begin + size < len(found):
            page["NextToken"] = str(begin + size)
        return page


def _products(file: Path) -> list[Members]:
    try:
        given = json.loads(file.read_bytes())
        return [
            _product(region, kind, given["currency"], Decimal(price))
            for region, prices in given["regions"].items()
            for kind, price in prices.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise PricesUnreadable(
            f'{file} has no prices: JSON with "currency" and "regions", and of each region the '
            f"price of an hour by instance type, is needed ({error!r})."
        ) from error


def _product(region: str, kind: str, currency: str, price: Decimal) -> Members:
    """A product as the price list has it; what clients do not need is left out."""
    sku = hashlib.sha256(f"{region} {kind}".encode()).hexdigest()[:16].upper()
    dimension = {
        "unit": "Hrs",
        "description": f"{currency} {price} per Hosting {kind} hour in {region}",
        "rateCode": f"{sku}.{_TERM}.{_RATE}",
        "beginRange": "0",
        "endRange": "Inf",
        "appliesTo": [],
        "pricePerUnit": {currency: f"{price:.10f}"},
    }
    term = {
        "sku": sku,
        "offerTermCode": _TERM,
        "termAttributes": {},
        "priceDimensions": {f"{sku}.{_TERM}.{_RATE}": dimension},
    }
    attributes = {
        "servicecode": "AmazonSageMaker",
        "servicename": "Amazon SageMaker",
        "regionCode": region,
        "component": "Hosting",
        "instanceName": kind,
        "usagetype": f"Host:{kind}",
    }
    return {
        "serviceCode": "AmazonSageMaker",
        "product": {"sku": sku, "productFamily": "ML Instance", "attributes": attributes},
        "terms": {"OnDemand": {f"{sku}.{_TERM}": term}},
    }
