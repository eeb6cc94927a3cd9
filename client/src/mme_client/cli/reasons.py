"""What the system and the parser of the command line tell, in the language of the locale."""

import errno
import re

from mme_client.cli.words import _


def of_file(error: OSError) -> str:
    """Why a file could not be read or written; what is rare stays in the system's words."""
    known = {
        errno.ENOENT: _("There is no such file or folder."),
        errno.EISDIR: _("This is a folder, and a file is needed."),
        errno.ENOTDIR: _("This is a file, and a folder is needed."),
        errno.EACCES: _("It may not be read or written."),
        errno.EEXIST: _("It is there already."),
        errno.ENOSPC: _("The disk is full."),
    }
    return known.get(error.errno or 0) or error.strerror or str(error)


# What pydantic says, by which Typer checks values.
_CHOICE = re.compile(r"is not one of (?P<limit>.*?)\.?$", re.DOTALL)
_LEAST = re.compile(r"Input should be greater than or equal to (?P<limit>\S+)")
_MOST = re.compile(r"Input should be less than or equal to (?P<limit>\S+)")
_INTEGER = re.compile(r"Input should be a valid integer")
_NUMBER = re.compile(r"Input should be a valid number")


def of_value(text: str) -> str:
    """Why the value of an option or argument is not taken."""
    sentences = (
        (_CHOICE, _("It is one of {limit}.")),
        (_LEAST, _("It is {limit} or more.")),
        (_MOST, _("It is {limit} or less.")),
        (_INTEGER, _("It is a whole number.")),
        (_NUMBER, _("It is a number.")),
    )
    for pattern, sentence in sentences:
        if found := pattern.search(text):
            return sentence.format(**found.groupdict()).replace("'", "")
    return text.removeprefix("Value error, ")


# What the library says of a value, before anything is sent.
_NO_VERSION = re.compile(r"(?P<value>.*) is no version; write it as digits:2\.", re.DOTALL)
_NO_ADDRESS = re.compile(
    r"(?P<value>.*) is no address of a portal, such as https://HOST\.", re.DOTALL
)
_SECRET_ADDRESS = re.compile(r"The address of a portal has no password, query or fragment\.")
_NO_TOKEN = re.compile(r"The token has characters that no token has\.")


def of_library(text: str) -> str:
    """Why the library does not take a value, in the language of the locale."""
    sentences = (
        (_NO_VERSION, _("{value} is no version; write it as digits:2.")),
        (_NO_ADDRESS, _("{value} is no address of a portal, such as https://HOST.")),
        (_SECRET_ADDRESS, _("The address of a portal has no password, query or fragment.")),
        (_NO_TOKEN, _("The token has characters that no token has.")),
    )
    for pattern, sentence in sentences:
        if found := pattern.fullmatch(text):
            return sentence.format(**found.groupdict())
    return text
