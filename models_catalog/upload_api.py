"""Uploads that go on after a lost connection: the protocol tus 1.0 (https://tus.io/protocols).

Any tus client works; its creation address is ``/api/v1/uploads/``.
"""

import base64
import binascii
import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import http_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router, Status
from pydantic import Field

from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import ListParameters, Schema
from core.body_limits import BodyLimit
from core.permissions import actor
from core.sentences import Sentence
from models_catalog import services, uploads
from models_catalog.archives import most_bytes, too_large
from models_catalog.models import Upload, Version

router = Router(tags=["uploads"])

VERSION = "1.0.0"
_UPLOAD = gettext_noop("upload models")
_ADDRESS = "/api/v1/uploads/"
_OCTETS = "application/offset+octet-stream"
_EXTENSIONS = "creation,checksum,expiration,termination"
_SAYS = {"Tus-Resumable": VERSION}
_AT_ONCE = 4
_DIGITS = 15
_FLAGS = {"": None, "true": True, "false": False}
_LONGEST = {"note": 500, "description": 2000}


class MadeOut(Schema):
    """The version that an upload became."""

    model: str
    number: int


class UploadOut(Schema):
    """An archive on its way."""

    id: str
    model: str
    file_name: str
    note: str
    length: int = Field(description="Bytes of the whole archive.")
    offset: int = Field(description="Bytes that have arrived.")
    created_at: datetime
    expires_at: datetime = Field(description="When it is forgotten, unless all has arrived.")
    made: MadeOut | None = Field(description="The version; null: not all of it has arrived yet.")
    problem: str | None = Field(description="Why no version could be made of it.")


def _in_header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "in": "header", "name": name, "required": required, "schema": {"type": "string"},
        "description": description,
    }  # fmt: skip


# untranslated: OpenAPI is in English
_TUS = _in_header("Tus-Resumable", f"The version of the protocol: {VERSION}.")
# untranslated: likewise
_LENGTH = _in_header("Upload-Length", "Bytes of the whole archive.")
# untranslated: likewise
_METADATA = _in_header(
    "Upload-Metadata",
    "`KEY BASE64` each, with commas between: `model` (required), `filename`, `note`, "
    "`description`, `packing`, `meta` (lines of `accuracy=0.93`), `sha256` (of "
    "the whole, which is compared), `new` (`true`: it is refused where the model exists), `store` "
    "(where a new model goes).",
)
# untranslated: likewise
_OFFSET = _in_header("Upload-Offset", "Where the body begins: what HEAD said.")
# untranslated: likewise
_BODY = "The next bytes of the archive, as many as you like."
# untranslated: likewise
_CHECKSUM = _in_header("Upload-Checksum", "`sha1 BASE64` of the body; sha256, sha512 likewise.")


@operation(
    router, "OPTIONS", "/uploads/", id="uploads_options", scope=None, response={204: None},
)  # fmt: skip
def options(request: HttpRequest) -> Any:
    """What is offered of tus: versions, extensions, the largest archive."""
    found = {
        **_SAYS,
        "Tus-Version": VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(most_bytes()),
        "Tus-Checksum-Algorithm": ",".join(uploads.ALGORITHMS),
    }
    for name, value in found.items():
        set_header(request, name, value)
    return Status(204, None)


@operation(
    router, "POST", "/uploads/", id="uploads_create", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={201: UploadOut}, problems=(412, 507),
    extra={"parameters": [_TUS, _LENGTH, _METADATA]},
)  # fmt: skip
def create(request: HttpRequest) -> Any:
    """Begin an upload; its address is in `Location`.

    What can be refused is refused now, before a byte travels: the name, the file's name, the size,
    and what would pass a quota.
    An upload is forgotten a day later, unless all of it has arrived.
    """
    _check_version(request)
    told = _metadata(request)
    try:
        made = uploads.create(
            owner=actor(request),
            length=_number(request, "Upload-Length"),
            name=told.get("model", ""),
            new=_flag(told.get("new", "")),
            file_name=told.get("filename") or f"{told.get('model', '')}.tar.gz",
            note=told.get("note", ""),
            description=told.get("description", ""),
            packing_choice=_packing(told.get("packing", "")),
            meta=told.get("meta", "").splitlines(),
            sha256=_sha256(told.get("sha256", "")),
            store=told.get("store", ""),
        )
    except services.NotStored as error:
        raise _refusal(error.code, str(error)) from None
    set_header(request, "Location", f"{_ADDRESS}{made.uid}")
    _tell(request, made)
    return Status(201, uploads.document(made))


