"""`make fuzz-api`: tests/test_fuzz_api.py with more examples, and any seed."""

import argparse
import os
import sys

import pytest


def main() -> int:
    """Run it; the exit code of pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="of each operation and role")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    os.environ["MME_API_EXAMPLES"] = str(wanted.examples)
    os.environ["MME_API_SEED"] = str(wanted.seed)
    return int(pytest.main(["-n", "0", "-q", "tests/test_fuzz_api.py"]))


if __name__ == "__main__":
    sys.exit(main())
