"""What becomes of objects between two sides, where a Kustomization goes to another cluster."""

from __future__ import annotations

import pytest

from runner.affected import Sides
from runner.discover import parse
from runner.effects import effects
from runner.fleet import Fleet, Rendering, Unit
from runner.model import Action

ROOT = "flux-system/flux-system"
SPOKE = {"kubeConfig": {"secretRef": {"name": "spoke"}}}


def config(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps"}}


def unit(name, *objects, parent=ROOT, **spec):
    given = {"interval": "10m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "x"}, **spec}
    k = parse(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": given,
        }
    )
    return Unit(k, parent, Rendering(objects=objects, shown=objects))


def fleet(*units):
    return Fleet(ROOT, {each.id: each for each in (unit("flux-system", parent=""), *units)})


def told(before, after):
    sides = Sides(fleet(*before), fleet(*after))
    changes = effects(sides, [id_ for id_ in sides.ids if id_ != ROOT])
    return [(c.kustomization.partition("/")[2], c.ref.name, c.action, c.reason) for c in changes]


def test_an_object_moves_within_one_cluster_only():
    a, b = config("a"), config("b")
    assert told([unit("web", a)], [unit("web"), unit("api", a)]) == [
        ("api", "a", Action.MOVED, "from flux-system/web")
    ]
    apart = told([unit("web", a, b)], [unit("web", b), unit("api", a, **SPOKE)])
    assert apart == [("api", "a", Action.CREATED, ""), ("web", "a", Action.DELETED, "")]


@pytest.mark.parametrize(("before", "after"), [({}, SPOKE), (SPOKE, {})])
def test_one_that_goes_to_another_cluster_makes_all_of_it_anew_and_leaves_the_old_behind(before, after):
    a = config("a")
    assert told([unit("web", a, **before)], [unit("web", replace_value(a), **after)]) == [
        ("web", "a", Action.CREATED, ""),
        ("web", "a", Action.SKIPPED, "left behind: its Kustomization goes to another cluster"),
    ]


def replace_value(manifest):
    return {**manifest, "data": {"key": "new"}}


def test_in_its_own_cluster_an_object_is_compared_as_ever():
    a = config("a")
    assert told([unit("web", a, **SPOKE)], [unit("web", a, **SPOKE)]) == []
    (only,) = told([unit("web", a, **SPOKE)], [unit("web", replace_value(a), **SPOKE)])
    assert only == ("web", "a", Action.CONFIGURED, "")


def test_children_of_one_that_goes_to_another_cluster_are_left_alone():
    child = unit("child", config("a"), parent="flux-system/web")
    assert told([unit("web"), child], [unit("web", **SPOKE)]) == []
    assert told([unit("web"), child], [unit("web")]) == [("child", "a", Action.DELETED, "")]
