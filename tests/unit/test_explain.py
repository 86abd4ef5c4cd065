"""Variables explained: nearest names, places in files, origins, and values that change their type."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from runner.discover import parse
from runner.errors import WorkerError
from runner.fleet import Origin, Variables
from runner.model import FLUX, VariableSource
from runner.render import explain, expressions, traps
from runner.render.files import Files
from runner.render.locate import located
from runner.rendered import Closure, ParsedFile, ParsedObject, Place, Problem, Subject
from runner.report.text import variables as as_text
from runner.report.views import BuildView

VARS = VariableSource("ConfigMap", "flux-system", "vars")
CREDENTIALS = VariableSource("Secret", "flux-system", "db")
EXTRA = VariableSource("ConfigMap", "flux-system", "extra", optional=True)
HIDDEN = "‹Secret flux-system/db:password›"


def apps(**post_build):
    return parse(
        {
            "apiVersion": f"{FLUX}/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {
                "interval": "10m",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": "fleet"},
                "postBuild": post_build,
            },
        }
    )


APPS = apps(
    substitute={"region": "north"},
    substituteFrom=[
        {"kind": "ConfigMap", "name": "vars"},
        {"kind": "Secret", "name": "db"},
        {"kind": "ConfigMap", "name": "extra", "optional": True},
    ],
)
GIVEN = Variables(
    values={"cluster_env": "prod", "region": "north", "password": "hunter2", "dsn": "db:hunter2@x"},
    display={"password": HIDDEN},
    origins={
        "cluster_env": (Origin(VARS, "flux-system/infra"),),
        "region": (Origin(VARS, "flux-system/infra"), Origin()),
        "password": (Origin(CREDENTIALS),),
        "dsn": (Origin(VARS, "flux-system/infra"),),
    },
    absent=(EXTRA,),
)


def missing(name, **rest):
    return Problem("missing_variable", f'variable not set (strict mode): "{name}"', variable=name, **rest)


def objects(text):
    made = []
    for each in yaml.safe_load_all(text):
        meta = {"name": "x", **each.pop("metadata", {})}
        made.append({"apiVersion": "v1", "kind": "ConfigMap", **each, "metadata": meta})
    return made


# --- a missing variable ---------------------------------------------------------------------------------


def test_a_missing_variable_names_the_nearest_where_was_looked_and_what_was_not_there():
    subject = Subject("", "v1", "ConfigMap", "", "a")
    [told] = explain.problems([missing("cluster_evn", subject=subject, json_path="$.data.x")], APPS, GIVEN)
    assert told.message == (
        'variable not set (strict mode): "cluster_evn"; did you mean `cluster_env`?; '
        "known: from postBuild.substitute: region; "
        "from ConfigMap/flux-system/vars: cluster_env, dsn, region; from Secret/flux-system/db: password; "
        "optional and not there: ConfigMap/flux-system/extra"
    )
    assert (told.variable, told.subject, told.json_path) == ("cluster_evn", subject, "$.data.x")
    assert not any(value in told.message for value in ("prod", "north", "hunter2"))


def test_where_was_looked_is_said_once_and_other_problems_stay():
    other = Problem("build", "no such file")
    first, second, third = explain.problems([missing("a"), other, missing("REGION")], APPS, GIVEN)
    assert "known: " in first.message
    assert "did you mean" not in first.message
    assert second is other
    assert third.message.endswith('"REGION"; did you mean `region`?')


def test_a_long_list_of_names_is_cut():
    names = [f"n{number:03}" for number in range(100)]
    given = Variables(dict.fromkeys(names, ""), origins=dict.fromkeys(names, (Origin(VARS),)))
    [told] = explain.problems(
        [missing("x")], apps(substituteFrom=[{"kind": "ConfigMap", "name": "vars"}]), given
    )
    assert told.message.endswith("n010, n011 and 88 more")
    [told] = explain.problems([missing("x")], apps(), Variables())
    assert told.message.endswith("; known: nothing")


# --- the place in the files -----------------------------------------------------------------------------


class Reader:
    """Parses as the worker does, as far as lines go: one document, one object."""

    def __init__(self):
        self.read = []

    def parse(self, data, name):
        self.read.append(name)
        if b"die" in data:
            raise WorkerError("the worker died")
        found, line = [], 1
        for number, text in enumerate(data.decode().split("---\n")):
            found.append(ParsedObject(yaml.safe_load(text), number, line))
            line += text.count("\n") + 1
        return ParsedFile(name, tuple(found))


def config(name, namespace="", value="x"):
    place = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{place}}}\ndata: {{v: '{value}'}}\n"


def place(tmp_path: Path, files, problem, reader=None):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    read = (*files, "gone.yaml")
    files = Files(tmp_path, reader or Reader())
    [found] = located([problem], Closure(read=read), files, lambda _: Place())
    return f"{found.file}:{found.line}"


def about(name="a", namespace="", kind="ConfigMap", variable="", file=""):
    return Problem(
        "any", "text", subject=Subject("", "v1", kind, namespace, name), variable=variable, file=file
    )


PLACES = [
    pytest.param({"a.yaml": config("b") + "---\n" + config("a")}, about(), "a.yaml:6", id="by name"),
    pytest.param({"a.yaml": config("a"), "b.yaml": config("a")}, about(), ":0", id="two fit"),
    pytest.param(
        {"a.yaml": config("a", "one"), "b.yaml": config("a", "two")}, about(namespace="two"), "b.yaml:1",
        id="by namespace",
    ),
    pytest.param(
        {"a.yaml": config("a", "one"), "b.yaml": config("a")}, about(namespace="two"), "b.yaml:1",
        id="the one without a namespace got it later",
    ),
    pytest.param(
        {"a.yaml": config("a"), "b.yaml": config("a", value="${gone:1}")}, about(variable="gone"), "b.yaml:1",
        id="the one that mentions the variable",
    ),
    pytest.param({"a.yaml": config("a")}, about("pre-a-post"), "a.yaml:1", id="with prefix and suffix"),
    pytest.param(
        {"a.yaml": config("a"), "b.yaml": config("b")}, about("a-b"), ":0", id="two names are contained"
    ),
    pytest.param(
        {"a.yaml": config("a")}, about("a-1", variable="gone"), ":0", id="contained, without the variable"
    ),
    pytest.param({"a.yaml": config("a")}, about(kind="Config"), ":0", id="another kind"),
    pytest.param({"a.txt": config("a")}, about(), ":0", id="no manifest"),
    pytest.param({"a.yaml": config("die")}, about(), ":0", id="a worker that dies"),
    pytest.param({"a.yaml": config("a")}, about(file="z.yaml"), "z.yaml:0", id="a known file stays"),
    pytest.param({"a.yaml": config("a")}, Problem("any", "text"), ":0", id="about no object"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "problem", "expected"), PLACES)
def test_the_place_of_the_object_that_a_problem_is_about(tmp_path, files, problem, expected):
    assert place(tmp_path, files, problem) == expected


def test_files_are_read_only_where_they_may_matter(tmp_path):
    reader = Reader()
    files = {"a.yaml": config("a"), "b.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"}
    assert place(tmp_path, files, Problem("any", "text"), reader) == ":0"
    assert reader.read == []
    assert place(tmp_path, files, about(kind="Pod"), reader) == "b.yaml:1"
    assert reader.read == ["b.yaml"]


# --- origins --------------------------------------------------------------------------------------------

MENTIONS = [
    ("${a} ${b:=1} ${c:-x-${d}} ${#e} ${f//x/y} ${g=2}", "abcdefg"),
    ("$${a} $$${b} $$$${c} $d $(e)", "b"),
    ("no expression", ""),
]


@pytest.mark.parametrize(("text", "expected"), MENTIONS)
def test_the_names_that_a_text_mentions(text, expected):
    found = explain.mentions([{"metadata": {"name": "x"}, "data": {"k": [text]}}])
    assert found.used == set(expected)


def test_keys_count_and_objects_that_opted_out_do_not():
    out = {"name": "x", "labels": {f"{FLUX}/substitute": "disabled"}}
    found = explain.mentions([{"metadata": {"name": "x"}, "${key}": 1}, {"metadata": out, "data": "${no}"}])
    assert found.used == {"key"}


def test_defaults():
    found = explain.mentions(objects("data: {a: '${x:=1} ${y:=1}${y:=2} ${z:=${x}} ${v:={}}'}"))
    assert found.defaults == {"x": {"1"}, "y": {"1", "2"}, "z": {None}, "v": {None}}


def rows(k=APPS, given=GIVEN, text="data: {a: '${cluster_env} ${password} ${size:=3} ${gone}'}"):
    found = None if text is None else explain.mentions(objects(text))
    secrets = ["hunter2"]
    return {row.name: row for row in explain.provenance(k, given, found, secrets)}


def test_where_every_value_comes_from():
    made = rows()
    assert list(made) == ["cluster_env", "dsn", "gone", "password", "region", "size"]
    told = {n: (r.value, r.source, r.producer, r.overridden, r.used) for n, r in made.items()}
    vars_, by = "ConfigMap/flux-system/vars", "flux-system/infra"
    assert told == {
        "cluster_env": ("prod", vars_, by, (), True),
        "dsn": (None, vars_, by, (), False),
        "gone": (None, "unset", "", (), True),
        "password": (None, "Secret/flux-system/db", "", (), True),
        "region": ("north", "inline", "", (vars_,), False),
        "size": ("3", "default", "", (), True),
    }
    assert "hunter2" not in repr(made)


def test_what_cannot_be_told_is_none():
    assert {row.used for row in rows(text=None).values()} == {None}


def test_a_default_does_not_count_while_a_source_is_unknown():
    assert rows(given=Variables(missing=(VARS,), values={"a": ""}, origins={"a": (Origin(),)}))[
        "size"
    ].source == ("unset")


@pytest.mark.parametrize(("strategy", "expected"), [("Always", ["gone", "size"]), ("WithVariables", [])])
def test_without_any_variable_expressions_count_with_the_strategy_always(strategy, expected):
    k = apps(substituteStrategy=strategy)
    assert list(rows(k, Variables(), "data: {a: '${size:=3} ${gone}'}")) == expected


def test_variables_as_text():
    views = [
        BuildView("flux-system", "apps", "apps", variables=tuple(rows().values())),
        BuildView("flux-system", "infra", "infra", variables=()),
    ]
    by = "ConfigMap/flux-system/vars, produced by flux-system/infra"
    assert as_text(views).splitlines() == [
        "flux-system/apps",
        f"  cluster_env  prod                              {by}",
        f"  dsn          ‹hidden›                          {by}; not used",
        "  gone         -                                 unset",
        f"  password     {HIDDEN}  Secret/flux-system/db, from --values",
        "  region       north                             inline; over ConfigMap/flux-system/vars; not used",
        "  size         3                                 default",
        "flux-system/infra",
        "  no variables",
    ]
    assert as_text([]) == "No Kustomizations.\n"


# --- values that change their type ----------------------------------------------------------------------

POD = "spec: {containers: [{name: a}, {name: b, env: [{name: p, value: %s}]}]}"
ENV = "spec.containers[1].env[0].value"
DEPLOYMENT = "apiVersion: apps/v1, kind: Deployment, spec: {template: {metadata: {labels: {v: 1}}, %s}}"
TRAPS = [
    ("data: {port: 80}", ["a number where a string is needed: $.data.port;"]),
    ("data: {'a.b': true, c: null}", ['a boolean where a string is needed: $.data["a.b"];', "null where"]),
    ("data: {a: {b: c}, d: [e]}", ["an object where", "a list where"]),
    ("data: {a: '80'}", []),
    ("{kind: Other, data: {a: 80}}", []),
    ("metadata: {labels: {a: 1}, annotations: {b: 1.5}}", [".labels.a;", "$.metadata.annotations.b;"]),
    ("{kind: Pod, " + POD % "80" + "}", [f"a number where a string is needed: $.{ENV};"]),
    ("{kind: Pod, " + POD % "'80'" + "}", []),
    ("{" + DEPLOYMENT % (POD % "off") + "}", ["$.spec.template.metadata.labels.v", f"$.spec.template.{ENV}"]),
    ("{apiVersion: batch/v1, kind: CronJob, spec: {jobTemplate: 1}}", []),
    ("{kind: Pod, spec: {containers: [1, {env: x}, {env: [1, {name: f, valueFrom: {}}]}]}}", []),
    ("{kind: ConfigMap, data: null, metadata: {labels: null}}", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TRAPS)
def test_a_value_that_is_no_string_where_one_is_needed(text, expected):
    [manifest] = objects(text)
    told = traps.warnings(manifest)
    assert len(told) == len(expected)
    for warning, part in zip(told, expected, strict=True):
        assert warning.message.startswith(f"{manifest['kind']}/x has ")
        assert f"{warning.json_path};" in warning.message
        assert part in warning.message


# --- expressions that end as nobody meant ---------------------------------------------------------------

PEM = Variables(values={"pem": "\none\ntwo\n", "end": "one\n", "json": '{"a": 1,\n"b": 2}', "v": "x"})
JOINED = "ConfigMap/x has the variable pem, whose value is of several lines: $.data.%s; substitution joins"
ESCAPED = (
    "ConfigMap/x has the variable v behind an escaped dollar sign: $.data.%s; $${v} ends as the text ${v}:"
)
OPTED_OUT = {"labels": {f"{FLUX}/substitute": "disabled"}}
EXPRESSIONS = [
    ({"a": "${pem}"}, {}, [("lines_joined", "pem", "$.data.a", JOINED % "a")]),
    ({"a": "x ${gone:=${pem}}", "b": ["${pem}"]}, {}, [
        ("lines_joined", "pem", "$.data.a", JOINED % "a"),
        ("lines_joined", "pem", "$.data.b[0]", JOINED % "b[0]"),
    ]),
    ({"${pem}": "${pem} ${pem}"}, {}, [("lines_joined", "pem", '$.data["${pem}"]', JOINED % '["${pem}"]')]),
    ({"a": "${end} ${json} ${v} ${#pem} $pem $(pem)"}, {}, []),
    ({"a": "$${pem} "}, {}, [("escaped_variable", "pem", "$.data.a", "")]),
    ({"a": "$${v:=1}"}, {}, [("escaped_variable", "v", "$.data.a", ESCAPED % "a")]),
    ({"a": "$$$${v}"}, {}, [("escaped_variable", "v", "$.data.a", ESCAPED % "a")]),
    ({"a": "$$${v} $$v $${HOME} $${vv} $$5 ${v}"}, {}, []),
    ({"a": "${pem} ${v} $${HOME}"}, OPTED_OUT, []),
    ({"a": "$${v}"}, OPTED_OUT, [
        ("escaped_variable", "v", "$.data.a", "ConfigMap/x has $${v} although it is not substituted: $.d"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "meta", "expected"), EXPRESSIONS)
def test_expressions_that_end_as_nobody_meant(data, meta, expected):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", **meta}, "data": data}
    told = expressions.warnings(manifest, PEM)
    assert [(each.code, each.variable, each.json_path) for each in told] == [row[:3] for row in expected]
    for warning, (*_, text) in zip(told, expected, strict=True):
        assert warning.message.replace('.["', '["').startswith(text.replace('.["', '["'))


def test_the_text_before_substitution_is_looked_at_only_where_it_may_tell_anything():
    def suspicious(text, **values):
        return expressions.suspicious(objects(f"data: {{a: '{text}'}}"), Variables(values=values))

    assert suspicious("x", pem="a\nb")
    assert suspicious("${v}", v="x")
    assert suspicious("$${#v}", v="x")
    assert not suspicious("${vv} $v x", v="x", end="one\n")
    assert not suspicious("${v}")


def test_the_variable_that_a_value_was():
    [manifest] = objects("data: {a: '${v:=1}', b: '${v} ${w}', c: '$$$${v}', '${k}': '${v}'}")
    assert [expressions.variable(manifest, f"$.data.{key}") for key in "abcd"] == ["v", "", "", ""]
    assert expressions.variable({}, "$.data.a") == ""
