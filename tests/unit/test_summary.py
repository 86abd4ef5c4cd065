"""The job summary: what matters first, never too large, and no foreign text comes to life in it."""

from __future__ import annotations

import os
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.model import Action, Change, Held, Outcome, ResourceRef, Run, State
from runner.report import clean, summary
from tests.fakes import runs as made
from tests.fakes.reader import CORPUS, Reader

GOLDEN = Path(__file__).parent / "golden"
ALL = {
    "changed": made.CHANGED,
    "nothing": made.NOTHING,
    "failed": made.FAILED,
    "guarded": made.GUARDED,
    "interrupted": made.INTERRUPTED,
    "oversize": made.large(1000, failed=120, changed=60),
    "dry-run": replace(made.dry(made.FAILED), held=made.GUARDED.held),
}
LIMITS = {"oversize": 30_000}
MERMAID = re.compile(
    r'flowchart LR|  n\d+\["[✓✗○–] [A-Za-z0-9./…·-]*"\]:::[a-z]+'
    r"|  n\d+ (-->|-->\|variables\||-\.->) n\d+|  classDef [a-z]+ [a-z0-9:#, -]+"
)


def golden(name, got):
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(got, encoding="utf-8")
    assert got == (GOLDEN / name).read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


def chart(markdown):
    """The lines of the drawing; [] where there is none."""
    found = re.search("```mermaid\n(.*?)\n```\n", markdown, re.DOTALL)
    return found[1].splitlines() if found else []


@pytest.mark.parametrize("name", ALL)
def test_it_reads_well(name):
    golden(f"summary-{name}.md", summary.reconcile(ALL[name], LIMITS.get(name, summary.LIMIT)))


def test_one_that_is_paused_is_named_with_the_reason():
    why = "paused by ada: `@all` | a move"
    paused = Outcome("flux-system/legacy", State.SUSPENDED, reason=why)
    told = summary.reconcile(replace(made.CHANGED, outcomes=(*made.CHANGED.outcomes, paused)))
    assert "#### Not rolled out: 1 Kustomization" in told
    assert "- ``paused by ada: `@all` ¦ a move``: `flux-system/legacy`" in told


def test_the_order_of_threads_does_not_show():
    chance = random.Random(7)  # noqa: S311 - no secret
    for _ in range(10):
        outcomes = tuple(
            replace(each, changes=tuple(chance.sample(each.changes, len(each.changes))))
            for each in made.CHANGED.outcomes
        )
        held = tuple(chance.sample(made.GUARDED.held, 2))
        shuffled = replace(made.CHANGED, outcomes=outcomes, held=held)
        assert summary.reconcile(shuffled) == summary.reconcile(replace(made.CHANGED, held=made.GUARDED.held))


class TestInjection:
    @pytest.mark.parametrize("foreign", CORPUS)
    def test_nothing_foreign_comes_to_life(self, foreign):
        assert_inert(foreign)

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(st.one_of(st.text(max_size=60), st.text("`~<>!-@#|[]()\\$&*_ \n\tax1:/.\"';%{}", max_size=30)))
    def test_no_text_comes_to_life(self, foreign):
        assert_inert(foreign)

    @pytest.mark.parametrize(
        "foreign",
        [
            'x"] --> n9', 'a"]\n  click n1 "https://evil.example"', "n1:::x", "%%{init: {}}%%", "end",
            "#quot;#59;", "<img src=x onerror=alert(1)>", "`**x**`", "subgraph x", "classDef default fill:#0",
            "$$x$$", "fa:fa-car", "javascript:alert(1)", "a;b", "a\\nb", "1. x", "__proto__", "```",
        ],
    )  # fmt: skip
    def test_a_name_is_a_label_of_the_drawing_and_nothing_else(self, foreign):
        drawn = chart(summary.reconcile(made.hostile(foreign)))

        assert drawn == [
            re.sub(r'\["(. \d).*"\]', lambda found: f'["{found[1]}{_label(foreign)}"]', line)
            for line in chart(summary.reconcile(made.hostile("x")))
        ]

    @pytest.mark.parametrize("foreign", [made_up for made_up in CORPUS if clean.line(made_up)])
    def test_neither_does_anything_in_a_note_without_a_run(self, foreign):
        read = Reader(summary.message(foreign, foreign, failed=True))

        assert read.tags == Reader(summary.message("x", "x", failed=True)).tags


