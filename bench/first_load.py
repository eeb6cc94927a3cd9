"""How long the first load of each page takes in Chromium, with an empty cache, and what it weighs.

Needs a running stack (`make up`). Prints the median and the worst of the rounds, in ms from the
start of the navigation to the end of `load`, and what was received in KB, as the portal sends it.

    make bench-first-load ARGS="--rounds 9"
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stack.layout import Layout  # noqa: E402 - ROOT is on the path now
from tests.conftest import chromium  # noqa: E402
from tests.contact_sheet import Portal, crawl, log_in  # noqa: E402

#: Of the pages that are one kind, the crawl takes the first; this one is the largest of its kind.
LARGEST = ("/docs/api/endpoints/",)
_TIMES = """
() => {
  const [page] = performance.getEntriesByType("navigation");
  const all = [page, ...performance.getEntriesByType("resource")];
  const pictures = all.filter((one) => one.initiatorType === "img");
  const bytes = (some) => some.reduce((sum, one) => sum + one.transferSize, 0);
  return {load: page.loadEventEnd, answer: page.responseEnd,
    bytes: bytes(all) - bytes(pictures)};
}
"""


def measure(browser: Any, url: str, cookies: list[Any], path: str) -> dict[str, float]:
    """One load of a page, with nothing in the cache."""
    context = browser.new_context(base_url=url)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(path, wait_until="load")
    page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    found: dict[str, float] = page.evaluate(_TIMES)
    context.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    layout = Layout.from_environment()
    portal = Portal(layout.url, (layout.local_dir / "admin-password").read_text().strip())
    with chromium() as browser:
        context = browser.new_context(base_url=portal.url)
        page = context.new_page()
        log_in(page, portal)
        paths = list(dict.fromkeys([*crawl(page, portal.url), *LARGEST]))
        cookies = context.cookies()
        measured: dict[str, list[dict[str, float]]] = {path: [] for path in paths}
        for _ in range(options.rounds):
            for path in paths:
                measured[path].append(measure(browser, portal.url, cookies, path))
    print(f"{'page':34} {'median':>8} {'worst':>8} {'HTML':>8} {'received':>10}")
    for path, rounds in measured.items():
        loads = [one["load"] for one in rounds]
        answers = statistics.median(one["answer"] for one in rounds)
        print(
            f"{path:34} {statistics.median(loads):5.0f} ms {max(loads):5.0f} ms {answers:5.0f} ms "
            f"{rounds[0]['bytes'] / 1000:7.0f} KB"
        )


if __name__ == "__main__":
    main()
