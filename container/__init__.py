"""The container that serves MXNet models behind Multi Model Server (see README.md here).

The package is not installed. ``dockerd-entrypoint.py`` makes it importable from the folder that
it lies in, in the image and in a checkout alike.
"""
