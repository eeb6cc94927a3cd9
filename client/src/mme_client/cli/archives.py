"""``mme push``, ``models``, ``show`` and ``download``."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mme_client.cli.config import uploads_file
from mme_client.cli.running import WrongUse, running
from mme_client.cli.terminal import Terminal, at, ms, say, size
from mme_client.cli.words import _
from mme_client.models import name_of, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mme_client.cli.hashing import Hashing
    from mme_client.portal import Portal
    from mme_client.records import Version

STDIN = "-"
#: States of versions whose bytes need not be pushed again.
_THERE = ("uploaded", "checking", "ready", "retired")


def push(
    archive: str,
    *,
    hashing: Hashing | None,
    model: str,
    note: str,
    description: str,
    meta: list[str],
    store: str,
    again: bool,
    wait: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """Upload an archive, unless the portal has it; with ``wait``, wait for its validation.

    ``hashing``: of the archive's file, where it is one.
    """
    metadata = metadata_of(meta)
    with _file(archive) as path:
        file_name = "" if archive == STDIN else path.name
        model = model or name_of(file_name)
        if not model:
            raise WrongUse(_("Say which model it is: --model NAME."))
        with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
            sha256 = sha256_of(path) if hashing is None else hashing.hexdigest()
            version = None if again else _known(portal, model, sha256, store)
            if version is not None:
                said = _("These bytes are there already: {name}. --again sends them all the same.")
                terminal.note(said.format(name=version.name))
                if note or metadata:
                    said = _("Its note and metadata stay as they are: mme describe {name}")
                    terminal.note(said.format(name=version.name))
            else:
                version = _pushed(
                    portal, terminal, path, model, note, description, metadata, store, file_name,
                    sha256,
                )  # fmt: skip
            if wait:
                version = _validated(terminal, version)
            if json:
                terminal.document(version.document)
            elif quiet:
                terminal.line(version.name)
            else:
                terminal.line(f"{version.name}  {state(version)}")


@contextlib.contextmanager
def _file(archive: str) -> Iterator[Path]:
    """The archive as a file: it is read twice, for its hash and to be sent."""
    if archive != STDIN:
        yield Path(archive)
        return
    with tempfile.TemporaryDirectory(prefix="mme-") as folder:
        path = Path(folder) / "archive.tar.gz"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        yield path


def _known(portal: Portal, model: str, sha256: str, store: str) -> Version | None:
    """A version of these bytes that the portal has; one of this model before others.

    Where a store is asked for, one in another store does not count.
    """
    found = [one for one in portal.models.find(sha256) if one.state in _THERE]
    if store:
        found = [one for one in found if portal.models.get(one.model).store == store]
    found.sort(key=lambda one: (one.model != model, -one.number))
    return found[0] if found else None


def _pushed(
    portal: Portal,
    terminal: Terminal,
    path: Path,
    model: str,
    note: str,
    description: str,
    metadata: dict[str, str],
    store: str,
    file_name: str,
    sha256: str,
) -> Version:
    cut = _(
        "The upload was cut off. Run the same command again: what arrived of a large file is kept "
        "for a day."
    )
    name = file_name or f"{model}.tar.gz"
    with terminal.goes_on(cut), terminal.progress(name) as progress:
        version = portal.models.push(
            path, model, note=note, description=description, metadata=metadata, store=store,
            file_name=name, progress=progress, kept=uploads_file(), sha256=sha256,
        )  # fmt: skip
    terminal.note(
        _("Uploaded as {name} ({size}).").format(name=version.name, size=size(version.size))
    )
    return version


def metadata_of(given: list[str]) -> dict[str, str]:
    """Metadata of what was given as ``accuracy=0.93`` each."""
    found = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign or not key or not value:
            raise WrongUse(_("Write it as --meta accuracy=0.93."))
        found[key] = value
    return found


def _validated(terminal: Terminal, version: Version) -> Version:
    goes_on = _("Its validation goes on in the portal. See: mme show {name}")
    with terminal.goes_on(goes_on.format(name=version.name)), terminal.steps() as step:
        return version.wait(seen=lambda now: step(now.step or ("" if now.settled else state(now))))


def state(version: Version) -> str:
    """A version's state in words."""
    return {
        "uploaded": _("waits for its validation"),
        "checking": _("is being validated"),
        "ready": _("ready"),
        "rejected": _("rejected"),
        "retired": _("retired"),
        "deleting": _("is being deleted"),
        "copying": _("is being copied"),
        "deleted": _("deleted"),
    }.get(version.state, version.state)


