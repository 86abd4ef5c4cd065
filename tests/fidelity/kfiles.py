"""Kustomization files with everything that kustomize has, one tree each; what is built is `app`."""

# ruff: noqa: E501 -- manifests are as wide as people write them

from __future__ import annotations

from collections.abc import Mapping

from tests.fidelity.trees import COMPONENT, DEPLOYMENT, OTHERS

Files = Mapping[str, str]


def config_map(name: str, **data: str) -> str:
    lines = [f"  {key}: {value}\n" for key, value in data.items()]
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n" + "".join(lines)


def _app(kfile: str, *, name: str = "kustomization.yaml", **more: str) -> dict[str, str]:
    """`app` with a Deployment and other objects; a key `a__b_yaml` is the file `a/b.yaml`."""
    extra = {key.replace("__", "/").replace("_yaml", ".yaml"): text for key, text in more.items()}
    return {
        f"app/{name}": kfile,
        "app/deployment.yaml": DEPLOYMENT,
        "app/others.yaml": OTHERS,
        **{f"app/{key}": text for key, text in extra.items()},
    }


BOTH = "resources: [deployment.yaml, others.yaml]\n"
WIDGET = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec:\n  parts: [{name: a, size: 1}, {name: b}]\n"
SCHEMA = """\
{"definitions": {"example.v1.Widget": {
  "type": "object",
  "properties": {
    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
    "spec": {"type": "object", "properties": {"parts": {
      "type": "array", "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
      "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}},
  "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Widget", "version": "v1"}]}}}
"""
WIDGET_PATCH = """\
resources: [w.yaml]
patches:
- patch: |
    apiVersion: example.com/v1
    kind: Widget
    metadata: {name: w}
    spec: {parts: [{name: b, size: 3}]}
"""
TRICKY = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: tricky
  annotations: {long: "words that go on and on and on, past the eightieth column, where an emitter folds them"}
data: &data
  "yes": "no"
  number: "0123"
  colon: "a: b"
  hash: "a #b"
  quote: "it's \\"both\\""
  tab: "a\\tb"
  trailing: "a "
  unicode: "h\\u00e9llo \\u2603 \\U0001F600"
  escaped: "a\\u0007b"
  empty: ""
  lines: |
    one
      two

    four
  kept: |+
    one

  folded: >-
    one
    two

    three
  windows: "a\\r\\nb\\r\\n"
  dollar: "$5 ${x:=y} $$"
  date: "2024-01-01"
binaryData: {b: AAECAw==}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
spec: {<<: {a: 1}, t: 2024-01-01, f: 1.0, g: 1e3, h: 0x1F, i: 010, n: ~, on: on, s: 12:30, l: [], m: {}}
"""

KFILES: Mapping[str, Files] = {
    "generators": _app(
        BOTH
        + """\
generatorOptions: {labels: {generated: "true"}, annotations: {a: b}}
configMapGenerator:
- {name: settings, files: [settings.ini, other=settings.ini, dir/blob.bin], literals: [a=b, 'quoted="x y"', empty=]}
- {name: plain, namespace: own, envs: [keys.env], options: {disableNameSuffixHash: true, immutable: true}}
secretGenerator:
- {name: keys, type: example.com/custom, literals: [a=b], files: [settings.ini]}
- {name: tls, type: kubernetes.io/tls, literals: [tls.crt=x, tls.key=y]}
""",
        **{"settings.ini": "[main]\nkey = value\n", "keys.env": "A=1\n\n# c\nB=x y\n", "dir/blob.bin": "\0\1"},
    ),
    "generators-that-merge": {
        "base/kustomization.yaml": "configMapGenerator: [{name: a, literals: [x=1, y=2]}, {name: b, literals: [x=1]}]\n",
        "app/kustomization.yaml": "resources: [../base]\nconfigMapGenerator:\n- {name: a, behavior: merge, literals: [y=3]}\n"
        "- {name: b, behavior: replace, literals: [z=1]}\n",
    },
    "patches": _app(
        BOTH
        + """\
patches:
- path: merge.yaml
- path: ops.json
  target: {kind: Service}
- target: {kind: Deployment, labelSelector: app=web}
  options: {allowNameChange: true}
  patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: renamed}
    spec: {strategy: {$patch: replace, type: Recreate}}
- patch: |
    $patch: delete
    apiVersion: v1
    kind: ServiceAccount
    metadata: {name: default}
- patch: |
    apiVersion: v1
    kind: Service
    metadata: {name: web, labels: {one: two}}
    ---
    apiVersion: v1
    kind: Namespace
    metadata: {name: space, labels: {one: two}}
