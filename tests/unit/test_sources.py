"""sourceRef → files: this checkout, what a GitRepository includes, what a generator puts together."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

import pytest
import yaml

from runner.discover import parse
from runner.errors import UsageError
from runner.fleet import Produced
from runner.model import FLUX, Artifact, ResourceRef, SourceRef
from runner.origins import origins
from runner.sources import Checkout
from runner.sources.globs import excluded, find, matches
from runner.sources.merging import merged
from tests.fakes.checkout import COMMIT, FakeBuilder, FakeRepository

URL = "https://github.com/example/fleet"
TREE = {
    "apps/web/web.yaml": "web",
    "apps/web/README.md": "read me",
    "apps/web/test/data.yaml": "data",
    "apps/api.yaml": "api",
    "base/web.yaml": "base",
    "base/.hidden": "hidden",
    "values.yaml": "a: 1\nb: {c: [1], d: 2}\n",
    "prod.yaml": "b: {c: [2]}\n",
    "list.yaml": "[1]\n",
}


@dataclass
class Files(FakeRepository):
    """A commit with real files."""

    texts: dict[str, str] = field(default_factory=lambda: dict(TREE))
    exports: int = 0

    def export(self, commit, target):
        self.exports += 1
        for name, text in self.texts.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Artifact(target, f"main@sha1:{commit}")


@pytest.fixture
def repository():
    return Files({})


@pytest.fixture
def checkout(tmp_path, repository):
    root = SourceRef("GitRepository", "flux-system", "flux-system")
    return Checkout(repository, FakeBuilder({}), COMMIT, root, tmp_path / "artifacts")


def git(name="flux-system", **spec):
    meta = {"name": name, "namespace": "flux-system"}
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": meta,
        "spec": {"url": URL, **spec},
    }


def generator(*copies, name="apps", makes="web", sources=None, annotations=None, **artifact):
    """`copies` are like `@repo/a > @artifact/b`, or objects."""
    rules = [
        dict(zip(("from", "to"), each.split(" > "), strict=True)) if isinstance(each, str) else each
        for each in copies
    ]
    return {
        "apiVersion": "source.extensions.fluxcd.io/v1beta1",
        "kind": "ArtifactGenerator",
        "metadata": {"name": name, "namespace": "flux-system", "annotations": annotations or {}},
        "spec": {
            "sources": sources or [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
            "artifacts": [{"name": makes, "copy": rules, **artifact}],
        },
    }


def rule(text, **more):
    return {**dict(zip(("from", "to"), text.split(" > "), strict=True)), **more}


def ks(kind="ExternalArtifact", name="web"):
    return parse(
        {
            "apiVersion": f"{FLUX}/v1",
            "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "flux-system"},
            "spec": {"interval": "1m", "prune": True, "sourceRef": {"kind": kind, "name": name}},
        }
    )


def artifact(checkout, *desired, k=None):
    k = k or ks()
    known = {ResourceRef.of(each): Produced("flux-system/flux-system", each) for each in desired}
    return checkout.artifact(k, origins(k.source, known))


def contents(artifact):
    paths = sorted(path for path in artifact.root.rglob("*") if path.is_file())
    return {str(path.relative_to(artifact.root)): path.read_text() for path in paths}


def composed(checkout, *copies, **options):
    return set(contents(artifact(checkout, git(), generator(*copies, **options))))


@pytest.mark.parametrize(
    ("copy", "wanted"),
    [
        # a directory goes into the target as a directory, with its name, whatever the slashes
        ("@repo/apps/web > @artifact/x", "x/web/web.yaml x/web/README.md x/web/test/data.yaml"),
        ("@repo/apps/web/ > @artifact/x/", "x/web/web.yaml x/web/README.md x/web/test/data.yaml"),
        ("@repo/apps/web/ > @artifact/", "web/web.yaml web/README.md web/test/data.yaml"),
        # `/**` is what is in it
        ("@repo/apps/web/** > @artifact/", "web.yaml README.md test/data.yaml"),
        ("@repo/apps/web/** > @artifact/x", "x/web.yaml x/README.md x/test/data.yaml"),
        ("@repo/base/** > @artifact/", "web.yaml .hidden"),
        # the root has no name
        ("@repo/ > @artifact/", " ".join(TREE)),
        ("@repo/** > @artifact/", " ".join(TREE)),
        # other globs keep the whole path; `**` in the middle is one directory
        ("@repo/*.yaml > @artifact/v/", "v/values.yaml v/prod.yaml v/list.yaml"),
        ("@repo/apps/web/*.yaml > @artifact/", "apps/web/web.yaml"),
        ("@repo/**/*.yaml > @artifact/", "apps/api.yaml base/web.yaml"),
        (
            "@repo/app? > @artifact/",
            "apps/web/web.yaml apps/web/README.md apps/web/test/data.yaml apps/api.yaml",
        ),
        ("@repo/[l-p]*.yaml > @artifact/", "prod.yaml list.yaml"),
        # a file takes the target's name, or goes into it
        ("@repo/apps/api.yaml > @artifact/x.yaml", "x.yaml"),
        ("@repo/apps/api.yaml > @artifact/x/", "x/api.yaml"),
        ("@repo/apps/api.yaml > @artifact/", "api.yaml"),
        ("@repo/./apps//api.yaml > @artifact/./x.yaml", "x.yaml"),
    ],
)
def test_what_a_copy_brings(checkout, copy, wanted):
    assert composed(checkout, copy) == set(wanted.split())


def test_a_file_goes_into_a_directory_that_is_there(checkout):
    copies = "@repo/base > @artifact/", "@repo/apps/api.yaml > @artifact/base"
    assert composed(checkout, *copies) == {"base/web.yaml", "base/.hidden", "base/api.yaml"}


@pytest.mark.parametrize(
    ("copy", "exclude", "wanted"),
    [
        ("@repo/apps/web/** > @artifact/", ["*.md"], "web.yaml test/data.yaml"),
        ("@repo/apps/** > @artifact/", ["*.md"], "web/web.yaml web/test/data.yaml api.yaml"),
        ("@repo/apps/** > @artifact/", ["**/test/**"], "web/web.yaml web/README.md api.yaml"),
        ("@repo/apps/** > @artifact/", ["web/**"], "api.yaml"),
        ("@repo/apps/** > @artifact/", ["apps/web/**"], "api.yaml"),
        ("@repo/apps/ > @artifact/", ["web/test"], "apps/web/web.yaml apps/web/README.md apps/api.yaml"),
        ("@repo/apps/ > @artifact/", ["{api,web}.yaml", "*.m[cd]"], "apps/web/test/data.yaml"),
    ],
)
def test_what_an_exclude_keeps_out(checkout, copy, exclude, wanted):
    assert composed(checkout, rule(copy, exclude=exclude)) == set(wanted.split())


def test_an_excluded_file_is_no_error_but_an_empty_glob_is(checkout):
    one = rule("@repo/prod.yaml > @artifact/", exclude=["prod.*"])
    assert composed(checkout, one, "@repo/apps/api.yaml > @artifact/") == {"api.yaml"}
    with pytest.raises(UsageError, match=r"all files that match '\*\.yaml' are excluded"):
        composed(checkout, rule("@repo/*.yaml > @artifact/", exclude=["*.yaml"]))


def test_the_later_copy_wins(checkout):
    made = artifact(
        checkout,
        git(),
        generator("@repo/apps/web/** > @artifact/", "@repo/base/** > @artifact/"),
    )
    assert contents(made)["web.yaml"] == "base"
    made = artifact(
        checkout,
        git(),
        generator("@repo/base/** > @artifact/", "@repo/apps/web/** > @artifact/"),
    )
    assert contents(made)["web.yaml"] == "web"


def test_merge_is_for_a_file_that_is_there(checkout):
    merge = rule("@repo/prod.yaml > @artifact/all.yaml", strategy="Merge")
    made = artifact(checkout, git(), generator("@repo/values.yaml > @artifact/all.yaml", merge))
    assert yaml.safe_load(contents(made)["all.yaml"]) == {"a": 1, "b": {"c": [2], "d": 2}}
    assert contents(artifact(checkout, git(), generator(merge)))["all.yaml"] == TREE["prod.yaml"]


def test_merging_reads_yaml_as_flux_does():
    base = b"at: 2020-01-02\nport: 22:22\n1: one\ngone: {a: 1}\n---\nmore: 0x10\n"
    assert yaml.safe_load(merged(base, b"gone: null\ntrue: yes\n")) == {
        "at": "2020-01-02", "port": "22:22", "1": "one", "gone": None, "more": 16, "true": True,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["[1]", "a: [", "a: &a [*a]", "{{ x }}: 1"])
def test_what_cannot_be_merged(text):
    with pytest.raises(ValueError, match="YAML"):
        merged(b"a: 1", text.encode())


def test_a_yaml_bomb_is_not_written_out():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(ValueError, match="values"):
        merged(b"", "\n".join(lines).encode())


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        ("@repo/../x > @artifact/", "leads outside"),
        ("@repo/apps/../../x > @artifact/", "leads outside"),
        ("@repo//etc/passwd > @artifact/", "leads outside"),
        ("@repo/apps > @artifact/../x", "leads outside"),
        ("@repo/apps > @artifact//x", "leads outside"),
        ("@repo/apps > x", "is not @artifact/path"),
        ("apps > @artifact/", "is not @alias/path"),
        ("@repo > @artifact/", "is not @alias/path"),
        ("@other/apps > @artifact/", "has no source with the alias 'other'"),
        ("@repo/nowhere > @artifact/", "'nowhere' does not exist"),
        ("@repo/nowhere/** > @artifact/", "no files match"),
        ("@repo/*/../x > @artifact/", "leads outside"),
        ("@repo/[ > @artifact/", "is no pattern"),
        (rule("@repo/apps > @artifact/", strategy="Extract"), "the strategy Extract, which is not supported"),
        (rule("@repo/apps > @artifact/", exclude=["{a"]), "without its }"),
        (rule("@repo/apps > @artifact/", exclude="a"), "not a list of patterns"),
        (rule("@repo/apps > @artifact/", mode="x"), r"copy\.mode, which is not supported"),
        ("@repo/values.yaml > @artifact/a/b\n@repo/values.yaml > @artifact/a/b/c", "cannot copy"),
        (rule("@repo/list.yaml > @artifact/x", strategy="Merge"), "only YAML maps can be merged"),
    ],
)
def test_a_copy_that_is_refused(checkout, copy, message):
    copies = copy.split("\n") if isinstance(copy, str) else ["@repo/values.yaml > @artifact/x", copy]
    with pytest.raises(UsageError, match=message) as caught:
        composed(checkout, *copies)
    assert caught.value.message.startswith("ArtifactGenerator/flux-system/apps ")
    assert caught.value.hint


def with_sources(*sources):
    names = ("alias", "kind", "name", "namespace")
    return generator(
        "@repo/apps > @artifact/",
        sources=[dict(zip(names, each.split(), strict=False)) for each in sources],
    )


@pytest.mark.parametrize(
    ("desired", "message"),
    [
        ([], "flux-system/web uses ExternalArtifact/flux-system/web, and no ArtifactGenerator .* makes it"),
        ([generator("@repo/a > @artifact/", makes="api")], "no ArtifactGenerator"),
        (
            [with_sources("repo Bucket apps")],
            "ArtifactGenerator/flux-system/apps uses Bucket/flux-system/apps, and a source of kind",
        ),
        (
            [with_sources("repo GitRepository other")],
            "ArtifactGenerator/flux-system/apps uses GitRepository/flux-system/other, which no Kustomization",
        ),
        (
            [with_sources("repo GitRepository other"), git("other", url="https://github.com/else/where")],
            "GitRepository/flux-system/other is not fetched here",
        ),
        (
            [with_sources("repo GitRepository other"), git("other", ref={"tag": "v1"})],
            "GitRepository/flux-system/other is not fetched here",
        ),
        (
            [with_sources("repo GitRepository flux-system", "repo GitRepository b")],
            "two sources with the alias",
        ),
        (
            [generator("@repo/apps > @artifact/"), generator("@repo/apps > @artifact/", name="b")],
            "is made by ArtifactGenerator/flux-system/apps and ArtifactGenerator/flux-system/b",
        ),
        ([with_sources("repo ExternalArtifact web")], "a source is made of itself"),
        (
            [
                generator(
                    "@repo/apps > @artifact/",
                    annotations={"source.extensions.fluxcd.io/reconcile": "Disabled"},
                )
            ],
            "is disabled",
        ),
        ([generator("@repo/apps > @artifact/", revision="@nobody")], "has no source with the alias 'nobody'"),
        ([generator("@repo/apps > @artifact/", originRevision="repo")], "is not @alias"),
    ],
)
def test_an_external_artifact_that_is_refused(checkout, desired, message):
    with pytest.raises(UsageError, match=message) as caught:
        artifact(checkout, *desired)
    assert caught.value.hint


# --- a generator with a pathPattern -----------------------------------------------------------------------

MONOREPO = {
    f"apps/{path}": path
    for path in (
        "auth/envs/dev/a.yaml",
        "auth/envs/Prod/a.yaml",
        "pay-v2/envs/dev/a.yaml",
        "flat",
        "docs/envs/x",
    )
}
BY_APP = "@repo/apps/{app}/** > @artifact/{app}/"
BY_ENV = "@repo/apps/{app}/envs/{env}/** > @artifact/{env}/"


def by_pattern(pattern, *copies, makes="{app}-{env}", **options):
    made = generator(*copies, makes=makes, **options)
    made["spec"]["pathPattern"] = pattern
    return made


@pytest.fixture
def monorepo(checkout, repository):
    repository.texts = dict(MONOREPO)
    return checkout


@pytest.mark.parametrize(
    ("pattern", "copy", "makes", "name", "wanted"),
    [
        ("@repo/apps/{app}/envs/{env}", BY_ENV, "{app}-{env}", "auth-dev", {"dev/a.yaml"}),
        # a name is in lower case, a path is as it is
        ("@repo/apps/{app}/envs/{env}", BY_ENV, "{app}-{env}", "auth-prod", {"Prod/a.yaml"}),
        ("@repo/apps/{app}", BY_APP, "{app}", "docs", {"docs/envs/x"}),
        ("@repo/apps/{app}-v{n}", "@repo/apps/{app}-v{n}/envs/** > @artifact/", "{n}", "2", {"dev/a.yaml"}),
        ("@repo/apps", "@repo/apps/flat > @artifact/", "all", "all", {"flat"}),
    ],
)
def test_a_path_pattern_makes_an_artifact_of_every_directory(monorepo, pattern, copy, makes, name, wanted):
    made = artifact(monorepo, git(), by_pattern(pattern, copy, makes=makes), k=ks(name=name))
    assert set(contents(made)) == wanted


@pytest.mark.parametrize(
    "pattern",
    [
        "@repo/apps/{app}/",  # no directory's path ends so
        "@repo/{app}",
        "@repo/apps/{app}/envs/{env}/a.yaml",
        "@repo/*/{app}",
        "@repo/apps/{app}.",
        "@repo/./apps/{app}",
    ],
)
def test_a_path_pattern_that_matches_no_directory_makes_nothing(monorepo, pattern):
    made = by_pattern(pattern, "@repo/apps/** > @artifact/", makes="{app}-dev")
    with pytest.raises(UsageError, match=r"no directory that matches spec\.pathPattern of Artif.*makes it"):
        artifact(monorepo, git(), made, k=ks(name="auth-dev"))


def test_who_makes_an_artifact_is_decided_by_the_directories(monorepo):
    """Both could, by their templates alone."""
    first = by_pattern("@repo/apps/{app}/envs/{env}", BY_ENV)
    other = by_pattern("@repo/{app}", "@repo/{app}/flat > @artifact/", makes="{app}-dev", name="other")
    assert set(contents(artifact(monorepo, git(), first, other, k=ks(name="apps-dev")))) == {"flat"}
    assert set(contents(artifact(monorepo, git(), first, other, k=ks(name="auth-dev")))) == {"dev/a.yaml"}


@pytest.mark.parametrize(
    ("pattern", "makes", "copy", "message"),
    [
        ("repo/{app}", "{app}", BY_APP, "'repo/{app}' is not @alias/pattern"),
        ("@repo", "{app}", BY_APP, "'@repo' is not @alias/pattern"),
        ("@other/{app}", "{app}", BY_APP, "has no source with the alias 'other'"),
        ("@repo/{app}/{app}", "{app}", BY_APP, "has the name 'app' twice"),
        ("@repo/{_app}", "{_app}", BY_APP, "'_app', which is no key of a label"),
        ("@repo/{a-b}", "{app}", BY_APP, "has {a-b}, which is no name"),
        ("@repo/{}", "{app}", BY_APP, "has {}, which is no name"),
        ("@repo/{app", "{app}", BY_APP, "a brace without its other one"),
        ("@repo/app}", "{app}", BY_APP, "a brace without its other one"),
        ("@repo/apps/{app}", "{gone}-auth", BY_APP, "of apps/auth: '{gone}-auth' has the name 'gone', which"),
        ("@repo/apps/{app}", "{app", BY_APP, "of apps/auth: '{app' has a brace without"),
        ("@repo/apps/{app}", "{app}..x", BY_APP, r"of apps/auth: 'auth\.\.x' is no name of an object"),
        ("@repo/apps/{app}", "auth", BY_APP, "makes auth of apps/auth and of apps/docs"),
        ("@repo/apps/{app}", "{app}", "@repo/apps/{env} > @artifact/", "cannot copy: '@repo/apps/{env}' has"),
        (
            "@repo/apps/{app}",
            "{app}",
            "@repo/apps/auth > @artifact/{x",
            "cannot copy: '@artifact/{x' has a b",
        ),
    ],
)
def test_a_path_pattern_that_is_refused(monorepo, pattern, makes, copy, message):
    made = by_pattern(pattern, copy, makes=makes)
    made["spec"]["artifacts"].append({**made["spec"]["artifacts"][0], "name": "more-{app}"})
    with pytest.raises(UsageError, match=message.replace("{", r"\{")) as caught:
        artifact(monorepo, git(), made, k=ks(name="more-auth"))
    assert caught.value.message.startswith("ArtifactGenerator/flux-system/apps ")


@pytest.mark.parametrize("directory", [".hidden", "my app", "a" * 64])
def test_a_directory_whose_name_is_no_label_fails_them_all(monorepo, repository, directory):
    repository.texts[f"apps/{directory}/x"] = ""
    with pytest.raises(UsageError, match=r"cannot make an artifact of apps/.*, which is no value of a label"):
        artifact(monorepo, git(), by_pattern("@repo/apps/{app}", BY_APP, makes="{app}"), k=ks(name="auth"))


def test_braces_mean_nothing_without_a_path_pattern(checkout, repository):
    repository.texts = {"{app}/x": ""}
    assert composed(checkout, "@repo/{app} > @artifact/") == {"{app}/x"}


def test_other_kinds_are_refused(checkout):
    told = "flux-system/web uses Bucket/flux-system/apps, and a source of kind Bucket is not supported"
    with pytest.raises(UsageError, match=told) as caught:
        artifact(checkout, k=ks("Bucket", "apps"))
    assert "kustodian.yaml" in caught.value.hint
    assert "Bucket/flux-system/apps: ./directory" in caught.value.hint


def test_what_is_composed_depends_on_its_content_alone(checkout, repository, tmp_path):
    first = artifact(checkout, git(), generator("@repo/apps/web > @artifact/"))
    assert first.revision.startswith("latest@sha256:")
    assert len(first.revision) == len("latest@sha256:") + 64
    assert artifact(checkout, git(), generator("@repo/apps/web > @artifact/")) is first
    assert repository.exports == 1
    again = artifact(checkout, git(), generator("@repo/apps/web/** > @artifact/web"))
    assert (again.root != first.root, again.revision) == (True, first.revision)
    other = Checkout(repository, FakeBuilder({}), COMMIT, checkout.root_source, tmp_path / "elsewhere")
    assert artifact(other, git(), generator("@repo/apps/web > @artifact/")).revision == first.revision
    repository.texts["apps/web/web.yaml"] = "changed"
    ignoring = artifact(checkout, git(ignore="x"), generator("@repo/apps/web > @artifact/"))
    assert ignoring.revision != first.revision


def test_a_revision_may_be_the_sources(checkout):
    made = artifact(checkout, git(), generator("@repo/apps > @artifact/", revision="@repo"))
    assert made.revision == f"main@sha1:{COMMIT}"


def test_an_artifact_of_an_artifact(checkout):
    outer = generator(
        "@inner/** > @artifact/x",
        name="outer",
        makes="outer",
        sources=[{"alias": "inner", "kind": "ExternalArtifact", "name": "web"}],
    )
    inner = generator("@repo/apps/api.yaml > @artifact/")
    assert set(contents(artifact(checkout, git(), outer, inner, k=ks(name="outer")))) == {"x/api.yaml"}


def test_links_are_never_followed(checkout, tmp_path):
    source = checkout.packed().root
    (source / "apps/link").symlink_to(tmp_path)
    for copy in ("@repo/apps/ > @artifact/", "@repo/apps/** > @artifact/apps", "@repo/* > @artifact/"):
        assert "apps/api.yaml" in (found := composed(checkout, copy))
        assert not [path for path in found if "link" in path]
    with pytest.raises(UsageError, match="is a link"):
        composed(checkout, "@repo/apps/link/artifacts > @artifact/")


def test_the_mode_is_kept(checkout):
    (checkout.packed().root / "apps/api.yaml").chmod(0o755)
    made = artifact(checkout, git(), generator("@repo/apps/api.yaml > @artifact/"))
    assert stat.S_IMODE((made.root / "api.yaml").stat().st_mode) == 0o755


def test_a_failed_artifact_leaves_nothing_behind(checkout):
    with pytest.raises(UsageError):
        composed(checkout, "@repo/apps > @artifact/", "@repo/nowhere > @artifact/")
    assert len(list(checkout.directory.iterdir())) == 1  # the source's own


@pytest.mark.parametrize("field", ["recurseSubmodules", "sparseCheckout", "verify"])
def test_what_a_git_repository_may_not_ask_for(checkout, field):
    k = ks("GitRepository", "flux-system")
    with pytest.raises(UsageError, match=rf"sets spec\.{field}, which is not supported"):
        artifact(checkout, git(**{field: {"x": "y"}}), k=k)
    with pytest.raises(UsageError, match=rf"flux-system/lib sets spec\.{field}, which is not supported"):
        artifact(checkout, git(include=[{"repository": {"name": "lib"}}]), git("lib", **{field: ["x"]}), k=k)


@pytest.mark.parametrize(
    ("include", "wanted"),
    [
        ({}, {f"lib/{name}" for name in TREE}),
        ({"toPath": "vendor/it"}, {f"vendor/it/{name}" for name in TREE}),
        ({"fromPath": "apps/web/test", "toPath": "x"}, {"x/data.yaml"}),
        ({"fromPath": "./apps/web/test/"}, {"lib/data.yaml"}),
        ({"fromPath": "prod.yaml", "toPath": "apps/prod.yaml"}, {"apps/prod.yaml"}),
    ],
)
def test_what_a_git_repository_includes(checkout, include, wanted):
    source = git(include=[{"repository": {"name": "lib"}, **include}])
    made = artifact(checkout, source, git("lib"), k=ks("GitRepository", "flux-system"))
    assert set(contents(made)) == {*TREE, *wanted}


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ([{"repository": {"name": "other"}}], "uses GitRepository/flux-system/other, which no Kustomization"),
        ([{"repository": {"name": "else"}}], "GitRepository/flux-system/else is not fetched here"),
        ([{"repository": {"name": "flux-system"}}], "a source is made of itself"),
        ([{"repository": {"name": "lib"}, "toPath": "apps"}], "which the repository has already"),
        ([{"repository": {"name": "lib"}, "fromPath": "nowhere"}], "does not exist"),
        ([{"repository": {"name": "lib"}, "toPath": "../x"}], "leads outside"),
        ([{"repository": {"name": "lib"}, "fromPath": "x/../../y"}], "leads outside"),
        ([{"repository": {"name": "lib"}, "toPath": "prod.yaml/x"}], "to 'prod.yaml/x': "),
        ([{"repository": "lib"}], "no list of objects"),
        ({"repository": {"name": "lib"}}, "no list of objects"),
    ],
)
def test_an_include_that_is_refused(checkout, include, message):
    desired = git(include=include), git("lib"), git("else", url="https://github.com/else/where")
    with pytest.raises(UsageError, match=message) as caught:
        artifact(checkout, *desired, k=ks("GitRepository", "flux-system"))
    assert caught.value.hint


def test_the_origins_of_a_source_are_all_that_decides_its_files():
    lib, include, made = git("lib"), git(include=[{"repository": {"name": "lib"}}]), generator("@repo/a > b")
    unrelated = git("unrelated"), generator("@repo/a > b", name="x", makes="x")
    known = {ResourceRef.of(each): Produced("x", each) for each in (lib, include, made, *unrelated)}
    found = origins(ks().source, known)
    assert sorted(each["metadata"]["name"] for each in found) == ["apps", "flux-system", "lib"]
    assert origins(ks(name="nobody").source, known) == ()


@pytest.mark.parametrize("spec", [None, "x", {"artifacts": "x"}, {"artifacts": ["x"], "sources": [1]}])
def test_a_generator_that_is_none(checkout, spec):
    broken = {**generator("@repo/a > @artifact/"), "spec": spec}
    with pytest.raises(UsageError, match="no ArtifactGenerator"):
        artifact(checkout, broken)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a/**", "a", True),
        ("a/**", "a/b/c", True),
        ("**/c", "c", True),
        ("**/b/**", "a/b", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/d", False),
        ("a**", "a/b", False),
        ("*", "a/b", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]", "b", True),
        ("[^a-c]", "b", False),
        ("{a,b{c,d}}/x", "bd/x", True),
        ("{a/b,c}/x", "a/b/x", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("\\{a}", "{a}", True),
        ("*a*b", "xaxbxab", True),
        ("*ab*ab", "xab", False),
        ("a*a", "a", False),
        ("*.*.*", "a.b", False),
    ],
)
def test_the_patterns_of_exclude(pattern, path, expected):
    assert matches(pattern, path) is expected


@pytest.mark.parametrize("pattern", ["[", "[a", "[]a]", "[b-a]", "a\\", "{a"])
def test_what_is_no_pattern(pattern):
    with pytest.raises(ValueError, match=r"pattern|without"):
        matches(pattern, "b")


def test_patterns_that_would_take_for_ever_do_not():
    assert not matches("*a" * 100 + "b", "a" * 250)
    with pytest.raises(ValueError, match="more than 1000 patterns"):
        matches("{a,b}" * 100, "a")


def test_a_base_is_a_directory_not_a_beginning():
    assert not excluded("apps2/x/y", "apps", ("2/x/y",))
    assert excluded("apps/x/y", "apps", ("x/y",))


def test_a_glob_finds_no_dots(tmp_path):
    (tmp_path / "a").mkdir()
    assert find(tmp_path, "*") == ["a"]
    assert find(tmp_path, "./*") == []
    assert find(tmp_path, "*/") == []
