"""The largest request bodies: 1 MB, and more only for views that declare it.

The web server asks here before it reads a body (mmeportal/server/guard.py). A view declares a
larger limit with `accepts_body`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.urls import Resolver404, resolve

#: Headers of tus as the web server has them: where a body begins, and what it must hash to. Of a
#: body that is taken in stretches the first is moved on with each; the second is of all its bytes.
OFFSET, CHECKSUM = "UPLOAD_OFFSET", "UPLOAD_CHECKSUM"

V = TypeVar("V", bound=Callable[..., Any])

#: The largest body of any address without a declared limit, in bytes: enough for forms.
SMALL = 1 << 20


@dataclass(frozen=True)
class BodyLimit:
    """The limit that a view declares.

    ``megabytes``: the most that a body may have. ``too_large``: the sentence for more.
    ``at_once``: how many such bodies one user may send at the same time. ``permission``: what the
    user must be allowed; ``doing`` names it in the refusal. ``in_stretches``: a body that says
    where it begins (`OFFSET`) is handed to the view in stretches as they arrive, each as a request
    of its own, so that what has arrived is kept where the connection is cut.
    """

    megabytes: Callable[[], int]
    too_large: Callable[[], str]
    at_once: int
    permission: str
    doing: str
    in_stretches: bool = False

    @property
    def size(self) -> int:
        """The most that a body may have, in bytes."""
        return self.megabytes() << 20


def accepts_body(
    *, megabytes: Callable[[], int], too_large: Callable[[], str], at_once: int
) -> Callable[[V], V]:
    """Let POST requests of users with the view's permission have bodies up to ``megabytes``.

    Put it above `core.permissions.require_permission`, whose permission is checked before any of
    the body is read; raises TypeError without it.
    """

    def declare(view: V) -> V:
        requires: tuple[str, str] | None = getattr(view, "requires", None)
        if requires is None:
            raise TypeError(f"{view!r} takes large bodies and must require a permission.")
        view.body_limit = BodyLimit(megabytes, too_large, at_once, *requires)  # type: ignore[attr-defined]
        return view

    return declare


def limit_of(method: str, path: str) -> BodyLimit | None:
    """The limit that the view of ``path`` declares; None without one, or without a view.

    A view of the API declares them by method (``body_limits``), as it answers several.
    """
    try:
        view = resolve(path).func
    except Resolver404:
        return None
    by_method: dict[str, BodyLimit] | None = getattr(view, "body_limits", None)
    if by_method is not None:
        return by_method.get(method)
    return getattr(view, "body_limit", None) if method == "POST" else None
