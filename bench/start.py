"""Start and end of the portal's programs, beside one with Python's own garbage collector.

``make bench-start``, or ``.venv/bin/python bench/start.py [--rounds N]``. Loads in turns what the
web server, a worker and `manage.py` load before they do anything, and ends; with what
`mmeportal/__init__.py` tells the garbage collector and without it. Prints the median of the
processor's seconds of each, and their ratio.
"""

import argparse
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "mmeportal.settings",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "MODEL_BUCKET": "nobody-asks-for-it",
    "EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/bench",
    "AWS_REGION": "us-east-1",
}
PROGRAMS = {
    "web server": "import mmeportal.wsgi",
    "worker": "import mmeportal.celery as m, django; django.setup(); m.app.loader.init_worker()",
    "manage.py check": "import sys, manage; sys.argv = ['manage.py', 'check']; manage.main()",
}
WITHOUT = "import gc; gc.disable = gc.set_threshold = gc.freeze = lambda *_: None\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="of each program, in turns")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
        settings = SETTINGS | {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
        for name, program in PROGRAMS.items():
            took: dict[str, list[float]] = {"": [], WITHOUT: []}
            for _ in range(rounds):
                for before, seconds in took.items():
                    seconds.append(processor_seconds(before + program, settings))
            ours, own = statistics.median(took[""]), statistics.median(took[WITHOUT])
            print(f"{name:16} {ours:.2f} s of a processor, {own:.2f} without: {ours / own:.2f}")


def processor_seconds(program: str, settings: dict[str, str]) -> float:
    """What a Python that runs ``program`` takes of a processor, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
