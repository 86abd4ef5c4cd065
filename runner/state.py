"""What the cluster remembers of a Kustomization, and the form in which it does.

One ConfigMap `kustodian-<name>` beside each Kustomization. What a controller keeps in memory and
in `.status` is here: the inventory, the spec that was last applied, how it ended. Its one value is
compressed, so that ten thousand objects fit.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from runner import inventory
from runner.errors import GuardError
from runner.inventory import Entry, Inventory
from runner.model import Manifest, ResourceRef, State
from runner.proof import Proof

LABEL = "kustodian.io/record"
LABELS = {"app.kubernetes.io/managed-by": "kustodian", LABEL: "state"}
SELECTOR = f"{LABEL}=state"
KEY = "state.json.gz"
HISTORY = 5
LIMIT = 1_000_000  # bytes; a ConfigMap holds 1 MiB of data, names and labels included
FORMAT = 1

PAUSED = "kustodian.io/paused"  # the reason; on the ConfigMap, where `kubectl annotate` reaches it too
PAUSED_BY = "kustodian.io/paused-by"
PAUSED_AT = "kustodian.io/paused-at"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The revision of a whole entry; recorded with the root only."""

    revision: str  # main@sha1:…
    commit: str
    done: bool  # False from before the first write until everything is ready
    started_at: float  # seconds since the epoch
    ended_at: float | None = None
    replaced: str = ""  # the revision that a rollback took back; "" when it was none
    sources: Mapping[str, str] = field(default_factory=dict)  # revisions of those from elsewhere


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One line of history: what was rendered, and how that ended."""

    digest: str
    revision: str
    state: State
    at: float  # seconds since the epoch; when it had ended
    seconds: float = 0.0  # that it took
    replaced: str = ""  # the revision that a rollback took back; "" when it was none
    sources: Mapping[str, str] = field(default_factory=dict)  # the revision of its own, from elsewhere


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody wants a Kustomization left alone until it is resumed; foreign text, to be cleaned."""

    reason: str = ""
    by: str = ""
    at: str = ""  # RFC 3339, as it was written

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Pause | None:
        """What annotations say; None where they say nothing of it."""
        if PAUSED not in annotations:
            return None
        return cls(annotations[PAUSED], annotations.get(PAUSED_BY, ""), annotations.get(PAUSED_AT, ""))

    @property
    def annotations(self) -> dict[str, str]:
        told = {PAUSED: self.reason, PAUSED_BY: self.by, PAUSED_AT: self.at}
        return {name: text for name, text in told.items() if text or name == PAUSED}

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        return f"paused{by}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is remembered of one Kustomization."""

    kustomization: str
    repository: str = ""
    entry: str = ""
    parent: str = ""
    manifest: Manifest = field(default_factory=dict)  # its object, as it was last reconciled
    inventory: Inventory = field(default_factory=dict)
    digest: str = ""  # keyed digest of what was rendered
    shown_digest: str = ""  # plain digest of what may be shown of it
    state: State | None = None  # None: a run began and has not ended
    message: str = ""
    history: tuple[Snapshot, ...] = ()
    deployment: Deployment | None = None
    fence: int = 0  # which holder of the lock wrote this; later holders have higher numbers
    deployed: tuple[Deployment, ...] = ()  # the last ones that were done; with the root only
    seen: str = ""  # fingerprint of the inventory in Flux's status, as we left it or took it over
    pause: Pause | None = None  # beside the compressed value, so that no run and no lock is needed to set it


def config_map_ref(kustomization: str) -> ResourceRef:
    """Where a Kustomization's record lives."""
    namespace, _, name = kustomization.partition("/")
    full = f"kustodian-{name}"
    if len(full) > 253:  # noqa: PLR2004 -- the longest name Kubernetes takes
        full = f"{full[:236]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return ResourceRef(namespace, full, "", "ConfigMap", "v1")


def encode(record: Record) -> dict[str, Any]:
    """The ConfigMap that holds a record; equal records give equal bytes.

    Raises:
        GuardError: the record does not fit; nothing may be applied that could not be tracked.
    """
    packed = gzip.compress(orjson.dumps(_plain(record), option=orjson.OPT_SORT_KEYS), mtime=0)
    if len(packed) > LIMIT:
        raise GuardError(
            f"{record.kustomization} has {len(record.inventory)} objects, whose inventory needs "
            f"{len(packed)} bytes, more than a ConfigMap holds",
            hint="split it into several Kustomizations.",
        )
    ref = config_map_ref(record.kustomization)
    meta: dict[str, Any] = {"name": ref.name, "namespace": ref.namespace, "labels": LABELS}
    if record.pause is not None:
        meta["annotations"] = record.pause.annotations
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta,
        "binaryData": {KEY: b64encode(packed).decode()},
    }


