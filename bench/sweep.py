"""How long a sweep takes with 200 settled endpoints and 20 under way, and how many calls they make.

    make bench-sweep
    .venv/bin/python bench/sweep.py --settled 2000

The database is SQLite in memory, Redis and AWS are not asked. Prints the median of the sweeps in
ms with its queries, and how many calls of AWS a minute of looks and steps would make without the
pace of core/pace.py, and with it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

# In a process of its own: what runs beside the portal does not import it.
_PROGRAM = """
import statistics, sys, time
from unittest import mock
import django
django.setup()
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext, setup_databases
from core import pace
from endpoints import services
from endpoints.models import Endpoint
from endpoints.tests.test_pace import rows
settled, under_way, rounds = map(int, sys.argv[1:])
setup_databases(verbosity=0, interactive=False)
rows(settled, Endpoint.State.IN_SERVICE, "settled")
rows(under_way, Endpoint.State.CREATING, "new")
took_ms = []
no_room = mock.patch.object(pace.CONTROL_PLANE, "room", return_value=1_000_000.0)
with no_room, mock.patch.object(services, "enqueue_on_commit") as sent:
    for _ in range(rounds):
        begun = time.perf_counter()
        services.sweep()
        took_ms.append(1000 * (time.perf_counter() - begun))
    with CaptureQueriesContext(connection) as asked:
        services.sweep()
    assert sent.called
looks = [one for one in asked.captured_queries if "endpoints_endpoint" in one["sql"]]
# A look and a step ask for the endpoint, its config and its model; lists have 100 of each a page.
each_minute = 3 * (settled + 60 * under_way)
with_lists = 3 * (-(-settled // 100) + 60 * under_way)
print(f"{settled} settled, {under_way} under way")
print(f"a sweep: {statistics.median(took_ms):.1f} ms, at most {max(took_ms):.1f} ms")
print(f"its queries of endpoints: {len(looks)}")
print(f"calls a minute that they ask for: {each_minute}, with lists {with_lists}")
print(f"calls a minute that are made: at most {60 * settings.AWS_CALLS_PER_SECOND}")
"""


def main() -> int:
    """Measure, and print; the exit code of the process that measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settled", type=int, default=200)
    parser.add_argument("--under-way", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=25)
    wanted = parser.parse_args()
    numbers = [str(wanted.settled), str(wanted.under_way), str(wanted.rounds)]
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *numbers],
        cwd=REPOSITORY,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "mmeportal.settings_test"},
        check=False,
        timeout=600,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
