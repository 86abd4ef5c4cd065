"""Remote bases: what kustomize fetches itself in the flux command line is what we fetch for it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from runner.clients.git.remote import RemoteRepositories
from runner.clients.kept import KeptContent
from runner.clients.kustomize import WorkerPool
from runner.clients.network import Http, Policy, Resolver
from runner.clients.network.downloads import HttpDownloads
from runner.sources import Bases
from tests.fidelity.cli import Failure, Flux
from tests.fidelity.compare import Case, ours, printed
from tests.fidelity.kfiles import config_map
from tests.fidelity.trees import flux_kustomization
from tests.gits import git_server, pages
from tests.integration.workspace import initial

pytestmark = pytest.mark.fidelity
Tree = Callable[[Mapping[str, str]], Path]


class Reaching(Flux):
    """The program with a git on its PATH."""

    def environment(self, **variables: str) -> dict[str, str]:
        git = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
        return super().environment(PATH=os.environ["PATH"], **git, **variables)

    def as_printed(self, case: Case) -> str | Failure:
        """Its in-memory way knows no remote bases; the other one writes to the files meanwhile."""
        return self.build(case.root, case.path, case.kustomization, in_memory=False)


@pytest.fixture
def places(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A repository with bases and a component, and a page; all by URL."""
    (tmp_path / "served/team").mkdir(parents=True)
    repo = initial(tmp_path / "served/team/lib")
    with git_server(tmp_path / "served") as git, pages({"/a.yaml": config_map("page")}) as web:
        lib = git.url("team/lib")
        repo.write("base/kustomization.yaml", "resources: [web.yaml]\nnameSuffix: -one\n")
        repo.write("base/web.yaml", config_map("web"))
        nested = f"resources: [../base, '{web.url('/a.yaml')}']\ncomponents: ['{lib}//part?ref=v1']\n"
        repo.write("nested/kustomization.yaml", nested)
        part = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: part-\n"
        repo.write("part/kustomization.yaml", part)
        repo.commit()
        repo.git("tag", "v1")
        repo.write("base/web.yaml", config_map("newer"))
        repo.commit()
        yield {"lib": lib, "page": web.url("/a.yaml")}


@pytest.mark.parametrize(
    "kfile",
    [
        "resources: ['{lib}//base?ref=v1']\n",
        "resources: ['{lib}//base?version=v1&timeout=20s&submodules=false']\n",
        "resources: ['{lib}.git/base?ref=v1']\n",
        "resources: ['git::{lib}/base?ref=main']\n",
        "resources: ['{lib}/base']\n",
        "resources: ['{page}']\nnamespace: there\n",
        "resources: ['{lib}//nested?ref=v1', local.yaml]\nbuildMetadata: [originAnnotations]\n",
        "resources: [local.yaml]\ncomponents: ['{lib}//part?ref=v1']\n",
        "resources: [local.yaml]\nconfigMapGenerator: [{{name: g, files: ['a=local.yaml', '{page}']}}]\n",
    ],
)
def test_as_kustomize_fetches(
    pool: WorkerPool, flux: Flux, tree: Tree, tmp_path: Path, places: dict[str, str], kfile: str
) -> None:
    (tmp_path / "served/team/lib.git").symlink_to("lib")
    files = {"kustomization.yaml": textwrap.dedent(kfile.format(**places)), "local.yaml": config_map("local")}
    resolver = Resolver(Policy(private=True))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    downloads = HttpDownloads(Http(resolver), scratch)
    repositories = RemoteRepositories(resolver, KeptContent(tmp_path / "cache"), scratch)
    bases = Bases(pool, lambda: downloads, lambda: repositories, scratch, {})
    case = Case(tree(files), ".", flux_kustomization())
    theirs = Reaching(flux.program, flux.scratch).as_printed(case)
    assert not isinstance(theirs, Failure), theirs.message
    built = ours(bases, case)
    assert printed(bases, case, built) == theirs
    assert built.pins
