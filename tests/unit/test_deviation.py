"""Which differences are somebody's doing, and the patches between what is live and what is wanted."""

from __future__ import annotations

import jsonpatch
import pytest

from runner import deviation
from runner.diff import fields

WANTED = {
    "metadata": {"labels": {"app": "x"}},
    "stringData": {"password": "hidden"},
    "spec": {
        "replicas": 2,
        "ports": [{"port": 80}],
        "containers": [{"name": "web", "image": "x:1", "args": ["a", "b"]}],
    },
}
LIVE = {
    "metadata": {"labels": {"app": "y"}},
    "spec": {
        "replicas": 3,
        "ports": [{"port": 80, "protocol": "TCP"}],
        "containers": [{"name": "web", "image": "x:2", "args": ["a", "c"]}],
        "left": True,
    },
}
MERGED = {
    "metadata": {"labels": {"app": "x", "by-policy": "z"}},
    "data": {"password": "aGlkZGVu", "other": "eA=="},
    "spec": {
        "replicas": 2,
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}],
        "containers": [
            {"name": "web", "image": "x:1", "args": ["a", "b"], "pull": "Always"},
            {"name": "sidecar", "image": "s"},
        ],
        "default": 1,
    },
}


def kept(live, merged):
    return [change for change in fields(live, merged) if deviation.counts(change, WANTED)]


def test_what_git_does_not_have_was_filled_in_and_is_no_drift():
    assert [change.path for change in kept(LIVE, MERGED)] == [
        "metadata.labels.app",
        "spec.containers[name=web].args[1]",
        "spec.containers[name=web].image",
        "spec.left",
        "spec.replicas",
    ]


def test_the_text_of_a_secret_is_data_in_the_cluster():
    (change,) = fields({"data": {"password": "eA=="}}, {"data": {"password": "eQ=="}})
    assert deviation.counts(change, WANTED)
    (other,) = fields({"data": {"other": "eA=="}}, {"data": {"other": "eQ=="}})
    assert not deviation.counts(other, WANTED)


@pytest.mark.parametrize("both", [(LIVE, MERGED), (MERGED, LIVE)])
def test_the_patches_hold_what_counts_and_lead_there_and_back(both):
    live, merged = both
    chosen = kept(live, merged)
    there, back = deviation.patches(live, merged, chosen, fields(live, merged))
    wanted = jsonpatch.apply_patch(live, list(there))

    assert sorted(c.path for c in fields(live, wanted)) == sorted(c.path for c in chosen)
    assert jsonpatch.apply_patch(wanted, list(back)) == live
