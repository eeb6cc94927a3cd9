"""The operations of models and their versions."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router, Status
from pydantic import Field

from activity.attempts import all_made_by, made_by
from core import clock, waiting
from core.api import answers, digests, etags
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, OneOf, Parameters, Schema
from core.body_limits import BodyLimit
from core.natural import SORTING_KEY, with_sorting_key
from core.permissions import actor
from models_catalog import (
    attention,
    comparing,
    copying,
    describing,
    importing,
    metadata,
    references,
    retiring,
    services,
    stores,
    validation_result,
)
from models_catalog.archives import too_large
from models_catalog.describing import DESCRIBING, MAY_DESCRIBE
from models_catalog.models import (
    DESCRIPTION_LENGTH,
    LEAST_DIGITS,
    NAME_LENGTH,
    RegisteredModel,
    Version,
    VersionQuerySet,
)
from models_catalog.refusals import CatalogRefused

router = Router(tags=["models"])

_LOOK, _UPLOAD = gettext_noop("look at the catalog"), gettext_noop("upload models")
_DELETE, _DOWNLOAD = gettext_noop("delete models"), gettext_noop("download archives")
_COPY, _IMPORT = gettext_noop("copy versions"), gettext_noop("import archives")
_RETIRE, _DELETE_VERSION = gettext_noop("retire versions"), gettext_noop("delete versions")
# The values of Version.State; a class called State is another room's, too.
VersionState = Annotated[str, OneOf(Version.State)]
ModelState = Literal[
    "none", "validating", Version.State.READY, Version.State.REJECTED, Version.State.RETIRED
]
_SORTED_BY = {
    "uploaded": "uploaded_at", "name": "name", "called": "called_at", "size": "ready_size"
}  # fmt: skip
_MOST_LABELS = 1000
_MEGABYTE = 1 << 20  # of what the preflight reports (container/sandbox.py)


class LatestOut(Schema):
    """The newest version of a model that is ready."""

    number: int
    target_model: str
    size: int = Field(description="Bytes of what is served.")
    created_at: datetime
    created_by: str | None


class NamedOut(Schema):
    """An alias of a model, and the version where it points."""

    name: str
    number: int


class NewestOut(Schema):
    """The newest version of a model that is not retired or deleted; else the newest."""

    number: int
    state: VersionState


class BestOut(Schema):
    """What a list is sorted by: the number of a key, and the version that has it."""

    key: str
    value: float
    number: int


class ModelOut(Schema):
    """A registered model."""

    name: str
    description: str = Field(description="In Markdown.")
    tags: list[str] = Field(description="In small letters, sorted.")
    owner: str | None = Field(description="Who answers for it; unless named, who made it.")
    created_at: datetime
    created_by: str | None
    versions: int = Field(description="How many there are, with those that were rejected.")
    latest: LatestOut | None = Field(description="The newest that is ready; null: there is none.")
    newest: NewestOut | None
    aliases: list[NamedOut] = Field(description="`live` first, then by name.")
    last_call_at: datetime | None = Field(description="Of any version; null: it was never called.")
    best: BestOut | None = Field(
        description="In a list that is sorted by `meta.` or `least.` and a key; else null."
    )
    store: str = Field(description="The name of the store where its versions go, for good.")
    deletable: bool = Field(description="Whether nothing of it was ever published.")


class PredictedOut(Schema):
    """A label, and how probable the model holds it."""

    label: str
    probability: float


class ValidationOut(Schema):
    """What the validation measured. null: a report from before that was measured."""

    load_ms: float | None
    first_ms: float | None = Field(description="The first prediction, with decoding the picture.")
    warm_ms: float | None = Field(description="The second prediction.")
    memory_bytes: int | None
    predictions: list[PredictedOut] = Field(description="Of the sample picture, best first.")


class VersionOut(Schema):
    """A version of a model."""

    model: str
    number: int
    state: VersionState
    step: str = Field(description="What is done now, in the reader's language; empty: it is over.")
    reason: str | None = Field(description="Why it was rejected, in the reader's language.")
    reason_code: str | None = Field(description="The kind of fault: `rejected.not_gzip`; stable.")
    note: str
    metadata: dict[str, float | int | str] = Field(
        description='`{"accuracy": 0.93}`; may be empty.'
    )
    file_name: str = Field(description="What the file was called that was uploaded.")
    size: int = Field(description="Bytes as uploaded.")
    sha256: str = Field(description="Of the bytes as uploaded.")
    published_size: int | None = Field(description="Bytes of what is served.")
    published_sha256: str = Field(description="Of what is served; empty before it is published.")
    content_sha256: str = Field(description="Of the tar inside, without gzip; empty before.")
    packing: str = Field(description="stored or compressed; empty: published as it was uploaded.")
    target_model: str = Field(description="What InvokeEndpoint's TargetModel takes.")
    uri: str = Field(description="`s3://bucket/key`, where it is when it is ready.")
    created_at: datetime
    created_by: str | None
    settled_at: datetime | None = Field(description="When it became ready, or was rejected.")
    retired_at: datetime | None = Field(
        description="When it was retired, or its deletion requested; null: neither."
    )
    copied_from: str | None = Field(
        description="The version that it is a copy of, as `squeezenet:1`; null: it was uploaded."
    )
    as_found: bool = Field(
        description="Whether it lay in the store already, and is served from there."
    )
    drift: Literal[Version.Drift.GONE, Version.Drift.CHANGED] | None = Field(
        description="How its object in the store differs from what was published, as found at "
        "night; null: it does not."
    )
    parameters: int | None
    input_shape: str = Field(description="`data: 1 × 3 × 224 × 224`")
    validation: ValidationOut | None = Field(description="null: it was not accepted, or not yet.")


class SameOut(Schema):
    """Another version with the same bytes as uploaded, or the same content."""

    model: str
    number: int
    likeness: Literal["same_bytes", "same_content"]


class VersionDetailOut(VersionOut):
    """A version of a model, and which others have the same content."""

    same_as: list[SameOut] = Field(description="Those that are ready first; 20 at most.")


class FoundOut(Schema):
    """An object in the store that no version knows."""

    target_model: str = Field(description="Its key below the store's prefix.")
    uri: str
    model: str | None = Field(description="What its model would be called; null: it cannot be.")
    size: int
    modified_at: datetime
    problem: str | None = Field(description="Why it cannot be imported; null: it can.")


class FoundListOut(Schema):
    """What lies in the store and is not registered, by key."""

    items: list[FoundOut] = Field(description="500 at most.")


class VersionsOut(Schema):
    """Versions that jobs make or validate now."""

    items: list[VersionOut]


class PlannedOut(Schema):
    """A copy that is not made yet."""

    model: str
    target_model: str
    uri: str
    problem: str | None = Field(description="What is in its way, as a sentence; null: nothing.")


class PlanOut(Schema):
    """What copies would be called, and where they would lie."""

    items: list[PlannedOut]


class UseOut(Schema):
    """Something that uses a version."""

    kind: Literal["alias", "endpoint", "call"]
    name: str = Field(description="Of the alias or the endpoint; empty for calls.")
    said: str = Field(description="A sentence, in the reader's language.")


class UsesOut(Schema):
    """All that uses a version, as far as the portal knows."""

    items: list[UseOut]


class FactOut(Schema):
    """One line of a comparison; null: not known of that version."""

    name: str
    one: int | float | str | None
    other: int | float | str | None
    differs: bool


class MovedOut(Schema):
    """A label at another place."""

    label: str
    one: int
    other: int


class LabelsOut(Schema):
    """How the labels of two versions differ; 1,000 of each kind at most."""

    added: list[str] = Field(description="Only the other version has them.")
    removed: list[str] = Field(description="Only the one version has them.")
    moved: list[MovedOut] = Field(description="Both have them, at other places.")


class ComparedOut(Schema):
    """A version that is compared."""

    model: str
    number: int


class ComparisonOut(Schema):
    """Two versions beside each other."""

    one: ComparedOut
    other: ComparedOut
    facts: list[FactOut]
    calls: list[FactOut] = Field(
        description="Of the latest calls of either, 10,000 at most: `calls`, their number; "
        "`p50_ms`, the median of those answered; `cold_share`, 0 to 1. Empty: neither was called."
    )
    calls_days: int = Field(description="Of so many days are the calls.")
    metadata: list[FactOut] = Field(description="By key.")
    layers: list[FactOut] = Field(description="How many there are of each kind.")
    labels: LabelsOut


# untranslated: OpenAPI is in English
_STORE = "Where the versions of a new model go, for good; empty: the default store."


class ModelIn(Input):
    """A model to register."""

    name: str = Field(max_length=NAME_LENGTH)
    description: str = Field(
        "", max_length=DESCRIPTION_LENGTH, description="What the model is for, in Markdown."
    )
    store: str = Field("", max_length=NAME_LENGTH, description=_STORE)


class ModelChange(Input):
    """What changes of a model; what is left out stays."""

    tags: list[str] | None = Field(None, max_length=200, description="In place of those there are.")
    add_tags: list[str] = Field([], max_length=200, description="Beside those there are.")
    remove_tags: list[str] = Field([], max_length=200)
    owner: str | None = Field(
        None, max_length=150, description="The name of a user; empty: who made the model."
    )
    description: str | None = Field(
        None, max_length=DESCRIPTION_LENGTH, description="In Markdown; empty: none."
    )


class VersionChange(Input):
    """What changes of a version; what is left out stays."""

    note: str | None = Field(None, max_length=500, description="Empty: none.")
    metadata: dict[str, float | int | str | None] | None = Field(
        None,
        max_length=100,
        description="New values by key; null for a key that goes. Other keys stay. "
        "What reads as a number is one.",
    )


class CopyIn(Input):
    """Where copies go."""

    to: str = Field(
        max_length=copying.PATTERN_LENGTH,
        description="The key below the store's prefix, without `.tar.gz`; `{n}` is 1, 2, 3 …; the "
        "last part is the name of the model: `demo/squeezenet_v1.0_{n}`.",
    )
    times: int = Field(1, ge=1, le=copying.MOST_COPIES)


# untranslated: likewise
_IN_STORE = "The name of the store where they lie; empty: the default one."


class ImportParameters(Parameters):
    """Where to look."""

    store: str = Field("", max_length=NAME_LENGTH, description=_IN_STORE)


class ImportIn(Input):
    """What to import."""

    keys: list[Annotated[str, Field(max_length=1024)]] = Field(
        [],
        max_length=importing.MOST,
        description="Keys below the store's prefix; empty: all that can be imported, 500 at most.",
    )
    store: str = Field("", max_length=NAME_LENGTH, description=_IN_STORE)


class ModelParameters(ListParameters):
    """Which models, in which order."""

    search: str = Field(
        "", max_length=200,
        description="Words, six at most, that are each in its name, description, tags, aliases, "
        "notes, file names or people; or the beginning of a SHA-256.",
    )  # fmt: skip
    state: ModelState | None = Field(
        None, description="Of its newest version; `none`: it has none; `validating`: not settled."
    )
    alias: str = Field("", max_length=NAME_LENGTH, description="Those that have this alias.")
    tag: list[str] = Field([], max_length=20, description="Those that have each of these tags.")
    owner: str = Field("", max_length=150, description="Those of this owner.")
    store: str = Field("", max_length=NAME_LENGTH, description="Those in the store of this name.")
    called_in_days: int | None = Field(
        None, ge=1, le=3650, description="Those that were called in so many days."
    )
    never_called: bool = Field(False, description="Those of which no version was ever called.")
    sort: str = Field(
        "uploaded", pattern=f"^({'|'.join(_SORTED_BY)}|{metadata.SORTS})$",
        description="`uploaded`: the newest upload first; `name`: by name, `camera_2` before "
        "`camera_10`; `called`: the latest call first; `size`: the largest first; `meta.accuracy`: "
        "the largest accuracy of a ready version first, `least.loss`: the smallest loss, of the "
        "models that have one.",
    )  # fmt: skip


class VersionParameters(ListParameters):
    """Which versions, in which order."""

    state: VersionState | None = None
    sort: str = Field(
        "newest", pattern=f"^(newest|{metadata.SORTS})$",
        description="`newest`: the newest first; `meta.accuracy`: the largest accuracy first, "
        "`least.loss`: the smallest loss, of the versions that have one.",
    )  # fmt: skip


class FindParameters(VersionParameters):
    """Which bytes."""

    drifted: bool = Field(
        False, description="Those whose object in the store is gone or is another one."
    )
    sha256: str = Field(
        "", pattern=f"^([0-9a-fA-F]{{{LEAST_DIGITS},64}})?$",
        description="The beginning of a SHA-256: of the upload, of what is served, or of the tar.",
    )  # fmt: skip


class PushParameters(Parameters):
    """What belongs to the archive."""

    file_name: str = Field(
        "", description="What the file is called, `….tar.gz`; empty: as the model."
    )
    note: str = Field("", max_length=500, description="What is new in this version.")
    packing: Literal["", "auto", "stored", "compressed"] = Field(
        "", description="How the portal packs what is served; empty: as the portal has it set."
    )
    description: str = Field("", max_length=2000, description="Of a model that is new by this.")
    store: str = Field("", max_length=NAME_LENGTH, description=_STORE)
    meta: list[str] = Field(
        [], description="Metadata, once each: `accuracy=0.93`. What reads as a number is one."
    )


class DownloadParameters(Parameters):
    """Which bytes of a version."""

    original: bool = Field(False, description="The file as uploaded, and not what is served.")


class CompareParameters(Parameters):
    """What to compare with."""

    other: str = Field(
        "", max_length=references.MAX_LENGTH,
        description="`digits:2`, `digits@live`, or `digits`; empty: the version before, of the "
        "first one what `digits` means.",
    )  # fmt: skip


class WaitParameters(Parameters):
    """How long to wait."""

    wait: int = Field(
        0, ge=0, le=waiting.MOST_S,
        description="Seconds to wait until it is settled, or until its state or step changes.",
    )  # fmt: skip


@operation(
    router, "GET", "/models", id="models_list", scope=Scope.READ,
    permission="models_catalog.view_model", doing=_LOOK,
    response={200: Page[ModelOut]},
)  # fmt: skip
def list_models(request: HttpRequest, query: Query[ModelParameters]) -> Any:
    """All models, the newest upload first; or those that a search and filters find."""
    rows = RegisteredModel.objects.all()
    if query.search:
        rows = rows.search(query.search)
    if query.state is not None:
        rows = rows.of_state(query.state)
    if query.alias:
        rows = rows.with_alias(query.alias)
    for tag in query.tag:
        rows = rows.with_tag(tag)
    if query.owner:
        rows = rows.owned_by(query.owner)
    if query.store:
        rows = rows.in_store(query.store)
    if query.called_in_days is not None:
        rows = rows.called_since(clock.now() - timedelta(days=query.called_in_days))
    if query.never_called:
        rows = rows.never_called()
    by = metadata.sorted_by(query.sort)
    if by is not None:
        rows = rows.with_best(by[0], least=by[1])
        order: tuple[str, ...] = ("best_value" if by[1] else "-best_value", "-pk")
    else:
        field = _SORTED_BY[query.sort]
        by_name = field == "name"
        rows = with_sorting_key(rows, stored="name_key") if by_name else rows.with_facts(field)
        order = (SORTING_KEY, "name") if by_name else (f"-{field}", "-pk")
    found = page(request, rows, query, order=order)
    few: Any = RegisteredModel.objects.described()
    if by is not None:
        few = few.with_best_version(by[0], least=by[1])
    shown = few.in_bulk([row.pk for row in found["items"]])
    described = [shown[row.pk] for row in found["items"] if row.pk in shown]
    if by is not None:
        for row in described:
            row.best = {"key": by[0], "value": row.best_value, "number": row.best_number}
    return {**found, "items": _models_shown(described)}


def _registered_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that registered a model (core/api/idempotency.py)."""
    made = made_by(attempt, "model.registered") or made_by(attempt, "model.registered_in")
    found = RegisteredModel.objects.described().filter(pk=made or 0)
    for model in found:
        where = {"Location": f"{request.path}/{model.name}"}
        return answers.of(201, ModelOut, _models_shown([model])[0], headers=where)
    return None


