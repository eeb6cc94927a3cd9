"""Every operation of the API, as everybody: what its scope and its permission say.

What is refused changes nothing; a session changes nothing without its CSRF token; a GET changes
nothing at all; and every answer is one that the document has.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from accounts import tokens
from accounts.models import Token
from core import clock
from core.api.caller import ANY, Scope
from core.api.operations import SAFE
from core.api.problems import CODES, CONTENT_TYPE, code_of
from invocations import seeing
from mmeportal.access import ADMIN, ANYBODY, OPERATOR, VIEWER
from tests.rules.api_subjects import JSON, PREFIX, Subject, subjects
from tests.rules.site import VISITORS, Site, make

ROLES = (VIEWER, OPERATOR, ADMIN)
# Operations for any token, that refuse one with too few scopes by what they are asked to do.
NARROWER = {"tokens_revoke": "a token ends only tokens that have no scope which it does not have"}
# What only who began it and admins do; the rows are an admin's.
OWN = {
    "comparisons_stop": "who began a comparison decides when it ends",
    "comparisons_delete": "who began a comparison decides whether it is kept",
    "endpoints_pause": "who created an endpoint decides when it is paused",
    "endpoints_preview_pause": "so does its plan, which refuses what the pause would",
    "invocations_forget_picture": "who sent a picture decides whether it is kept",
}
#: Of one call: those of others are not there for who does not see everybody's.
OF_A_CALL = (
    *("invocations_get", "invocations_picture", "invocations_forget_picture"),
    "invocations_repeat",
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
REFUSED = (401, 403)


class Callers:
    """Who calls: a session of each visitor, and tokens of each role with each scope."""

    def __init__(self, users: dict[str, User]) -> None:
        self.tokens: dict[str, str] = {}
        self.scopes: dict[str, set[str]] = {}
        self.users = users
        for role in ROLES:
            allowed = {scope for scope in Scope if scope in tokens.scopes_of(users[role])}
            for scope in allowed:
                self._make(f"{role}'s token to {scope.value}", users[role], {scope.value})
            self._make(f"{role}'s token to all", users[role], {one.value for one in allowed})
        self.ended = {
            "token-revoked": self._secret(users[ADMIN], revoked_at=clock.now()),
            "token-expired": self._secret(users[ADMIN], expires_at=clock.now() - timedelta(days=1)),
            "bad-token": "mme_nothing",
        }

    def _make(self, name: str, user: User, scopes: set[str]) -> None:
        self.tokens[name] = tokens.make(user=user, name=name, scopes=scopes)[1]
        self.scopes[name] = scopes
        self.users[name] = user

    def _secret(self, user: User, **changed: Any) -> str:
        token, secret = tokens.make(user=user, name="ended", scopes=["read"])
        Token.objects.filter(pk=token.pk).update(**changed)
        return secret

    def expected(self, caller: str, subject: Subject) -> str:
        """The problem with which the operation refuses; empty: it lets in."""
        rules = subject.rules
        if rules.scope is None:
            return ""
        if caller == ANYBODY:
            return "not-authenticated"
        scopes = self.scopes.get(caller)
        if scopes is not None and rules.scope != ANY and rules.scope not in scopes:
            return "scope-missing"
        if rules.permission is not None and not self.users[caller].has_perm(rules.permission):
            return "not-allowed"
        return ""


@pytest.fixture
def site(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The rows are the admin's, whom every operation lets in."""
    return make(tmp_path, settings, monkeypatch, owner=ADMIN)


@pytest.fixture
def callers(site: Site) -> Callers:
    return Callers({who: User.objects.get(username=f"{who}-visitor") for who in VISITORS[1:]})


def _ask(site: Site, subject: Subject, caller: str, callers: Callers, **more: Any) -> Any:
    content = None if subject.method in SAFE else JSON
    bearer = callers.tokens.get(caller, "")
    return site.ask(
        caller, subject.method, subject.url(site.rows), token=not bearer, bearer=bearer,
        content=content, **more,
    )  # fmt: skip


