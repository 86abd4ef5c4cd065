"""The comment and the job summary: what matters first, never too large, and nothing foreign comes to life."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.changes import Affected, Comparison, FieldChange, ImageChange, Pending, Severity, Signal, Touch
from runner.model import Action
from runner.report import clean, comment
from tests.fakes import comparisons as made
from tests.fakes.reader import CORPUS, Reader

GOLDEN = Path(__file__).parent / "golden"
ALL = {
    "nothing": made.NOTHING,
    "routine": made.ROUTINE,
    "caution": made.CAUTION,
    "faults": made.FAULTS,
}


def golden(name, got):
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(got, encoding="utf-8")
    assert got == (GOLDEN / name).read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


@pytest.mark.parametrize("name", ALL)
def test_it_reads_well(name):
    golden(f"comment-{name}.md", comment.markdown(ALL[name], mark=comment.marker(ALL[name].entry)).text)


def test_what_is_too_large_reads_well_too():
    golden("comment-oversize.md", comment.markdown(made.large(60_000, 200), comment.LEAST).text)


@pytest.mark.parametrize("foreign", CORPUS)
def test_nothing_foreign_comes_to_life(foreign):
    assert_inert(foreign)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=60), st.text("`~<>!-@#|[]()\\$&*_ \n\tax1:/.", max_size=30)))
def test_no_text_comes_to_life(foreign):
    assert_inert(foreign)


def assert_inert(foreign):
    mark = comment.marker(foreign)
    rendered = comment.markdown(made.hostile(foreign), comment.SUMMARY, mark=mark)
    read, plain = (
        Reader(text)
        for text in (rendered.text, comment.markdown(made.hostile("x"), comment.SUMMARY, mark=mark).text)
    )
    assert rendered.text.startswith(f"{mark}\n")
    assert rendered.text.count("<!-- kustodian:") == 1
    assert len(read.comments) == 1
    if clean.line(foreign) and not rendered.omitted:
        assert read.tags == plain.tags
    assert not {tag for tag, *_ in read.tags} & {"a", "img", "script", "input", "del"}
    words = " ".join(read.words)
    assert not re.search(r"@|#\d|GH-|://|www\.|[0-9a-f]{7}|evil|kustodian:", words)
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", rendered.text
    )


class TestBudget:
    @pytest.mark.parametrize(
        ("size", "objects", "limit"),
        [
            (300, 5, comment.COMMENT),
            (60_000, 1, comment.COMMENT),
            (5_000_000, 1, comment.COMMENT),
            (5_000_000, 1000, comment.COMMENT),
            (5_000_000, 1000, comment.SUMMARY),
        ],
    )
    def test_it_is_filled_with_whole_objects_and_names_the_rest(self, size, objects, limit):
        rendered = comment.markdown(made.large(size, objects), limit)

        assert len(rendered.text.encode()) <= limit
        shown = rendered.text.count("#### ~ ")
        assert shown + len(rendered.omitted) == objects
        assert rendered.text.count("```diff\n") == rendered.text.count("\n```\n") == shown
        assert ("Left out" in rendered.text) is bool(rendered.omitted)
        if size > limit and objects > 1:
            assert len(rendered.text.encode()) > 0.9 * limit
            assert f"`{rendered.omitted[0]}`" in rendered.text

    def test_one_gigantic_object_is_left_out_and_named_and_the_others_stay(self):
        giant = replace(made.UPGRADE, ref=made.ref("ConfigMap", "giant"), fields=(
            FieldChange("data.x", Touch.CHANGED, "a\n" * 90_000, "b\n" * 90_000),))  # fmt: skip
        rendered = comment.markdown(
            replace(made.CAUTION, changes=(giant, *made.CHANGES)), more="See the summary."
        )

        assert rendered.omitted == ("ConfigMap/web/giant of flux-system/apps",)
        assert (
            "Left out, as it does not fit:** `ConfigMap/web/giant of flux-system/apps`. See the"
            in rendered.text
        )
        assert "… 1 object left out, as there is no room" in rendered.text
        assert rendered.text.count("#### ") == 6

    def test_what_asks_for_eyes_is_chosen_first(self):
        big = made.large(200_000, 100)
        last = big.changes[-1]
        signal = Signal("immutable", Severity.BLOCKER, "it cannot be changed", last.kustomization, last.ref)
        rendered = comment.markdown(replace(big, signals=(signal,)), comment.LEAST)

        assert f"#### ~ `{last.ref}`" in rendered.text

    @settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.integers(comment.LEAST, 70_000),
        st.lists(st.sampled_from([*CORPUS, "é" * 300, "\U0001f600" * 400]), min_size=1, max_size=4),
        st.integers(0, 400),
    )
    def test_it_is_never_exceeded_and_fences_are_closed(self, limit, texts, number):
        rendered = comment.markdown(
            many(texts, number), limit, mark=comment.marker(texts[0]), more="m" * 1000
        )

        assert len(rendered.text.encode()) <= limit
        Reader(rendered.text)
        fence = ""
        for line in rendered.text.splitlines():
            found = re.match(r"(`{3,})", line)
            if fence:
                fence = "" if line == fence else fence
            elif found:
                fence = found[1]
        assert not fence

    def test_a_limit_that_nothing_fits_into_is_refused(self):
        with pytest.raises(ValueError, match="10000 are the least"):
            comment.markdown(made.NOTHING, 9_999)


def many(texts, number):
    """So many of everything, with the texts in turn."""
    whole = [made.hostile(text) for text in texts]
    turn = [whole[n % len(whole)] for n in range(number)]
    return replace(
        whole[0],
        affected=tuple(Affected(f"{n}{each.entry}", each.affected[0].reasons) for n, each in enumerate(turn)),
        changes=tuple(
            replace(each.changes[n % 3], kustomization=f"{n // 3}{each.entry}") for n, each in enumerate(turn)
        ),
        faults=tuple(fault for each in turn for fault in each.faults),
        signals=tuple(signal for each in turn for signal in each.signals),
        images=tuple(image for each in turn for image in each.images),
        pending=tuple(each for one in turn for each in one.pending),
        held=tuple(held for each in turn for held in each.held),
        warnings=tuple(each.entry for each in turn),
        idle=tuple(each.entry for each in turn),
    )


def test_markers_tell_entries_apart():
    assert comment.marker("clusters/a") == comment.marker("clusters/a")
    pairs = [("a", "b"), ("ab", ""), ("a", ""), ("", "a"), ("a:b", ""), ('a", "b', "")]
    assert len({comment.marker(*pair) for pair in pairs}) == len(pairs)
    assert re.fullmatch(r"<!-- kustodian:[\w./]+:[0-9a-f]{16} -->", comment.marker("a-->b\n--"))


def test_many_dependents_share_a_line():
    web = tuple(Affected(f"team/{n}", via=("flux-system/apps",)) for n in range(40))
    shown = comment.markdown(replace(made.ROUTINE, affected=(*made.ROUTINE.affected, *web))).text

    assert "Re-checked because of these: `team/0`, `team/1`" in shown
    assert "and 30 more" in shown
    assert "| `flux-system/apps` | ~1 | 1 | 40 | 1 |" in shown


def test_a_definition_is_summed_up():
    spec = {
        "group": "acme.io",
        "names": {"kind": "Widget"},
        "scope": "Namespaced",
        "versions": [{"name": "v1"}],
    }
    created = replace(made.CHANGES[0], action=Action.CREATED, fields=(), before=None,
                      after=made.manifest(made.CRD, spec=spec))  # fmt: skip
    shown = comment.markdown(Comparison("", "e", "a", "b", changes=(created,))).text

    assert "```text\nWidget of acme.io, Namespaced, v1\n```" in shown


def test_digests_are_cut():
    image = ImageChange("nginx", f"sha256:{'a' * 64}", f"1.2@sha256:{'b' * 64}", ())
    shown = comment.markdown(replace(made.ROUTINE, images=(image,))).text

    assert f"| `nginx` | `sha256:{'a' * 12}` | `1.2@sha256:{'b' * 12}` |" in shown


def test_pending_without_a_reason():
    shown = comment.markdown(replace(made.NOTHING, pending=(Pending("a/b", None, ""),))).text

    assert "- `a/b: never deployed`\n" in shown
