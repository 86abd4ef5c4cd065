"""What asks for eyes before the merge, the worst first; nothing when there is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.changes import Comparison, Fault, Severity, Signal
from runner.model import Held
from runner.rendered import Problem
from runner.report import overview, style, views
from runner.report.budget import Budget
from runner.report.markdown import code

_MESSAGE = 600
_MOST = 20  # of one Kustomization


def blocks(comparison: Comparison, budget: Budget) -> list[str]:
    """GitHub's alert blocks."""
    held = sorted(comparison.held, key=lambda each: each.kustomization)
    blockers, cautions = (
        overview.by_severity(comparison, severity) for severity in (Severity.BLOCKER, Severity.CAUTION)
    )
    gone, stay = overview.leaving(comparison), overview.staying(comparison)
    told: list[tuple[str, str, Iterable[str], float, str]] = [
        (
            "CAUTION",
            "Cannot be rendered: what these would change is not known",
            map(_fault, overview.unrendered(comparison)),
            0.25,
            "render failure",
        ),
        (
            "CAUTION",
            "Would fail in the cluster",
            map(_fault, overview.failing(comparison)),
            0.15,
            "failure",
        ),
        (
            "CAUTION",
            f"Will be deleted from the cluster: {style.count(len(gone), 'object')}",
            (_item(str(each.ref), each.kustomization, each.reason) for each in gone),
            0.1,
            "deletion",
        ),
        ("CAUTION", "Would fail, or be stopped", map(_signal, blockers), 0.1, "blocker"),
        ("WARNING", "Held back by a guard", map(_held, held), 0.08, "guard"),
        (
            "WARNING",
            f"Leave Git and stay in the cluster, as nothing prunes them: {style.count(len(stay), 'object')}",
            map(_signal, stay),
            0.05,
            "orphan",
        ),
        ("WARNING", "Look twice", map(_signal, cautions), 0.08, "caution"),
    ]
    return [block for each in told for block in _alert(budget, *each)]


def _alert(
    budget: Budget, kind: str, title: str, items: Iterable[str], share: float, what: str
) -> Iterator[str]:
    head = f"> [!{kind}]\n> **{title}**\n>"
    kept, left = budget.items(items, share, head, what)
    if kept:
        more = [f"> - … and {left:,} more"] if left else []
        yield "\n".join([head, *kept, *more])


def _item(*words: str) -> str:
    return "> - " + " · ".join(code(word, _MESSAGE) for word in words if word)


def _fault(fault: Fault) -> str:
    lines = [f"> - {code(fault.kustomization)} {overview.where(fault)}".rstrip()]
    lines += [_problem(problem) for problem in fault.problems[:_MOST]]
    left = len(fault.problems) - _MOST
    return "\n".join([*lines, *([f">   - … and {left:,} more problems"] if left > 0 else [])])


def _problem(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.file and problem.line else problem.file
    subject = "/".join(part for part in problem.subject[2:] if part) if problem.subject else ""
    details = [
        f"variable {code(problem.variable)}" if problem.variable else "",
        f"in {code(subject)}" if subject else "",
        f"at {code(problem.json_path)}" if problem.json_path else "",
    ]
    told = [code(place) if place else "", code(problem.message or problem.code, _MESSAGE), *details]
    return ">   - " + " · ".join(part for part in told if part)


def _signal(signal: Signal) -> str:
    where = str(signal.ref) if signal.ref else signal.kustomization
    return f"> - **{_word(signal.code)}** " + " · ".join(
        code(part, _MESSAGE) for part in (where, signal.text) if part
    )


def _word(given: str) -> str:
    """A code is a word of ours; whatever else comes in its place is foreign."""
    return given if given.replace("-", "").isascii() and given.replace("-", "").isalpha() else code(given)


def _held(held: Held) -> str:
    refs = style.names(map(str, sorted(held.refs, key=views.by_kind)), _MOST)
    objects = style.count(len(held.refs), "object")
    told = f"> - {objects} of {code(held.kustomization)}: {code(refs, 2 * _MESSAGE)} · "
    approve = f" · to let exactly these through: {code(f'approve: {held.digest}')}" if held.digest else ""
    return told + code(held.reason or "a guard holds them", _MESSAGE) + approve
