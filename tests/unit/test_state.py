"""The record of a Kustomization: what goes in comes out, fits, and is never half read."""

from __future__ import annotations

import gzip
import uuid
from base64 import b64decode, b64encode, urlsafe_b64encode
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import state
from runner.errors import GuardError
from runner.inventory import Entry, of, unproven
from runner.model import ResourceRef, State
from runner.proof import Proof
from runner.state import HISTORY, KEY, LIMIT, SELECTOR, Deployment, Record, Snapshot, config_map_ref

RECORD = Record(
    "flux-system/apps",
    repository="github.com/example/fleet",
    entry="clusters/production",
    parent="flux-system/flux-system",
    manifest={"kind": "Kustomization", "spec": {"prune": True, "interval": "10m"}},
    inventory=of(
        [
            Entry(ResourceRef("apps", "web", "apps", "Deployment", "v1"), "0c3b", Proof("w", "h", "g1")),
            Entry(ResourceRef("", "system:web", "rbac.authorization.k8s.io", "ClusterRole", "v1")),
        ]
    ),
    digest="hmac-sha256:aa",
    shown_digest="sha256:bb",
    state=State.FAILED,
    message="Deployment/apps/web is not ready",
    history=(
        Snapshot("sha256:bb", "main@sha1:1", State.FAILED, 12.5, sources={"OCIRepository/a/b": "1@sha256:c"}),
    ),
    deployment=Deployment(
        "main@sha1:1",
        "1" * 40,
        done=False,
        started_at=10.25,
        sources={"OCIRepository/apps/web": f"1.0.0@sha256:{'a' * 64}"},
    ),
    fence=7,
)


def packed(plain):
    """A ConfigMap that holds something."""
    data = plain if isinstance(plain, bytes) else gzip.compress(orjson.dumps(plain))
    return {**state.encode(RECORD), "binaryData": {KEY: b64encode(data).decode()}}


def plain(record=RECORD):
    return orjson.loads(gzip.decompress(b64decode(state.encode(record)["binaryData"][KEY])))


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(RECORD, id="a full record"),
        pytest.param(Record("a/b"), id="a new record"),
        pytest.param(replace(RECORD, state=None, deployment=None), id="a run that has not ended"),
        pytest.param(
            replace(RECORD, deployment=Deployment("r", "c", done=True, started_at=0.0)),
            id="a done deployment",
        ),
    ],
)
def test_a_record_comes_back_as_it_went_in(record):
    assert state.decode(state.encode(record)) == record


TEXTS = st.text(max_size=12)
NAMES = st.text("abcdefghij-.", min_size=1, max_size=12)
NAMES_ALONE = st.text("ab-_=", max_size=4)
ENTRIES = st.builds(
    Entry,
    st.builds(ResourceRef, NAMES | st.just(""), NAMES, NAMES | st.just(""), st.just("Kind"), st.just("v1")),
    TEXTS,
    st.none() | st.builds(Proof, NAMES_ALONE, NAMES_ALONE, NAMES_ALONE),
)
STATES = st.sampled_from(State)
TIMES = st.floats(0, 4e9)
DEPLOYMENTS = st.builds(Deployment, TEXTS, TEXTS, st.booleans(), TIMES, st.none() | TIMES, TEXTS)
RECORDS = st.builds(
    Record,
    NAMES.map("ns/{}".format),
    TEXTS,
    TEXTS,
    TEXTS,
    st.dictionaries(TEXTS, st.recursive(TEXTS | st.booleans() | st.none(), st.lists, max_leaves=5)),
    st.lists(ENTRIES, max_size=5).map(of),
    TEXTS,
    TEXTS,
    st.none() | STATES,
    TEXTS,
    st.lists(st.builds(Snapshot, TEXTS, TEXTS, STATES, TIMES, TIMES, TEXTS), max_size=HISTORY).map(tuple),
    st.none() | DEPLOYMENTS,
    st.integers(0, 2**31),
    st.lists(DEPLOYMENTS, max_size=HISTORY).map(tuple),
    TEXTS,
)


@given(RECORDS)
def test_any_record_comes_back_as_it_went_in(record):
    assert state.decode(state.encode(record)) == record


@given(RECORDS)
def test_equal_records_give_equal_bytes(record):
    backwards = replace(
        record,
        inventory=dict(reversed(list(record.inventory.items()))),
        manifest=dict(reversed(list(record.manifest.items()))),
    )
    assert orjson.dumps(state.encode(record)) == orjson.dumps(state.encode(backwards))


def test_the_versions_of_objects_are_remembered_too():
    found = state.decode(state.encode(RECORD))
    assert {ref.version for ref in found.inventory} == {"v1"}


def test_a_record_is_a_config_map_that_the_selector_finds():
    made = state.encode(RECORD)
    key, _, value = SELECTOR.partition("=")
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert made["metadata"]["namespace"] == "flux-system"
    assert made["metadata"]["name"] == "kustodian-apps"
    assert made["metadata"]["labels"][key] == value


def test_a_name_too_long_for_a_config_map_is_cut_and_stays_unique():
    longest = "a" * 243
    assert config_map_ref(f"n/{longest}").name == f"kustodian-{longest}"
    names = {config_map_ref(f"n/{'a' * 244}{tail}").name for tail in ("", "b", "c")}
    assert {len(name) for name in names} == {253}
    assert len(names) == 3