@operation(
    router, "POST", "/models", id="models_create", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={201: ModelOut}, resume=_registered_before,
)  # fmt: skip
def create_model(request: HttpRequest, body: ModelIn) -> Any:
    """Register a model without a version. A push registers its model by itself, too."""
    services.register_model(
        name=body.name,
        description=body.description,
        store=stores.chosen(body.store),
        actor=actor(request),
    )
    set_header(request, "Location", f"{request.path}/{body.name}")
    return Status(201, _models_shown([_model(body.name)])[0])


@operation(
    router, "GET", "/models/{name}", id="models_get", scope=Scope.READ,
    permission="models_catalog.view_model", doing=_LOOK,
    response={200: ModelOut}, etag=True,
)  # fmt: skip
def get_model(request: HttpRequest, name: str) -> Any:
    """One model."""
    shown = _models_shown([_model(name)])[0]
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "PATCH", "/models/{name}", id="models_describe", scope=Scope.UPLOAD,
    permission=MAY_DESCRIBE, doing=DESCRIBING, response={200: ModelOut}, etag=True,
)  # fmt: skip
def describe_model(request: HttpRequest, name: str, body: ModelChange) -> Any:
    """Change the description, the tags and the owner of a model; what is left out stays.

    With If-Match it is changed only where it still is as it was read. A repetition changes nothing.
    """

    def check(_locked: RegisteredModel) -> None:
        etags.require_match(request, *_models_shown([_model(name)])[0].values())

    try:
        describing.describe_model(
            name=name,
            tags=body.tags,
            add_tags=body.add_tags,
            remove_tags=body.remove_tags,
            owner=body.owner,
            description=body.description,
            actor=actor(request),
            check=check,
        )
    except RegisteredModel.DoesNotExist:
        raise _no_model(name) from None
    return get_model(request, name)


