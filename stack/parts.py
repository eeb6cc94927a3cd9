"""The parts of the portal's stack: programs, their order, and their environment."""

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stack import credentials, java, redis_config, reload, venvs
from stack.layout import ACCOUNT, BUCKET, CONTAINER_VENV, HOST, PORTAL_VENV, REGION, ROOT, Layout
from stack.part import Part, http_ok, log_contains, redis_answers
from stack.procfile import read_procfile, shell
from stack.stack_error import StackError

ADMIN = "admin"
_BIN = PORTAL_VENV / "bin"
_PYTHON = str(_BIN / "python")
_CONTAINER_PYTHON = str(CONTAINER_VENV / "bin" / "python")
_IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/demo-sagemaker-multimodel:latest"
_INSTALLING = "Installing the packages of the portal and of the model container"
_TRAINING = "Training the demo models"
_DATABASE = "Preparing the database"
_S3_NICE = 10
_STARTING = "Starting Redis, S3, localaws, the worker, beat and the web server"
_SEEDING = "Uploading the demo models and deploying the endpoint `demo`"


#: The variables of the caller that parts other than the portal get.
_PLAIN = re.compile(
    r"HOME|USER|LOGNAME|SHELL|TERM|TZ|TMPDIR|LANG|LANGUAGE|LC_\w+|LD_LIBRARY_PATH|"
    r"(?:OMP|MXNET|MME)_\w+"
)
#: Variables that look like secrets of other programs, which no part gets.
_SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|PWD$|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|_AUTH$", re.IGNORECASE
)


def _caller_environment() -> dict[str, str]:
    """The caller's environment without secrets, AWS settings and Python settings."""
    found = venvs.clean_environment().items()
    return {
        name: value
        for name, value in found
        if not name.startswith("AWS_") and (name == "PWD" or not _SECRET.search(name))
    }


def _minimal_environment() -> dict[str, str]:
    """The environment of programs other than the portal."""
    own_hosts = f"{HOST},localhost"
    return {
        name: value
        for name, value in _caller_environment().items()
        if _PLAIN.fullmatch(name.upper())
    } | {
        "PATH": f"{_BIN}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": ",".join(filter(None, [own_hosts, os.environ.get("NO_PROXY")])),
        "no_proxy": ",".join(filter(None, [own_hosts, os.environ.get("no_proxy")])),
    }


# Of localaws (docs/localaws.md, "What a container tells").
_CONTAINER_METRICS = "/_localaws/endpoints/{endpoint}/metrics"


def environment(layout: Layout) -> dict[str, str]:
    """What the web server, the worker and `manage.py` run with.

    The user's own AWS settings are left out, so that no request reaches a real account, and so are
    Python settings that change what is imported. It has no secrets, only the names of their files.
    """
    return (
        _portal_settings(layout)
        | credentials.aws_addresses(layout)
        | {
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials.aws_credentials_file(layout)),
            "CONTAINER_METRICS_URL": f"{layout.localaws_url}{_CONTAINER_METRICS}",
        }
    )


def _portal_settings(layout: Layout) -> dict[str, str]:
    """The same without AWS: for beat and for what prepares the database."""
    allowed = [HOST, "localhost", *filter(None, [os.environ.get("ALLOWED_HOSTS")])]
    return (
        _caller_environment()
        | _minimal_environment()
        | {
            "CONTAINER_PYTHON": _CONTAINER_PYTHON,
            "SECRET_KEY_FILE": str(credentials.secret_key_file(layout)),
            "DATABASE_URL": f"sqlite:///{layout.local_dir / 'db.sqlite3'}",
            "REDIS_URL": layout.redis_url,
            "REDIS_PASSWORD_FILE": str(credentials.redis_password_file(layout)),
            "ALLOWED_HOSTS": ",".join(allowed),
            # Cookies are shared by all ports of a host, so each stack has its own names.
            "COOKIE_PREFIX": f"mme{layout.port}",
            "UPLOAD_TEMP_DIR": str(layout.local_dir / "tmp"),
            "JOURNAL_DIR": str(layout.local_dir / "journal"),
            "MODEL_BUCKET": BUCKET,
            "MODEL_PREFIX": "models",
            "CONTAINER_IMAGE": _IMAGE,
            "EXECUTION_ROLE_ARN": credentials.EXECUTION_ROLE,
            "PREFLIGHT_COMMAND": shlex.join(
                [_CONTAINER_PYTHON, str(ROOT / "container" / "preflight.py")]
            ),
            "PACK_ZOO_COMMAND": shlex.join([_CONTAINER_PYTHON, str(ROOT / "demo" / "zoo.py")]),
            "SAMPLES_DIR": str(layout.local_dir / "demo" / "samples"),
            "DEMO_ARCHIVE": str(layout.local_dir / "demo" / "digits_v2.tar.gz"),
            # To try webhooks, one runs the receiver on the same machine.
            "PORTAL_URL": f"http://{HOST}:{layout.port}",
            "WEBHOOK_ALLOW_HTTP": os.environ.get("WEBHOOK_ALLOW_HTTP", "1"),
            "WEBHOOK_PRIVATE_NETWORKS": os.environ.get(
                "WEBHOOK_PRIVATE_NETWORKS", "127.0.0.0/8,::1/128"
            ),
            "TEST_SETS": os.environ.get("TEST_SETS", "1"),
            # A person reads it, though it passes through the supervisor and is no terminal.
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "console"),
            # For the Procfile.
            "WEB_BIND": f"{HOST}:{layout.port}",
        }
    )