def _code(answer: Any, expected: str = "") -> str:
    """The problem that an answer is; of HEAD, which has no body, what its status says of it."""
    if answer.status_code >= 400 and not answer.content:
        is_expected = expected and CODES[expected].status == answer.status_code
        return expected if is_expected else code_of(answer.status_code)
    if answer.status_code < 400 or answer.headers["Content-Type"] != CONTENT_TYPE:
        return ""
    return str(json.loads(answer.content)["type"]).rpartition("/")[2]


@pytest.mark.slow
def test_every_operation_lets_in_whom_its_scope_and_permission_say(
    site: Site, callers: Callers
) -> None:
    wrong, asked = [], 0
    narrowed: set[str] = set()
    owned: set[str] = set()
    for subject in subjects():
        for caller in (*VISITORS, *callers.tokens):
            answer, written = _ask(site, subject, caller, callers)
            expected = callers.expected(caller, subject)
            who = f"{subject.rules.id} as {caller}"
            asked += 1
            if expected:
                if (answer.status_code in REFUSED, _code(answer, expected)) != (True, expected):
                    wrong.append(f"{who}: {answer.status_code} {_code(answer)}, not {expected}")
                if written:
                    wrong.append(f"{who}: is refused, and wrote {written}")
            elif _code(answer) == "scope-missing" and subject.rules.id in NARROWER:
                assert subject.rules.scope == ANY
                narrowed.add(subject.rules.id)
            elif _code(answer) == "not-allowed" and subject.rules.id in OWN:
                owned.add(subject.rules.id)
            elif answer.status_code in REFUSED:
                wrong.append(f"{who}: {answer.status_code} {_code(answer)}, and is to be let in")
            if subject.method in SAFE and written:
                wrong.append(f"{who}: {subject.method} wrote {written}")
            if said := subject.wrong(answer):
                wrong.append(f"{who}: {said}")
    assert asked > 100
    assert owned == set(OWN), "Take out of OWN what lets everybody do it."
    assert narrowed == set(NARROWER), "Take out of NARROWER what refuses nothing of its own."
    assert not wrong, _report(wrong, "Mend these operations, or their scope and permission:")


@pytest.mark.slow
def test_calls_of_others_are_there_for_who_may_see_them_alone(site: Site, callers: Callers) -> None:
    """The rows are the admin's."""
    caller = f"{OPERATOR}'s token to all"
    before = {one.rules.id: _ask(site, one, caller, callers)[0].status_code for one in subjects()}
    Group.objects.get(name=OPERATOR).permissions.remove(
        Permission.objects.get(codename=seeing.MAY_SEE_ALL.partition(".")[2])
    )
    changed = {}
    for subject in subjects():
        answer, written = _ask(site, subject, caller, callers)
        if answer.status_code != before[subject.rules.id]:
            changed[subject.rules.id] = (answer.status_code, written)
    assert changed == {name: (404, []) for name in OF_A_CALL}


@pytest.mark.slow
def test_a_token_that_has_ended_opens_nothing(site: Site, callers: Callers) -> None:
    wrong = []
    for subject in subjects():
        if subject.rules.scope is None:
            continue
        for code, secret in callers.ended.items():
            answer, written = site.ask(
                ANYBODY, subject.method, subject.url(site.rows), token=False, bearer=secret,
                content=None if subject.method in SAFE else JSON,
            )  # fmt: skip
            if (answer.status_code, _code(answer, code), written) != (401, code, []):
                wrong.append(f"{subject.rules.id}: {answer.status_code} {_code(answer)} {written}")
    assert not wrong, _report(wrong, "Call core.api.operations.check first in these:")