@operation(
    router, "GET", "/uploads/", id="uploads_list", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={200: Page[UploadOut]},
)  # fmt: skip
def list_uploads(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """Your own uploads of which no version was made yet, the newest first."""
    set_header(request, "Cache-Control", "no-store")
    found = page(request, uploads.listed(owner=actor(request)), query, order=("-pk",))
    return found | {"items": [uploads.document(row) for row in found["items"]]}


@operation(
    router, "HEAD", "/uploads/{id}", id="uploads_offset", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={200: None}, problems=(410, 412), extra={"parameters": [_TUS]},
)  # fmt: skip
def offset(request: HttpRequest, id: str) -> Any:
    """How much of an upload has arrived: `Upload-Offset`."""
    found = _own(request, id)
    _check_version(request)
    _tell(request, found)
    set_header(request, "Upload-Length", str(found.length))
    set_header(request, "Cache-Control", "no-store")
    return Status(200, None)


@operation(
    router, "GET", "/uploads/{id}", id="uploads_get", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={200: UploadOut}, problems=(410,),
)  # fmt: skip
def get(request: HttpRequest, id: str) -> Any:
    """An upload, and the version that it became."""
    found = _own(request, id)
    _tell(request, found)
    set_header(request, "Cache-Control", "no-store")
    return uploads.document(found)


@operation(
    router, "PATCH", "/uploads/{id}", id="uploads_send", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD, counts_as_change=False,
    response={204: None}, problems=(409, 410, 412, 415, 423, 460, 502, 507),
    takes=BodyLimit(
        megabytes=lambda: settings.MAX_ARCHIVE_MB,
        too_large=too_large,
        at_once=_AT_ONCE,
        permission="models_catalog.add_version",
        doing=_UPLOAD,
        in_stretches=True,
    ),
    extra={
        "requestBody": {
            "required": True,
            "description": _BODY,
            "content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}},
        },
        "parameters": [_TUS, _OFFSET, _CHECKSUM],
    },
)  # fmt: skip
def send(request: HttpRequest, id: str) -> Any:
    """Add the body to an upload, from `Upload-Offset` on.

    What has arrived is kept, also where the connection is cut. With the last byte the version is
    made; `Location` names it, and its validation goes on.
    """
    found = _own(request, id)
    _check_version(request)
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != _OCTETS or request.headers.get("Content-Encoding"):
        said = _("Send the bytes as %(kind)s, without Content-Encoding.") % {"kind": _OCTETS}
        raise _refusal("unsupported-media-type", said)
    begins = _number(request, "Upload-Offset")
    checksum = _checksum(request)
    if found.problem is not None:
        raise _refusal("conflict", str(Sentence.from_json(found.problem)))
    try:
        found = uploads.receive(
            upload=found,
            offset=begins,
            size=int(request.META.get("CONTENT_LENGTH") or 0),
            file=request,  # type: ignore[arg-type]  # it is read in pieces, and is on the disk
            checksum=checksum,
        )
    except uploads.WrongOffset:
        said = _("The upload goes on at %(offset)s, and has %(length)s bytes. Ask it with HEAD.")
        told = {"offset": found.offset, "length": found.length}
        raise _refusal("wrong-offset", said % told) from None
    except uploads.UploadLocked:
        raise _refusal("upload-locked", **{"Retry-After": "1"}) from None
    except Upload.DoesNotExist:  # somebody has cancelled it meanwhile
        raise _none() from None
    except services.DigestMismatch as mismatch:
        raise _refusal("digest-mismatch", str(mismatch)) from None
    except uploads.ChecksumMismatch:
        raise _refusal("checksum-mismatch") from None
    except services.NotStored as error:
        wait = {"Retry-After": "60"} if error.code in ("no-space", "unavailable") else {}
        raise _refusal(error.code, str(error), **wait) from None
    _tell(request, found)
    return Status(204, None)


@operation(
    router, "DELETE", "/uploads/{id}", id="uploads_cancel", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={204: None}, problems=(410, 412, 423), extra={"parameters": [_TUS]},
)  # fmt: skip
def cancel(request: HttpRequest, id: str) -> Any:
    """Forget an upload, and delete what has arrived. A version that was made of it stays."""
    found = _own(request, id)
    _check_version(request)
    try:
        uploads.cancel(upload=found)
    except uploads.UploadLocked:
        raise _refusal("upload-locked", **{"Retry-After": "1"}) from None
    set_header(request, "Tus-Resumable", VERSION)
    return Status(204, None)


def _refusal(code: str, said: str = "", **headers: str) -> Problem:
    return Problem(code, said, headers={**_SAYS, **headers})


def _check_version(request: HttpRequest) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise _refusal("tus-version", **{"Tus-Version": VERSION})


def _own(request: HttpRequest, uid: str) -> Upload:
    """The caller's upload of that id: another's is as one that is not there."""
    try:
        found = uploads.find(owner=actor(request), uid=uid)
    except uploads.UploadExpired:
        raise _refusal("upload-expired") from None
    if found is None:
        raise _none()
    return found


def _none() -> Problem:
    return _refusal("not-found", _("You have no such upload. Begin a new one."))


def _tell(request: HttpRequest, upload: Upload) -> None:
    """Headers that tell of an upload, and of the version that it became."""
    set_header(request, "Tus-Resumable", VERSION)
    set_header(request, "Upload-Offset", str(upload.offset))
    set_header(request, "Upload-Expires", http_date(upload.expires_at.timestamp()))
    version = upload.version
    if version is not None:
        where = f"/api/v1/models/{version.model.name}/versions/{version.number}"
        set_header(request, "Location", where)


def _invalid(name: str, said: str) -> Problem:
    return Problem("invalid", errors={name: [said]}, headers=_SAYS)


def _number(request: HttpRequest, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise _invalid(name, _("Send a number of bytes, in digits."))
    return int(text)


def _metadata(request: HttpRequest) -> dict[str, str]:
    """What Upload-Metadata says; keys that mean nothing here are passed over."""
    found: dict[str, str] = {}
    for pair in filter(None, map(str.strip, request.headers.get("Upload-Metadata", "").split(","))):
        key, _space, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            said = _("Send KEY BASE64 of UTF-8, with commas between.")
            raise _invalid("Upload-Metadata", said) from None
        if "\0" in found[key] or len(found[key]) > _LONGEST.get(key, len(found[key])):
            raise _invalid(key, _("It is too long, or has characters that are not taken."))
    return found


def _flag(text: str) -> bool | None:
    if text not in _FLAGS:
        raise _invalid("new", _("Send true or false."))
    return _FLAGS[text]


def _packing(text: str) -> str:
    if text and text not in Version.PackingChoice.values:
        said = _("Send one of these: %(known)s.")
        raise _invalid("packing", said % {"known": ", ".join(Version.PackingChoice.values)})
    return text


def _sha256(text: str) -> str:
    if text and re.fullmatch("[0-9a-f]{64}", text) is None:
        raise _invalid("sha256", _("Send 64 hexadecimal digits, in small letters."))
    return text


def _checksum(request: HttpRequest) -> uploads.Checksum | None:
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _space, value = text.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if algorithm not in uploads.ALGORITHMS or not digest:
        known = ", ".join(uploads.ALGORITHMS)
        said = _("Send ALGORITHM BASE64, of these algorithms: %(known)s.") % {"known": known}
        raise _refusal("bad-request", said)
    return uploads.Checksum(algorithm, digest)
