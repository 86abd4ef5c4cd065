"""Which images and charts change, and when a change is routine."""

from __future__ import annotations

import pytest

from runner.changes import ImageChange, Severity, Signal
from runner.model import FLUX, Action
from runner.signals import images, routine, signals
from runner.signals.images import parse
from tests.unit.test_signals import changed, load

DIGEST, OTHER = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"

REFERENCES = [
    pytest.param("nginx", ("nginx", ""), id="a name"),
    pytest.param("nginx:1.2", ("nginx", "1.2"), id="a tag"),
    pytest.param("ghcr.io/a/b_c:v1", ("ghcr.io/a/b_c", "v1"), id="a registry"),
    pytest.param("localhost:5000/a", ("localhost:5000/a", ""), id="a port is no tag"),
    pytest.param(f"a@{DIGEST}", ("a", DIGEST), id="a digest"),
    pytest.param(f"a:1@{DIGEST}", ("a", f"1@{DIGEST}"), id="both"),
    pytest.param("a b", None, id="no reference"),
    pytest.param("a:${tag}", None, id="not known"),
    pytest.param("https://a/b.png", None, id="an address"),
    pytest.param("", None, id="nothing"),
    pytest.param({"repository": "a"}, None, id="no text"),
]


@pytest.mark.parametrize(("text", "expected"), REFERENCES)
def test_a_reference_is_read(text, expected):
    assert parse(text) == expected


def deployment(*refs):
    listed = ", ".join(f"{{name: c{index}, image: '{ref}'}}" for index, ref in enumerate(refs))
    return f"spec: {{template: {{spec: {{containers: [{listed}]}}}}}}"


APP, RELEASE = ("Deployment", "apps/v1"), ("HelmRelease", "helm.toolkit.fluxcd.io/v2")
OCI, CUSTOM = ("OCIRepository", "source.toolkit.fluxcd.io/v1"), ("Thing", "a.io/v1")
CRON, FLUX_KIND = ("CronJob", "batch/v1"), ("Kustomization", f"{FLUX}/v1")
CONFIG = ("ConfigMap", "v1")


def chart(version, values="{}"):
    return f"spec: {{chart: {{spec: {{chart: redis, version: '{version}'}}}}, values: {values}}}"


IMAGES = [
    pytest.param(APP, deployment("a:1"), deployment("a:2"), [("a", "1", "2")], id="a tag"),
    pytest.param(APP, deployment("a:1"), deployment("a:1"), [], id="nothing"),
    pytest.param(
        APP,
        deployment(f"a:1@{DIGEST}"),
        deployment(f"a:1@{OTHER}"),
        [("a", f"1@{DIGEST}", f"1@{OTHER}")],
        id="a digest, whole",
    ),
    pytest.param(APP, deployment("a:1"), deployment("b:1"), [("a", "1", ""), ("b", "", "1")], id="a name"),
    pytest.param(APP, None, deployment("a:1"), [("a", "", "1")], id="new"),
    pytest.param(APP, deployment("a:1"), None, [("a", "1", "")], id="gone"),
    pytest.param(APP, deployment("a:1", "b:1"), deployment("b:1", "a:1"), [], id="another order"),
    pytest.param(APP, deployment("a:1", "a:1"), deployment("a:2", "a:2"), [("a", "1", "2")], id="twice"),
    pytest.param(
        APP,
        deployment("a:1", "a:2"),
        deployment("a:1", "a:3"),
        [("a", "2", "3")],
        id="one name, two versions",
    ),
    pytest.param(APP, deployment("a:${x}"), deployment("a:${y}"), [], id="not known"),
    pytest.param(
        CRON,
        "spec: {jobTemplate: {spec: {template: {spec: {containers: [], initContainers: [{image: 'a:1'}]}}}}}",
        "spec: {jobTemplate: {spec: {template: {spec: {containers: [], initContainers: [{image: 'a:2'}]}}}}}",
        [("a", "1", "2")],
        id="of a CronJob, before the others",
    ),
    pytest.param(
        CUSTOM,
        "spec: {deep: [{image: 'a:1'}]}",
        "spec: {deep: [{image: 'a:2'}]}",
        [("a", "1", "2")],
        id="of somebody else's kind",
    ),
    pytest.param(CUSTOM, "spec: {image: ubuntu}", "spec: {image: debian}", [], id="that may be anything"),
    pytest.param(CUSTOM, "spec: {image: a b}", "spec: {image: [a]}", [], id="that is none"),
    pytest.param(CONFIG, "image: 'a:1'", "image: 'a:2'", [], id="of a ConfigMap"),
    pytest.param(RELEASE, chart("1.2.3"), chart("1.2.4"), [("chart redis", "1.2.3", "1.2.4")], id="a chart"),
    pytest.param(
        RELEASE,
        chart("1", "{main: {image: {repository: a, tag: '1'}}}"),
        chart("1", "{main: {image: {repository: a, tag: '2'}}}"),
        [("a", "1", "2")],
        id="in the values of a chart",
    ),
    pytest.param(
        OCI,
        "spec: {url: 'oci://ghcr.io/a/b', ref: {tag: 1.0.0}}",
        "spec: {url: 'oci://ghcr.io/a/b', ref: {tag: 1.1.0}}",
        [("ghcr.io/a/b", "1.0.0", "1.1.0")],
        id="an artifact",
    ),
]


