"""Sets up and runs the whole portal on one machine: what the Makefile calls.

Standard library only, because it is what installs everything else. It works on Linux, since it
relies on /proc and prctl to be sure that nothing it started outlives it.
"""
