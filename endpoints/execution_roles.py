"""Which execution role an endpoint gets: its containers run with the rights of that role."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# BC: RoleArn.
_FORM = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+", re.ASCII)
MOST = 2048


def check(role_arn: str) -> None:
    """Raise ValidationError, of the field role_arn, where SageMaker would not take it.

    Whether the role is there, and may be passed to SageMaker, AWS says when the model is created.
    """
    if len(role_arn) <= MOST and _FORM.fullmatch(role_arn):
        return
    said = _("%(role)s is no ARN of a role. One looks like arn:aws:iam::123456789012:role/name.")
    raise ValidationError({"role_arn": said % {"role": role_arn[:80]}})
