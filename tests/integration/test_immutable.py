"""What is said to be immutable is refused by a real API server, and nothing else is."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from runner.clients.kubernetes import KubernetesCluster, connect
from runner.errors import ClusterError
from runner.model import Manifest, ResourceRef
from tests.cluster import ControlPlane, wait_until
from tests.unit.immutables import EDITS, Edit, manifests

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[KubernetesCluster]:
    with closing(connect(kubeconfig=str(control_plane.kubeconfig), context=None)) as connected:
        yield connected


@pytest.fixture(scope="module")
def namespace(cluster: KubernetesCluster) -> str:
    name = f"immutable-{uuid.uuid4().hex[:6]}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = ResourceRef(name, "default", "", "ServiceAccount", "v1")
    wait_until(lambda: cluster.get(account), "the ServiceAccount that every Pod runs as")
    return name


def established(cluster: KubernetesCluster, definition: Manifest) -> bool:
    """Whether its names are accepted: from then on some of it cannot be changed."""
    status = (cluster.get(ResourceRef.of(definition)) or {}).get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return conditions.get("Established") == "True"


@pytest.mark.parametrize("edit", [pytest.param(edit, id=edit.id) for edit in EDITS])
def test_the_api_server_refuses_what_cannot_be_changed(
    cluster: KubernetesCluster, namespace: str, edit: Edit
) -> None:
    # Kinds without a namespace share one: a name of its own for each.
    name = f"{re.sub('[^a-z]', '', edit.id)}{uuid.uuid4().hex[:6]}"
    before, after = manifests(edit, name, namespace)
    made = cluster.apply(before).manifest
    if before["kind"] == "CustomResourceDefinition":
        wait_until(lambda: established(cluster, before), f"{name} established")
    if edit.fixed:
        with pytest.raises(ClusterError) as refused:
            cluster.apply(after, dry_run=True)
        assert re.search("immutable|may not (be )?change|only be modified in tandem", refused.value.message)
    else:
        cluster.apply(after, dry_run=True)
    cluster.delete(ResourceRef.of(before), uid=made["metadata"]["uid"])


def test_the_api_server_refuses_to_drop_the_version_that_is_stored(
    cluster: KubernetesCluster, namespace: str
) -> None:
    edit = next(edit for edit in EDITS if edit.id == "definition short name")
    before, _ = manifests(edit, f"dropped{uuid.uuid4().hex[:6]}", namespace)
    made = cluster.apply(before).manifest
    ref = ResourceRef.of(before)
    wait_until(lambda: established(cluster, before), f"{ref} established")
    spec = before["spec"]
    after = {**before, "spec": {**spec, "versions": [{**spec["versions"][0], "name": "v2"}]}}
    with pytest.raises(ClusterError, match="storedVersions"):
        cluster.apply(after, dry_run=True)
    cluster.delete(ref, uid=made["metadata"]["uid"])
