"""Where variables come from, which of them count, and which are not known yet."""

from __future__ import annotations

from base64 import b64encode

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.discover import parse
from runner.errors import Refused
from runner.fleet import Produced
from runner.model import FLUX, ResourceRef
from runner.options import Precedence
from runner.render.variables import NotRead, resolve

SPEC = yaml.safe_load("{interval: 10m, prune: true, sourceRef: {kind: GitRepository, name: fleet}}")


def apps(sources="", substitute=None):
    """`sources` are like `ConfigMap/a Secret/b?`, the mark for optional."""
    named = [[*text.rstrip("?").split("/"), text.endswith("?")] for text in sources.split()]
    post_build = {
        "substitute": substitute or {},
        "substituteFrom": [{"kind": k, "name": n, "optional": optional} for k, n, optional in named],
    }
    return parse(
        {
            "apiVersion": f"{FLUX}/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {**SPEC, "postBuild": post_build},
        }
    )


def config(data, name="a", kind="ConfigMap", **meta):
    made = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "flux-system", **meta}}
    return {**made, "data": data}


def secret(data, name="a"):
    return config({key: b64encode(value.encode()).decode() for key, value in data.items()}, name, "Secret")


def desired(*manifests, by="flux-system/infra"):
    return {ResourceRef.of(manifest): Produced(by, manifest) for manifest in manifests}


def found(k, *, produced=None, live=None, raw=None, precedence=Precedence.INLINE):
    """Resolve; `live` are answers by source, and whatever is not among them does not exist."""
    asked = []

    def ask(source):
        asked.append(str(source))
        return (live or {}).get(f"{source.kind}/{source.name}")

    made = resolve(k, produced or {}, ask, lambda _: raw, precedence)
    assert [str(source) for source in made.live] == asked
    return made


NOT_READ = NotRead.NOT_READ


def test_without_post_build_there_is_nothing():
    k = apps()
    made = found(k)
    assert (made.values, made.known, made.sources) == ({}, True, ())


def test_later_sources_beat_earlier_ones_and_substitute_beats_all():
    k = apps("ConfigMap/a Secret/b ConfigMap/c", {"four": "inline"})
    live = {
        "ConfigMap/a": config({"one": "a", "two": "a", "three": "a", "four": "a"}),
        "Secret/b": secret({"two": "b", "three": "b"}),
        "ConfigMap/c": config({"three": "c"}),
    }
    made = found(k, live=live)
    assert made.values == {"one": "a", "two": "b", "three": "c", "four": "inline"}
    assert made.display == {"two": "‹Secret flux-system/b:two›"}
    assert made.overridable == frozenset()
    assert made.known


@pytest.mark.parametrize(
    ("inline", "warned"),
    [
        pytest.param("y", True, id="different values"),
        pytest.param("x", False, id="the same value"),
        pytest.param("x\n", False, id="the same but for line breaks, which substitution drops"),
    ],
)
def test_a_name_set_twice_is_a_warning_for(inline, warned):
    made = found(apps("ConfigMap/a", {"n": inline}), live={"ConfigMap/a": config({"n": "x"})})
    assert made.values == {"n": inline}
    assert [w.startswith("variable n is set in postBuild.substitute and in") for w in made.warnings] == (
        [True] if warned else []
    )


def test_a_warning_shows_no_value():
    made = found(apps("Secret/a", {"n": "other"}), live={"Secret/a": secret({"n": "hunter2"})})
    assert "hunter2" not in made.warnings[0]
    assert "other" not in made.warnings[0]
    assert made.display == {}


def test_from_precedence_lets_sources_beat_substitute_with_the_same_warning():
    k = apps("ConfigMap/a Secret/b", {"one": "i", "two": "i", "three": "i"})
    live = {"ConfigMap/a": config({"one": "a", "two": "a"}), "Secret/b": secret({"two": "b"})}
    made = found(k, live=live, precedence=Precedence.FROM)
    assert made.values == {"one": "a", "two": "b", "three": "i"}
    assert made.display == {"two": "‹Secret flux-system/b:two›"}
    assert [warning.rpartition("; ")[2] for warning in made.warnings] == [
        "the one in ConfigMap/flux-system/a counts, as substitute-precedence asks",
        "the one in Secret/flux-system/b counts, as substitute-precedence asks",
    ]


