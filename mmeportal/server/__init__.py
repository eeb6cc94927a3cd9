"""The portal's web server: waitress, with a guard in front of every body.

``python -m mmeportal.server --bind 127.0.0.1:8000``
"""
