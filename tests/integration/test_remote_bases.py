"""Remote bases with real servers, the real git and the real worker: what is fetched, pinned, and refused."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from itertools import pairwise

import pytest

from runner.clients.git.remote import RemoteRepositories
from runner.clients.kept import KeptContent
from runner.clients.kustomize import WorkerPool
from runner.clients.kustomize.compile import build as compile_worker
from runner.clients.network import Http, Policy, Resolver
from runner.clients.network.downloads import HttpDownloads
from runner.rendered import BuildRequest
from runner.sources import Bases
from tests.gits import git_server, pages
from tests.integration.workspace import initial

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdefghi")
)


@pytest.fixture(scope="module")
def pool():
    compile_worker()
    with WorkerPool(1) as shared:
        yield shared


@pytest.fixture
def repo(tmp_path):
    """Another repository: a base, a component, and a tag."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/team").mkdir()
    made = initial(tmp_path / "served/team/lib")
    made.write("base/kustomization.yaml", "resources: [web.yaml]\n")
    made.write("base/web.yaml", config_map("web", colour="blue"))
    part = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: x-\n"
    made.write("part/kustomization.yaml", part)
    made.commit()
    made.git("tag", "v1")
    return made


@pytest.fixture
def server(repo, tmp_path):
    with git_server(tmp_path / "served") as running:
        yield running


@pytest.fixture
def web():
    with pages() as running:
        yield running


@pytest.fixture
def places(server, web):
    """Where things are, and are not."""
    web.redirects |= {"/loop": web.url("/loop"), "/metadata": "http://169.254.169.254/latest"}
    return {"git": server.url("team/lib"), "nothing": server.url("team/nothing"), "page": web.url("")}


@pytest.fixture
def make(pool, tmp_path):
    """Builders, each as a run of its own has one; none of them leaves anything but what it has fetched."""
    made = []

    def one(builder=pool, *, private=True, **options):
        scratch = tmp_path / f"run-{len(made)}"
        scratch.mkdir(mode=0o700)
        resolver = Resolver(Policy(private=private))
        downloads = HttpDownloads(Http(resolver, total=20.0), scratch)
        repositories = RemoteRepositories(resolver, KeptContent(tmp_path / "cache"), scratch)
        bases = Bases(builder, lambda: downloads, lambda: repositories, scratch, {}, **options)
        made.append((bases, downloads, repositories))
        return bases

    yield one
    for bases, *clients in made:
        for each in clients:
            each.cancel()
        assert [*bases.directory.glob("remote-*")] == []


@pytest.fixture
def bases(make):
    return make()


@pytest.fixture
def request_of(tmp_path):
    """A request to build a kustomization file, with other files beside it."""

    def made(kfile, **others):
        root = tmp_path / "artifact"
        root.mkdir(exist_ok=True)
        for name, text in {"kustomization.yaml": kfile, **others}.items():
            (root / name).write_text(textwrap.dedent(text))
        object_ = {"metadata": {"name": "apps", "namespace": "apps"}, "spec": {}}
        return BuildRequest(root, ".", object_)

    return made


def config_map(name, **data):
    pairs = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{pairs}"


def data(built):
    assert built.problems == ()
    return {each.object["metadata"]["name"]: each.object["data"] for each in built.resources}


def refused(built):
    [problem] = built.problems
    return problem


def test_a_base_at_a_tag_is_pinned_and_cached(repo, server, bases, make, request_of):
    url = f"{server.url('team/lib')}//base?ref=v1"
    built = bases.build(request_of(f"resources: ['{url}']\nnamePrefix: my-\n"))
    assert data(built) == {"my-web": {"colour": "blue"}}
    pin = {f"{server.url('team/lib')}?ref=v1": f"v1@sha1:{repo.git('rev-parse', 'v1')}"}
    assert built.pins == bases.fetched == pin
    assert built.warnings == ()
    assert built.closure.read == ("kustomization.yaml",)

    asked = len(server.seen)
    assert bases.build(request_of(f"resources: ['{url}']\n")).pins == pin
    assert len(server.seen) == asked  # in one run everything is asked for once
    make().build(request_of(f"resources: ['{url}']\n"))
    assert asked < len(server.seen) < 2 * asked  # the next run asks what the tag is, and has its files


