"""The words of Swagger UI, which has them in English alone: static/js/api_try.js translates them.

A word that is missing here is shown in English (mmeportal/tests/test_api_try.py looks for some).
"""

from functools import cache

from django.utils.translation import override, pgettext_lazy

# {} is what Swagger UI puts before the word.
_WORDS = (
    # Before a type and "item".
    pgettext_lazy("Swagger UI", "Add"),
    pgettext_lazy("Swagger UI", "Additional properties"),
    pgettext_lazy("Swagger UI", "All of"),
    pgettext_lazy("Swagger UI", "Any of"),
    pgettext_lazy("Swagger UI", "Apply credentials"),
    pgettext_lazy("Swagger UI", "Authorize"),
    pgettext_lazy("Swagger UI", "Authorized"),
    pgettext_lazy("Swagger UI", "Available authorizations"),
    pgettext_lazy("Swagger UI", "Available values"),
    pgettext_lazy("Swagger UI", "Cancel"),
    pgettext_lazy("Swagger UI", "Clear"),
    pgettext_lazy("Swagger UI", "Close"),
    pgettext_lazy("Swagger UI", "Code"),
    pgettext_lazy("Swagger UI", "Collapse all"),
    pgettext_lazy("Swagger UI", "Collapse operation"),
    # Before the word Accept and "header."
    pgettext_lazy("Swagger UI", "Controls"),
    pgettext_lazy("Swagger UI", "Copy to clipboard"),
    pgettext_lazy("Swagger UI", "Curl"),
    pgettext_lazy("Swagger UI", "Default"),
    pgettext_lazy("Swagger UI", "Default value"),
    pgettext_lazy("Swagger UI", "Description"),
    pgettext_lazy("Swagger UI", "Details"),
    pgettext_lazy("Swagger UI", "Download"),
    pgettext_lazy("Swagger UI", "Download file"),
    pgettext_lazy("Swagger UI", "Edit Value"),
    pgettext_lazy("Swagger UI", "Enum"),
    pgettext_lazy("Swagger UI", "Error"),
    pgettext_lazy("Swagger UI", "Errors"),
    pgettext_lazy("Swagger UI", "Example"),
    pgettext_lazy("Swagger UI", "Example Value"),
    # Before a media type and "media types."
    pgettext_lazy("Swagger UI", "Example values are not available for"),
    pgettext_lazy("Swagger UI", "Execute"),
    pgettext_lazy("Swagger UI", "Expand all"),
    pgettext_lazy("Swagger UI", "Expand operation"),
    pgettext_lazy("Swagger UI", "Failed to fetch."),
    pgettext_lazy("Swagger UI", "Failed to load API definition."),
    pgettext_lazy("Swagger UI", "Headers:"),
    pgettext_lazy("Swagger UI", "Hide"),
    pgettext_lazy("Swagger UI", "In:"),
    pgettext_lazy("Swagger UI", "Items"),
    pgettext_lazy("Swagger UI", "Links"),
    pgettext_lazy("Swagger UI", "Logout"),
    pgettext_lazy("Swagger UI", "Media Type"),
    pgettext_lazy("Swagger UI", "Media type"),
    pgettext_lazy("Swagger UI", "Name"),
    pgettext_lazy("Swagger UI", "Name:"),
    pgettext_lazy("Swagger UI", "No links"),
    pgettext_lazy("Swagger UI", "No parameters"),
    pgettext_lazy("Swagger UI", "One of"),
    pgettext_lazy("Swagger UI", "Parameters"),
    pgettext_lazy("Swagger UI", "Please correct the following validation errors and try again."),
    pgettext_lazy("Swagger UI", "Remove authorization"),
    pgettext_lazy("Swagger UI", "Request URL"),
    pgettext_lazy("Swagger UI", "Request body"),
    pgettext_lazy("Swagger UI", "Request content type"),
    pgettext_lazy("Swagger UI", "Request duration"),
    pgettext_lazy("Swagger UI", "Reset"),
    pgettext_lazy("Swagger UI", "Response body"),
    pgettext_lazy("Swagger UI", "Response headers"),
    pgettext_lazy("Swagger UI", "Responses"),
    pgettext_lazy("Swagger UI", "Schema"),
    pgettext_lazy("Swagger UI", "Schemas"),
    pgettext_lazy("Swagger UI", "Send empty value"),
    pgettext_lazy("Swagger UI", "Server response"),
    pgettext_lazy("Swagger UI", "Show"),
    pgettext_lazy("Swagger UI", "Try it out"),
    pgettext_lazy("Swagger UI", "Type"),
    pgettext_lazy("Swagger UI", "Undocumented"),
    pgettext_lazy("Swagger UI", "Unrecognized response type; displaying content as text."),
    pgettext_lazy("Swagger UI", "Unrecognized response type; unable to display."),
    pgettext_lazy("Swagger UI", "Value:"),
    pgettext_lazy("Swagger UI", "authorization button locked"),
    pgettext_lazy("Swagger UI", "authorization button unlocked"),
    pgettext_lazy("Swagger UI", "forbidden"),
    pgettext_lazy("Swagger UI", "header."),
    pgettext_lazy("Swagger UI", "item"),
    pgettext_lazy("Swagger UI", "media types."),
    pgettext_lazy("Swagger UI", "{} characters"),
    pgettext_lazy("Swagger UI", "{} items"),
)


def words() -> dict[str, str]:
    """Each word of Swagger UI, in English, and the same in the reader's language."""
    return {english: str(word) for english, word in zip(_english(), _WORDS, strict=True)}


@cache
def _english() -> tuple[str, ...]:
    with override(None):
        return tuple(map(str, _WORDS))