@operation(
    router, "DELETE", "/models/{name}", id="models_delete", scope=Scope.ADMIN,
    permission="models_catalog.delete_model", doing=_DELETE,
    response={204: None}, problems=(409,), etag=True,
)  # fmt: skip
def delete_model(request: HttpRequest, name: str) -> Any:
    """Delete a model of which nothing was published, with its rejected versions."""

    def check() -> None:
        etags.require_match(request, *_models_shown([_model(name)])[0].values())

    try:
        services.delete_model(name=name, actor=actor(request), check=check)
    except RegisteredModel.DoesNotExist:
        raise _no_model(name) from None
    except services.NotDeletable:
        said = _("A version of %(name)s was published, or is being validated. Nothing was deleted.")
        raise Problem("conflict", said % {"name": name}) from None
    return Status(204, None)


@operation(
    router, "GET", "/versions", id="versions_find", scope=Scope.READ,
    permission="models_catalog.view_model", doing=_LOOK,
    response={200: Page[VersionOut]},
)  # fmt: skip
def find_versions(request: HttpRequest, query: Query[FindParameters]) -> Any:
    """The versions of all models, or those whose bytes have this SHA-256, the newest first."""
    rows = Version.objects.all()
    if query.sha256:
        rows = rows.with_checksum(query.sha256)
    if query.drifted:
        rows = rows.drifted()
    return _versions_page(request, rows, query, order="-pk")