def test_a_branch_that_moves_stays_in_one_run_and_is_warned_of(repo, server, bases, make, request_of):
    request = request_of(f"resources: ['{server.url('team/lib')}//base']\n")
    first = bases.build(request)
    assert "has no `ref=`, so it is the default branch" in first.warnings[0].message
    repo.write("base/web.yaml", config_map("web", colour="red"))
    second = repo.commit()
    assert data(bases.build(request)) == {"web": {"colour": "blue"}}
    moved = make().build(request)
    assert data(moved) == {"web": {"colour": "red"}}
    assert first.pins != moved.pins == {server.url("team/lib"): f"HEAD@sha1:{second}"}


@pytest.mark.parametrize("ref", ["main", "v1", "both", "refs/tags/both", "heads/both", "HEAD", "commit"])
def test_a_ref_is_what_git_takes_it_for(repo, server, bases, request_of, tmp_path, ref):
    repo.git("tag", "-a", "-m", "annotated", "both")
    repo.commit("on main")
    repo.git("branch", "both")
    repo.commit("further")
    wanted = repo.git("rev-parse", "HEAD^") if ref == "commit" else ref
    url = server.url("team/lib")
    clone = initial(tmp_path / "clone")
    clone.git("fetch", "--quiet", "--depth=1", url, wanted)
    built = bases.build(request_of(f"resources: ['{url}//base?ref={wanted}']\n"))
    [revision] = built.pins.values()
    assert revision.rpartition("sha1:")[2] == clone.git("rev-parse", "FETCH_HEAD^{commit}")
    assert bool(built.warnings) is (ref in {"main", "heads/both", "HEAD"})


def test_bases_of_bases_components_and_files_of_both_kinds(repo, server, web, bases, request_of):
    lib = server.url("team/lib")
    web.texts["/crds.yaml"] = config_map("crds", from_="web")
    web.texts["/values.env"] = "a=b\n"
    nested = (
        f"resources: ['{lib}//base?ref=v1', '{web.url('/crds.yaml')}']\ncomponents: ['{lib}//part?ref=v1']\n"
    )
    repo.write("nested/kustomization.yaml", nested)
    repo.git("mv", "base/web.yaml", "base/other.yaml")  # the outer one is at another commit than the inner
    repo.commit()
    repo.git("tag", "v2")
    plain = "options: {disableNameSuffixHash: true}"
    kfile = f"""\
        resources: ['{lib}//nested?ref=v2']
        configMapGenerator: [{{name: env, envs: ['{web.url("/values.env")}'], {plain}}}]
    """
    built = bases.build(request_of(kfile))
    assert data(built) == {"x-web": {"colour": "blue"}, "x-crds": {"from_": "web"}, "env": {"a": "b"}}
    names = {f"{lib}?ref=v1", f"{lib}?ref=v2", web.url("/crds.yaml"), web.url("/values.env")}
    assert set(built.pins) == names
    assert built.pins[web.url("/crds.yaml")].startswith("sha256:")
    assert web.seen.count("/crds.yaml") == 1


def test_links_of_a_base_are_left_out_and_named(repo, server, bases, request_of):
    (repo.path / "base/link.yaml").symlink_to("/etc/passwd")
    repo.write("base/kustomization.yaml", "resources: [web.yaml, link.yaml]\n")
    repo.commit()
    repo.git("tag", "v2")
    built = bases.build(request_of(f"resources: ['{server.url('team/lib')}//base?ref=v2']\n"))
    message = refused(built).message
    assert f"{server.url('team/lib')}//base/link.yaml" in message
    assert str(bases.directory) not in message
    assert "link" in built.warnings[0].message


REFUSED = [
    ("{git}//base?ref=v9", "has no branch or tag v9"),
    ("{git}//base?ref=-x", "is none that Git allows"),
    ("{nothing}//base", "no such repository|HTTP status 404"),
    ("{page}/gone.yaml", "the server answers with HTTP status 404"),
    ("{page}/loop", "more than 5 redirects"),
    ("{page}/metadata", "it is the metadata service of a cloud"),
    ("ssh://git@127.0.0.1/team/lib", "only http:// and https:// are fetched"),
    ("git@127.0.0.1:team/lib", "only http:// and https:// are fetched"),
    ("file:///team/lib", "only http:// and https:// are fetched"),
    ("http://robot:s3cr3t@127.0.0.1:1/a/b", "its URL has a login in it"),
]


