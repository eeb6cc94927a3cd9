"""What the tests of the log-in share."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

PASSWORD = "the right long password"

LogIn = Callable[..., HttpResponse]


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def log_in() -> LogIn:
    """Post the log-in form: ``log_in("ada", "wrong", address="192.0.2.1")``."""

    def post(
        name: str, password: str = PASSWORD, *, address: str = "192.0.2.1", **extra: Any
    ) -> Any:
        form = {"username": name, "password": password}
        return Client().post("/login/", form, REMOTE_ADDR=address, **extra)

    return post
