"""What a commit of a repository wants, found with git and the real flux alone.

The files are those of the commit without symlinks and what `.sourceignore` excludes, as git reads such
patterns. From the entry on, every Kustomization is rendered by `flux build kustomization`, and the next ones
are read out of what it prints; so are the ConfigMaps and Secrets of `substituteFrom`, whose values take the
place of a cluster. That is repeated until nothing new comes out.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.fidelity.cli import Failure, Flux

GROUP = "kustomize.toolkit.fluxcd.io/"
INTERESTING = {"Kustomization", "ConfigMap", "Secret", "OCIRepository", "Bucket"}
EXCLUDED = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip", ".github/", ".circleci/"),
    *(".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-*.yml"),
    *(".goreleaser.yml", ".goreleaser.brew.yml", ".sops.yaml", ".flux.yaml"),
)
"""What source-controller leaves out whatever the ignore files say."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """One Kustomization of a commit: its object, and what flux printed; None where that is nothing."""

    manifest: Manifest = field(repr=False)
    parent: str = ""
    output: str | Failure | None = field(default=None, repr=False)
    known: bool = True  # whether its files are in this repository

    @property
    def spec(self) -> str:
        return json.dumps(self.manifest["spec"], sort_keys=True)

    @property
    def rendered(self) -> bool:
        return isinstance(self.output, str)


def export(repository: Path, commit: str, target: Path) -> None:
    """Write the files of a commit that a source's artifact would have."""
    target.mkdir()
    own = {**os.environ, "GIT_INDEX_FILE": f"{target}.index"}
    git = ["git", "-C", str(repository), "-c", "core.autocrlf=false"]
    subprocess.run([*git, "read-tree", commit], env=own, check=True)
    subprocess.run([*git, "checkout-index", "-a", f"--prefix={target}/"], env=own, check=True)
    for path in [path for path in target.rglob("*") if path.is_symlink()]:
        path.unlink()
    bare = ["git", f"--git-dir={target}.git", f"--work-tree={target}"]
    subprocess.run([*bare, "init", "--quiet"], check=True)
    patterns = ["--exclude-per-directory=.sourceignore", *(f"--exclude={each}" for each in EXCLUDED)]
    listing = [*bare, "ls-files", "-z", "--others", "--ignored", *patterns]
    for name in subprocess.run(listing, cwd=target, capture_output=True, check=True).stdout.split(b"\0")[:-1]:
        (target / os.fsdecode(name)).unlink()


@dataclass
class Commit:
    """Every Kustomization of an entry at one commit; `built` remembers what flux printed for equal input."""

    flux: Flux
    files: Path
    entry: str
    threads: ThreadPoolExecutor
    root: str = "flux-system/flux-system"
    built: dict[str, str | Failure] = field(default_factory=dict)

    def units(self) -> dict[str, Seen]:
        if not (self.files / self.entry).is_dir():
            return {}
        units = {self.root: Seen(self._root())}
        while True:
            values = variables(units)
            done = self.threads.map(partial(self._rendered, units, values), units.values())
            found = self._found(dict(zip(units, done, strict=True)))
            if found == units:
                return units
            units = found

    def _root(self) -> Manifest:
        namespace, _, name = self.root.partition("/")
        source = {"kind": "GitRepository", "name": name}
        return {
            "apiVersion": f"{GROUP}v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"interval": "10m", "path": f"./{self.entry}", "prune": True, "sourceRef": source},
        }

    def _rendered(self, units: Mapping[str, Seen], values: Mapping[Any, Any], seen: Seen) -> Seen:
        spec = seen.manifest["spec"]
        if spec.get("suspend"):
            return Seen(seen.manifest, seen.parent)
        if spec["sourceRef"]["kind"] != "GitRepository":
            return Seen(seen.manifest, seen.parent, _source(spec["sourceRef"], units), known=False)
        manifest, complete = inlined(seen.manifest, values)
        key = json.dumps(manifest, sort_keys=True)
        if key not in self.built:
            path = os.path.normpath(f"/{spec.get('path', '')}").lstrip("/")
            namespace = ["--namespace", manifest["metadata"].get("namespace", "")]
            self.built[key] = self.flux.build(self.files, path, manifest, *namespace, strict=complete)
        return Seen(seen.manifest, seen.parent, self.built[key])

    def _found(self, done: Mapping[str, Seen]) -> dict[str, Seen]:
        """The Kustomizations in what was printed, from the root on; the root's own object counts."""
        own = [m for m in kustomizations(done[self.root]) if identity(m) == self.root]
        found = {self.root: Seen((own or [done[self.root].manifest])[0], "", done[self.root].output)}
        front = [self.root]
        while front:
            parent = front.pop(0)
            for manifest in kustomizations(done[parent]) if parent in done else ():
                id_ = identity(manifest)
                if id_ not in found:
                    old = done.get(id_, Seen(manifest))
                    found[id_] = Seen(manifest, parent, old.output, old.known)
                    front.append(id_)
        return found


def identity(manifest: Manifest) -> str:
    return f"{manifest['metadata'].get('namespace', '')}/{manifest['metadata']['name']}"


def kustomizations(seen: Seen) -> list[Manifest]:
    return [m for m in documents(seen) if m["kind"] == "Kustomization" and m["apiVersion"].startswith(GROUP)]


def documents(seen: Seen) -> Iterator[Manifest]:
    """The objects of a kind that matters here; the others may be large."""
    for text in seen.output.split("---\n") if seen.known and isinstance(seen.output, str) else ():
        kind = next((line[6:].strip() for line in text.splitlines() if line.startswith("kind: ")), "")
        if kind in INTERESTING:
            yield yaml.safe_load(text)


def variables(units: Mapping[str, Seen]) -> dict[tuple[str, str], dict[str, str]]:
    """What every ConfigMap and Secret holds, by kind and identity."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for seen in units.values():
        for manifest in documents(seen):
            if manifest["kind"] in {"ConfigMap", "Secret"}:
                data = manifest.get("data") or {}
                if manifest["kind"] == "Secret":
                    data = {key: base64.b64decode(value).decode() for key, value in data.items()}
                texts = {**data, **(manifest.get("stringData") or {})}
                found[manifest["kind"], identity(manifest)] = texts
    return found


def inlined(manifest: Manifest, values: Mapping[tuple[str, str], Mapping[str, str]]) -> tuple[Manifest, bool]:
    """The Kustomization with its variables in place, as far as Git has them, and whether it has them all."""
    post_build = manifest["spec"].get("postBuild")
    if post_build is None:
        return manifest, True
    namespace, together, complete = manifest["metadata"].get("namespace", ""), {}, True
    for source in post_build.get("substituteFrom") or ():
        found = values.get((source["kind"], f"{namespace}/{source['name']}"))
        together |= found or {}
        complete = complete and found is not None
    together |= post_build.get("substitute") or {}
    return {**manifest, "spec": {**manifest["spec"], "postBuild": {"substitute": together}}}, complete


def _source(reference: Mapping[str, str], units: Mapping[str, Seen]) -> str:
    """What Git has of a source whose files it has not."""
    found = [
        json.dumps(manifest["spec"], sort_keys=True)
        for seen in units.values()
        for manifest in documents(seen)
        if manifest["kind"] == reference["kind"] and manifest["metadata"]["name"] == reference["name"]
    ]
    return "\n".join(found)
