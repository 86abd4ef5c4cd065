"""Objects that cannot be changed and are made anew: `spec.force` and the marker `force: enabled`. Pure.

Flux deletes at any refusal that it takes for one of these, invalid objects included. Here an object goes only
when the server says that what is wanted cannot be changed, and would take it as a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.errors import ClusterError
from runner.markers import marked
from runner.model import Manifest

_IMMUTABLE = re.compile(
    r"is\simmutable|immutable\sfield"  # the expressions of fluxcd/pkg/ssa/errors
    # What older API servers say of StatefulSets, Pods, role bindings, PriorityClasses and Services:
    r"|updates to statefulset spec for fields other than|pod updates may not change fields other than"
    r"|cannot change roleRef|may not be changed in an update|may not change once set"
)


def forced(manifest: Manifest, live: Manifest) -> bool:
    """Whether a marker, on the desired or on the live object, lets it be made anew."""
    return marked(manifest, "force", "enabled") or marked(live, "force", "enabled")


def is_immutable(refusal: ClusterError) -> bool:
    """Whether the server refuses a change because there can be none, whatever else may be wrong too."""
    return bool(_IMMUTABLE.search(refusal.message))


def reason(refusal: ClusterError) -> str:
    """What is said of an object that is made anew; without values, which may be secret."""
    fields = ", ".join(dict.fromkeys(refusal.fields))
    return (
        f"made anew (force): {fields} cannot be changed" if fields else "made anew (force): it is immutable"
    )


def trial(manifest: Manifest, live: Manifest) -> Manifest:
    """What to try a creation with while the live object is still there.

    A name that is taken is looked at last, so the same name will do. A Service's addresses and ports are
    looked at before: those that the live one holds are free once it is gone, so they are left out.
    """
    if (manifest["apiVersion"], manifest["kind"]) != ("v1", "Service"):
        return manifest
    before, spec = live.get("spec") or {}, manifest.get("spec")
    if not isinstance(spec, Mapping):
        return manifest
    held = ("clusterIP", "clusterIPs", "healthCheckNodePort")
    rest = {name: value for name, value in spec.items() if name not in held or value != before.get(name)}
    if isinstance(rest.get("ports"), list):
        taken = {port.get("nodePort") for port in before.get("ports") or ()}
        rest["ports"] = [_free(port, taken) for port in rest["ports"]]
    return {**manifest, "spec": rest}


def _free(port: Any, taken: set[Any]) -> Any:  # noqa: ANN401 -- JSON
    if not isinstance(port, Mapping) or port.get("nodePort") not in taken:
        return port
    return {name: value for name, value in port.items() if name != "nodePort"}