@operation(
    router, "GET", "/models/{name}/versions", id="versions_list", scope=Scope.READ,
    permission="models_catalog.view_model", doing=_LOOK,
    response={200: Page[VersionOut]},
)  # fmt: skip
def list_versions(request: HttpRequest, name: str, query: Query[VersionParameters]) -> Any:
    """The versions of a model, the newest first."""
    return _versions_page(request, _model(name).versions.all(), query, order="-number")


def _pushed_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that made a version (core/api/idempotency.py)."""
    found = Version.objects.described().filter(pk=made_by(attempt, "version.uploaded") or 0)
    for version in found:
        where = {"Location": f"{request.path}/{version.number}"}
        return answers.of(202, VersionDetailOut, _detail(version), headers=where)
    return None


# untranslated: OpenAPI is in English
_BODY = "The archive itself, as `curl --data-binary @FILE` sends it."
# untranslated: likewise
_DIGEST = "`sha-256=:BASE64:` or sha-512 of the body (RFC 9530); another one is refused."


@operation(
    router, "POST", "/models/{name}/versions", id="versions_push", scope=Scope.UPLOAD,
    permission="models_catalog.add_version", doing=_UPLOAD,
    response={202: VersionDetailOut}, problems=(415, 502, 507), resume=_pushed_before,
    takes=BodyLimit(
        megabytes=lambda: settings.MAX_ARCHIVE_MB,
        too_large=too_large,
        at_once=4,
        permission="models_catalog.add_version",
        doing=_UPLOAD,
    ),
    extra={
        "requestBody": {
            "required": True,
            "description": _BODY,
            "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
        },
        "parameters": [
            {
                "in": "header", "name": name, "required": False, "schema": {"type": "string"},
                "description": _DIGEST,
            }
            for name in digests.HEADERS
        ],
    },
)  # fmt: skip
def push(request: HttpRequest, name: str, query: Query[PushParameters]) -> Any:
    """Upload the body as the next version of a model, which is made where it is missing.

    The answer comes when the archive is stored; its validation goes on. Ask its address, which
    `Location` names, with `wait`. Bytes that are another version already make a new one all the
    same: `same_as` names it, and `/versions?sha256=` finds it before.
    """
    _check_form(request)
    try:
        version = services.push_version(
            name=name,
            description=query.description,
            note=query.note,
            meta=query.meta,
            file=request,  # type: ignore[arg-type]  # it is read in pieces, and is on the disk
            size=int(request.META.get("CONTENT_LENGTH") or 0),
            file_name=query.file_name or f"{name}.tar.gz",
            packing_choice=query.packing,
            digests=digests.given(request),
            store=query.store,
            actor=actor(request),
        )
    except services.DigestMismatch as mismatch:
        raise Problem("digest-mismatch", str(mismatch)) from None
    except services.NotStored as error:
        wait = {"Retry-After": "60"} if error.code in ("no-space", "unavailable") else {}
        raise Problem(error.code, str(error), headers=wait) from None
    set_header(request, "Location", f"{request.path}/{version.number}")
    return Status(202, _detail(_version(name, version.number)))


@operation(
    router, "GET", "/models/{name}/versions/{int:number}", id="versions_get", scope=Scope.READ,
    permission="models_catalog.view_model", doing=_LOOK,
    response={200: VersionDetailOut}, etag=True,
)  # fmt: skip
def get_version(request: HttpRequest, name: str, number: int, query: Query[WaitParameters]) -> Any:
    """One version; with `wait`, when its state or its step has changed.

    It answers at once where the version is settled: `ready`, `rejected`, `retired`, `deleted`. A
    few requests of each process may wait at a time; others are answered at once.
    """
    services.wait_for_version(name=name, number=number, seconds=query.wait)
    shown = _detail(_version(name, number))
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "PATCH", "/models/{name}/versions/{int:number}", id="versions_describe",
    scope=Scope.UPLOAD, permission=MAY_DESCRIBE, doing=DESCRIBING,
    response={200: VersionDetailOut}, etag=True,
)  # fmt: skip
def describe_version(request: HttpRequest, name: str, number: int, body: VersionChange) -> Any:
    """Change the note and the metadata of a version; what is left out, and what is served, stays.

    With If-Match it is changed only where it still is as it was read. A repetition changes nothing.
    """

    def check(_locked: Version) -> None:
        etags.require_match(request, *_detail(_version(name, number)).values())

    try:
        describing.describe_version(
            name=name,
            number=number,
            note=body.note,
            metadata=body.metadata,
            actor=actor(request),
            check=check,
        )
    except Version.DoesNotExist:
        raise _no_version(name, number) from None
    shown = _detail(_version(name, number))
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "GET", "/models/{name}/versions/{int:number}/report", id="versions_report",
    scope=Scope.READ, permission="models_catalog.view_model", doing=_LOOK,
    response={200: dict[str, Any]},
)  # fmt: skip
def report(request: HttpRequest, name: str, number: int) -> Any:
    """What the validation found, as the preflight reported it (docs/artifacts.md)."""
    rows = Version.objects.filter(model__name=name, number=number)
    found = rows.select_related("label_file").only("report", "label_file").first()
    if found is None:
        raise _no_version(name, number)
    if not found.report:
        raise Problem("not-found", _("There is no report: the version was not validated yet."))
    return found.full_report


@operation(
    router, "GET", "/models/{name}/versions/{int:number}/comparison", id="versions_compare",
    scope=Scope.READ, permission="models_catalog.view_model", doing=_LOOK,
    response={200: ComparisonOut},
)  # fmt: skip
def compare(request: HttpRequest, name: str, number: int, query: Query[CompareParameters]) -> Any:
    """This version beside another one, which is resolved in this moment."""
    one = references.Reference(name, number).resolve(with_report=True)
    if one is None:
        raise _no_version(name, number)
    if query.other:
        try:
            other = references.parse(query.other).resolve(with_report=True)
        except references.Malformed as problem:
            raise Problem("invalid", errors={"other": [str(problem)]}) from None
    else:
        other = one.model.versions.filter(number__lt=number).order_by("-number").first()
        other = other or references.Reference(name).resolve(with_report=True)
    if other is None:
        said = _("There is no version to compare it with: %(name)s.")
        raise Problem("not-found", said % {"name": query.other or name})
    found = comparing.compare(one, other)
    return {
        "one": {"model": one.model.name, "number": one.number},
        "other": {"model": other.model.name, "number": other.number},
        "facts": found.facts,
        "calls": found.calls,
        "calls_days": comparing.CALLED_DAYS,
        "metadata": found.metadata,
        "layers": found.layers,
        "labels": {
            "added": found.added[:_MOST_LABELS],
            "removed": found.removed[:_MOST_LABELS],
            "moved": found.moved[:_MOST_LABELS],
        },
    }


@operation(
    router, "GET", "/models/{name}/versions/{int:number}/archive", id="versions_download",
    scope=Scope.READ, permission="models_catalog.add_version", doing=_DOWNLOAD,
    response={302: None}, problems=(409, 502),
)  # fmt: skip
def download(request: HttpRequest, name: str, number: int, query: Query[DownloadParameters]) -> Any:
    """Where the archive is: an address of S3's own in `Location`, that counts for a minute.

    No bytes go through the portal. Whoever has that address can download the archive with it.
    """
    version = _version(name, number)
    address = services.download_address(version, original=query.original)
    if address is None and not version.stored:
        said = _("%(version)s is not published, so there is nothing to download.")
        raise Problem("model-not-ready", said % {"version": version})
    if address is None:
        raise Problem("not-found", _("The file as it was uploaded is not kept."))
    answer = HttpResponse(status=302, headers={"Location": address})
    del answer.headers["Content-Type"]
    return answer


@operation(
    router, "POST", "/models/{name}/versions/{int:number}/dismiss", id="versions_dismiss",
    scope=Scope.UPLOAD, permission="models_catalog.add_version", doing=_UPLOAD,
    response={204: None}, etag=True,
)  # fmt: skip
def dismiss(request: HttpRequest, name: str, number: int) -> Any:
    """Take a rejected version off the page Today; of any other version this changes nothing."""
    version = _version(name, number)
    etags.require_match(request, *_detail(version).values())
    attention.dismiss(version=version, actor=actor(request))
    return Status(204, None)


@operation(
    router, "GET", "/models/{name}/versions/{int:number}/uses", id="versions_uses",
    scope=Scope.READ, permission="models_catalog.view_model", doing=_LOOK,
    response={200: UsesOut},
)  # fmt: skip
def uses(request: HttpRequest, name: str, number: int) -> Any:
    """What uses a version: aliases, endpoints that serve it, its last call."""
    found = retiring.uses(_version(name, number))
    return {"items": [{"kind": use.kind, "name": use.name, "said": use.said} for use in found]}


def _unless_refused(change: Callable[[], Any]) -> Any:
    """What a change of the catalog gives; what it refuses is a problem."""
    try:
        return change()
    except CatalogRefused as refused:
        raise Problem(refused.code, str(refused)) from None


def _retiring(request: HttpRequest, name: str, number: int, change: Callable[..., Any]) -> Any:
    """Do one of retiring.py's changes, where the version still is what the caller has seen."""

    def check(_found: Version) -> None:
        etags.require_match(request, *_detail(_version(name, number)).values())

    _unless_refused(lambda: change(model=name, number=number, actor=actor(request), check=check))
    shown = _detail(_version(name, number))
    etags.tag(request, *shown.values())
    return shown


