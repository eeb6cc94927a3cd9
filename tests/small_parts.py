"""The portal's settings, with archives of some megabytes written, joined and copied in parts."""

from boto3.s3.transfer import TransferConfig

from core import aws
from mmeportal.server import guard
from mmeportal.settings import *  # noqa: F403

#: S3 takes no smaller ones.
PART = 5 << 20
aws.PART_BYTES = PART
# So an archive of two parts comes in two stretches, and S3 joins them.
guard.STRETCH_BYTES = guard.REST_BYTES = guard.LONG_STRETCH_BYTES = PART
aws.COPY = aws.JOINING = TransferConfig(
    multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=1
)
