"""What somebody needs to look at endpoints, on pages and by operations of any app."""

from django.utils.translation import gettext_noop

MAY_LOOK = "endpoints.view_endpoint"
#: What is refused, in the sentence of a refusal.
LOOKING = gettext_noop("look at endpoints")
