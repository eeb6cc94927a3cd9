"""The error of this package for messages to the user."""


class StackError(Exception):
    """A problem that the user can solve; printed without a traceback."""
