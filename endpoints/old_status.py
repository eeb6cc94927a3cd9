"""Understand rows that the release before wrote, and write rows that it understands.

The release before knew one column, ``status``, for both the state and SageMaker's word. While its
processes still run beside those of this release, each side must read what the other wrote. So this
release writes the old column with the new ones, and trusts the old column where it differs: then
the release before was the last to write. The next release can drop this module and the column.
"""

import re
from collections.abc import Collection
from typing import Any, Self, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)

_WORD_BEGINS = re.compile(r"(?<!^)(?=[A-Z])")


def state_value(word: str) -> str:
    """The value of a state, from SageMaker's word or the old one: InService is in_service."""
    return _WORD_BEGINS.sub("_", word).lower()


def old_word(state: str, sagemaker_status: str) -> str:
    """What the release before wrote for a state: SageMaker's word, where there is one."""
    return sagemaker_status or "".join(part.capitalize() for part in state.split("_"))


def old_words(states: Collection[str]) -> list[str]:
    """What to look for in the old column: both releases write it, so that it is always true."""
    return [old_word(state, "") for state in states]


class OldStatusQuerySet(models.QuerySet[Row]):
    """Keeps the old column true where many rows are updated."""

    def update(self, **kwargs: Any) -> int:
        """Update; a new state is written to the old column too."""
        if "state" in kwargs:
            word = kwargs.setdefault("sagemaker_status", "")
            kwargs["old_status"] = old_word(kwargs["state"], word)
        return super().update(**kwargs)


class OldStatus(models.Model):
    """Keeps the old column of a model that has ``state`` and ``sagemaker_status``.

    The model has an enumeration ``State`` with a member UNRECOGNIZED, and says in
    ``PORTAL_STATES`` which of its values are no words of SageMaker's.
    """

    State: type[models.TextChoices]
    PORTAL_STATES: frozenset[str]
    state: Any
    sagemaker_status: Any
    old_status: Any

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row; a new state is written to the old column too."""
        self.old_status = old_word(self.state, self.sagemaker_status)
        changed = kwargs.get("update_fields")
        if changed is not None and "state" in changed:
            kwargs["update_fields"] = {*changed, "sagemaker_status", "old_status"}
        super().save(*args, **kwargs)

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any
    ) -> Self:
        """Load a row; what the release before wrote to it last is taken over."""
        row = super().from_db(db, field_names, values, **kwargs)
        loaded = row.__dict__.keys() >= {"state", "sagemaker_status", "old_status"}
        if loaded and row.old_status != old_word(row.state, row.sagemaker_status):
            row.state, row.sagemaker_status = cls.of_old_word(row.old_status)
        return row

    @classmethod
    def of_old_word(cls, word: str) -> tuple[str, str]:
        """State and SageMaker's word, from what the release before wrote."""
        value = state_value(word)
        if value not in cls.State.values:
            return cls.State["UNRECOGNIZED"], word
        return cls.State(value), "" if value in cls.PORTAL_STATES else word
