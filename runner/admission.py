"""May this run touch this cluster at all? Checks that stop it before the first write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from runner import readiness
from runner.errors import ClusterError, GuardError, NotThisBranch, Superseded
from runner.model import FLUX, Kustomization, Manifest, ResourceRef, State
from runner.ports import Cluster
from runner.state import Deployment, Record

CONTROLLER = "kustomize-controller"


def same_owner(record: Record | None, *, server: str, repository: str, entry: str, takeover: bool) -> None:
    """A root that another repository or entry deployed is not ours to change.

    A wrong context must not prune staging with production's files. Raises GuardError.
    """
    if record is None or takeover or (record.repository, record.entry) == (repository, entry):
        return
    raise GuardError(
        f"{server} is deployed from {record.entry} of {record.repository}, not from {entry} of {repository}",
        hint="check the kubeconfig and the context; --takeover makes this entry the owner.",
    )


def no_live_controller(cluster: Cluster, root: str, wanted: Iterable[str]) -> None:
    """Two masters would undo each other's work: refuse while Flux reconciles the same Kustomizations.

    Raises GuardError; nothing overrides it.
    """
    if cluster.api(FLUX, "Kustomization") is None:
        return
    ours = set(wanted)
    reconciled = sorted(
        id_
        for item in cluster.list(FLUX, "Kustomization").items
        if (id_ := f"{item['metadata'].get('namespace')}/{item['metadata']['name']}") in ours
        and not (item.get("spec") or {}).get("suspend")
        and (item.get("status") or {}).get("conditions")
    )
    if not reconciled or not (running := _running_controllers(cluster)):
        return
    raise GuardError(
        f"{running[0]} is running and reconciles {', '.join(reconciled[:3])} too",
        hint=f"let one of them do it: suspend {root} (`flux suspend kustomization`), or scale the controller "
        "to zero.",
    )


def right_branch(ref: str, branches: Collection[str], source: Manifest | None, default: str) -> None:
    """Make sure that a workflow runs for what the cluster is deployed from; "" is not asked.

    Raises:
        NotThisBranch: it is another branch, or a tag.
    """
    if not ref:
        return
    wanted = ((source or {}).get("spec") or {}).get("ref") or {}
    if branches:
        allowed, why = {f"refs/heads/{name}" for name in branches}, "the input `branches` names"
    elif wanted.get("name"):
        allowed, why = {str(wanted["name"])}, "the root's source names"
    elif wanted.get("tag"):
        allowed, why = {f"refs/tags/{wanted['tag']}"}, "the root's source names"
    elif wanted.get("branch"):
        allowed, why = {f"refs/heads/{wanted['branch']}"}, "the root's source names"
    elif default:
        allowed, why = {f"refs/heads/{default}"}, "the default branch is"
    else:
        return
    if ref not in allowed:
        names = ", ".join(sorted(name.removeprefix("refs/heads/") for name in allowed))
        raise NotThisBranch(
            f"{ref.removeprefix('refs/heads/')} is not deployed to this cluster: {why} {names}",
            hint="the input `branches` chooses others.",
        )


def not_superseded(
    deployment: Deployment | None,
    commit: str,
    is_ancestor: Callable[[str, str], bool | None],
    *,
    allow_older: bool,
) -> None:
    """An older commit must not undo a newer one: a run that comes late has nothing to add.

    Raises Superseded, also when the history at hand cannot tell.
    """
    if deployment is None or allow_older or deployment.commit == commit:
        return
    stage = "deployed" if deployment.done else "being deployed"
    match is_ancestor(commit, deployment.commit):
        case True:
            raise Superseded(
                f"{commit[:12]} is older than {deployment.revision}, which is {stage}",
                hint="--allow-older goes back to it on purpose.",
            )
        case None:
            raise Superseded(
                f"{commit[:12]} may be older than {deployment.revision}, which is {stage}: "
                "the history at hand does not tell",
                hint="fetch the whole history (actions/checkout: fetch-depth: 0), or use --allow-older.",
            )
        case False:
            return


def still_in_branch(
    ref: str,
    commit: str,
    deployment: Deployment | None,
    is_in: Callable[[str], bool | None],
    is_ancestor: Callable[[str, str], bool | None],
    *,
    allow_older: bool,
) -> None:
    """After a forced push, a workflow of a commit that was thrown away can be run again: it comes late too.

    `is_in` tells whether a branch has the commit as it stands at origin. Where nobody can tell, only a
    commit that builds on the deployed one goes on. A `ref` that is no branch is not asked. Raises Superseded.
    """
    branch = ref.removeprefix("refs/heads/")
    if allow_older or branch == ref:
        return
    match is_in(branch):
        case True:
            return
        case False:
            raise Superseded(
                f"{commit[:12]} is no longer in {branch}: the branch was force-pushed, or reset, since",
                hint="run the workflow of the branch as it is now; --allow-older deploys this on purpose.",
            )
        case None:
            known = deployment.commit if deployment is not None else commit
            if known == commit or is_ancestor(known, commit):
                return
            raise Superseded(
                f"{commit[:12]} may no longer be in {branch}, and does not build on what is deployed: "
                "neither GitHub nor origin tells",
                hint="the token needs `contents: read`; --allow-older deploys the commit all the same.",
            )


def dependency(
    id_: str, expression: str, k: Kustomization, records: Mapping[str, Record], cluster: Cluster
) -> str:
    """Why a dependency of `k` outside this run does not count as ready; "" when it does.

    A `readyExpr` replaces Flux's own rule, and does not come on top of it.
    """
    namespace, _, name = id_.partition("/")
    not_ready = f"dependency '{id_}' is not ready"
    itself = readiness.begun(k.manifest)
    if (record := records.get(id_)) is not None:
        if expression:
            manifest = record.manifest or {"metadata": {"namespace": namespace, "name": name}}
            return readiness.why_not(expression, itself, readiness.recorded(manifest, record))
        return "" if record.state is State.READY else not_ready
    if cluster.api(FLUX, "Kustomization") is not None:
        live = cluster.get(ResourceRef(namespace, name, FLUX, "Kustomization", "v1"))
        if live is not None and expression:
            return readiness.why_not(expression, itself, live)
        if live is not None:
            return "" if _is_ready(live) else not_ready
    return f"dependency '{id_}' not found: it is neither in this run nor in the cluster"


def outside(cluster: Cluster, records: Mapping[str, Record], mine: Iterable[str]) -> frozenset[str]:
    """Kustomizations of this cluster that are not part of this entry."""
    others = set(records)
    if cluster.api(FLUX, "Kustomization") is not None:
        others |= {
            f"{item['metadata'].get('namespace')}/{item['metadata']['name']}"
            for item in cluster.list(FLUX, "Kustomization").items
        }
    return frozenset(others.difference(mine))


def _running_controllers(cluster: Cluster) -> list[str]:
    try:
        deployments = cluster.list("apps", "Deployment", selector=f"app.kubernetes.io/component={CONTROLLER}")
    except ClusterError as exc:
        raise GuardError(
            f"it cannot be told whether Flux's {CONTROLLER} is running: {exc.message}",
            hint="the credentials need to list Deployments in all namespaces.",
        ) from exc
    return [
        f"Deployment/{item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in deployments.items
        if ((item.get("status") or {}).get("availableReplicas") or 0) > 0
    ]


def _is_ready(live: Manifest) -> bool:
    status = live.get("status") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or []}
    generation = live["metadata"].get("generation")
    return conditions.get("Ready") == "True" and status.get("observedGeneration") == generation
