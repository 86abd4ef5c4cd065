"""What GitHub is told of a run: the comment, checks and statuses, annotations, and the report files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.action.ending import Ending, outputs, verdict
from runner.action.inputs import Inputs
from runner.changes import CLUSTER, Comparison, Severity
from runner.drift import Drift
from runner.forge import Annotation, Check, Conclusion, Issue, Level, Telling
from runner.model import Held, Outcome, Run, State
from runner.options import ROOT
from runner.ports import Forge
from runner.rendered import Place, Problem
from runner.report import clean, comment, issue, json, style, summary
from runner.report.markdown import code
from runner.report.text.drift import headline

DRIFT_LABEL = "kustodian-drift"
MOST_CHECKS = 6
"""Checks and statuses of Kustomizations, failures first; each costs a request, and a run sends few."""

DEPLOYED = "\n\n---\n"
"""Between a preview's comment and the line that tells what became of it."""

_REPORT = "kustodian"


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells one run; whatever goes wrong with that is a warning of the forge's."""

    forge: Forge
    inputs: Inputs
    head: str  # the commit that is spoken of

    @property
    def scope(self) -> str:
        """What the comment and the checks are called by."""
        entry, root = self.inputs.text("entry").strip("/"), self.inputs.text("root")
        return entry if root == ROOT else f"{entry} {root}"

    @property
    def key(self) -> str:
        """What our comment is found by; one for each cluster."""
        return f"kustodian:{self.scope}"

    def begun(self) -> None:
        """Say that it goes on, so that nobody takes silence for success."""
        if self.inputs.text("checks") != "none":
            self.forge.check(self._check("", "in progress", "", None))
        elif self.inputs.text("statuses") != "none":
            self.forge.status(self._check("", "in progress", "", None))

    def ended(self, ending: Ending) -> None:
        """The verdict, for the cluster and if asked for each Kustomization."""
        if ending.run and ending.run.interrupted:
            self.forge.cancel()  # there are seconds left: no waiting
        whole = replace(
            self._check("", _title(ending), markdown(ending, comment.COMMENT), _conclusion(ending)),
            annotations=ending.annotations,
        )
        checks = self.inputs.text("checks")
        if checks != "none" and self.forge.check(whole).how is Telling.FAILED:
            self.forge.status(whole)
        if (statuses := self.inputs.text("statuses")) != "none":
            self.forge.status(whole)
        kinds = [checks, statuses].count("kustomizations")
        each = [self._one(outcome) for outcome in _worst(ending.run)]
        for check in each[: MOST_CHECKS // max(kinds, 1)]:
            if checks == "kustomizations":
                self.forge.check(check)
            if statuses == "kustomizations":
                self.forge.status(check)

    def comment(self, pull: int, body: str, *, differs: bool) -> str:
        """Write the preview's comment; where it is. One that says nothing new is not begun."""
        when = self.inputs.text("comment")
        if when == "never" or (when == "changes" and not differs and self.forge.find(pull, self.key) is None):
            return ""
        return self.forge.comment(pull, self.key, body, head=self.head).url

    def drifted(self, told: Drift) -> str:
        """Keep the cluster's issue: open as long as anything differs; where it is."""
        if not told.left and told.unknown:
            return ""  # it is not known to be clean
        environment = self.inputs.environment
        body = issue.markdown(told, files=_files(environment, told.revision), run=run_url(environment))
        return self.forge.issue(
            Issue(
                f"kustodian-drift:{self.scope}",
                issue.title(told, self.scope),
                body,
                issue.digest(told),
                open=bool(told.left),
                labels=(DRIFT_LABEL,),
            )
        ).url

    def deployed(self, run: Run, status: int, url: str) -> None:
        """Add to the comments of the pull requests that this commit comes from what became of them."""
        if self.inputs.text("comment") == "never":
            return
        for pull in self.forge.pulls(self.head)[:3]:
            if not pull.merged or (found := self.forge.find(pull.number, self.key)) is None:
                continue
            body = found.body.partition(DEPLOYED)[0].rstrip()
            self.forge.comment(pull.number, self.key, body + DEPLOYED + _deployment(run, status, url))

    def _check(self, of: str, title: str, body: str, conclusion: Conclusion | None) -> Check:
        environment = self.inputs.environment
        name = " ".join(part for part in ("kustodian:", self.scope, of) if part)
        id_ = f"{environment.get('GITHUB_RUN_ID', '')}/{self.scope}/{of}"
        return Check(id_, name, self.head, title, body, conclusion=conclusion, url=run_url(environment))

    def _one(self, outcome: Outcome) -> Check:
        bad = not outcome.ok
        title = f"{outcome.state}" + (f": {clean.line(outcome.error, 120)}" if outcome.error else "")
        conclusion = Conclusion.FAILURE if bad else Conclusion.SUCCESS
        if outcome.state in {State.SUSPENDED, State.SKIPPED}:
            conclusion = Conclusion.SKIPPED
        return self._check(outcome.kustomization, title, "", conclusion)


@dataclass(slots=True)
class Reporter:
    """Knows whether there is anybody to tell, and of which commit."""

    forge: Forge | None
    inputs: Inputs
    teller: Teller | None = None
    quiet: bool = False

    def begin(self, head: str, *, quiet: bool = False) -> None:
        """From now on there is a commit to speak of; quietly when the verdict is another run's."""
        if self.forge is not None:
            self.quiet = quiet
            self.teller = Teller(self.forge, self.inputs, head)
            if not quiet:
                self.teller.begun()

    def commented(self, ending: Ending, pull: int) -> Ending:
        """The preview with its comment written, where there is a pull request."""
        if self.teller is None or ending.comparison is None or not pull:
            return ending
        url = run_url(self.inputs.environment)
        more = f"[all of it in the job summary]({url})" if url else ""
        differs = ending.comparison.differs or bool(ending.comparison.faults)
        body = markdown(ending, comment.COMMENT, more)
        return replace(ending, comment_url=self.teller.comment(pull, body, differs=differs))

    def reported(self, ending: Ending, *, whole: bool) -> Ending:
        """A look at drift with its issue; what was found in a part does not say that the rest is clean."""
        if self.teller is None or ending.drift is None or not whole or not self.inputs.flag("issue"):
            return ending
        return replace(ending, issue_url=self.teller.drifted(ending.drift))

    def end(self, ending: Ending) -> None:
        """Tell how it ended, however it did: a check that was begun must not go on for ever."""
        if self.teller is None or self.quiet:
            return
        self.teller.ended(ending)
        if ending.run and not ending.run.dry_run and not ending.run.interrupted:
            self.teller.deployed(ending.run, ending.code, run_url(self.inputs.environment))

    @property
    def warnings(self) -> Sequence[str]:
        return self.forge.warnings if self.forge is not None else ()


def markdown(ending: Ending, limit: int, more: str = "") -> str:
    """What a page of GitHub's shows of it, in at most so many bytes."""
    if ending.run:
        return summary.reconcile(ending.run, limit)
    if ending.drift:
        told = issue.markdown(ending.drift, limit, run=more)
        return told + (summary.reconcile(ending.drift.run, limit // 2) if ending.drift.run else "")
    if ending.comparison:
        return comment.markdown(ending.comparison, limit, more=more).text
    return summary.message(ending.error or ending.note, ending.hint, failed=bool(ending.code))


def run_url(environment: Mapping[str, str]) -> str:
    """Where this run is to be seen; "" when it is no run of GitHub's."""
    server, repository, run = (
        environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def _files(environment: Mapping[str, str], revision: str) -> str:
    """Where the files of a revision are to be seen."""
    server, repository = (environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY"))
    commit = revision.rpartition(":")[2]
    return f"{server}/{repository}/blob/{commit}" if server and repository and commit else ""


def marks(told: Comparison) -> Iterator[Annotation]:
    """What is wrong with files of the head, at their lines, and whose objects a guard would keep."""
    yield from _held(told.held, told.homes, "will be held back")
    for fault in told.faults:
        wrong = "would fail" if fault.side == CLUSTER else "cannot be rendered"
        if fault.side != "base":
            yield from _wrong(fault.problems, f"{fault.kustomization} {wrong}")


def failures(run: Run) -> Iterator[Annotation]:
    """What failed in a deploy, at its lines, and whose objects a guard kept; nothing of one cut short."""
    if run.superseded:
        return
    yield from _held(run.held, run.homes, "held back")
    for id_, problems in sorted(run.problems.items()):
        yield from _wrong(problems, f"{id_} failed")


def _held(held: Iterable[Held], homes: Mapping[str, Place], what: str) -> Iterator[Annotation]:
    for each in held:
        if place := homes.get(each.kustomization):
            title = f"{style.count(len(each.refs), 'deletion')} of {each.kustomization} {what}"
            yield Annotation(place.file, place.line, Level.WARNING, each.reason, title)


def _wrong(problems: Iterable[Problem], title: str) -> Iterator[Annotation]:
    for problem in problems:
        if problem.file and problem.line:
            message = " ".join(filter(None, (problem.message, problem.hint and f"({problem.hint})")))
            yield Annotation(problem.file, problem.line, Level.FAILURE, message, title)


def files(inputs: Inputs, ending: Ending) -> Ending:
    """Leave the report where later steps find it: below RUNNER_TEMP, which they know by `runner.temp`."""
    temporary = inputs.temporary()
    if ending.comparison is None or temporary is None:
        return ending
    from runner.report import html

    name = "-".join(part for part in inputs.text("entry").split("/") if part not in {"", "."})
    directory = temporary / _REPORT / name
    contents = {
        "report.html": html.page(ending.comparison),
        "report.json": json.diff(ending.comparison, ending.code),
        **({"plan.json": json.plan(ending.comparison, ending.plan)} if ending.plan else {}),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            (directory / file).write_text(content, encoding="utf-8")
        _own(directory, temporary)
    except OSError as exc:
        warning = f"the report cannot be written below RUNNER_TEMP: {exc.strerror}"
        return replace(ending, warnings=(*ending.warnings, warning))
    below = f"{_REPORT}/{name}"
    plan = f"{below}/plan.json" if ending.plan else ""
    return replace(ending, report_path=f"{below}/report.html", plan_path=plan)


def _own(directory: Path, temporary: Path) -> None:
    """Give what we wrote to whoever owns the place: we are root there, later steps are not."""
    owner = temporary.stat()
    for path in (directory.parent, directory, *directory.iterdir()):
        if path.stat().st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid)


def _title(ending: Ending) -> str:
    if told := verdict(ending):
        return clean.line(told, 200)
    if ending.drift:
        return headline(ending.drift)
    if ending.comparison:
        counts = outputs(ending)
        if not ending.comparison.differs:
            return "nothing changes"
        return (
            f"{counts['applied']} applied, {counts['pruned']} pruned in {counts['affected']} Kustomizations"
        )
    return ending.note or "done"


def _conclusion(ending: Ending) -> Conclusion:
    if ending.run and ending.run.superseded:
        return Conclusion.CANCELLED
    if ending.run and not ending.run.failed and any(held.digest for held in ending.run.held):
        return Conclusion.ACTION_REQUIRED
    if ending.code:
        return Conclusion.FAILURE
    if ending.drift and ending.drift.left:
        return Conclusion.NEUTRAL
    worst = {signal.severity for signal in ending.comparison.signals} if ending.comparison else set()
    return Conclusion.NEUTRAL if worst & {Severity.CAUTION, Severity.BLOCKER} else Conclusion.SUCCESS


def _worst(run: Run | None) -> list[Outcome]:
    return sorted(run.outcomes, key=lambda each: each.ok) if run else []


def _deployment(run: Run, status: int, url: str) -> str:
    mark = style.MARKS[State.FAILED if status else State.READY]
    where = f" ([run]({url}))" if url else ""
    told = f"{mark} {'not deployed' if status else 'deployed'}: {code(style.revision(run.revision))}{where}\n"
    return told + (f"\n{code(clean.line(summary.verdict(run, status), 300))}\n" if status else "")
