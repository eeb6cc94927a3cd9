"""Prices by AWS's price list, as its Query API answers."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from core import aws, clock, where
from endpoints import price_list, prices, tasks
from endpoints.models import PriceLook
from localaws.tests.servers import LocalAwsProcess

pytestmark = pytest.mark.django_db

REGION = "ap-northeast-2"
ASKED = {
    "ServiceCode": "AmazonSageMaker",
    "Filters": [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": REGION},
        {"Type": "TERM_MATCH", "Field": "component", "Value": "Hosting"},
    ],
    "FormatVersion": "aws_v1",
}


def product(usage: str, price: str, *, unit: str = "Hrs", currency: str = "USD") -> str:
    """A product as the price list has it."""
    dimension = {"unit": unit, "pricePerUnit": {currency: price}}
    terms = {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}}
    found = {"product": {"attributes": {"usagetype": usage}}, "terms": terms}
    return json.dumps(found)


@pytest.fixture
def on_aws(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PRICES_FROM_AWS, settings.PRICE_LIST, settings.AWS_REGION = True, "", REGION
    monkeypatch.setattr(where, "is_local", lambda: False)


def _answer(stubber: Stubber, *products: str) -> None:
    stubber.add_response("get_products", {"PriceList": list(products)}, ASKED)


def test_the_prices_of_the_region_are_read_and_count(on_aws: None) -> None:
    assert not prices.known().by_aws
    with Stubber(aws.pricing()) as stubber:
        first = {"PriceList": [product("APN2-Host:ml.m5.large", "0.1420000000")], "NextToken": "n"}
        stubber.add_response("get_products", first, ASKED)
        rest = [
            product("Host:ml.m5.xlarge", "0.284"),  # us-east-1 has no prefix in some years
            product("APN2-AsyncInf:ml.m5.large", "9"),
            product("APN2-Host:VolumeUsage.gp2", "0.16", unit="GB-Mo"),
            product("APN2-Host:ml.c5.large", "0.0000000000"),
            "no JSON",
            json.dumps({"product": {}}),
        ]
        stubber.add_response("get_products", {"PriceList": rest}, ASKED | {"NextToken": "n"})
        tasks.sweep_prices()
    found = prices.known()
    assert found.per_hour == {"ml.m5.large": Decimal("0.142"), "ml.m5.xlarge": Decimal("0.284")}
    assert (found.region, found.currency, found.by_aws, found.problem) == (REGION, "USD", True, "")
    assert found.collected == clock.now().date().isoformat()
    assert "read from AWS’s price list on" in found.estimate


def test_a_region_in_yuan_has_its_own_currency(on_aws: None) -> None:
    with Stubber(aws.pricing()) as stubber:
        _answer(stubber, product("CNN1-Host:ml.m5.large", "0.9", currency="CNY"))
        assert price_list.of_region(REGION) == ("CNY", {"ml.m5.large": Decimal("0.9")})


def test_it_is_read_once_a_day_and_tried_again_in_an_hour(
    on_aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    with Stubber(aws.pricing()) as stubber:
        stubber.add_client_error("get_products", "AccessDeniedException", "no")
        price_list.sweep()
        price_list.sweep()  # nothing is asked: the stub would refuse
        kept = prices.known()
        assert not kept.by_aws
        said = "AWS says: no (AccessDeniedException, while reading AWS’s price list)"
        assert said in str(kept.problem)
        monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=61))
        _answer(stubber, product("APN2-Host:ml.m5.large", "0.142"))
        price_list.sweep()
        assert prices.known().by_aws
        monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=24))
        price_list.sweep()
        monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=26))
        stubber.add_client_error("get_products", "ThrottlingException", "slow")
        price_list.sweep()
    found = prices.known()  # what was read before is kept, and the trouble is said
    assert found.by_aws
    assert found.problem
    assert found.per_hour == {"ml.m5.large": Decimal("0.142")}


def test_a_region_without_prices_is_told(on_aws: None) -> None:
    with Stubber(aws.pricing()) as stubber:
        _answer(stubber)
        price_list.sweep()
    assert str(prices.known().problem) == "AWS’s price list has no prices of ap-northeast-2."


@pytest.mark.parametrize("why", ["local", "off", "a list of your own"])
def test_aws_is_not_asked(
    on_aws: None, settings: Any, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "local":
        monkeypatch.setattr(where, "is_local", lambda: True)
    elif why == "off":
        settings.PRICES_FROM_AWS = False
    else:
        settings.PRICE_LIST = prices._OURS
    PriceLook.objects.create(
        region=REGION, currency="USD", per_hour={"ml.m5.large": "9"}, read_at=clock.now(),
        tried_at=clock.now() - timedelta(days=9),
    )  # fmt: skip
    with Stubber(aws.pricing()):
        price_list.sweep()
    assert not prices.known().by_aws


def test_the_page_and_the_api_list_them(on_aws: None, client_of: Callable[[str], Client]) -> None:
    PriceLook.objects.create(
        region=REGION, currency="USD", per_hour={"ml.m5.large": "0.1420"}, read_at=clock.now(),
        tried_at=clock.now(), problem="No right.",
    )  # fmt: skip
    viewer = client_of("viewer")
    page = viewer.get("/endpoints/cost/").content.decode()
    assert "AWS’s price list could not be read." in page
    assert "No right." in page
    assert '<td class="number">0.142</td>' in page
    assert viewer.get("/api/v1/cost/prices").json() == {
        "region": REGION, "currency": "USD", "collected": clock.now().date().isoformat(),
        "source": "AWS Price List", "problem": "No right.",
        "items": [{"instance_type": "ml.m5.large", "per_hour": "0.142"}],
    }  # fmt: skip


def test_the_start_looks_at_no_table_as_there_may_be_none_yet(
    on_aws: None, settings: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        prices.check()
    settings.PRICE_LIST = "/no/such/list.json"
    with pytest.raises(ImproperlyConfigured):
        prices.check()


@pytest.mark.slow
def test_of_localaws_the_prices_are_read_and_kept_whatever_fails(
    on_aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP, with the faults that localaws can be told to have."""
    by_type = {"ml.m5.large": "0.142", "ml.m5.xlarge": "0.283"}
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"currency": "USD", "regions": {REGION: by_type}}))
    local = LocalAwsProcess(tmp_path / "data", "http://127.0.0.1:1", "--prices", str(file)).start()
    try:
        client = local.client("pricing", region_name="us-east-1")
        impatient = local.client("pricing", region_name="us-east-1", read_timeout=1)
        monkeypatch.setattr(aws, "pricing", lambda: client)
        tasks.sweep_prices()
        read = {kind: Decimal(price) for kind, price in by_type.items()}
        assert prices.known().per_hour == read
        for fault in (
            {"action": "throttle"},
            {"action": "error", "code": "AccessDeniedException", "status": 400},
            {"action": "error", "code": "InternalErrorException", "status": 500},
            {"action": "drop"},
            {"action": "delay", "seconds": 3},
        ):
            local.admin("faults", "PUT", {"faults": [{"operation": "GetProducts"} | fault]})
            PriceLook.objects.update(tried_at=clock.now() - timedelta(days=2))
            with monkeypatch.context() as patch:
                patch.setattr(aws, "pricing", lambda: impatient)
                tasks.sweep_prices()
            row = PriceLook.objects.get()
            assert row.problem, fault
            assert prices.known().per_hour == read, "what was read before counts"
        PriceLook.objects.update(tried_at=clock.now() - timedelta(hours=2))
        tasks.sweep_prices()
        assert PriceLook.objects.get().problem == ""
    finally:
        local.stop()
