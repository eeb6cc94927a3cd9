"""Forget the picture of a call at once, in place of waiting until it has been kept long enough."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from activity.redaction import MAY_REDACT
from activity.services import record
from invocations import pictures_kept, recording
from invocations.models import ComparedPicture, Invocation, LabelledPicture, PictureGiver


class NotForgotten(Exception):
    """It was not forgotten, with a sentence in the reader's language; nothing was changed."""


@dataclass(frozen=True)
class Forgotten:
    """What was done. ``calls``: how many name the picture no more.

    ``others``: somebody else has sent the same picture, so that it is kept for their calls.
    ``in_test_set``: a copy with its right label is in a test set, and stays there.
    """

    calls: int
    others: bool
    in_test_set: bool

    @property
    def said(self) -> str:
        """In the reader's language."""
        sentences = [_("The picture is forgotten. The answers stay.")]
        if self.others:
            sentences.append(
                _("Somebody else has sent the same picture: it stays with their calls.")
            )
        if self.in_test_set:
            sentences.append(_("Its copy in a test set stays. Take it out there."))
        return " ".join(sentences)


def may_forget(user: User, call: Invocation) -> bool:
    """Whether it is the person's own call, or they may take out what others sent."""
    return call.created_by_id == user.pk or user.has_perm(MAY_REDACT)


def forget(*, call: Invocation, actor: User) -> Forgotten:
    """Delete the picture of a call, its thumbnail and its name; the answer stays.

    The name goes from comparisons, too, which show it beside the answers.
    It is forgotten for all calls with this picture that the person made; for everybody's where
    they may redact. Idempotent. Raises NotForgotten, and AwsError where S3 does not delete it:
    then nothing is changed, and the next try does all.
    """
    if not may_forget(actor, call):
        raise NotForgotten(_("Somebody else has sent this picture. Ask them, or an admin."))
    if not call.settled:
        raise NotForgotten(_("The call is under way. Forget its picture when it is answered."))
    recording.recorder().settle()
    sha256 = call.picture_sha256
    if not sha256:
        return Forgotten(calls=0, others=False, in_test_set=False)
    same = Invocation.everybodys.filter(picture_sha256=sha256)
    mine = same if actor.has_perm(MAY_REDACT) else same.filter(created_by=actor)
    givers = PictureGiver.objects.filter(sha256=sha256)
    my_givers = givers if actor.has_perm(MAY_REDACT) else givers.filter(user=actor)
    others = same.exclude(pk__in=mine.values("pk")).exists()
    others = others or givers.exclude(pk__in=my_givers.values("pk")).exists()
    if not others:
        pictures_kept.delete(sha256)
    with transaction.atomic():
        my_givers.delete()
        changed = mine.update(picture_sha256="", picture_name="", thumbnail=b"")
        if not others:  # it may have been written since, and from here on it is not
            pictures_kept.delete(sha256, waits=False)
        compared = ComparedPicture.objects.filter(sha256=sha256)
        if not actor.has_perm(MAY_REDACT):
            compared = compared.filter(comparison__created_by=actor)
        compared.update(sha256="", name="")
        if changed:
            record(
                action="endpoint.picture_forgotten",
                subject=call.endpoint,
                parameters={
                    "name": call.endpoint.name,
                    "version": str(call.version),
                    "calls": changed,
                },
                actor=actor,
            )
    in_test_set = LabelledPicture.objects.filter(sha256=sha256).exists()
    return Forgotten(calls=changed, others=others, in_test_set=in_test_set)
