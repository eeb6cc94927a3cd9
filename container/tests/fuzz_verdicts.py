"""What a mutant may come to, and what not. No MXNet here: the tests' own process has none."""

MAX_MESSAGE = 600

Verdict = tuple[str, str]
"""*accepted*, *refused* with a message, *died* of what, *broken* by an exception, *hung*."""


def fault(verdict: Verdict) -> str | None:
    """What is wrong with a verdict, if anything is."""
    kind, message = verdict
    if kind in ("broken", "hung"):
        return message
    if kind == "refused" and (
        not message or len(message) > MAX_MESSAGE or "\n" in message or "Traceback" in message
    ):
        return f"no sentence: {message!r}"
    return None