""",
        merge_yaml="apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: null, "
        "template: {spec: {containers: [{name: web, args: [new]}]}}}\n",
        **{"ops.json": '[{"op": "replace", "path": "/spec/ports/0/port", "value": 8080}]'},
    ),
    "deprecated-patches": _app(
        BOTH
        + """\
patchesStrategicMerge:
- merge.yaml
- "apiVersion: v1\\nkind: Service\\nmetadata: {name: web, labels: {inline: 'yes'}}\\n"
patchesJson6902:
- {target: {version: v1, kind: Service, name: web}, patch: '[{"op": "remove", "path": "/spec/ports"}]'}
- {target: {group: apps, version: v1, kind: Deployment, name: web}, path: ops.yaml}
""",
        merge_yaml="apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 4}\n",
        ops_yaml="- {op: copy, from: /spec/replicas, path: /spec/minReadySeconds}\n",
    ),
    "replacements": _app(
        BOTH
        + """\
replacements:
- path: replacement.yaml
- source: {kind: Deployment, fieldPath: "spec.template.spec.containers.[name=web].image", options: {delimiter: ":", index: 1}}
  targets:
  - select: {kind: Service}
    reject: [{name: other}]
    fieldPaths: [metadata.annotations.version]
    options: {create: true}
  - select: {kind: Widget}
    fieldPaths: [spec.date]
- sourceValue: fixed
  targets: [{select: {kind: Namespace}, fieldPaths: [metadata.labels.fixed], options: {create: true}}]
""",
        replacement_yaml="source: {kind: Service, fieldPath: 'spec.ports.0.port'}\n"
        "targets: [{select: {kind: Deployment}, fieldPaths: ['spec.template.spec.containers.*.ports.0.containerPort']}]\n",
    ),
    "labels": _app(
        BOTH
        + """\
labels:
- {pairs: {plain: a}}
- {pairs: {selected: b}, includeSelectors: true}
- {pairs: {templated: c}, includeTemplates: true}
- {pairs: {somewhere: d}, fields: [{path: spec/labels, kind: Widget, create: true}]}
commonLabels: {common: e}
commonAnnotations: {note: f}
"""
    ),
    "openapi": {
        "app/kustomization.yaml": WIDGET_PATCH + "openapi: {path: schema.json}\n",
        "app/w.yaml": WIDGET,
        "app/schema.json": SCHEMA,
    },
    "no-openapi": {"app/kustomization.yaml": WIDGET_PATCH, "app/w.yaml": WIDGET},
    "crds": {
        "app/kustomization.yaml": "resources: [w.yaml]\nnamePrefix: p-\ncrds: [schema.json]\n"
        "configMapGenerator: [{name: c, literals: [a=b]}]\n",
        "app/w.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {configRef: {name: c}}\n",
        "app/schema.json": """\
{"github.com/example.Widget": {"Schema": {"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"},
  "spec": {"$ref": "github.com/example.WidgetSpec"}}}},
 "github.com/example.WidgetSpec": {"Schema": {"properties": {"configRef": {
   "x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap",
   "$ref": "github.com/example.Ref"}}}},
 "github.com/example.Ref": {"Schema": {"properties": {"name": {"type": "string"}}}}}
