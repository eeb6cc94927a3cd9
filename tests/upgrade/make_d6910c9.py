"""Makes d6910c9.sql: the database of an installation of the commit d6910c9, with all kinds of rows.

    git worktree add /tmp/old d6910c9 && cd /tmp/old
    SECRET_KEY=… DATABASE_URL=sqlite:////tmp/old.sqlite3 python manage.py migrate
    SECRET_KEY=… DATABASE_URL=sqlite:////tmp/old.sqlite3 python THIS_FILE > d6910c9.sql

It runs with that commit's code, in its folder. Its users have no passwords.
"""

import os
import sqlite3
import sys
from datetime import UTC, datetime

sys.path.insert(0, os.getcwd())
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group, Permission, User  # noqa: E402

from activity.models import Event  # noqa: E402
from endpoints.models import Endpoint, Invocation, Picture, Resource  # noqa: E402
from mmeportal import roles  # noqa: E402
from models_catalog.models import Model, Version  # noqa: E402

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STORE = {"bucket": "the-bucket", "prefix": "models"}

# What the preflight of that commit said of an archive.
REPORT = {
    "ok": True,
    "error": None,
    "artifact": {
        "name": "digits",
        "files": [{"name": "digits-symbol.json", "bytes": 1234}, {"name": "x.txt", "bytes": 7}],
        "unpacked_bytes": 1241,
        "inputs": [{"name": "data", "shape": [1, 3, 224, 224]}],
        "outputs": [{"name": "softmax_output", "shape": [1, 2]}],
        "parameters": 431080,
        "parameter_bytes": 1724320,
        "labels": ["a", "b"],
        "label_count": 2,
        "layers": {"Convolution": 4},
        "preprocess": None,
    },
    "load_ms": 12.3,
    "infer_ms": 4.56,
    "memory_mb": 7.8,
    "sample": {
        "image": "sample.png",
        "predictions": [{"label": "a", "probability": 0.9}, {"label": "b", "probability": 0.1}],
    },
}

roles.ensure_roles()
users = {}
for role in ("viewer", "operator", "admin"):
    users[role] = User.objects.create_user(f"{role}-user", password=None)
    users[role].groups.add(Group.objects.get(name=role))
# Somebody was given a right beside the roles, in Django's admin.
auditor = User.objects.create_user("auditor", password=None)
auditor.user_permissions.add(
    Permission.objects.get(content_type__app_label="endpoints", codename="view_invocation"),
    Permission.objects.get(content_type__app_label="models_catalog", codename="view_model"),
)

versions = {}
for name in ("digits", "shapes"):
    model = Model.objects.create(name=name, description=f"The {name}", created_by=users["operator"])
    for number, state in enumerate(Version.State.values, start=1):
        versions[name, state] = Version.objects.create(
            model=model,
            number=number,
            note=f"{state} one",
            created_by=users["operator"],
            key=f"models/{name}_v{number}.tar.gz",
            staging_key="" if state in ("ready", "rejected") else f"staging/{name}-{number}",
            file_name=f"{name}.tar.gz",
            size=1000 + number,
            sha256=f"{number:064x}",
            state=state,
            step="Loading it in the container" if state == "checking" else "",
            reason="The archive has no synset.txt." if state == "rejected" else "",
            attempts=number,
            check_after=AT,
            settled_at=AT if state in ("ready", "rejected") else None,
            report=REPORT if state == "ready" else {},
            parameters=431080 if state == "ready" else None,
            input_shape="data: 1 × 3 × 224 × 224" if state == "ready" else "",
            **STORE,
        )

STATES = {
    # name: wanted, status, failure, statuses of model, config and endpoint, gone
    "requested": ("present", "Requested", "", ("Waiting", "Waiting", "Waiting"), False),
    "creating": ("present", "Creating", "", ("Created", "Created", "Creating"), False),
    "serving": ("present", "InService", "", ("Created", "Created", "InService"), False),
    "updating": ("present", "SystemUpdating", "", ("Created", "Created", "SystemUpdating"), False),
    "failed": ("present", "Failed", "It failed.", ("Created", "Created", "Failed"), False),
    "going": ("absent", "Deleting", "", ("Created", "Created", "Deleting"), False),
    "kept": ("absent", "Gone", "", ("Gone", "Kept", "Gone"), True),
    "gone": ("absent", "Gone", "", ("Gone", "Gone", "Gone"), True),
}
endpoints = {}
for name, (wanted, status, failure, seen, gone) in STATES.items():
    endpoint = endpoints[name] = Endpoint.objects.create(
        name=name,
        image="123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/image:latest",
        role_arn="arn:aws:iam::123456789012:role/mme-portal",
        instance_type="ml.m5.large",
        instance_count=2,
        wanted=wanted,
        status=status,
        failure=failure,
        hint="A hint." if failure else "",
        attempts=3,
        created_by=users["operator"],
        check_after=AT,
        checked_at=AT,
        gone_at=AT if gone else None,
        **STORE,
    )
    names = (endpoint.model_name, endpoint.config_name, endpoint.name)
    for kind, resource, word in zip(Resource.Kind.values, names, seen, strict=True):
        Resource.objects.create(
            endpoint=endpoint,
            kind=kind,
            name=resource,
            arn="" if word == "Waiting" else f"arn:aws:sagemaker:::{resource}",
            status=word,
            created_at=None if word == "Waiting" else AT,
            changed_at=AT,
            gone_at=AT if word == "Gone" else None,
        )

Picture.objects.create(
    sha256="a" * 64,
    name="cat.png",
    content_type="image/png",
    data=b"\x89PNG",
    thumbnail=b"\xff\xd8",
)
for state in Invocation.State.values:
    done = state == "done"
    Invocation.objects.create(
        endpoint=endpoints["serving"],
        version=versions["digits", "ready"],
        target_model="digits_v3.tar.gz",
        created_by=users["viewer"],
        state=state,
        error="It did not answer." if state == "failed" else "",
        picture_name="cat.png",
        picture_sha256="a" * 64,
        thumbnail=b"\xff\xd8",
        sent_bytes=4,
        predictions=[{"label": "cat", "probability": 0.75}] if done else [],
        cold=True if done else None,
        attempts=1,
        latency_ms=12.5 if done else None,
        timings={"load_ms": 4.5} if done else {},
        request_id="aws-1" if done else "",
        variant="AllTraffic" if done else "",
    )

EVENTS = (
    ("model.created", Model.objects.get(name="digits"), "Registered the model digits."),
    ("version.uploaded", versions["digits", "ready"], "Uploaded digits v3 (digits.tar.gz)."),
    ("endpoint.requested", endpoints["serving"], "Asked for the endpoint serving."),
    ("endpoint.model.created", endpoints["serving"], "Created the model serving-r1."),
    ("endpoint.gone", endpoints["gone"], "The endpoint gone is gone."),
)
for action, subject, text in EVENTS:
    Event.objects.create(
        actor=users["operator"],
        actor_name="operator-user",
        action=action,
        subject_kind=subject.activity_kind,
        subject_id=subject.pk,
        subject_name=str(subject),
        text=text,
    )

database = sqlite3.connect(settings.DATABASES["default"]["NAME"])
print("\n".join(database.iterdump()))
