"""What an address says that takes a form alone, as that of a plan."""

from collections.abc import Callable

from django.test import Client

from endpoints.models import Endpoint


def test_an_address_that_takes_a_form_alone_says_so(
    client_of: Callable[[str], Client], db: None
) -> None:
    operator = client_of("operator")
    page = f"/endpoints/{Endpoint.objects.create(name='demo').pk}/pause/"

    answer = operator.get(page, headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "This address takes a form alone" in answer.content.decode()
    assert not operator.put(page).content, "programs are told by the status"
