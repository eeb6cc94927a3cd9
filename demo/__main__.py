"""``python -m demo --out DIR``: train and pack the demo models."""

import sys

from demo.train import main

if __name__ == "__main__":  # spawned training processes import this module too
    sys.exit(main())