def test_with_from_precedence_a_source_that_is_not_read_leaves_substitute_open():
    made = found(apps("Secret/b", {"n": "i"}), live={"Secret/b": NOT_READ}, precedence=Precedence.FROM)
    assert made.overridable == {"n"}
    assert found(apps("Secret/b", {"n": "i"}), live={"Secret/b": NOT_READ}).overridable == frozenset()


def test_where_a_value_comes_from_is_kept_in_the_order_of_loading():
    made = found(
        apps("ConfigMap/a ConfigMap/b ConfigMap/c?", {"n": "i"}),
        produced=desired(config({"n": "a", "m": "a"})),
        live={"ConfigMap/b": config({"n": "b"}, "b")},
    )
    told = {name: [(str(o), o.producer) for o in origins] for name, origins in made.origins.items()}
    assert told == {
        "m": [("ConfigMap/flux-system/a", "flux-system/infra")],
        "n": [
            ("ConfigMap/flux-system/a", "flux-system/infra"),
            ("ConfigMap/flux-system/b", ""),
            ("inline", ""),
        ],
    }
    assert [source.name for source in made.absent] == ["c"]


def test_a_required_source_that_is_nowhere_is_missing_and_an_optional_one_is_not():
    made = found(apps("ConfigMap/a ConfigMap/b? Secret/c"))
    assert [source.name for source in made.missing] == ["a", "c"]
    assert made.unread == ()
    assert not made.known
    assert found(apps("ConfigMap/b?")).known


def refusing(code):
    def ask(source):
        raise Refused(f'secrets "{source.name}" is refused', code=code)

    return ask


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_source_that_nobody_may_read_is_the_kustomizations_own_problem(mark):
    made = resolve(apps(f"Secret/a{mark}"), {}, refusing(403), lambda _: None)
    assert made.problems == ("substitute from 'Secret/a' error: secrets \"a\" is refused",)
    with pytest.raises(Refused):
        resolve(apps(f"Secret/a{mark}"), {}, refusing(500), lambda _: None)


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_source_that_is_not_read_leaves_open_whatever_it_could_override(mark):
    k = apps(f"ConfigMap/a Secret/b{mark} ConfigMap/c", {"inline": "i"})
    live = {
        "ConfigMap/a": config({"early": "a", "again": "a", "inline": "a"}),
        "Secret/b": NOT_READ,
        "ConfigMap/c": config({"late": "c", "again": "c"}),
    }
    made = found(k, live=live)
    assert [source.name for source in made.unread] == ["b"]
    assert made.overridable == {"early"}
    assert made.values == {"early": "a", "again": "c", "late": "c", "inline": "i"}
    assert not made.known


def test_what_a_missing_source_could_override_is_open_too():
    made = found(apps("ConfigMap/a ConfigMap/b"), live={"ConfigMap/a": config({"n": "a"})})
    assert made.overridable == {"n"}


def test_the_desired_state_comes_first_and_its_producer_is_remembered():
    made = found(
        apps("ConfigMap/a"),
        produced=desired(config({"n": "git"})),
        live={"ConfigMap/a": config({"n": "cluster"})},
    )
    assert made.values == {"n": "git"}
    assert made.producers == {"flux-system/infra"}
    assert made.live == ()


MARKERS = [
    (where, f"{FLUX}/{marker}", value)
    for where in ("labels", "annotations")
    for marker, value in [
        ("ssa", "IfNotPresent"),
        ("ssa", "Merge"),
        ("ssa", "ignore"),
        ("reconcile", "disabled"),
    ]
]


@pytest.mark.parametrize(("where", "key", "value"), MARKERS)
def test_the_live_value_wins_where_flux_leaves_it_alone(where, key, value):
    produced = desired(config({"n": "git"}, **{where: {key: value}}))
    made = found(apps("ConfigMap/a"), produced=produced, live={"ConfigMap/a": config({"n": "cluster"})})
    assert made.values == {"n": "cluster"}
    assert made.producers == {"flux-system/infra"}
    absent = found(apps("ConfigMap/a"), produced=produced)
    assert absent.values == {"n": "git"}
    unread = found(apps("ConfigMap/a"), produced=produced, live={"ConfigMap/a": NOT_READ})
    assert (unread.values, len(unread.unread)) == ({}, 1)