def models(
    search: str,
    *,
    state: str = "",
    alias: str = "",
    tags: Sequence[str] = (),
    owner: str = "",
    store: str = "",
    called_in: int | None = None,
    never_called: bool = False,
    sort: str = "",
    best: str = "",
    least: str = "",
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """The registered models, or those that a search and filters find."""
    if called_in is not None and never_called:
        raise WrongUse(_("Give one of --called-in and --never-called."))
    orders = [sort, f"meta.{best}" if best else "", f"least.{least}" if least else ""]
    if sum(bool(one) for one in orders) > 1:
        raise WrongUse(_("Give one of --sort, --best and --least."))
    sort = "".join(orders)
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        found = list(
            portal.models.list(
                search=search,
                state=state,
                alias=alias,
                tags=tags,
                owner=owner,
                store=store,
                called_in_days=called_in,
                never_called=never_called,
                sort=sort,
            )
        )
        headings = (
            _("model"),
            _("versions"),
            _("newest ready"),
            *([found[0].best.key] if found and found[0].best else []),
            _("aliases"),
            _("tags"),
            _("owner"),
            _("size"),
            _("uploaded"),
            _("last call"),
        )
        rows = [
            (
                one.name,
                str(one.versions),
                f"{one.name}:{one.latest.number}" if one.latest else "",
                *([f"{one.best.value:g} ({one.name}:{one.best.number})"] if one.best else []),
                ", ".join(f"{alias.name}:{alias.number}" for alias in one.aliases),
                ", ".join(one.tags),
                one.owner or "",
                size(one.latest.size) if one.latest else "",
                at(one.latest.created_at) if one.latest else "",
                at(one.last_call_at) if one.last_call_at else "",
            )
            for one in found
        ]
        terminal.listed(found, headings, rows, names=[one.name for one in found])


def show(name: str, *, json: bool, quiet: bool, timeout: float | None) -> None:
    """A version with all that is known of it; of a model its versions."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        if ":" in name:
            version = portal.models.version(name)
            if json:
                terminal.document(version.document)
            elif quiet:
                terminal.line(version.state)
            else:
                _show_version(terminal, version)
            return
        model = portal.models.get(name)
        versions = list(portal.models.versions(name))
        if json:
            items = [one.document for one in versions]
            terminal.document({**model.document, "items": items})
            return
        if quiet:
            for one in versions:
                terminal.line(one.name)
            return
        terminal.line(model.name)
        if model.description:
            terminal.line(model.description)
        terminal.fields([(_("tags"), ", ".join(model.tags)), (_("owner"), model.owner or "")])
        headings = (_("version"), _("state"), _("size"), _("uploaded"), _("by"), _("note"))
        rows = [
            (one.name, state(one), size(one.size), at(one.created_at), one.created_by or "",
             one.note or one.reason or "")
            for one in versions
        ]  # fmt: skip
        terminal.table(headings, rows)


def _drift(version: Version) -> str:
    words = {"gone": _("missing"), "changed": _("another object than was published")}
    return words.get(version.drift or "", "")


def _show_version(terminal: Terminal, version: Version) -> None:
    found = version.validation
    rows = [
        (_("version"), version.name),
        (_("state"), state(version)),
        (_("step"), version.step),
        (_("reason"), version.reason or ""),
        (_("note"), version.note),
        *((key, str(value)) for key, value in version.metadata.items()),
        (_("uploaded"), " ".join(filter(None, (at(version.created_at), version.created_by)))),
        (_("file"), f"{version.file_name} ({size(version.size)})"),
        ("SHA-256", version.sha256),
        (_("target model"), version.target_model),
        (_("served from"), version.uri),
        (_("copy of"), version.copied_from or ""),
        (_("in the store"), _drift(version)),
        (_("input"), version.input_shape),
        (_("parameters"), f"{version.parameters:,}" if version.parameters else ""),
    ]
    if found is not None:
        rows += [
            (_("load"), ms(found.load_ms)),
            (_("first call"), ms(found.first_ms)),
            (_("warm call"), ms(found.warm_ms)),
            (_("memory"), size(found.memory_bytes)),
        ]
    same = ", ".join(f"{twin.model}:{twin.number}" for twin in version.same_as)
    terminal.fields([*rows, (_("same as"), same)])


def download(
    name: str,
    *,
    to: str,
    original: bool,
    force: bool,
    json: bool,
    quiet: bool,
    timeout: float | None,
) -> None:
    """The archive of a version, as it is served or as it was uploaded, into a file."""
    with running(json=json, quiet=quiet, timeout=timeout) as (portal, terminal):
        version = portal.models.version(name)
        if to == STDIN:
            if json:
                raise WrongUse(_("With -o - the archive itself is the output."))
            with terminal.progress(name) as progress:
                portal.models.download(
                    name, sys.stdout.buffer, original=original, progress=progress
                )
            sys.stdout.buffer.flush()
            return
        served = version.target_model.rpartition("/")[2]
        named = version.file_name if original else served
        # Only the name: a portal that one was led to chooses no folder.
        path = Path(to or Path(named).name or f"{version.model}_v{version.number}.tar.gz")
        if path.is_dir():
            path /= Path(named).name
        if path.exists() and not force:
            raise FileExistsError(17, _("it is there already; --force replaces it"), str(path))
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as file, terminal.progress(path.name) as progress:
                sha256 = portal.models.download(name, file, original=original, progress=progress)
            temporary.replace(path)
        except OSError as error:
            if error.filename == str(temporary):  # which nobody has asked for
                error.filename = str(path if path.parent.is_dir() else path.parent)
            raise
        finally:
            temporary.unlink(missing_ok=True)
        if json:
            terminal.document({**version.document, "path": str(path), "downloaded_sha256": sha256})
        else:
            terminal.line(str(path))


def say_refused(version: Version) -> None:
    """Why a validation refused a version."""
    say(_("{name} was refused.").format(name=version.name))
    if version.reason:
        say(version.reason)
