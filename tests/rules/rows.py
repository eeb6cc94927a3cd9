"""Rows of everything that pages show, for rules that visit every address.

Whoever adds a model, or an address with an argument, adds it here; the rules say so by themselves.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model as AnyModel
from django.utils import timezone
from PIL import Image

from accounts.models import PasswordLink, PeopleGroup, Preferences, Token
from activity import sealing
from activity.models import Event
from core import clock, guarded
from core.models import RepeatableCall
from endpoints.alarm_presets import AlarmKind
from endpoints.models import (
    AlarmWatch,
    Budget,
    Endpoint,
    EndpointAlarm,
    InstanceRun,
    MonthSoFar,
    Orphan,
    OrphanLook,
    PriceLook,
    Resource,
    Revision,
)
from endpoints.variants import ALONE
from invocations import roll_ups
from invocations.experiments import tally
from invocations.experiments.targets import CallTarget
from invocations.models import (
    AnswerComparison,
    ComparedPicture,
    EndpointHour,
    Experiment,
    Invocation,
    LabelledPicture,
    MeasuredHour,
    Picture,
    PictureGiver,
    VersionHalfDay,
    Warming,
    WarmSchedule,
)
from models_catalog.models import (
    Alias,
    AliasMirror,
    AliasMove,
    LabelFile,
    StorageQuota,
    Store,
    StoreComparison,
    StoreGroup,
    StrayObject,
    Stretch,
    Upload,
    Version,
)
from notices import signing
from notices.models import Delivery, DeliveryAttempt, MailChoice, Webhook
from tests.rules.subjects import Address

# The catalog's model of models, by whatever name.
Registered: Any = Version._meta.get_field("model").related_model

#: The time zone that the owner of the rows chose.
ZONE = "Asia/Seoul"
#: Models of others that pages show, beside all of the project's own.
SHOWN_TOO = (User, Group, LogEntry)

_REPORT: dict[str, Any] = {
    "ok": True,
    "load_ms": 12.0,
    "infer_ms": 1.0,
    "memory_mb": 80,
    "artifact": {
        "inputs": [{"name": "data", "shape": [1, 1, 28, 28]}],
        "outputs": [],
        "parameters": 61706,
        "parameter_bytes": 246824,
        "label_count": 2,
        "layers": {"Convolution": 2, "FullyConnected": 1},
        "files": [{"name": "digits-symbol.json", "bytes": 10}],
        "unpacked_bytes": 300000,
    },
}


@dataclass(frozen=True)
class Rows:
    """The rows that were built: the first of each is what addresses with an argument show."""

    version: Any
    endpoint: Endpoint
    alarm: EndpointAlarm
    orphan: Orphan
    invocation: Invocation
    picture: Picture
    labelled: LabelledPicture
    comparison: AnswerComparison
    experiment: Experiment
    warming: Warming
    sample: str
    person: User
    token: Token
    token_of_person: Token
    upload: Upload
    webhook: Webhook
    delivery: Delivery

    def arguments(self, address: Address) -> list[dict[str, Any]]:
        """What to visit an address with: one set of arguments, or one for each kind of thing.

        Raises KeyError, as a sentence, where there is an argument that this file knows nothing of.
        """
        if not address.converters:
            return [{}]
        if address.name == "activity:subject":
            return [{"kind": kind, "pk": one.pk} for kind, one in self._subjects()]
        known = self._known(address)
        unknown = [name for name in address.converters if name not in known]
        if unknown:
            raise KeyError(
                f"The address {address.name} ({address.route}) takes {unknown}, of which "
                "tests/rules/rows.py knows nothing: say in Rows._known what to visit it with."
            )
        return [{name: known[name] for name in address.converters}]

    def own(self, address: Address) -> tuple[str, str]:
        """A query string that asks an address for what is the owner's own, and a text of it.

        Raises KeyError, as a sentence, for an address that this file knows nothing of.
        """
        if address.name == "preferences":
            return "", f'<option value="{ZONE}" selected>'
        if address.name == "tokens":
            return "", self.token.name
        raise KeyError(
            f"tests/rules/rows.py does not know what of {address.name} is its owner's own: say in "
            "Rows.own what to ask it, and what it shows."
        )

    def _known(self, address: Address) -> dict[str, Any]:
        version = {"name": self.version.model.name, "number": self.version.number}
        match address.route.split("/"):
            case ["models", "new", "try", *_]:
                return {"kind": "good"}
            case ["models", "new", "same", *_]:
                return {"uid": self.upload.uid}
            case ["models", "new", "stores", *_]:
                return {"name": "store-0"}
            case ["models", *_]:
                first = AliasMove.objects.filter(name="live").order_by("pk")[0]
                return version | {"alias": "live", "revision": first.pk}
            case ["docs", "api", *_]:
                return {"tag": "endpoints"}  # the longest
            case ["problems", *_]:
                return {"code": "not-found"}
            case ["people", "groups", *_]:
                return {"name": "group-0"}
            case ["people", *_]:
                return {"pk": self.person.pk, "id": self.token_of_person.pk}
            case ["webhooks", *_]:
                return {"uid": self.webhook.uid, "message": self.delivery.uid}
            case ["tokens", *_]:
                return {"id": self.token.pk}
            case ["welcome", *_]:
                return {"secret": "no-such-secret"}
            case ["endpoints", *_]:
                return {"pk": self.endpoint.pk, "alarm_pk": self.alarm.pk}
            case ["invoke", "metrics" | "logs", *_]:
                return {"pk": self.endpoint.pk}
            case ["invoke", "samples", *_]:
                return {"name": self.sample}
            case ["invoke", "experiments", *_]:
                return {"uid": self.experiment.uid}
            case ["invoke" | "calls", *_]:
                return {
                    "part": "thumbnail",
                    "pk": self.invocation.pk,
                    "calls": f"{self.invocation.pk}-{self.invocation.pk - 1}",
                    "sha256": self.picture.sha256,
                    "uid": self.comparison.uid,
                    "model": self.labelled.model.name,
                    "test_pk": self.labelled.pk,
                }
            case ["admin", "r", *_]:
                kind = ContentType.objects.get_for_model(type(self.version))
                return {"content_type_id": kind.pk, "object_id": self.version.pk}
            case ["admin", "auth", "user", *_]:
                return {"object_id": self.person.pk, "id": self.person.pk}
            case ["admin", app, model, *_] if "<" not in app + model:
                return {"object_id": apps.get_model(app, model)._default_manager.all()[0].pk}
            case ["admin", *_]:
                return {"app_label": "auth", "url": "nothing/of/the/kind"}
        return {}

    def _subjects(self) -> Iterator[tuple[str, AnyModel]]:
        """One thing of each kind that events can be about."""
        yield "user", self.person
        for model in apps.get_models():
            kind = getattr(model, "activity_kind", None)
            if kind is not None:
                yield kind, model._default_manager.order_by("pk")[0]


def models_shown() -> list[type[AnyModel]]:
    """Every model of which `build` makes rows."""
    root = Path(settings.BASE_DIR)
    ours = [
        model
        for config in apps.get_app_configs()
        if Path(config.path).parent == root
        for model in config.get_models()
    ]
    return [*ours, *SHOWN_TOO]


@guarded.as_portal()  # a request whose answer nobody closed may have left its reader
def build(count: int, *, owner: User, samples: Path) -> Rows:
    """Make ``count`` rows of everything, all of them ``owner``'s; what hangs on others, too.

    So many versions, resources, calls and events hang on the first of their kind; and there are so
    many of each kind. ``samples`` is a folder for the sample pictures (SAMPLES_DIR).
    """
    picture = _jpeg()
    for number in range(count):
        (samples / f"sample-{number}.jpg").write_bytes(picture)
    people = User.objects.bulk_create(User(username=f"person-{n}") for n in range(count))
    groups = [*Group.objects.all()]
    for n in range(len(groups), count):
        groups.append(Group.objects.create(name=f"group-{n}"))
    for person in people:
        person.groups.set(groups[:1])
    later = timezone.now() + timedelta(days=1)
    PasswordLink.objects.bulk_create(
        PasswordLink(user=person, digest=f"{n:064x}", expires_at=later)
        for n, person in enumerate(people)
    )
    Preferences.objects.bulk_create(
        Preferences(user=user, time_zone=ZONE if user == owner else "UTC")
        for user in (owner, *people)
    )
    StorageQuota.objects.bulk_create(
        StorageQuota(user=user, gigabytes=n) for n, user in enumerate((owner, *people))
    )
    RepeatableCall.objects.bulk_create(
        RepeatableCall(
            id=f"{n:032x}",
            user=owner,
            operation="models_create",
            key=f"key-{n}",
            leased_until=clock.now(),
            status=201,
        )
        for n in range(count)
    )
    for user in (owner, people[0]):
        Token.objects.bulk_create(
            Token(
                user=user,
                name=f"Token {n} of {user.username}",
                digest=f"{user.pk}-{n:050x}",
                scopes=["read", "invoke"],
                created_at=timezone.now(),
                expires_at=later,
                last_used_at=timezone.now(),
                last_used_from="192.0.2.7",
            )
            for n in range(count)
        )
    version, versions = _versions(count, owner)
    _aliases(versions[:count], owner)
    uploads = _uploads(count, owner)
    _stores(count)
    _groups(count, people)
    endpoint = _endpoints(count, owner)
    _orphans(count)
    webhook = _webhooks(count, owner)
    Picture.objects.bulk_create(
        Picture(
            sha256=f"{n:064}",
            name=f"digit-{n}.png",
            content_type="image/png",
            data=picture,
            thumbnail=picture,
            preview=picture,  # else who looks first has it made
        )
        for n in range(count)
    )
    PictureGiver.objects.bulk_create(
        PictureGiver(user=owner, sha256=f"{n:064}", name=f"digit-{n}.png") for n in range(count)
    )
    Invocation.objects.bulk_create(
        Invocation(
            endpoint=endpoint,
            version=versions[n],
            target_model=versions[n].target_model,
            created_by=owner,
            state=Invocation.State.DONE,
            picture_name=f"digit-{n}.png",
            picture_sha256=f"{n:064}",
            thumbnail=picture,
            predictions=[{"label": "zero", "probability": 0.9}],
            cold=False,
            latency_ms=12.0,
            attempts=1,
        )
        for n in range(count)
    )
    LabelledPicture.objects.bulk_create(
        LabelledPicture(
            model=version.model,
            version=versions[n],
            label="one",
            predicted="zero",
            probability=0.9,
            flagged_by=owner,
            flagged_by_name=owner.username,
            sha256=f"{n:064}",
            name=f"digit-{n}.png",
            content_type="image/png",
            size=len(picture),
            data=picture,
            thumbnail=picture,
        )
        for n in range(count)
    )
    _comparisons(count, owner, endpoint, versions)
    _experiments(count, owner, endpoint, versions)
    rows = Rows(
        version=version,
        endpoint=endpoint,
        alarm=_alarms(count, endpoint),
        orphan=Orphan.objects.order_by("pk")[0],
        invocation=Invocation.objects.order_by("-pk")[0],
        picture=Picture.objects.order_by("pk")[0],
        labelled=LabelledPicture.objects.order_by("pk")[0],
        comparison=AnswerComparison.objects.order_by("pk")[0],
        experiment=Experiment.objects.order_by("pk")[0],
        warming=_warmings(count, owner, endpoint, versions),
        sample="sample-0.jpg",
        person=people[0],
        token=Token.objects.filter(user=owner)[0],
        token_of_person=Token.objects.filter(user=people[0])[0],
        upload=uploads[0],
        webhook=webhook,
        delivery=Delivery(uid=f"msg_{0:024x}"),
    )
    _events(count, owner, rows)
    _deliveries(count, owner, webhook)
    _call_sums(count, endpoint, versions)
    sealing.seal()
    return rows


def _call_sums(count: int, endpoint: Endpoint, versions: list[Any]) -> None:
    """Calls that are summed up already, and hours that SageMaker measured."""
    hour = roll_ups.begin_of(clock.now(), roll_ups.HOUR)
    half = roll_ups.begin_of(clock.now(), roll_ups.HALF_DAY)
    sums = {"calls": 3, "cold": 1, "cold_known": 3, "last_call_at": hour}
    for number in range(count):
        begin = hour - number * roll_ups.HOUR
        EndpointHour.objects.create(endpoint=endpoint, begin=begin, **sums)
        MeasuredHour.objects.create(
            endpoint=endpoint, variant=ALONE, begin=begin, figures={"invocations": 3.0}
        )
    for version in versions:
        VersionHalfDay.objects.create(endpoint=endpoint, version=version, begin=half, **sums)


def _warmings(count: int, owner: User, endpoint: Endpoint, versions: list[Any]) -> Warming:
    """As many warmings of an endpoint, and what of it is kept warm; the first warming."""
    target = CallTarget("digits:1", versions[0].pk, "m.tar.gz", "digits:1")
    for n in range(count):
        Warming.objects.create(
            uid=f"{n:032x}",
            endpoint=endpoint,
            created_by=owner,
            created_by_name=owner.username,
            named="@*",
            targets=[target.as_json()],
            results=[
                {"name": "digits:1", "cold": True, "latency_ms": 9.0, "call": "", "error": "",
                 "error_code": None}
            ],
            state=Warming.State.DONE,
        )  # fmt: skip
    WarmSchedule.objects.create(
        endpoint=endpoint, named="*", every_minutes=10, changed_by=owner, changed_by_name="owner"
    )
    return Warming.objects.order_by("pk")[0]


def _comparisons(count: int, owner: User, endpoint: Endpoint, versions: list[Any]) -> None:
    """As many comparisons of answers, the first with as many pictures."""
    for n in range(count):
        AnswerComparison.objects.create(
            uid=f"{n:032x}",
            endpoint=endpoint,
            one=versions[0],
            other=versions[-1],
            created_by=owner,
            created_by_name=owner.username,
            state=AnswerComparison.State.DONE,
        )
    calls = Invocation.objects.order_by("pk")
    answers = [
        {"label": "zero", "probability": 0.9, "latency_ms": 9.0, "cold": False, "call": call.uid}
        for call in calls
    ]
    comparison = AnswerComparison.objects.order_by("pk")[0]
    ComparedPicture.objects.bulk_create(
        ComparedPicture(
            comparison=comparison,
            labelled=labelled,
            name=labelled.name,
            label=labelled.label,
            one=answer,
            other=answer,
        )
        for labelled, answer in zip(LabelledPicture.objects.order_by("pk"), answers, strict=True)
    )


def _experiments(count: int, owner: User, endpoint: Endpoint, versions: list[Any]) -> None:
    """As many experiments and one to compare with, each with as many targets."""
    targets = [
        CallTarget(f"{one.model.name}:{one.number}", one.pk, one.target_model, "digits-0:*")
        for one in versions[:count]
    ]
    tallies = [tally.TargetTally() for _one in targets]
    for one in tallies:
        one.add(tally.MadeCall(0, 0.5, 300.0, cold=True, label="zero", probability=0.9))
        one.add(tally.MadeCall(1, 0.6, 12.0, cold=False, label="zero", probability=0.9))
        one.add(tally.MadeCall(2, 0.7, 5.0, error="model-failed"))
    result = tally.result([one.name for one in targets], tallies, 1.5)
    for n in range(count + 1):
        Experiment.objects.create(
            uid=f"{n:032x}",
            name=f"Experiment {n}",
            endpoint=endpoint,
            created_by=owner,
            created_by_name=owner.username,
            named="digits-0:*",
            targets=[one.as_json() for one in targets],
            calls=3 * len(targets),
            callers=8,
            draw="zipf:1.1",
            seed=7,
            state=Experiment.State.DONE,
            result=result,
        )


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    return file.getvalue()


def _versions(count: int, owner: User) -> tuple[Any, list[Any]]:
    """``count`` models with a version each, and ``count`` versions of the first."""
    models = [Registered.objects.create(name=f"digits-{n}", created_by=owner) for n in range(count)]
    wanted = [(models[0], n + 1) for n in range(count)] + [(model, 1) for model in models[1:]]
    prefix = settings.MODEL_PREFIX
    labels = LabelFile.objects.bulk_create(
        LabelFile(sha256=f"{n:064x}", text="zero\none") for n in range(len(wanted))
    )
    versions = Version.objects.bulk_create(
        Version(
            model=model,
            number=number,
            note="A note.",
            metadata={"accuracy": 0.9 + number / 1000},
            created_by=owner,
            bucket=settings.MODEL_BUCKET,
            prefix=prefix,
            key=f"{prefix}/{model.name}_v{number}.tar.gz",
            original_key=f"originals/{model.name}_v{number}.tar.gz",
            file_name="digits.tar.gz",
            size=1000,
            sha256="0" * 64,
            content_sha256="1" * 64,
            state=Version.State.READY,
            parameters=61706,
            input_shape="data: 1 × 1 × 28 × 28",
            report=_REPORT,
            label_file=label_file,
        )
        for (model, number), label_file in zip(wanted, labels, strict=True)
    )
    Version.keep_found(version.pk for version in versions)
    return versions[0], versions


def _uploads(count: int, owner: User) -> list[Upload]:
    """Uploads on their way, each with a stretch that has arrived."""
    uploads = [
        Upload.objects.create(
            owner=owner,
            expires_at=timezone.now() + timedelta(days=1),
            length=1000,
            offset=10,
            bucket=settings.MODEL_BUCKET,
            name=f"uploaded-{n}",
            file_name="digits.tar.gz",
        )
        for n in range(count)
    ]
    for upload in uploads:
        key = f"{upload.prefix}0"
        Stretch.objects.create(upload=upload, offset=0, size=10, key=key)
    return uploads


_RIGHTS = [
    {"place": "store", "right": "list", "outcome": "allowed", "said": None},
    {"place": "store", "right": "delete", "outcome": "refused", "said": None},
]


def _stores(count: int) -> None:
    """As many stores, and as many objects in them that no version knows."""
    for n in range(count):
        Store.objects.create(
            name=f"store-{n}",
            bucket=f"store-{n}",
            prefix="models",
            region=settings.AWS_REGION,
            tested_at=timezone.now(),
            rights=_RIGHTS,
        )
        StoreComparison.objects.create(bucket=f"store-{n}", compared_at=timezone.now())
        StrayObject.objects.create(bucket=settings.MODEL_BUCKET, key=f"models/stray-{n}", size=1)


def _groups(count: int, people: list[User]) -> None:
    """As many groups, each of everybody; each is named by a store of its own."""
    for n in range(count):
        group = PeopleGroup.objects.create(name=f"group-{n}")
        group.members.set(people)
        store = Store.objects.create(
            name=f"closed-{n}", bucket=f"closed-{n}", prefix="models", region=settings.AWS_REGION
        )
        StoreGroup.objects.create(store=store, group=group, may_write=True)


def _webhooks(count: int, owner: User) -> Webhook:
    """``count`` that are active, to a port where nobody listens; gives the first."""
    for n in range(count):
        uid = f"{n:016x}"
        Webhook.objects.create(
            uid=uid,
            url=f"https://127.0.0.1:{1025 + n}/hook",
            note=f"Webhook {n}",
            kinds=["version.ready", "version.rejected"],
            digest=signing.digest(signing.secret_of(uid, 1)),
            created_by=owner,
            created_by_name=owner.username,
        )
    return Webhook.objects.all()[0]


def _deliveries(count: int, owner: User, webhook: Webhook) -> None:
    """As many deliveries of the first webhook, and as many mails to the owner."""
    MailChoice.objects.create(user=owner, kinds=["version.ready"])
    event = Event.objects.order_by("pk")[0]
    told = {"event": event, "kind": "version.ready", "model": "digits", "settled_at": event.at}
    for n in range(count):
        state = Delivery.State.DELIVERED
        row = Delivery.objects.create(uid=f"msg_{n:024x}", webhook=webhook, state=state, **told)
        Delivery.objects.create(person=owner, state=state, **told)
        DeliveryAttempt.objects.bulk_create(
            DeliveryAttempt(delivery=row, at=event.at, ms=12, status=204) for _ in range(count)
        )


def _aliases(versions: list[Any], owner: User) -> None:
    """As many aliases of the first model, each of them moved from version to version."""
    model = versions[0].model
    moves: dict[str, AliasMove | None] = {
        f"alias-{n}" if n else "live": None for n in range(len(versions))
    }
    for version in versions:
        moved = AliasMove.objects.bulk_create(
            AliasMove(
                model=model,
                name=name,
                kind=AliasMove.Kind.MOVED if move else AliasMove.Kind.MADE,
                version=version,
                replaced=move,
                back_to=move,
                by=owner,
                by_name=owner.username,
                reason="A reason.",
            )
            for name, move in moves.items()
        )
        moves = {move.name: move for move in moved}
    for name, move in moves.items():
        assert move is not None
        Alias.objects.create(model=model, name=name, version=versions[-1], move=move)
        AliasMirror.objects.create(
            model=model,
            name=name,
            bucket=settings.MODEL_BUCKET,
            key=f"aliases/{model.name}/{name}.json",
            wanted=move.pk,
        )


def _endpoints(count: int, owner: User) -> Endpoint:
    """``count`` that serve, and as many that are gone; the first has ``count`` more resources."""
    first = None
    for n in range(count):
        for gone in (False, True):
            endpoint = Endpoint.objects.create(
                name=f"{'gone' if gone else 'demo'}-{n}",
                bucket=settings.MODEL_BUCKET,
                prefix=settings.MODEL_PREFIX,
                image="image:latest",
                role_arn="arn:aws:iam::123456789012:role/demo",
                instance_type="ml.m5.large",
                state=Endpoint.State.GONE if gone else Endpoint.State.IN_SERVICE,
                created_by=owner,
            )
            if gone:
                Endpoint.objects.filter(pk=endpoint.pk).update(gone_at=endpoint.created_at)
            first = first or endpoint
            Resource.objects.bulk_create(
                Resource(
                    endpoint=endpoint,
                    kind=kind,
                    name=f"{endpoint.name}-r1",
                    state=Resource.State.CREATED,
                )
                for kind in Resource.Kind
            )
    assert first is not None
    InstanceRun.objects.bulk_create(
        InstanceRun(
            endpoint=endpoint,
            variant="AllTraffic",
            instance_type=endpoint.instance_type,
            instance_count=1,
            begun_at=clock.now() - timedelta(hours=1),
            ended_at=clock.now(),
        )
        for endpoint in Endpoint.objects.all()
    )
    Budget.objects.bulk_create(
        Budget(tag=f"team={n}" if n else "", amount=100, set_at=clock.now(), set_by=owner)
        for n in range(count)
    )
    figures = {
        "cost": "60.00",
        "forecast": "90.00",
        "currency": "USD",
        "unpriced_types": [],
        "budgets": [
            {"owner": "", "tag": "", "amount": "100.00", "cost": "60.00", "percent": 60}
            for _n in range(count)
        ],
    }
    PriceLook.objects.bulk_create(
        PriceLook(
            region=f"region-{n}",
            currency="USD",
            per_hour={"ml.m5.large": "0.115"},
            read_at=clock.now(),
            tried_at=clock.now(),
        )
        for n in range(count)
    )
    MonthSoFar.objects.bulk_create(
        MonthSoFar(until=clock.now() + timedelta(days=1), figures=figures) for _n in range(count)
    )
    Revision.objects.bulk_create(
        Revision(
            endpoint=first,
            number=n + 1,
            state=Revision.State.REPLACED if n + 1 < count else Revision.State.ROLLED_BACK,
            image=first.image,
            role_arn=first.role_arn,
            instance_type=first.instance_type,
            instance_count=n + 1,
            reason="A reason.",
            failure="" if n + 1 < count else "No capacity.",
            created_at=timezone.now(),
            created_by=owner,
        )
        for n in range(count)
    )
    Resource.objects.bulk_create(
        Resource(
            endpoint=first, kind=Resource.Kind.MODEL, name=f"more-{n}", state=Resource.State.CREATED
        )
        for n in range(count)
    )
    return first


def _alarms(count: int, endpoint: Endpoint) -> EndpointAlarm:
    """``count`` alarms of an endpoint, each of a variant, and so many looks; the first alarm."""
    now, later = timezone.now(), timezone.now() + timedelta(days=1)
    AlarmWatch.objects.bulk_create(
        AlarmWatch(check_after=later, looked_at=now) for _n in range(count)
    )
    EndpointAlarm.objects.bulk_create(
        EndpointAlarm(
            endpoint=endpoint,
            kind=AlarmKind.LATENCY,
            variant=f"variant-{n}" if n else ALONE,
            threshold=2000,
            minutes=5,
            state=EndpointAlarm.State.ALARM if n else EndpointAlarm.State.OK,
            reason="Threshold Crossed.",
            changed_at=now,
        )
        for n in range(count)
    )
    return EndpointAlarm.objects.order_by("pk")[0]


def _orphans(count: int) -> None:
    """``count`` endpoints that nobody owns, of which somebody was told, and so many looks."""
    now, later = timezone.now(), timezone.now() + timedelta(days=1)
    # Of the future: of some minutes ago a page asks for another one, and some tests take longer.
    OrphanLook.objects.bulk_create(
        OrphanLook(check_after=later, looked_at=later) for _n in range(count)
    )
    Orphan.objects.bulk_create(
        Orphan(
            kind=Resource.Kind.ENDPOINT,
            name=f"orphan-{n}",
            arn=f"arn:aws:sagemaker:ap-northeast-2:123456789012:endpoint/orphan-{n}",
            made_at=now - timedelta(days=1),
            found_at=now,
            told_at=now,
            ours=True,
            made_for=f"orphan-{n}",
            sagemaker_status="InService",
            instance_type="ml.m5.large",
            instance_count=1,
        )
        for n in range(count)
    )


def _events(count: int, owner: User, rows: Rows) -> None:
    """``count`` about one thing of each kind, and so many changes of a person in the admin."""
    for kind, about in rows._subjects():
        Event.objects.bulk_create(
            Event(
                actor=owner,
                actor_name=owner.username,
                action="test.text",
                subject_kind=kind,
                subject_id=about.pk,
                subject_name=str(about),
                text=f"Changed it, time {n}.",
            )
            for n in range(count)
        )
    LogEntry.objects.bulk_create(
        LogEntry(
            user=owner,
            content_type=ContentType.objects.get_for_model(User),
            object_id=str(rows.person.pk),
            object_repr=str(rows.person),
            action_flag=CHANGE,
        )
        for _ in range(count)
    )
