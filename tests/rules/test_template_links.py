"""Templates and code name addresses and templates of their own app or of those below it.

Imports are held by import-linter (pyproject.toml). What templates name is invisible to it, as is
what Python names in a string, and both bind an app as an import does. An app shows something of
one above it by a slot, which the upper app fills: see core/panels.py.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from tests.rules.subjects import Address, addresses
from tests.rules.test_imports import APPS

ROOT = Path(settings.BASE_DIR)
TEMPLATES = ROOT / "templates"
# Of the templates beside the apps' folders, these are the site's; the others are core's.
SITE = {"base.html", "status.html"}
# Every page may stand in these two; which address they link to is the site's business.
FRAMES = {"base.html", "gate.html"}
# Folders that Django names, and that of the elements.
FOLDERS = {"registration": "accounts", "ui": "core"}

_TAG = re.compile(r"\{%\s*(url|link|include|extends)\s+(\S+)")
_PERMISSION = re.compile(r"\bperms\.(\w+)\.\w+")
_HREF = re.compile(r"""\b(?:href|action|src|hx-get|hx-post)=["'](/[^"'{]*)""")


def room_of_template(name: str) -> str:
    """The app that a template belongs to: by its folder."""
    folder, _, rest = name.partition("/")
    if rest:
        return FOLDERS.get(folder, folder)
    return "mmeportal" if name in SITE else "core"


def room_of_view(view: Callable[..., object]) -> str:
    """The app that answers an address; Django's own views count as the lowest."""
    module = getattr(getattr(view, "view_class", view), "__module__", "")
    app = module.partition(".")[0]
    return app if app in APPS else "core"


def above(room: str, other: str) -> bool:
    """Whether ``other`` is an app above ``room``."""
    return other in APPS and APPS.index(other) > APPS.index(room)


def by_name() -> dict[str, Address]:
    return {address.name: address for address in addresses()}


def template_names() -> list[str]:
    """Every template, as Django names it."""
    found = sorted(
        path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file()
    )
    in_apps = [path for app in APPS for path in (ROOT / app).glob("templates/**/*.html")]
    assert not in_apps, f"Put them below templates/, where this rule finds them: {in_apps}"
    return found


def wrong_in(name: str, text: str, known: dict[str, Address]) -> Iterator[str]:
    """What a template names that is of an app above its own."""
    room = room_of_template(name)
    for tag, word in _TAG.findall(text):
        literal = re.fullmatch(r"""["'](.+)["']""", word)
        if literal is None:
            if tag == "include":
                yield f"includes {word}, whose name is known at run time only"
            continue
        target = literal[1]
        if tag in {"url", "link"}:
            if above(room, room_of_view(known[target].view)):
                yield f"links to {target!r}"
        elif not (tag == "extends" and target in FRAMES) and above(room, room_of_template(target)):
            yield f"{tag}s {target!r}"
    for app in _PERMISSION.findall(text):
        if above(room, app):
            yield f"asks for a permission of {app}"
    for path in _HREF.findall(text):
        if path != "/" and not path.startswith("/static/"):
            yield f"names the address {path!r}, where {{% url %}} is meant"


def test_a_template_names_nothing_of_the_apps_above_its_own() -> None:
    known, wrong = by_name(), []
    for name in template_names():
        room = room_of_template(name)
        assert room in APPS, f"templates/{name} is in no app's folder."
        found = list(wrong_in(name, (TEMPLATES / name).read_text(encoding="utf-8"), known))
        if found:
            wrong.append(f"templates/{name} {', '.join(found)}. It belongs to {room}.")
    assert not wrong, "\n".join(
        [
            *wrong,
            "A template must not know the apps above its own. Give the page a slot "
            "({% panels … %}) and let the upper app register what stands in it (core/panels.py).",
        ]
    )


def modules() -> list[Path]:
    """Every module of the apps, without tests."""
    return sorted(
        path for app in APPS for path in (ROOT / app).rglob("*.py") if "tests" not in path.parts
    )


def _strings(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def permissions() -> set[str]:
    """Every permission of a model, as ``app.codename``."""
    return {
        f"{model._meta.app_label}.{codename}"
        for model in apps.get_models()
        for codename in (
            *(f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions),
            *(codename for codename, _ in model._meta.permissions),
        )
    }


@pytest.mark.not_quick
def test_code_names_nothing_of_the_apps_above_its_own() -> None:
    known, templates, rights = by_name(), set(template_names()), permissions()
    assert "endpoints.invoke_endpoint" in rights
    wrong = []
    for path in modules():
        room = path.relative_to(ROOT).parts[0]
        for text in sorted(_strings(path)):
            address = known.get(text) if ":" in text else None
            if address is not None and above(room, room_of_view(address.view)):
                wrong.append(f"{path.relative_to(ROOT)} names the address {text!r}")
            if text in templates and above(room, room_of_template(text)):
                wrong.append(f"{path.relative_to(ROOT)} names the template {text!r}")
            app = text.partition(".")[0]
            if text in rights and above(room, app):
                wrong.append(f"{path.relative_to(ROOT)} names the permission {text!r}")
    assert not wrong, (
        f"{'; '.join(wrong)}. An app must not know those above it: let the upper one register what "
        "is shown (core/panels.py, activity/subjects.py) or who may do it (accounts/roles.py)."
    )


def test_the_rule_finds_what_it_is_for() -> None:
    known = by_name()
    bad = {
        "{% url 'invocations:page' %}": "links to 'invocations:page'",
        "{% url 'home' %}": "links to 'home'",
        "{% link 'invocations:result' call.pk %}": "links to 'invocations:result'",
        '{% include "invocations/_recent.html" %}': "includes 'invocations/_recent.html'",
        "{% include partial %}": "includes partial, whose name is known at run time only",
        "{% if perms.endpoints.invoke_endpoint %}": "asks for a permission of endpoints",
        '<a href="/invoke/">': "names the address '/invoke/', where {% url %} is meant",
    }
    for text, sentence in bad.items():
        assert list(wrong_in("models_catalog/model.html", text, known)) == [sentence]
    good = """{% extends "base.html" %}{% include "activity/_events.html" %}{% url 'login' %}
        {% url 'models_catalog:list' %}{% if perms.auth.change_user %}<a href="/">"""
    assert not list(wrong_in("models_catalog/model.html", good, known))
    assert list(wrong_in("mmeportal/x.html", "".join(bad), known)) == [
        "includes partial, whose name is known at run time only",
        "names the address '/invoke/', where {% url %} is meant",
    ]
