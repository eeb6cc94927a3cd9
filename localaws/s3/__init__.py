"""``python -m localaws.s3``: the S3 server of a stack, on a folder.

Only what AWS documents of the operations in ``operations.OPERATIONS`` is offered, to whoever signs
with the stack's keys. Everything else is refused with ``NotImplemented``, in whole.
"""
