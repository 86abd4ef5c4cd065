"""May this run touch this cluster at all?"""

from __future__ import annotations

import pytest
import yaml

from runner import admission
from runner.discover import parse
from runner.errors import ClusterError, GuardError, Superseded
from runner.model import FLUX, State
from runner.state import Deployment, Record
from tests.fakes.cluster import FakeCluster

ME = {"server": "https://s", "repository": "github.com/a/fleet", "entry": "clusters/production"}
NEWER, OLDER = "b" * 40, "a" * 40


@pytest.mark.parametrize(
    ("record", "takeover"),
    [
        pytest.param(None, False, id="nobody deployed here"),
        pytest.param(Record("f/f", "github.com/a/fleet", "clusters/production"), False, id="we did"),
        pytest.param(Record("f/f", "github.com/b/fleet", "clusters/staging"), True, id="we take over"),
    ],
)
def test_a_root_may_be_deployed_when(record, takeover):
    admission.same_owner(record, **ME, takeover=takeover)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(Record("f/f", "github.com/b/fleet", "clusters/production"), id="another repository"),
        pytest.param(Record("f/f", "github.com/a/fleet", "clusters/staging"), id="another entry"),
        pytest.param(Record("f/f"), id="nobody knows who"),
    ],
)
def test_a_root_that_somebody_else_deployed_is_left_alone(record):
    with pytest.raises(GuardError, match=r"^https://s is deployed from ") as caught:
        admission.same_owner(record, **ME, takeover=False)
    assert "--takeover" in caught.value.hint


RUNNING = yaml.safe_load("""
apiVersion: apps/v1
kind: Deployment
metadata:
  {namespace: gitops, name: kustomize-controller, labels: {app.kubernetes.io/component: kustomize-controller}}
status: {availableReplicas: 1}
""")
STOPPED = {**RUNNING, "status": {"availableReplicas": 0}}
OTHER = {**RUNNING, "metadata": {"namespace": "x", "name": "web", "labels": {}}}


def kustomization(name="apps", *, suspend=False, seen=True, generation=1, observed=1, ready="True"):
    return {
        "apiVersion": f"{FLUX}/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": "flux-system", "name": name, "generation": generation},
        "spec": {"suspend": suspend},
        "status": {
            "observedGeneration": observed,
            "conditions": [{"type": "Ready", "status": ready}] if seen else [],
        },
    }


def cluster(*manifests, flux=True):
    made = FakeCluster()
    if flux:
        made.serve(FLUX, "Kustomization")
    return made.put(*manifests)


ALONE = [
    pytest.param(cluster(RUNNING, flux=False), id="the cluster knows no Kustomizations"),
    pytest.param(cluster(RUNNING, kustomization("theirs")), id="it reconciles others only"),
    pytest.param(cluster(RUNNING, kustomization(suspend=True)), id="ours are suspended"),
    pytest.param(cluster(RUNNING, kustomization(seen=False)), id="it has never looked at ours"),
    pytest.param(cluster(STOPPED, OTHER, kustomization()), id="it does not run"),
    pytest.param(cluster(kustomization()), id="it is not there"),
]


@pytest.mark.parametrize("live", ALONE)
def test_a_run_goes_on_while_no_controller_reconciles_the_same(live):
    admission.no_live_controller(live, "flux-system/flux-system", ["flux-system/apps"])


def test_a_live_controller_that_reconciles_the_same_is_refused():
    live = cluster(RUNNING, kustomization("apps"), kustomization("theirs"))
    with pytest.raises(GuardError) as caught:
        admission.no_live_controller(live, "flux-system/flux-system", ["flux-system/apps"])
    assert caught.value.message == (
        "Deployment/gitops/kustomize-controller is running and reconciles flux-system/apps too"
    )
    assert "suspend flux-system/flux-system" in caught.value.hint


def test_a_controller_that_cannot_be_seen_is_taken_as_running():
    live = cluster(kustomization())
    live.unlisted["apps", "Deployment"] = ClusterError("deployments is forbidden", code=403)
    with pytest.raises(GuardError, match=r"it cannot be told whether .* running: deployments is forbidden"):
        admission.no_live_controller(live, "flux-system/flux-system", ["flux-system/apps"])


