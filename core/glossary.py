"""What the portal's words mean: for the help marks, the page /glossary/ and docs/glossary.md.

One word for one thing. Pages, docs, events and errors use these words and no others.
"""

from dataclasses import dataclass
from typing import Any

from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Term:
    """A word, its meaning in one sentence, and a little more; in the reader's language."""

    name: Any
    sentence: Any
    more: Any


INTRODUCTION = gettext_noop(
    "The words of the portal. Each has one meaning, on all pages and in the manual."
)

# Keys are the anchors of the page. The order is that of a model's life: what is read first is
# explained first.
GLOSSARY: dict[str, Term] = {
    "model": Term(
        _("Model"),
        _("A name under which you upload versions of one trained network, such as “digits”."),
        _("A model has a page with all its versions. The name never changes."),
    ),
    "version": Term(
        _("Version"),
        _("One upload of a model, with a number; its content never changes."),
        _(
            "To change a model, upload the next version. Earlier versions stay, and can be called "
            "as before."
        ),
    ),
    "alias": Term(
        _("Alias"),
        _("A name on a model, such as “production”, that points at one version and can be moved."),
        _(
            "The alias “live” is there once somebody made a version live. A call by an alias goes "
            "to the version that it points at in that moment."
        ),
    ),
    "archive": Term(
        _("Archive"),
        _("The .tar.gz file that you upload: the network, its weights, its labels."),
        _(
            "The portal packs the files that the network needs into a new archive and publishes "
            "that. The file as you uploaded it is kept for download."
        ),
    ),
    "validation": Term(
        _("Validation"),
        _(
            "The test of an uploaded version: the portal reads the archive, loads the model in the "
            "serving container and calls it once."
        ),
        _(
            "A version is validated before it is published. If a step fails, the version is "
            "rejected. Its page says why, and nothing of it reaches the store."
        ),
    ),
    "ready": Term(
        _("Ready"),
        _("A version passed validation and is published, so endpoints can serve it."),
        _(
            "The other states are Uploaded, Validating, Copying, Rejected, Retired, Deleting and "
            "Deleted."
        ),
    ),
    "retired": Term(
        _("Retired"),
        _("A version that is taken out of use: the portal offers and calls it nowhere."),
        _(
            "Its archive stays in the store, so programs that call SageMaker themselves can still "
            "call it. “Restore” makes the version ready again; an admin may delete it."
        ),
    ),
    "live": Term(
        _("Live"),
        _("The version that answers who calls a model by its name alone, such as “digits”."),
        _(
            "Somebody makes it live, and the alias “live” points at it. Where no version was made "
            "live, the newest that is ready answers."
        ),
    ),
    "store": Term(
        _("Store"),
        _("The folder in S3 that holds all published archives; an endpoint serves all of it."),
        _(
            "In SageMaker it is ModelDataUrl: a bucket and a prefix. An archive in the store is "
            "never overwritten."
        ),
    ),
    "endpoint": Term(
        _("Endpoint"),
        _("One or more machines that run the serving container and answer calls."),
        _(
            "On AWS an endpoint costs money for every hour that it exists, also without calls. "
            "On a local stack it costs nothing."
        ),
    ),
    "multi-model-endpoint": Term(
        _("Multi-model endpoint"),
        _("An endpoint that serves many models from one store, on the same machines."),
        _(
            "A hundred models cost as much as the machines they share, not as a hundred endpoints. "
            "Models that are called stay in memory; others are loaded when they are called."
        ),
    ),
    "configuration": Term(
        _("Configuration"),
        _("What an endpoint runs on: instance type, number of instances, container and store."),
        _("In SageMaker it is a resource of its own, the endpoint config."),
    ),
    "instance-type": Term(
        _("Instance type"),
        _("The kind of machine that an endpoint runs on, such as ml.m5.large: 2 CPUs, 8 GiB."),
        _("Larger types hold more models in memory and cost more for each hour on AWS."),
    ),
    "instance-count": Term(
        _("Number of instances"),
        _("How many machines of the instance type an endpoint runs on, such as 2."),
        _(
            "They share the calls. With two or more, calls go on when one machine fails. On AWS "
            "each costs money."
        ),
    ),
    "autoscaling": Term(
        _("Autoscaling"),
        _("AWS changes the number of instances with the calls, between a minimum and a maximum."),
        _(
            "It looks at the calls of a minute for each instance. A new instance takes minutes to "
            "start, and has no model in memory then."
        ),
    ),
    "variant": Term(
        _("Variant"),
        _("Machines of one type in an endpoint; SageMaker shares the calls among its variants."),
        _(
            "An endpoint has one, named AllTraffic, where nobody asked for two. Each has a weight: "
            "with 9 and 1 the first gets nine calls of ten. Both serve the same models."
        ),
    ),
    "container": Term(
        _("Container"),
        _("The program that loads models and answers calls; this project ships it."),
        _("The same container validates a version before it is published."),
    ),
    "execution-role": Term(
        _("Execution role"),
        _("The AWS role that lets an endpoint read the store and write its logs."),
        _("An admin sets it up once. Users of the portal need no AWS account."),
    ),
    "arn": Term(
        _("ARN"),
        _("Amazon Resource Name: the full name by which AWS finds one resource."),
        _("It holds the region, the account and the kind of the resource."),
    ),
    "target-model": Term(
        _("Target model"),
        _("The file name that tells an endpoint which version to call, such as digits_v2.tar.gz."),
        _("In the API it is the parameter TargetModel. The portal's pages fill it in for you."),
    ),
    "call": Term(
        _("Call"),
        _("One request to a model: a picture goes to an endpoint, and labels come back."),
        _("In SageMaker's API a call is InvokeEndpoint."),
    ),
    "label": Term(
        _("Label"),
        _("One of the answers that a model can give, with a probability from 0 to 1."),
        _("Labels are in the archive, in synset.txt, one on each line."),
    ),
    "cold-start": Term(
        _("Cold start"),
        _("The model was not in memory, so it was loaded for this call, which took longer."),
        _(
            "The first call of a model on an endpoint is a cold start. So is the first call after "
            "the model was unloaded to make room for others."
        ),
    ),
    "warm": Term(
        _("Warm"),
        _("The model was in memory already, so the call was answered at once."),
        _("A model stays warm until the endpoint needs its memory for other models."),
    ),
    "thrash": Term(
        _("Thrash"),
        _("Models take turns in memory, so that many calls wait until theirs is loaded again."),
        _("A larger instance type, more instances, or fewer models that are called end it."),
    ),
    "retry": Term(
        _("Retry"),
        _("To do a step again that failed for a reason that may pass."),
        _(
            "The portal retries by itself and waits longer each time. If a reason stays, such as a "
            "missing right, it stops and says what to do."
        ),
    ),
    "tear-down": Term(
        _("Tear down"),
        _("To delete an endpoint, its configuration and its model from SageMaker."),
        _("It then costs nothing any more. The archives in the store and the versions stay."),
    ),
    "checksum": Term(
        _("Checksum"),
        _("A short text, SHA-256, that is different for every different file."),
        _("Compare it with “sha256sum FILE” to know that a download is the file you mean."),
    ),
    "local-stack": Term(
        _("Local stack"),
        _("All parts of the portal on one machine, with localaws in the place of AWS."),
        _("Nothing of it is on AWS, and nothing costs money. The command “make up” starts it."),
    ),
}


def as_markdown(language: str) -> str:
    """The glossary as a page of the manual, in ``language``."""
    with translation.override(language):
        lines = [f"# {gettext('Glossary')}", "", gettext(INTRODUCTION), ""]
        for term in GLOSSARY.values():
            lines += [f"## {term.name}", "", f"{term.sentence} {term.more}", ""]
    return "\n".join(lines).rstrip() + "\n"