def decode(config_map: Manifest) -> Record:
    """A record from its ConfigMap.

    Raises:
        GuardError: it cannot be read, so it is unknown what is owned.
    """
    meta = config_map["metadata"]
    where = f"ConfigMap/{meta.get('namespace')}/{meta.get('name')}"
    try:
        plain = orjson.loads(gzip.decompress(b64decode(config_map["binaryData"][KEY])))
        if plain["format"] > FORMAT:
            raise GuardError(
                f"{where} was written by a newer release (format {plain['format']})",
                hint="use at least the release that wrote it.",
            )
        return replace(_record(plain), pause=Pause.of(meta.get("annotations") or {}))
    except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, zlib.error) as exc:
        raise GuardError(
            f"{where} cannot be read: {type(exc).__name__}: {exc}",
            hint="it holds the inventory of a Kustomization; restore it from a backup, or delete it to "
            "start anew: objects that are still in Git are taken over, others stay behind.",
        ) from exc


def digest(key: bytes, objects: Iterable[Manifest]) -> str:
    """Digest of rendered objects in their order; keyed, because it covers what is secret.

    With an empty key it is a plain one, for objects that may be shown.
    """
    payload = orjson.dumps(list(objects), option=orjson.OPT_SORT_KEYS)
    if not key:
        return f"sha256:{hashlib.sha256(payload).hexdigest()}"
    return f"hmac-sha256:{hmac.new(key, payload, hashlib.sha256).hexdigest()}"


def _plain(record: Record) -> dict[str, Any]:
    deployment = record.deployment
    return {
        "format": FORMAT,
        "kustomization": record.kustomization,
        "repository": record.repository,
        "entry": record.entry,
        "parent": record.parent,
        "manifest": record.manifest,
        "inventory": [_plain_entry(e) for e in sorted(record.inventory.values(), key=lambda e: e.ref)],
        "digest": record.digest,
        "shownDigest": record.shown_digest,
        "state": record.state,
        "message": record.message,
        "history": [
            {
                "digest": s.digest,
                "revision": s.revision,
                "state": s.state,
                "at": s.at,
                "seconds": s.seconds,
                "replaced": s.replaced,
                **({"sources": dict(s.sources)} if s.sources else {}),
            }
            for s in record.history
        ],
        "deployment": deployment and _plain_deployment(deployment),
        "fence": record.fence,
        **({"deployed": [_plain_deployment(each) for each in record.deployed]} if record.deployed else {}),
        **({"seen": record.seen} if record.seen else {}),
    }


def _plain_deployment(deployment: Deployment) -> dict[str, Any]:
    return {
        "revision": deployment.revision,
        "commit": deployment.commit,
        "done": deployment.done,
        "startedAt": deployment.started_at,
        "endedAt": deployment.ended_at,
        "replaced": deployment.replaced,
        **({"sources": dict(deployment.sources)} if deployment.sources else {}),
    }


def _deployment(plain: Mapping[str, Any]) -> Deployment:
    return Deployment(
        plain["revision"],
        plain["commit"],
        plain["done"],
        plain["startedAt"],
        plain.get("endedAt"),
        plain.get("replaced", ""),
        plain.get("sources", {}),
    )


def _plain_entry(entry: Entry) -> dict[str, str]:
    """Flux's id and version; and the name, in the one case where the id does not give it back."""
    ref = entry.ref
    plain = {"id": inventory.encode(ref), "v": ref.version}
    if entry.uid:
        plain["uid"] = entry.uid
    if entry.proof:
        plain["proof"] = str(entry.proof)
    if inventory.decode(plain["id"], ref.version) != ref:
        plain["name"] = ref.name
    return plain


def _entry(plain: Mapping[str, str]) -> Entry:
    proof = Proof.read(plain["proof"]) if "proof" in plain else None
    return Entry(_ref(plain), plain.get("uid", ""), proof)


def _ref(plain: Mapping[str, str]) -> ResourceRef:
    ref = inventory.decode(plain["id"], plain["v"])
    return replace(ref, name=plain["name"]) if "name" in plain else ref


def _record(plain: Mapping[str, Any]) -> Record:
    deployment = plain["deployment"]
    return Record(
        kustomization=plain["kustomization"],
        repository=plain["repository"],
        entry=plain["entry"],
        parent=plain["parent"],
        manifest=plain["manifest"],
        inventory=inventory.of(_entry(entry) for entry in plain["inventory"]),
        digest=plain["digest"],
        shown_digest=plain["shownDigest"],
        state=plain["state"] and State(plain["state"]),
        message=plain["message"],
        history=tuple(
            Snapshot(
                s["digest"],
                s["revision"],
                State(s["state"]),
                s["at"],
                s.get("seconds", 0.0),
                s.get("replaced", ""),
                s.get("sources", {}),
            )
            for s in plain["history"]
        ),
        deployment=deployment and _deployment(deployment),
        deployed=tuple(_deployment(each) for each in plain.get("deployed", ())),
        seen=plain.get("seen", ""),
        fence=plain["fence"],
    )
