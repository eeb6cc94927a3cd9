"""The command line of ``mme``: its commands, their options and their help.

What a command does is in the other modules, which are imported when it runs: the help of a
command needs none of them.
"""

import enum
import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from mme_client.cli import reasons
from mme_client.cli.words import _

F = TypeVar("F", bound=Callable[..., None])
#: What Typer itself says in a help.
_OWN = {
    "Usage:": _("Usage:"),
    "Arguments:": _("Arguments:"),
    "Options:": _("Options:"),
    "Commands:": _("Commands:"),
    "[required]": _("[required]"),
    "Show this message and exit.": _("Show this message and exit."),
}
_EXAMPLE = _("Example:")
#: More characters than the sentence of a command has.
_WHOLE = 1000


def _headed(text: str) -> str:
    """A help text with Typer's own headings in the language of the locale."""
    lines = []
    for line in text.splitlines():
        for english, own in _OWN.items():
            if line.lstrip().startswith(english) or line.endswith(english):
                line = line.replace(english, own, 1)
        lines.append(line)
    return "\n".join(lines)


#: A value in the help, by what Typer calls its type in Python.
_TYPES = re.compile(r" <(?P<number>(int|float)( range)?)>| <(?P<text>str)>")


def _plain(parameter: Any) -> Any:
    """A parameter as the documents write it: NAME, [MODEL], --top N; Typer has Python types."""
    record, pieces = parameter.get_help_record, parameter.get_usage_pieces

    def help_record(ctx: Any) -> tuple[str, str] | None:
        found = record(ctx)
        if found is None:
            return None
        name, said = found
        if parameter.param_type_name == "argument":
            return name.partition(" <")[0], said
        return _TYPES.sub(lambda one: " N" if one["number"] else " TEXT", name), said

    def usage_pieces(ctx: Any) -> list[str]:
        if parameter.param_type_name != "argument":
            return list(pieces(ctx))
        name = parameter.metavar or parameter.name.upper()
        if not parameter.required and not name.startswith("["):
            name = f"[{name}]"
        more = parameter.nargs != 1 and "..." not in name
        return [f"{name}..." if more else name]

    parameter.get_help_record, parameter.get_usage_pieces = help_record, usage_pieces
    return parameter


