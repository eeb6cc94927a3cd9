"""What the activity log says about endpoints: a sentence for each event code."""

from typing import Final

from django.utils.translation import gettext_noop as _

from activity.codes import Scalar
from endpoints.models import Endpoint

TEMPLATES: Final = {
    "endpoint.requested": _(
        "Requested the endpoint %(name)s with %(instance_count)s × %(instance_type)s."
    ),
    "endpoint.requested_why": _(
        "Requested the endpoint %(name)s with %(instance_count)s × %(instance_type)s: %(reason)s"
    ),
    "endpoint.owner_changed": _(
        "The endpoint %(name)s belongs to %(after)s now; before, to %(before)s."
    ),
    "endpoint.update_requested": _(
        "Requested to change the endpoint %(name)s from %(before)s to %(after)s (revision "
        "%(revision)s)."
    ),
    "endpoint.update_requested_why": _(
        "Requested to change the endpoint %(name)s from %(before)s to %(after)s (revision "
        "%(revision)s): %(reason)s"
    ),
    "endpoint.update_by_policy": _(
        "The endpoint %(name)s is moved to its next revision by a policy: %(policy)s."
    ),
    "endpoint.update_withdrawn": _(
        "Withdrew the change of the endpoint %(name)s. It goes on with revision %(revision)s."
    ),
    "endpoint.updated": _(
        "The endpoint %(name)s serves revision %(revision)s: %(instance_count)s × "
        "%(instance_type)s."
    ),
    "endpoint.updated_variants": _(
        "The endpoint %(name)s serves revision %(revision)s: %(variants)s."
    ),
    "endpoint.update_refused": _(
        "Revision %(revision)s of the endpoint %(name)s was refused. It serves as before. "
        "%(reason)s"
    ),
    "endpoint.update_rolled_back": _(
        "Revision %(revision)s of the endpoint %(name)s was rolled back. It serves as before. "
        "%(reason)s"
    ),
    "endpoint.scaling_requested": _(
        "Requested to scale the endpoint %(name)s from %(least)s to %(most)s instances, for "
        "%(target)s calls a minute each."
    ),
    "endpoint.scaling_scheduled": _(
        "The limits of the autoscaling of %(name)s change by the clock: %(schedule)s."
    ),
    "endpoint.scaling_end_requested": _(
        "Requested to switch the autoscaling of the endpoint %(name)s off."
    ),
    "endpoint.scaling_on": _(
        "AWS scales the endpoint %(name)s from %(least)s to %(most)s instances, for %(target)s "
        "calls a minute each."
    ),
    "endpoint.scaling_off": _("AWS no longer scales the endpoint %(name)s."),
    "endpoint.scaling_lost": _(
        "The endpoint %(name)s was no longer scaled: somebody ended its autoscaling outside the "
        "portal. It is being switched on again."
    ),
    "endpoint.scaling_refused": _("AWS refuses to scale the endpoint %(name)s: %(error)s"),
    "endpoint.scaled": _(
        "Autoscaling set the endpoint %(name)s to %(instance_count)s instances. AWS says: %(cause)s"
    ),
    "endpoint.not_scaled": _(
        "Autoscaling did not scale the endpoint %(name)s. AWS says: %(said)s (%(cause)s)"
    ),
    "endpoint.end_set": _("The endpoint %(name)s ends on %(end)s: it is torn down then."),
    "endpoint.end_removed": _("The endpoint %(name)s has no end date any more."),
    "endpoint.expires_in_a_day": _(
        "The endpoint %(name)s ends within a day, on %(end)s: it is torn down then."
    ),
    "endpoint.expires_in_an_hour": _(
        "The endpoint %(name)s ends within an hour, on %(end)s: it is torn down then."
    ),
    "endpoint.expired": _("The end date of the endpoint %(name)s has come: %(end)s."),
    "endpoint.idle_set": _(
        "The endpoint %(name)s is torn down when nobody has called it for %(hours)s hours."
    ),
    "endpoint.idle_removed": _("The endpoint %(name)s is not torn down any more when it is idle."),
    "endpoint.postponement_undone": _(
        "The endpoint %(name)s ends on %(end)s again: that it ends later was taken back."
    ),
    "endpoint.idle_postponed": _("The endpoint %(name)s is not torn down as idle before %(end)s."),
    "endpoint.idle_ends_in_a_day": _(
        "Nobody has called the endpoint %(name)s since %(since)s. It is torn down on %(end)s, "
        "within a day, unless it is called."
    ),
    "endpoint.idle_ends_in_an_hour": _(
        "Nobody has called the endpoint %(name)s since %(since)s. It is torn down on %(end)s, "
        "within an hour, unless it is called."
    ),
    "endpoint.idle_unknown": _(
        "Nobody can say whether the endpoint %(name)s is idle, so it is not torn down as that. "
        "The portal asks again by itself. %(error)s"
    ),
    "endpoint.idle_over": _(
        "Nobody has called the endpoint %(name)s since %(since)s, for %(hours)s hours and more."
    ),
    "endpoint.teardown_requested": _("Requested to tear down the endpoint %(name)s."),
    "endpoint.teardown_keeps": _(
        "The teardown of the endpoint %(name)s leaves in the AWS account: %(names)s."
    ),
    "endpoint.teardown_undone": _("Undid the teardown of the endpoint %(name)s, before it began."),
    "endpoint.model.left": _("The SageMaker model %(name)s was left, as it was asked for."),
    "endpoint.config.left": _("The configuration %(name)s was left, as it was asked for."),
    "endpoint.gone": _("%(name)s is torn down. The archives are kept in %(store)s."),
    "demo.seeded": _("Set up the demo: its models and one endpoint."),
    # A resource changed its state: endpoint.KIND.STATE, with the values of both enumerations.
    "endpoint.model.created": _("Created the SageMaker model %(name)s, which serves %(store)s."),
    "endpoint.model.deleting": _("The SageMaker model %(name)s is being deleted."),
    "endpoint.model.gone": _("The SageMaker model %(name)s is gone."),
    "endpoint.config.created": _(
        "Created the configuration %(name)s with %(instance_count)s × %(instance_type)s."
    ),
    "endpoint.config.deleting": _("The configuration %(name)s is being deleted."),
    "endpoint.config.gone": _("The configuration %(name)s is gone."),
    "endpoint.endpoint.creating": _("The endpoint %(name)s is being created."),
    "endpoint.endpoint.in_service": _("The endpoint %(name)s is in service."),
    "endpoint.endpoint.updating": _("The endpoint %(name)s is being updated."),
    "endpoint.endpoint.system_updating": _(
        "SageMaker maintains the endpoint %(name)s (SystemUpdating)."
    ),
    "endpoint.endpoint.rolling_back": _(
        "The endpoint %(name)s goes back to the configuration before (RollingBack)."
    ),
    "endpoint.endpoint.update_rollback_failed": _(
        "An update of the endpoint %(name)s failed, and so did the way back (UpdateRollbackFailed)."
    ),
    "endpoint.endpoint.out_of_service": _(
        "The endpoint %(name)s is out of service (OutOfService)."
    ),
    "endpoint.endpoint.unrecognized": _("The endpoint %(name)s is %(status)s."),
    "endpoint.endpoint.failed": _("The endpoint failed: %(reason)s"),
    "endpoint.endpoint.deleting": _("The endpoint %(name)s is being deleted."),
    "endpoint.endpoint.gone": _("The endpoint %(name)s is gone."),
    "endpoint.model.kept": _(
        "The SageMaker model %(name)s in the AWS account is not the one that this portal created. "
        "It was left as it is."
    ),
    "endpoint.config.kept": _(
        "The configuration %(name)s in the AWS account is not the one that this portal created. "
        "It was left as it is."
    ),
    "endpoint.config.in_use": _(
        "The configuration %(name)s was left as it is: the endpoint %(other)s uses it too."
    ),
    "endpoint.config.maybe_in_use": _(
        "The configuration %(name)s was left as it is, because AWS does not say whether another "
        "endpoint uses it: %(error)s"
    ),
    "endpoint.model.in_use": _(
        "The SageMaker model %(name)s was left as it is: the configuration %(config)s needs it."
    ),
    "endpoint.model.in_use_by": _(
        "The SageMaker model %(name)s was left as it is: the endpoint %(other)s uses it too."
    ),
    "endpoint.model.maybe_in_use": _(
        "The SageMaker model %(name)s was left as it is, because AWS does not say whether another "
        "endpoint uses it: %(error)s"
    ),
    "endpoint.endpoint.kept": _(
        "The endpoint %(name)s in the AWS account is not the one that this portal created. It was "
        "left as it is."
    ),
    # Somebody changed the AWS account outside the portal.
    "endpoint.model.lost": _(
        "The SageMaker model %(name)s is no longer in the AWS account. Somebody deleted it outside "
        "the portal. It is being created again."
    ),
    "endpoint.config.lost": _(
        "The configuration %(name)s is no longer in the AWS account. Somebody deleted it outside "
        "the portal. It is being created again."
    ),
    "endpoint.endpoint.lost": _(
        "The endpoint %(name)s is no longer in the AWS account. Somebody deleted it outside "
        "the portal. It is being created again."
    ),
    "endpoint.hours_set": _(
        "The endpoint %(name)s works %(hours)s (%(zone)s), and is paused else."
    ),
    "endpoint.hours_removed": _("The endpoint %(name)s has no working hours any more."),
    "endpoint.pauses_in_an_hour": _(
        "The endpoint %(name)s is paused within an hour, at %(at)s. Calls to it fail then."
    ),
    "endpoint.pauses_first": _(
        "The endpoint %(name)s has other working hours: it is paused for the first time by them at "
        "%(at)s. Calls to it fail then."
    ),
    "endpoint.pause_postponed": _("The endpoint %(name)s runs on until %(at)s."),
    "endpoint.pause_requested": _("Requested to pause the endpoint %(name)s."),
    "endpoint.paused_by_hours": _("The working hours of the endpoint %(name)s are over."),
    "endpoint.paused": _(
        "The endpoint %(name)s is paused. No instance runs; its configuration and model stay."
    ),
    "endpoint.resume_requested": _("Requested to resume the endpoint %(name)s."),
    "endpoint.resumed_by_hours": _("The working hours of the endpoint %(name)s begin: it resumes."),
    "endpoint.deleted_outside": _(
        "Somebody deleted the endpoint %(name)s outside the portal. Calls to it fail."
    ),
    "endpoint.drift_accepted": _(
        "Accepted what somebody changed outside the portal: the endpoint %(name)s is wanted as "
        "%(after)s (revision %(revision)s), in place of %(before)s."
    ),
    "endpoint.drift_accepted_why": _(
        "Accepted what somebody changed outside the portal: the endpoint %(name)s is wanted as "
        "%(after)s (revision %(revision)s), in place of %(before)s: %(reason)s"
    ),
    "endpoint.deletion_accepted": _(
        "Accepted that the endpoint %(name)s was deleted outside the portal. What it used is "
        "removed."
    ),
    "endpoint.deletion_accepted_why": _(
        "Accepted that the endpoint %(name)s was deleted outside the portal. What it used is "
        "removed: %(reason)s"
    ),
    "endpoint.put_back": _(
        "Requested to make the endpoint %(name)s again, which was deleted outside the portal."
    ),
    "endpoint.put_back_why": _(
        "Requested to make the endpoint %(name)s again, which was deleted outside the portal: "
        "%(reason)s"
    ),
    "endpoint.updated_outside": _(
        "Somebody changed the endpoint %(name)s outside the portal: it uses the configuration "
        "%(config)s now."
    ),
    "endpoint.model.replaced": _(
        "The SageMaker model %(name)s is not the one seen before. Somebody deleted that one and "
        "created this one outside the portal."
    ),
    "endpoint.config.replaced": _(
        "The configuration %(name)s is not the one seen before. Somebody deleted that one and "
        "created this one outside the portal."
    ),
    "endpoint.endpoint.replaced": _(
        "The endpoint %(name)s is not the one seen before. Somebody deleted that one and "
        "created this one outside the portal."
    ),
    # A resource of our name that the portal did not create.
    "endpoint.model.foreign": _(
        "The AWS account has a SageMaker model named %(name)s that is not this portal's. It serves "
        "%(store)s with %(image)s. It was not changed. Tear this endpoint down (the other one is "
        "kept) and create one with another name."
    ),
    "endpoint.config.foreign": _(
        "The AWS account has a configuration named %(name)s that is not this portal's. It has "
        "%(instance_count)s × %(instance_type)s for the model %(model)s. It was not changed. Tear "
        "this endpoint down (the other one is kept) and create one with another name."
    ),
    "endpoint.endpoint.foreign": _(
        "The AWS account has an endpoint named %(name)s that is not this portal's. It uses the "
        "configuration %(config)s. It was not changed. Tear this endpoint down (the other one is "
        "kept) and create one with another name."
    ),
    # AWS does not do what the portal asks.
    "endpoint.throttled": _(
        "AWS asks to slow down, or cannot be reached. The portal retries by itself. (%(error)s)"
    ),
    "endpoint.busy": _("AWS is still busy with it. The portal retries by itself. (%(error)s)"),
    "endpoint.not_found": _(
        "AWS does not see yet what was just created. The portal retries by itself. (%(error)s)"
    ),
    "endpoint.already_exists": _(
        "AWS says that it exists already. The portal retries by itself. (%(error)s)"
    ),
    "endpoint.denied": _("AWS does not allow it: %(error)s"),
    "endpoint.refused": _("AWS refuses it: %(error)s"),
    # Alarms of CloudWatch (alarms.py).
    "endpoint.alarm_requested": _(
        "Requested the alarm %(alarm)s for the endpoint %(name)s: %(condition)s."
    ),
    "endpoint.alarm_removal_requested": _(
        "Requested to remove the alarm %(alarm)s of the endpoint %(name)s."
    ),
    "endpoint.alarm_removed": _("Removed the alarm %(alarm)s of the endpoint %(name)s."),
    "endpoint.alarm_on": _(
        "The endpoint %(name)s is in alarm: %(condition)s (%(alarm)s). CloudWatch says: %(reason)s"
    ),
    "endpoint.alarm_over": _(
        "The alarm of the endpoint %(name)s is over: %(condition)s (%(alarm)s). CloudWatch says: "
        "%(reason)s"
    ),
    "endpoint.alarm_tested": _(
        "This is a test of the alarm %(alarm)s of the endpoint %(name)s. Nothing is wrong."
    ),
    "endpoint.alarm_lost": _(
        "The alarm %(alarm)s of the endpoint %(name)s was changed or deleted outside the portal. "
        "The portal has put it back."
    ),
    "endpoint.alarm_refused": _(
        "The alarm %(alarm)s of the endpoint %(name)s is not as it was asked for. The portal tries "
        "again each minute. %(reason)s"
    ),
    # What is in the AWS account and belongs to no endpoint (orphans.py).
    "orphans.found": _(
        "The AWS account has something of this portal’s that no endpoint owns (%(count)s): "
        "%(names)s. It costs %(cost)s a month."
    ),
    "orphan.deletion_requested": _("Requested to delete what no endpoint owns: %(what)s."),
    "orphan.gone": _("Deleted what no endpoint owned: %(what)s."),
    "orphan.kept": _("Not deleted: %(what)s. %(reason)s"),
    "orphan.refused": _(
        "AWS does not delete it yet: %(what)s. The portal tries again by itself. %(reason)s"
    ),
    "orphan.adopted": _("Took what no endpoint owned into the endpoint %(name)s: %(what)s."),
    "endpoint.adopted": _(
        "Adopted the endpoint %(name)s with %(instance_count)s × %(instance_type)s, the "
        "configuration %(config)s and the SageMaker model %(model)s. The portal watches it now."
    ),
    # What a month may cost (budgets.py).
    "budget.set": _("Set the budget of %(what)s to %(amount)s %(currency)s a month."),
    "budget.removed": _("Removed the budget of %(what)s."),
    "budget.reached": _(
        "The budget of %(what)s for %(month)s is used by %(percent)s percent: %(spent)s of "
        "%(amount)s %(currency)s. At the end of the month it will be %(forecast)s %(currency)s, if "
        "nobody changes anything."
    ),
    "endpoint.resumed": _("The problem is solved. Work on the endpoint goes on."),
}

