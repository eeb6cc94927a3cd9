"""What is said of an archive or a model: why it is refused, and what a person should know of it."""

from dataclasses import dataclass


class ArtifactError(Exception):
    """An artifact cannot be served as it is.

    ``code`` is one of the words that the preflight report promises; ``message`` is one
    sentence a person can act on, naming the file.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Note:
    """Something that does not keep an artifact from being served, but that a person should know.

    ``code`` is a word that programs can look for; ``message`` is one sentence.
    """

    code: str
    message: str
