"""Objects that are made anew: the live ones go first, and are waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from runner import prune
from runner.errors import ClusterError
from runner.model import ResourceRef
from runner.plan import Assessment
from runner.session import Session

_WHAT = "immutable field detected, failed to"


def make_way(
    session: Session,
    id_: str,
    assessed: Iterable[Assessment],
    timeout: float,
    resting: Callable[[], AbstractContextManager[None]],
) -> list[str]:
    """Delete, in the background and by uid, and wait until that is done; what went wrong, in words.

    `id_` is the Kustomization whose objects these are. Whoever is killed here leaves objects that are
    missing: the next run creates them.
    """
    uids = {a.ref: a.live["metadata"]["uid"] for a in assessed if a.recreates and a.live is not None}
    cluster, observer = session.writer(id_), session.access(id_).observer

    def delete(ref: ResourceRef) -> str:
        try:
            cluster.delete(ref, uid=uids[ref])
        except ClusterError as exc:
            return f"{ref} {_WHAT} delete object: {exc.message}"
        return ""

    if errors := [error for error in session.world.pool.map(delete, uids) if error]:
        return errors
    with resting():
        left = prune.wait_until_gone(
            uids, observer, session.world.clock, timeout=timeout, stopped=session.stopped
        )
    return [
        f"{ref} {_WHAT} wait for object to be deleted: after {timeout:g} s {why}"
        for ref, why in sorted(left.items())
    ]