def _label(foreign):
    return clean.cut(re.sub("[^A-Za-z0-9./-]", "·", clean.line(f"1{foreign}")), 63)[1:]


def assert_inert(foreign):
    shown = summary.reconcile(made.hostile(foreign))
    read, plain = Reader(shown), Reader(summary.reconcile(made.hostile("x")))
    if clean.line(foreign):
        assert read.tags == plain.tags
    assert all(MERMAID.fullmatch(line) for line in chart(shown))
    assert not read.comments
    assert not {tag for tag, *_ in read.tags} & {"a", "img", "script", "input", "del"}
    words = " ".join(read.words)
    assert not re.search(r"@|#\d|GH-|://|www\.|[0-9a-f]{7}|evil|kustodian:", words)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", shown)


class TestBudget:
    @pytest.mark.parametrize("each", ["outcomes", "held", "warnings", "deleted"])
    def test_it_is_never_too_large_and_says_what_is_left_out(self, each):
        names = [f"team/k{number:05}-{'x' * 200}" for number in range(9000)]
        failed = replace(made.FAILED.outcomes[1], error="ü" * 1900)
        gone = tuple(Change(ResourceRef("n", name, "", "Job", "v1"), Action.DELETED) for name in names)
        many = {
            "outcomes": {"outcomes": tuple(replace(failed, kustomization=name) for name in names)},
            "held": {"held": tuple(replace(made.GUARDED.held[0], kustomization=name) for name in names)},
            "warnings": {"warnings": tuple(name * 3 for name in names)},
            "deleted": {"outcomes": (replace(made.WELL[1], changes=gone),)},
        }
        run = replace(made.FAILED, **many[each])

        shown = summary.reconcile(run)

        assert 100_000 < len(shown.encode()) < summary.LIMIT
        assert re.search(r"… and [\d,]+ more \w[\w ]+: the log has all of them\.", shown)
        assert shown.count("```text\n") == len(re.findall(r"\n```\n", shown)) - len(chart(shown)[:1])

    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.integers(20_000, 80_000),
        st.lists(st.sampled_from([*CORPUS, "é" * 300, "\U0001f600" * 400]), min_size=1, max_size=4),
        st.integers(0, 300),
    )
    def test_it_is_never_exceeded_and_what_is_opened_is_closed(self, limit, texts, number):
        shown = summary.reconcile(many(texts, number), limit)

        assert len(shown.encode()) < limit
        Reader(shown)
        fence = ""
        for line in shown.splitlines():
            found = re.match("`{3,}", line)
            if fence:
                fence = "" if line == fence else fence
            elif found:
                fence = found[0]
        assert not fence

    @pytest.mark.parametrize("limit", [20_000, 60_000, summary.LIMIT])
    def test_what_failed_stays_when_there_is_little_room(self, limit):
        run = made.large(1000, name=f"team-{{0:02}}/app-{'x' * 150}-{{1:04}}")

        shown = summary.reconcile(run, limit)

        assert len(shown.encode()) < limit
        assert "#### ✗ `team-10/" in shown
        assert "| … 984 ready | | nothing changed |" in shown


def many(texts, number):
    """So many of everything, with the texts in turn."""
    whole = [made.hostile(text) for text in texts]
    turn = [
        replace(outcome, kustomization=f"{n}{outcome.kustomization}")
        for n in range(number)
        for outcome in whole[n % len(whole)].outcomes
    ]
    return replace(
        whole[0],
        outcomes=tuple(turn),
        waves=(tuple(each.kustomization for each in turn),),
        held=tuple(held for each in whole for held in each.held) * 3,
        warnings=tuple(texts) * number,
    )


