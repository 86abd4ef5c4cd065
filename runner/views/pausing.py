"""Pause Kustomizations, and resume them: by an annotation on their records.

No lock is taken: a run that writes the same record meanwhile keeps the annotation, and is not disturbed by
it. Flux's own objects are left alone; `spec.suspend` is what makes Flux stand aside.
"""

from __future__ import annotations

from collections.abc import Collection

from runner import state
from runner.errors import ClusterError, Refused, UsageError
from runner.model import Manifest
from runner.ports import Cluster
from runner.state import Pause

_ATTEMPTS = 5
_ANNOTATIONS = (state.PAUSED, state.PAUSED_BY, state.PAUSED_AT)


def pause(cluster: Cluster, names: Collection[str], why: Pause) -> tuple[str, ...]:
    """Pause them, or none when one is not on record; those that were not paused just so before."""
    return _change(cluster, names, why)


def resume(cluster: Cluster, names: Collection[str]) -> tuple[str, ...]:
    """Resume them, or none when one is not on record; those that were paused."""
    return _change(cluster, names, None)


def _change(cluster: Cluster, names: Collection[str], why: Pause | None) -> tuple[str, ...]:
    found = {name: _read(cluster, name) for name in sorted(names)}
    return tuple(name for name, record in found.items() if _write(cluster, name, record, why))


def _read(cluster: Cluster, name: str) -> Manifest:
    """The record's ConfigMap. Raises UsageError, GuardError or ClusterError."""
    live = cluster.get(state.config_map_ref(name))
    if live is None:
        raise UsageError(
            f"Kustomization {name} is not on record in {cluster.server}: there is nothing to pause or resume",
            hint="`kustodian get -o name` lists them; one that was never deployed is suspended in Git, by "
            "spec.suspend.",
        )
    state.decode(live)  # whatever else has this name is not ours to change
    return live


def _write(cluster: Cluster, name: str, live: Manifest, why: Pause | None) -> bool:
    """Whether anything had to be written."""
    for _ in range(_ATTEMPTS):
        before = live["metadata"].get("annotations") or {}
        if _says(before, why):
            return False
        rest = {key: text for key, text in before.items() if key not in _ANNOTATIONS}
        annotations = {**rest, **(why.annotations if why is not None else {})}
        try:
            cluster.replace({**live, "metadata": {**live["metadata"], "annotations": annotations}})
        except Refused as exc:
            if exc.reason != "Conflict":
                raise
            live = _read(cluster, name)
        else:
            return True
    raise ClusterError(f"the record of {name} could not be written: something else keeps changing it")


def _says(annotations: dict[str, str], why: Pause | None) -> bool:
    now = Pause.of(annotations)
    if now is None or why is None:
        return now is why
    return (now.reason, now.by) == (why.reason, why.by)
