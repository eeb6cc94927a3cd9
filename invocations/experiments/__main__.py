"""``python -m invocations.experiments PK``: one experiment's process, which process.py starts."""

import logging
import os
import signal
import sys
import threading
from types import FrameType

log = logging.getLogger(__name__)


def main(pk: int) -> None:
    """Run one experiment in this process, until it is done or standard input ends."""
    import django

    django.setup()
    from invocations.experiments import running

    ending = threading.Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    def look() -> None:
        while os.read(0, 64):
            pass
        ending.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    threading.Thread(target=look, name="worker-alive", daemon=True).start()
    code = 0
    try:
        running.run(pk, ending=ending)
    except Exception:
        log.exception("The process of an experiment ended.")
        code = 1
    # A call that is under way may take a minute; nobody waits for it any more.
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    main(int(sys.argv[1]))