""",
    },
    "configurations": _app(
        BOTH + "namePrefix: p-\nnamespace: n\nconfigurations: [config.yaml]\nimages: [{name: tool, newTag: '2'}]\n",
        config_yaml="images: [{path: spec/image, kind: Widget}]\nnamePrefix: [{path: metadata/name, kind: Deployment}]\n"
        "nameReference: [{kind: ConfigMap, fieldSpecs: [{path: spec/kept, kind: Widget}]}]\n",
    ),
    "vars": _app(
        BOTH
        + "vars: [{name: WEB, objref: {kind: Service, name: web, apiVersion: v1}, fieldref: {fieldpath: metadata.name}}]\n"
        "namePrefix: p-\npatches: [{target: {kind: Deployment}, patch: "
        "'[{\"op\": \"add\", \"path\": \"/spec/template/spec/containers/0/args/-\", \"value\": \"$(WEB)\"}]'}]\n"
    ),
    "transformers": _app(
        BOTH + "transformers: [prefix.yaml, inner]\ngenerators: [generator.yaml]\nvalidators: [inner]\n",
        prefix_yaml="apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: t-\n"
        "fieldSpecs: [{path: metadata/name, kind: Service}]\n---\napiVersion: builtin\nkind: AnnotationsTransformer\n"
        "metadata: {name: a}\nannotations: {by: transformer}\nfieldSpecs: [{path: metadata/annotations, create: true}]\n",
        inner__kustomization_yaml="resources: [labels.yaml]\n",
        inner__labels_yaml="apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: l}\nlabels: {x: y}\n"
        "fieldSpecs: [{path: metadata/labels, create: true}]\n",
        generator_yaml="apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: made}\nliterals: [a=b]\n",
    ),
    "replicas-and-images": _app(
        BOTH + "replicas: [{name: web, count: 7}]\nimages:\n- {name: nginx, tagSuffix: -slim}\n"
        "- {name: busybox, newName: 'host:5000/box', newTag: '1'}\n- {name: mirror.example/log, newTag: '5'}\n"
    ),
    "namespace-and-names": _app(BOTH + "namespace: team\nnamePrefix: a-\nnameSuffix: -z\n"),
    "build-metadata": _app(
        BOTH + "buildMetadata: [managedByLabel, originAnnotations, transformerAnnotations]\nnamePrefix: p-\n"
    ),
    "unknown-build-metadata": _app(BOTH + "buildMetadata: [origin]\n"),
    "sorted": _app(BOTH + "sortOptions: {order: legacy, legacySortOptions: {orderFirst: [Service], orderLast: [Namespace]}}\n"),
    "components": {
        **_app(BOTH + "components: [one, ../two]\n", one__kustomization_yaml=COMPONENT + "components: [../../two]\nnamePrefix: one-\n"),
        "two/kustomization.yaml": COMPONENT + "resources: [made.yaml]\nnameSuffix: -two\n",
        "two/made.yaml": config_map("made"),
    },
    "bases": {
        "base/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: base-\n",
        "base/a.yaml": config_map("a", x="1"),
        "other/a.yaml": config_map("b"),
        "other/kustomization.yml": "resources: [a.yaml]\n",
        "app/kustomization.yaml": "bases: [../base]\nresources: [../other, ../base/../other2/c.json]\nnamePrefix: top-\n",
        "other2/c.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}',
    },
    "only-a-generator": _app("configMapGenerator: [{name: a, literals: [x=y]}]\n"),
    "only-a-component": {
        **_app("components: [../two]\n"),
        "two/kustomization.yaml": COMPONENT + "resources: [made.yaml]\n",
        "two/made.yaml": config_map("made"),
    },
    "component-as-root": _app(COMPONENT + BOTH + "namePrefix: c-\n"),
    "misspelt": _app("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresourcess: [none]\n" + BOTH),
    "yml": _app(BOTH, name="kustomization.yml"),
    "capital": _app(BOTH + "nameSuffix: -c\n", name="Kustomization"),
    "windows": {"app/kustomization.yaml": "resources:\r\n- a.yaml\r\n", "app/a.yaml": config_map("a", x="|").replace("\n", "\r\n")},
    "byte-order-mark": {"app/a.yaml": "\ufeff" + config_map("a", x="1")},
    "tricky-yaml": {"app/tricky.yaml": TRICKY},
    "tricky-yaml-in-a-kfile": {"app/tricky.yaml": TRICKY, "app/kustomization.yaml": "resources: [tricky.yaml]\n"},
    "anchors": {"app/a.yaml": "x: &x {a: b}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: *x}\ndata:\n  <<: *x\n  c: d\n"},
    "local-config": {"app/a.yaml": config_map("a") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: l, annotations: {config.kubernetes.io/local-config: 'true'}}\n"},
    "kustomize-file-as-a-resource": {"app/a.yaml": config_map("a"), "app/k.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: k}\n"},
    "flux-objects": {"app/a.yaml": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: inner, namespace: n}\nspec: {interval: 1m, prune: true, path: ./x, postBuild: {substitute: {a: '${tier:=x}'}}, sourceRef: {kind: GitRepository, name: g}}\n"},
    "empty": {"app/README.md": ""},
    "nothing-but-comments": {"app/a.yaml": "# nothing\n---\n# here\n", "app/b.yaml": ""},
    "string-data": {"app/s.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: '${tier:=x}', b: |\n  two\n  lines\n  }\ndata: {c: 'aGVsbG8='}\n".replace(", b: |\n  two\n  lines\n  }", "}")},
    "expression-over-two-values": {"app/a.yaml": config_map("a", x="'${tier:=a/b'", y="x/y}")},
    "no-name-after-substitution": {"app/a.yaml": config_map("a") + "---\n" + config_map('"${port:=8080}"')},
    "names-with-variables": {"app/a.yaml": config_map("${tier:=a}-x", **{"${tier:=a}": "1"}), "app/b.yaml": config_map("b")},
}  # fmt: skip