@operation(
    router, "POST", "/models/{name}/versions/{int:number}/retire", id="versions_retire",
    scope=Scope.UPLOAD, permission=retiring.MAY_RETIRE, doing=_RETIRE,
    response={200: VersionDetailOut}, problems=(409,), etag=True,
)  # fmt: skip
def retire(request: HttpRequest, name: str, number: int) -> Any:
    """Offer and call a version nowhere any more. Its archive stays; `restore` takes it back.

    Refused while an alias points at it. A version that is retired already stays as it is.
    """
    return _retiring(request, name, number, retiring.retire)


@operation(
    router, "POST", "/models/{name}/versions/{int:number}/restore", id="versions_restore",
    scope=Scope.UPLOAD, permission=retiring.MAY_RETIRE, doing=_RETIRE,
    response={200: VersionDetailOut}, problems=(409,), etag=True,
)  # fmt: skip
def restore(request: HttpRequest, name: str, number: int) -> Any:
    """Make a retired version ready again. One that is ready stays as it is."""
    return _retiring(request, name, number, retiring.restore)


@operation(
    router, "DELETE", "/models/{name}/versions/{int:number}", id="versions_delete",
    scope=Scope.ADMIN, permission=retiring.MAY_DELETE, doing=_DELETE_VERSION,
    response={202: VersionDetailOut}, problems=(409,), etag=True,
)  # fmt: skip
def delete_version(request: HttpRequest, name: str, number: int) -> Any:
    """Delete the archive of a version and the file as uploaded; a job does it.

    Its record stays, with the checksums, in state `deleted`; the number is never given again.
    Refused while an alias points at it. Ask its address with `wait` to see when it is done.
    """
    return Status(202, _retiring(request, name, number, retiring.delete))


