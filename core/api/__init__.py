"""The base of the API at /api/v1: who calls, what is refused and how, paging, ETags.

Each room has its operations in its own ``api.py``; mmeportal/api.py joins them.
"""