def inventory(count):
    """Objects with the names, uids and proofs that compress worst."""
    spread = [uuid.uuid5(uuid.NAMESPACE_DNS, str(number)) for number in range(count)]
    refs = [
        ResourceRef(f"team-{n % 50}", f"service-{u.hex[:12]}", "apps", "Deployment", "v1")
        for n, u in enumerate(spread)
    ]
    return of(Entry(ref, str(u), proved(u)) for ref, u in zip(refs, spread, strict=True))


def proved(number):
    wanted, held = (urlsafe_b64encode(number.bytes[::step][:12]).decode() for step in (1, -1))
    return Proof(wanted, held, f"r{number.int % 10**7}")


def test_ten_thousand_objects_fit():
    record = replace(RECORD, inventory=inventory(10_000))
    made = state.encode(record)
    assert len(b64decode(made["binaryData"][KEY])) < LIMIT
    assert len(orjson.dumps(made)) < 1_500_000, "etcd takes no larger request"
    assert state.decode(made) == record


def test_a_record_of_the_release_before_is_read_and_ours_by_that_one():
    """Which knew nothing of proofs: a field that it does not know is none that it needs."""
    bare = plain()
    for entry in bare["inventory"]:
        entry.pop("proof", None)
    assert bare["format"] == state.FORMAT == 1
    assert state.decode(packed(bare)) == replace(RECORD, inventory=unproven(RECORD.inventory))


def test_a_record_that_does_not_fit_names_its_kustomization():
    with pytest.raises(GuardError, match=r"^flux-system/apps has 60000 objects, .* more than a ConfigMap"):
        state.encode(replace(RECORD, inventory=inventory(60_000)))


DAMAGED = [
    pytest.param({**state.encode(RECORD), "binaryData": None}, id="the data is gone"),
    pytest.param({**state.encode(RECORD), "binaryData": {"other": ""}}, id="the key is gone"),
    pytest.param({**state.encode(RECORD), "binaryData": {KEY: "%"}}, id="it is not base64"),
    pytest.param(packed(b"plain"), id="it is not compressed"),
    pytest.param(packed(gzip.compress(b"x" * 999)[:-9]), id="it is cut off"),
    pytest.param(packed(gzip.compress(b"x" * 999, mtime=0)[:10] + b"\xff" * 20), id="its bytes are mangled"),
    pytest.param(packed(gzip.compress(b"{")), id="it is no JSON"),
    pytest.param(packed([]), id="it is a list"),
    pytest.param(packed({}), id="it is empty"),
    pytest.param(packed({**plain(), "inventory": None}), id="the inventory is null"),
    pytest.param(packed({**plain(), "inventory": [{"id": "x", "v": "v1"}]}), id="an id is none"),
    pytest.param(packed({**plain(), "inventory": [{"id": "a_b__C"}]}), id="an entry lacks its version"),
    pytest.param(packed({**plain(), "inventory": ["a_b__C"]}), id="an entry is no object"),
    pytest.param(
        packed({**plain(), "inventory": [{"id": "a_b__C", "v": "v1", "proof": "x"}]}), id="a proof is none"
    ),
    pytest.param(packed({**plain(), "state": "happy"}), id="the state is a word nobody knows"),
    pytest.param(packed({**plain(), "history": [{}]}), id="a line of history is empty"),
    pytest.param(packed({**plain(), "deployment": "yes"}), id="the deployment is a text"),
    pytest.param(packed({**plain(), "format": "1"}), id="the format is no number"),
    *(
        pytest.param(packed({k: v for k, v in plain().items() if k != field}), id=f"{field} is missing")
        for field in plain()
    ),
]


@pytest.mark.parametrize("config_map", DAMAGED)
def test_a_damaged_record_is_never_read_as_an_empty_one(config_map):
    with pytest.raises(GuardError, match=r"^ConfigMap/flux-system/kustodian-apps cannot be read: ") as caught:
        state.decode(config_map)
    assert "restore it" in caught.value.hint


def test_a_record_of_a_newer_release_is_refused_and_not_called_damaged():
    with pytest.raises(GuardError, match="written by a newer release"):
        state.decode(packed({**plain(), "format": state.FORMAT + 1, "inventory": "in another form"}))


def test_a_digest_covers_content_and_order_but_not_the_order_of_keys():
    one, two = {"a": 1, "b": {"c": 2, "d": 3}}, {"a": 2}
    same = {"b": {"d": 3, "c": 2}, "a": 1}
    assert state.digest(b"k", [one, two]) == state.digest(b"k", [same, two])
    assert state.digest(b"k", [one, two]) != state.digest(b"k", [two, one])
    assert state.digest(b"k", [one]) != state.digest(b"k", [one, two])
    assert state.digest(b"k", [one]) != state.digest(b"k", [{**one, "a": True}])


def test_a_digest_says_how_it_was_made_and_depends_on_its_key():
    digests = [state.digest(key, [{"a": 1}]) for key in (b"", b"k", b"l")]
    assert [text.partition(":")[0] for text in digests] == ["sha256", "hmac-sha256", "hmac-sha256"]
    assert len({text.partition(":")[2] for text in digests}) == 3
