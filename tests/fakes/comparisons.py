"""Comparisons to show: nothing, the routine, everything at once, the broken, the big and the hostile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runner.changes import (
    Affected,
    Cause,
    Comparison,
    Fault,
    FieldChange,
    ImageChange,
    ObjectChange,
    Pending,
    Severity,
    Signal,
    Touch,
    Why,
)
from runner.model import Action, Held, ResourceRef, State
from runner.rendered import Problem, Subject

BASE = "main@sha1:3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d"
HEAD = "topic@sha1:b81cd04e55b81cd04e55b81cd04e55b81cd04e55"
HOSTILE = (
    "x\x1b[31m\n::error::forged\n```\n~~~\n#### ✓ all is well\n<!-- kustodian:e:0 --> --> </details></code>"
    "</template></script> | a | @somebody #1 GH-1 [l](http://evil.example) ![i](http://evil.example/i.png) "
    "<img src=x onerror=alert(1)> www.evil.example evil@example.org `````` \\` $`x`$ \u202egpj\u2066 "
    "%0A::add-mask::y {{ 7*7 }} {% x %} \ud800"
)


def ref(kind: str, name: str, namespace: str = "web", group: str = "") -> ResourceRef:
    return ResourceRef(namespace, name, group, kind, "v1")


def manifest(of: ResourceRef, **rest: Any) -> dict[str, Any]:
    meta = {"name": of.name} | ({"namespace": of.namespace} if of.namespace else {})
    return {"apiVersion": of.api_version, "kind": of.kind, "metadata": meta, **rest}


def deployment(tag: str, replicas: int) -> dict[str, Any]:
    container = {"name": "api", "image": f"ghcr.io/acme/api:{tag}", "args": ["--port=8080"]}
    spec = {"replicas": replicas, "template": {"spec": {"containers": [container]}}}
    return manifest(API, spec=spec)


API = ref("Deployment", "api", group="apps")
DATABASE = ref("StatefulSet", "db", "data", "apps")
CONFIG = ref("ConfigMap", "settings-7h2kf9d4mg")
CRD = ref("CustomResourceDefinition", "widgets.acme.io", "", "apiextensions.k8s.io")
IMAGE = ImageChange("ghcr.io/acme/api", "1.4.2", "1.5.0", (API,))
DIGEST = ImageChange(
    "quay.io/db/postgres", "", "16.2@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    (DATABASE,),
)  # fmt: skip

UPGRADE = ObjectChange(
    "flux-system/apps", API, Action.CONFIGURED,
    fields=(
        FieldChange("spec.template.spec.containers[name=api].image", Touch.CHANGED,
                    "ghcr.io/acme/api:1.4.2", "ghcr.io/acme/api:1.5.0"),
    ),
    before=deployment("1.4.2", 2), after=deployment("1.5.0", 2),
)  # fmt: skip

NOTHING = Comparison("", "clusters/production", BASE, HEAD, idle=("README.md",), kustomizations=12)
ROUTINE = replace(
    NOTHING,
    affected=(Affected("flux-system/apps", (Why(Cause.FILES, "apps/api/deployment.yaml"),)),),
    changes=(UPGRADE,), images=(IMAGE,), waves=(("flux-system/apps",),), idle=(), routine=True,
)  # fmt: skip

OLD_SETTINGS = "log: info\nport: 8080\nhosts:\n- a.example\n- b.example\n"
NEW_SETTINGS = "log: debug\nport: 8080\nhosts:\n- a.example\n- c.example\n"
CHANGES = (
    ObjectChange("flux-system/infra", CRD, Action.CONFIGURED, fields=(
        FieldChange("spec.versions[name=v1].schema.openAPIV3Schema.properties.spec.properties.size",
                    Touch.ADDED, None, {"type": "integer", "description": "How big\nit is"}),
        FieldChange("spec.versions[name=v1alpha1].name", Touch.CHANGED, "v1", "v2"),
    ), before=manifest(CRD, spec={"a": 1}), after=manifest(CRD, spec={"a": 2})),
    ObjectChange("flux-system/infra", ref("Namespace", "web", ""), Action.CREATED,
                 after=manifest(ref("Namespace", "web", ""))),
    ObjectChange("flux-system/apps", CONFIG, Action.CONFIGURED, fields=(
        FieldChange("data.settings", Touch.CHANGED, OLD_SETTINGS, NEW_SETTINGS),
    ), before=manifest(ref("ConfigMap", "settings-b5c6d7"), data={"settings": OLD_SETTINGS}),
       after=manifest(CONFIG, data={"settings": NEW_SETTINGS}),
       was=ref("ConfigMap", "settings-b5c6d7")),
    replace(UPGRADE, fields=(
        *UPGRADE.fields,
        FieldChange("spec.replicas", Touch.CHANGED, 2, 0),
        FieldChange("spec.template.spec.containers[name=api].args", Touch.REORDERED,
                    ["--port=8080", "--v=2"], ["--v=2", "--port=8080"]),
        FieldChange("metadata.annotations", Touch.REMOVED, {"note": "yes"}, None),
    ), after=deployment("1.5.0", 0), unknown=("region",), clashes=("spec.replicas",),
       drift=(FieldChange("spec.replicas", Touch.CHANGED, 5, 2),)),
    ObjectChange("flux-system/apps", ref("Secret", "db"), Action.CONFIGURED, fields=(
        FieldChange("data.password", Touch.CHANGED, "‹24 bytes›", "‹31 bytes›"),
        FieldChange("data.token", Touch.CHANGED, "‹16 bytes›", "‹16 bytes›"),
    ), before=manifest(ref("Secret", "db"), data={"password": "‹24 bytes›", "token": "‹16 bytes›"}),
       after=manifest(ref("Secret", "db"), data={"password": "‹31 bytes›", "token": "‹16 bytes›"})),
    ObjectChange("flux-system/data", DATABASE, Action.MOVED, moved_from="flux-system/apps",
                 before=manifest(DATABASE, spec={"replicas": 1}),
                 after=manifest(DATABASE, spec={"replicas": 1})),
    ObjectChange("flux-system/legacy", ref("PersistentVolumeClaim", "files", "old"), Action.DELETED,
                 "no longer in Git", before=manifest(ref("PersistentVolumeClaim", "files", "old"))),
    ObjectChange("flux-system/legacy", ref("Job", "report", "old", "batch"), Action.DELETED,
                 before=manifest(ref("Job", "report", "old", "batch"), spec={"suspend": "no"})),
    ObjectChange("flux-system/legacy", ref("Service", "old", "old"), Action.SKIPPED, "prune is off",
                 before=manifest(ref("Service", "old", "old"))),
)  # fmt: skip
SIGNALS = (
    Signal("immutable", Severity.BLOCKER, "spec.selector cannot be changed", "flux-system/apps", API),
    Signal("prune", Severity.CAUTION, "1 object will be deleted", "flux-system/legacy",
           ref("PersistentVolumeClaim", "files", "old")),
    Signal("orphan", Severity.CAUTION, "prune is off: the object stays", "flux-system/legacy",
           ref("Service", "old", "old")),
    Signal("scale-to-zero", Severity.CAUTION, "2 replicas become none", "flux-system/apps", API),
    Signal("suspend", Severity.NOTE, "it is suspended: nothing of it rolls out", "flux-system/legacy"),
)  # fmt: skip
CAUTION = Comparison(
    "https://10.0.0.1:6443", "clusters/production", BASE, HEAD,
    affected=(
        Affected("flux-system/infra", (Why(Cause.FILES, "infra/widgets.yaml"),)),
        Affected("flux-system/apps", (Why(Cause.SHARED, "bases/api"), Why(Cause.VARIABLES, "replicas"))),
        Affected("flux-system/data", (Why(Cause.NEW),)),
        Affected("team/web", via=("flux-system/apps", "flux-system/infra")),
        Affected("flux-system/legacy", (Why(Cause.REMOVED),)),
    ),
    changes=CHANGES, signals=SIGNALS, images=(IMAGE, DIGEST),
    pending=(Pending("flux-system/monitoring", State.FAILED, "health check failed"),
             Pending("team/new", None, "")),
    waves=(("flux-system/infra",), ("flux-system/apps", "flux-system/data"), ("team/web",)),
    idle=("README.md", "docs/a|b.md"),
    held=(Held("flux-system/legacy", (ref("PersistentVolumeClaim", "files", "old"),), "it is still bound",
               "9f86d081884c7d65"),),
    warnings=("flux-system/apps: policy/v1beta1 is deprecated",), kustomizations=12,
)  # fmt: skip
FAULTS = replace(
    ROUTINE, routine=False,
    affected=(*ROUTINE.affected, Affected("flux-system/infra", (Why(Cause.RENDER),))),
    faults=(
        Fault("flux-system/infra", "head", (
            Problem("missing_variable", "no value for cluster_env", variable="cluster_env",
                    subject=Subject("apps", "v1", "Deployment", "", "nginx"),
                    file="infra/nginx.yaml", line=12, json_path="$.spec.replicas"),
            Problem("build", "accumulating resources:\nno such file"),
        )),
        Fault("team/web", "both", (Problem("yaml", "", file="web/a.yaml"),)),
    ),
)  # fmt: skip


def large(size: int, objects: int) -> Comparison:
    """About `size` bytes of differences in so many ConfigMaps of ten Kustomizations."""
    names = tuple(f"team-{number % 10}/apps" for number in range(10))
    changes = []
    lines = max(size // objects // 40, 1)
    for number in range(objects):
        each = ref("ConfigMap", f"file-{number:05}", f"team-{number * 10 // objects}")
        texts = [
            "".join(f"{word} line {line:06} of file {number:05}\n" for line in range(lines))
            for word in ("was", "is ")
        ]
        field = FieldChange("data.text", Touch.CHANGED, *texts)
        before, after = (manifest(each, data={"text": text}) for text in texts)
        name = f"team-{number * 10 // objects}/apps"
        changes.append(ObjectChange(name, each, Action.CONFIGURED, "", (field,), before, after))
    return replace(
        NOTHING, changes=tuple(changes), waves=(names,),
        affected=tuple(Affected(name, (Why(Cause.FILES, "apps"),)) for name in names),
    )  # fmt: skip


def hostile(text: str = HOSTILE) -> Comparison:
    """Foreign text wherever foreign text can be."""
    bad = ResourceRef(text, text, text, text, text)
    value = {text: text, "list": [text, {text: [text]}], "lines": f"{text}\n{text}\n"}
    fields = (
        FieldChange(text, Touch.CHANGED, text, f"{text}\n{text}"),
        FieldChange(text, Touch.ADDED, None, value),
        FieldChange(text, Touch.REMOVED, value, None),
        FieldChange(text, Touch.REORDERED, [text, 1], [1, text]),
    )
    whole = {"apiVersion": text, "kind": text, "metadata": {"name": text}, text: value}
    changed = ObjectChange(text, bad, Action.CONFIGURED, text, fields, whole, {**whole, "more": text}, bad,
                           text, (text,), fields, (text,))  # fmt: skip
    changes = (
        changed,
        replace(changed, action=Action.CREATED, fields=(), before=None, drift=()),
        replace(changed, action=Action.DELETED, fields=(), after=None, drift=()),
    )
    problem = Problem(text, text, text, Subject(text, text, text, text, text), text, text, text, 7)
    return Comparison(
        text, text, text, text,
        affected=(Affected(text, (Why(Cause.FILES, text),)), Affected(f"{text}/2", via=(text,))),
        changes=changes, faults=(Fault(text, text, (problem,)),),
        signals=tuple(
            Signal(code, severity, text, text, where)
            for severity in Severity for code in (f"{text}!", "prune", "orphan") for where in (bad, None)
        ),
        images=(ImageChange(text, text, text, (bad,)),), pending=(Pending(text, State.FAILED, text),),
        waves=((text,), (f"{text}/2",)), idle=(text,), held=(Held(text, (bad,), text, text),),
        warnings=(text,), kustomizations=2,
    )  # fmt: skip
