"""The portal's web server: waitress, which checks permissions before it reads a large body.

``python -m mmeportal.server --bind 127.0.0.1:8000``
"""
