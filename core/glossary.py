"""The words of the portal, each with one sentence. The page /glossary/ and help marks show them."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Term:
    """A word, what it means in one sentence, and what else there is to say."""

    name: Any
    sentence: Any
    more: Any = ""


#: By the name that stands in addresses: /glossary/#cold-start.
GLOSSARY: dict[str, Term] = {
    "model": Term(_("model"), _("A trained network under one name. It has versions.")),
    "version": Term(_("version"), _("One archive of a model. It never changes.")),
    "archive": Term(_("archive"), _("The .tar.gz file that holds a network and its labels.")),
    "validation": Term(
        _("validation"),
        _("The portal loads and calls a version in the container before it is published."),
    ),
    "live": Term(_("live"), _("The version that callers get when they name none.")),
    "endpoint": Term(_("endpoint"), _("The machines on SageMaker that answer calls.")),
    "configuration": Term(
        _("configuration"), _("What an endpoint runs on: machine type, count and model data.")
    ),
    "store": Term(_("store"), _("The place in S3 that holds every published version.")),
    "target-model": Term(
        _("target model"), _("The name in a call that says which version is to answer.")
    ),
    "call": Term(_("call"), _("One picture sent to an endpoint, and its answer.")),
    "cold-start": Term(
        _("cold start"),
        _("The model was loaded into memory for this call, so the call took longer."),
    ),
    "warm": Term(_("warm"), _("The model was in memory already, so the call was fast.")),
    "tear-down": Term(
        _("tear down"), _("Remove the endpoint from AWS. It then costs nothing. Models are kept.")
    ),
}