def parts(layout: Layout, *, umask: int = 0o022, reloads: bool = False) -> list[Part]:
    """All parts that this start needs: what is installed, trained and uploaded is left out.

    ``umask`` is the caller's, for the virtual environments, which are not the stack's. With
    ``reloads`` the parts load changed code (`make dev`).
    """
    installs = [venv for venv in (venvs.PORTAL, venvs.CONTAINER) if not venv.is_current()]
    installed = tuple(f"install-{venv.name}" for venv in installs)
    found = [_install(venv, umask) for venv in installs]
    archives = [_class_archive(umask, installed)] if java.archive_is_to_be_made() else []
    found += archives
    seeded = layout.local_dir / "demo-seeded"
    found += _services(layout, installed, tuple(part.name for part in archives))
    if not seeded.exists():
        found += _demo(layout, seeded, installed)
    return [_reloading(part) for part in found] if reloads else found


#: The files whose change restarts a part.
_RELOAD_ON: dict[str, Callable[[Path], bool]] = {
    "migrate": reload.is_prepared,
    "s3": reload.is_s3,
    "localaws": reload.is_localaws,
    "worker": reload.is_portal,
    "beat": reload.is_portal,
    "web": reload.is_page,
}


def _reloading(part: Part) -> Part:
    """The part as `make dev` runs it."""
    if part.name == "web":
        # It checks the code, too.
        part = replace(part, environment=dict(part.environment) | {"DEBUG": "1"})
    return replace(part, reload_on=_RELOAD_ON.get(part.name))


def _install(venv: venvs.Venv, umask: int) -> Part:
    return Part(
        name=f"install-{venv.name}",
        step=_INSTALLING,
        command=venv.installing,
        # All of the caller's: pip may need the settings and credentials of an index.
        environment=venvs.clean_environment() | {"PYTHONUNBUFFERED": "1"},
        umask=umask,
        cwd=ROOT,
        once=True,
        ready_within_s=1800,
    )


def _class_archive(umask: int, installed: tuple[str, ...]) -> Part:
    return Part(
        name="class-archive",
        step=_INSTALLING,
        command=java.MAKING,
        environment=_caller_environment(),
        umask=umask,
        cwd=ROOT,
        after=installed,
        once=True,
        ready_within_s=300,
        # It ends the server that it has started.
        stop_within_s=8,
    )


def _services(layout: Layout, installed: tuple[str, ...], archived: tuple[str, ...]) -> list[Part]:
    credentials.admin_password(layout)
    portal, without_aws = environment(layout), _portal_settings(layout)
    procfile = read_procfile()
    database = Part(
        name="migrate",
        step=_DATABASE,
        command=[_PYTHON, "-m", "stack.database"],
        environment=without_aws
        | {
            "LOCAL_DIR": str(layout.local_dir),
            "ADMIN_USER": ADMIN,
            "ADMIN_PASSWORD_FILE": str(credentials.admin_password_file(layout)),
        },
        cwd=ROOT,
        after=installed,
        once=True,
        ready_within_s=120,
    )
    redis = Part(
        name="redis",
        step=_STARTING,
        command=_redis(layout),
        environment=_minimal_environment(),
        after=installed,
        ready=redis_answers(HOST, layout.redis_port),
        stop_within_s=1.5,
        ends_last=True,
    )
    s3 = Part(
        name="s3",
        step=_STARTING,
        command=_s3(layout),
        # Not as arguments, which every user of the machine can read.
        environment=_minimal_environment() | _keys(layout),
        cwd=ROOT,
        after=installed,
        # It sums and writes whole archives while others call models, and an archive can wait.
        nice=_S3_NICE,
        ready=http_ok(f"{layout.s3_url}/_localaws/health"),
        stop_within_s=1.5,
        ends_last=True,
    )
    localaws = Part(
        name="localaws",
        step=_STARTING,
        command=_localaws(layout),
        # It verifies signatures with the keys, and reads S3 with them.
        environment=_minimal_environment()
        | credentials.aws_environment(layout)
        | {"JAVA_HOME": str(java.JAVA_HOME)},
        cwd=ROOT,
        after=(*installed, *archived, "s3"),
        ready=http_ok(f"{layout.localaws_url}/_localaws/health"),
        # It ends its containers in order, within 12 s.
        stop_within_s=12,
    )
    worker = Part(
        name="worker",
        step=_STARTING,
        command=shell(procfile["worker"]),
        environment=portal | _prometheus(1),
        cwd=ROOT,
        # It works on its own: what is not there yet, it would tell of as a failure of AWS.
        after=(*installed, "migrate", "redis", "s3", "localaws"),
        ready=log_contains(" ready."),
        stop_within_s=8,
    )
    beat = Part(
        name="beat",
        step=_STARTING,
        command=shell(procfile["beat"]),
        environment=without_aws | _prometheus(2),
        cwd=ROOT,
        after=(*installed, "migrate", "redis"),
        ready=log_contains("beat: Starting"),
        stop_within_s=3,
    )
    web = Part(
        name="web",
        step=_STARTING,
        command=shell(procfile["web"]),
        environment=portal | _prometheus(0),
        cwd=ROOT,
        after=(*installed, "migrate", "redis", "s3", "localaws"),
        ready=http_ok(f"{layout.url}/healthz"),
        stop_within_s=8,
    )
    return [database, redis, s3, localaws, worker, beat, web]


