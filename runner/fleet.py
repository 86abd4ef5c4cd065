"""The desired state of an entry: every Kustomization with its parent, its variables and what it renders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from runner.model import Kustomization, Manifest, ResourceRef, VariableSource
from runner.rendered import Closure, Place, Problem


@dataclass(frozen=True, slots=True)
class Produced:
    """A desired ConfigMap, Secret or source, as its producer renders it."""

    kustomization: str
    object: Manifest


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a variable is given a value: in a source, or (None) in `postBuild.substitute`."""

    source: VariableSource | None = None
    producer: str = ""  # the Kustomization of this run that produces the source

    def __str__(self) -> str:
        return str(self.source) if self.source else "inline"


@dataclass(frozen=True, slots=True)
class Provenance:
    """One variable as it is explained to people."""

    name: str
    value: str | None  # None when it is secret or has none
    source: str  # inline, default, unset, or the ConfigMap or Secret
    producer: str = ""
    overridden: tuple[str, ...] = ()  # what gave it a value that does not count, in the order of loading
    used: bool | None = None  # None when that cannot be told
    placeholder: str = ""  # what is shown in place of a secret value


@dataclass(frozen=True, slots=True)
class Keys:
    """What may open a Kustomization's SOPS files."""

    asked: bool = True  # False in a preview: nothing is opened
    source: VariableSource | None = None  # the Secret of decryption.secretRef
    values: Mapping[str, str] = field(default_factory=dict, repr=False)  # its data, in base64
    given: Mapping[str, str] = field(default_factory=dict, repr=False)  # the run's own, in the same form
    missing: bool = False  # the Secret is found nowhere


@dataclass(frozen=True, slots=True)
class Remote:
    """The way to the cluster that `spec.kubeConfig` names, or why it is not known."""

    kubeconfig: bytes = field(default=b"", repr=False)
    why: str = ""  # there is none
    asked: bool = True  # False in a preview: no Secret is read
    live: bool = False  # answered by the run's own cluster, which may have another answer later


@dataclass(frozen=True, slots=True)
class Variables:
    """What a build takes from elsewhere: the values of its expressions, and its source's definition."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    display: Mapping[str, str] = field(default_factory=dict)  # placeholders for values that are secret
    overridable: frozenset[str] = frozenset()  # names that a source without an answer could still change
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)  # by name; the last one counts
    missing: tuple[VariableSource, ...] = ()  # required, and found nowhere
    absent: tuple[VariableSource, ...] = ()  # optional, and found nowhere
    unread: tuple[VariableSource, ...] = ()  # only in the cluster, which is not asked here
    live: tuple[VariableSource, ...] = ()  # answered, or to be answered, by the cluster
    producers: frozenset[str] = frozenset()  # Kustomizations of this run that produce a source
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    sources: tuple[Manifest, ...] = field(default=(), repr=False)
    """What the desired state has of the source, of what makes it, and of what it logs in with."""
    keys: Keys | None = None  # None: nothing is to be decrypted
    remote: Remote | None = None  # None: its objects go to the run's own cluster

    @property
    def known(self) -> bool:
        """Whether everything that a build takes from elsewhere is there."""
        return self.complete and not (self.keys is not None and self.keys.missing)

    @property
    def complete(self) -> bool:
        """Whether every expression has its final value."""
        return not (self.missing or self.unread)

    @property
    def opens(self) -> bool:
        """Whether what is sealed is opened."""
        return self.keys is not None and self.keys.asked and not self.keys.missing


@dataclass(frozen=True, slots=True)
class Rendering:
    """One Kustomization, rendered."""

    objects: tuple[Manifest, ...] = field(default=(), repr=False)  # as they are applied, in build order
    shown: tuple[Manifest, ...] = ()  # the same, without secret values
    unresolved: Mapping[ResourceRef, tuple[str, ...]] = field(default_factory=dict)
    """Names of expressions that are left verbatim, and what stays sealed."""
    closure: Closure = field(default_factory=Closure)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    dropped: bool = False  # not all is known by name: Flux's reader leaves something out, or SOPS hides it
    variables: Variables = field(default_factory=Variables)
    pins: Mapping[str, str] = field(default_factory=dict)
    """What everything remote that its kustomization files list stood for, by URL."""
    foreign: bool = False  # built of files that are not this repository's, or elsewhere in it
    origins: Callable[[], tuple[Place, ...]] = field(default=tuple, compare=False, repr=False)
    """Where each object is written, found out when first asked: that takes about as long as a build."""

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def hint(self) -> str:
        """What to do about all of its problems."""
        return " ".join(dict.fromkeys(problem.hint for problem in self.problems if problem.hint))

    @property
    def final(self) -> bool:
        """Whether this is what would be applied: nothing wrong, nothing left to be known."""
        return self.ok and self.variables.known


@dataclass(frozen=True, slots=True)
class Unit:
    """One Kustomization of the entry; `rendering` is None while it is suspended."""

    kustomization: Kustomization
    parent: str = ""  # who renders it; "" for the root
    rendering: Rendering | None = None
    shown: Manifest = field(default_factory=dict)  # its object, without secret values

    @property
    def id(self) -> str:
        return self.kustomization.id

    @property
    def rendered(self) -> bool:
        """Whether it is known what this Kustomization wants; a suspended one's wishes are not asked."""
        return self.rendering is not None and self.rendering.ok

    @property
    def objects(self) -> tuple[Manifest, ...]:
        return self.rendering.objects if self.rendering else ()


def twice(wanted: Iterable[tuple[str, str, Iterable[Manifest]]]) -> list[tuple[ResourceRef, tuple[str, ...]]]:
    """The objects that more than one Kustomization wants in one cluster, sorted, with whoever does.

    `wanted` has the id of each Kustomization, its target and its objects. They would take such an object
    from each other for ever. A Kustomization that two render is malformed.
    """
    found: dict[tuple[str, ResourceRef], list[str]] = {}
    for id_, target, objects in wanted:
        for manifest in objects:
            found.setdefault((target, ResourceRef.of(manifest)), []).append(id_)
    return [
        (ref, tuple(sorted(ids)))
        for (_, ref), ids in sorted(found.items())
        if len(ids) > 1 and ref.kind != "Kustomization"
    ]


def two_owners(ref: ResourceRef, ids: Iterable[str]) -> Problem:
    """What is wrong with an object that more than one wants."""
    names = " and by ".join(ids)
    return Problem("two_owners", f"{ref} is wanted by {names}; keep it in one of them", "validate")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every Kustomization of an entry, by identity, sorted."""

    root: str
    units: Mapping[str, Unit] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units.values())

    def __len__(self) -> int:
        return len(self.units)

    def children(self, id_: str) -> tuple[str, ...]:
        return tuple(unit.id for unit in self if unit.parent == id_)

    @property
    def unrendered(self) -> tuple[str, ...]:
        """Kustomizations of which it is unknown what they want, although somebody asked."""
        return tuple(u.id for u in self if u.rendering is not None and not u.rendering.ok)
