"""Our objects as `flux build kustomization` prints them.

It does to objects what the controller does later, or never; the worker leaves all of it to others. This is
the whole list of what has to be evened out before texts are compared:

* the owner labels, and `spec.commonMetadata`, are put on every object; that one goes through Kubernetes'
  own accessors, to which null is an empty text and any other value that is no text spoils the whole map;
* what looks like SOPS in a Secret is masked: no Secret here does;
* after the last document, too, there is a `---`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.ports import Builder
from runner.rendered import BuildRequest, Built
from tests.fidelity.cli import Failure, Flux

GROUP = "kustomize.toolkit.fluxcd.io"


@dataclass(frozen=True)
class Case:
    """One Kustomization to render: its tree, and the variables that we give apart from it."""

    root: Path
    path: str
    kustomization: Mapping[str, Any]

    @property
    def request(self) -> BuildRequest:
        post_build = self.kustomization["spec"].get("postBuild") or {}
        return BuildRequest(
            self.root, self.path, self.kustomization, variables=post_build.get("substitute") or {}
        )


def as_printed(found: Mapping[str, Any], kustomization: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the metadata that the CLI adds."""
    printed = copy.deepcopy(dict(found))
    metadata = printed["metadata"]
    owner = kustomization["metadata"]
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        f"{GROUP}/name": owner["name"],
        f"{GROUP}/namespace": owner["namespace"],
    }
    common = kustomization["spec"].get("commonMetadata")
    for field in () if common is None else ("labels", "annotations"):
        if values := {**_texts(metadata.get(field) or {}), **common.get(field, {})}:
            metadata[field] = values
    return printed


def _texts(values: Mapping[str, Any]) -> Mapping[str, str]:
    if any(not isinstance(value, str | None) for value in values.values()):
        return {}
    return {key: value or "" for key, value in values.items()}


def printed(pool: Builder, case: Case, built: Built) -> str:
    """What the CLI would print of our rendering."""
    assert built.problems == ()
    mine = [as_printed(resource.object, case.kustomization) for resource in built.resources]
    return pool.encode(mine) + "---\n" if mine else ""


def ours(pool: Builder, case: Case, *, library: bool = True) -> Built:
    """Our rendering, once it is the same as the library's own, slow one."""
    built = pool.build(case.request)
    if library:
        assert built == pool.build(replace(case.request, oracle=True))
    return built


def check(pool: Builder, flux: Flux, case: Case, *, library: bool = True) -> Built:
    """Render both ways and compare, as text and as data; gives our rendering."""
    with ThreadPoolExecutor(1) as meanwhile:
        asked = meanwhile.submit(flux.build, case.root, case.path, case.kustomization)
        built = ours(pool, case, library=library)
        theirs = asked.result()
    assert not isinstance(theirs, Failure), theirs.message
    assert printed(pool, case, built) == theirs
    read = pool.parse(theirs.encode(), "flux build")
    assert read.problems == ()
    mine = [as_printed(resource.object, case.kustomization) for resource in built.resources]
    assert mine == [found.object for found in read.objects]
    return built
