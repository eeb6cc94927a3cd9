"""Why AWS refuses a step, on the endpoint's page: what happened, what is kept, what to do."""

from collections.abc import Callable

import pytest

from core import aws
from core.tests.test_refusals import REFUSALS, error_of
from endpoints.models import Endpoint
from endpoints.tests.account import Account


@pytest.mark.parametrize(
    "what",
    ["no right to a data key", "a right that is missing", "a session that is over (SageMaker)"],
)
def test_an_endpoints_page_has_the_advice_and_what_is_kept(
    what: str,
    account: Account,
    endpoint: Endpoint,
    advance: Callable[[Endpoint], Endpoint],
    client_of: Callable[[str], object],
) -> None:
    account.failures["create_model"] = [aws.from_client_error(error_of(what), "creating it")]
    row = advance(endpoint)
    assert all(word in row.failure for word in REFUSALS[what][4])
    assert row.hint.startswith("What exists stays as it is.")
    page = client_of("viewer").get(endpoint.get_absolute_url()).content.decode()  # type: ignore[attr-defined]
    assert REFUSALS[what][4][0] in page.replace("&#x27;", "'")
