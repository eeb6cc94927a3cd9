"""AWS's price list, from a file."""

import json
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from localaws.pricing import PricesUnreadable, Pricing
from localaws.tests.servers import ROOT

SEOUL, TOKYO = "ap-northeast-2", "ap-northeast-1"
PRICES = {
    "currency": "USD",
    "regions": {
        SEOUL: {"ml.m5.large": "0.142", "ml.m5.xlarge": "0.283", "ml.c5.large": "0.12"},
        TOKYO: {"ml.m5.large": "0.149"},
    },
}


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "prices.json"
    made.write_text(json.dumps(PRICES))
    return made


def matching(**fields):
    return [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()
    ]


def test_products_are_filtered_and_paged_as_by_the_price_list(start, file):
    client = start("--prices", str(file)).client("pricing", region_name="us-east-1")
    pages = client.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker",
        Filters=matching(regionCode=SEOUL, component="Hosting"),
        PaginationConfig={"PageSize": 2},
    )
    found = [[json.loads(one) for one in page["PriceList"]] for page in pages]
    assert [len(page) for page in found] == [2, 1]
    products = {one["product"]["attributes"]["instanceName"]: one for page in found for one in page}
    assert set(products) == set(PRICES["regions"][SEOUL])
    (term,) = products["ml.m5.xlarge"]["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert (dimension["unit"], dimension["pricePerUnit"]) == ("Hrs", {"USD": "0.2830000000"})
    in_tokyo = client.get_products(
        ServiceCode="AmazonSageMaker", Filters=matching(regionCode=TOKYO)
    )
    assert len(in_tokyo["PriceList"]) == 1
    with pytest.raises(client.exceptions.NotFoundException):
        client.get_products(ServiceCode="AmazonEC2")
    with pytest.raises(client.exceptions.InvalidNextTokenException):
        client.get_products(ServiceCode="AmazonSageMaker", NextToken="more")
    other = [{"Type": "CONTAINS", "Field": "usagetype", "Value": "ml"}]
    with pytest.raises(client.exceptions.InvalidParameterException, match="TERM_MATCH, not"):
        client.get_products(ServiceCode="AmazonSageMaker", Filters=other)
    with pytest.raises(ClientError, match="DescribeServices is not offered"):
        client.describe_services()


def test_without_a_file_there_are_no_prices(local):
    client = local.client("pricing", region_name="us-east-1")
    with pytest.raises(ClientError, match="where --prices names a file"):
        client.get_products(ServiceCode="AmazonSageMaker")


@pytest.mark.parametrize("text", ["", "[]", '{"currency": "USD"}',
    '{"currency": "USD", "regions": {"x": {"ml.m5.large": "dear"}}}'])  # fmt: skip
def test_a_file_without_prices_is_refused_at_the_start(tmp_path, text):
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(PricesUnreadable, match="has no prices"):
        Pricing(file)


def test_the_command_says_what_is_wrong_with_the_file(tmp_path):
    command = [
        *(sys.executable, "-m", "localaws", "--data", str(tmp_path / "data"), "--no-signatures"),
        *("--container-command", "none", "--prices", str(tmp_path / "missing.json")),
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "missing.json has no prices" in ran.stderr
    assert "Traceback" not in ran.stderr
