"""Where a Kustomization's variables come from, and which are not known yet.

Source of the rules: kustomize-controller's post-build substitution (sources from top to bottom, then
the inline values; a ConfigMap's `data`, a Secret's decoded `data`). `Precedence.FROM` loads the inline
values first instead.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import Enum

from runner import redact
from runner.errors import Refused
from runner.fleet import Origin, Produced, Variables
from runner.model import FLUX, Kustomization, Manifest, ResourceRef, VariableSource
from runner.options import Precedence
from runner.origins import origins


class NotRead(Enum):
    """Why a live source has no answer, where absence is not the reason."""

    NOT_READ = "not read"


_FORBIDDEN = 403
_NOTHING = Variables()
Live = Callable[[VariableSource], Manifest | NotRead | None]
Raw = Callable[[ResourceRef], Manifest | None]
_LIVE_WINS = {"ssa": frozenset({"ifnotpresent", "merge", "ignore"}), "reconcile": frozenset({"disabled"})}


def resolve(
    k: Kustomization,
    desired: Mapping[ResourceRef, Produced],
    live: Live,
    raw: Raw,
    precedence: Precedence = Precedence.INLINE,
) -> Variables:
    """Collect the variables of one Kustomization.

    A source comes from the desired state when a Kustomization of this run produces it, else from the
    cluster by `live`. One that the consumer itself produces is read before substitution, by `raw`:
    in a new cluster Flux would wait for it for ever.
    """
    if k.post_build is None:
        sources = origins(k.source, desired)
        return Variables(sources=sources) if sources else _NOTHING
    found = _Collected(precedence)
    post_build = k.post_build
    if precedence is Precedence.FROM:
        found.inline(post_build.substitute)
    for source in post_build.substitute_from:
        produced = desired.get(source.ref)
        if produced is not None and produced.kustomization == k.id:
            found.warnings.append(
                f"{source} is produced by the Kustomization that reads it; in a new cluster Flux would "
                "never get past it, so its text in Git is used, before substitution"
            )
            found.add(source, _opened(raw(source.ref)), k.id)
        elif produced is not None and not _live_wins(produced.object):
            found.producers.add(produced.kustomization)
            found.add(source, _opened(produced.object), produced.kustomization)
        else:
            _from_cluster(found, source, _live(found, source, live), produced)
    if precedence is Precedence.INLINE:
        found.inline(post_build.substitute)
    return replace(found.variables(), sources=origins(k.source, desired))


def _opened(manifest: Manifest | None) -> Manifest | NotRead | None:
    """Values that SOPS hides are not known, as those of a Secret that is not read."""
    return NotRead.NOT_READ if manifest is not None and redact.is_sealed(manifest) else manifest


def _live(found: _Collected, source: VariableSource, live: Live) -> Manifest | NotRead | None:
    """What the cluster has; one that nobody may read is this Kustomization's own problem, optional or not."""
    try:
        return live(source)
    except Refused as exc:
        if exc.code != _FORBIDDEN:
            raise
        found.problems.append(f"substitute from '{source.kind}/{source.name}' error: {exc.message}")
        return {}


def _from_cluster(
    found: _Collected, source: VariableSource, answer: Manifest | NotRead | None, produced: Produced | None
) -> None:
    found.live.append(source)
    if produced is None:
        found.add(source, answer)
        return
    found.producers.add(produced.kustomization)
    if answer:
        found.add(source, answer)
    else:
        found.add(source, _opened(produced.object), produced.kustomization)


def _live_wins(manifest: Manifest) -> bool:
    """Whether Flux leaves the live object's values alone."""
    meta = manifest["metadata"]
    return any(
        str((meta.get(where) or {}).get(f"{FLUX}/{marker}", "")).lower() in values
        for where in ("labels", "annotations")
        for marker, values in _LIVE_WINS.items()
    )


class _Collected:
    def __init__(self, precedence: Precedence) -> None:
        self.precedence = precedence
        self.values: dict[str, str] = {}
        self.given: dict[str, list[tuple[Origin, str]]] = {}  # everything, in the order of loading
        self.overridable: set[str] = set()
        self.missing: list[VariableSource] = []
        self.absent: list[VariableSource] = []
        self.unread: list[VariableSource] = []
        self.live: list[VariableSource] = []
        self.producers: set[str] = set()
        self.warnings: list[str] = []
        self.problems: list[str] = []

    def add(self, source: VariableSource, answer: Manifest | NotRead | None, producer: str = "") -> None:
        """Take a source's values over earlier ones; remember one that has no answer."""
        if answer is None and source.optional:
            self.absent.append(source)
            return
        if answer is None or isinstance(answer, NotRead):
            (self.missing if answer is None else self.unread).append(source)
            self.overridable |= self.values.keys()
            return
        for name, value in self._data(source, answer).items():
            self._set(name, value, Origin(source, producer))

    def inline(self, substitute: Mapping[str, str]) -> None:
        for name, value in sorted(substitute.items()):
            self._set(name, value, Origin())

    def variables(self) -> Variables:
        origins = {name: tuple(origin for origin, _ in given) for name, given in self.given.items()}
        sources = {name: origin[-1].source for name, origin in origins.items()}
        return Variables(
            values=self.values,
            display={
                name: redact.placeholder(source.kind, source.namespace, source.name, name)
                for name, source in sources.items()
                if source is not None and source.kind == "Secret"
            },
            overridable=frozenset(self.overridable),
            origins=origins,
            missing=tuple(self.missing),
            absent=tuple(self.absent),
            unread=tuple(self.unread),
            live=tuple(self.live),
            producers=frozenset(self.producers),
            warnings=(*self.warnings, *self._conflicts()),
            problems=tuple(self.problems),
        )

    def _set(self, name: str, value: str, origin: Origin) -> None:
        self.values[name] = value
        self.given.setdefault(name, []).append((origin, value))
        self.overridable.discard(name)

    def _conflicts(self) -> Iterator[str]:
        """Names that `substitute` and a source set to different values, whichever of them counts."""
        for name, given in sorted(self.given.items()):
            inline = next((value for origin, value in given if origin.source is None), None)
            last = next(((o, value) for o, value in reversed(given) if o.source is not None), None)
            if inline is None or last is None or inline.replace("\n", "") == last[1].replace("\n", ""):
                continue
            counts = "substitute counts, as in Flux"
            if self.precedence is Precedence.FROM:
                counts = f"{last[0]} counts, as substitute-precedence asks"
            yield (
                f"variable {name} is set in postBuild.substitute and in {last[0]} to different values; "
                f"the one in {counts}"
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
