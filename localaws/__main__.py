"""``python -m localaws``: SageMaker multi-model hosting on this machine."""

import argparse
import errno
import logging
import math
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .faults import InvalidFaultPlan
from .guard import InvalidHostName
from .keys import KeysMissing
from .options import Options
from .pricing import PricesUnreadable
from .resource_store import FolderUnusable
from .server import LocalAws, preload

_DESCRIPTION = """\
A SageMaker for multi-model endpoints on one machine, for any AWS client: boto3, the AWS
CLI, the SageMaker SDK. It offers SageMaker's control plane for models, endpoint
configurations and endpoints, and InvokeEndpoint, which runs real containers; STS, ECR,
CloudWatch, Logs and the rest are moto's, as far as moto has them. S3 is another server
(--s3-endpoint), whose credentials it takes from the AWS_* environment variables.

Point a client at it with AWS_ENDPOINT_URL=http://HOST:PORT and AWS_ENDPOINT_URL_S3. Requests
must be signed with the same AWS_* keys, or with those of a session of its own STS; bind it to
loopback only. docs/localaws.md is its manual."""

_EXAMPLE = """\
example:
  python -m localaws --data ./localaws-data --s3-endpoint http://127.0.0.1:9000 \\
      --container-command ".venv-container/bin/python -I container/dockerd-entrypoint.py serve"

What is loaded where: GET /_localaws/endpoints/NAME; is it up: GET /_localaws/health; inject
faults: PUT /_localaws/faults. SIGTERM or Ctrl-C ends it and its containers;
endpoints are back in service after the next start with the same --data."""


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    preload()
    try:
        local = LocalAws(options)
    except (
        InvalidHostName,
        InvalidFaultPlan,
        PricesUnreadable,
        FolderUnusable,
        KeysMissing,
    ) as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    if not options.verify_signatures:
        logging.warning(
            "SIGNATURES ARE NOT VERIFIED (--no-signatures): every program and every user of this "
            "machine may create endpoints and call them."
        )
    _raise_open_files()
    ending = threading.Thread(target=local.end_instances, name="ending")

    def on_signal(_number: int, _frame: object) -> None:
        if ending.ident is not None:
            return
        # In a thread of its own: on SystemExit waitress waits some seconds for open requests.
        ending.start()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    url = f"http://{options.host}:{options.port}"
    try:
        local.serve(on_ready=lambda: logging.info("localaws serves at %s", url))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            print(
                f"localaws: port {options.port} is taken; choose another with --port.",
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


def _options(arguments: list[str] | None) -> Options:
    defaults = Options(data=Path(), container_command=())
    parser = argparse.ArgumentParser(
        prog="python -m localaws",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def option(name: str, help_text: str, kind: Callable[[str], object] = str) -> None:
        default = getattr(defaults, name)
        shown = "" if default is None else f" (default {default})"
        parser.add_argument(
            "--" + name.replace("_", "-"), type=kind, default=default, help=help_text + shown
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
    count, least, seconds = _number(int, 1), _number(float, 0), _number(float, 0.1)
    option("host", "address to bind to; keep it on loopback")
    option("port", "port to bind to", _number(int, 1, 65_535))
    parser.add_argument(
        "--answer-to",
        metavar="NAMES",
        default=os.environ.get("LOCALAWS_ANSWER_TO", ""),
        help="further names or addresses, with commas between, that requests may have in Host, "
        "NAME:PORT where the port is another (default $LOCALAWS_ANSWER_TO)",
    )
    option("keys_file", "file with keys that requests may be signed with, a line ID SECRET", Path)
    parser.add_argument(
        "--no-signatures",
        dest="verify_signatures",
        action="store_false",
        help="verify no signatures: everybody who reaches the port may do everything",
    )
    option(
        "region",
        "the region that is served; elsewhere there is nothing",
        _text("[a-z]{2}(-[a-z]+)+-[0-9]+"),
    )
    option("account", "account number in ARNs", _text("[0-9]{12}"))
    option(
        "s3_endpoint",
        "URL of the S3 server; without it, boto3's own configuration",
        _text("https?://[^/]+/?"),
    )
    option("threads", "requests answered at a time", _number(int, 4))
    option("max_instances", "the most real containers of a variant", count)
    option("quota", "the most instances of each type in the account, by Service Quotas", count)
    option("prices", "file with the prices of instance types, for the price list", Path)
    option("memory_mb", "memory of an instance, passed on as MME_MEMORY_LIMIT_MB", count)
    option("type_memory", "percent of its type's memory that an instance has, in its place", count)
    option("disk_mb", "disk of an instance for unpacked models", count)
    option("create_seconds", "least seconds that creating an endpoint takes", least)
    option("update_seconds", "least seconds that updating an endpoint takes", least)
    option("delete_seconds", "least seconds that deleting an endpoint takes", least)
    option("metrics_seconds", "seconds between measurements of each instance", seconds)
    option("faults", "file with a fault plan, see docs/localaws.md", Path)
    option("startup_timeout", "seconds within which a container must be healthy", seconds)
    option(
        "invocation_timeout",
        "seconds a caller waits for a model and its answer",
        seconds,
    )
    option("load_timeout", "seconds that loading a model may take", seconds)
    given = vars(parser.parse_args(arguments))
    for name in ("container_command", "container_engine"):
        given[name] = tuple(shlex.split(given[name]))
    if bool(given["container_command"]) == bool(given["container_engine"]):
        parser.error("give either --container-command or --container-engine")
    given["answer_to"] = tuple(filter(None, re.split(r"[,\s]+", given["answer_to"])))
    engine = given["container_engine"]
    if engine and shutil.which(engine[0]) is None:
        parser.error(f"--container-engine: there is no program {engine[0]}")
    given["data"] = given["data"].resolve()
    return Options(**given)


def _raise_open_files() -> None:
    """Raise the limit of open files, for all connections, files and containers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _number(kind: type[int] | type[float], least: float, most: float = math.inf) -> Any:
    """An argparse type: a number within limits."""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if least <= value <= most and math.isfinite(value):
            return value
        what = "a whole number" if kind is int else "a number"
        limit = f"from {least} to {most}" if most < math.inf else f"of at least {least}"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} {limit}")

    return parse


def _text(pattern: str) -> Any:
    def parse(text: str) -> str:
        if re.fullmatch(pattern, text):
            return text
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form {pattern}")

    return parse


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Not sys.exit, which waits for the threads of pools: one that reads from an S3 server that
    # does not answer takes minutes. Everything that needs an orderly end has ended.
    os._exit(status)
