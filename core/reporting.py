"""Removes passwords and tokens from pages and mails about errors."""

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from core.logging import without_secrets

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*@")


class ReporterFilter(SafeExceptionReporterFilter):
    """Also removes passwords in addresses, and those in local variables where DEBUG is on.

    Django's own filter goes by the names of settings alone.
    """

    def cleanse_setting(self, key: int | str, value: Any) -> Any:
        """``value`` without its secrets."""
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            # str(): `re` takes no lazy string, as django-axes has among its settings.
            return _CREDENTIALS.sub(f"{self.cleansed_substitute}@", str(cleansed))
        return cleansed

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        """The local variables of a frame, each cleansed as a setting of its name would be."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        return {name: self.cleanse_setting(name, value) for name, value in found}.items()


class Reporter(ExceptionReporter):
    """Django's own, without tokens and links that set a password, wherever they stand.

    A value of any kind may hold one: the address, a header, a local variable, the message.
    """

    def get_traceback_html(self) -> SafeString:
        """The page about an error."""
        return SafeString(without_secrets(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        """The text about an error."""
        return SafeString(without_secrets(super().get_traceback_text()))
