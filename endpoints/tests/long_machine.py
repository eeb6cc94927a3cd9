"""`make machine`: test_machine.py with more steps, any seed, and failures made small."""

import argparse
import os
import sys

import pytest


def main() -> int:
    """Run it; the exit code of pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="of the reconciler")
    parser.add_argument("--seed", type=int, default=1, help="of the first sequences")
    wanted = parser.parse_args()
    os.environ["MACHINE_STEPS"] = str(wanted.steps)
    os.environ["MACHINE_SEED"] = str(wanted.seed)
    return int(pytest.main(["-n", "0", "-q", "-s", "endpoints/tests/test_machine.py"]))


if __name__ == "__main__":
    sys.exit(main())
