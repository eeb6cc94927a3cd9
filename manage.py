#!/usr/bin/env python
"""Django's command line for the portal."""

import os
import sys


def main() -> None:
    """Run the command that was named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
