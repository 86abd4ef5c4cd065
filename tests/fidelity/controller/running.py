"""The controller as a process of its own, and what it makes of the Kustomizations of a namespace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster import wait_until
from tests.e2e import fluxed
from tests.e2e.fluxed import SOURCES
from tests.e2e.harness import Bench

USER = "the-controller"
SECONDS = 240.0
_FLAGS = (
    "--metrics-addr=127.0.0.1:0",
    "--health-addr=127.0.0.1:0",
    "--requeue-dependency=1s",  # by default 30 s a link
    "--concurrent=8",
    "--no-remote-bases=true",
)
_UNUSED = {"ocirepositories": "OCIRepository", "buckets": "Bucket"}


def serve(world: Bench) -> None:
    """Flux's definitions, the namespace, and the kinds that the controller watches and no test has."""
    fluxed.serve(world.api)
    for plural, kind in _UNUSED.items():
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        assert world.api.request("POST", path, _definition(plural, kind)).status == 201
        wait_until(lambda p=plural: world.get(f"/apis/{SOURCES}/v1/{p}"), f"{plural} are served")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}}
    assert world.api.request("POST", "/api/v1/namespaces", space).status == 201


def _definition(plural: str, kind: str) -> dict[str, Any]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{SOURCES}"},
        "spec": {
            "group": SOURCES,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


@contextmanager
def running(program: Path, world: Bench, directory: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """Let the controller work on a cluster until the end of the context; then it is gone.

    The last of two equal flags counts.
    """
    kubeconfig = directory / "controller.kubeconfig"
    shutil.copy(world.plane.user_kubeconfig(USER, ["system:masters"]), kubeconfig)
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": os.environ["PATH"],
        "RUNTIME_NAMESPACE": world.namespace,
    }
    log = directory / "controller.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program, *_FLAGS, *flags],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
        assert process.poll() is None, f"the controller ended with {process.returncode}:\n{log.read_text()}"
    finally:
        process.terminate()
        process.wait()


def settled(world: Bench, revision: str, *, failing: Mapping[str, str] | None = None) -> None:
    """Wait until the controller is through with a revision: all ready, or failed for the reason given."""

    def left() -> list[str]:
        items = world.get(fluxed.path(world))["items"]
        waited = [i for i in items if not i["spec"].get("suspend")]
        return [i["metadata"]["name"] for i in waited if not is_done(i, revision, failing or {})]

    try:
        wait_until(lambda: not left(), "every Kustomization is settled", seconds=SECONDS)
    except Exception as error:
        said = {name: fluxed.status(world, name).get("conditions") for name in left()}
        raise AssertionError(f"the controller is not through: {said}") from error


def is_done(live: Mapping[str, Any], revision: str, failing: Mapping[str, str]) -> bool:
    """Whether a Kustomization is ready at a revision, or failed for the reason given for it."""
    status = live.get("status") or {}
    ready = fluxed.condition(status, "Ready") or {}
    if reason := failing.get(live["metadata"]["name"]):
        waits = re.fullmatch(r"dependency '[^/]+/(.+)' is not ready", ready.get("message", ""))
        passing = waits is not None and waits[1] not in failing  # it looks again in a second
        return (ready.get("status"), ready.get("reason")) == ("False", reason) and not passing
    current = status.get("observedGeneration") == live["metadata"]["generation"]
    return ready.get("status") == "True" and current and status.get("lastAppliedRevision") == revision
