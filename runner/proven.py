"""The proofs of one Kustomization's objects: those on record, and those that this run makes."""

from __future__ import annotations

from dataclasses import dataclass

from runner import plan, proof, redact
from runner.access import Access
from runner.evidence import Rules
from runner.fleet import Unit
from runner.inventory import Entry, Inventory
from runner.model import Action, Manifest, ResourceRef
from runner.plan import Assessment
from runner.proof import Proof
from runner.session import Session


@dataclass(frozen=True, slots=True)
class Proofs:
    """Holds proofs against what is live, by the rules that the server had before that was asked."""

    session: Session
    access: Access
    recorded: Inventory
    rules: Rules
    secret: frozenset[ResourceRef]  # objects whose digest must not be a plain one

    def seen(self, ref: ResourceRef) -> Manifest | None:
        """The metadata of a live object, where it was listed with others."""
        return None if self.session.options.all else self.access.evidence.live(ref)

    def known(self, ref: ResourceRef) -> bool:
        """Whether an object is on record, be it of a run that was killed before it was there."""
        return ref in self.recorded

    def hold(self, manifest: Manifest, live: Manifest) -> bool:
        """Whether it is on record that this live object is what applying the manifest would make of it."""
        known = self.recorded.get(ResourceRef.of(manifest))
        if self.session.options.all or known is None or known.proof is None:
            return False
        return known.uid == live["metadata"].get("uid") and known.proof == self.make(manifest, live)

    def deployed(self, manifest: Manifest) -> bool:
        """Whether it is on record that just this was applied."""
        ref = ResourceRef.of(manifest)
        known, key = self.recorded.get(ref), self.session.key if ref in self.secret else b""
        if known is None or known.proof is None or (ref in self.secret and not key):
            return False
        return known.proof.wanted == proof.wanted(manifest, key)

    def make(self, manifest: Manifest, live: Manifest) -> Proof | None:
        """A proof for the next run, from what the server said now."""
        ref = ResourceRef.of(manifest)
        key = self.session.key if ref in self.secret else b""
        if ref in self.secret and not key:
            return None
        name = self.access.evidence.name(ref)
        rules = self.rules.of(name) if name else ""
        if rules and self.access.user:  # another one may not be allowed what this one is
            rules = proof.digest([rules, self.access.user])
        return proof.make(manifest, live, rules, key)

    def entry(self, assessed: Assessment) -> Entry:
        """What is remembered of an object that needs no apply; of another one, who it is."""
        ref, live, merged = assessed.ref, assessed.live, assessed.merged
        uid = live["metadata"].get("uid", "") if live else ""
        if assessed.proven:
            return self.recorded[ref]
        if live is None or merged is None or assessed.action is not Action.UNCHANGED:
            return Entry(ref, uid)
        owned = assessed.exact and proof.keeps(live, merged)
        return Entry(ref, uid, self.make(assessed.manifest, live) if owned else None)


def of(session: Session, unit: Unit, recorded: Inventory) -> Proofs:
    """To be made before anything is asked that a proof may be made from."""
    access = session.access(unit.id)
    return Proofs(session, access, recorded, access.evidence.rules(), _secret(session, unit))


def _secret(session: Session, unit: Unit) -> frozenset[ResourceRef]:
    """Secrets, and what secret values were substituted into: it is shown as something else than it is."""
    rendering = unit.rendering
    if rendering is None:
        return frozenset()
    pairs = zip(rendering.objects, rendering.shown, strict=True)
    hidden = [real for real, view in pairs if redact.is_secret(real) or real != view]
    return frozenset(ResourceRef.of(m) for m in plan.scoped(hidden, session.reached(unit.id)))
