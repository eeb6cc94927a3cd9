"""Ask a worker to look at an endpoint now.

A shortcut only: the database row is the queue, and beat's sweep finds every row that is due.
"""

from core.jobs import enqueue_on_commit


def advance_soon(pk: int) -> None:
    """Queue a step with endpoint ``pk`` when the transaction, if there is one, is through."""
    from endpoints.tasks import advance  # it calls the reconciler, which calls this

    enqueue_on_commit(advance, pk)
