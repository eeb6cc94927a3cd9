"""Which portal, and with which token: from the environment, or as ``mme login`` kept it."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mme_client.cli import reasons
from mme_client.cli.words import _


@dataclass(frozen=True)
class Login:
    """A portal's address, and a token for it; either may be empty."""

    url: str
    token: str


class ConfigError(Exception):
    """What was kept cannot be used; its sentence says why."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


def file() -> Path:
    """Where ``mme login`` keeps address and token: below XDG_CONFIG_HOME."""
    base = os.environ.get("XDG_CONFIG_HOME")
    try:
        return Path(base or Path.home() / ".config") / "mme" / "login.json"
    except RuntimeError:  # of a user whom the system does not know, as in containers
        raise ConfigError(Path("~"), _("There is no home. Set HOME or XDG_CONFIG_HOME.")) from None


def uploads_file() -> Path | None:
    """Where ``mme push`` keeps the addresses of unfinished uploads: below XDG_STATE_HOME.

    None: nowhere, as there is no home.
    """
    base = os.environ.get("XDG_STATE_HOME")
    try:
        return Path(base or Path.home() / ".local" / "state") / "mme" / "uploads.json"
    except RuntimeError:
        return None


def load() -> Login:
    """MME_URL and MME_TOKEN where they are set, else what was kept.

    A kept token goes to the portal alone that it was kept for.
    """
    url, token = os.environ.get("MME_URL", ""), os.environ.get("MME_TOKEN", "")
    if url and token:
        return Login(url, token)
    kept = kept_login()
    if not url:
        return Login(kept.url, token or kept.token)
    return Login(url, kept.token if url.rstrip("/") == kept.url else "")


def kept_login() -> Login:
    """What ``mme login`` kept; raises ConfigError where others could have read or changed it."""
    path = file()
    try:
        with path.open(encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise ConfigError(path, _("Others may read it: chmod 600 {path}").format(path=path))
            kept = json.load(opened)
        return Login(str(kept["url"]), str(kept["token"]))
    except (FileNotFoundError, NotADirectoryError):
        return Login("", "")
    except OSError as error:
        raise ConfigError(path, reasons.of_file(error)) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            path, _("It is not as mme login wrote it. Write it anew: mme login URL.")
        ) from None


def keep(login: Login) -> Path:
    """Write address and token, for the user alone."""
    path = file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump({"url": login.url, "token": login.token}, opened)
        opened.write("\n")
    temporary.replace(path)
    return path


def address(text: str) -> str:
    """The address that somebody typed: https where no scheme is, but for this machine."""
    text = text.strip().rstrip("/")
    if "://" not in text:
        text = f"{'http' if is_loopback(host_of(f'//{text}')) else 'https'}://{text}"
    return text


def host_of(url: str) -> str:
    """The host of an address; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # http://[::1
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    return host in ("localhost", "::1") or host.startswith("127.")
