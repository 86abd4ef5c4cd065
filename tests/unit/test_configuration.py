"""kustodian.yaml: what is read, what is refused and at which line, and that the schema knows every choice."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from runner import action, configuration
from runner.cli import commands
from runner.configuration import Misconfigured
from runner.errors import UsageError
from runner.options import Dependents, Precedence, PruneOrder

WHOLE = """\
clusters:
  production:
    entry: clusters/production
    context: prod
    kubeconfig: .kube/config
    root: fleet/root
    options: {prune-limit: '5,10%', max-parallel: 4, fail-fast: false, lock-timeout: 1m30s}
  staging:
    entry: clusters/staging
sources:
  Bucket/apps/web: ./vendor/web
"""


OPTIONS = """\
clusters:
  a:
    entry: x
    options:
      retries: 101
      dependents: all
      timeout: 10
      fail-fast: 'no'
      takeover: true
"""


def read(text):
    return configuration.read(text.encode())


def refused(text):
    with pytest.raises(Misconfigured) as caught:
        read(text)
    return caught.value


def test_clusters(tmp_path):
    found = read(WHOLE)
    production, staging = found.cluster("production"), found.cluster("staging")
    assert production.settings == {
        "entry": "clusters/production",
        "context": "prod",
        "kubeconfig": ".kube/config",
        "root": "fleet/root",
        "prune-limit": "5,10%",
        "max-parallel": 4,
        "fail-fast": False,
        "lock-timeout": "1m30s",
    }
    assert (production.entry, production.root, production.line) == ("clusters/production", "fleet/root", 2)
    assert (staging.settings, staging.root, staging.line) == ({"entry": "clusters/staging"}, "", 8)
    assert production.located(tmp_path)["kubeconfig"] == str(tmp_path / ".kube/config")


@pytest.mark.parametrize("path", ["/etc/kubeconfig", "~/.kube/config"])
def test_a_kubeconfig_elsewhere_stays_there(tmp_path, path):
    cluster = read(f"clusters: {{a: {{entry: x, kubeconfig: {path}}}}}").cluster("a")
    assert cluster.located(tmp_path)["kubeconfig"] == path


@pytest.mark.parametrize("text", ["", "# nothing\n", "clusters:\n", "{}"])
def test_nothing(text):
    assert read(text).clusters == {}


def test_a_cluster_that_is_not_there():
    with pytest.raises(UsageError, match="has no cluster 'qa'") as caught:
        read(WHOLE).cluster("qa")
    assert caught.value.hint == "it has production, staging."
    with pytest.raises(UsageError) as caught:
        read("").cluster("qa")
    assert "clusters:" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [\n", ["kustodian.yaml:2: this is not YAML"]),
        ("a: 1\n---\nb: 2\n", ["kustodian.yaml:2: this is not YAML"]),
        ("\0", ["kustodian.yaml: this is not YAML"]),
        ("[" * 5000, ["kustodian.yaml: this is not YAML"]),
        ("- a", ["kustodian.yaml:1: it is not a mapping"]),
        ("\nsurprise: 1", ["kustodian.yaml:2: it has the key 'surprise', which is not known"]),
        ("? [a]\n: 1\n", ["kustodian.yaml:1: this key is no text"]),
        ("sources:\nsources:\n", ["kustodian.yaml:2: the key 'sources' is there twice"]),
        ("sources: &a {}\nclusters: *a\n", ["kustodian.yaml:2: aliases are not read here"]),
        ("clusters: [a]", ["kustodian.yaml:1: clusters is not a mapping of names to clusters"]),
        ("clusters:\n  a/b: {entry: x}", ["kustodian.yaml:2: 'a/b' under clusters is not a name of letters"]),
        ("clusters:\n  a:\n", ["kustodian.yaml:2: clusters.a is not a mapping"]),
        ("clusters:\n  a:\n    root: x/y\n", ["kustodian.yaml:2: clusters.a has no entry"]),
        ("clusters:\n  a:\n    entry: ../x", ["kustodian.yaml:3: clusters.a.entry is not a path inside"]),
        ("clusters:\n  a:\n    entry: /x", ["kustodian.yaml:3: clusters.a.entry is not a path inside"]),
        ("clusters:\n  a:\n    entry: x/..", ["kustodian.yaml:3: clusters.a.entry is not a path inside"]),
        (
            "clusters:\n  a:\n    entry: x\n    root: y\n    contxt: z\n",
            [
                "kustodian.yaml:4: clusters.a.root is not NAMESPACE/NAME",
                "kustodian.yaml:5: clusters.a has the key 'contxt', which is not known",
            ],
        ),
        (
            OPTIONS,
            [
                "kustodian.yaml:5: clusters.a.options.retries is not a number from 0 to 100",
                "kustodian.yaml:6: clusters.a.options.dependents is none of reconcile, verify, none",
                "kustodian.yaml:7: clusters.a.options.timeout is not a duration such as 10m or 1h30m",
                "kustodian.yaml:8: clusters.a.options.fail-fast is not true or false",
                "kustodian.yaml:9: clusters.a.options has the key 'takeover', which is not known",
            ],
        ),
        (
            "sources:\n  Bucket/a/b: s3://me:hunter2@x/y\n",
            ["kustodian.yaml:2: Bucket/a/b is mapped to a URL of the kind s3://"],
        ),
    ],
)
def test_what_is_refused_is_told_with_its_line(text, told):
    found = refused(text)
    lines = found.message.splitlines()
    assert len(lines) == len(told)
    for line, begins in zip(lines, told, strict=True):
        assert line.startswith(begins)
    assert "hunter2" not in found.message


def test_a_large_file():
    assert "has more than" in refused("# " + "x" * (1 << 18)).message


def test_the_schema_is_one_and_knows_every_choice():
    schema = configuration.schema()
    Draft202012Validator.check_schema(schema)
    known = schema["$defs"]["cluster"]["properties"]["options"]["properties"]
    assert known["dependents"]["enum"] == [*Dependents]
    assert known["prune-order"]["enum"] == [*PruneOrder]
    assert known["substitute-precedence"]["enum"] == [*Precedence]


def test_every_setting_is_a_flag_and_an_input():
    """So a setting counts on both sides, with the limits that the flag has."""
    flags = {each.opts[0]: each for command in commands.commands.values() for each in command.params}
    of_a_cluster = configuration.schema()["$defs"]["cluster"]["properties"]
    options = of_a_cluster.pop("options")["properties"]
    known = {**of_a_cluster, **options}
    for name, rule in known.items():
        flag = flags[f"--{name}"]
        assert name in action.INPUTS
        assert (rule["type"] == "boolean") is getattr(flag, "is_flag", False)
        if rule["type"] == "integer":
            assert (rule["minimum"], rule["maximum"]) == (flag.type.min, flag.type.max)
