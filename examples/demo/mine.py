"""The reader's own cluster: asked for, checked, and left as it was."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Iterator

from examples.demo.clusters import Target
from examples.demo.repository import Repository
from examples.demo.terminal import DemoError, say
from runner.clients.kubernetes import KubernetesCluster, connect
from runner.model import FLUX, Manifest, ResourceRef
from tests.cluster import wait_until

IMAGE = "registry.k8s.io/pause:3.10"
IMAGES = (
    "registry.example/school/gradebook-controller",
    "registry.example/school/node-agent",
    "registry.example/grades/api",
    "registry.example/grades/db",
    "registry.example/grades/web",
)
RBAC = "rbac.authorization.k8s.io"
# The namespace with the records goes last.
TOUCHED = (
    ResourceRef("", "grades", "", "Namespace", "v1"),
    ResourceRef("", "school-system", "", "Namespace", "v1"),
    ResourceRef("", "gradebook-controller", RBAC, "ClusterRoleBinding", "v1"),
    ResourceRef("", "gradebook-controller", RBAC, "ClusterRole", "v1"),
    ResourceRef("", "gradebooks.school.example", "apiextensions.k8s.io", "CustomResourceDefinition", "v1"),
    ResourceRef("", "flux-system", "", "Namespace", "v1"),
)
GONE_SECONDS = 180.0
PATCHES = """\
  patches:
    # It serves nothing that a probe could ask.
    - target: {kind: Deployment}
      patch: |
        - op: remove
          path: /spec/template/spec/containers/0/readinessProbe
"""


@contextlib.contextmanager
def mine() -> Iterator[Target]:
    """The cluster of KUBECONFIG's current context; everything that the demo made is deleted afterwards."""
    image = os.environ.get("DEMO_IMAGE") or IMAGE
    adapt = functools.partial(_adapt, image=image, renamed=_renamed(image))
    with contextlib.closing(connect(kubeconfig=None, context=None)) as cluster:
        say(f"Cluster: {cluster.server}, Kubernetes {cluster.version()}")
        say(f"Context: {cluster.context or '(the pod this runs in)'}")
        say("The demo makes, and deletes when it ends:")
        for ref in TOUCHED:
            say(f"  {ref}")
        _refuse_when_there(cluster)
        _confirm()
        _refuse_when_there(cluster)
        flags = ("--context", cluster.context) if cluster.context else ()
        try:
            yield Target(flags=flags, patience="30s", adapt=adapt)
        finally:
            _clean_up(cluster)


def _adapt(repository: Repository, *, image: str, renamed: str) -> None:
    """Run one image that exists in the place of the fleet's, which do not."""
    listed = "  images:\n" + "".join(f"    - {{name: {name}, {renamed}}}\n" for name in IMAGES)
    for file, name in (
        ("infrastructure.yaml", "infra-controllers"),
        ("apps.yaml", "grade-api"),
        ("apps.yaml", "grade-web"),
    ):
        path = f"clusters/staging/{file}"
        repository.edit(
            path, "  wait: true\n", "  wait: true\n" + listed + PATCHES, after=f"  name: {name}\n"
        )
    # Such an image never completes a Job.
    repository.edit("apps/base/grade-api/kustomization.yaml", "  - migration.yaml\n", "")
    say(f"Its images do not exist: it runs {image} instead, without probes and without the migration Job.")


def _renamed(image: str) -> str:
    name, digest, value = image.partition("@")
    if digest:
        return f'newName: "{name}", digest: "{value}"'
    name, colon, tag = image.rpartition(":")
    if not colon or "/" in tag:
        raise DemoError(f"DEMO_IMAGE={image}: has no tag; name one, such as {IMAGE}")
    return f'newName: "{name}", newTag: "{tag}"'


def _refuse_when_there(cluster: KubernetesCluster) -> None:
    there = [str(ref) for ref in TOUCHED if cluster.get(ref) is not None]
    if there:
        raise DemoError(
            f"the cluster has {', '.join(there)} already, so it is not the demo's to use; take another, "
            "or leave DEMO_CLUSTER out: then it starts a control plane of its own"
        )


def _confirm() -> None:
    if os.environ.get("DEMO_YES") == "1":
        return
    if not sys.stdin.isatty():
        raise DemoError("nobody is there to ask: set DEMO_YES=1 to use this cluster")
    say()
    try:
        answer = input("Use this cluster? Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        raise DemoError("not confirmed; nothing was written")


def _clean_up(cluster: KubernetesCluster) -> None:
    """Delete by name: pruning would keep the definitions and the namespace that holds the records."""
    say("\nDeleting what the demo made in the cluster; Ctrl-C leaves it there ...")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for ref in TOUCHED:
            if live := _made_here(cluster, ref):
                cluster.delete(ref, uid=live["metadata"]["uid"])
        wait_until(lambda: not _left(cluster), "the end of what the demo made", GONE_SECONDS)
    except BaseException:
        say("  was cut short; delete by hand what is left of:")
        for ref in TOUCHED:
            say(f"  {ref}")
        raise
    say("  all of it is gone.")


def _left(cluster: KubernetesCluster) -> list[ResourceRef]:
    return [ref for ref in TOUCHED if _made_here(cluster, ref)]


def _made_here(cluster: KubernetesCluster, ref: ResourceRef) -> Manifest | None:
    """The object, unless somebody else made one of that name meanwhile."""
    live = cluster.get(ref)
    labels = live["metadata"].get("labels") or {} if live else {}
    return live if ref.name == "flux-system" or f"{FLUX}/name" in labels else None