@operation(
    router, "GET", "/models/{name}/versions/{int:number}/copies", id="copies_list",
    scope=Scope.READ, permission="models_catalog.view_model", doing=_LOOK,
    response={200: Page[VersionOut]},
)  # fmt: skip
def list_versions_of(
    request: HttpRequest, name: str, number: int, query: Query[ListParameters]
) -> Any:
    """The copies of a version, in the order in which they were asked for."""
    rows = _version(name, number).copies.described()
    found = page(request, rows, query, order=("pk",))
    return {**found, "items": [_shown(version) for version in found["items"]]}


@operation(
    router, "POST", "/models/{name}/versions/{int:number}/copies/preview", id="copies_preview",
    scope=Scope.UPLOAD, permission=copying.MAY_COPY, doing=_COPY,
    response={200: PlanOut}, problems=(502,), counts_as_change=False,
)  # fmt: skip
def preview_versions_of(request: HttpRequest, name: str, number: int, body: CopyIn) -> Any:
    """What copies would be called, where they would lie, and what is in their way.

    Nothing is made.
    """
    source = _version(name, number)
    planned = _unless_refused(lambda: copying.plan(source=source, to=body.to, times=body.times))
    return {
        "items": [
            {
                "model": one.name,
                "target_model": one.target_model,
                "uri": one.uri,
                "problem": one.problem or None,
            }
            for one in planned
        ]
    }


