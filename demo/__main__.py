"""``python -m demo --out DIR``: train and pack the demo models."""

import sys

from demo.train import main

if __name__ == "__main__":  # not where a training process imports its parent's main module
    sys.exit(main())
