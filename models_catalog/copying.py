"""Copies of a ready version under other names, made within S3: as many models of one archive.

Each copy is version 1 of a new model. Its row is written first, in state `copying`, and its key is
its own by that; a job has S3 copy the object, compares checksums, and makes it ready. So no row is
`ready` without its object, and no object is without a row. Each step may be cut off and run again:
S3 writes a mark of the row with the object, so that a later attempt knows what an earlier one made.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from activity.models import Event
from activity.services import record
from core import aws, clock, errors, guarded
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence
from models_catalog import publication, s3, secrecy, services, storage
from models_catalog.archives import ENDING
from models_catalog.models import RegisteredModel, Version, VersionQuerySet, valid_name
from models_catalog.refusals import CatalogRefused, version_of

log = logging.getLogger(__name__)

MAY_COPY = "models_catalog.add_version"
LEASE = timedelta(seconds=60)
MOST_COPIES = 100
PATTERN_LENGTH = 500
PLACE = "{n}"
State = Version.State
_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_USUAL = re.compile(rf"(?P<model>.+)_v(?P<number>[0-9]+){re.escape(ENDING)}")


@dataclass(frozen=True)
class PlannedCopy:
    """A copy that is not made yet: its model, its key, and what is in its way; empty: nothing."""

    name: str
    key: str
    target_model: str
    uri: str
    problem: str = ""


def plan(*, source: Version, to: str, times: int) -> list[PlannedCopy]:
    """What copies of ``source`` would be called and where they would lie; nothing is written.

    ``to``: the key below the store's prefix without its ending, with ``{n}`` for 1, 2, 3 … Raises
    ValidationError by field, CatalogRefused where the source is not ready, and AwsError where S3
    does not say what is there.
    """
    if source.state != State.READY:
        said = _("%(version)s is not ready, so it cannot be copied. Nothing was made.")
        raise CatalogRefused(said % {"version": source}, "model-not-ready")
    targets = _targets(to, times)
    prefix = f"{source.prefix}/" if source.prefix else ""
    names = {target: target.rpartition("/")[2].removesuffix(ENDING) for target in targets}
    keys = [prefix + target for target in targets]
    with guarded.as_portal():  # names are unique in all stores
        taken = RegisteredModel.objects.filter(name__in=names.values())
    models = set(taken.values_list("name"))
    rows = Version.objects.filter(bucket=source.bucket, key__in=keys).select_related("model")
    versions = {row.key: row for row in rows.defer("report")}
    objects = _objects(source.bucket, prefix + to.partition(PLACE)[0])
    usual = _usual(targets)
    planned = []
    for target, key in zip(targets, keys, strict=True):
        name, uri = names[target], f"s3://{source.bucket}/{key}"
        problem = ""
        if (name,) in models:
            problem = _("There is a model %(name)s already.") % {"name": name}
        elif key in versions:
            said = _("%(version)s is stored at this key.")
            problem = said % {"version": versions[key]}
        elif key in objects:
            problem = _("There is an object at this key already, which the portal did not write.")
        elif target in usual:
            said = _("This key is kept for a version of the model %(name)s.")
            problem = said % {"name": usual[target]}
        planned.append(PlannedCopy(name, key, target, uri, problem))
    return planned


def _targets(to: str, times: int) -> list[str]:
    """The keys below the prefix. Raises ValidationError."""
    if not 1 <= times <= MOST_COPIES:
        said = _("Make between 1 and %(most)s copies at once.")
        raise ValidationError({"times": [said % {"most": MOST_COPIES}]})
    wrong = _wrong(to, times)
    if wrong:
        raise ValidationError({"to": [wrong]})
    targets = []
    for number in range(1, times + 1):
        target = to.replace(PLACE, str(number))
        try:
            valid_name(target.rpartition("/")[2])
        except ValidationError as error:
            raise ValidationError({"to": error.messages}) from None
        targets.append(target + ENDING)
    return targets


def _wrong(to: str, times: int) -> str:
    """What is wrong with a pattern as a whole; empty: nothing."""
    example = "demo/squeezenet_{n}"
    if not to or len(to) > PATTERN_LENGTH:
        said = _("Write where the copies go, in up to %(most)s characters: %(example)s")
        return said % {"most": PATTERN_LENGTH, "example": example}
    *folders, last = to.split("/")
    if last.endswith((ENDING, ".tgz")):
        return _("Leave the ending %(ending)s out: it is added.") % {"ending": ENDING}
    for part in (*folders, last):
        if not _PART.fullmatch(part.replace(PLACE, "1")) or part.endswith(ENDING):
            said = _(
                "Write it as %(example)s: parts of letters, digits, dots, hyphens and underscores "
                "that begin and end with a letter or digit, with one / between them."
            )
            return said % {"example": example}
    if times > 1 and PLACE not in last:
        said = _(
            "Write %(place)s into the last part: it is the name of the model, and each copy has "
            "its own."
        )
        return said % {"place": PLACE}
    others = (
        settings.STAGING_PREFIX,
        settings.ORIGINALS_PREFIX,
        settings.TEST_SETS_PREFIX,
        settings.ALIASES_PREFIX,
        settings.PICTURES_PREFIX,
        settings.CAPTURES_PREFIX,
    )
    # Of a store without a prefix alone could such a key be the portal's own.
    for other in others:
        if f"{to}/".startswith(f"{other}/"):
            return _("Keys below %(prefix)s are the portal's own.") % {"prefix": f"{other}/"}
    return ""


def _objects(bucket: str, prefix: str) -> set[str]:
    """The keys where an object lies, of those that begin so."""
    return {found.key for found in s3.listing(bucket=bucket, prefix=prefix, timeouts=aws.PAGE)}


def _usual(targets: list[str]) -> dict[str, str]:
    """Of the keys that a later version of a model would get: that model."""
    found = {target: match["model"] for target in targets if (match := _USUAL.fullmatch(target))}
    with guarded.as_portal():
        rows = RegisteredModel.objects.filter(name__in=found.values())
    there = set(rows.values_list("name", flat=True))
    return {target: name for target, name in found.items() if name in there}


def start(
    *,
    model: str,
    number: int,
    to: str,
    times: int,
    actor: User | None,
    check: Callable[[Version], None] = lambda version: None,
) -> list[Version]:
    """Have jobs copy a ready version so many times; returns the rows, in state `copying`.

    All of them or none, also where a quota has no room for all. ``check`` is called with the source
    before anything is made; what it raises keeps all. Raises what :func:`plan` raises, and
    CatalogRefused, which says what is in the way.
    """
    source = version_of(model, number)
    secrecy.check_may_write(source.model.placed_in, actor)
    check(source)
    planned = plan(source=source, to=to, times=times)
    _check_free(planned)
    size = times * (source.published_size or source.size)
    try:
        with transaction.atomic(), storage.room_for(size, user=actor):
            # As every change of a version, so that it is not deleted meanwhile (retiring.py).
            RegisteredModel.objects.select_for_update().get(pk=source.model_id)
            if not Version.objects.filter(pk=source.pk, state=State.READY).exists():
                said = _("%(version)s is not ready, so it cannot be copied. Nothing was made.")
                raise CatalogRefused(said % {"version": source}, "model-not-ready")
            return [_made(one, source, actor) for one in planned]
    except storage.OverQuota as over:
        raise CatalogRefused(str(over), storage.OVER) from None
    except (ValidationError, IntegrityError):
        # Somebody took a name or a key in this moment: it is said which.
        _check_free(plan(source=source, to=to, times=times))
        raise


def _check_free(planned: list[PlannedCopy]) -> None:
    clashes = [one for one in planned if one.problem]
    if clashes:
        said = " ".join(f"{one.target_model}: {one.problem}" for one in clashes[:5])
        more = _("Nothing was made; %(count)s of %(all)s copies are in conflict.")
        counts = more % {"count": len(clashes), "all": len(planned)}
        raise CatalogRefused(f"{said} {counts}")


def _made(planned: PlannedCopy, source: Version, actor: User | None) -> Version:
    model = services.register_model(
        name=planned.name, description="", store=source.model.store, actor=actor
    )
    version = Version(
        model=model,
        number=1,
        state=State.COPYING,
        copied_from=source,
        metadata=source.metadata,
        created_by=actor,
        bucket=source.bucket,
        prefix=source.prefix,
        key=planned.key,
        file_name=source.file_name,
        size=source.size,
        sha256=source.sha256,
        packing_choice=source.packing_choice,
    )
    version.full_clean()
    version.save()
    record(
        action="version.copy_requested",
        subject=version,
        parameters={"source": str(source), "version": str(version)},
        actor=actor,
    )
    enqueue_on_commit("models_catalog.tasks.copy", version.pk)
    return version


def _to_copy() -> VersionQuerySet:
    return Version.objects.filter(state=State.COPYING)


def resume() -> None:
    """Queue each copy that is due: what Redis lost, was cut off, or failed."""
    for pk in _to_copy().due().values_list("pk", flat=True)[:50]:
        enqueue_on_commit("models_catalog.tasks.copy", pk)


def copy(*, version_pk: int) -> None:
    """Have S3 copy the archive of one version in state `copying`; idempotent.

    Where a worker was killed, what it copied is at the key already: it is compared, and taken, or
    deleted where it differs and has the mark of this row.
    """
    rows = _to_copy()
    version = rows.select_related("model", "copied_from__model").claim(version_pk, lease=LEASE)
    if version is None or version.copied_from is None:
        return
    lease = Lease(rows, version, LEASE)
    try:
        try:
            _copy(version, version.copied_from, lease)
        except publication.VersionRejected as refusal:
            publication.reject(version, lease, reason=refusal.reason)
        except errors.AwsError as problem:
            _try_later(version, lease, problem)
    except LeaseLost:
        log.warning("Another worker has taken over the copy %s.", version)
        _clear(version)


def _mark(version: Version) -> str:
    """What is written with the object of this row, and with no other one."""
    return f"{version.pk}-{version.created_at.isoformat()}"


def _is_own(version: Version) -> bool:
    """Whether an attempt of this row wrote the object at its key. Raises AwsError."""
    return s3.opened(bucket=version.bucket, key=version.key).mark == _mark(version)


def _discard(version: Version) -> None:
    """Delete what an attempt has copied, if it did, and nothing else. Raises AwsError."""
    if s3.exists(bucket=version.bucket, key=version.key) and _is_own(version):
        s3.delete(bucket=version.bucket, key=version.key)


def _clear(version: Version) -> None:
    """After another worker took over: leave nothing where it has found that nothing is served."""
    if Version.objects.filter(pk=version.pk).exclude(state__in=Version.WITHOUT_BYTES).exists():
        return
    try:
        _discard(version)
    except errors.AwsError as problem:
        log.warning("It is not known whether %s is left behind: %s", version.uri, problem)


def _copy(version: Version, source: Version, lease: Lease[Version]) -> None:
    lease.renew(step=Version.COPY)
    made = True
    try:
        digest = s3.copy_new(
            bucket=source.bucket,
            source_key=source.key,
            size=source.served_size,
            key=version.key,
            mark=_mark(version),
            beat=lease.keep,
        )
    except errors.AlreadyExists:
        made, digest = False, ""
    except errors.NotFound:
        raise publication.VersionRejected(
            Sentence("rejected.copy_source_gone", source=str(source))
        ) from None
    if not digest:
        digest = publication.stored_sha256(version, lease.keep)
    if digest != source.current_sha256:
        if not made and not _is_own(version):
            reason = Sentence("rejected.copy_key_taken", uri=version.uri)
            raise publication.VersionRejected(reason)
        s3.delete(bucket=version.bucket, key=version.key)  # nobody has validated these bytes
        raise publication.VersionRejected(Sentence("rejected.copy_differs", source=str(source)))
    with transaction.atomic():
        lease.release(
            state=State.READY,
            published_sha256=source.published_sha256,
            published_size=source.published_size,
            content_sha256=source.content_sha256,
            packing=source.packing,
            report=source.report,
            label_file=source.label_file,
            parameters=source.parameters,
            input_shape=source.input_shape,
            step="",
            step_code=None,
            settled_at=clock.now(),
        )
        record(
            action="version.copied",
            subject=version,
            parameters={
                "source": str(source),
                "version": str(version),
                "target_model": version.target_model,
            },
            level=Event.Level.SUCCESS,
        )


def _try_later(version: Version, lease: Lease[Version], problem: errors.AwsError) -> None:
    log.warning("The copy %s could not be made: %s", version, problem)
    if version.attempts >= publication.MAX_ATTEMPTS and not isinstance(problem, errors.Throttled):
        try:
            _discard(version)
        except errors.AwsError as unknown:  # it waits until S3 says whether something is there
            publication.pause(version, lease, Sentence("copy.again", problem=unknown.sentence))
            return
        reason = Sentence(
            "rejected.copy_gave_up", attempts=version.attempts, problem=problem.sentence
        )
        publication.reject(version, lease, reason=reason)
        return
    publication.pause(version, lease, Sentence("copy.again", problem=problem.sentence))
