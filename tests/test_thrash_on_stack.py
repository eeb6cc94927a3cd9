"""Models that take turns in memory: provoked by a small instance, told in words, and mended."""

import re
from pathlib import Path
from typing import Any

import pytest
import requests

import mme_client
from tests.servers import wait_until
from tests.stack import Stack
from tests.test_client_on_stack import shell

NAME = "tight"
SMALL = "ml.c5.large"
MODELS = 14
#: Twice as many as the portal needs to say something, so that each model is called some times.
CALLS = 100
#: Seconds between two looks at a page whose chart gets a point each minute.
LOOK_S = 5


def _thrash(portal: mme_client.Portal) -> Any:
    """What the portal says after calls in turns."""
    made = portal.experiments.create(NAME, "turns/*", calls=CALLS, callers=1, seed=5)
    done = made.wait(timeout=200)
    assert (done.state, done.succeeded) == ("done", CALLS)
    return portal.endpoints.thrash(NAME)


def _logged_in(stack: Stack) -> requests.Session:
    session = requests.Session()
    session.headers["Connection"] = "close"  # the server closes idle ones, at any time
    form = re.search(r'middlewaretoken" value="(\w+)"', _got(session, stack, "/login/"))
    assert form is not None
    data = {"username": "admin", "password": stack.admin_password, "csrfmiddlewaretoken": form[1]}
    session.post(f"{stack.url}/login/", data, timeout=30).raise_for_status()
    return session


def _got(session: requests.Session, stack: Stack, path: str) -> str:
    answer = session.get(stack.url + path, timeout=30)
    answer.raise_for_status()
    return answer.text


def _hits_charted(page: str) -> list[float]:
    """The shares of calls that found their model in memory by minute, in percent, the oldest first.

    As the table of that chart has them.
    """
    chart = page.partition("Calls that found their model in memory")[2].partition("</figure>")[0]
    return [float(share) for share in re.findall(r"<td[^>]*>\s*([\d.]+) %", chart)]


def test_the_advice_mends_what_it_tells(
    small_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    variables = shell(small_stack, tmp_path)
    with mme_client.Portal(variables["MME_URL"], variables["MME_TOKEN"]) as portal:
        digits = small_stack.local_dir / "demo" / "digits_v2.tar.gz"
        portal.models.push(digits, "turns").wait(timeout=120)
        for copy in portal.models.copy("turns:1", to="turns/digit_{n}", times=MODELS):
            copy.wait(timeout=120)
        portal.endpoints.create(NAME, instance_type=SMALL).wait(timeout=120)
        found = _thrash(portal)
        assert found.verdict == "thrash", found
        assert found.sentences[0].startswith(f"{MODELS} models take turns in memory for "), found
        better = found.better
        assert better is not None
        assert f"{better.instance_type} would hold all" in " ".join(found.sentences)

        session = _logged_in(small_stack)
        listed = _got(session, small_stack, "/endpoints/")
        link = re.search(rf'href="(/endpoints/\d+/)">{NAME}<', listed)
        assert link is not None
        metrics = f"{link[1]}metrics/?range=1h"
        # Before the change, as the calls after it may come within the same minute, and be more.
        hits = wait_until(
            lambda: _hits_charted(_got(session, small_stack, metrics)), "a minute charted", 120,
            every_s=LOOK_S,
        )  # fmt: skip
        assert min(hits) < 85, hits

        size = {"instance_type": better.instance_type, "instance_count": better.instance_count}
        portal.endpoints.wait_for_change(portal.endpoints.update(NAME, **size), timeout=120)
        mended = _thrash(portal)
        assert mended.verdict == "fits", mended
        assert (mended.measured_share, mended.less) == (0.0, [])

        def drawn() -> bool:
            """Whether the chart has a minute whose calls all came after the change."""
            return _hits_charted(_got(session, small_stack, metrics))[-1:] == [100]

        calls = portal.experiments.create(NAME, "turns/*", calls=3000, callers=1, seed=5, rate=0.5)
        wait_until(drawn, "a minute without a cold start in the chart", 300, every_s=LOOK_S)
        calls.stop()
        done = calls.wait(timeout=60)
        assert done.calls == done.succeeded
