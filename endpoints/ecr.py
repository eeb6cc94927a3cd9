"""Container images in Amazon ECR: which there are, and to which digest a tag leads."""

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Self

from core import aws, errors
from core.sentences import phrase

_ADDRESS = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_MISSING = ("RepositoryNotFoundException", "ImageNotFoundException")
#: At most this many images of a repository are listed, those pushed last.
MOST_LISTED = 50
_MOST_ASKED = 1000


@dataclass(frozen=True)
class EcrAddress:
    """The parts of an address in ECR; ``tag`` and ``digest`` are empty where it has none."""

    registry: str
    account: str
    region: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def of(cls, image: str) -> Self | None:
        """The parts of an image's address; None where it has not the form of one in ECR."""
        found = _ADDRESS.fullmatch(image)
        if found is None:
            return None
        parts = {name: found[name] or "" for name in ("account", "region", "repository")}
        return cls(
            registry=image.partition("/")[0],
            tag=found["tag"] or "",
            digest=found["digest"] or "",
            **parts,
        )

    def pinned(self, digest: str) -> str:
        """The address of one image, which no push changes."""
        return f"{self.registry}/{self.repository}@{digest}"


@dataclass(frozen=True)
class PushedImage:
    """An image in ECR; ``image`` is its address by its digest."""

    image: str
    digest: str
    tags: list[str]
    pushed_at: datetime
    size_bytes: int


def _described(address: EcrAddress, **asked: Any) -> list[dict[str, Any]]:
    def first(error: aws.ServiceError) -> errors.AwsError | None:
        return errors.NotFound(error.message) if error.code in _MISSING else None

    with aws.translated(phrase("looking for the image in ECR"), first):
        pages = (
            aws.ecr(address.region)
            .get_paginator("describe_images")
            .paginate(registryId=address.account, repositoryName=address.repository, **asked)
        )
        found = (one for page in pages for one in page["imageDetails"])
        return list(islice(found, _MOST_ASKED))


def digest_of(address: EcrAddress) -> str:
    """The digest of an image; raises NotFound, or another AwsError."""
    wanted = {"imageTag": address.tag or "latest"}
    if address.digest:
        wanted = {"imageDigest": address.digest}
    digest: str = _described(address, imageIds=[wanted])[0]["imageDigest"]
    return digest


def pushed(address: EcrAddress) -> list[PushedImage]:
    """The images of the address's repository, those pushed last first. Raises an AwsError."""
    found = [
        PushedImage(
            image=address.pinned(one["imageDigest"]),
            digest=one["imageDigest"],
            tags=sorted(one.get("imageTags") or []),
            pushed_at=one["imagePushedAt"],
            size_bytes=one.get("imageSizeInBytes", 0),
        )
        for one in _described(address)
    ]
    return sorted(found, key=lambda one: one.pushed_at, reverse=True)[:MOST_LISTED]
