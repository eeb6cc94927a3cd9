"""The one error of this package that a person is meant to read."""


class StackError(Exception):
    """Something the person at the keyboard can act on; printed as it is, without a traceback."""