class Command(TyperCommand):
    """A command whose help is in the language of the locale."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params = [_plain(one) for one in self.params]

    def get_help(self, ctx: Any) -> str:
        """The help."""
        return _headed(super().get_help(ctx))


class Group(TyperGroup):
    """Commands in the order in which they stand here; the help as a command's."""

    def get_help(self, ctx: Any) -> str:
        """The help."""
        return _headed(super().get_help(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, each with its whole sentence: Click cuts it at the end of a line."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, one) for name, one in found if one is not None and not one.hidden]
        if shown:
            with formatter.section("Commands"):
                formatter.write_dl([(name, one.get_short_help_str(_WHOLE)) for name, one in shown])

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, as they stand here."""
        return list(self.commands)


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would take a tenth of a second
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=_("MME Portal from the command line: push models, deploy endpoints, call models."),
    epilog=_(
        "Which portal, and who calls: mme login, or MME_URL and MME_TOKEN. Exit codes: 0 done, "
        "1 failed, 2 wrong use, 3 not found, 4 not allowed, 5 refused artifact, 6 timed out, "
        "7 portal unreachable. mme --version says the versions of both ends."
    ),
)
uploads = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("Your uploads that are not complete."),
    epilog=f"\b\n{_EXAMPLE}\n  mme uploads\n  mme uploads cancel mGqzTB4q0VnZ",
)
comparisons = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("Comparisons of answers: list, look at, stop, delete them."),
    epilog=f"\b\n{_EXAMPLE}\n  mme comparisons\n  mme comparisons show 0123456789abcdef",
)
calls = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("The calls of all people: list them, repeat one, forget a picture."),
    epilog=f"\b\n{_EXAMPLE}\n  mme calls --endpoint demo --by me --slower-than 1000\n"
    "  mme calls repeat 0123456789abcdef0123456789abcdef",
)
alarms = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("What watches an endpoint in CloudWatch: list, make, test, delete alarms."),
    epilog=f"\b\n{_EXAMPLE}\n  mme alarms list demo\n"
    "  mme alarms create demo p99 --threshold 1500 --minutes 5 --wait",
)
cost = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("What the instances of a month cost, and will have cost at its end."),
    epilog=f"\b\n{_EXAMPLE}\n  mme cost --by owner\n  mme cost --by day --month 2026-11 --csv",
)
stores = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("The stores, where published archives lie: list, add, test, retire them."),
    epilog=f"\b\n{_EXAMPLE}\n  mme stores\n  mme stores test default",
)
groups = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("Groups of people, whom a store is shown to: list, make, fill, delete; for admins."),
    epilog=f"\b\n{_EXAMPLE}\n  mme groups\n  mme groups put team-a ann bob",
)
tokens = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("Make, list and revoke tokens."),
)

webhooks = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("Tell other programs what happens, and see what they answered; for admins."),
)

changing = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    help=_("Change a living endpoint, and go back to what it was."),
)

Json = Annotated[bool, typer.Option("--json", help=_("Print what the API answers, as JSON."))]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help=_("Print the bare result: no progress, no hints."))
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        help=_("Give up after so many seconds, with exit code 6."),
        show_default=False,
    ),
]

_END = _(
    "When the portal tears it down: 2026-12-24T18:00 on your clock or with a zone, a date "
    "(its beginning, 00:00), or from now: 90m, 8h, 3d."
)
OneVersion = Annotated[str, typer.Argument(metavar="VERSION", help=_("As digits:2."))]
Yes = Annotated[bool, typer.Option("--yes", help=_("Do not ask for its name."))]
UntilGone = Annotated[bool, typer.Option("--wait", help=_("Wait until it is gone."))]
Plan = Annotated[
    bool,
    typer.Option(
        "--plan",
        help=_("Only print the calls that it would make in AWS, and the cost; with -q as Python."),
    ),
]


def _command(group: typer.Typer, name: str, help: str, *examples: str) -> Callable[[F], F]:
    """Register a command, with its examples."""
    lines = "\n".join(f"  {one}" for one in examples)
    return group.command(name, cls=Command, help=help, epilog=f"\b\n{_EXAMPLE}\n{lines}")


@_command(
    app, "login", _("Keep a portal's address and a token, for the commands after this one."),
    "mme login https://portal.example.com",
)  # fmt: skip
def login(
    url: Annotated[
        str, typer.Argument(metavar="[URL]", help=_("The portal's address."), show_default=False)
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            "--token",
            metavar="-",
            help=_("Read the token from standard input, and open no browser."),
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import account

    account.login(url, token, json=json, quiet=quiet, timeout=timeout)


@_command(app, "whoami", _("Who calls, and what they may do."), "mme whoami")
def whoami(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import account

    account.whoami(json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "today", _("What needs somebody, what runs and costs, what was called."), "mme today"
)
def today(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import account

    account.today(json=json, quiet=quiet, timeout=timeout)


@_command(app, "status", _("How the portal stands."), "mme status --json")
def status(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import account

    account.status(json=json, quiet=quiet, timeout=timeout)


NewStore = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="STORE",
        help=_("Where a new model goes, for good; by default the store of the portal's settings."),
        show_default=False,
    ),
]


@_command(
    app, "push", _("Upload an archive as the next version of a model, which is made if need be."),
    "mme push digits_v3.tar.gz --note 'more data' --meta accuracy=0.93 --wait",
    "tar -C model -cz . | mme push - --model digits",
)  # fmt: skip
def push(
    archive: Annotated[
        str,
        typer.Argument(metavar="ARCHIVE", help=_("A .tar.gz file; - is standard input.")),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help=_("The model; by default the file's name without _v3.tar.gz."),
            show_default=False,
        ),
    ] = "",
    note: Annotated[
        str,
        typer.Option("--note", metavar="TEXT", help=_("What is new in it."), show_default=False),
    ] = "",
    description: Annotated[
        str,
        typer.Option(
            "--description",
            metavar="TEXT",
            help=_("What the model is for, where this makes it."),
            show_default=False,
        ),
    ] = "",
    meta: Annotated[
        list[str] | None,
        typer.Option(
            "--meta",
            metavar="KEY=VALUE",
            help=_("What is known of it, such as accuracy=0.93; as often as needed."),
            show_default=False,
        ),
    ] = None,
    store: NewStore = "",
    again: Annotated[
        bool, typer.Option("--again", help=_("Also where the portal has these bytes already."))
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help=_("Wait for its validation, and show its steps."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli.hashing import Hashing

    hashing = None if archive == "-" else Hashing(archive)  # while the rest is imported
    from mme_client.cli import archives

    archives.push(
        archive, hashing=hashing, model=model, note=note, description=description, meta=meta or [],
        store=store, again=again, wait=wait, json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(app, "models", _("The registered models."), "mme models --search digits")
def models(
    search: Annotated[
        str,
        typer.Option(
            "--search",
            metavar="TEXT",
            help=_("Only those that have these words somewhere."),
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import archives

    archives.models(search, json=json, quiet=quiet, timeout=timeout)


class ModelState(enum.StrEnum):
    """The state of a model's newest version."""

    READY = "ready"
    VALIDATING = "validating"
    REJECTED = "rejected"
    RETIRED = "retired"
    NONE = "none"


class ModelOrder(enum.StrEnum):
    """What models are sorted by."""

    UPLOADED = "uploaded"
    NAME = "name"
    CALLED = "called"
    SIZE = "size"


@_command(
    app, "search", _("Find models by words, a checksum, tags, an owner, an alias or their calls."),
    "mme search 'digits blurred'",
    "mme search --never-called --sort size",
    "mme search --tag vision --best accuracy",
)  # fmt: skip
def search(
    text: Annotated[
        str,
        typer.Argument(
            metavar="[TEXT]",
            help=_(
                "Words that are each in a name, description, tag, alias, note, file name or "
                "person; or the beginning of a SHA-256."
            ),
            show_default=False,
        ),
    ] = "",
    state: Annotated[
        ModelState | None,
        typer.Option("--state", help=_("The state of the newest version."), show_default=False),
    ] = None,
    alias: Annotated[
        str,
        typer.Option(
            "--alias", metavar="NAME", help=_("Only those with this alias."), show_default=False
        ),
    ] = "",
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            help=_("Only those with this tag; as often as needed."),
            show_default=False,
        ),
    ] = None,
    owner: Annotated[
        str,
        typer.Option(
            "--owner", metavar="USER", help=_("Only those of this owner."), show_default=False
        ),
    ] = "",
    store: Annotated[
        str,
        typer.Option(
            "--store", metavar="STORE", help=_("Only those in this store."), show_default=False
        ),
    ] = "",
    called_in: Annotated[
        int | None,
        typer.Option(
            "--called-in",
            metavar="DAYS",
            min=1,
            help=_("Only those that were called in so many days."),
            show_default=False,
        ),
    ] = None,
    never_called: Annotated[
        bool, typer.Option("--never-called", help=_("Only those that were never called."))
    ] = False,
    sort: Annotated[
        ModelOrder | None,
        typer.Option("--sort", help=_("The latest upload comes first."), show_default=False),
    ] = None,
    best: Annotated[
        str,
        typer.Option(
            "--best",
            metavar="KEY",
            help=_("By this metadata of their ready versions, the largest first."),
            show_default=False,
        ),
    ] = "",
    least: Annotated[
        str,
        typer.Option(
            "--least",
            metavar="KEY",
            help=_("By this metadata of their ready versions, the smallest first."),
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import archives

    archives.models(
        text, state=state or "", alias=alias, tags=tags or [], owner=owner, store=store,
        called_in=called_in, never_called=never_called, sort=sort or "", best=best, least=least,
        json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "show", _("A model with its versions, or one version with all that is known of it."),
    "mme show digits:2 --json",
)  # fmt: skip
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_("digits, or digits:2."))],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import archives

    archives.show(name, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "describe", _("Change what is said of a model, or of a version."),
    "mme describe digits --tag vision --untag old --owner kim",
    "mme describe digits --description README.md",
    "mme describe digits:2 --meta accuracy=0.95 --unset epoch --note 'more data'",
)  # fmt: skip
def describe(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=_("A model: digits; or a version: digits:2."))
    ],
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help=_("Add this tag; as often as needed."), show_default=False
        ),
    ] = None,
    untag: Annotated[
        list[str] | None,
        typer.Option(
            "--untag",
            metavar="TAG",
            help=_("Remove this tag; as often as needed."),
            show_default=False,
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner",
            metavar="USER",
            help=_("Who answers for it; empty: who made it."),
            show_default=False,
        ),
    ] = None,
    description: Annotated[
        str,
        typer.Option(
            "--description",
            metavar="FILE",
            help=_("A file in Markdown that says what it is for; - is standard input."),
            show_default=False,
        ),
    ] = "",
    meta: Annotated[
        list[str] | None,
        typer.Option(
            "--meta",
            metavar="KEY=VALUE",
            help=_("What is known of a version, such as accuracy=0.93; as often as needed."),
            show_default=False,
        ),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset",
            metavar="KEY",
            help=_("Remove this metadata of a version; as often as needed."),
            show_default=False,
        ),
    ] = None,
    note: Annotated[
        str | None,
        typer.Option(
            "--note", metavar="TEXT", help=_("The note of a version."), show_default=False
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import describing

    describing.describe(
        name, tag=tag or [], untag=untag or [], owner=owner, description=description,
        meta=meta or [], unset=unset or [], note=note, json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "compare", _("Two versions beside each other, and where they differ."),
    "mme compare digits:1 digits:2",
    "mme compare digits:2 digits@live --all",
    "mme compare digits:1 digits:2 --answers --endpoint demo",
    "mme compare digits:2 --alone --endpoint demo --pictures pictures --truth folder",
)  # fmt: skip
def compare(
    one: Annotated[str, typer.Argument(metavar="VERSION", help=_("A version: digits:2."))],
    other: Annotated[
        str,
        typer.Argument(
            metavar="[OTHER]",
            help=_("digits:1, digits@live or digits; by default the version before."),
            show_default=False,
        ),
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help=_("Also what is the same of both."))
    ] = False,
    answers: Annotated[
        bool,
        typer.Option(
            "--answers", help=_("Call both with the same pictures, and compare their answers.")
        ),
    ] = False,
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="NAME",
            help=_("For --answers: an endpoint that serves both."),
            show_default=False,
        ),
    ] = "",
    pictures: Annotated[
        str,
        typer.Option(
            "--pictures",
            metavar="WHICH",
            help=_("For --answers: all, test-set, samples, or a folder of your own pictures."),
        ),
    ] = "all",
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            metavar="FILE",
            help=_(
                "A CSV file of names and right labels; or folder: a picture's folder is its label."
            ),
            show_default=False,
        ),
    ] = "",
    alone: Annotated[
        bool, typer.Option("--alone", help=_("For --answers: call this version alone."))
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help=_("For --answers: print a CSV file."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import comparing

    if answers or endpoint or csv or alone:
        comparing.answers(
            one, other, alone=alone, endpoint=endpoint, pictures=pictures, truth=truth,
            everything=everything, csv=csv, json=json, quiet=quiet, timeout=timeout,
        )  # fmt: skip
        return
    comparing.compare(one, other, everything=everything, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "download", _("Download the archive of a version, as it is served."),
    "mme download digits:2 -o digits.tar.gz",
)  # fmt: skip
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_("A version: digits:2."))],
    to: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=_("Where to; - is standard output. By default a file of the archive's name."),
            show_default=False,
        ),
    ] = "",
    original: Annotated[
        bool, typer.Option("--original", help=_("The bytes as they were uploaded."))
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help=_("Replace a file that is there."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import archives

    archives.download(
        name, to=to, original=original, force=force, json=json, quiet=quiet, timeout=timeout
    )


@_command(
    app, "alias", _("Point an alias of a model at a version, or look where it points."),
    "mme alias digits@production 2 --reason 'better on blurred digits'",
    "mme alias digits@live --rollback",
)  # fmt: skip
def alias(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help=_("digits@production; digits alone lists its aliases.")
        ),
    ],
    number: Annotated[
        int | None,
        typer.Argument(metavar="[NUMBER]", min=1, help=_("The version."), show_default=False),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="TEXT",
            help=_("Why; a protected alias takes one."),
            show_default=False,
        ),
    ] = "",
    if_now: Annotated[
        int | None,
        typer.Option(
            "--if-now",
            metavar="NUMBER",
            min=1,
            help=_("Only where it points at this version now."),
            show_default=False,
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help=_("Point it at the version before."))
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help=_("Delete it; its history stays."))
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help=_("What was done with it, by whom and why."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import naming

    naming.alias(
        name, number, reason=reason, if_now=if_now, rollback=rollback, remove=remove,
        history=history, json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "copy", _("Copy a version under other names, within the store; done when all are ready."),
    "mme copy squeezenet:1 --to 'demo/squeezenet_{n}' --times 10",
)  # fmt: skip
def copy(
    name: OneVersion,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="KEY",
            help=_(
                "Where to, below the store's prefix, without .tar.gz; {n} is 1, 2, 3, and the last "
                "part the model's name."
            ),
            show_default=False,
        ),
    ],
    times: Annotated[
        int, typer.Option("--times", metavar="N", min=1, max=100, help=_("How many copies."))
    ] = 1,
    preview: Annotated[
        bool, typer.Option("--preview", help=_("Show names, keys and conflicts; make nothing."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import copying

    copying.copy(name, to=to, times=times, preview=preview, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "import",
    _("Validate and register what lies in the store already and the portal does not know."),
    "mme import --preview",
    "mme import --wait",
)  # fmt: skip
def import_(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...",
            help=_("Keys below the store's prefix; by default all that can be imported."),
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="STORE",
            help=_("Where they lie; by default the store of the portal's settings."),
            show_default=False,
        ),
    ] = "",
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help=_("Show what was found, and why what cannot be imported; change nothing."),
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Wait until all are validated."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import importing

    importing.import_(
        keys or [], store=store, preview=preview, wait=wait, json=json, quiet=quiet,
        timeout=timeout,
    )  # fmt: skip


@_command(
    app, "repack", _("Make a canonical copy of an archive that was refused as it was found."),
    "mme repack digits:1 --wait",
)  # fmt: skip
def repack(
    name: OneVersion,
    wait: Annotated[
        bool, typer.Option("--wait", help=_("Wait for its validation, and show its steps."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import importing

    importing.repack(name, wait=wait, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "retire", _("Offer and call a version nowhere any more; its archive stays."),
    "mme retire digits:1",
)  # fmt: skip
def retire(
    name: OneVersion,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import retiring

    retiring.retire(name, json=json, quiet=quiet, timeout=timeout)


@_command(app, "restore", _("Make a retired version ready again."), "mme restore digits:1")
def restore(
    name: OneVersion,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import retiring

    retiring.restore(name, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "delete", _("Delete the archive of a version; its record and checksums stay."),
    "mme delete digits:1 --yes --wait",
)  # fmt: skip
def delete(
    name: OneVersion,
    yes: Yes = False,
    wait: UntilGone = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import retiring

    retiring.delete(name, yes=yes, wait=wait, json=json, quiet=quiet, timeout=timeout)


Variant = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="NAME=TYPE:COUNT:WEIGHT",
        help=_(
            "In place of type and count: all variants, two at most. COUNT and WEIGHT are 1 where "
            "they are left out."
        ),
        show_default=False,
    ),
]
Reason = Annotated[
    str,
    typer.Option(
        "--reason", metavar="TEXT", help=_("Why; the history keeps it."), show_default=False
    ),
]


class Purpose(enum.StrEnum):
    """What a new endpoint is for."""

    TRY = "try"
    PRODUCTION = "production"


Image = Annotated[
    str,
    typer.Option(
        "--image", metavar="URI", help=_("The container image; for admins."), show_default=False
    ),
]
Role = Annotated[
    str,
    typer.Option(
        "--role",
        metavar="ARN",
        help=_("The execution role of the containers; for admins."),
        show_default=False,
    ),
]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help=_("Whether models stay in memory after their calls."),
        show_default=False,
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help=_("A variable of the container; NAME alone takes it out. Can be repeated."),
        show_default=False,
    ),
]
StartupTimeout = Annotated[
    int | None,
    typer.Option(
        "--startup-timeout",
        metavar="SECONDS",
        help=_("Until a container must be healthy, 60 to 3600; 0: AWS's preset."),
        show_default=False,
    ),
]
DownloadTimeout = Annotated[
    int | None,
    typer.Option(
        "--download-timeout",
        metavar="SECONDS",
        help=_("For a model from S3, 60 to 3600; 0: AWS's preset."),
        show_default=False,
    ),
]
Volume = Annotated[
    int | None,
    typer.Option(
        "--volume",
        metavar="GB",
        help=_("The volume of each instance; 0: AWS's preset."),
        show_default=False,
    ),
]
Subnet = Annotated[
    list[str] | None,
    typer.Option(
        "--subnet",
        metavar="ID",
        help=_("A subnet of your VPC; can be repeated; empty: no VPC."),
        show_default=False,
    ),
]
SecurityGroup = Annotated[
    list[str] | None,
    typer.Option(
        "--security-group",
        metavar="ID",
        help=_("A security group of your VPC; can be repeated; empty: no VPC."),
        show_default=False,
    ),
]
KmsKey = Annotated[
    str | None,
    typer.Option(
        "--kms-key",
        metavar="KEY",
        help=_("It encrypts the volume: an id, an ARN or an alias; empty: none."),
        show_default=False,
    ),
]
Capture = Annotated[
    int | None,
    typer.Option(
        "--capture",
        metavar="PERCENT",
        min=0,
        max=100,
        help=_("Keep so many calls of a hundred in S3, with their answers; 0: none."),
        show_default=False,
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="KEY=VALUE",
        help=_("A tag for AWS's bill; KEY alone takes it out. Can be repeated."),
        show_default=False,
    ),
]
Idle = Annotated[
    int | None,
    typer.Option(
        "--idle",
        metavar="HOURS",
        min=0,
        help=_("The portal tears it down after so many hours without a call; 0: never."),
        show_default=False,
    ),
]
Owner = Annotated[
    str,
    typer.Option(
        "--owner",
        metavar="USER",
        help=_("Who answers for its cost; by default who creates it."),
        show_default=False,
    ),
]


@_command(
    app, "deploy", _("Create an endpoint."),
    "mme deploy demo --type ml.m5.large --count 1 --wait",
    "mme deploy demo --variant large=ml.m5.xlarge:1:9 --variant small=ml.m5.large:1:1",
    "mme deploy demo --expires 3d --idle 12",
    "mme deploy demo --preset production --env OMP_NUM_THREADS=2 --tag team=vision",
    "mme deploy demo --plan -q > plan.py",
)  # fmt: skip
def deploy(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_("The endpoint's name."))],
    instance_type: Annotated[
        str,
        typer.Option(
            "--type",
            metavar="TYPE",
            help=_("The instance type; by default the portal's."),
            show_default=False,
        ),
    ] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help=_("How many instances."), show_default=False),
    ] = None,
    variant: Variant = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="WHEN", help=_END, show_default=False)
    ] = None,
    idle: Idle = None,
    warm_aliases: Annotated[
        bool,
        typer.Option(
            "--warm-aliases",
            help=_("Once it serves, load the models that aliases point at; after changes, too."),
        ),
    ] = False,
    preset: Annotated[
        Purpose | None,
        typer.Option("--preset", help=_("What it is for: fills what is left out.")),
    ] = None,
    image: Image = "",
    role: Role = "",
    cache: Cache = None,
    env: Env = None,
    startup_timeout: StartupTimeout = None,
    download_timeout: DownloadTimeout = None,
    volume: Volume = None,
    subnet: Subnet = None,
    security_group: SecurityGroup = None,
    kms_key: KmsKey = None,
    capture: Capture = None,
    tag: Tag = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="STORE",
            help=_("Which it serves; by default the store of the portal's settings."),
            show_default=False,
        ),
    ] = "",
    owner: Owner = "",
    reason: Reason = "",
    plan: Plan = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Wait until it serves."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import choosing, serving

    options = choosing.options(
        cache=cache, env=env, startup_timeout=startup_timeout, download_timeout=download_timeout,
        volume=volume, subnet=subnet, security_group=security_group, kms_key=kms_key,
        capture=capture, tag=tag, is_new=True,
    )  # fmt: skip
    serving.deploy(
        name, instance_type=instance_type, instance_count=count, variants=variant or [],
        expires=expires, idle=idle, warm_aliases=warm_aliases,
        preset=preset.value if preset else "", image=image, role=role, options=options, store=store,
        owner=owner, reason=reason, plan=plan, wait=wait, json=json, quiet=quiet,
        timeout=timeout,
    )  # fmt: skip