@pytest.mark.slow
def test_a_session_changes_nothing_without_its_csrf_token(site: Site, callers: Callers) -> None:
    wrong, seen = [], 0
    for subject in subjects():
        if subject.method in SAFE or subject.rules.scope is None:
            continue
        for visitor in VISITORS[1:]:
            answer, written = site.ask(
                visitor, subject.method, subject.url(site.rows), token=False, content=JSON
            )
            seen += 1
            if (answer.status_code, _code(answer), written) != (403, "csrf", []):
                wrong.append(
                    f"{subject.rules.id} as {visitor}: {answer.status_code} {_code(answer)}, "
                    f"wrote {written}"
                )
    assert seen
    assert not wrong, _report(wrong, "Call core.api.operations.check first in these:")


@pytest.mark.not_quick
def test_a_token_with_a_session_beside_it_counts_alone(site: Site, callers: Callers) -> None:
    """A cookie that comes along adds nothing to what the token may do."""
    wrong = []
    for subject in subjects():
        if subject.rules.scope in (None, ANY, Scope.READ.value):
            continue
        answer, written = site.ask(
            ADMIN, subject.method, subject.url(site.rows), token=True,
            bearer=callers.tokens[f"{VIEWER}'s token to read"], content=JSON,
        )  # fmt: skip
        if (answer.status_code, written) != (403, []):
            wrong.append(f"{subject.rules.id}: {answer.status_code}, wrote {written}")
    assert not wrong, _report(wrong, "Take the caller from the token alone:")


# --- nothing but documented answers -------------------------------------------------------------

BODIES: tuple[tuple[str, bytes], ...] = (
    ("application/json", b""),
    ("application/json", b"{"),
    ("application/json", b"[]"),
    ("application/json", b"null"),
    ("application/json", b'{"no-such-field": 1}'),
    ("application/json", b'"\\u0000"'),
    ("application/json", b"\xff\xfe\x00"),
    ("application/json", b"[" * 10_000),
    ("application/json; charset=utf-16", b"{}"),
    ("application/json; charset=none", b"{}"),
    ("text/html", b"<p>"),
    ("application/x-www-form-urlencoded", b"a=1&%zz"),
    ("multipart/form-data; boundary=x", b"--x"),
    ("multipart/form-data", b"--x"),
    ("no type at all", b"1"),
    ("", b"1"),
)
#: Paths below /api/ that no operation has.
PATHS = (
    "/api/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/models", "/api/v1//me",
    "/api/v1/me/", "/api/v1/ME", "/api/v1/%00", "/api/v1/models/%2e%2e/%2e%2e", "/api/v1/%ff",
    "/api/v1/models/a%2Fb", "/api/v1/" + "x" * 4000, "/api/v1/docs", "/api/v1/%F0%9F%98%80",
)  # fmt: skip


def _as_document(answer: Any) -> str:
    """Why a refusal is no problem document; empty: it is one."""
    if answer.headers.get("Content-Type", "") != CONTENT_TYPE:
        return f"{answer.status_code} {answer.headers.get('Content-Type')!r}"
    document = json.loads(answer.content)
    if document["status"] != answer.status_code or not document["instance"]:
        return f"{answer.status_code}, and the document says {document}"
    return ""


def _let_in(callers: Callers) -> Iterator[tuple[str, str]]:
    yield ANYBODY, ""
    yield ADMIN, callers.tokens[f"{ADMIN}'s token to all"]


@pytest.mark.slow
def test_odd_bodies_get_documented_answers(site: Site, callers: Callers) -> None:
    wrong = []
    for subject in subjects():
        if subject.method in SAFE:
            continue
        for who, bearer in _let_in(callers):
            for content in BODIES:
                answer, _ = site.ask(
                    who, subject.method, subject.url(site.rows), token=False, bearer=bearer,
                    content=content,
                )  # fmt: skip
                said = subject.wrong(answer)
                if answer.status_code >= 500 and answer.status_code not in (502, 503):
                    said = f"answers {answer.status_code}"
                if said:
                    wrong.append(
                        f"{subject.rules.id} with {content[0]!r} {content[1][:30]!r}: {said}"
                    )
    assert not wrong, _report(wrong, "Document these answers, or refuse with a documented one:")


