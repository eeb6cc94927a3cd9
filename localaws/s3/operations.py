"""The S3 operations that are offered, as the S3 API reference describes them.

``OPERATIONS`` lists them. A request must match an operation's method, resource and parameters
exactly. An unknown parameter or ``x-amz-`` header gets ``NotImplemented``, so that a request for a
sub-resource is never taken for one of the object itself.
"""

import base64
import binascii
import contextlib
import dataclasses
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from typing import IO, Any

from localaws.options import DEFAULT_ACCOUNT

from . import checksums, xml
from .body import Body, Received
from .multipart import ListedPart, Upload, Uploads, check_size
from .object_store import (
    Condition,
    ObjectAttributes,
    ObjectStore,
    StoredObject,
    check_key,
    copy_bytes,
    link_or_copy,
)
from .s3_errors import S3Error, failed_precondition, no_such_key, not_implemented

_MAX_METADATA = 2048
_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MAX_TAGS = 10
_MAX_KEYS = 1000
_LAST = "\U0010ffff"
SIGNING = frozenset(
    f"X-Amz-{name}"
    for name in (
        *("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"),
        *("Security-Token", "Content-Sha256"),
    )
)
"""Parameters of a presigned URL."""
_ANY_QUERY = SIGNING | {"x-id"}
_ANY_HEADERS = frozenset(
    f"x-amz-{name}"
    for name in (
        *("date", "content-sha256", "security-token", "user-agent", "expected-bucket-owner"),
        *("request-payer", "sdk-checksum-algorithm", "decoded-content-length", "trailer", "te"),
    )
)
_KEPT_HEADERS = (
    *("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language"),
    *("Content-Type", "Expires"),
)
_OVERRIDES = {f"response-{name.lower()}": name for name in _KEPT_HEADERS}
_ENCRYPTION = frozenset(
    f"x-amz-server-side-encryption{name}"
    for name in ("", "-aws-kms-key-id", "-bucket-key-enabled", "-context")
)
_WRITE_HEADERS = _ENCRYPTION | {"x-amz-acl", "x-amz-storage-class", "x-amz-tagging"}
_CHECKSUM_HEADERS = frozenset(f"x-amz-checksum-{name}" for name in checksums.ALGORITHMS)
_SOURCE_HEADERS = frozenset(
    f"x-amz-copy-source{name}"
    for name in (
        *("", "-if-match", "-if-none-match", "-if-modified-since", "-if-unmodified-since"),
    )
) | {"x-amz-source-expected-bucket-owner"}


