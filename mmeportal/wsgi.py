"""The WSGI application, for the web server (mmeportal/server).

All that a request may need is loaded here. The web server imports this before it forks, so its
processes share that memory, and no first request waits for it.
"""

import gc
import os
from pathlib import Path

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - needs the settings
from django.template import engines  # noqa: E402
from django.urls import get_resolver  # noqa: E402
from django.utils import translation  # noqa: E402

from core import aws  # noqa: E402


def _load_pages() -> None:
    """Import what the addresses name, compile the templates, and read each language's words."""
    templates = engines["django"]
    _ = templates.engine.template_context_processors  # type: ignore[attr-defined]  # imports them
    if not settings.DEBUG:  # with DEBUG each request reads them anew
        for folder in templates.engine.dirs:  # type: ignore[attr-defined]
            for path in sorted(Path(str(folder)).rglob("*.html")):
                templates.get_template(str(path.relative_to(folder)))
    for code, _name in settings.LANGUAGES:
        with translation.override(code):  # which reads its words
            list(get_resolver().reverse_dict)  # made of all addresses, for each language


gc.disable()
_load_pages()
aws.create_clients(aws.s3, aws.sagemaker_runtime)
# What is loaded stays: the garbage collector need not look at it again and again, nor write to it,
# which would give each process a copy of memory that they share. It has not looked at it even once:
# of 450,000 objects it would find 4,000 that nobody needs.
gc.freeze()
# A request makes some thousands of objects, nearly all of which go with their last reference. With
# Python's own 700 the search for circles takes a twenty-fifth of a call.
gc.set_threshold(10_000, 10, 10)
gc.enable()