@_command(
    app, "endpoints", _("The endpoints, or one with its resources."), "mme endpoints demo --json",
    "mme endpoints --others",
)  # fmt: skip
def endpoints(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help=_("The endpoint's name."), show_default=False),
    ] = "",
    gone: Annotated[
        bool, typer.Option("--gone", help=_("Those that were torn down, in place of the others."))
    ] = False,
    others: Annotated[
        bool,
        typer.Option(
            "--others",
            help=_("Those in the AWS account that are not the portal's, in their place."),
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help=_("Wait until it serves, or until it is gone."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.endpoints(
        name, gone=gone, others=others, wait=wait, json=json, quiet=quiet, timeout=timeout
    )


app.add_typer(changing, name="endpoint")

UntilSo = Annotated[bool, typer.Option("--wait", help=_("Wait until it is so."))]
EndpointName = Annotated[str, typer.Argument(metavar="NAME", help=_("The endpoint's name."))]


class MetricsRange(enum.StrEnum):
    """How far back metrics are shown."""

    HOUR = "1h"
    HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"
    WEEKS = "28d"


class Level(enum.StrEnum):
    """How bad a line of a log is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@_command(
    app,
    "logs",
    _("The log of an endpoint's containers."),
    "mme logs demo --since 1h --level warning",
    "mme logs demo --follow --model digits:2",
    "mme logs demo --request 0f6c8a4b51f04a3f9a5d0c2e7b1d9e34",
)
def logs(
    name: EndpointName,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help=_("Go on with what happens; Ctrl-C ends it."))
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="WHEN",
            help=_("From when on: 90m, 8h, 3d ago, or a time; of a --request from its call on."),
            show_default="1h",
        ),
    ] = "",
    search: Annotated[
        str,
        typer.Option(
            "--search", metavar="TEXT", help=_("A text that is in the line."), show_default=False
        ),
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="VERSION",
            help=_("Lines that name the model of this version, as digits:2."),
            show_default=False,
        ),
    ] = "",
    request: Annotated[
        str,
        typer.Option(
            "--request",
            metavar="ID",
            help=_("Lines that name this call: its id, or SageMaker's request ID."),
            show_default=False,
        ),
    ] = "",
    instance: Annotated[
        str,
        typer.Option("--instance", metavar="ID", help=_("Of one instance."), show_default=False),
    ] = "",
    level: Annotated[
        Level | None, typer.Option("--level", help=_("As bad as this, or worse."))
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import observing

    observing.logs(
        name,
        follow=follow,
        since=since,
        search=search,
        model=model,
        request=request,
        instance=instance,
        level=level.value if level is not None else "",
        json=json,
        quiet=quiet,
        timeout=timeout,
    )


@_command(
    app, "plan-capacity", _("Which instances would hold models under calls, at which cost."),
    "mme plan-capacity 'digits:*' --calls-per-hour 600 --draw zipf:1.1",
    "mme plan-capacity '*' --like demo --percent 2",
)  # fmt: skip
def plan_capacity(
    models: Annotated[
        str,
        typer.Argument(
            metavar="MODELS",
            help=_("*, digits:*, digits:1, digits@live; commas between."),
        ),
    ] = "*",
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="STORE",
            help=_("Where they lie; by default the store of the portal's settings."),
            show_default=False,
        ),
    ] = "",
    calls_per_hour: Annotated[
        float, typer.Option("--calls-per-hour", metavar="N", help=_("How many calls an hour."))
    ] = 600.0,
    draw: Annotated[
        str,
        typer.Option(
            "--draw",
            metavar="HOW",
            help=_("uniform, or zipf:1.1: what is named first is called most."),
        ),
    ] = "zipf:1.1",
    like: Annotated[
        str,
        typer.Option(
            "--like",
            metavar="ENDPOINT",
            help=_("As recorded on this endpoint lately, in place of the draw."),
            show_default=False,
        ),
    ] = "",
    percent: Annotated[
        float, typer.Option("--percent", metavar="P", help=_("So many calls may wait, in percent."))
    ] = 1.0,
    instances: Annotated[
        int, typer.Option("--instances", metavar="N", help=_("At most so many instances."))
    ] = 3,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import capacity

    capacity.plan(
        models,
        store=store,
        calls_per_hour=calls_per_hour,
        draw=draw,
        like=like,
        percent=percent,
        instances=instances,
        json=json,
        quiet=quiet,
        timeout=timeout,
    )


@_command(
    app,
    "metrics",
    _("What is measured of an endpoint: calls, errors, latency, cold starts, instances."),
    "mme metrics demo",
    "mme metrics demo --range 7d --csv > demo.csv",
)
def metrics(
    name: EndpointName,
    range: Annotated[
        MetricsRange, typer.Option("--range", help=_("How far back."))
    ] = MetricsRange.DAY,
    as_csv: Annotated[
        bool, typer.Option("--csv", help=_("Print a line for each time, as CSV."))
    ] = False,
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            metavar="NAME",
            help=_("Of which of its variants; by default the first."),
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import observing

    observing.metrics(
        name, range=range.value, variant=variant, as_csv=as_csv, json=json, quiet=quiet,
        timeout=timeout,
    )  # fmt: skip


UntilServing = Annotated[
    bool, typer.Option("--wait", help=_("Wait until it serves so; 1 where it was rolled back."))
]


@_command(
    changing, "update",
    _("Change its type, count, variants, image or options; it serves meanwhile."),
    "mme endpoint update demo --count 2 --type ml.m5.xlarge --wait",
    "mme endpoint update demo --variant AllTraffic=ml.m5.large:1:9 --variant new=ml.m5.xlarge:1:1",
    "mme endpoint update demo --env OMP_NUM_THREADS=2 --startup-timeout 600 --wait",
    "mme endpoint update demo --type ml.m5.xlarge --policy canary:10%:300s --alarm demo-errors",
    "mme endpoint update demo --store default --plan",
    "mme endpoint update demo --count 2 --plan",
)  # fmt: skip
def endpoint_update(
    name: EndpointName,
    instance_type: Annotated[
        str,
        typer.Option("--type", metavar="TYPE", help=_("The instance type."), show_default=False),
    ] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help=_("How many instances."), show_default=False),
    ] = None,
    variant: Variant = None,
    image: Image = "",
    role: Role = "",
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="STORE",
            help=_("Another store to serve; versions of the one before can be called no more."),
            show_default=False,
        ),
    ] = "",
    cache: Cache = None,
    env: Env = None,
    startup_timeout: StartupTimeout = None,
    download_timeout: DownloadTimeout = None,
    volume: Volume = None,
    subnet: Subnet = None,
    security_group: SecurityGroup = None,
    kms_key: KmsKey = None,
    capture: Capture = None,
    tag: Tag = None,
    owner: Owner = "",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help=_("How the calls move: canary:10%:300s, linear:20%:60s, rolling:50%:60s."),
            show_default=False,
        ),
    ] = "",
    alarm: Annotated[
        list[str] | None,
        typer.Option(
            "--alarm",
            metavar="NAME",
            help=_("An alarm of CloudWatch that sends all calls back; several times for several."),
            show_default=False,
        ),
    ] = None,
    reason: Reason = "",
    plan: Plan = False,
    wait: UntilServing = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import choosing, serving

    options = choosing.options(
        cache=cache, env=env, startup_timeout=startup_timeout, download_timeout=download_timeout,
        volume=volume, subnet=subnet, security_group=security_group, kms_key=kms_key,
        capture=capture, tag=tag,
    )  # fmt: skip
    serving.update(
        name, instance_type=instance_type, instance_count=count, variants=variant or [],
        image=image, role=role, store=store, options=options, owner=owner, policy=policy,
        alarms=alarm or [], reason=reason, plan=plan, wait=wait, json=json, quiet=quiet,
        timeout=timeout,
    )  # fmt: skip


@_command(
    changing, "weights", _("Share the calls among its variants; no instance is started."),
    "mme endpoint weights demo large=9 small=1 --wait",
    "mme endpoint weights demo small=0 --plan",
)  # fmt: skip
def endpoint_weights(
    name: EndpointName,
    weights: Annotated[
        list[str],
        typer.Argument(
            metavar="VARIANT=WEIGHT...",
            help=_("Who is not named keeps its weight; 9 and 1 are 90 % and 10 %."),
        ),
    ],
    reason: Reason = "",
    plan: Plan = False,
    wait: UntilServing = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import weighing

    weighing.weigh(
        name, weights, reason=reason, plan=plan, wait=wait, json=json, quiet=quiet,
        timeout=timeout,
    )  # fmt: skip


@_command(
    changing, "rollback", _("Make it again what it was in an earlier revision."),
    "mme endpoint rollback demo --revision 1 --wait",
    "mme endpoint rollback demo --revision 1 --plan",
)  # fmt: skip
def endpoint_rollback(
    name: EndpointName,
    revision: Annotated[
        int, typer.Option("--revision", min=1, help=_("Which, as mme endpoint revisions has it."))
    ],
    reason: Reason = "",
    plan: Plan = False,
    wait: UntilServing = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.rollback(
        name, revision, reason=reason, plan=plan, wait=wait, json=json, quiet=quiet,
        timeout=timeout,
    )  # fmt: skip


@_command(
    changing, "expire", _("Give it an end date or idle hours; the portal tears it down then."),
    "mme endpoint expire demo --at 2026-12-24T18:00",
    "mme endpoint expire demo --at 3d",
    "mme endpoint expire demo --never",
    "mme endpoint expire demo --idle 12",
)  # fmt: skip
def endpoint_expire(
    name: EndpointName,
    when: Annotated[
        str | None, typer.Option("--at", metavar="WHEN", help=_END, show_default=False)
    ] = None,
    never: Annotated[
        bool, typer.Option("--never", help=_("It has no end date; it is kept until a teardown."))
    ] = False,
    idle: Idle = None,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.expire(name, when=when, never=never, idle=idle, json=json, quiet=quiet, timeout=timeout)


@_command(
    changing, "scale", _("Have AWS change its number of instances with the calls; or no more."),
    "mme endpoint scale demo --min 1 --max 2 --target 50 --wait",
    "mme endpoint scale demo --min 1 --max 2 --target 50 --plan",
    "mme endpoint scale demo --min 1 --max 2 --target 50 --at 'mon-fri 08:00=2-2' "
    "--at 'mon-fri 19:00=1-2' --zone Asia/Seoul",
    "mme endpoint scale demo --off",
)  # fmt: skip
def endpoint_scale(
    name: EndpointName,
    least: Annotated[
        int | None,
        typer.Option("--min", min=1, help=_("The fewest instances."), show_default=False),
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", min=1, help=_("The most instances."), show_default=False)
    ] = None,
    target: Annotated[
        int | None,
        typer.Option(
            "--target",
            min=1,
            metavar="CALLS",
            help=_("Calls a minute that each instance is to have."),
            show_default=False,
        ),
    ] = None,
    in_cooldown: Annotated[
        int | None,
        typer.Option(
            "--in-cooldown",
            min=0,
            metavar="SECONDS",
            help=_("Pause after fewer instances; by default 300."),
            show_default=False,
        ),
    ] = None,
    out_cooldown: Annotated[
        int | None,
        typer.Option(
            "--out-cooldown",
            min=0,
            metavar="SECONDS",
            help=_("Pause after more instances; by default 300."),
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            metavar="TIME=MIN-MAX",
            help=_("Other limits from a time of the week on, as 'mon-fri 08:00=2-4'."),
            show_default=False,
        ),
    ] = None,
    zone: Annotated[
        str,
        typer.Option(
            "--zone", metavar="ZONE", help=_("Their time zone, as Asia/Seoul."), show_default=False
        ),
    ] = "",
    off: Annotated[
        bool, typer.Option("--off", help=_("Switch it off; the number of instances stays."))
    ] = False,
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import scaling

    scaling.scale(
        name, least=least, most=most, target=target, in_cooldown=in_cooldown,
        out_cooldown=out_cooldown, at=at or [], zone=zone, off=off, plan=plan, wait=wait,
        json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    changing, "thrash", _("Whether its models take turns in memory, and what would help."),
    "mme endpoint thrash demo",
)  # fmt: skip
def endpoint_thrash(
    name: EndpointName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import capacity

    capacity.thrash(name, json=json, quiet=quiet, timeout=timeout)


@_command(
    changing, "warm", _("Load models before somebody waits for them; or keep them warm."),
    "mme endpoint warm demo --models 'digits:*' --wait",
    "mme endpoint warm demo --models '@*' --every 10m",
    "mme endpoint warm demo --off",
)  # fmt: skip
def endpoint_warm(
    name: EndpointName,
    models: Annotated[
        str,
        typer.Option(
            "--models",
            metavar="MODELS",
            help=_("@* (what aliases point at), *, digits:*, digits@live; commas between."),
        ),
    ] = "@*",
    every: Annotated[
        str,
        typer.Option(
            "--every",
            metavar="TIME",
            help=_("Keep them warm: 10m, 2h or 1d between."),
            show_default=False,
        ),
    ] = "",
    after_change: Annotated[
        bool,
        typer.Option("--after-change", help=_("Warm them after each deploy and change.")),
    ] = False,
    off: Annotated[bool, typer.Option("--off", help=_("Keep nothing warm any more."))] = False,
    show: Annotated[
        bool, typer.Option("--show", help=_("Say what is kept warm, and warmed lately."))
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help=_("Call no further version of what is being warmed."))
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Wait until all are warmed."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import warming

    warming.warm(
        name,
        models=models,
        every=every,
        after_change=after_change,
        off=off,
        show=show,
        stop=stop,
        wait=wait,
        json=json,
        quiet=quiet,
        timeout=timeout,
    )


@_command(
    changing, "postpone", _("Move its end date a day later, or let it be idle for a day longer."),
    "mme endpoint postpone demo",
    "mme endpoint postpone demo --idle",
)  # fmt: skip
def endpoint_postpone(
    name: EndpointName,
    idle: Annotated[
        bool, typer.Option("--idle", help=_("Not the end date: it may be idle a day longer."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.postpone(name, idle=idle, json=json, quiet=quiet, timeout=timeout)


@_command(
    changing, "schedule", _("Give it working hours, outside of which it is paused; or none."),
    "mme endpoint schedule demo --hours 'mon-fri 08:00-19:00' --zone Asia/Seoul",
    "mme endpoint schedule demo --hours 'mon-fri 08:00-19:00' --zone Asia/Seoul --plan",
    "mme endpoint schedule demo --clear",
)  # fmt: skip
def endpoint_schedule(
    name: EndpointName,
    hours: Annotated[
        str | None,
        typer.Option(
            "--hours", metavar="TEXT", help=_("As 'mon-fri 08:00-19:00'."), show_default=False
        ),
    ] = None,
    zone: Annotated[
        str,
        typer.Option(
            "--zone", metavar="ZONE", help=_("Their time zone, as Asia/Seoul."), show_default=False
        ),
    ] = "",
    clear: Annotated[bool, typer.Option("--clear", help=_("It works always."))] = False,
    plan: Plan = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import pausing

    pausing.schedule(
        name,
        hours=hours,
        zone=zone,
        clear=clear,
        plan=plan,
        json=json,
        quiet=quiet,
        timeout=timeout,
    )


@_command(
    changing, "pause", _("Pause it now: no instance runs; its configuration stays."),
    "mme endpoint pause demo --wait",
    "mme endpoint pause demo --plan",
)  # fmt: skip
def endpoint_pause(
    name: EndpointName,
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import pausing

    pausing.pause(name, plan=plan, wait=wait, json=json, quiet=quiet, timeout=timeout)


@_command(
    changing, "resume", _("Resume it now: it is made again under its name."),
    "mme endpoint resume demo --wait",
    "mme endpoint resume demo --plan",
)  # fmt: skip
def endpoint_resume(
    name: EndpointName,
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import pausing

    pausing.resume(name, plan=plan, wait=wait, json=json, quiet=quiet, timeout=timeout)


@_command(
    changing, "extend", _("Keep it running two hours longer this once."),
    "mme endpoint extend demo",
    "mme endpoint extend demo --day",
)  # fmt: skip
def endpoint_extend(
    name: EndpointName,
    day: Annotated[bool, typer.Option("--day", help=_("A day longer."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import pausing

    pausing.extend(name, day=day, json=json, quiet=quiet, timeout=timeout)


@_command(
    changing, "accept", _("Want what somebody changed or deleted outside the portal."),
    "mme endpoint accept demo --reason 'load test' --wait",
    "mme endpoint accept demo --plan",
)  # fmt: skip
def endpoint_accept(
    name: EndpointName,
    reason: Reason = "",
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.accept(
        name, reason=reason, plan=plan, wait=wait, json=json, quiet=quiet, timeout=timeout
    )


@_command(
    changing, "put-back", _("Make it again as it is wanted, after it was changed outside."),
    "mme endpoint put-back demo --wait",
    "mme endpoint put-back demo --plan",
)  # fmt: skip
def endpoint_put_back(
    name: EndpointName,
    reason: Reason = "",
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.put_back(
        name, reason=reason, plan=plan, wait=wait, json=json, quiet=quiet, timeout=timeout
    )


@_command(
    changing, "revisions", _("What it was asked to be, and what came of it."),
    "mme endpoint revisions demo",
)  # fmt: skip
def endpoint_revisions(
    name: EndpointName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import serving

    serving.revisions(name, json=json, quiet=quiet, timeout=timeout)


@_command(
    app,
    "teardown",
    _("Tear endpoints down; the archives stay."),
    "mme teardown demo --yes --wait",
    "mme teardown demo other",
    "mme teardown demo --keep-model --plan",
    "mme teardown demo --undo",
)
def teardown(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help=_("The names of the endpoints."))
    ],
    keep_config: Annotated[
        bool,
        typer.Option("--keep-config", help=_("Its configuration stays, and the model it needs.")),
    ] = False,
    keep_model: Annotated[
        bool, typer.Option("--keep-model", help=_("Its SageMaker model stays."))
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help=_("Show what is deleted and what stays; do nothing."))
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help=_("Undo a teardown that has not begun."))
    ] = False,
    yes: Yes = False,
    wait: UntilGone = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.teardown(
        names, keep_config=keep_config, keep_model=keep_model, plan=plan, undo=undo, yes=yes,
        wait=wait, json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "images", _("The container images in ECR that an endpoint can be given; for admins."),
    "mme images",
)  # fmt: skip
def images(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import imaging

    imaging.images(json=json, quiet=quiet, timeout=timeout)


app.add_typer(alarms, name="alarms")

AlarmName = Annotated[
    str,
    typer.Argument(
        metavar="ALARM",
        help=_("5xx, p99, cache-hits, memory, no-calls; with several variants p99.VARIANT."),
    ),
]
Threshold = Annotated[
    int | None,
    typer.Option(
        "--threshold",
        min=1,
        help=_("When it goes off: failed calls, ms, or percent."),
        show_default=False,
    ),
]
Minutes = Annotated[
    int | None,
    typer.Option("--minutes", min=1, help=_("The time it looks at."), show_default=False),
]


@_command(
    alarms, "list", _("The alarms of an endpoint, with their states."), "mme alarms list demo"
)
def alarms_list(
    name: EndpointName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import alarming

    alarming.listing(name, json=json, quiet=quiet, timeout=timeout)


@_command(
    alarms, "create", _("Make an alarm, or have it go off at another time."),
    "mme alarms create demo p99 --threshold 1500 --minutes 5 --wait",
    "mme alarms create demo 5xx",
    "mme alarms create demo 5xx --plan",
)  # fmt: skip
def alarms_create(
    name: EndpointName,
    alarm: AlarmName,
    threshold: Threshold = None,
    minutes: Minutes = None,
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import alarming

    alarming.create(
        name, alarm, threshold=threshold, minutes=minutes, plan=plan, wait=wait, json=json,
        quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    alarms, "delete", _("Have an alarm deleted from CloudWatch."),
    "mme alarms delete demo p99 --wait",
    "mme alarms delete demo p99 --plan",
)  # fmt: skip
def alarms_delete(
    name: EndpointName,
    alarm: AlarmName,
    plan: Plan = False,
    wait: UntilSo = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import alarming

    alarming.delete(name, alarm, plan=plan, wait=wait, json=json, quiet=quiet, timeout=timeout)


@_command(alarms, "test", _("Send a test to who is told."), "mme alarms test demo p99")
def alarms_test(
    name: EndpointName,
    alarm: AlarmName,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import alarming

    alarming.send_test(name, alarm, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "orphans", _("What is in the AWS account and belongs to no endpoint."),
    "mme orphans",
    "mme orphans --all",
    "mme orphans --delete --yes --wait",
    "mme orphans --adopt demo",
)  # fmt: skip
def orphans(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]",
            help=_("Which to adopt or delete: names, or KIND/NAME; without, all of the portal's."),
            show_default=False,
        ),
    ] = None,
    others: Annotated[
        bool, typer.Option("--all", help=_("What others made, too; it goes by name alone."))
    ] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help=_("Make it the portal's own."))] = False,
    delete: Annotated[bool, typer.Option("--delete", help=_("Delete it; archives stay."))] = False,
    yes: Yes = False,
    wait: UntilGone = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import orphaned

    orphaned.orphans(
        names or [], others=others, adopt=adopt, delete=delete, yes=yes, wait=wait, json=json,
        quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "invoke", _("Call a model with pictures, and wait for the answers."),
    "mme invoke demo digits:2 7.png",
    "cat 7.png | mme invoke demo digits - --json",
    "mme invoke demo digits:2 7.png --variant AllTraffic",
    "mme invoke demo digits:2 rows.csv --raw --type text/csv --accept text/csv --headers",
    "mme invoke demo --models digits:1,digits@live *.png --csv",
    "mme invoke demo --models digits:1,digits:2 pictures/*/*.png --truth folder",
)  # fmt: skip
def invoke(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help=_("The endpoint's name."))],
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help=_(
                "digits:2, digits@production, or digits: its live version, else the newest. "
                "None with --models."
            ),
            show_default=False,
        ),
    ] = "",
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICTURE...",
            help=_("Files, or whatever the model takes; - is standard input."),
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            "--models",
            metavar="NAMES",
            help=_(
                "Up to six versions or aliases, as digits:1,digits@live: each is called with each "
                "picture."
            ),
            show_default=False,
        ),
    ] = "",
    csv: Annotated[
        bool, typer.Option("--csv", help=_("Print a CSV file: a line for each answer."))
    ] = False,
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            metavar="FILE",
            help=_(
                "A CSV file of names and right labels; or folder: a picture's folder is its label."
            ),
            show_default=False,
        ),
    ] = "",
    target: Annotated[
        bool, typer.Option("--target", help=_("MODEL is a target model: the key of an archive."))
    ] = False,
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            metavar="NAME",
            help=_("Which of the endpoint's variants is to answer; by default SageMaker chooses."),
            show_default=False,
        ),
    ] = "",
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            help=_("How many labels to print: 5, and 1 where there are several versions."),
            show_default=False,
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help=_("Print the container's own bytes."))] = False,
    content_type: Annotated[
        str,
        typer.Option(
            "--type",
            metavar="TYPE",
            help=_("With --raw: what is sent, as text/csv; without, by its bytes."),
            show_default=False,
        ),
    ] = "",
    accept: Annotated[
        str,
        typer.Option(
            "--accept",
            metavar="TYPE",
            help=_("With --raw: what the container is asked for, as text/csv."),
            show_default=False,
        ),
    ] = "",
    attributes: Annotated[
        str,
        typer.Option(
            "--attributes",
            metavar="TEXT",
            help=_("With --raw: SageMaker's custom attributes, for the container."),
            show_default=False,
        ),
    ] = "",
    headers: Annotated[
        bool, typer.Option("--headers", help=_("With --raw: the answer's headers, too, as notes."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import calling, many

    many.of_command_line(
        endpoint, model, pictures or [], models=models, csv=csv, truth=truth, target=target,
        variant=variant, top=top,
        raw=calling.RawOptions(raw, content_type, accept, attributes, headers),
        json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "experiment", _("Call versions many times, and count what comes of it."),
    "mme experiment demo --models 'digits:*' --calls 200 --callers 8 --draw zipf:1.1 --wait",
    "mme experiment demo --models 'demo-subfolder/*' --calls 100 --rate 20 --wait --json",
    "mme experiment demo --models digits:1,digits@live --plan",
    "mme experiment demo --models 'digits:*' --draw day:2026-11-27 --pictures mine/*.png",
)  # fmt: skip
def experiment(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help=_("The endpoint's name."))],
    *,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURE]...",
            help=_("Further pictures of your own, after that of --pictures."),
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            "--models",
            metavar="MODELS",
            help=_(
                "digits:* (all ready versions), digits:1, digits@live, target models below a "
                "prefix (demo-subfolder/*), or several with commas between."
            ),
            show_default=False,
        ),
    ],
    calls: Annotated[int, typer.Option("--calls", metavar="N", help=_("How many calls."))] = 100,
    callers: Annotated[
        int | None,
        typer.Option(
            "--callers",
            metavar="N",
            help=_("So many calls are under way at a time; 8 without a rate."),
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="R",
            help=_("Calls a second; the latency counts from the planned moment (open loop)."),
            show_default=False,
        ),
    ] = None,
    draw: Annotated[
        str,
        typer.Option(
            "--draw",
            metavar="HOW",
            help=_(
                "uniform; zipf:1.1: what is named first is called most; or day:2026-11-27: as the "
                "endpoint was called on that day (UTC)."
            ),
        ),
    ] = "uniform",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", help=_("The same seed draws the same calls."), show_default=False
        ),
    ] = None,
    pictures: Annotated[
        str,
        typer.Option(
            "--pictures",
            metavar="WHICH",
            help=_("samples, test-set, kept (of calls of the last day), or files or folders."),
        ),
    ] = "samples",
    name: Annotated[
        str,
        typer.Option("--name", metavar="TEXT", help=_("A name for it."), show_default=False),
    ] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help=_("Only say what it would call; nothing is called."))
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Wait until it has ended."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import experimenting

    experimenting.experiment(
        endpoint, models=models, calls=calls, callers=callers, rate=rate, draw=draw, seed=seed,
        pictures=pictures, files=files or [], name=name, plan=plan, wait=wait, json=json,
        quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    app, "experiments", _("The experiments, or one: look at it, name it, stop it."),
    "mme experiments --endpoint demo",
    "mme experiments 0123456789abcdef --beside nightly",
    "mme experiments 0123456789abcdef --stop",
)  # fmt: skip
def experiments(
    id: Annotated[
        str,
        typer.Argument(
            metavar="[ID]", help=_("Its id; by default all are listed."), show_default=False
        ),
    ] = "",
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint", metavar="NAME", help=_("Only those on this one."), show_default=False
        ),
    ] = "",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="TEXT", help=_("Give it this name."), show_default=False),
    ] = None,
    beside: Annotated[
        str,
        typer.Option(
            "--beside",
            metavar="OTHER",
            help=_("Print its figures beside those of this one: an id or a name."),
            show_default=False,
        ),
    ] = "",
    stop: Annotated[
        bool, typer.Option("--stop", help=_("Begin no further call; what was made is kept."))
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help=_("Print a CSV file: a line for each target."))
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Wait until it has ended."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import experimenting

    experimenting.experiments(
        id, endpoint=endpoint, name=name, beside=beside, stop=stop, csv=csv, wait=wait, json=json,
        quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(app, "events", _("Who did what, and when."), "mme events --follow --json")
def events(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help=_("Go on with what happens; Ctrl-C ends it."))
    ] = False,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=10_000, help=_("How many to begin with."))
    ] = 20,
    person: Annotated[
        str, typer.Option("--person", help=_("Who did it."), show_default=False)
    ] = "",
    kind: Annotated[
        str,
        typer.Option("--kind", help=_("The kind of thing: model, endpoint."), show_default=False),
    ] = "",
    subject: Annotated[
        str, typer.Option("--subject", help=_("The name of the thing."), show_default=False)
    ] = "",
    level: Annotated[
        str, typer.Option("--level", help=_("info, success, warning or error."), show_default=False)
    ] = "",
    channel: Annotated[
        str,
        typer.Option(
            "--channel", help=_("From where it was asked for: page, api, mme."), show_default=False
        ),
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help=_("Not before then, as 2026-01-31T00:00Z."),
            show_default=False,
        ),
    ] = "",
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="TIME", help=_("Before then, as --since."), show_default=False
        ),
    ] = "",
    request: Annotated[
        str,
        typer.Option(
            "--request", metavar="ID", help=_("Of the request with this id."), show_default=False
        ),
    ] = "",
    csv: Annotated[
        bool, typer.Option("--csv", help=_("Print a CSV file: a line for each event."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import serving

    serving.events(
        follow=follow, count=count, person=person, kind=kind, subject=subject, level=level,
        channel=channel, since=since, until=until, request=request, csv=csv, json=json,
        quiet=quiet, timeout=timeout,
    )  # fmt: skip


app.add_typer(tokens, name="token")


@_command(
    tokens, "create", _("Make a token, and print it: it is shown this once."),
    "mme token create nightly --scope read --scope invoke --days 7",
)  # fmt: skip
def token_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_("By which you know it again."))],
    scopes: Annotated[
        list[str],
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help=_("What it may do: read, upload, invoke, operate or admin; once for each."),
        ),
    ],
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, help=_("How long it counts."), show_default=False),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import account

    account.token_create(name, scopes, days, json=json, quiet=quiet, timeout=timeout)


@_command(tokens, "list", _("Your tokens."), "mme token list --all")
def token_list(
    all: Annotated[
        bool, typer.Option("--all", help=_("Also those that expired or were revoked."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import account

    account.token_list(all=all, json=json, quiet=quiet, timeout=timeout)


@_command(tokens, "revoke", _("Revoke one of your tokens."), "mme token revoke nightly")
def token_revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help=_("Its id or its name."))],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import account

    account.token_revoke(token, json=json, quiet=quiet, timeout=timeout)


app.add_typer(comparisons, name="comparisons")


@comparisons.callback()
def comparisons_list(
    ctx: typer.Context, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    if ctx.invoked_subcommand is None:
        from mme_client.cli import comparing

        comparing.listing(json=json, quiet=quiet, timeout=timeout)


@_command(
    comparisons, "show", _("One comparison: its answers, how many are right, and are the same."),
    "mme comparisons show 0123456789abcdef",
    "mme comparisons show 0123456789abcdef --csv > answers.csv",
)  # fmt: skip
def comparisons_show(
    id: Annotated[str, typer.Argument(metavar="ID", help=_("As mme comparisons says it."))],
    everything: Annotated[
        bool, typer.Option("--all", help=_("Also what is the same of both."))
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help=_("Print a CSV file: a line for each picture."))
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help=_("Wait until it has ended."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import comparing

    comparing.show(
        id, everything=everything, csv=csv, wait=wait, json=json, quiet=quiet, timeout=timeout
    )


@_command(
    comparisons, "stop", _("Send no more pictures; the answers that are there stay."),
    "mme comparisons stop 0123456789abcdef",
)  # fmt: skip
def comparisons_stop(
    id: Annotated[str, typer.Argument(metavar="ID", help=_("As mme comparisons says it."))],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import comparing

    comparing.stop(id, json=json, quiet=quiet, timeout=timeout)


@_command(
    comparisons, "delete", _("Delete comparisons of answers; their calls stay."),
    "mme comparisons delete 0123456789abcdef",
)  # fmt: skip
def comparisons_delete(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help=_("As mme comparisons says them."))
    ],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import comparing

    comparing.delete(ids, json=json, quiet=quiet, timeout=timeout)


app.add_typer(calls, name="calls")


@calls.callback()
def calls_list(
    ctx: typer.Context,
    endpoint: Annotated[
        str,
        typer.Option("--endpoint", metavar="NAME", help=_("Of one endpoint."), show_default=False),
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="VERSION",
            help=_("digits, digits:2, or digits@live: calls for which this was named."),
            show_default=False,
        ),
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help=_("Those that failed."))] = False,
    cold: Annotated[
        bool | None,
        typer.Option("--cold/--warm", help=_("Cold starts, or the others."), show_default=False),
    ] = None,
    label: Annotated[
        str,
        typer.Option(
            "--label", metavar="TEXT", help=_("A text in the first label."), show_default=False
        ),
    ] = "",
    slower_than: Annotated[
        float | None,
        typer.Option("--slower-than", metavar="MS", min=0, help=_("Took at least so many ms.")),
    ] = None,
    by: Annotated[
        str,
        typer.Option("--by", metavar="USER", help=_("Who called, or me."), show_default=False),
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="WHEN",
            help=_("From when on: 90m, 8h, 3d ago, or a time."),
            show_default=False,
        ),
    ] = "",
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=1, help=_("At most so many."))
    ] = 20,
    csv: Annotated[
        bool, typer.Option("--csv", help=_("Print a CSV file, with where the time of each went."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    if ctx.invoked_subcommand is None:
        from mme_client.cli import recalling

        recalling.listing(
            endpoint=endpoint, model=model, state="failed" if failed else "", cold=cold,
            label=label, slower_than=slower_than, by=by, since=since, most=most,
            csv=csv, json=json, quiet=quiet, timeout=timeout,
        )  # fmt: skip


@_command(
    calls, "repeat", _("Call once more what was called, with the same picture, while it is kept."),
    "mme calls repeat 0123456789abcdef0123456789abcdef",
)  # fmt: skip
def calls_repeat(
    id: Annotated[str, typer.Argument(metavar="ID", help=_("As mme calls says it."))],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import recalling

    recalling.repeat(id, json=json, quiet=quiet, timeout=timeout)


@_command(
    calls, "forget", _("Delete what was sent, its thumbnail and its name; the answers stay."),
    "mme calls forget 0123456789abcdef0123456789abcdef",
)  # fmt: skip
def calls_forget(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help=_("As mme calls says them."))],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import recalling

    recalling.forget(ids, json=json, quiet=quiet, timeout=timeout)


app.add_typer(cost, name="cost")


class CostBy(enum.StrEnum):
    """What each line of a cost is."""

    ENDPOINT = "endpoint"
    OWNER = "owner"
    TAG = "tag"
    DAY = "day"


@cost.callback()
def cost_shown(
    ctx: typer.Context,
    by: Annotated[CostBy, typer.Option("--by", help=_("What each line is."))] = CostBy.ENDPOINT,
    month: Annotated[
        str,
        typer.Option(
            "--month",
            metavar="MONTH",
            help=_("As 2026-11; without, the present one."),
            show_default=False,
        ),
    ] = "",
    csv: Annotated[bool, typer.Option("--csv", help=_("Print the lines as CSV."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    if ctx.invoked_subcommand is None:
        from mme_client.cli import costing

        costing.cost(month, by=by.value, csv=csv, json=json, quiet=quiet, timeout=timeout)


@_command(
    cost, "budget", _("Set what a month may cost, remove that, or list all budgets."),
    "mme cost budget 500",
    "mme cost budget 100 --owner kim",
    "mme cost budget --tag team=vision --remove",
)  # fmt: skip
def cost_budget(
    amount: Annotated[
        str,
        typer.Argument(
            metavar="[AMOUNT]",
            help=_("A month, in the currency of the prices."),
            show_default=False,
        ),
    ] = "",
    owner: Annotated[
        str,
        typer.Option(
            "--owner", metavar="USER", help=_("Of this person's endpoints."), show_default=False
        ),
    ] = "",
    tag: Annotated[
        str,
        typer.Option(
            "--tag", metavar="KEY=VALUE", help=_("Of those with this tag."), show_default=False
        ),
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help=_("Remove the budget."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import costing

    costing.budget(
        amount, owner=owner, tag=tag, remove=remove, json=json, quiet=quiet, timeout=timeout
    )


@_command(
    cost, "prices", _("The prices of instances that costs are estimated by."), "mme cost prices"
)
def cost_prices(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import costing

    costing.prices(json=json, quiet=quiet, timeout=timeout)


app.add_typer(uploads, name="uploads")


@uploads.callback()
def uploads_list(
    ctx: typer.Context, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    if ctx.invoked_subcommand is None:
        from mme_client.cli import uploading

        uploading.uploads(json=json, quiet=quiet, timeout=timeout)


@_command(
    uploads, "cancel", _("Forget uploads, and delete what has arrived of them."),
    "mme uploads cancel mGqzTB4q0VnZ",
    "mme uploads --quiet | xargs mme uploads cancel",
)  # fmt: skip
def uploads_cancel(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help=_("As mme uploads says them."))],
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import uploading

    uploading.cancel(ids, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "mails", _("What you are told of by mail, or another choice."),
    "mme mails --kind version.ready --kind version.rejected", "mme mails --none",
)  # fmt: skip
def mails(
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", metavar="KIND", help=_("Tell me of this; several."), show_default=False
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help=_("Send me no mails."))] = False,
    all: Annotated[
        bool, typer.Option("--all", help=_("Also of what is not my own; with --kind."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import telling

    telling.mails(kind or [], none=none, all=all, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "redact", _("Take a text out of notes, labels, calls and events, for good."),
    "mme redact somebody@example.org --find", "mme redact - --yes < name.txt",
)  # fmt: skip
def redact(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help=_("Or - for a line of standard input, which no history keeps.")
        ),
    ],
    find: Annotated[bool, typer.Option("--find", help=_("Only say where it is."))] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_("Do not ask."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import redacting

    redacting.redact(text, find=find, yes=yes, json=json, quiet=quiet, timeout=timeout)


@_command(
    app, "storage", _("What the archives take up in the store, and the quotas."),
    "mme storage", "mme storage --person admin --quota 20",
)  # fmt: skip
def storage(
    person: Annotated[
        str, typer.Option("--person", metavar="NAME", help=_("Whose quota to set; for admins."))
    ] = "",
    quota: Annotated[
        str,
        typer.Option(
            "--quota", metavar="GB", help=_("Gigabytes; none: no limit; usual: the usual quota.")
        ),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import storing

    storing.storage(person, quota, json=json, quiet=quiet, timeout=timeout)


app.add_typer(stores, name="stores")

StoreName = Annotated[str, typer.Argument(metavar="STORE", help=_("The store's name."))]


@stores.callback()
def stores_list(
    ctx: typer.Context, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    if ctx.invoked_subcommand is None:
        from mme_client.cli import shelving

        shelving.list_all(json=json, quiet=quiet, timeout=timeout)


@_command(
    stores, "show", _("One store: what is in it, and what the portal may do there."),
    "mme stores show default",
)  # fmt: skip
def stores_show(
    store: StoreName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import shelving

    shelving.show(store, json=json, quiet=quiet, timeout=timeout)


@_command(
    stores, "add", _("Try what the portal may do in a bucket, and add it as a store; for admins."),
    "mme stores add team-a s3://team-a-models/mme",
    "mme stores add team-a s3://team-a-models/mme --encryption sse-kms --kms-key arn:aws:kms:...",
)  # fmt: skip
def stores_add(
    store: StoreName,
    url: Annotated[str, typer.Argument(metavar="URL", help=_("As s3://BUCKET/PREFIX."))],
    region: Annotated[
        str, typer.Option("--region", metavar="REGION", help=_("Of the bucket, where not ours."))
    ] = "",
    encryption: Annotated[
        str,
        typer.Option(
            "--encryption", metavar="HOW", help=_("sse-s3 or sse-kms; empty: as the bucket says.")
        ),
    ] = "",
    kms_key: Annotated[
        str, typer.Option("--kms-key", metavar="ARN", help=_("With sse-kms; empty: AWS's own."))
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import shelving

    shelving.add(
        store, url, region=region, encryption=encryption, kms_key=kms_key,
        json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    stores, "test", _("Try what the portal may do in a store, right by right; for admins."),
    "mme stores test default",
)  # fmt: skip
def stores_test(
    store: StoreName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import shelving

    shelving.test(store, json=json, quiet=quiet, timeout=timeout)


@_command(
    stores, "groups", _("Say which groups see a store, and which write to it; for admins."),
    "mme stores groups team-a --writes team-a --sees analysts",
    "mme stores groups team-a --everybody",
)  # fmt: skip
def stores_groups(
    store: StoreName,
    sees: Annotated[
        list[str] | None,
        typer.Option(
            "--sees", metavar="GROUP", help=_("It sees what is in it; several."), show_default=False
        ),
    ] = None,
    writes: Annotated[
        list[str] | None,
        typer.Option(
            "--writes",
            metavar="GROUP",
            help=_("It sees it, and may change it; several."),
            show_default=False,
        ),
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help=_("No group: it is open to everybody."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import shelving

    shelving.set_groups(
        store, sees=sees or (), writes=writes or (), everybody=everybody,
        json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    stores, "retire", _("Offer an empty store no more; for admins."),
    "mme stores retire team-a",
)  # fmt: skip
def stores_retire(
    store: StoreName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import shelving

    shelving.retire(store, undo=False, json=json, quiet=quiet, timeout=timeout)


@_command(
    stores, "restore", _("Offer a retired store again; for admins."),
    "mme stores restore team-a",
)  # fmt: skip
def stores_restore(
    store: StoreName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import shelving

    shelving.retire(store, undo=True, json=json, quiet=quiet, timeout=timeout)


app.add_typer(groups, name="groups")

GroupName = Annotated[str, typer.Argument(metavar="GROUP", help=_("The group's name."))]
People = Annotated[list[str], typer.Argument(metavar="PERSON...", help=_("User names."))]


@groups.callback()
def groups_list(
    ctx: typer.Context, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    if ctx.invoked_subcommand is None:
        from mme_client.cli import grouping

        grouping.list_all(json=json, quiet=quiet, timeout=timeout)


@_command(groups, "show", _("One group, with its people."), "mme groups show team-a")
def groups_show(
    group: GroupName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import grouping

    grouping.show(group, json=json, quiet=quiet, timeout=timeout)


@_command(groups, "make", _("Make a group, with nobody in it."), "mme groups make team-a")
def groups_make(
    group: GroupName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import grouping

    grouping.make(group, json=json, quiet=quiet, timeout=timeout)


@_command(groups, "put", _("Put people into a group."), "mme groups put team-a ann bob")
def groups_put(
    group: GroupName,
    people: People,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import grouping

    grouping.change(group, join=people, json=json, quiet=quiet, timeout=timeout)


@_command(groups, "take", _("Take people out of a group."), "mme groups take team-a bob")
def groups_take(
    group: GroupName,
    people: People,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import grouping

    grouping.change(group, leave=people, json=json, quiet=quiet, timeout=timeout)


@_command(groups, "delete", _("Delete a group that no store names."), "mme groups delete team-a")
def groups_delete(
    group: GroupName, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import grouping

    grouping.delete(group, json=json, quiet=quiet, timeout=timeout)


app.add_typer(webhooks, name="webhook")

WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help=_("Its id."))]
Kinds = Annotated[
    list[str],
    typer.Option(
        "--kind", metavar="KIND", help=_("What to tell, as mme webhook kinds has it; several.")
    ),
]
OfModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="NAME", help=_("Only of this model; several."), show_default=False
    ),
]
Note = Annotated[
    str | None,
    typer.Option(
        "--note", metavar="TEXT", help=_("By which you know it again."), show_default=False
    ),
]
InLanguage = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="CODE", help=_("Of its sentences: en or ko."), show_default=False
    ),
]


@_command(webhooks, "list", _("The webhooks."), "mme webhook list")
def webhook_list(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import telling

    telling.list_all(json=json, quiet=quiet, timeout=timeout)


@_command(webhooks, "kinds", _("What webhooks can be told of."), "mme webhook kinds")
def webhook_kinds(json: Json = False, quiet: Quiet = False, timeout: Timeout = None) -> None:
    from mme_client.cli import telling

    telling.kinds(json=json, quiet=quiet, timeout=timeout)


@_command(
    webhooks, "add", _("Make a webhook, and print its secret: it is shown this once."),
    "mme webhook add https://example.com/hook --kind version.ready --kind version.rejected",
)  # fmt: skip
def webhook_add(
    url: Annotated[str, typer.Argument(metavar="URL", help=_("Where to send the messages."))],
    kind: Kinds,
    model: OfModels = None,
    note: Note = None,
    language: InLanguage = None,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import telling

    telling.add(
        url, kind, models=model or [], note=note or "", language=language or "en",
        json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    webhooks, "change", _("Change a webhook, pause or resume it."),
    "mme webhook change 0123456789abcdef --pause",
)  # fmt: skip
def webhook_change(
    webhook: WebhookId,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help=_("Where to send the messages."))
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help=_("What to tell from now on; several."),
            show_default=False,
        ),
    ] = None,
    model: OfModels = None,
    note: Note = None,
    language: InLanguage = None,
    pause: Annotated[bool, typer.Option("--pause", help=_("Tell it nothing for now."))] = False,
    resume: Annotated[bool, typer.Option("--resume", help=_("Tell it again."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import telling

    telling.change(
        webhook, url=url, kinds=kind or None, models=model or None, note=note, language=language,
        pause=pause, resume=resume, json=json, quiet=quiet, timeout=timeout,
    )  # fmt: skip


@_command(
    webhooks, "test", _("Send a test now, and print what the receiver answered."),
    "mme webhook test 0123456789abcdef",
)  # fmt: skip
def webhook_test(
    webhook: WebhookId, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import telling

    telling.test(webhook, json=json, quiet=quiet, timeout=timeout)


@_command(
    webhooks, "deliveries", _("What was sent to a webhook, and what is on its way."),
    "mme webhook deliveries 0123456789abcdef --state failed",
)  # fmt: skip
def webhook_deliveries(
    webhook: WebhookId,
    state: Annotated[
        str,
        typer.Option(
            "--state",
            metavar="STATE",
            help=_("Only these: pending, delivered or failed."),
            show_default=False,
        ),
    ] = "",
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="KIND", help=_("Only of this kind."), show_default=False),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import telling

    telling.deliveries(webhook, state=state, kind=kind, json=json, quiet=quiet, timeout=timeout)


@_command(
    webhooks, "redeliver", _("Send messages again, with the same ids."),
    "mme webhook redeliver 0123456789abcdef msg_0123456789abcdef01234567",
    "mme webhook redeliver 0123456789abcdef --failed",
)  # fmt: skip
def webhook_redeliver(
    webhook: WebhookId,
    message: Annotated[
        str,
        typer.Argument(
            metavar="[MESSAGE]", help=_("The message's webhook-id."), show_default=False
        ),
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help=_("All that failed."))] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import telling

    telling.redeliver(webhook, message, failed=failed, json=json, quiet=quiet, timeout=timeout)


@_command(
    webhooks, "rotate", _("Make a new secret, and print it; the old one counts for a day more."),
    "mme webhook rotate 0123456789abcdef",
)  # fmt: skip
def webhook_rotate(
    webhook: WebhookId,
    at_once: Annotated[
        bool, typer.Option("--at-once", help=_("The old secret no longer counts."))
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    timeout: Timeout = None,
) -> None:
    from mme_client.cli import telling

    telling.rotate(webhook, at_once=at_once, json=json, quiet=quiet, timeout=timeout)


@_command(
    webhooks, "remove", _("Remove a webhook, with its deliveries."),
    "mme webhook remove 0123456789abcdef",
)  # fmt: skip
def webhook_remove(
    webhook: WebhookId, json: Json = False, quiet: Quiet = False, timeout: Timeout = None
) -> None:
    from mme_client.cli import telling

    telling.remove(webhook, json=json, quiet=quiet, timeout=timeout)


@cache
def command() -> Any:
    """The command line, ready to be run; making it takes a tenth of a second."""
    made = get_command(app)
    own = {
        "install_completion": _("Install the completion of this shell."),
        "show_completion": _("Print the completion of this shell."),
    }
    for option in made.params:
        option.help = own.get(option.name or "", option.help)  # type: ignore[attr-defined]
    return made


def commands() -> dict[str, Any]:
    """Every command, as it is typed after ``mme``."""
    found: dict[str, Any] = {}
    for name, one in command().commands.items():
        inner = getattr(one, "commands", None)
        if inner is None or one.invoke_without_command:
            found[name] = one
        if inner is not None:
            found |= {f"{name} {below}": each for below, each in inner.items()}
    return found


# What Typer says only in a text.
_NO_COMMAND = re.compile(r"No such command '(?P<name>[^']*)'\.")
_TOO_MANY = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((?P<names>.*)\)$", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'")


def is_usage(error: BaseException) -> bool:
    """Whether it is what Typer raises for a command line that it does not understand."""
    return hasattr(error, "format_message") and getattr(error, "exit_code", None) == 2


def usage(error: Any) -> str:
    """What is wrong with a command line, in the language of the locale."""
    kind = type(error).__name__
    if kind == "MissingParameter" and error.param is not None:
        param = error.param
        name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name
        return _("{name} is missing.").format(name=name)
    if kind == "NoSuchOption":
        said = _("There is no option {name}.").format(name=error.option_name)
        if error.possibilities:
            near = ", ".join(sorted(error.possibilities))
            said += " " + _("Did you mean: {names}").format(names=near)
        return said
    text: str = error.format_message()
    if kind == "UsageError" and (found := _NO_COMMAND.match(text)):
        said = _("There is no command {name}.").format(name=found["name"])
        if near := ", ".join(_QUOTED.findall(text[found.end() :])):
            said += " " + _("Did you mean: {names}").format(names=near)
        return said
    if kind == "UsageError" and (found := _TOO_MANY.match(text)):
        return _("This is too much: {names}").format(names=found["names"])
    if kind == "BadOptionUsage":
        return _("{name} needs a value.").format(name=error.option_name)
    if kind == "BadParameter" and error.param is not None:
        param = error.param
        name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name
        return _("The value of {name} is not valid: {why}").format(
            name=name, why=reasons.of_value(error.message)
        )
    return text


def hint(error: Any) -> str:
    """Where to look for help."""
    ctx = getattr(error, "ctx", None)
    return _("See: {command} --help").format(command=ctx.command_path) if ctx else ""
