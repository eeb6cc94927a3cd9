"""What moto's alarms lack: the first state, the state after an update, and a life beyond a restart.

moto has them in memory, begins each with OK, and begins anew where one is put again. CloudWatch
begins with INSUFFICIENT_DATA; an update leaves state and tags as they are (API: PutMetricAlarm).
Imported late, as importing moto takes a second.
"""

import datetime as dt
import threading
from typing import Any

from moto.cloudwatch import models

from .statuses import AlarmState

changed = threading.Event()
"""Set where a client changed something of an alarm; whoever keeps them clears it."""

_NOT_KEPT = "history"  # nothing shows it, and it grows
_put: Any = models.CloudWatchBackend.put_metric_alarm


def _put_metric_alarm(self: Any, **given: Any) -> Any:
    before = self.alarms.get(given["name"])
    if before is not None:
        given["tags"] = None
    alarm = _put(self, **given)
    if before is None:
        alarm.state_value = AlarmState.INSUFFICIENT_DATA
    else:
        for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp"):
            setattr(alarm, name, getattr(before, name))
    changed.set()
    return alarm


def _told(name: str) -> None:
    plain: Any = getattr(models.CloudWatchBackend, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return plain(self, *args, **kwargs)
        finally:
            changed.set()

    setattr(models.CloudWatchBackend, name, call)


_delete: Any = models.CloudWatchBackend.delete_alarms


def _delete_alarms(self: Any, alarm_names: list[str]) -> None:
    """moto's, which would give the tags to a later alarm of the name."""
    for name in alarm_names:
        if name in self.alarms:
            self.tagger.delete_all_tags_for_resource(self.alarms[name].alarm_arn)
    _delete(self, alarm_names)
    changed.set()


# moto looks them up by these names at each request.
models.CloudWatchBackend.put_metric_alarm = _put_metric_alarm
models.CloudWatchBackend.delete_alarms = _delete_alarms
for _name in (
    *("set_alarm_state", "enable_alarm_actions", "disable_alarm_actions"),
    *("tag_resource", "untag_resource"),
):
    _told(_name)


def to_json(value: Any) -> Any:
    """An alarm, or a part of one, as JSON."""
    if isinstance(value, dt.datetime):
        return {"at": value.isoformat()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {"dict": {key: to_json(one) for key, one in value.items()}}
    if type(value).__module__ == models.__name__:
        members = {key: to_json(one) for key, one in vars(value).items() if key != _NOT_KEPT}
        return {"class": type(value).__name__, "members": members}
    return value


def from_json(kept: Any) -> Any:
    """What ``to_json`` was given."""
    if isinstance(kept, list):
        return [from_json(one) for one in kept]
    if not isinstance(kept, dict):
        return kept
    if "at" in kept:
        return dt.datetime.fromisoformat(kept["at"])
    if "dict" in kept:
        return {key: from_json(one) for key, one in kept["dict"].items()}
    made = object.__new__(getattr(models, kept["class"]))
    made.__dict__.update({key: from_json(one) for key, one in kept["members"].items()})
    if isinstance(made, models.Alarm):
        made.history = []
    return made
