"""What a plan says that a deploy will do: read from its file, held against what is found then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.errors import UsageError
from runner.model import Action, ResourceRef

SCHEMA = "kustodian/plan/v1"


@dataclass(frozen=True, slots=True)
class Step:
    """One Kustomization of a plan."""

    digest: str = ""  # keyed digest of what it renders; "" when there was no key, or not all is known
    shown_digest: str = ""  # plain digest of what may be shown of it; "" when that is not known
    actions: Mapping[ResourceRef, Action] = field(default_factory=dict)
    effects: Mapping[ResourceRef, str] = field(
        default_factory=dict
    )  # digest of what an apply changes; "" unknown


@dataclass(frozen=True, slots=True)
class Intent:
    """A whole plan, as far as a deploy has to keep to it."""

    server: str
    entry: str
    commit: str
    tree: str  # its files, or of the merge that a pull request would make; "" when they are not committed
    names: frozenset[str]
    namespace: str
    steps: Mapping[str, Step]  # by Kustomization, in the order of the run


def plain(intent: Intent) -> dict[str, Any]:
    """A plan as data; equal plans give equal data."""
    return {
        "cluster": intent.server,
        "entry": intent.entry,
        "commit": intent.commit,
        "tree": intent.tree,
        "names": sorted(intent.names),
        "namespace": intent.namespace,
        "steps": [_plain(id_, step) for id_, step in intent.steps.items()],
    }


def read(document: object, origin: str) -> Intent:
    """The plan that a file holds, which `origin` names.

    Raises:
        UsageError: it is no plan, or one of another release's form.
    """
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or schema != SCHEMA:
        what = f"it has the schema {schema}" if schema else "it holds no result of `kustodian plan`"
        raise UsageError(
            f"{origin} is no plan: {what}", hint=f"make one with `kustodian plan --out {origin}`."
        )
    try:
        return Intent(
            str(document["cluster"]),
            str(document["entry"]),
            str(document["commit"]),
            str(document["tree"]),
            frozenset(map(str, document["names"])),
            str(document["namespace"]),
            {f"{each['namespace']}/{each['name']}": _step(each) for each in document["steps"]},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UsageError(
            f"{origin} is a damaged plan: {type(exc).__name__}: {exc}", hint="plan again."
        ) from exc


def _plain(id_: str, step: Step) -> dict[str, Any]:
    namespace, _, name = id_.partition("/")
    return {
        "namespace": namespace,
        "name": name,
        "digest": step.digest,
        "shownDigest": step.shown_digest,
        "objects": [
            {
                "group": ref.group,
                "version": ref.version,
                "kind": ref.kind,
                "namespace": ref.namespace,
                "name": ref.name,
                "action": str(step.actions[ref]),
                "effect": step.effects[ref],
            }
            for ref in sorted(step.actions)
        ],
    }


def _step(plain: Mapping[str, Any]) -> Step:
    refs = {
        ResourceRef(each["namespace"], each["name"], each["group"], each["kind"], each["version"]): each
        for each in plain["objects"]
    }
    return Step(
        str(plain["digest"]),
        str(plain["shownDigest"]),
        {ref: Action(each["action"]) for ref, each in refs.items()},
        {ref: str(each["effect"]) for ref, each in refs.items()},
    )
