"""The job summary: what matters first, never too large, and no foreign text comes to life in it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runner.model import Action, Change, Finding, Health, Held, Outcome, ResourceRef, Run, State, Status
from runner.report import summary

HOSTILE = (
    "x\x1b[31m\n::error::forged\n```\n#### ✓ all is well\n<!-- m --> </details> | a | @somebody "
    "[l](http://evil.example) `````` \u202e %0A::add-mask::y"
)


def ref(kind, name):
    return ResourceRef("grades", name, "apps", kind, "v1")


OUTCOMES = (
    Outcome(
        "flux-system/apps", State.FAILED, (Change(ref("Deployment", "api"), Action.CONFIGURED),),
        "Deployment/grades/api is not ready\nBackOff", "look at its log",
        unhealthy=(Health(ref("Deployment", "api"), Status.IN_PROGRESS, "0/1"),),
    ),
    Outcome("flux-system/late", State.BLOCKED, blocked_by=("flux-system/apps",)),
    Outcome(
        "flux-system/infra", State.READY,
        (
            Change(ref("Deployment", "new"), Action.CREATED), Change(ref("Deployment", "m"), Action.MOVED),
            Change(ref("Job", "old"), Action.DELETED), Change(ref("Job", "same"), Action.UNCHANGED),
        ),
        warnings=("a field is deprecated",), started_at=10.0, ready_at=22.3,
    ),
)  # fmt: skip
HELD = Held("flux-system/infra", (ref("Job", "b"), ref("Job", "a")), "more than 20 %", "9f86d081884c7d65")
RUN = Run("https://10.0.0.1:6443", "clusters/production", f"main@sha1:{'3f' * 20}", OUTCOMES, (HELD,))


class TestSummary:
    def test_failures_come_first_and_held_prunes_say_how_to_let_them_through(self):
        shown = summary.reconcile(RUN)

        assert shown.startswith("### ✗ Reconciled: `clusters/production`\n")
        assert "#### ✗ `flux-system/apps`\n\n```text\nDeployment/grades/api is not ready\nBackOff\n" in shown
        assert "2 objects of `flux-system/infra` were not deleted" in shown
        assert "run again with `approve: 9f86d081884c7d65`" in shown
        rows = [line for line in shown.splitlines() if line.startswith("| ")][1:]
        assert rows == [
            "| ✗ | `flux-system/apps` | failed | 1 configured |  |",
            "| ○ | `flux-system/late` | blocked | by `flux-system/apps` |  |",
            "| ✓ | `flux-system/infra` | ready | 1 created, 1 moved, 1 deleted, 1 unchanged | 12.3s |",
        ]

    def test_a_dry_run_says_so(self):
        shown = summary.reconcile(replace(RUN, outcomes=OUTCOMES[2:], dry_run=True))

        assert shown.startswith("### ✓ Dry run: ")
        assert "nothing was written" in shown
        assert "would not be deleted" in shown

    def test_foreign_text_is_only_text(self):
        unhealthy = Health(ref("Job", HOSTILE), Status.FAILED, HOSTILE)
        found = Finding(unhealthy.ref, ref("Pod", HOSTILE), HOSTILE, HOSTILE, HOSTILE, (HOSTILE,))
        failed = Outcome(HOSTILE, State.FAILED, (), HOSTILE, HOSTILE, (), (unhealthy,), (HOSTILE,), (found,))
        blocked = Outcome(HOSTILE, State.BLOCKED, blocked_by=(HOSTILE,))
        held = Held(HOSTILE, (ref(HOSTILE, HOSTILE),), HOSTILE, HOSTILE)
        run = Run(HOSTILE, HOSTILE, HOSTILE, (failed, blocked), (held,), (HOSTILE,))
        for shown in (summary.reconcile(run), summary.message(HOSTILE, HOSTILE, failed=True)):
            outside = outside_code(shown)

            for forged in ("all is well", "<!--", "</details>", "@somebody", "evil", "::", "\u202e", "\x1b"):
                assert forged not in outside
            rows = [line for line in outside.splitlines() if line.startswith("|")]
            assert {row.count("|") for row in rows} <= {6}

    @pytest.mark.parametrize("each", ["outcomes", "held", "warnings"])
    def test_it_is_never_too_large_and_says_what_is_left_out(self, each):
        names = [f"team/k{number:05}-{'x' * 200}" for number in range(9000)]
        failed = replace(OUTCOMES[0], error="ü" * 1900)
        many = {
            "outcomes": tuple(replace(failed, kustomization=name) for name in names),
            "held": tuple(replace(HELD, kustomization=name) for name in names),
            "warnings": tuple(name * 3 for name in names),
        }
        run = replace(RUN, **{each: many[each]})

        shown = summary.reconcile(run)

        assert 200_000 < len(shown.encode()) < summary.LIMIT
        assert re.search(r"… and [\d,]+ more \w[\w ]+: the log has all of them\.", shown)
        assert shown.count("```text\n") == shown.count("\n```\n")

    def test_nothing_to_reconcile_is_no_empty_table(self):
        assert "|" not in summary.reconcile(Run("s", "e", "r"))

    def test_an_error_without_a_run_is_shown_with_its_hint(self):
        assert summary.message("input entry: it is required", "a directory", failed=True) == (
            "### ✗ kustodian\n\n```text\ninput entry: it is required\nhint: a directory\n```\n"
        )

    def test_a_note_is_no_failure(self):
        assert summary.message("main was deleted", failed=False).startswith("### – kustodian\n")


class TestVerdict:
    @pytest.mark.parametrize(
        ("run", "told"),
        [
            (
                RUN,
                (
                    "flux-system/apps: Deployment/grades/api is not ready BackOff "
                    "(and 1 more failed or are blocked)"
                ),
            ),
            (
                replace(RUN, outcomes=OUTCOMES[2:]),
                "a guard held deletions back; to delete exactly these, run with approve: 9f86d081884c7d65",
            ),
            (replace(RUN, interrupted=15), "interrupted: the next run completes the work"),
            (replace(RUN, superseded=True), "superseded: a newer commit is deployed, or being deployed"),
            (replace(RUN, outcomes=OUTCOMES[2:], held=()), "exit code 1"),
        ],
    )
    def test_it_says_in_one_line_why_a_run_is_no_success(self, run, told):
        assert summary.verdict(run, 1) == told


def outside_code(markdown):
    """What is left of Markdown without its fenced blocks and code spans, by CommonMark's rules."""
    kept, fence = [], ""
    for line in markdown.splitlines():
        ticks = re.match("`{3,}", line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif ticks:
            fence = ticks[0]
        else:
            kept.append(re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line))
    assert not fence
    return "\n".join(kept)