YES, NO, UNKNOWN = True, False, None


def history(answer):
    def is_ancestor(older, newer):
        assert (older, newer) == (OLDER, NEWER), "asked whether this run's commit is in the deployed one"
        return answer

    return is_ancestor


def never(*_):
    raise AssertionError


DEPLOYED = Deployment("main@sha1:bbb", NEWER, done=True, started_at=1.0)
DEPLOYING = Deployment("main@sha1:bbb", NEWER, done=False, started_at=1.0)


@pytest.mark.parametrize(
    ("deployment", "commit", "is_ancestor", "allow_older"),
    [
        pytest.param(None, OLDER, never, False, id="nothing was deployed"),
        pytest.param(DEPLOYED, NEWER, never, False, id="the same commit was deployed"),
        pytest.param(DEPLOYING, NEWER, never, False, id="the same commit is being deployed"),
        pytest.param(DEPLOYED, OLDER, history(NO), False, id="the other lacks it"),
        pytest.param(DEPLOYED, OLDER, never, True, id="going back is wanted"),
    ],
)
def test_a_commit_may_be_deployed_when(deployment, commit, is_ancestor, allow_older):
    admission.not_superseded(deployment, commit, is_ancestor, allow_older=allow_older)


@pytest.mark.parametrize(
    ("deployment", "answer", "message"),
    [
        pytest.param(DEPLOYED, True, "is older than main@sha1:bbb, which is deployed", id="it is older"),
        pytest.param(
            DEPLOYING, True, "is older than main@sha1:bbb, which is being deployed", id="it is older still"
        ),
        pytest.param(DEPLOYED, None, "may be older than main@sha1:bbb", id="nobody can tell"),
    ],
)
def test_a_commit_that_comes_late_is_superseded(deployment, answer, message):
    with pytest.raises(Superseded, match=f"^{OLDER[:12]} {message}") as caught:
        admission.not_superseded(deployment, OLDER, history(answer), allow_older=False)
    assert "--allow-older" in caught.value.hint


def branch_has(answer):
    def is_in(branch):
        assert branch == "release/1"
        return answer

    return is_in


def builds_on(answer):
    def is_ancestor(older, newer):
        assert (older, newer) == (NEWER, OLDER), "asked whether this run's commit contains the deployed one"
        return answer

    return is_ancestor


REF = "refs/heads/release/1"


@pytest.mark.parametrize(
    ("ref", "deployment", "is_in", "is_ancestor", "allow_older"),
    [
        pytest.param(REF, DEPLOYED, branch_has(YES), never, False, id="the branch has it"),
        pytest.param(REF, DEPLOYED, never, never, True, id="going back is wanted"),
        pytest.param("", DEPLOYED, never, never, False, id="no workflow asks"),
        pytest.param("refs/tags/v1", DEPLOYED, never, never, False, id="it is no branch"),
        pytest.param(REF, None, branch_has(UNKNOWN), never, False, id="nobody can tell, and it is the first"),
        pytest.param(
            REF,
            DEPLOYED,
            branch_has(UNKNOWN),
            builds_on(YES),
            False,
            id="nobody can tell, but it goes forward",
        ),
    ],
)
def test_a_commit_of_a_branch_may_be_deployed_when(ref, deployment, is_in, is_ancestor, allow_older):
    admission.still_in_branch(ref, OLDER, deployment, is_in, is_ancestor, allow_older=allow_older)


@pytest.mark.parametrize(
    ("deployment", "answer", "forward", "message"),
    [
        pytest.param(None, NO, UNKNOWN, "is no longer in release/1", id="before anything was deployed"),
        pytest.param(DEPLOYED, NO, UNKNOWN, "is no longer in release/1", id="after another was"),
        pytest.param(
            DEPLOYED, UNKNOWN, NO, "may no longer be in release/1", id="nobody can tell, nor forward"
        ),
        pytest.param(
            DEPLOYED, UNKNOWN, UNKNOWN, "may no longer be in release/1", id="nobody can tell anything"
        ),
    ],
)
def test_a_commit_that_was_thrown_away_is_superseded(deployment, answer, forward, message):
    with pytest.raises(Superseded, match=f"^{OLDER[:12]} {message}") as caught:
        admission.still_in_branch(
            REF, OLDER, deployment, branch_has(answer), builds_on(forward), allow_older=False
        )
    assert "--allow-older" in caught.value.hint


