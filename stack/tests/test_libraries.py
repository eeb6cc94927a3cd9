"""A machine without MXNet's libraries is told what to install before anything starts."""

import pytest

from stack import libraries
from stack.errors import StackError


def test_a_missing_library_is_named_with_its_package() -> None:
    with pytest.raises(StackError, match=r"libnothere\.so\.9.*apt-get install libnothere9"):
        libraries.check({"libc.so.6": "libc6", "libnothere.so.9": "libnothere9"})


def test_this_machine_has_what_mxnet_needs() -> None:
    libraries.check()
