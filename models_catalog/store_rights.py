"""What the portal may do in a store, found out by doing it: right by right.

A small object is written, read, copied and deleted below the store's prefix, and where the portal
keeps what belongs to it: staging, originals, mirrors of aliases. It has the same key each time, so
that where nothing may be deleted one object of each kind stays, and no more.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import aws, errors
from core.sentences import Sentence, phrase
from models_catalog.models import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: The last part of the keys that are written. It is no TargetModel, as it does not end in .tar.gz.
PROBE = "mme-portal-test"
_COPY = f"{PROBE}-copy"
_PARTS = f"{PROBE}-parts"
KEYS = (PROBE, _COPY, _PARTS)
_CONTENT = b"The MME Portal tests what it may do here. This object can be deleted.\n"
#: What is not tried after so many seconds is unknown: somebody waits for it.
MOST_S = 20.0
_TIMEOUTS = aws.Timeouts(5, 1, connect_s=3)


class StorePlace(models.TextChoices):
    """Where in the bucket."""

    STORE = "store", _("Store")
    STAGING = "staging", _("Staging")
    ORIGINALS = "originals", _("Originals")
    ALIASES = "aliases", _("Aliases")


class Right(models.TextChoices):
    """What is tried."""

    LIST = "list", _("List")
    PUT = "put", _("Write")
    ENCRYPTION = "encryption", _("Encrypt")
    PUT_NEW = "put_new", _("Write only where nothing is")
    GET = "get", _("Read")
    COPY = "copy", _("Copy")
    MULTIPART = "multipart", _("Write in parts")
    DELETE = "delete", _("Delete")


class RightOutcome(models.TextChoices):
    """What came of it."""

    ALLOWED = "allowed", _("Allowed")
    REFUSED = "refused", _("Refused")
    UNKNOWN = "unknown", _("Unknown")


_TRIED = {
    StorePlace.STORE: tuple(Right),
    StorePlace.STAGING: (Right.LIST, Right.PUT, Right.GET, Right.DELETE),
    StorePlace.ORIGINALS: (Right.PUT, Right.GET, Right.DELETE),
    StorePlace.ALIASES: (Right.PUT, Right.GET, Right.DELETE),
}
_NO_BUCKET = phrase("It was not tried, as there is no such bucket.")
#: Without these nothing can be uploaded, validated and published there.
_NEEDED = {
    StorePlace.STORE: (Right.LIST, Right.PUT, Right.GET, Right.COPY, Right.MULTIPART),
    StorePlace.STAGING: (Right.LIST, Right.PUT, Right.GET, Right.DELETE),
}


@dataclass(frozen=True)
class RightFound:
    """One right in one place: whether the portal has it, and what was said of it."""

    place: StorePlace
    right: Right
    outcome: RightOutcome
    said: Sentence | None = None

    @property
    def needed(self) -> bool:
        """Whether a store cannot be worked with where this is refused."""
        return self.right in _NEEDED.get(self.place, ())

    @property
    def refused(self) -> bool:
        """Whether it is refused."""
        return self.outcome is RightOutcome.REFUSED

    def as_json(self) -> dict[str, Any]:
        """What a row keeps."""
        said = self.said.as_json() if self.said else None
        named = {"place": self.place.value, "right": self.right.value}
        return named | {"outcome": self.outcome.value, "said": said}


def known(store: Store) -> list[RightFound]:
    """What the last test of a store found; of a later release nothing that this does not know."""
    found = []
    for row in store.rights:
        with suppress(KeyError, TypeError, ValueError):
            said = Sentence.from_json(row["said"]) if row["said"] else None
            found.append(
                RightFound(
                    StorePlace(row["place"]),
                    Right(row["right"]),
                    RightOutcome(row["outcome"]),
                    said,
                )
            )
    return found


def lacking(found: list[RightFound]) -> list[RightFound]:
    """Those that are refused, and that the portal cannot do without."""
    return [one for one in found if one.needed and one.refused]


def without_bucket(found: list[RightFound]) -> Sentence | None:
    """What was said where there is no bucket; None: there is one."""
    if not any(one.said == _NO_BUCKET for one in found):
        return None
    return lacking(found)[0].said


def is_probe(key: str) -> bool:
    """Whether an object is what a test wrote, and may have had to leave."""
    return key.rpartition("/")[2] in KEYS


def tried(store: Store) -> list[RightFound]:
    """Try each right now; takes MOST_S and one call at most. It raises nothing of AWS."""
    facts = aws.BucketFacts(store.region, store.encryption, store.kms_key_id)
    return list(_Trial(aws.s3(_TIMEOUTS, facts), store, aws.encryption(facts)).run())


class _Trial:
    """One test of a store."""

    def __init__(self, client: "S3Client", store: Store, encryption: dict[str, str]) -> None:
        self._client = client
        self._bucket = store.bucket
        self._prefixes = {
            StorePlace.STORE: store.prefix,
            StorePlace.STAGING: settings.STAGING_PREFIX,
            StorePlace.ORIGINALS: settings.ORIGINALS_PREFIX,
            StorePlace.ALIASES: settings.ALIASES_PREFIX,
        }
        self._wanted = encryption.get("ServerSideEncryption", "")
        self._until = time.monotonic() + MOST_S
        self._unreachable: Sentence | None = None
        self._encrypted_by = ""

    def run(self) -> Iterator[RightFound]:
        """Each right of each place, in their order."""
        for place, rights in _TRIED.items():
            written = False
            for right in rights:
                if (
                    right in (Right.ENCRYPTION, Right.PUT_NEW, Right.GET, Right.COPY)
                    and not written
                ):
                    said = phrase("It was not tried, as nothing could be written there.")
                    yield RightFound(place, right, RightOutcome.UNKNOWN, said)
                    continue
                found = self._one(place, right)
                written |= right is Right.PUT and found.outcome is RightOutcome.ALLOWED
                yield found

    def _one(self, place: StorePlace, right: Right) -> RightFound:
        if self._unreachable is not None:
            return RightFound(place, right, RightOutcome.UNKNOWN, self._unreachable)
        if time.monotonic() > self._until:
            said = phrase("It was not tried: S3 answers too slowly. Test the store again.")
            return RightFound(place, right, RightOutcome.UNKNOWN, said)
        ways: dict[Right, Callable[[str], Sentence | None]] = {
            Right.LIST: self._list,
            Right.PUT: self._put,
            Right.ENCRYPTION: self._encryption,
            Right.PUT_NEW: self._put_new,
            Right.GET: self._get,
            Right.COPY: self._copy,
            Right.MULTIPART: self._multipart,
            Right.DELETE: self._delete,
        }
        below = f"{self._prefixes[place]}/"
        try:
            found = self._tried(right, ways[right], below)
        except errors.Throttled as problem:
            if (
                right is Right.LIST and place is StorePlace.STORE
            ):  # each other call would wait as long
                self._unreachable = problem.sentence
            return RightFound(place, right, RightOutcome.UNKNOWN, problem.sentence)
        except errors.AwsError as problem:
            return RightFound(place, right, RightOutcome.REFUSED, problem.sentence)
        outcome = RightOutcome.UNKNOWN if found else RightOutcome.ALLOWED
        return RightFound(place, right, outcome, found)

    def _tried(
        self, right: Right, way: Callable[[str], Sentence | None], below: str
    ) -> Sentence | None:
        """Why nothing is known of it although nothing was refused. Raises an AwsError.

        All tests write the same keys. So what needs the object is tried once more where it is not
        there, with one that is written anew: another test may just have deleted it.
        """
        try:
            found = self._done(way, below)
            if found is None or right is not Right.PUT_NEW:
                return found
        except errors.NotFound:
            if right not in (Right.GET, Right.COPY):
                raise
        self._done(self._put, below)
        return self._done(way, below)

    def _done(self, way: Callable[[str], Sentence | None], below: str) -> Sentence | None:
        uri = f"s3://{self._bucket}/{below}"
        with aws.translated(phrase("testing %(uri)s", uri=uri), self._no_bucket):
            return way(below)

    def _no_bucket(self, error: aws.ServiceError) -> errors.AwsError | None:
        """Where there is no bucket each other call would say the same."""
        if error.code != "NoSuchBucket":
            return None
        self._unreachable = _NO_BUCKET
        return errors.NotFound(
            phrase(
                "There is no bucket %(bucket)s, or it is in another partition. Create it, or name "
                "another one.",
                bucket=self._bucket,
            )
        )

    # Each does one thing, and returns why nothing is known of it although nothing was refused.

    def _list(self, below: str) -> Sentence | None:
        self._client.list_objects_v2(Bucket=self._bucket, Prefix=below, MaxKeys=1)
        return None

    def _put(self, below: str) -> Sentence | None:
        key = below + PROBE
        answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=_CONTENT)
        self._encrypted_by = answer.get("ServerSideEncryption", "")
        return None

    def _encryption(self, below: str) -> Sentence | None:
        found = self._encrypted_by
        if not found:
            return phrase("The server does not say how it encrypts.")
        if self._wanted and found != self._wanted:
            return phrase(
                "S3 was asked to encrypt by %(wanted)s, and says %(found)s.",
                wanted=self._wanted,
                found=found,
            )
        return None

    def _put_new(self, below: str) -> Sentence | None:
        """It must be refused, as the object is there."""
        try:
            with aws.translated(phrase("writing where something is")):
                self._client.put_object(
                    Bucket=self._bucket, Key=below + PROBE, Body=_CONTENT, IfNoneMatch="*"
                )
        except errors.AlreadyExists:
            return None
        return phrase(
            "The server ignores the condition, so of two writers at once the later one wins. The "
            "portal looks first whether something is there."
        )

    def _get(self, below: str) -> Sentence | None:
        answer = self._client.get_object(Bucket=self._bucket, Key=below + PROBE)
        if answer["Body"].read() != _CONTENT:
            return phrase("Other bytes were read than were written.")
        return None

    def _copy(self, below: str) -> Sentence | None:
        self._client.copy_object(
            Bucket=self._bucket,
            Key=below + _COPY,
            CopySource={"Bucket": self._bucket, "Key": below + PROBE},
        )
        return None

    def _multipart(self, below: str) -> Sentence | None:
        client, bucket, key = self._client, self._bucket, below + _PARTS
        begun = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32")
        upload_id = begun["UploadId"]
        try:
            done = client.upload_part(
                Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=_CONTENT
            )
            part: CompletedPartTypeDef = {"PartNumber": 1, "ETag": done["ETag"]}
            if "ChecksumCRC32" in done:
                part["ChecksumCRC32"] = done["ChecksumCRC32"]
            client.complete_multipart_upload(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [part]},
            )
        except BaseException:
            with suppress(errors.AwsError), aws.translated(phrase("giving an upload up")):
                client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
            raise
        return None

    def _delete(self, below: str) -> Sentence | None:
        for name in KEYS:
            self._client.delete_object(Bucket=self._bucket, Key=below + name)
        return None
