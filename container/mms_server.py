"""The settings, folders, configuration and command line of the released Multi Model Server."""

import contextlib
import hashlib
import json
import os
import shlex
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sagemaker_inference.environment import Environment

from container import launcher, load_failure, memory, processors

CONTAINER = Path(__file__).resolve().parent
ENTRYPOINT = CONTAINER / "dockerd-entrypoint.py"
_ENVIRONMENT = CONTAINER / "environment.json"

MAX_PORT = 32766
"""MMS takes no higher port (its util/Connector.java)."""

MAX_SOCKET_PATH = 107
"""Bytes of a path of a Unix socket (unix(7))."""

# Netty's Unix sockets lie at TMPDIR/.mms.sock.9000.
MAX_SOCKET_FOLDER = 80

MODELS = "/opt/ml/models"
"""Where SageMaker puts models (DG/mms-container-apis)."""

# The JVM only passes bytes on, and is to start fast and stay small. UseContainerSupport stays on,
# so that the JVM sees the container's number of processors.
JVM_OPTIONS = (
    "-Xmx256m",
    "-Xms32m",
    "-Xss512k",
    "-XX:MaxDirectMemorySize=256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    # Log4j would start the JVM's management, which nobody asks.
    "-Dlog4j2.disable.jmx=true",
    # Chunks of 1 MB in Netty's pools in place of 16 MB for each thread.
    "-Dio.netty.allocator.maxOrder=7",
)

LOAD_TIMEOUT_SECONDS = 360
"""SageMaker gives a model 360 s to load (DG/invoke-multi-model-endpoint); MMS has one timeout for
loading and answering."""


@dataclass(frozen=True)
class Settings:
    """The settings of this server, read once from the environment by :func:`settings`."""

    home: Path
    tmp: Path
    host: str
    port: int
    socket: Path | None
    """The Unix socket to listen at in place of host and port."""
    models: Path
    """The folder that models may be loaded from."""
    workers: int
    timeout_seconds: int
    vmargs: tuple[str, ...]
    max_request_bytes: int
    die_with_parent: bool
    model_host: bool

    @property
    def address(self) -> str:
        """Where it listens: the path of a Unix socket, or HOST:PORT."""
        return str(self.socket) if self.socket is not None else f"{self.host}:{self.port}"

    @property
    def host_files(self) -> launcher.HostFiles:
        """Where the model host is reached."""
        return launcher.HostFiles(self.tmp)


def settings() -> Settings:
    """Read the environment. Raises ``ValueError`` with a sentence where a variable is wrong.

    The names that SageMaker sets are read by sagemaker-inference, so that they mean here what
    they mean in any other container of SageMaker's.
    """
    toolkit = Environment()
    home = Path(os.environ.get("MME_HOME") or Path(tempfile.gettempdir()) / "mme").absolute()
    port = _whole("SAGEMAKER_BIND_TO_PORT", toolkit.inference_http_port, 1, MAX_PORT)
    workers = _known("SAGEMAKER_MODEL_SERVER_WORKERS", toolkit.model_server_workers or "1")
    timeout = toolkit.model_server_timeout_seconds or LOAD_TIMEOUT_SECONDS
    # Workers read these; they are checked at the start.
    if limit := os.environ.get("MME_MEMORY_LIMIT_MB"):
        _known("MME_MEMORY_LIMIT_MB", limit)
    if (threads := os.environ.get("OMP_NUM_THREADS")) is not None:
        _known("OMP_NUM_THREADS", threads)
    # The toolkit's default vmargs switch UseContainerSupport off: only the user's own are used.
    vmargs = shlex.split(os.environ.get("SAGEMAKER_MODEL_SERVER_VMARGS", ""))
    return Settings(
        home=home,
        tmp=_socket_folder(home),
        host=os.environ.get("MME_BIND_HOST", "0.0.0.0"),  # noqa: S104 - inside the image
        port=port,
        socket=_socket("MME_BIND_SOCKET"),
        models=_absolute("MME_MODELS_DIR", os.environ.get("MME_MODELS_DIR") or MODELS),
        workers=workers,
        timeout_seconds=_known("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", str(timeout)),
        vmargs=(*JVM_OPTIONS, *vmargs),
        # SageMaker's own limit is 6,291,456 bytes; MMS's default is just above it.
        max_request_bytes=toolkit.max_request_size or 6_553_500,
        die_with_parent=os.environ.get("MME_DIE_WITH_PARENT") == "1",
        model_host=os.environ.get("MME_MODEL_HOST", "1") != "0",
    )