@pytest.mark.parametrize(("kind", "before", "after", "expected"), IMAGES)
def test_images_that_change(kind, before, after, expected):
    change = changed(load(before, *kind), load(after, *kind))
    assert [(each.name, each.before, each.after) for each in images([change])] == expected
    assert all(each.users == (change.ref,) for each in images([change]))


def test_an_image_is_listed_once_with_all_its_users():
    changes = [
        changed(*(load(f"metadata: {{name: {name}}}\n{deployment(ref)}", *APP) for ref in ("a:1", "a:2")))
        for name in "zab"
    ]
    refs = tuple(sorted(change.ref for change in changes))
    assert images(changes) == (ImageChange("a", "1", "2", refs),)


MAJOR = [
    pytest.param("1.2.3", "2.0.0", True, id="another"),
    pytest.param("v1.2.3-alpine", "v2.0.0-alpine", True, id="with a suffix"),
    pytest.param("17", "18", True, id="alone"),
    pytest.param("2.0.0", "1.9.0", True, id="back"),
    pytest.param(f"1.0@{DIGEST}", f"2.0@{OTHER}", True, id="with a digest"),
    pytest.param("1.2.3", "1.3.0", False, id="the same"),
    pytest.param("2024.1", "2025.1", False, id="a year"),
    pytest.param("1234", "1235", False, id="a build"),
    pytest.param("latest", "2.0.0", False, id="no version"),
    pytest.param("1f3a2b", "2f3a2b", False, id="a commit"),
    pytest.param("1.0.0", "", False, id="nothing"),
]


@pytest.mark.parametrize(("before", "after", "expected"), MAJOR)
def test_another_major_version_is_told(before, after, expected):
    change = changed(*(load(deployment(f"a:{tag}" if tag else "b"), *APP) for tag in (before, after)))
    found = signals([change], {}, {})
    assert [each.code for each in found] == (["major-version"] if expected else [])
    for each in found:
        assert each.text == f"Deployment/default/x gets another major version of a: {before} → {after}"
        assert (each.ref, each.kustomization) == (change.ref, change.kustomization)


def test_so_is_that_of_a_chart():
    [found] = signals([changed(load(chart("1.0"), *RELEASE), load(chart("2.0"), *RELEASE))], {}, {})
    assert found.text.endswith("another major version of chart redis: 1.0 → 2.0")


def test_one_that_several_use_is_told_once():
    changes = [
        changed(
            *(load(f"metadata: {{name: {name}}}\n{deployment(ref)}", *APP) for ref in ("a:1.0", "a:2.0")),
            owner,
        )
        for name, owner in (("x", "n/a"), ("y", "n/b"))
    ]
    [found] = signals(changes, {}, {})
    assert found.text.startswith("Deployment/default/x, Deployment/default/y get another major version")
    assert (found.ref, found.kustomization) == (None, "")