@pytest.mark.parametrize(
    ("field", "entry", "told"),
    [
        (field, *row)
        for field in ("resources", "components")
        for row in REFUSED
        if field == "resources" or "{page}" not in row[0]  # a component is never a file
    ],
)
def test_what_cannot_be_had_is_one_problem(places, bases, request_of, field, entry, told):
    built = bases.build(request_of(f"{field}: ['{entry.format(**places)}']\n"))
    problem = refused(built)
    assert problem.code == "remote"
    assert re.search(told, problem.message), problem.message
    assert problem.entries[-1] == entry.format(**places)
    assert "s3cr3t" not in problem.message + problem.hint
    assert "spec." not in problem.hint
    assert not any(bases.fetched.values())
    assert built.resources == ()


def test_a_preview_reaches_no_private_address(server, web, make, request_of):
    closed = make(private=False)
    for url in (f"{server.url('team/lib')}//base", web.url("/a.yaml")):
        problem = refused(closed.build(request_of(f"resources: ['{url}']\n")))
        assert "127.0.0.1 is not reached from here: it is a loopback address" in problem.message
        assert "--allow-private-network" in problem.hint
    assert server.seen == web.seen == []


def test_a_file_that_expands_without_end_is_not_parsed(web, bases, request_of):
    web.texts["/bomb.yaml"] = BOMB
    problem = refused(bases.build(request_of(f"resources: ['{web.url('/bomb.yaml')}']\n")))
    assert problem.code == "yaml"
    assert "aliases expand" in problem.message


def test_there_is_an_end_to_what_a_build_asks_for(web, make, request_of):
    web.texts |= {f"/{number}.yaml": config_map(f"c-{number}") for number in range(5)}
    entries = ", ".join(f"'{web.url(path)}'" for path in web.texts)
    problem = refused(make(most=3).build(request_of(f"resources: [{entries}]\n")))
    assert "more than 3 remote resources" in problem.message
    assert len(make(most=5).build(request_of(f"resources: [{entries}]\n")).resources) == 5


def test_the_worker_opens_no_socket_and_runs_no_git(server, web, make, request_of, tmp_path, monkeypatch):
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    web.texts["/a.yaml"] = config_map("a", of="web")
    trace, traced = tmp_path / "trace", tmp_path / "traced"
    strace = f"strace --follow-forks --quiet=all --trace=%network,execve --output {trace}"
    traced.write_text(f'#!/bin/sh\nexec {strace} {compile_worker()} "$@"\n')
    traced.chmod(0o700)
    monkeypatch.setenv("KUSTODIAN_WORKER", str(traced))
    with WorkerPool(1) as pool:
        kfile = f"resources: ['{server.url('team/lib')}//base?ref=v1', '{web.url('/a.yaml')}']\n"
        built = make(pool).build(request_of(kfile))
        assert data(built) == {"web": {"colour": "blue"}, "a": {"of": "web"}}
    calls = trace.read_text()
    assert "AF_INET" not in calls
    programs = {line.partition('execve("')[2].partition('"')[0] for line in calls.splitlines()} - {""}
    assert {each for each in programs if not each.endswith("/bin/git")} == {str(compile_worker())}
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    assert real not in programs


def test_of_two_components_the_one_that_is_lacking_is_named(server, bases, request_of):
    there, gone = (f"{server.url('team/lib')}//part?ref={ref}" for ref in ("v1", "v9"))
    problem = refused(bases.build(request_of(f"components:\n- {there}\n- {gone}\n")))
    assert problem.entries == (gone,)


def test_what_is_wrong_in_a_base_is_led_back_to_the_entry(repo, server, bases, request_of):
    repo.write("base/web.yaml", "a: [\n")
    repo.commit()
    entry = f"{server.url('team/lib')}//base?ref=main"
    problem = refused(bases.build(request_of(f"resources: ['{entry}']\n")))
    assert entry in problem.entries
    assert str(bases.directory) not in problem.message
