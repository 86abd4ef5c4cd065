"""The place of rendered objects, of what a kustomization file lists, and of keys that are there twice."""

from __future__ import annotations

import pytest
import yaml

from runner.render.files import Files
from runner.render.listed import listed
from runner.render.places import Places
from runner.render.twice import found_again
from runner.rendered import (
    BuildRequest,
    Built,
    Closure,
    ParsedFile,
    ParsedObject,
    Place,
    Problem,
    RenderedResource,
    Subject,
)

# --- rendered objects -----------------------------------------------------------------------------------


def config(name, namespace=""):
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


class Builder:
    """Renders what it is told to, and parses one object per document."""

    def __init__(self, *resources):
        self.resources = tuple(RenderedResource(each, origin) for each, origin in resources)
        self.requests = []

    def build(self, request):
        self.requests.append(request)
        return Built(self.resources)

    def parse(self, data, name):
        found, line = [], 1
        for number, text in enumerate(data.decode().split("---\n")):
            found.append(ParsedObject(yaml.safe_load(text), number, line))
            line += text.count("\n") + 1
        return ParsedFile(name, tuple(found))


def places(tmp_path, files, *resources):
    for name, objects in files.items():
        (tmp_path / name).write_text("---\n".join(f"{each}\n" for each in objects))
    builder = Builder(*resources)
    spec = {"postBuild": {"substitute": {"a": "b"}}, "path": "app"}
    request = BuildRequest(tmp_path, "app", {"spec": spec}, variables={"a": "b"}, keep_unresolved=True)
    return Places(request, Files(tmp_path, builder))


WRITTEN = [
    pytest.param(["a", "b"], ["a", "b"], [1, 3], id="as written"),
    pytest.param(["b", "a"], ["a", "b"], [3, 1], id="sorted"),
    pytest.param(
        ["pre-a", "pre-a-a"], ["a", "a-a"], [1, 3], id="a prefix, and names that contain each other"
    ),
    pytest.param(["1-a", "1-b", "2-a", "2-b"], ["a", "b"], [1, 3, 1, 3], id="twice, with two prefixes"),
    pytest.param(["pre-b"], ["a", "b"], [3], id="one is gone"),
    pytest.param(["a-b"], ["a", "b"], [0], id="it may be either"),
    pytest.param(["other"], ["a"], [0], id="renamed"),
]


@pytest.mark.parametrize(("rendered", "written", "lines"), WRITTEN)
def test_which_object_of_a_file_one_was(tmp_path, rendered, written, lines):
    made = [config(name) for name in rendered]
    found = places(tmp_path, {"x.yaml": map(config, written)}, *((each, "x.yaml") for each in made))
    assert [place.line for place in found.of(made)] == lines
    assert {place.file for place in found.of(made)} == {"x.yaml"}


def test_nothing_is_built_before_somebody_asks_and_only_once(tmp_path):
    found = places(tmp_path, {"x.yaml": [config("a")]}, (config("a"), "x.yaml"))
    assert found.files.builder.requests == []
    assert found.of([config("substituted")]) == (Place("x.yaml", 1),)
    assert found.at(Subject("", "v1", "ConfigMap", "", "a")) == Place("x.yaml", 1)
    assert found.at(Subject("", "v1", "ConfigMap", "", "b")) == Place()
    [request] = found.files.builder.requests
    assert request.kustomization["spec"] == {"path": "app", "buildMetadata": ["originAnnotations"]}
    assert (request.variables, request.keep_unresolved) == ({}, False)


def test_what_is_in_no_file_or_was_dropped(tmp_path):
    resources = [(config("a"), ""), (config("b"), "kustomization.yaml"), (config("c"), "x.yaml")]
    found = places(tmp_path, {"x.yaml": [config("c")]}, *resources)
    assert found.of([each for each, _ in resources]) == (Place(), Place(), Place("x.yaml", 1))
    assert found.of([config("c")]) == (Place("x.yaml", 1),)
    assert found.were([config("c"), config("gone")]) == (config("c"), {})


