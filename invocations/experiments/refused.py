"""What is raised where an experiment is not begun, or not changed."""


class ExperimentRefused(Exception):
    """Nothing was called; ``str()`` says why, in the reader's language.

    ``code`` is that of the API's problem (core/api/problems.py); of ``invalid`` ones ``field`` is
    what was given wrongly.
    """

    def __init__(self, said: str, code: str = "conflict", field: str = "") -> None:
        super().__init__(said)
        self.code = code
        self.field = field