def test_another_value_of_the_marker_changes_nothing():
    produced = desired(config({"n": "git"}, labels={f"{FLUX}/ssa": "Override"}))
    assert found(apps("ConfigMap/a"), produced=produced).values == {"n": "git"}


def test_what_a_kustomization_reads_of_itself_is_taken_before_substitution_with_a_warning():
    produced = desired(config({"n": "after"}), by="flux-system/apps")
    made = found(apps("ConfigMap/a"), produced=produced, raw=config({"n": "before"}))
    assert made.values == {"n": "before"}
    assert made.producers == frozenset()
    assert made.warnings[0].startswith(
        "ConfigMap/flux-system/a is produced by the Kustomization that reads it"
    )
    assert found(apps("ConfigMap/a"), produced=produced).missing != ()


DATA = [
    pytest.param(config({"n": "eA=="}), {"n": "eA=="}, "", id="a ConfigMap's text is taken as it is"),
    pytest.param(config(None), {}, "", id="no data is no variables"),
    pytest.param(config({"n": 1, "m": "x"}), {"m": "x"}, "data.n", id="a number is a problem"),
    pytest.param(config(["n"]), {}, "data that is no object", id="a list is a problem"),
    pytest.param(config({"n": None}), {}, "data.n", id="null is a problem"),
    pytest.param(
        {**config({}), "binaryData": {"n": "eA=="}}, {}, "", id="a ConfigMap's binary data does not count"
    ),
]
SECRETS = [
    pytest.param(secret({"n": "ü"}), {"n": "ü"}, "", id="a Secret is decoded"),
    pytest.param(config({"n": "%"}, kind="Secret"), {}, "data.n", id="what is not base64 is a problem"),
    pytest.param(config({"n": "/w=="}, kind="Secret"), {}, "data.n", id="what is not text is a problem"),
    pytest.param(
        {**secret({"n": "data", "m": "data"}), "stringData": {"n": "text"}},
        {"n": "text", "m": "data"}, "", id="stringData beats data",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected", "problem"), DATA)
def test_the_values_of_a_config_map(source, expected, problem):
    made = found(apps("ConfigMap/a"), live={"ConfigMap/a": source})
    assert made.values == expected
    assert [problem in text and text.startswith("ConfigMap/flux-system/a ") for text in made.problems] == (
        [True] if problem else []
    )


@pytest.mark.parametrize(("source", "expected", "problem"), SECRETS)
def test_the_values_of_a_secret(source, expected, problem):
    made = found(apps("Secret/a"), produced=desired(source))
    assert made.values == expected
    assert made.display.keys() == expected.keys()
    assert [problem in text for text in made.problems] == ([True] if problem else [])


def test_the_definition_of_the_source_comes_along():
    api, meta = "source.toolkit.fluxcd.io/v1", {"name": "fleet", "namespace": "flux-system"}
    source = {"apiVersion": api, "kind": "GitRepository", "metadata": meta}
    assert found(apps(), produced=desired(source)).sources == (source,)


ANSWERS = st.sampled_from([None, NOT_READ]) | st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"))


@given(
    st.lists(ANSWERS, max_size=4),
    st.dictionaries(st.sampled_from("xyz"), st.just("i")),
    st.sampled_from(Precedence),
)
def test_a_name_that_is_not_open_has_the_value_it_will_have_whatever_is_unknown(answers, inline, precedence):
    k = apps(" ".join(f"ConfigMap/c{n}" for n in range(len(answers))), inline)
    live = {
        f"ConfigMap/c{n}": config(answer) if isinstance(answer, dict) else answer
        for n, answer in enumerate(answers)
    }
    made = found(k, live=live, precedence=precedence)
    guess = dict.fromkeys("xyz", "?")
    later = {name: config(guess) if not isinstance(a, dict) else a for name, a in live.items()}
    complete = found(k, live=later, precedence=precedence)
    for name in made.values.keys() - made.overridable:
        assert complete.values[name] == made.values[name]
