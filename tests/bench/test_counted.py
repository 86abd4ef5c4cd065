"""That requests are counted whole, by user and by verb, and that the bare loop sends what it says."""

from __future__ import annotations

import uuid

import pytest

from tests.bench import manifests, wire
from tests.bench.counted import counted
from tests.bench.measure import BenchError
from tests.cluster import ControlPlane
from tests.cluster.control_plane import MASTERS

pytestmark = pytest.mark.cluster
SPACES = "/api/v1/namespaces"


def test_the_requests_of_one_user_meanwhile_and_no_others(control_plane: ControlPlane) -> None:
    name = f"counted-{uuid.uuid4().hex[:8]}"
    user, other = (control_plane.api(each, [MASTERS]) for each in (name, f"{name}-other"))
    user.get(SPACES)
    with counted(control_plane, name) as requests:
        user.get(SPACES)
        user.get(f"{SPACES}/default")
        user.request("POST", f"{SPACES}?dryRun=All", manifests.namespace(name))
        other.get(SPACES)
    assert requests.verbs == {"LIST": 1, "GET": 1, "DRYRUN": 1}
    assert requests.all == 3


def test_nothing_counted_is_nothing_measured(control_plane: ControlPlane) -> None:
    with pytest.raises(BenchError, match="no request of nobody"), counted(control_plane, "nobody"):
        pass


def test_the_bare_loop_dry_runs_and_applies_every_object(control_plane: ControlPlane) -> None:
    name = f"loop-{uuid.uuid4().hex[:8]}"
    control_plane.api().request("POST", SPACES, manifests.namespace(name))
    objects = [wire.sendable(each) for each in manifests.applications(name, 2)]
    assert wire.dry_runs_and_applies(control_plane, objects, threads=2) > 0
    for path, _ in objects:
        live = control_plane.api().get(path)
        assert live.status == 200
    away = [wire.sendable(each) for each in manifests.application(f"{name}-gone", "nowhere")]
    with pytest.raises(BenchError, match=r"the bare loop: .*/nowhere.* 404"):
        wire.dry_runs_and_applies(control_plane, away, threads=1)