#: What may change how an endpoint serves: charts mark when it happened.
CHANGES: Final = frozenset(
    {
        "endpoint.requested",
        "endpoint.requested_why",
        "endpoint.adopted",
        "endpoint.update_requested",
        "endpoint.update_requested_why",
        "endpoint.update_by_policy",
        "endpoint.updated",
        "endpoint.updated_variants",
        "endpoint.update_refused",
        "endpoint.update_rolled_back",
        "endpoint.updated_outside",
        "endpoint.scaled",
        "endpoint.scaling_on",
        "endpoint.scaling_off",
        "endpoint.alarm_on",
        "endpoint.alarm_over",
        "endpoint.endpoint.in_service",
        "endpoint.endpoint.failed",
        "endpoint.endpoint.lost",
        "endpoint.deleted_outside",
        "endpoint.paused",
        "endpoint.drift_accepted",
        "endpoint.drift_accepted_why",
        "endpoint.put_back",
        "endpoint.put_back_why",
        "endpoint.endpoint.out_of_service",
        "endpoint.teardown_requested",
        "endpoint.teardown_undone",
    }
)


def size_of(endpoint: Endpoint) -> dict[str, Scalar]:
    """The parameters that say how large an endpoint is."""
    return {
        "instance_count": endpoint.instance_count,
        # Of several variants those of all: their numbers are in the change that asked for them.
        "instance_type": endpoint.instance_type,
    }
