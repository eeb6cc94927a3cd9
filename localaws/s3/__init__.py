"""``python -m localaws.s3``: the S3 server of a stack, on a folder.

It offers the operations in ``operations.OPERATIONS``, as AWS documents them, to clients that sign
with the stack's keys. Every other request gets ``NotImplemented``.
"""