@pytest.mark.slow
def test_another_method_is_refused_with_a_problem(site: Site, callers: Callers) -> None:
    taken: dict[str, set[str]] = {}
    for subject in subjects():
        taken.setdefault(subject.url(site.rows), set()).add(subject.method)
    wrong = []
    for url, methods in taken.items():
        for method in (*METHODS, "TRACE", "BREW"):
            if method in methods:
                continue
            for who, bearer in _let_in(callers):
                answer, written = site.ask(
                    who, method, url, token=False, bearer=bearer, content=("text/plain", b"")
                )
                said = "" if method == "HEAD" else _as_document(answer)
                if answer.status_code != 405 or said or written:
                    wrong.append(f"{method} {url}: {answer.status_code} {said} {written}")
                elif set(answer.headers["Allow"].split(", ")) != methods:
                    wrong.append(f"{method} {url}: allows {answer.headers['Allow']}")
    assert not wrong, _report(wrong, "Below /api/ a method that is not taken is 405:")


@pytest.mark.slow
def test_odd_paths_get_problems_and_never_html(site: Site, callers: Callers) -> None:
    wrong = []
    for path in PATHS:
        for method in METHODS:
            for who, bearer in _let_in(callers):
                for accept in ("text/html", "*/*"):
                    answer, written = site.ask(
                        who, method, path, token=False, bearer=bearer,
                        content=(accept, b"<p>" if method == "POST" else b""),
                    )  # fmt: skip
                    said = "" if method == "HEAD" else _as_document(answer)
                    if answer.status_code not in (400, 401, 404, 405) or said or written:
                        wrong.append(f"{method} {path[:60]}: {answer.status_code} {said}")
    assert not wrong, _report(wrong, "core/api/middleware.py turns refusals into problems:")


@pytest.mark.slow
def test_what_is_not_there_is_404(site: Site, callers: Callers) -> None:
    wrong, seen = [], 0
    bearer = callers.tokens[f"{ADMIN}'s token to all"]
    for subject in subjects():
        if "{" not in subject.rules.path:
            continue
        real = subject.url(site.rows)
        for strange in ("nothing-of-this-name", "0", "9" * 30, "%00", "x" * 1500):
            first = subject.rules.path.split("/")[1]
            rest = real.removeprefix(f"{PREFIX}/{first}/").partition("/")
            url = f"{PREFIX}/{first}/{strange}{rest[1]}{rest[2]}"
            answer, written = site.ask(
                ADMIN, subject.method, url, token=False, bearer=bearer,
                content=None if subject.method in SAFE else JSON,
            )  # fmt: skip
            seen += 1
            allowed = (404,) if subject.method in SAFE else (404, 415, 422)
            if answer.status_code not in allowed or written:
                wrong.append(
                    f"{subject.method} {url[:80]}: {answer.status_code}, wrote {written}: "
                    f"{answer.content[:200]!r}"
                )
    assert seen
    assert not wrong, _report(wrong, "Raise Http404 in these:")


@pytest.mark.not_quick
def test_unknown_parameters_are_refused_by_name(site: Site, callers: Callers) -> None:
    wrong = []
    bearer = callers.tokens[f"{ADMIN}'s token to all"]
    for subject in subjects():
        answer, written = site.ask(
            ADMIN, subject.method, f"{subject.url(site.rows)}?no_such=1", token=False,
            bearer=bearer, content=None if subject.method in SAFE else JSON,
        )  # fmt: skip
        errors = json.loads(answer.content).get("errors") or {} if answer.content else {}
        named = "no_such" in errors or subject.method == "HEAD"  # whose answers have no body
        if answer.status_code != 422 or not named or written:
            wrong.append(f"{subject.rules.id}: {answer.status_code} {answer.content[:200]!r}")
    assert not wrong, _report(wrong, "core/api/operations.py refuses these; mend it there:")


def _report(wrong: list[str], advice: str) -> str:
    return "\n".join([advice, *wrong])
