"""What is taken over from others, and what is given back to Flux: as text, and as facts."""

from __future__ import annotations

from collections.abc import Iterator

from runner.handover import Adopted, Adopting, Adoption, Released, Releasing
from runner.model import ResourceRef
from runner.report import clean, facts, style
from runner.report.views import Scope


def adopt(told: Adopting) -> str:
    """Every object with what is taken off it."""
    lines = [_header("Adopted" if told.written else "To adopt", told, written=told.written)]
    for each in told.kustomizations:
        lines += ["", clean.line(each.kustomization), *_adopted(each)]
    if not told.kustomizations:
        lines += ["", "Nothing: what is live and wanted is nobody else's."]
    if told.warnings:
        lines += ["", *(f"warning: {clean.line(w, 1000)}" for w in told.warnings)]
    if told.kustomizations and not told.written:
        lines += ["", "Nothing was written. --write does it; no spec changes and nothing restarts."]
    if told.kustomizations and told.written:
        lines += ["", "The next deploy makes these objects as Git has them; `kustodian plan` shows how."]
    return "\n".join(lines) + "\n"


def release(told: Releasing) -> str:
    """What Flux is left, and which of our objects go."""
    lines = [
        _header("Released to Flux" if told.written else "To release to Flux", told, written=told.written)
    ]
    lines += ["", *(_released(each) for each in told.kustomizations)]
    lines += ["", "Deleted:" if told.written else "To delete:", *(f"  {_name(ref)}" for ref in told.deleted)]
    if any(each.suspended for each in told.kustomizations):
        lines += ["", "Flux leaves suspended ones alone: `flux resume kustomization`, or --resume here."]
    if not told.written:
        lines += ["", "Nothing was written. --write does it; no object that is deployed is touched."]
    return "\n".join(lines) + "\n"


def adopt_facts(told: Adopting, exit_code: int) -> facts.Document:
    scope = Scope(told.server, told.entry, told.revision)
    return {
        **facts.head("adopt", scope, exit_code),
        "written": told.written,
        "kustomizations": [
            {
                **facts.identity(each.kustomization),
                "inventory": [facts.ref(ref) for ref in each.inventory],
                "objects": [_object(one) for one in each.objects],
            }
            for each in told.kustomizations
        ],
        "warnings": list(told.warnings),
    }


def release_facts(told: Releasing, exit_code: int) -> facts.Document:
    scope = Scope(told.server, told.entry, told.revision)
    return {
        **facts.head("release", scope, exit_code),
        "written": told.written,
        "kustomizations": [
            {
                **facts.identity(each.kustomization),
                "objects": each.objects,
                "status": each.status,
                "resumed": each.resumed,
                "suspended": each.suspended,
            }
            for each in told.kustomizations
        ],
        "deleted": [facts.ref(ref) for ref in told.deleted],
    }


def _header(what: str, told: Adopting | Releasing, *, written: bool) -> str:
    at = f" at {style.revision(told.revision)}" if told.revision else ""
    return f"{what}: {clean.line(told.entry)}{at} on {clean.line(told.server)}" + (
        "" if written else " (dry run)"
    )


def _adopted(each: Adopted) -> Iterator[str]:
    if each.inventory:
        number = style.count(len(each.inventory), "object")
        yield f"  from Flux's inventory: {number}, written down, not touched"
        yield from (f"    {_name(ref)}" for ref in each.inventory)
    for one in each.objects:
        whose = f"{one.origin} release {clean.line(one.release)}" if one.release else str(one.origin)
        if one.refused:
            yield f"  {_name(one.ref)} from {whose}: left alone, {clean.line(one.refused)}"
            continue
        yield f"  {_name(one.ref)} from {whose}"
        yield from (f"    - metadata.annotations[{clean.line(name)}]" for name in one.annotations)
        yield from (f"    - metadata.labels[{clean.line(name)}]" for name in one.labels)
        for name in one.managers:
            yield f"    ~ metadata.managedFields: {clean.line(name)} becomes kustomize-controller"


def _released(each: Released) -> str:
    notes = [style.count(each.objects, "object")]
    notes += ["its inventory is written to Flux's status"] if each.status else []
    notes += ["spec.suspend becomes false"] if each.resumed else []
    notes += ["stays suspended"] if each.suspended else []
    return f"  {clean.line(each.kustomization)}: {', '.join(notes)}"


def _object(one: Adoption) -> facts.Document:
    return {
        "ref": facts.ref(one.ref),
        "origin": str(one.origin),
        "release": one.release or None,
        "annotations": list(one.annotations),
        "labels": list(one.labels),
        "managers": list(one.managers),
        "refused": one.refused or None,
    }


def _name(ref: ResourceRef) -> str:
    return clean.line(str(ref))