VERSIONED = 'metadata: {labels: {app.kubernetes.io/version: "%s", helm.sh/chart: redis-%s}}\n%s'
ROUTINE = [
    pytest.param(APP, deployment("a:1.1"), deployment("a:1.2"), True, id="an image"),
    pytest.param(APP, deployment("a:main-1"), deployment("a:main-2"), True, id="no version"),
    pytest.param(APP, deployment("a:1.1"), deployment("a:2.0"), False, id="a major version"),
    pytest.param(APP, deployment("a:1.1"), deployment("b:1.1"), False, id="another image"),
    pytest.param(APP, deployment("a:1.1"), deployment("a:1.2", "b:1"), False, id="another container"),
    pytest.param(APP, None, deployment("a:1.1"), False, id="something new"),
    pytest.param(APP, deployment("a:1.1"), None, False, id="something gone"),
    pytest.param(
        APP,
        VERSIONED % ("1.1", "1", deployment("a:1.1")),
        VERSIONED % ("1.2", "2", deployment("a:1.2")),
        True,
        id="labels that follow",
    ),
    pytest.param(
        APP, "metadata: {labels: {a: '1'}}", "metadata: {labels: {a: '2'}}", False, id="labels that do not"
    ),
    pytest.param(RELEASE, chart("1.1"), chart("1.2"), True, id="a chart"),
    pytest.param(RELEASE, chart("1.1"), chart("2.0"), False, id="a major version of a chart"),
    pytest.param(
        RELEASE,
        chart("1", "{image: {tag: a}}"),
        chart("1", "{image: {tag: b}}"),
        True,
        id="a tag in its values",
    ),
    pytest.param(RELEASE, chart("1", "{tags: a}"), chart("1", "{tags: b}"), False, id="other values"),
    pytest.param(OCI, "spec: {ref: {tag: a}}", "spec: {ref: {tag: b}}", True, id="an artifact"),
    pytest.param(OCI, "spec: {url: a}", "spec: {url: b}", False, id="another artifact"),
    pytest.param(
        FLUX_KIND,
        "spec: {images: [{name: a, newTag: '1'}]}",
        "spec: {images: [{name: a, newTag: '2'}]}",
        True,
        id="an override",
    ),
    pytest.param(FLUX_KIND, "spec: {path: a}", "spec: {path: b}", False, id="a path"),
    pytest.param(CUSTOM, "spec: {image: 'a:1.1'}", "spec: {image: 'a:1.2'}", True, id="somebody else's kind"),
    pytest.param(CUSTOM, "spec: {image: ubuntu}", "spec: {image: debian}", False, id="no image, perhaps"),
    pytest.param(CONFIG, "spec: {image: 'a:1'}", "spec: {image: 'a:2'}", False, id="a ConfigMap"),
]


@pytest.mark.parametrize(("kind", "before", "after", "expected"), ROUTINE)
def test_only_versions_are_routine(kind, before, after, expected):
    changes = [changed(load(before, *kind), load(after, *kind))]
    assert routine(changes, signals(changes, {}, {})) is expected


def test_routine_is_about_all_that_is_written():
    def bump(**rest):
        return changed(load(deployment("a:1.1"), *APP), load(deployment("a:1.2"), *APP), **rest)

    other = changed(load("spec: {a: 1}", *CUSTOM), load("spec: {a: 2}", *CUSTOM))
    note, caution = (Signal("x", severity, "") for severity in (Severity.NOTE, Severity.CAUTION))
    assert routine([bump()], [])
    assert not routine([], [])
    assert not routine([bump(), other], [])
    assert not routine([bump(action=Action.UNKNOWN)], [])
    assert not routine([bump(unknown=("${x}",))], [])
    assert not routine([bump(fields=())], [])
    assert not routine([bump(action=Action.MOVED)], [])
    assert routine([bump(), bump(action=Action.SKIPPED), other_unchanged()], [note])
    assert not routine([bump(), changed(load("{}", *CONFIG), None, action=Action.SKIPPED)], [note])
    assert not routine([bump()], [note, caution])


def other_unchanged():
    return changed(load("{}", *CONFIG), load("{}", *CONFIG), action=Action.UNCHANGED)
