"""The bases of what operations take and answer."""

from typing import Any

from django.db.models import TextChoices
from ninja import Schema as NinjasSchema
from pydantic import ConfigDict, Field, field_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from core.storable import has_nul


class OneOf:
    """In ``Annotated[str, OneOf(Version.State)]``: one of an enumeration's values.

    A Literal of its members would do, but a refusal would name them as the code does
    (Version.State.READY), and not as a client writes them.
    """

    def __init__(self, choices: type[TextChoices]) -> None:
        self.choices = choices

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """What pydantic validates it by, and makes OpenAPI's ``enum`` of."""
        return core_schema.literal_schema(list(self.choices.values))


class Schema(NinjasSchema):
    """What an operation answers; made of a row, its attributes, or a dict."""


class _Given(NinjasSchema):
    """What a caller gives."""

    @field_validator("*", mode="before")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        """Refuse NUL, which PostgreSQL stores in no text."""
        if has_nul(value):
            raise PydanticCustomError("nul_character", "NUL")
        return value


class Input(_Given):
    """The body that an operation takes. A field that it does not have is refused by name."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Parameters(_Given):
    """The query parameters of an operation: ``query: ninja.Query[MyParameters]``.

    Parameters that it does not have are refused by core/api/operations.py, as ninja ignores them.
    """


class ListParameters(Parameters):
    """The query parameters of a list: how many items a page has, and where it begins."""

    limit: int = Field(50, ge=1, le=200, description="Items of one page.")
    cursor: str = Field("", max_length=2000, description="What `next` said; empty: the first page.")


class ProblemOut(NinjasSchema):
    """A refusal or failure, as RFC 9457 has it."""

    # untranslated: OpenAPI is in English
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/not-found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no model cat.",
                "instance": "6f1c0b7f0a9b4f6e8d2f5a3b7c9d1e0f",
            }
        }
    )

    type: str = Field(description="The page of this kind of problem; its last part is stable.")
    title: str
    status: int
    detail: str = Field(description="What happened, what was kept, and what to do.")
    instance: str = Field(description="The id of the request, also in X-Request-ID and in the log.")
    errors: dict[str, list[str]] | None = Field(None, description="Sentences by field.")
