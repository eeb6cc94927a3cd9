"""``python -m localaws``: SageMaker multi-model hosting on this machine."""

import argparse
import errno
import logging
import shlex
import signal
import sys
import threading
from pathlib import Path

from .faults import BadPlan
from .server import LocalAws, preload
from .settings import Settings
from .store import FolderInUse

_DESCRIPTION = """\
A SageMaker for multi-model endpoints on one machine, for any AWS client: boto3, the AWS
CLI, the SageMaker SDK. It offers SageMaker's control plane for models, endpoint
configurations and endpoints, and InvokeEndpoint, which runs real containers; STS, ECR,
CloudWatch, Logs and the rest are moto's. S3 is another server (--s3-endpoint), whose
credentials it takes from the AWS_* environment variables.

Point a client at it with AWS_ENDPOINT_URL=http://HOST:PORT. Requests need no particular
credentials: bind it to loopback only. docs/localaws.md is its manual."""


def main(arguments: list[str] | None = None) -> int:
    settings = _settings(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    preload()
    try:
        local = LocalAws(settings)
    except (BadPlan, FolderInUse) as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    ending = threading.Thread(target=local.end_instances, name="ending")

    def on_signal(number: int, frame: object) -> None:
        if ending.ident is not None:
            return
        # Containers end while waitress, on SystemExit, waits some seconds for open requests.
        ending.start()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    url = f"http://{settings.host}:{settings.port}"
    try:
        local.serve(on_ready=lambda: logging.info("localaws serves at %s", url))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            print(
                f"localaws: port {settings.port} is taken; choose another with --port.",
                file=sys.stderr,
            )
            return 1
        raise
    except SystemExit:
        pass
    finally:
        if ending.ident is not None:
            ending.join()
        local.stop()
    return 0


def _settings(arguments: list[str] | None) -> Settings:
    defaults = Settings(data=Path(), container_command=())
    parser = argparse.ArgumentParser(
        prog="python -m localaws",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def option(name: str, help_text: str, kind: type = str, metavar: str | None = None) -> None:
        default = getattr(defaults, name)
        shown = "" if default is None else f" (default {default})"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=kind,
            default=default,
            metavar=metavar,
            help=help_text + shown,
        )

    parser.add_argument("--data", type=Path, required=True, help="folder for all that it keeps")
    parser.add_argument(
        "--container-command",
        default="",
        help='what starts one container as a process, e.g. "python entrypoint.py serve"',
    )
    parser.add_argument(
        "--container-engine",
        default="",
        help="docker or podman: run the Image of the model, in place of --container-command",
    )
    option("host", "address to bind to; keep it on loopback")
    option("port", "port to bind to", int)
    option("region", "region in ARNs and for S3")
    option("account", "account number in ARNs")
    option("s3_endpoint", "URL of the S3 server; without it, boto3's own configuration")
    option("threads", "requests answered at a time", int)
    option("max_instances", "real containers a variant, whatever count is asked for", int)
    option("memory_mb", "memory of an instance, passed on as MME_MEMORY_LIMIT_MB", int)
    option("disk_mb", "disk of an instance for unpacked models", int)
    option("create_seconds", "least seconds that creating an endpoint takes", float)
    option("update_seconds", "least seconds that updating an endpoint takes", float)
    option("delete_seconds", "least seconds that deleting an endpoint takes", float)
    option("metrics_seconds", "seconds between measurements of each instance", float)
    option("faults", "file with a fault plan, see docs/localaws.md", Path)
    option("startup_timeout", "seconds within which a container must be healthy", float)
    option("invocation_timeout", "seconds a caller waits for a model and its answer", float)
    option("load_timeout", "seconds that loading a model may take", float)
    given = vars(parser.parse_args(arguments))
    for name in ("container_command", "container_engine"):
        given[name] = tuple(shlex.split(given[name]))
    if bool(given["container_command"]) == bool(given["container_engine"]):
        parser.error("give either --container-command or --container-engine")
    given["data"] = given["data"].resolve()
    return Settings(**given)


if __name__ == "__main__":
    sys.exit(main())