def _known(name: str, value: str) -> int:
    """A whole number in the range of environment.json, by which the portal checks it before."""
    taken = json.loads(_ENVIRONMENT.read_text(encoding="utf-8"))["taken"]
    low, high = taken[name]["whole"]
    return _whole(name, value, low, high)


def _whole(name: str, value: str, low: int, high: int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return number


def _absolute(name: str, value: str) -> Path:
    path = Path(value)
    # The path is written into files and command lines, in which some characters have a meaning.
    if not path.is_absolute() or ".." in path.parts or not value.isprintable() or "\\" in value:
        raise ValueError(f"{name} must be an absolute path without '..', not {value!r}.")
    return path


def _socket(name: str) -> Path | None:
    value = os.environ.get(name)
    if not value:
        return None
    path = _absolute(name, value)
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ValueError(f"{name} must have at most {MAX_SOCKET_PATH} bytes: {value!r} is longer.")
    return path


def _socket_folder(home: Path) -> Path:
    """The server's own temporary folder, short enough for the paths of its sockets.

    Where MME_HOME is too long, it is a folder below the system's temporary folder, named by a hash
    of MME_HOME, so that the next start cleans the same one.
    """
    folder = home / "tmp"
    if len(str(folder)) <= MAX_SOCKET_FOLDER:
        return folder
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"mme-{os.getuid()}-{digest}"


def prepare_folders(chosen: Settings) -> None:
    """Make the server's folders, and remove files of an earlier run from the temporary one.

    Raises ``ValueError`` where the temporary folder belongs to somebody else.
    """
    if chosen.socket is not None:
        _prepare_socket(chosen.socket)  # first: a start that is refused leaves no folders
    chosen.home.mkdir(parents=True, exist_ok=True)
    chosen.tmp.mkdir(mode=0o700, exist_ok=True)
    if chosen.tmp.stat().st_uid != os.getuid() or chosen.tmp.is_symlink():
        raise ValueError(f"{chosen.tmp} belongs to somebody else; set MME_HOME to a shorter path.")
    clear_leftovers(chosen)
    (chosen.home / "config.properties").write_text(config(chosen), encoding="utf-8")
    # MMS has one setting for its Python. It starts the workers of models with it, and once an hour
    # its own metrics script.
    launcher.write(
        chosen.home / "worker",
        chosen.host_files,
        python=sys.executable,
        entrypoint=ENTRYPOINT,
        with_host=chosen.model_host,
    )


def _prepare_socket(path: Path) -> None:
    """Make the folder of the socket, for our user alone, and remove a stale socket.

    The socket has no authentication, so the folder's permissions are its protection. Raises
    ``ValueError`` where others may enter the folder, or where a server answers at the socket.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.parent.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError(
            f"MME_BIND_SOCKET must lie in a folder for its user alone: chmod 700 {path.parent}"
        )
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise ValueError(f"Another server listens at {path}.")
        path.unlink(missing_ok=True)
    elif path.exists() or path.is_symlink():
        raise ValueError(f"MME_BIND_SOCKET must name a socket; {path} is something else.")


_LEFTOVERS = (
    ".mms.sock.",
    "libnetty",
    "host.",
    ".loading",
    "healthy",
    "draining",
    "busy",
    "sharing",
)
_PIPES = ("-stdout", "-stderr")  # plain files, where MMS opened one that was gone


def remove_runtime_files(chosen: Settings) -> None:
    """Remove the files of a running server, and its temporary folder where MME_HOME is too long."""
    clear_leftovers(chosen)
    if chosen.socket is not None and chosen.socket.is_socket():
        chosen.socket.unlink(missing_ok=True)
    if chosen.home not in chosen.tmp.parents:
        with contextlib.suppress(OSError):  # there is another file in it
            chosen.tmp.rmdir()


def clear_leftovers(chosen: Settings) -> None:
    """Remove sockets, pipes and unpacked libraries of a server that no longer runs."""
    for left in chosen.tmp.iterdir():
        if (
            left.is_socket()
            or left.is_fifo()
            or left.name.startswith(_LEFTOVERS)
            or left.name.endswith(_PIPES)
        ):
            left.unlink(missing_ok=True)


def config(chosen: Settings) -> str:
    """MMS's config.properties (its docs/configuration.md)."""
    scheme = "unix:" if chosen.socket is not None else "http://"
    address = scheme + chosen.address
    return "".join(
        f"{key}={value}\n"
        for key, value in {
            "inference_address": address,
            "management_address": address,
            "default_workers_per_model": chosen.workers,
            # In seconds. The other one, default_response_timeout, is in minutes.
            "default_response_timeout_seconds": chosen.timeout_seconds,
            "unregister_model_timeout": 30,
            "default_service_handler": f"{CONTAINER / 'model_handler.py'}:handle",
            # MMS waits for a model's process in a thread that serves a share of the connections:
            # with more threads, fewer calls wait for a load. They are started when needed.
            "number_of_netty_threads": 16,
            "decode_input_request": "false",
            "max_request_size": chosen.max_request_bytes,
            # Unix sockets need this, also those of the workers; it is MMS's default.
            "use_native_io": "true",
            "model_store": "/",  # plugin/Guard.java limits what may be loaded
            "load_models": "",
            "enable_envvars_config": "false",
            "preload_model": "false",
            "metric_time_interval": 3600,  # starts a Python, for metrics that nobody uses
        }.items()
    )


def worker_environment(chosen: Settings) -> dict[str, str]:
    """The variables that are added to the environment for the model host and the workers."""
    return {
        "TMPDIR": str(chosen.tmp),
        load_failure.ADDRESS: chosen.address,
        "MME_MODELS_DIR": str(chosen.models),
        **processors.environment(),
    }


def host_command(chosen: Settings, *, prepare_kernels: bool) -> list[str]:
    """The model host's command line."""
    further = ["--prepare-kernels"] if prepare_kernels else []
    return [sys.executable, "-I", str(ENTRYPOINT), "model-host", str(chosen.tmp), *further]


def class_archive() -> Path:
    """Where class_archive.py writes, and the JVM reads, the classes of this environment."""
    return Path(sys.prefix) / "mme-classes.jsa"


def command(chosen: Settings) -> list[str]:
    """The JVM's command line, as mms/model_server.py builds it.

    That module is not used because it starts nothing where it finds its process id in a file in
    TMPDIR; nor is sagemaker_inference.model_server, which writes /etc/sagemaker-mms.properties and
    does not start beside another MMS. Several servers must run on one machine.
    """
    import mms

    package = Path(mms.__file__).resolve().parent
    archive = class_archive()
    archived = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
    java_home = os.environ.get("JAVA_HOME")
    java = str(Path(java_home) / "bin" / "java") if java_home else "java"
    return [
        java,
        f"-Dmodel_server_home={package.parent}",
        f"-Djava.io.tmpdir={chosen.tmp}",
        f"-Dmme.healthy={chosen.tmp / 'healthy'}",
        f"-Dmme.models={chosen.models}",
        f"-Dmme.memory.limit={min(room.limit for room in memory.rooms())}",
        f"-Dlog4j.configurationFile=file://{CONTAINER / 'log4j2.xml'}",
        *archived,
        *chosen.vmargs,
        "-cp",
        # By name: the archive of the classes holds for one order of the jars.
        f"{package / 'frontend' / 'model-server.jar'}:{CONTAINER / 'plugin' / 'plugin.jar'}",
        "mme.Main",
        "--python",
        str(chosen.home / "worker"),
        "-f",
        str(chosen.home / "config.properties"),
        "-s",
        "/",
    ]
