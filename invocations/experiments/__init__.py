"""Experiments: many calls of several versions, drawn at random, in a process of their own.

`services` begins and stops one, `process` starts its process, `running` makes its calls.
"""
