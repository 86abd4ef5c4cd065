"""Where one object comes from: which Kustomization, which file, which commit."""

from __future__ import annotations

from collections.abc import Iterator

from runner.report import clean, facts, style
from runner.report.facts import Document
from runner.report.views import Scope, Trace


def text(trace: Trace) -> str:
    """One line for each fact, those that are not known left out."""
    told = list(_told(trace))
    width = max(len(name) for name, _ in told)
    lines = [f"{name + ':':<{width + 1}}  {line}" for name, line in told]
    lines += [f"note: {line}" for note in trace.notes for line in clean.block(note)]
    return "\n".join(lines) + "\n"


def document(scope: Scope, trace: Trace, exit_code: int = 0) -> Document:
    commit = trace.commit
    return {
        **facts.head("trace", scope, exit_code),
        "ref": facts.ref(trace.ref),
        "exists": trace.exists,
        "kustomization": facts.identity(trace.owner) if trace.owner else None,
        "parents": list(trace.chain),
        "state": None if trace.state is None else str(trace.state),
        "paused": trace.paused or None,
        "source": trace.source or None,
        "path": trace.path or None,
        "deployed": trace.revision or None,
        "file": trace.place.file or None,
        "line": trace.place.line or None,
        "commit": commit
        and {"id": commit.id, "author": commit.author, "date": commit.date, "subject": commit.subject},
        "notes": list(trace.notes),
    }


def _told(trace: Trace) -> Iterator[tuple[str, str]]:
    yield "Object", clean.line(str(trace.ref)) + ("" if trace.exists else "  (not in the cluster)")
    if trace.owner:
        state = "not deployed" if trace.state is None else str(trace.state)
        paused = f", {trace.paused}" if trace.paused else ""
        yield "Kustomization", clean.line(f"{trace.owner} ({state}{paused})")
    if trace.chain:
        yield "Rendered by", " ← ".join(clean.line(each) for each in trace.chain)
    if trace.source:
        yield "Source", clean.line(trace.source)
    if trace.path:
        yield "Path", clean.line(trace.path)
    if trace.revision:
        yield "On record", style.revision(trace.revision)
    if trace.place.file:
        yield "File", f"{clean.line(str(trace.place))}  (at {style.revision(trace.at)})"
    if trace.commit is not None:
        commit = trace.commit
        yield (
            "Last changed",
            clean.line(f"{commit.id[:12]} of {commit.date} by {commit.author}: {commit.subject}"),
        )