@dataclass(slots=True)
class S3Request:
    """A request whose signature holds."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Body
    access_key: str


@dataclass(slots=True)
class S3Response:
    """``length`` bytes of ``file`` from ``start`` are sent, or ``body`` where there is no file."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: IO[bytes] | None = None
    start: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request must have, and may have, to be this operation."""

    name: str
    method: str
    level: str
    """"service", "bucket" or "object"."""
    needs: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    copies: bool = False
    metadata: bool = False
    conditions: frozenset[str] = frozenset()
    about_object: bool = False
    """Checksums in the headers are those of the object, not of the body."""


def _operation(
    name: str,
    method: str,
    level: str,
    needs: str = "",
    may: str = "",
    headers: frozenset[str] = frozenset(),
    **more: Any,
) -> Operation:
    more["conditions"] = frozenset(more.get("conditions", "").split())
    return Operation(
        name, method, level, frozenset(needs.split()), frozenset(may.split()), headers, **more
    )


_READ: dict[str, Any] = {
    "may": "partNumber " + " ".join(_OVERRIDES),
    "headers": frozenset({"x-amz-checksum-mode"}),
    "conditions": "if-match if-none-match if-modified-since if-unmodified-since if-range",
}
_PAGE = "prefix delimiter max-keys encoding-type"
OPERATIONS = (
    _operation(
        "ListBuckets",
        "GET",
        "service",
        may="max-buckets continuation-token prefix bucket-region",
    ),
    _operation(
        "CreateBucket",
        "PUT",
        "bucket",
        headers=frozenset({"x-amz-acl", "x-amz-object-ownership"}),
    ),
    _operation("DeleteBucket", "DELETE", "bucket"),
    _operation("HeadBucket", "HEAD", "bucket"),
    _operation("GetBucketLocation", "GET", "bucket", "location"),
    _operation("ListObjects", "GET", "bucket", may=f"{_PAGE} marker"),
    _operation(
        "ListObjectsV2",
        "GET",
        "bucket",
        "list-type",
        f"{_PAGE} continuation-token start-after fetch-owner",
    ),
    _operation("DeleteObjects", "POST", "bucket", "delete", headers=_CHECKSUM_HEADERS),
    _operation(
        "ListMultipartUploads",
        "GET",
        "bucket",
        "uploads",
        "prefix key-marker upload-id-marker max-uploads encoding-type",
    ),
    _operation(
        "PutObject",
        "PUT",
        "object",
        headers=_WRITE_HEADERS | _CHECKSUM_HEADERS,
        metadata=True,
        conditions="if-match if-none-match",
    ),
    _operation(
        "CopyObject",
        "PUT",
        "object",
        headers=_WRITE_HEADERS
        | _SOURCE_HEADERS
        | {"x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-checksum-algorithm"},
        copies=True,
        metadata=True,
        conditions="if-match if-none-match",
    ),
    _operation("GetObject", "GET", "object", **_READ),
    _operation("HeadObject", "HEAD", "object", **_READ),
    _operation("DeleteObject", "DELETE", "object", conditions="if-match"),
    _operation("GetObjectTagging", "GET", "object", "tagging"),
    _operation("PutObjectTagging", "PUT", "object", "tagging", headers=_CHECKSUM_HEADERS),
    _operation("DeleteObjectTagging", "DELETE", "object", "tagging"),
    _operation(
        "CreateMultipartUpload",
        "POST",
        "object",
        "uploads",
        headers=_WRITE_HEADERS | {"x-amz-checksum-algorithm", "x-amz-checksum-type"},
        metadata=True,
    ),
    _operation("UploadPart", "PUT", "object", "partNumber uploadId", headers=_CHECKSUM_HEADERS),
    _operation(
        "UploadPartCopy",
        "PUT",
        "object",
        "partNumber uploadId",
        headers=_SOURCE_HEADERS | {"x-amz-copy-source-range"},
        copies=True,
    ),
    _operation(
        "CompleteMultipartUpload",
        "POST",
        "object",
        "uploadId",
        headers=_CHECKSUM_HEADERS | {"x-amz-checksum-type", "x-amz-mp-object-size"},
        conditions="if-match if-none-match",
        about_object=True,
    ),
    _operation("AbortMultipartUpload", "DELETE", "object", "uploadId"),
    _operation("ListParts", "GET", "object", "uploadId", "max-parts part-number-marker"),
)
_WITH_BODY = (
    *("PutObject", "UploadPart", "CreateBucket", "DeleteObjects", "PutObjectTagging"),
    *("CreateMultipartUpload", "CompleteMultipartUpload"),
)
_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")


def find_operation(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation:
    """The operation that a request matches exactly. Raises NotImplemented."""
    level = "object" if key else "bucket" if bucket else "service"
    given = set(query) - _ANY_QUERY
    copies = "x-amz-copy-source" in headers
    fitting = [
        one
        for one in OPERATIONS
        if (one.method, one.level) == (method, level)
        and one.copies == copies
        and one.needs <= given <= one.needs | one.may
    ]
    if not fitting:
        what = f"{method} of {'an' if level == 'object' else 'a'} {level}"
        if given:
            what += f" with ?{'&'.join(sorted(given))}"
        raise not_implemented(what + (" and a source to copy" if copies else ""))
    found = max(fitting, key=lambda one: len(one.needs))
    for name in headers:
        if name.startswith("x-amz-meta-"):
            is_known = found.metadata
        elif name.startswith("x-amz-"):
            is_known = name in _ANY_HEADERS | found.headers
        else:
            is_known = name not in _CONDITIONS or name in found.conditions
        if not is_known:
            raise not_implemented(f"the header {name} in {found.name}")
    return found


class Service:
    """S3 on a store. ``encryption``: "sse-s3" or "sse-kms", required of writes; "": none."""

    def __init__(self, store: ObjectStore, region: str, encryption: str = "") -> None:
        self._store = store
        self._uploads = Uploads(store)
        self._region = region
        self._encryption = encryption

    def answer(self, operation: Operation, call: S3Request) -> S3Response:
        """Run an operation. Raises S3Error."""
        for name in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
            if call.headers.get(name, DEFAULT_ACCOUNT) != DEFAULT_ACCOUNT:
                raise S3Error("AccessDenied", "Access Denied")
        if call.key:
            check_key(call.key)
        if operation.name not in _WITH_BODY:
            call.body.document(0)
        method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation.name).lower()
        handler: Callable[[S3Request], S3Response] = getattr(self, f"_{method}")
        return handler(call)

    # --- buckets ---------------------------------------------------------------------------------

    def _list_buckets(self, call: S3Request) -> S3Response:
        prefix, token = call.query.get("prefix", ""), call.query.get("continuation-token")
        after = "" if token is None else _after(token)
        is_here = call.query.get("bucket-region", self._region) == self._region
        found = [
            (name, made)
            for name, made in self._store.buckets()
            if is_here and name.startswith(prefix) and name > after
        ]
        shown = found[: _count(call.query.get("max-buckets"), 10_000, "max-buckets")]
        following = _token(shown[-1][0]) if shown and len(shown) < len(found) else None
        buckets = [
            ("Bucket", [("Name", name), ("CreationDate", xml.moment(made))]) for name, made in shown
        ]
        return _document(
            "ListAllMyBucketsResult",
            [
                ("Owner", [("ID", DEFAULT_ACCOUNT)]),
                ("Buckets", buckets),
                ("Prefix", prefix or None),
                ("ContinuationToken", following),
            ],
        )

    def _create_bucket(self, call: S3Request) -> S3Response:
        _check_acl(call.headers)
        if call.headers.get("x-amz-object-ownership", "BucketOwnerEnforced") != (
            "BucketOwnerEnforced"
        ):
            raise not_implemented("another ownership of objects than BucketOwnerEnforced")
        if body := call.body.document():
            for element in xml.parsed(body, "CreateBucketConfiguration"):
                if element.tag != "LocationConstraint":
                    raise not_implemented(f"{element.tag} of a bucket")
        self._store.create_bucket(call.bucket)
        return S3Response(headers={"Location": f"/{call.bucket}"})

    def _delete_bucket(self, call: S3Request) -> S3Response:
        self._store.delete_bucket(call.bucket)
        self._uploads.abort_all(call.bucket)
        return S3Response(204)

    def _head_bucket(self, call: S3Request) -> S3Response:
        self._store.bucket(call.bucket)
        return S3Response(headers={"x-amz-bucket-region": self._region})

    def _get_bucket_location(self, call: S3Request) -> S3Response:
        self._store.bucket(call.bucket)
        # Empty for us-east-1 (S3 API, GetBucketLocation).
        return _document("LocationConstraint", "" if self._region == "us-east-1" else self._region)

    # --- lists -----------------------------------------------------------------------------------

    def _list_objects(self, call: S3Request) -> S3Response:
        marker = call.query.get("marker", "")
        delimiter = call.query.get("delimiter", "")
        after = marker + (_LAST if delimiter and marker.endswith(delimiter) else "")
        page = self._page(call, after)
        encoded = page.encoded
        return _document(
            "ListBucketResult",
            [
                *page.head(call),
                ("Marker", encoded(marker)),
                ("NextMarker", encoded(page.last) if page.is_truncated and delimiter else None),
                *page.items(with_owner=True),
            ],
        )

    def _list_objects_v2(self, call: S3Request) -> S3Response:
        if call.query["list-type"] != "2":
            raise S3Error("InvalidArgument", "Invalid List Type specified in Query")
        start_after = call.query.get("start-after")
        token = call.query.get("continuation-token")
        after = (start_after or "") if token is None else _after(token)
        page = self._page(call, after)
        following = None
        if page.is_truncated:
            last = page.last + (_LAST if page.ends_folded else "")
            following = _token(last)
        return _document(
            "ListBucketResult",
            [
                *page.head(call),
                ("KeyCount", len(page.found) + len(page.folded)),
                ("StartAfter", None if start_after is None else page.encoded(start_after)),
                ("ContinuationToken", token),
                ("NextContinuationToken", following),
                *page.items(with_owner=call.query.get("fetch-owner") == "true"),
            ],
        )

    def _page(self, call: S3Request, after: str) -> "Page":
        prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
        most = _count(call.query.get("max-keys"), _MAX_KEYS, "max-keys")
        page = Page(most, _encoder(call))
        keys = self._store.listing(call.bucket, prefix, after, fold=delimiter == "/")
        for key in keys:
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            folded = key[: end + len(delimiter)] if end >= 0 else ""
            if folded and page.folded and page.folded[-1] == folded:
                continue
            if len(page.found) + len(page.folded) == most:
                page.is_truncated = most > 0
                break
            if folded:
                page.folded.append(folded)
            else:
                try:
                    page.found.append(self._store.find(call.bucket, key))
                except S3Error as error:
                    if error.code != "NoSuchKey":
                        raise
                    continue  # it was deleted meanwhile
            page.last, page.ends_folded = folded or key, bool(folded)
        return page

    # --- reading ---------------------------------------------------------------------------------

    def _get_object(self, call: S3Request) -> S3Response:
        found, file = self._store.open(call.bucket, call.key)
        try:
            answer = self._read(call, found)
        except BaseException:
            file.close()
            raise
        if answer.status in (200, 206):
            answer.file = file
        else:
            file.close()
        return answer

    def _head_object(self, call: S3Request) -> S3Response:
        return self._read(call, self._store.find(call.bucket, call.key))

    def _read(self, call: S3Request, found: StoredObject) -> S3Response:
        headers = _headers_of(found)
        for parameter, name in _OVERRIDES.items():
            if parameter in call.query:
                headers[name] = _printable(parameter, call.query[parameter])
        if not _in_range(call.headers, found):
            return S3Response(304, {name: headers[name] for name in ("ETag", "Last-Modified")})
        span = None
        if "partNumber" in call.query:
            if "range" in call.headers:
                raise S3Error(
                    "InvalidRequest", "Cannot specify both Range header and partNumber query"
                )
            span = _span_of_part(call.query["partNumber"], found)
            if found.description.parts:
                headers["x-amz-mp-parts-count"] = str(len(found.description.parts))
        elif "range" in call.headers and _may_range(call.headers, found):
            span = _span(call.headers["range"], found.size)
        start, length = span or (0, found.size)
        if span is not None and length:
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.size}"
        elif call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            # The checksum is of the whole object, so it is not sent with a range.
            headers |= _checksum_headers(found.description)
        headers["Content-Length"] = str(length)
        return S3Response(206 if span and length else 200, headers, start=start, length=length)

    # --- writing ---------------------------------------------------------------------------------

    def _put_object(self, call: S3Request) -> S3Response:
        description = self._described(call)
        condition = _condition(call.headers)
        self._store.bucket(call.bucket)
        with self._written(lambda file: call.body.write(file)) as (path, received):
            found = self._store.commit(
                call.bucket,
                call.key,
                path,
                dataclasses.replace(description, etag=received.md5, checksums=received.checksums),
                condition,
            )
        described = found.description
        headers = {"ETag": f'"{described.etag}"'} | _checksum_headers(described)
        return S3Response(headers=headers | described.encryption)

    def _copy_object(self, call: S3Request) -> S3Response:
        asked = self._described(call)
        condition = _condition(call.headers)
        algorithm = _algorithm(call.headers)
        source_bucket, source_key = _source(call.headers)
        replaces = _directive(call.headers, "x-amz-metadata-directive")
        retags = _directive(call.headers, "x-amz-tagging-directive")
        source, file = self._store.open(source_bucket, source_key)
        with file:
            check_size(source.size)
            _check_source(call.headers, source)
            if (source_bucket, source_key) == (call.bucket, call.key) and not (
                replaces or asked.encryption
            ):
                raise S3Error(
                    "InvalidRequest",
                    "This copy request is illegal because it is trying to copy an object to itself "
                    "without changing the object's metadata, storage class, website redirect "
                    "location or encryption attributes.",
                )
            with self._written(lambda target: copy_bytes(file, 0, source.size, target)) as (
                path,
                _,
            ):
                kept = source.description
                description = ObjectAttributes(
                    etag=kept.etag,
                    headers=asked.headers if replaces else kept.headers,
                    metadata=asked.metadata if replaces else kept.metadata,
                    tags=asked.tags if retags else kept.tags,
                    checksums=_checksums_of_copy(kept, algorithm, path.as_posix()),
                    encryption=asked.encryption,
                )
                found = self._store.commit(call.bucket, call.key, path, description, condition)
        result = [
            ("LastModified", xml.moment(found.modified)),
            ("ETag", f'"{found.description.etag}"'),
            *_checksum_elements(found.description.checksums),
        ]
        return _document("CopyObjectResult", result, asked.encryption)

    def _delete_object(self, call: S3Request) -> S3Response:
        condition = _condition(call.headers)
        self._store.delete(call.bucket, call.key, condition)
        return S3Response(204)

    def _delete_objects(self, call: S3Request) -> S3Response:
        if not call.body.has_checksum:
            raise S3Error(
                "InvalidRequest",
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
            )
        root = xml.parsed(call.body.document(), "Delete")
        self._store.bucket(call.bucket)
        objects = root.findall("Object")
        if not 0 < len(objects) <= _MAX_KEYS:
            raise S3Error("MalformedXML", f"From 1 to {_MAX_KEYS} objects can be deleted at once.")
        is_quiet = (root.findtext("Quiet") or "").strip() == "true"
        results: list[tuple[str, Any]] = []
        for one in objects:
            key = one.findtext("Key") or ""
            try:
                if not key:
                    raise S3Error("MalformedXML", "An object has no Key.")
                if other := [child.tag for child in one if child.tag != "Key"]:
                    raise not_implemented(f"{other[0]} in DeleteObjects")
                check_key(key)
                self._store.delete(call.bucket, key)
            except S3Error as error:
                results.append(
                    ("Error", [("Key", key), ("Code", error.code), ("Message", error.message)])
                )
                continue
            if not is_quiet:
                results.append(("Deleted", [("Key", key)]))
        return _document("DeleteResult", results)

    # --- tags ------------------------------------------------------------------------------------

    def _get_object_tagging(self, call: S3Request) -> S3Response:
        tags = self._store.find(call.bucket, call.key).description.tags
        listed = [("Tag", [("Key", name), ("Value", value)]) for name, value in tags.items()]
        return _document("Tagging", [("TagSet", listed)])

    def _put_object_tagging(self, call: S3Request) -> S3Response:
        root = xml.parsed(call.body.document(), "Tagging")
        pairs = [
            (tag.findtext("Key") or "", tag.findtext("Value") or "")
            for tag in root.iterfind("TagSet/Tag")
        ]
        if root.find("TagSet") is None:
            raise S3Error("MalformedXML", "There is no TagSet.")
        self._store.update_attributes(call.bucket, call.key, tags=_tags(pairs))
        return S3Response()

    def _delete_object_tagging(self, call: S3Request) -> S3Response:
        self._store.update_attributes(call.bucket, call.key, tags={})
        return S3Response(204)

    # --- multipart uploads -----------------------------------------------------------------------

    def _create_multipart_upload(self, call: S3Request) -> S3Response:
        description = self._described(call)
        call.body.document()
        algorithm = _algorithm(call.headers)
        default = "FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE"
        kind = call.headers.get("x-amz-checksum-type", default).upper()
        if kind not in ("FULL_OBJECT", "COMPOSITE"):
            raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
        is_full = kind == "FULL_OBJECT"
        if (
            algorithm
            and is_full != (algorithm == "crc64nvme")
            and (algorithm not in checksums.FULL_OBJECT or algorithm == "crc64nvme")
        ):
            raise S3Error(
                "InvalidRequest",
                f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.",
            )
        upload = self._uploads.create(
            Upload("", call.bucket, call.key, time.time(), description, algorithm, is_full)
        )
        headers = dict(description.encryption)
        if algorithm:
            headers["x-amz-checksum-algorithm"] = algorithm.upper()
            headers["x-amz-checksum-type"] = kind
        return _document(
            "InitiateMultipartUploadResult",
            [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload.id)],
            headers,
        )

    def _upload_part(self, call: S3Request) -> S3Response:
        upload = self._upload(call)
        number = _part_number(call)
        with self._written(lambda file: call.body.write(file)) as (path, received):
            part = self._uploads.add(upload, number, path, received)
        headers = {"ETag": f'"{part.etag}"'}
        headers |= {f"x-amz-checksum-{name}": value for name, value in part.checksums.items()}
        return S3Response(headers=headers | upload.description.encryption)

    def _upload_part_copy(self, call: S3Request) -> S3Response:
        upload = self._upload(call)
        number = _part_number(call)
        source, file = self._store.open(*_source(call.headers))
        with file:
            _check_source(call.headers, source)
            start, length = 0, source.size
            if header := call.headers.get("x-amz-copy-source-range"):
                start, length = _span_of_source(header, source.size)
            check_size(length)

            names = [upload.algorithm] if upload.algorithm else []
            is_whole = (start, length) == (0, source.size)
            known = _known_of(source.description, names) if is_whole else None

            def copied(target: IO[bytes]) -> Received:
                if known is not None:
                    link_or_copy(file, source, target)
                    return Received(length, *known)
                copy_bytes(file, start, length, target)
                digests = _digests(target.name, ["md5", *names])
                found = {name: checksums.encoded(digests[name]) for name in names}
                return Received(length, digests["md5"].hex(), found)

            with self._written(copied) as (path, received):
                part = self._uploads.add(upload, number, path, received)
        return _document(
            "CopyPartResult",
            [
                ("LastModified", xml.moment(part.modified)),
                ("ETag", f'"{part.etag}"'),
                *_checksum_elements(part.checksums),
            ],
            upload.description.encryption,
        )

    def _complete_multipart_upload(self, call: S3Request) -> S3Response:
        condition = _condition(call.headers)
        root = xml.parsed(call.body.document(), "CompleteMultipartUpload")
        listed = [_listed(part) for part in root.findall("Part")]
        if not listed:
            raise S3Error("MalformedXML", "You must specify at least one part")
        expected = {
            name: value
            for name in checksums.ALGORITHMS
            if (value := call.headers.get(f"x-amz-checksum-{name}")) is not None
        }
        try:
            upload = self._upload(call)
            self._check_declared_size(call, upload, listed)
            found = self._uploads.complete(upload, listed, condition, expected)
        except S3Error:
            # The same client may have completed it already.
            done = self._uploads.completed(call.bucket, call.key, call.query["uploadId"])
            if done is None:
                raise
            found = done
        description = found.description
        return _document(
            "CompleteMultipartUploadResult",
            [
                ("Location", f"/{call.bucket}/{urllib.parse.quote(call.key)}"),
                ("Bucket", call.bucket),
                ("Key", call.key),
                ("ETag", f'"{description.etag}"'),
                *_checksum_elements(description.checksums),
            ],
            description.encryption,
        )

    def _check_declared_size(
        self, call: S3Request, upload: Upload, listed: list[ListedPart]
    ) -> None:
        declared = call.headers.get("x-amz-mp-object-size")
        if declared is None:
            return
        numbers = {one.number for one in listed}
        size = sum(part.size for part in self._uploads.parts(upload) if part.number in numbers)
        if declared != str(size):
            raise S3Error("InvalidRequest", "The provided object size does not match the parts.")

    def _abort_multipart_upload(self, call: S3Request) -> S3Response:
        self._uploads.abort(self._upload(call))
        return S3Response(204)

    def _list_parts(self, call: S3Request) -> S3Response:
        upload = self._upload(call)
        most = _count(call.query.get("max-parts"), _MAX_KEYS, "max-parts")
        after = _count(call.query.get("part-number-marker", "0"), 10_000, "part-number-marker")
        parts = [part for part in self._uploads.parts(upload) if part.number > after]
        shown = parts[:most]
        return _document(
            "ListPartsResult",
            [
                ("Bucket", call.bucket),
                ("Key", call.key),
                ("UploadId", upload.id),
                ("PartNumberMarker", after),
                ("NextPartNumberMarker", shown[-1].number if shown else 0),
                ("MaxParts", most),
                ("IsTruncated", len(shown) < len(parts)),
                ("ChecksumAlgorithm", upload.algorithm.upper() or None),
                ("StorageClass", "STANDARD"),
                *(
                    (
                        "Part",
                        [
                            ("PartNumber", part.number),
                            ("LastModified", xml.moment(part.modified)),
                            ("ETag", f'"{part.etag}"'),
                            ("Size", part.size),
                            *_checksum_elements(part.checksums),
                        ],
                    )
                    for part in shown
                ),
            ],
        )

    def _list_multipart_uploads(self, call: S3Request) -> S3Response:
        most = _count(call.query.get("max-uploads"), _MAX_KEYS, "max-uploads")
        prefix, marker = call.query.get("prefix", ""), call.query.get("key-marker", "")
        id_marker = call.query.get("upload-id-marker", "")
        encoded = _encoder(call)
        uploads = [one for one in self._uploads.all(call.bucket) if one.key.startswith(prefix)]
        if marker:
            same = [one for one in uploads if one.key == marker]
            seen = next((at for at, one in enumerate(same) if one.id == id_marker), len(same))
            beyond = marker.encode()
            uploads = same[seen + 1 :] + [one for one in uploads if one.key.encode() > beyond]
        shown = uploads[:most]
        is_truncated = len(shown) < len(uploads)
        last = shown[-1] if shown and is_truncated else None
        return _document(
            "ListMultipartUploadsResult",
            [
                ("Bucket", call.bucket),
                ("KeyMarker", encoded(marker)),
                ("UploadIdMarker", id_marker),
                ("NextKeyMarker", encoded(last.key) if last else None),
                ("NextUploadIdMarker", last.id if last else None),
                ("Prefix", encoded(prefix)),
                ("EncodingType", call.query.get("encoding-type")),
                ("MaxUploads", most),
                ("IsTruncated", is_truncated),
                *(
                    (
                        "Upload",
                        [
                            ("Key", encoded(one.key)),
                            ("UploadId", one.id),
                            ("StorageClass", "STANDARD"),
                            ("Initiated", xml.moment(one.initiated)),
                        ],
                    )
                    for one in shown
                ),
            ],
        )

    # --- within ----------------------------------------------------------------------------------

    def _upload(self, call: S3Request) -> Upload:
        return self._uploads.get(call.bucket, call.key, call.query["uploadId"])

    @contextlib.contextmanager
    def _written(self, write: Callable[[IO[bytes]], Any]) -> Iterator[tuple[Any, Any]]:
        """A temporary file that ``write`` has filled, and what ``write`` returned."""
        path = self._store.temporary()
        try:
            with path.open("wb", buffering=0) as file:
                made = write(file)
            yield path, made
        finally:
            path.unlink(missing_ok=True)

    def _described(self, call: S3Request) -> ObjectAttributes:
        """The attributes that the headers of a write give the object."""
        headers = call.headers
        _check_acl(headers)
        if headers.get("x-amz-storage-class", "STANDARD") != "STANDARD":
            raise not_implemented("another storage class than STANDARD")
        self._check_encryption(call)
        kept = {name: headers[name.lower()] for name in _KEPT_HEADERS if name.lower() in headers}
        coding = [word.strip() for word in kept.pop("Content-Encoding", "").split(",")]
        coding = [word for word in coding if word and word.lower() != "aws-chunked"]
        if coding:
            kept["Content-Encoding"] = ",".join(coding)
        kept.setdefault("Content-Type", "binary/octet-stream")
        metadata = {
            name.removeprefix("x-amz-meta-"): value
            for name, value in headers.items()
            if name.startswith("x-amz-meta-")
        }
        if sum(map(len, (*metadata, *metadata.values()))) > _MAX_METADATA:
            raise S3Error(
                "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"
            )
        tags = urllib.parse.parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
        return ObjectAttributes(
            etag="",
            headers=kept,
            metadata=metadata,
            tags=_tags(tags),
            encryption={name: headers[name] for name in sorted(_ENCRYPTION & set(headers))},
        )

    def _check_encryption(self, call: S3Request) -> None:
        """Refuse a write without the header, as a bucket policy would."""
        given = call.headers.get("x-amz-server-side-encryption", "")
        if given not in ("", "AES256", "aws:kms"):
            raise not_implemented(f"the encryption {given}")
        wanted = {"": given, "sse-s3": "AES256", "sse-kms": "aws:kms"}[self._encryption]
        if given != wanted:
            raise S3Error(
                "AccessDenied",
                f"User: arn:aws:iam::{DEFAULT_ACCOUNT}:user/{call.access_key} is not authorized to "
                f"perform: s3:PutObject on resource: "
                f'"arn:aws:s3:::{call.bucket}/{call.key}" with an explicit deny in a '
                "resource-based policy",
            )


@dataclass(slots=True)
class Page:
    """A page of a list of objects."""

    most: int
    encoded: Callable[[str], str]
    found: list[StoredObject] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    is_truncated: bool = False
    last: str = ""
    ends_folded: bool = False

    def head(self, call: S3Request) -> list[tuple[str, Any]]:
        delimiter = call.query.get("delimiter")
        return [
            ("Name", call.bucket),
            ("Prefix", self.encoded(call.query.get("prefix", ""))),
            ("Delimiter", None if not delimiter else self.encoded(delimiter)),
            ("MaxKeys", self.most),
            ("EncodingType", call.query.get("encoding-type")),
            ("IsTruncated", self.is_truncated),
        ]

    def items(self, *, with_owner: bool) -> Iterator[tuple[str, Any]]:
        for one in self.found:
            names = [name.upper() for name in one.description.checksums]
            yield (
                "Contents",
                [
                    ("Key", self.encoded(one.key)),
                    ("LastModified", xml.moment(one.modified)),
                    ("ETag", f'"{one.description.etag}"'),
                    *(("ChecksumAlgorithm", name) for name in names),
                    ("Size", one.size),
                    ("Owner", [("ID", DEFAULT_ACCOUNT)] if with_owner else None),
                    ("StorageClass", "STANDARD"),
                ],
            )
        for name in self.folded:
            yield "CommonPrefixes", [("Prefix", self.encoded(name))]


def _document(root: str, content: Any, headers: Mapping[str, str] | None = None) -> S3Response:
    body = xml.document(root, content)
    return S3Response(headers={"Content-Type": "application/xml", **(headers or {})}, body=body)


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _after(token: str) -> str:
    """The name after which a list goes on. Raises InvalidArgument."""
    try:
        after = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError):
        after = ""
    if not after:
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect")
    return after


def _encoder(call: S3Request) -> Callable[[str], str]:
    kind = call.query.get("encoding-type")
    if kind not in (None, "url"):
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request")
    return (lambda text: urllib.parse.quote(text, safe="/")) if kind else (lambda text: text)


def _count(text: str | None, most: int, name: str) -> int:
    if text is None or text == "":
        return most
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise S3Error("InvalidArgument", f"Provided {name} not an integer or within integer range")
    return min(int(text), most)


def _check_acl(headers: Mapping[str, str]) -> None:
    """Accept the ACL "private" alone: there is one owner, who may do everything."""
    if headers.get("x-amz-acl", "private") not in ("private", "bucket-owner-full-control"):
        raise not_implemented("access control lists")


def _algorithm(headers: Mapping[str, str]) -> str:
    name = headers.get("x-amz-checksum-algorithm", "").lower()
    if name and name not in checksums.ALGORITHMS:
        raise not_implemented(f"checksums by {name.upper()}")
    return name


def _directive(headers: Mapping[str, str], name: str) -> bool:
    """Whether to use the request's own values and not those of the source."""
    value = headers.get(name, "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise S3Error("InvalidArgument", f"Unknown {name.removeprefix('x-amz-')}.")
    return value == "REPLACE"


def _tags(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Limits: S3 API, PutObjectTagging."""
    if len(pairs) > _MAX_TAGS:
        raise S3Error("BadRequest", "Object tags cannot be greater than 10")
    for name, value in pairs:
        if not 0 < len(name) <= 128 or len(value) > 256:
            raise S3Error("InvalidTag", "The tag's key or value is too long, or there is no key.")
    if len(dict(pairs)) < len(pairs):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    return dict(pairs)


def _source(headers: Mapping[str, str]) -> tuple[str, str]:
    """Bucket and key to copy from; the header is encoded as a part of a URL, slashes or not."""
    path, _, version = headers["x-amz-copy-source"].partition("?")
    if version and version != "versionId=null":
        raise not_implemented("versions of objects")
    try:
        path = urllib.parse.unquote(path, errors="strict")
    except UnicodeDecodeError:
        path = ""
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key:
        raise S3Error(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    check_key(key)
    return bucket, key


def _check_source(headers: Mapping[str, str], found: StoredObject) -> None:
    """The conditions on what is copied (S3 API, CopyObject: how they are combined)."""
    etag, modified = found.description.etag, int(found.modified)
    match = headers.get("x-amz-copy-source-if-match")
    none_match = headers.get("x-amz-copy-source-if-none-match")
    since = _time(headers.get("x-amz-copy-source-if-modified-since"))
    unmodified = _time(headers.get("x-amz-copy-source-if-unmodified-since"))
    fails = match is not None and not _names(match, etag)
    fails |= match is None and unmodified is not None and modified > unmodified
    fails |= none_match is not None and _names(none_match, etag)
    fails |= none_match is None and since is not None and modified <= since
    if fails:
        raise failed_precondition()


def _condition(headers: Mapping[str, str]) -> Condition:
    """If-Match and If-None-Match of a write (S3 UG, "Conditional requests")."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if none_match is not None and none_match.strip() != "*":
        raise not_implemented("If-None-Match with anything but * in a write")

    def check(found: StoredObject | None) -> None:
        if none_match is not None and found is not None:
            raise failed_precondition()
        if match is not None:
            if found is None:
                raise no_such_key()
            if not _names(match, found.description.etag):
                raise failed_precondition()

    return check


def _in_range(headers: Mapping[str, str], found: StoredObject) -> bool:
    """False: 304. Raises PreconditionFailed. (S3 API, GetObject: how they are combined.)"""
    etag, modified = found.description.etag, int(found.modified)
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    since = _time(headers.get("if-modified-since"))
    unmodified = _time(headers.get("if-unmodified-since"))
    if match is not None:
        if not _names(match, etag):
            raise failed_precondition()
    elif unmodified is not None and modified > unmodified:
        raise failed_precondition()
    if none_match is not None:
        return not _names(none_match, etag)
    return since is None or modified > since


def _names(header: str, etag: str) -> bool:
    """Whether a header of ETags has this one."""
    given = {value.strip().removeprefix("W/").strip('"') for value in header.split(",")}
    return "*" in given or etag in given


def _time(header: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(header).timestamp()) if header else None
    except (ValueError, OverflowError):
        return None


def _may_range(headers: Mapping[str, str], found: StoredObject) -> bool:
    """If-Range (RFC 9110, 13.1.5): the range, if the object is still that one."""
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.startswith('"'):
        return condition.strip('"') == found.description.etag
    return _time(condition) == int(found.modified)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """Start and length of the one range that a header asks for; None: of no such form.

    Raises InvalidRange where the object has no such bytes.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.ASCII)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    else:
        start, end = max(0, size - int(last)), size - 1
        if not int(last):
            start = size
    if start >= size:
        raise S3Error(
            "InvalidRange",
            "The requested range is not satisfiable",
            Content_Range=f"bytes */{size}",
        )
    return start, end - start + 1


def _span_of_part(text: str, found: StoredObject) -> tuple[int, int]:
    sizes = found.description.parts or [found.size]
    number = int(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) else 0
    if not 1 <= number <= len(sizes):
        raise S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable")
    return sum(sizes[: number - 1]), sizes[number - 1]


def _span_of_source(header: str, size: int) -> tuple[int, int]:
    match = re.fullmatch(r"bytes=(\d{1,18})-(\d{1,18})", header.strip(), re.ASCII)
    if match is None or not int(match[1]) <= int(match[2]) < size:
        raise S3Error(
            "InvalidArgument", f"Range specified is not valid for source object of size: {size}"
        )
    return int(match[1]), int(match[2]) - int(match[1]) + 1


def _part_number(call: S3Request) -> int:
    text = call.query["partNumber"]
    return int(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) else 0


def _listed(part: Any) -> ListedPart:
    number = part.findtext("PartNumber") or ""
    if not re.fullmatch(r"\d{1,5}", number.strip(), re.ASCII):
        raise S3Error("MalformedXML", "A part has no number.")
    etag = (part.findtext("ETag") or "").strip().strip('"')
    given = {name: part.findtext(f"Checksum{name.upper()}") for name in checksums.ALGORITHMS}
    return ListedPart(
        int(number), etag, {name: value.strip() for name, value in given.items() if value}
    )


def _headers_of(found: StoredObject) -> dict[str, str]:
    described = found.description
    headers = {
        "ETag": f'"{described.etag}"',
        "Last-Modified": formatdate(int(found.modified), usegmt=True),
        "Accept-Ranges": "bytes",
        **described.headers,
        **{f"x-amz-meta-{name}": value for name, value in described.metadata.items()},
        **described.encryption,
    }
    if described.tags:
        headers["x-amz-tagging-count"] = str(len(described.tags))
    return headers


def _checksum_headers(described: ObjectAttributes) -> dict[str, str]:
    headers = {f"x-amz-checksum-{name}": value for name, value in described.checksums.items()}
    if headers:
        is_composite = any("-" in value for value in described.checksums.values())
        headers["x-amz-checksum-type"] = "COMPOSITE" if is_composite else "FULL_OBJECT"
    return headers


def _checksum_elements(values: Mapping[str, str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [(f"Checksum{n.upper()}", value) for n, value in values.items()]
    if found:
        is_composite = any("-" in value for value in values.values())
        found.append(("ChecksumType", "COMPOSITE" if is_composite else "FULL_OBJECT"))
    return found


def _checksums_of_copy(source: ObjectAttributes, algorithm: str, path: str) -> dict[str, str]:
    """Those of the source that hold for its bytes, or the one that was asked for."""
    kept = {name: value for name, value in source.checksums.items() if "-" not in value}
    if not algorithm or algorithm in kept:
        return kept
    return {algorithm: checksums.encoded(_digests(path, [algorithm])[algorithm])}


def _known_of(
    described: ObjectAttributes, names: Sequence[str]
) -> tuple[str, dict[str, str]] | None:
    """The MD5 and these checksums of an object's bytes; None where its attributes have not all."""
    kept = {name: described.checksums.get(name, "-") for name in names}
    if _MD5.fullmatch(described.etag) is None or any("-" in value for value in kept.values()):
        return None
    return described.etag, kept


def _digests(path: Any, names: list[str]) -> dict[str, bytes]:
    """Digests of a file's bytes."""
    digests = {name: checksums.new(name) for name in names}
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1024 * 1024):
            for digest in digests.values():
                digest.update(block)
    return {name: digest.digest() for name, digest in digests.items()}


def _printable(name: str, value: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise S3Error("InvalidArgument", f"{name} cannot be a header's value.")
    return value
