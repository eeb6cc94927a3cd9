"""How long a sweep takes with 200 settled endpoints and 20 under way, and how many calls they make.

    make bench-sweep
    .venv/bin/python bench/sweep.py --settled 2000

The database is SQLite in memory, Redis and AWS are not asked. Prints the median of the sweeps in
ms with its queries, and how many calls of AWS a minute of looks and steps would make without the
pace of core/pace.py, and with it.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings_test")
#: Calls of a look at a settled endpoint, and of a step of one under way: it, its config, its model.
CALLS = 3


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settled", type=int, default=200)
    parser.add_argument("--under-way", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=25)
    wanted = parser.parse_args()

    import django
    from django.test.utils import CaptureQueriesContext, setup_databases

    django.setup()
    setup_databases(verbosity=0, interactive=False)
    from django.conf import settings
    from django.db import connection

    from core import pace
    from endpoints import services
    from endpoints.models import Endpoint
    from endpoints.tests.test_pace import rows

    rows(wanted.settled, Endpoint.State.IN_SERVICE, "settled")
    rows(wanted.under_way, Endpoint.State.CREATING, "new")
    took_ms = []
    no_room = mock.patch.object(pace.CONTROL_PLANE, "room", return_value=1_000_000.0)
    not_sent = mock.patch.object(services, "enqueue_on_commit")
    with no_room, not_sent as sent:
        for _ in range(wanted.rounds):
            begun = time.perf_counter()
            services.sweep()
            took_ms.append(1000 * (time.perf_counter() - begun))
        with CaptureQueriesContext(connection) as asked:
            services.sweep()
        assert sent.called
    looks = [one for one in asked.captured_queries if "endpoints_endpoint" in one["sql"]]
    each_minute = CALLS * (wanted.settled + 60 * wanted.under_way)
    print(f"{wanted.settled} settled, {wanted.under_way} under way")
    print(f"a sweep: {statistics.median(took_ms):.1f} ms, at most {max(took_ms):.1f} ms")
    print(f"its queries of endpoints: {len(looks)}")
    print(f"calls a minute that they ask for: {each_minute}")
    print(f"calls a minute that are made: at most {60 * settings.AWS_CALLS_PER_SECOND}")


if __name__ == "__main__":
    main()