def _prometheus(which: int) -> dict[str, str]:
    """Where a part has its page for Prometheus: PROMETHEUS_PORT for web, and the two after it."""
    text = os.environ.get("PROMETHEUS_PORT", "")
    if not text:
        return {"PROMETHEUS_BIND": ""}
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_534):
        raise StackError(f"PROMETHEUS_PORT must be a port below 65534, not {text!r}.")
    return {"PROMETHEUS_BIND": f"{HOST}:{int(text) + which}"}


def _demo(layout: Layout, seeded: Path, installed: tuple[str, ...]) -> list[Part]:
    folder = layout.local_dir / "demo"
    train = Part(
        name="train",
        step=_TRAINING,
        command=[_CONTAINER_PYTHON, "-m", "demo", "--out", str(folder)],
        environment=_minimal_environment(),
        cwd=ROOT,
        after=installed,
        once=True,
        ready_within_s=600,
        tells_progress=True,
    )
    everything = ("train", "redis", "s3", "localaws", "worker", "beat", "web")
    at = shlex.quote(str(folder))
    seed = Part(
        name="seed",
        step=_SEEDING,
        command=[
            *("sh", "-c"),
            f"{_PYTHON} manage.py seed_demo {at} --wait 500 && touch {shlex.quote(str(seeded))}",
        ],
        environment=environment(layout),
        cwd=ROOT,
        after=everything,
        once=True,
        ready_within_s=600,
        tells_progress=True,
    )
    return [train, seed]


def _redis(layout: Layout) -> list[str]:
    configuration = redis_config.write(
        layout.local_dir / "redis",
        password=credentials.redis_password_file(layout).read_text().strip(),
        host=HOST,
        port=layout.redis_port,
        keep_in=str(layout.local_dir / "redis"),
        # It would overwrite /proc/PID/environ, by which the stack finds its processes.
        set_proc_title="no",
    )
    return [str(_BIN / "redis-server"), str(configuration)]


def _keys(layout: Layout) -> dict[str, str]:
    access_key, secret_key = credentials.aws_keys(layout)
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}


def _s3(layout: Layout) -> list[str]:
    return [
        *(_PYTHON, "-m", "localaws.s3", "--data", str(layout.local_dir / "s3")),
        *("--host", HOST, "--port", str(layout.s3_port), "--region", REGION),
    ]


def _localaws(layout: Layout) -> list[str]:
    # Isolated (-I): no variable and no file in the working folder changes what it imports.
    entrypoint = str(ROOT / "container" / "dockerd-entrypoint.py")
    container = [_CONTAINER_PYTHON, "-I", entrypoint, "serve"]
    percent = os.environ.get("INSTANCE_MEMORY_PERCENT")
    return [
        *(_PYTHON, "-m", "localaws"),
        *("--host", HOST, "--port", str(layout.localaws_port)),
        *("--data", str(layout.local_dir / "localaws")),
        *("--prices", str(ROOT / "endpoints" / "prices.json")),
        *("--region", REGION),
        *("--s3-endpoint", layout.s3_url),
        *("--container-command", shlex.join(container)),
        # The portal reckons with the same (mmeportal/settings.py).
        *(("--type-memory", percent) if percent else ()),
    ]
