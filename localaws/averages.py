"""The average of a metric, for CloudWatch and for alarms alike."""


def mean(total: float, count: float, low: float, high: float) -> float:
    """The average of ``count`` values between ``low`` and ``high``.

    It is never beyond them, as a quotient of a rounded sum can be.
    """
    return min(max(total / count, low), high)
