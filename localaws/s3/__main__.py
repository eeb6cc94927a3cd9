"""``python -m localaws.s3``: S3 on a folder, for clients that have the keys."""

import argparse
import contextlib
import errno
import logging
import os
import re
import signal
import socket
import sys
from pathlib import Path

from localaws.guard import InvalidHostName, addresses
from localaws.keys import KeyRing, KeysMissing, own_keys
from localaws.options import DEFAULT_REGION

from .object_store import FolderInUse, ObjectStore
from .operations import OPERATIONS, Service
from .server import Server

_DESCRIPTION = """\
An S3 server on a folder: DATA/BUCKET/KEY. Requests must be signed (Signature Version 4, in a header
or presigned) with the keys of the AWS_* environment variables or of --keys-file. Buckets stand in
the path, not in the host name. Web pages are not answered. It offers

  {operations}

and refuses everything else with NotImplemented. docs/s3.md is its manual."""


def main(arguments: list[str] | None = None) -> int:
    names = [one.name for one in OPERATIONS]
    rows = [", ".join(names[at : at + 5]) for at in range(0, len(names), 5)]
    parser = argparse.ArgumentParser(
        prog="python -m localaws.s3",
        description=_DESCRIPTION.format(operations=",\n  ".join(rows)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the buckets")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to")
    parser.add_argument("--port", type=int, default=9000, help="port to bind to (default 9000)")
    parser.add_argument(
        "--answer-to",
        metavar="NAMES",
        default=os.environ.get("LOCALAWS_ANSWER_TO", ""),
        help="further names that requests may have in Host (default $LOCALAWS_ANSWER_TO)",
    )
    parser.add_argument(
        "--keys-file", type=Path, help="file with keys, a line ID SECRET, besides AWS_*"
    )
    parser.add_argument("--region", default=DEFAULT_REGION, help="the buckets' region")
    parser.add_argument(
        "--require-encryption",
        choices=("", "sse-s3", "sse-kms"),
        default=os.environ.get("LOCALAWS_S3_REQUIRE_ENCRYPTION", ""),
        help="refuse writes that do not ask for this encryption, as a bucket policy would "
        "(default $LOCALAWS_S3_REQUIRE_ENCRYPTION)",
    )
    given = parser.parse_args(arguments)
    if given.require_encryption not in ("", "sse-s3", "sse-kms"):
        parser.error("LOCALAWS_S3_REQUIRE_ENCRYPTION is neither sse-s3 nor sse-kms")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        keys = own_keys(given.keys_file, os.environ)
        if not keys:
            raise KeysMissing("there are no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        others = tuple(filter(None, re.split(r"[,\s]+", given.answer_to)))
        hosts = addresses(given.host, given.port, others)
        store = ObjectStore(given.data)
    except (InvalidHostName, FolderInUse, KeysMissing, OSError) as error:
        print(f"localaws.s3: {error}", file=sys.stderr)
        return 1
    family = socket.AF_INET6 if ":" in given.host else socket.AF_INET
    try:
        listener = socket.create_server((given.host, given.port), family=family, backlog=128)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(
            f"localaws.s3: port {given.port} is taken; choose another with --port.",
            file=sys.stderr,
        )
        return 1
    service = Service(store, given.region, given.require_encryption)
    logging.info("S3 serves %s at http://%s:%s", store.root, given.host, given.port)
    # What was being written then is in temporary files, which the next start removes.
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        Server(store, service, KeyRing(keys), hosts, listener).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
