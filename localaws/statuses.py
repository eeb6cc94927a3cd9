"""The statuses that localaws gives its resources, in SageMaker's and CloudWatch's own words."""

from enum import StrEnum


class EndpointStatus(StrEnum):
    """Of an endpoint (API: DescribeEndpoint, EndpointStatus)."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
    DELETING = "Deleting"
    FAILED = "Failed"


class ActivityStatus(StrEnum):
    """Of an activity of Application Auto Scaling (API: ScalingActivity, StatusCode)."""

    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    UNFULFILLED = "Unfulfilled"
    FAILED = "Failed"


class AlarmState(StrEnum):
    """Of an alarm of CloudWatch (API: MetricAlarm, StateValue)."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