def _copied_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that asked for copies (core/api/idempotency.py)."""
    made = all_made_by(attempt, "version.copy_requested")
    if not made:
        return None
    where = {"Location": request.path}
    return answers.of(202, VersionsOut, _versions_of(made), headers=where)


def _versions_of(pks: list[int]) -> dict[str, Any]:
    rows = Version.objects.described().filter(pk__in=pks).order_by("pk")
    return {"items": [_shown(version) for version in rows]}


@operation(
    router, "POST", "/models/{name}/versions/{int:number}/copies", id="copies_create",
    scope=Scope.UPLOAD, permission=copying.MAY_COPY, doing=_COPY,
    response={202: VersionsOut}, problems=(409, 502, 507), resume=_copied_before,
)  # fmt: skip
def create_versions_of(request: HttpRequest, name: str, number: int, body: CopyIn) -> Any:
    """Copy a ready version under other names, within the store: each is version 1 of a new model.

    All of them or none: where a name or a key is taken, nothing is made, and the sentence says
    which. Jobs make the copies; ask each one's address with `wait`. A copy stays whole whatever
    becomes of the version that it is a copy of.
    """
    made = _unless_refused(
        lambda: copying.start(
            model=name, number=number, to=body.to, times=body.times, actor=actor(request)
        )
    )
    set_header(request, "Location", request.path)
    return Status(202, _versions_of([version.pk for version in made]))


@operation(
    router, "GET", "/imports", id="imports_list",
    scope=Scope.READ, permission="models_catalog.view_model", doing=_LOOK,
    response={200: Page[VersionOut]},
)  # fmt: skip
def list_imports(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """The versions that were imported as they were found, the newest first, each with its state."""
    rows = Version.objects.described().filter(as_found=True)
    found = page(request, rows, query, order=("-pk",))
    return {**found, "items": [_shown(version) for version in found["items"]]}


@operation(
    router, "POST", "/imports/preview", id="imports_preview",
    scope=Scope.UPLOAD, permission=importing.MAY_IMPORT, doing=_IMPORT,
    response={200: FoundListOut}, problems=(502,), counts_as_change=False,
)  # fmt: skip
def preview_imports(request: HttpRequest, query: Query[ImportParameters]) -> Any:
    """What lies below a store's prefix and is not registered, as S3 lists it now.

    Each with what its model would be called, or why it cannot be imported. Nothing is changed.
    """
    return {
        "items": [
            {
                "target_model": one.target_model,
                "uri": one.uri,
                "model": None if one.problem else one.name,
                "size": one.size,
                "modified_at": one.modified,
                "problem": one.problem or None,
            }
            for one in importing.found(query.store)
        ]
    }


def _imported_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that began imports (core/api/idempotency.py)."""
    made = all_made_by(attempt, "version.found")
    if not made:
        return None
    return answers.of(202, VersionsOut, _versions_of(made), headers={"Location": request.path})


@operation(
    router, "POST", "/imports", id="imports_create",
    scope=Scope.UPLOAD, permission=importing.MAY_IMPORT, doing=_IMPORT,
    response={202: VersionsOut}, problems=(409, 502), resume=_imported_before,
)  # fmt: skip
def create_imports(request: HttpRequest, body: ImportIn) -> Any:
    """Validate and register what lies in the store: each archive is version 1 of a new model.

    It is validated where it lies, and neither moved nor changed; ask each one's address with
    `wait`. An archive that is not packed as the portal packs is rejected, with the reason_code
    `rejected.not_canonical`: `repack` makes a canonical copy of it.
    """
    made = _unless_refused(
        lambda: importing.start(keys=body.keys, store=body.store, actor=actor(request))
    )
    set_header(request, "Location", request.path)
    return Status(202, _versions_of([version.pk for version in made]))


