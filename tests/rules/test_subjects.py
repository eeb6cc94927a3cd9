"""The addresses that the rules hold for are those of the URL conf."""

from django.urls import resolve, reverse

from tests.rules.subjects import addresses


def test_every_app_and_the_admin_are_among_the_addresses() -> None:
    found = {one.name: one for one in addresses()}
    assert {"home", "login", "activity:list", "admin:auth_user_change"} <= set(found)
    assert found["endpoints:detail"].converters == ("pk",)
    assert "admin/<url>" in found  # the admin's catch-all has no name


def test_an_address_is_what_reverse_makes_of_it() -> None:
    version = {one.name: one for one in addresses()}["models_catalog:version"]
    arguments = {"name": "digits", "number": 3}
    assert version.url(arguments) == reverse(version.name, kwargs=arguments)
    assert resolve(version.url(arguments)).func == version.view