def test_namespaces_tell_apart(tmp_path):
    both = [config("a", "one"), config("a", "two")]
    found = places(tmp_path, {"x.yaml": both}, *((each, "x.yaml") for each in reversed(both)))
    assert [place.line for place in found.of(both[::-1])] == [3, 1]


# --- entries of kustomization files ---------------------------------------------------------------------

KFILE = """\
# resources: [none.yaml]
resources:
- good.yaml # none.yaml
- "none.yaml"
- ../base
patches: [{path: patches/none.yaml, target: {kind: X}}]
configMapGenerator:
- {name: a, files: [key=none.txt]}
"""
BASE = "resources:\n- ../app\n- ../app/deep/none.yaml\n"
FROM = "accumulation err='accumulating resources from '../base': cycle', from '../app': no"


@pytest.mark.parametrize(
    ("code", "file", "message", "expected"),
    [
        ("missing_file", "app/none.yaml", "", "app/kustomization.yaml:4"),
        ("missing_file", "app/patches/none.yaml", "", "app/kustomization.yaml:6"),
        ("missing_file", "app/none.txt", "", "app/kustomization.yaml:8"),
        ("missing_file", "app/deep/none.yaml", "", "base/kustomization.yaml:3"),
        ("missing_file", "components/none", "", ""),  # the Kustomization itself names it
        ("missing_file", "app/there.yaml", "", "app/there.yaml"),
        ("cycle", "base/kustomization.yaml", FROM, "base/kustomization.yaml:2"),
        ("cycle", "app/kustomization.yaml", FROM, "app/kustomization.yaml"),
        ("build", "app/kustomization.yaml", FROM, "app/kustomization.yaml"),
        ("build", "", "new root '../base' cannot be absolute", "app/kustomization.yaml:5"),
        ("build", "", "from '../base'", ""),
    ],
)
def test_the_entry_that_a_problem_is_about(tmp_path, code, file, message, expected):
    kfiles = {"app/kustomization.yaml": KFILE, "base/kustomization.yaml": BASE}
    for name, text in kfiles.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    gone = ("app/none.yaml", "app/patches/none.yaml", "app/none.txt", "app/deep/none.yaml", "components/none")
    closure = Closure(read=(*kfiles, "app/there.yaml"), missing=gone)
    found = listed(Problem(code, message, file=file), closure, Files(tmp_path, Builder()))
    assert str(Place(found.file, found.line)) == expected


# --- a key that is there twice --------------------------------------------------------------------------

TEXT = "a: 1\na: 2\n---\nb: [{c: 1,\n  c: 2}]\nd: 1\nd: 2\n"


def twice(*keys):
    lines = [f'  line 9: mapping key "{key}" already defined at line 8' for key in keys]
    return Problem("yaml", "\n".join(["yaml: unmarshal errors:", *lines]))


@pytest.mark.parametrize(
    ("keys", "place", "expected"),
    [
        (["a"], Place("x.yaml", 1), [(2, 1)]),
        (["c", "d"], Place("x.yaml", 4), [(5, 4), (7, 6)]),
        (["a"], Place("x.yaml", 4), None),
        (["a", "c", "d"], Place(), [(2, 1), (5, 4), (7, 6)]),
        (["z"], Place(), None),
        ([], Place(), None),
    ],
)
def test_the_lines_of_keys_that_are_there_twice(tmp_path, keys, place, expected):
    (tmp_path / "x.yaml").write_text(TEXT)
    (tmp_path / "y.yaml").write_text("a: [")
    problem = twice(*keys)
    found = found_again(problem, place, ("x.yaml", "y.yaml"), Files(tmp_path, Builder()))
    if expected is None:
        assert found == problem
        return
    assert (found.file, found.line) == ("x.yaml", expected[0][0])
    told = [
        f'  line {line}: mapping key "{key}" already defined at line {first}'
        for key, (line, first) in zip(keys, expected, strict=True)
    ]
    assert found.message.splitlines()[1:] == told
