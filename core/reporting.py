"""What a page or a mail about an error may show: no password, whatever it stands in."""

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*@")


class ReporterFilter(SafeExceptionReporterFilter):
    """Django's, which goes by names, and besides: passwords in addresses, and local variables.

    Django shows local variables as they are where DEBUG is on.
    """

    def cleanse_setting(self, key: int | str, value: Any) -> Any:
        """``value`` without what is secret of it."""
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            # str(): a lazy one, as django-axes has among its settings, is none to `re`.
            return _CREDENTIALS.sub(f"{self.cleansed_substitute}@", str(cleansed))
        return cleansed

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        """The local variables of a frame, each cleansed as a setting of its name would be."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        return {name: self.cleanse_setting(name, value) for name, value in found}.items()