def recorded(state):
    return {"flux-system/apps": Record("flux-system/apps", state=state)}


DEPENDENT = parse(
    {
        "apiVersion": f"{FLUX}/v1",
        "kind": "Kustomization",
        "metadata": {"name": "web", "namespace": "team", "labels": {"version": "2"}},
        "spec": {"interval": "1m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}},
    }
)
NOT_READY = "dependency 'flux-system/apps' is not ready"
DEPENDENCIES = [
    pytest.param(recorded(State.READY), cluster(), "", id="recorded as ready"),
    pytest.param(recorded(State.FAILED), cluster(), NOT_READY, id="recorded as failed"),
    pytest.param(recorded(None), cluster(), NOT_READY, id="recorded as begun"),
    pytest.param(
        recorded(State.FAILED), cluster(kustomization()), NOT_READY, id="our record counts, not Flux's"
    ),
    pytest.param({}, cluster(kustomization()), "", id="ready by Flux"),
    pytest.param({}, cluster(kustomization(ready="False")), NOT_READY, id="not ready by Flux"),
    pytest.param({}, cluster(kustomization(generation=2)), NOT_READY, id="changed since Flux saw it"),
    pytest.param({}, cluster(kustomization(seen=False)), NOT_READY, id="never seen by Flux"),
]


@pytest.mark.parametrize(("records", "live", "why"), DEPENDENCIES)
def test_a_dependency_outside_the_run_is(records, live, why):
    assert admission.dependency("flux-system/apps", "", DEPENDENT, records, live) == why


OBSERVED = "dep.metadata.generation == dep.status.observedGeneration"
VERSION = "dep.metadata.labels['version'] == self.metadata.labels['version']"
BY_EXPRESSION = f"{NOT_READY} according to readyExpr eval"
NO_LABEL = (
    f"dependency 'flux-system/apps': failed to evaluate the CEL expression '{VERSION}': no such key: labels"
)


@pytest.mark.parametrize(
    ("records", "live", "expression", "why"),
    [
        pytest.param(recorded(State.READY), cluster(), OBSERVED, "", id="true of what is recorded"),
        pytest.param(recorded(State.FAILED), cluster(), OBSERVED, BY_EXPRESSION, id="false of that"),
        pytest.param(recorded(State.FAILED), cluster(), "true", "", id="Flux's own rule is replaced"),
        pytest.param(recorded(State.READY), cluster(), VERSION, NO_LABEL, id="it cannot be told"),
        pytest.param({}, cluster(kustomization()), OBSERVED, "", id="true of what Flux wrote"),
        pytest.param(
            {}, cluster(kustomization(generation=2)), OBSERVED, BY_EXPRESSION, id="false of that too"
        ),
    ],
)
def test_an_expression_decides_about_a_dependency_outside_the_run(records, live, expression, why):
    assert admission.dependency("flux-system/apps", expression, DEPENDENT, records, live) == why


@pytest.mark.parametrize("flux", [True, False])
def test_a_dependency_that_is_nowhere_is_named(flux):
    why = admission.dependency(
        "team/web", "", DEPENDENT, recorded(State.READY), cluster(kustomization(), flux=flux)
    )
    assert why.startswith("dependency 'team/web' not found")


def test_outside_are_the_kustomizations_that_others_recorded_or_applied():
    records = {"a/recorded": Record("a/recorded"), "a/mine": Record("a/mine")}
    live = cluster(kustomization("apps"), kustomization("mine"))
    mine = ["a/mine", "flux-system/mine"]
    assert admission.outside(live, records, mine) == {"a/recorded", "flux-system/apps"}
    assert admission.outside(cluster(flux=False), records, mine) == {"a/recorded"}
