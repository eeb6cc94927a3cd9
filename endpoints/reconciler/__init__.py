"""Bring an endpoint one step closer to what its user wants.

The row says what is wanted and what was last seen. :func:`advance` is run again and again, by any
worker, until both agree. One run

1. takes the row's lease by a conditional UPDATE, so that one worker alone acts on it;
2. describes what exists and makes **at most one** changing call;
3. writes what was seen, with the events that follow from it, in one transaction, and gives the
   lease back.

Two runs share nothing but the row, and events follow from what was *seen*, not from what was done.
So a crash at any point costs a repeated look, and never creates a second resource.

Read machine.py first. kinds.py has a class for each kind of resource, and their order; run.py what
one run sees and changes; writing.py the transaction at its end. calls.py says, for a plan, which
calls there will be. orphan_steps.py deletes what no endpoint owns.
"""

from endpoints.reconciler.calls import (
    change_calls,
    creation_calls,
    pause_calls,
    renewal_calls,
    scaling_calls,
    teardown_calls,
)
from endpoints.reconciler.machine import advance, advance_if_room
from endpoints.reconciler.orphan_steps import advance_orphan

__all__ = [
    "advance",
    "advance_if_room",
    "advance_orphan",
    "change_calls",
    "creation_calls",
    "pause_calls",
    "renewal_calls",
    "scaling_calls",
    "teardown_calls",
]
