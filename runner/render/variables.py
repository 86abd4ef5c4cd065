"""Where a Kustomization's variables come from, and which are not known yet.

Source of the rules: kustomize-controller's post-build substitution (sources from top to bottom, then
the inline values; a ConfigMap's `data`, a Secret's decoded `data`).
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum

from runner import redact
from runner.fleet import Produced, Variables
from runner.model import FLUX, Kustomization, Manifest, PostBuild, ResourceRef, VariableSource
from runner.origins import origins


class NotRead(Enum):
    """Why a live source has no answer, where absence is not the reason."""

    NOT_READ = "not read"


Live = Callable[[VariableSource], Manifest | NotRead | None]
Raw = Callable[[ResourceRef], Manifest | None]
_LIVE_WINS = {"ssa": frozenset({"ifnotpresent", "merge", "ignore"}), "reconcile": frozenset({"disabled"})}


def resolve(k: Kustomization, desired: Mapping[ResourceRef, Produced], live: Live, raw: Raw) -> Variables:
    """Collect the variables of one Kustomization.

    A source comes from the desired state when a Kustomization of this run produces it, else from the
    cluster by `live`. One that the consumer itself produces is read before substitution, by `raw`:
    in a new cluster Flux would wait for it for ever.
    """
    found = _Collected()
    post_build = k.post_build or PostBuild()
    for source in post_build.substitute_from:
        produced = desired.get(source.ref)
        if produced is not None and produced.kustomization == k.id:
            found.warnings.append(
                f"{source} is produced by the Kustomization that reads it; in a new cluster Flux would "
                "never get past it, so its text in Git is used, before substitution"
            )
            found.add(source, raw(source.ref))
        elif produced is not None and not _live_wins(produced.object):
            found.producers.add(produced.kustomization)
            found.add(source, produced.object)
        else:
            found.live.append(source)
            answer = live(source)
            if produced is not None:
                found.producers.add(produced.kustomization)
                answer = answer or produced.object
            found.add(source, answer)
    found.inline(post_build.substitute)
    return replace(found.variables(), sources=origins(k.source, desired))


def _live_wins(manifest: Manifest) -> bool:
    """Whether Flux leaves the live object's values alone."""
    meta = manifest["metadata"]
    return any(
        str((meta.get(where) or {}).get(f"{FLUX}/{marker}", "")).lower() in values
        for where in ("labels", "annotations")
        for marker, values in _LIVE_WINS.items()
    )


class _Collected:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.origin: dict[str, VariableSource] = {}
        self.overridable: set[str] = set()
        self.missing: list[VariableSource] = []
        self.unread: list[VariableSource] = []
        self.live: list[VariableSource] = []
        self.producers: set[str] = set()
        self.warnings: list[str] = []
        self.problems: list[str] = []

    def add(self, source: VariableSource, answer: Manifest | NotRead | None) -> None:
        """Take a source's values over earlier ones; remember one that has no answer."""
        if answer is None and source.optional:
            return
        if answer is None or isinstance(answer, NotRead):
            (self.missing if answer is None else self.unread).append(source)
            self.overridable |= self.values.keys()
            return
        for name, value in self._data(source, answer).items():
            self.values[name] = value
            self.origin[name] = source
            self.overridable.discard(name)

    def inline(self, substitute: Mapping[str, str]) -> None:
        """`spec.postBuild.substitute` beats every source, as in Flux."""
        for name, value in sorted(substitute.items()):
            if name in self.values and self.values[name].replace("\n", "") != value.replace("\n", ""):
                self.warnings.append(
                    f"variable {name} is set in postBuild.substitute and in {self.origin[name]} "
                    "to different values; the one in substitute counts, as in Flux"
                )
            self.values[name] = value
            self.origin.pop(name, None)
            self.overridable.discard(name)

    def variables(self) -> Variables:
        secret = {name: s for name, s in self.origin.items() if s.kind == "Secret"}
        return Variables(
            values=self.values,
            display={n: redact.placeholder(s.kind, s.namespace, s.name, n) for n, s in secret.items()},
            overridable=frozenset(self.overridable),
            missing=tuple(self.missing),
            unread=tuple(self.unread),
            live=tuple(self.live),
            producers=frozenset(self.producers),
            warnings=tuple(self.warnings),
            problems=tuple(self.problems),
        )

    def _data(self, source: VariableSource, manifest: Manifest) -> dict[str, str]:
        found: dict[str, str] = {}
        data = manifest.get("data") or {}
        if not isinstance(data, Mapping):
            self.problems.append(f"{source} has data that is no object")
            return found
        for name, value in data.items():
            if not isinstance(value, str):
                self.problems.append(
                    f"{source} has a value that is not a string: data.{name}; put it in quotes"
                )
            elif source.kind == "Secret":
                try:
                    found[name] = b64decode(value, validate=True).decode()
                except (BadBase64, ValueError):
                    self.problems.append(f"{source} has a value that is not text in base64: data.{name}")
            else:
                found[name] = value
        if source.kind == "Secret":
            found |= {str(k): str(v) for k, v in (manifest.get("stringData") or {}).items()}
        return found
