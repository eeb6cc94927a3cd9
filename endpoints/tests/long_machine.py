"""`make machine`: test_machine.py with more steps, any seed, and failures made small.

With ``--localaws`` it is tests/machine_on_localaws.py: real processes and containers.
"""

import argparse
import os
import sys

import pytest

from tests import machine_on_localaws


def main() -> int:
    """Run it; the exit code of pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="of the reconciler")
    parser.add_argument("--seed", type=int, default=1, help="of the first sequences")
    parser.add_argument(
        "--localaws", action="store_true", help="with real processes and containers"
    )
    parser.add_argument("--minutes", type=float, default=20, help="with --localaws")
    wanted = parser.parse_args()
    if wanted.localaws:
        machine_on_localaws.walk(minutes=wanted.minutes, seed=wanted.seed)
        return 0
    os.environ["MACHINE_STEPS"] = str(wanted.steps)
    os.environ["MACHINE_SEED"] = str(wanted.seed)
    return int(pytest.main(["-n", "0", "-q", "-s", "endpoints/tests/test_machine.py"]))


if __name__ == "__main__":
    sys.exit(main())
