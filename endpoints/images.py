"""Which container image an endpoint gets: one in ECR, pinned to its digest."""

from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core import errors, where
from endpoints import ecr
from endpoints.ecr import EcrAddress, PushedImage

#: The characters of an address (API: ContainerDefinition, Image).
LONGEST = 255


@dataclass(frozen=True)
class ChosenImage:
    """An image as the SageMaker model names it; ``note`` says what was done to it, or not."""

    image: str
    note: str = ""


@dataclass(frozen=True)
class ImageList:
    """The images of the portal's repository; ``note``: why there are none to choose from."""

    images: list[PushedImage] = field(default_factory=list)
    note: str = ""


def chosen(image: str) -> ChosenImage:
    """The image by its digest, so that each instance runs the same, whatever is pushed later.

    On a local stack, which has no ECR, it stays as it is. So it does where the portal may not ask
    ECR, and where the address by its digest were too long; the note says so. Raises
    ValidationError, of the field image, where it is no address in ECR or ECR does not have it; and
    an AwsError where ECR could not be asked.
    """
    address = EcrAddress.of(image)
    if address is None:
        said = _(
            "%(image)s is no address of an image in ECR. One looks like "
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/repository:tag."
        )
        raise ValidationError({"image": said % {"image": image}})
    if where.is_local():
        return ChosenImage(image, local_note())
    try:
        digest = ecr.digest_of(address)
    except errors.NotFound:
        said = _("ECR has no image %(image)s. Push it, or name another one.")
        raise ValidationError({"image": said % {"image": image}}) from None
    except errors.Denied as error:
        said = _("The image is not pinned to its digest, as ECR could not be asked: %(error)s")
        return ChosenImage(image, said % {"error": error})
    if address.digest:
        return ChosenImage(image)
    pinned = address.pinned(digest)
    if len(pinned) > LONGEST:
        said = _(
            "The image is not pinned to its digest: its address would be longer than the "
            "%(most)s characters that SageMaker takes."
        )
        return ChosenImage(image, said % {"most": LONGEST})
    said = _("The tag %(tag)s is pinned to the digest that it has now: %(digest)s")
    told = {"tag": address.tag or "latest", "digest": digest}
    return ChosenImage(pinned, said % told)


def preset() -> ChosenImage:
    """That of the settings; one that is not in ECR stays as it is.

    Raises ValidationError, of no field, where ECR does not have it: who creates an endpoint did not
    name it.
    """
    if EcrAddress.of(settings.CONTAINER_IMAGE) is None:
        return ChosenImage(settings.CONTAINER_IMAGE)
    try:
        return chosen(settings.CONTAINER_IMAGE)
    except ValidationError as error:
        raise ValidationError(error.messages) from None


def listed() -> ImageList:
    """The images in the repository of the portal's image, those pushed last first."""
    address = EcrAddress.of(settings.CONTAINER_IMAGE)
    if where.is_local():
        return ImageList(note=local_note())
    if address is None:
        return ImageList(note=_("The portal's image is not in ECR, so none are listed."))
    try:
        return ImageList(images=ecr.pushed(address))
    except errors.AwsError as error:
        return ImageList(note=str(error))


def local_note() -> str:
    """What is said of images on a local stack."""
    return _(
        "This local stack has no ECR: whatever image is named, the container of this machine runs."
    )