def _repacked_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that made a canonical copy (core/api/idempotency.py)."""
    found = Version.objects.described().filter(pk=made_by(attempt, "version.repacked") or 0)
    for version in found:
        where = {"Location": _location(request, version)}
        return answers.of(202, VersionDetailOut, _detail(version), headers=where)
    return None


def _location(request: HttpRequest, version: Version) -> str:
    """The address of a version, of a request about another one of its model."""
    return f"{request.path.rsplit('/', 2)[0]}/{version.number}"


@operation(
    router, "POST", "/models/{name}/versions/{int:number}/repack", id="versions_repack",
    scope=Scope.UPLOAD, permission=importing.MAY_IMPORT, doing=_UPLOAD,
    response={202: VersionDetailOut}, problems=(409, 502), etag=True, resume=_repacked_before,
)  # fmt: skip
def repack(request: HttpRequest, name: str, number: int) -> Any:
    """Make a canonical copy of an archive that was refused as it was found.

    S3 copies it to staging, and it becomes the next version of the model as an upload does.
    """

    def check(_found: Version) -> None:
        etags.require_match(request, *_detail(_version(name, number)).values())

    made = _unless_refused(
        lambda: importing.repack(model=name, number=number, actor=actor(request), check=check)
    )
    set_header(request, "Location", _location(request, made))
    return Status(202, _detail(_version(name, made.number)))


# Of a body that is a form or a text around the archive, and not the archive itself.
_NO_ARCHIVE = ("multipart/", "text/", "application/json")


def _check_form(request: HttpRequest) -> None:
    """Refuse a body that is something else than the archive's own bytes."""
    kind = request.headers.get("Content-Type", "").strip().lower()
    if kind.startswith(_NO_ARCHIVE) or request.headers.get("Content-Encoding"):
        said = _(
            "Send the archive itself as the body, as application/gzip: no form around it, and no "
            "Content-Encoding. Nothing was kept."
        )
        raise Problem("unsupported-media-type", said)


def _versions_page(
    request: HttpRequest, rows: VersionQuerySet, query: VersionParameters, *, order: str
) -> dict[str, Any]:
    if query.state is not None:
        rows = rows.filter(state=query.state)
    by = metadata.sorted_by(query.sort)
    if by is None:
        found = page(request, rows.described(), query, order=(order,))
    else:
        key, least = by
        measured = rows.described().with_number(key)
        wanted = ("measured" if least else "-measured", "-pk")
        found = page(request, measured, query, order=wanted)
    return {**found, "items": [_shown(version) for version in found["items"]]}


def _model(name: str) -> RegisteredModel:
    found = RegisteredModel.objects.described().filter(name=name).first()
    if found is None:
        raise _no_model(name)
    return found


def _no_model(name: str) -> Problem:
    return Problem("not-found", _("There is no model %(name)s.") % {"name": name})


def _version(name: str, number: int) -> Version:
    found = Version.objects.described().filter(model__name=name, number=number).first()
    if found is None:
        raise _no_version(name, number)
    return found


def _no_version(name: str, number: int) -> Problem:
    said = _("There is no version %(name)s:%(number)s.")
    return Problem("not-found", said % {"name": name, "number": number})


def _models_shown(rows: list[Any]) -> list[dict[str, Any]]:
    """What is said of rows of described()."""
    ready = Version.objects.ready().select_related("created_by", "model")
    latest = ready.in_bulk([row.latest_pk for row in rows if row.latest_pk])
    return [_model_shown(row, latest.get(row.latest_pk)) for row in rows]


def _model_shown(row: Any, latest: Version | None) -> dict[str, Any]:
    newest = {"number": row.newest_number, "state": row.newest_state}
    return {
        "name": row.name,
        "description": row.description,
        "tags": row.tags,
        "owner": row.owned_by or None,
        "created_at": row.created_at,
        "created_by": row.created_by.get_username() if row.created_by else None,
        "versions": row.versions_count,
        "latest": None
        if latest is None
        else {
            "number": latest.number,
            "target_model": latest.target_model,
            "size": latest.served_size,
            "created_at": latest.created_at,
            "created_by": latest.created_by.get_username() if latest.created_by else None,
        },
        "newest": newest if row.newest_number is not None else None,
        "aliases": [
            {"name": alias.name, "number": alias.version.number} for alias in row.said_aliases
        ],
        "last_call_at": row.last_call,
        "best": row.best,
        "store": row.store_name,
        "deletable": not row.is_published,
    }


def _shown(version: Version) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "number": version.number,
        "state": version.state,
        "step": "" if version.settled else version.doing,
        "reason": str(version.said) if version.reason else None,
        "reason_code": version.reason_kind or None,
        "note": version.note,
        "metadata": version.metadata or {},
        "file_name": version.file_name,
        "size": version.size,
        "sha256": version.sha256,
        "published_size": version.published_size,
        "published_sha256": version.published_sha256,
        "content_sha256": version.content_sha256,
        "packing": version.packing,
        "target_model": version.target_model,
        "uri": version.uri,
        "created_at": version.created_at,
        "created_by": version.created_by.get_username() if version.created_by else None,
        "settled_at": version.settled_at,
        "retired_at": version.retired_at,
        "copied_from": version.copied_from.name if version.copied_from else None,
        "as_found": version.as_found,
        "drift": version.drifted or None,
        "parameters": version.parameters,
        "input_shape": version.input_shape,
        "validation": _validation(version),
    }


def _validation(version: Version) -> dict[str, Any] | None:
    result = validation_result.of_report(version.told)
    if result is None:
        return None
    memory = result.memory_mb
    return {
        "load_ms": result.load_ms,
        "first_ms": result.first_ms,
        "warm_ms": result.warm_ms,
        "memory_bytes": None if memory is None else round(memory * _MEGABYTE),
        "predictions": result.answers,
    }


def _detail(version: Version) -> dict[str, Any]:
    """What is said of one version alone."""
    twins = Version.objects.twins(version)[:20]
    same = [
        {"model": twin.model.name, "number": twin.number, "likeness": version.likeness(twin)}
        for twin in twins
    ]
    return {**_shown(version), "same_as": same}
