"""Findings on an archive or a model: the reason of a refusal, and notes for a person."""

from dataclasses import dataclass


class ArtifactError(Exception):
    """An artifact cannot be served as it is.

    ``code`` is one of the codes of the preflight's report; ``message`` is one sentence that names
    the file and says what to do. ``parameters`` are what the message tells, where a reader may want
    to say it in another language.
    """

    def __init__(self, code: str, message: str, **parameters: str | list[str]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parameters = parameters


@dataclass(frozen=True)
class Note:
    """Something that does not keep an artifact from being served, but that a person should know.

    ``code`` is a word that programs can look for; ``message`` is one sentence.
    """

    code: str
    message: str
