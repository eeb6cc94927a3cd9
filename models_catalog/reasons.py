"""Why a version was rejected, and what its validation waits for: sentences by code.

A row keeps the code and its parameters (core/sentences.py), so that each reader has the sentence in
their own language. What the container found is told by what kind of fault it is, and quoted.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_noop as _

from core import sentences
from core.sentences import Sentence, plural

#: The kinds of faults that the container's preflight reports (container/preflight.py).
_KINDS: Final = {
    "not_gzip": _("The file is no gzip archive, or it is damaged."),
    "not_tar": _("What is inside is no tar archive, or it is damaged."),
    "too_large": _("The archive holds more than is allowed."),
    "too_many_files": _("The archive holds too many files."),
    "link_or_device": _("The archive holds a link or a device that is not accepted."),
    "unsafe_path": _("A file name in the archive is not accepted."),
    "missing_file": _("The archive does not hold the files of one network."),
    "bad_symbol": _("The network cannot be read."),
    "bad_params": _("The parameters do not fit the network, or cannot be read."),
    "bad_shapes": _("The input shape or the preprocessing does not fit the network."),
    "bad_labels": _("The labels do not fit the network, or cannot be read."),
    "load_failed": _("The model cannot be loaded."),
    "predict_failed": _("The model loads, but it does not answer."),
    "timeout": _("The validation took too long."),
    "out_of_memory": _("The validation needed more memory than is allowed."),
}

REASONS: Final[Mapping[str, sentences.Template]] = {
    **{f"rejected.{code}": text for code, text in _KINDS.items()},
    "rejected.other": _("The archive was not accepted."),
    "rejected.quoted": _("%(what)s The container says: “%(said)s”"),
    # Files of the network that are not where they are wanted.
    "rejected.missing": plural(
        "A file is missing at the top of the archive: %(files)s.",
        "%(n)s files are missing at the top of the archive: %(files)s.",
        "n",
    ),
    "rejected.names_differ": _("Found %(files)s, but the names must agree with %(symbol)s."),
    "rejected.in_a_folder": _("Found %(file)s in a folder; pack with: %(command)s"),
    "rejected.elsewhere": _("Found %(files)s: all files must lie in one folder."),
    "rejected.two_networks": _(
        "The archive holds more than one network (%(files)s). One archive holds one network."
    ),
    "rejected.two_folders": _(
        "There are networks in several folders (%(folders)s). One archive holds one network. Pack "
        "one of them with: %(command)s"
    ),
    # What the portal itself found.
    "rejected.not_staged": _("The uploaded file is no longer in staging. Upload it again."),
    "rejected.staged_differs": _(
        "The staged file is not the one that was uploaded: its SHA-256 differs. Upload it again."
    ),
    "rejected.changed": _("The packed file was changed while the network was loaded."),
    "rejected.key_taken": _(
        "Another object is at %(uri)s already; keys are never overwritten. Upload the archive "
        "again: it will get the next number."
    ),
    "rejected.timed_out": _("The model did not load and answer within %(seconds)s s."),
    "rejected.memory": _(
        "The system ended the validation: the model needs more memory or processor time than it "
        "was given (%(megabytes)s MB)."
    ),
    "rejected.crashed": _("Loading the model crashed the process (signal %(signal)s)."),
    "rejected.too_much_to_say": _(
        "What there is to say of this archive is more than 16 MB: its labels are too many or too "
        "long."
    ),
    "rejected.gave_up": _(
        "The validation could not be done in %(attempts)s attempts (%(problem)s). Ask an admin to "
        "look at the worker's log, then upload the archive again."
    ),
    "rejected.not_canonical": _(
        "It is not packed as the portal packs what is served, so other programs could read other "
        "files in it. The object stays where it is; the portal can make a canonical copy of it."
    ),
    "rejected.found_gone": _("There is no object at %(uri)s any more."),
    "rejected.found_changed": _(
        "The object at %(uri)s was changed while it was validated. Delete this model, and import "
        "it again."
    ),
    "rejected.copy_source_gone": _(
        "The archive of %(source)s is not in the store any more, so it could not be copied."
    ),
    "rejected.copy_differs": _(
        "The archive of %(source)s in the store is not the one that was published: its SHA-256 "
        "differs. The copy was deleted."
    ),
    "rejected.copy_key_taken": _(
        "Another object is at %(uri)s already; keys are never overwritten. Nothing was copied."
    ),
    "rejected.copy_gave_up": _(
        "The copy could not be made in %(attempts)s attempts (%(problem)s). Ask an admin to look "
        "at the worker's log, then delete this model and copy again."
    ),
    "copy.again": _("The copy could not be made; trying again shortly. %(problem)s"),
    "validation.worker_ended": _("each time the worker came to its end"),
    "validation.originals_in_store": _("ORIGINALS_PREFIX lies inside the store %(store)s."),
    "validation.again": _("The validation could not be done; trying again shortly. %(problem)s"),
    "validation.no_sandbox": _(
        "Waiting for an admin to repair the worker. %(problem)s See docs/aws.md."
    ),
}


def register() -> None:
    """Make the codes known, when Django starts."""
    sentences.register(REASONS)


def of_error(error: Mapping[str, Any]) -> Sentence:
    """The reason that a report gives for a refusal, which the preflight or the portal wrote."""
    if said := error.get("sentence"):  # of the portal (models_catalog/validation.py)
        return Sentence.from_json(said, str(error["message"]))
    found = _of_files(error.get("parameters") or {}) if error["code"] == "missing_file" else None
    if found is not None:
        return found
    code = f"rejected.{error['code']}" if error["code"] in _KINDS else "rejected.other"
    return Sentence("rejected.quoted", what=Sentence(code), said=str(error["message"]))


def _of_files(told: Mapping[str, Any]) -> Sentence | None:
    """What the container says of files (container/network_files.py); None for anything else."""
    if folders := _names(told, "folders"):
        command = str(told.get("command", ""))
        return Sentence("rejected.two_folders", folders=", ".join(folders), command=command)
    if networks := _names(told, "networks"):
        return Sentence("rejected.two_networks", files=", ".join(networks))
    missing = _names(told, "missing")
    if not missing:
        return None
    said = Sentence("rejected.missing", n=len(missing), files=", ".join(missing))
    found = _names(told, "found")
    if others := _names(told, "others"):
        symbol = str(told.get("beside", "")) or "NAME-symbol.json"
        said += Sentence("rejected.names_differ", files=", ".join(others), symbol=symbol)
    if found and told.get("command"):
        said += Sentence("rejected.in_a_folder", file=found[0], command=str(told["command"]))
    elif found:
        said += Sentence("rejected.elsewhere", files=", ".join(found))
    return said


def _names(told: Mapping[str, Any], key: str) -> list[str]:
    value = told.get(key)
    return [str(one) for one in value] if isinstance(value, list) else []
