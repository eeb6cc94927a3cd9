"""Read settings from environment variables; an invalid one raises ImproperlyConfigured."""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from django.core.exceptions import ImproperlyConfigured


def env_str(name: str, default: str | None = None) -> str:
    """Return variable ``name``; without a default it must be set and not be empty."""
    value = os.environ.get(name)
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"Set the environment variable {name} (see docs/settings.md).")
    return default


def env_int(name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    """Return variable ``name`` as a whole number of at least ``least``, and at most ``most``."""
    text = env_str(name, str(default))
    try:
        value = int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.") from None
    if value < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {value}.")
    if most is not None and value > most:
        raise ImproperlyConfigured(f"{name} must be at most {most}, not {value}.")
    return value


def env_bool(name: str, *, default: bool = False) -> bool:
    """Return variable ``name`` as a truth value: 1/true/yes/on or 0/false/no/off."""
    text = env_str(name, "1" if default else "0").lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {text!r}.")


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """Return variable ``name``, which must be one of ``choices``."""
    value = env_str(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def require_disjoint(prefixes: dict[str, str]) -> None:
    """Raise unless each prefix of keys (by its variable) is set and none lies inside another."""
    for name, prefix in prefixes.items():
        if not prefix:
            raise ImproperlyConfigured(f"{name} must not be empty.")
        for other, around in prefixes.items():
            if other != name and f"{prefix}/".startswith(f"{around}/"):
                raise ImproperlyConfigured(
                    f"{name} ({prefix!r}) must not lie inside {other} ({around!r})."
                )


def env_address(name: str) -> str:
    """Return variable ``name``, an address and a port such as ``127.0.0.1:9464``; or nothing."""
    value = env_str(name, "")
    host, _, port = value.rpartition(":")
    if value and not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ImproperlyConfigured(f"{name} must be ADDRESS:PORT, not {value!r}.")
    return value


def env_template(name: str, part: str) -> str:
    """Return variable ``name``, an address of HTTP that has ``{part}`` in its path; or nothing."""
    value = env_str(name, "")
    whole = urlsplit(value)
    if value and not (
        whole.scheme in ("http", "https")
        and whole.hostname
        and whole.path.count(f"{{{part}}}") == 1
        and value.count("{") == value.count("}") == 1
    ):
        raise ImproperlyConfigured(f"{name} must be https://…/{{{part}}}/…, not {value!r}.")
    return value


def env_list(name: str, default: str = "") -> list[str]:
    """Return variable ``name`` split at commas, blanks dropped."""
    return [part.strip() for part in env_str(name, default or " ").split(",") if part.strip()]


def require_strong(name: str, secret: str) -> str:
    """Return ``secret`` if it has 32 characters, 5 different ones, and is not Django's default.

    Sessions are signed with it: whoever guesses it can be any user.
    """
    if len(secret) < 32 or len(set(secret)) < 5 or secret.startswith("django-insecure"):
        raise ImproperlyConfigured(
            f"{name} is too weak: take 32 random characters or more, e.g. of "
            "`python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`."
        )
    return secret


def env_secret(name: str, default: str | None = None) -> str:
    """Return variable ``name``, or the content of the file that ``NAME_FILE`` points at."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return env_str(name, default)
    try:
        value = Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error}.") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE={path} is empty.")
    return value


def url_with_password(url: str, password: str) -> str:
    """``url`` with ``password`` in it, unless that is empty."""
    if not password:
        return url
    parts = urlsplit(url)
    user = quote(parts.username or "", safe="")
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))
