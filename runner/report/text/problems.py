"""What is wrong with what was rendered, one entry each, the place first."""

from __future__ import annotations

from collections.abc import Sequence

from runner.rendered import Problem, Subject
from runner.report import clean


def problems(items: Sequence[Problem]) -> list[str]:
    """`apps/base/x.yaml:12: message (variable cluster_env, $.spec.replicas)`, continuation lines indented."""
    return [_problem(item) for item in items]


def _problem(problem: Problem) -> str:
    subject = _subject(problem.subject)
    place = subject
    if problem.file:
        place = clean.line(f"{problem.file}:{problem.line}" if problem.line else problem.file)
    first, *rest = clean.block(problem.message) or [clean.line(problem.code)]
    details = [
        subject if problem.file and subject not in problem.message else "",
        f"variable {clean.line(problem.variable)}" if problem.variable else "",
        clean.line(problem.json_path),
    ]
    told = ", ".join(detail for detail in details if detail)
    head = (f"{place}: " if place else "") + first + (f" ({told})" if told else "")
    hint = [f"hint: {clean.line(problem.hint)}"] if problem.hint else []
    return "\n".join([head, *(f"  {line}" for line in (*rest, *hint))])


def _subject(subject: Subject | None) -> str:
    if subject is None:
        return ""
    return clean.line("/".join(part for part in (subject.kind, subject.namespace, subject.name) if part))
