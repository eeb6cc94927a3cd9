"""What the web server's processes share, as it is loaded before they are forked."""

import subprocess
import sys

from stack.layout import ROOT

_ASK = """
import sys
from mmeportal.wsgi import application
from django.template.loaders.cached import Loader
from django.test import Client

loaded = []
get_template = Loader.get_template
def noted(self, name, *given, **named):
    if name not in self.get_template_cache:
        loaded.append(name)
    return get_template(self, name, *given, **named)
Loader.get_template = noted
before = set(sys.modules)
with_html = Client().get("/login/", headers={"accept-language": "ko"})
refused = Client().get("/api/v1/models")
print(with_html.status_code, refused.status_code)
ours = ("core", "activity", "accounts", "models_catalog", "endpoints", "invocations", "mmeportal")
print([one for one in set(sys.modules) - before if one.partition(".")[0] in ours])
print([one for one in loaded if not one.startswith("django/")])
"""


def test_a_first_request_imports_no_page_and_compiles_no_template() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "DJANGO_SETTINGS_MODULE": "mmeportal.settings",
            "SECRET_KEY": "a-key-of-this-test-that-is-long-enough-for-the-portal",
            "ALLOWED_HOSTS": "testserver",
            "DATABASE_URL": "sqlite://:memory:",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.stdout.splitlines()[-3:] == ["200 401", "[]", "[]"], found.stdout + found.stderr
