"""``python -m demo --out DIR``: train and pack the demo models."""

import sys

from demo.train import main

sys.exit(main())