class TestDrawing:
    def test_above_a_certain_size_only_what_failed_or_changed_is_drawn_with_its_neighbours(self):
        shown = summary.reconcile(made.large(1000))

        nodes = [line for line in chart(shown) if "[" in line]
        assert len(nodes) == 10
        assert 'n6["✗ team-10/app-0010"]:::failed' in nodes[5]
        assert "Drawn are 10 of 1,000: what failed or changed, and its neighbours." in shown

    def test_it_never_grows_beyond_what_github_draws(self):
        apps = [f"a/{number:03}" for number in range(200)]
        outcomes = tuple(
            made.outcome(
                id_, (1, 2, 3, 3), needs=made.needs(*apps[:number], parent=""),
                changes=made.changes(Action.CREATED, "x"),
            )
            for number, id_ in enumerate(apps)
        )  # fmt: skip

        shown = summary.reconcile(replace(made.CHANGED, outcomes=outcomes))

        drawn = chart(shown)
        assert sum("[" in line for line in drawn) == 80
        assert sum("-->" in line for line in drawn) == 300
        assert len("\n".join(drawn)) < 50_000
        assert "… and 2,860 more lines." in shown

    def test_the_line_from_the_parent_is_left_out_where_another_way_leads_there(self):
        drawn = chart(summary.reconcile(made.CHANGED))

        assert [line.strip() for line in drawn if "--> " in line or "-.-> " in line or "|" in line] == [
            "n1 -.-> n2", "n1 -.-> n3", "n1 -.-> n4", "n2 --> n5", "n2 --> n6", "n3 --> n6",
            "n5 -->|variables| n6", "n6 --> n7",
        ]  # fmt: skip

    def test_nobody_who_waited_is_no_drawing(self):
        alone = replace(made.CHANGED, outcomes=made.CHANGED.outcomes[:1])

        assert not chart(summary.reconcile(alone))


class TestNext:
    @pytest.mark.parametrize(
        ("run", "told"),
        [
            (made.FAILED, "Once the cause is gone, run again: it continues where this one ended."),
            (
                made.INTERRUPTED,
                "**Interrupted by SIGTERM**, 2 of 7 Kustomizations done. Run again: it continues",
            ),
            (
                replace(made.FAILED, superseded=True),
                "**Superseded**: a newer commit waits to be deployed, and its run continues where this",
            ),
            (replace(made.FAILED, dry_run=True), "**1 failed, 3 blocked**: a deploy would end like this."),
            (made.GUARDED, "**12 objects held back** by a guard: below is what lets them go."),
        ],
    )
    def test_it_says_what_to_do(self, run, told):
        (alert,) = re.findall(r"^> \[!\w+\]\n> (.*)", summary.reconcile(run), re.MULTILINE)
        assert told in alert

    @pytest.mark.parametrize("run", [made.CHANGED, made.NOTHING])
    def test_when_all_is_well_there_is_nothing_to_do(self, run):
        assert "> [!" not in summary.reconcile(run)

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
                replace(made.FAILED, outcomes=(
                    Outcome("a/late", State.BLOCKED, blocked_by=("b/apps",)),
                    Outcome("b/apps", State.FAILED, error="Deployment/grades/api is not ready\nBackOff"),
                )),
                "b/apps: Deployment/grades/api is not ready BackOff (and 1 more failed or are blocked)",
            ),
            (
                replace(made.CHANGED, held=(Held("a", (), "", "9f86d081884c7d65"),)),
                "a guard held deletions back; to delete exactly these, run with approve: 9f86d081884c7d65",
            ),
            (made.INTERRUPTED, "interrupted: the next run completes the work"),
            (
                replace(made.FAILED, superseded=True),
                "superseded: a newer commit is deployed, or being deployed",
            ),
            (made.CHANGED, "exit code 1"),
        ],
    )  # fmt: skip
    def test_it_says_in_one_line_why_a_run_is_no_success(self, run, told):
        assert summary.verdict(run, 1) == told
