"""Service Quotas of SageMaker's instance types, and that endpoints are held to them."""

import pytest
from botocore.exceptions import ClientError

from localaws.tests.conftest import Hosting


def test_quotas_are_listed_and_hold(start):
    process = start("--quota", "2")
    client = process.client("service-quotas")
    pages = client.get_paginator("list_service_quotas").paginate(
        ServiceCode="sagemaker", PaginationConfig={"PageSize": 20}
    )
    found = {one["QuotaName"]: one for page in pages for one in page["Quotas"]}
    large = found["ml.m5.large for endpoint usage"]
    assert len(found) > 40
    assert large["Value"] == 2.0
    asked = {"ServiceCode": "sagemaker", "QuotaCode": large["QuotaCode"]}
    assert client.get_service_quota(**asked)["Quota"] == large
    with pytest.raises(client.exceptions.NoSuchResourceException):
        client.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-0")
    hosting = Hosting(process, "quotas")
    hosting.create("first", count=2)
    with pytest.raises(ClientError, match="for endpoint usage' is 2 Instances") as caught:
        hosting.create("second", count=1)
    assert caught.value.response["Error"]["Code"] == "ResourceLimitExceeded"
    hosting.delete("first")
    hosting.create("third", count=1)
