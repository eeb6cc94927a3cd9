"""Sets up and runs the whole portal on one machine: what the Makefile calls.

Standard library only, because it is what installs everything else. It needs Linux: with /proc and
prctl it makes sure that it leaves no process running.
"""
