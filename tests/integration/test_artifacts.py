"""A fleet whose Kustomizations are built from composed artifacts: real git, the real worker."""

from __future__ import annotations

import subprocess
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner import desired
from runner.clients.git import GitCheckout
from runner.clients.kustomize import WorkerPool
from runner.clients.kustomize.compile import build as compile_worker
from runner.desired import Clients
from runner.options import Options

URL = "https://github.com/example/fleet"
ROOT = "flux-system/flux-system"


def kustomization(name, artifact, path, extra=""):
    return f"""\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 1h
  prune: true
  path: {path}
  sourceRef: {{kind: ExternalArtifact, name: {artifact}}}
{textwrap.indent(extra, "  ")}
"""


def config_map(name, **data):
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: apps}}\ndata:\n{lines}"


SYNC = f"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: flux-system, namespace: flux-system}}
spec:
  interval: 1m
  url: {URL}
  ref: {{branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: flux-system, namespace: flux-system}}
spec:
  interval: 10m
  path: ./clusters/staging
  prune: true
  sourceRef: {{kind: GitRepository, name: flux-system}}
"""

ARTIFACTS = """\
apiVersion: source.extensions.fluxcd.io/v1beta1
kind: ArtifactGenerator
metadata: {name: flux-system, namespace: flux-system}
spec:
  sources:
    - {alias: repo, kind: GitRepository, name: flux-system}
  artifacts:
    - name: infrastructure
      originRevision: "@repo"
      copy:
        - {from: "@repo/infrastructure/**", to: "@artifact/"}
    - name: apps
      originRevision: "@repo"
      copy:
        - {from: "@repo/apps/base/**", to: "@artifact/base/", exclude: ["*.md", "**/disabled/**"]}
        - {from: "@repo/apps/staging/**", to: "@artifact/staging/"}
        - {from: "@repo/apps/staging/values.yaml", to: "@artifact/base/podinfo/values.yaml", strategy: Merge}
"""

FLEET = {
    "clusters/staging/flux-system/gotk-sync.yaml": SYNC,
    "clusters/staging/flux-system/kustomization.yaml": "resources: [gotk-sync.yaml]\n",
    "clusters/staging/artifacts.yaml": ARTIFACTS,
    "clusters/staging/infrastructure.yaml": kustomization(
        "infrastructure", "infrastructure", "./controllers"
    ),
    "clusters/staging/apps.yaml": kustomization(
        "apps", "apps", "./staging", "dependsOn: [{name: infrastructure}]"
    ),
    "infrastructure/controllers/a.yaml": config_map("controller", size="small"),
    "apps/base/podinfo/kustomization.yaml": (
        "namespace: apps\nconfigMapGenerator:\n- {name: podinfo, files: [values.yaml]}\n"
        "generatorOptions: {disableNameSuffixHash: true}\n"
    ),
    "apps/base/podinfo/values.yaml": "replicas: 1\nui: {color: blue}\n",
    "apps/base/disabled/x.yaml": config_map("disabled", a="b"),
    "apps/base/README.md": "# Apps\n",
    "apps/staging/kustomization.yaml": "resources: [../base/podinfo]\n",
    "apps/staging/values.yaml": "ui: {message: staging}\n",
}


class Fleet:
    def __init__(self, path, worker, pool):
        self.path, self.worker, self.pool = path, worker, pool
        self.git("init", "--quiet", "-b", "main")
        self.git("remote", "add", "origin", URL)

    def git(self, *args):
        subprocess.run(["git", *args], cwd=self.path, check=True)

    def commit(self, files):
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", "change")

    def rendered(self, artifacts: Path):
        clients = Clients(
            repository=GitCheckout.open(self.path),
            builder=self.worker,
            clock=None,
            pool=self.pool,
            listener=lambda _: None,
            directory=artifacts,
        )
        return desired.at(Options(entry="clusters/staging"), clients).fleet(cluster=None)


@pytest.fixture
def fleet(tmp_path):
    compile_worker()
    (tmp_path / "fleet").mkdir()
    with WorkerPool(1) as worker, ThreadPoolExecutor(2) as pool:
        yield Fleet(tmp_path / "fleet", worker, pool)


def named(unit):
    assert unit.rendering.problems == ()
    return {(each["kind"], each["metadata"]["name"]): each for each in unit.objects}


def problems(unit):
    return [problem.message for problem in unit.rendering.problems]


def test_a_fleet_of_composed_artifacts_is_rendered(fleet, tmp_path):
    fleet.commit(FLEET)
    found = fleet.rendered(tmp_path / "out")
    assert list(found.units) == ["flux-system/apps", ROOT, "flux-system/infrastructure"]
    assert ("ArtifactGenerator", "flux-system") in named(found.units[ROOT])
    assert named(found.units["flux-system/infrastructure"]).keys() == {("ConfigMap", "controller")}
    podinfo = named(found.units["flux-system/apps"])["ConfigMap", "podinfo"]
    assert podinfo["data"] == {"values.yaml": "replicas: 1\nui:\n  color: blue\n  message: staging\n"}
    [apps] = [path for path in (tmp_path / "out").glob("*/base") if (path / "podinfo").is_dir()]
    assert [path.name for path in apps.iterdir()] == ["podinfo"]  # neither README.md nor disabled/


def test_the_defaults_of_ignore_are_applied_again_and_sourceignore_is_not(fleet, tmp_path):
    """As source-watcher archives: by the defaults alone, whatever the source was told to keep."""
    extra = {
        ".sourceignore": "/infrastructure/controllers/a.yaml\n",
        "infrastructure/.sourceignore": "*.tmp\n",
        "infrastructure/controllers/b.yaml": config_map("b", a="b"),
        "infrastructure/controllers/logo.png": "picture",
    }
    fleet.commit({**FLEET, **extra})
    found = fleet.rendered(tmp_path / "out")
    assert named(found.units["flux-system/infrastructure"]).keys() == {("ConfigMap", "b")}
    [made] = (tmp_path / "out").glob("*/controllers")
    assert sorted(path.name for path in made.iterdir()) == ["b.yaml"]
    assert not (made.parent / ".sourceignore").exists()


def test_a_generator_of_another_kustomization_is_found_whoever_comes_first(fleet, tmp_path):
    moved = {
        "clusters/staging/artifacts.yaml": SYNC.split("---")[1]
        .replace("name: flux-system, n", "name: sources, n")
        .replace("./clusters/staging", "./sources"),
        "sources/artifacts.yaml": ARTIFACTS,
    }
    fleet.commit({**FLEET, **moved})
    found = fleet.rendered(tmp_path / "out")
    assert ("ConfigMap", "podinfo") in named(found.units["flux-system/apps"])


def test_one_kustomization_that_cannot_be_built_says_why_and_the_others_are(fleet, tmp_path):
    others = ARTIFACTS.replace("@repo/infrastructure/**", "@repo/nowhere/**")
    fleet.commit({**FLEET, "clusters/staging/artifacts.yaml": others})
    found = fleet.rendered(tmp_path / "out")
    [said] = problems(found.units["flux-system/infrastructure"])
    assert said == (
        "ArtifactGenerator/flux-system/flux-system cannot copy @repo/nowhere/** to @artifact/: "
        "no files match 'nowhere/**'"
    )
    assert ("ConfigMap", "podinfo") in named(found.units["flux-system/apps"])


def test_an_ignored_directory_is_none_to_a_path_pattern(fleet, tmp_path):
    by_app = ARTIFACTS.replace("sources:", "pathPattern: '@repo/{app}'\n  sources:", 1)
    by_app = by_app.replace("name: infrastructure", "name: '{app}'").replace("/infrastructure/", "/{app}/")
    by_app = by_app.partition("    - name: apps")[0]
    extra = {"A B/x.yaml": "", "docs/x.md": "", ".sourceignore": "/A B/\n/docs/*\n"}
    fleet.commit({**FLEET, **extra, "clusters/staging/artifacts.yaml": by_app})
    found = fleet.rendered(tmp_path / "out")
    assert named(found.units["flux-system/infrastructure"]).keys() == {("ConfigMap", "controller")}
    [source] = [path.parent for path in (tmp_path / "out").glob("*/clusters")]
    assert (source / "docs").is_dir()  # only what is in it is ignored
    assert not (source / "A B").exists()


def test_an_artifact_that_nobody_makes_is_named(fleet, tmp_path):
    fleet.commit({**FLEET, "clusters/staging/artifacts.yaml": config_map("nothing", a="b")})
    [said] = problems(fleet.rendered(tmp_path / "out").units["flux-system/apps"])
    assert said.startswith(
        "flux-system/apps uses ExternalArtifact/flux-system/apps, and no ArtifactGenerator"
    )


def test_a_repository_that_includes_itself_under_another_name(fleet, tmp_path):
    included = (
        SYNC.split("---", maxsplit=1)[0].replace("name: flux-system, n", "name: shared, n")
        + "  ignore: |\n    /*\n"
    )
    included += "    !/apps/base\n"
    sync = SYNC.replace(
        "  ref: {branch: main}\n",
        "  ref: {branch: main}\n  include:\n"
        "  - {repository: {name: shared}, fromPath: apps/base/podinfo, toPath: apps/included}\n",
        1,
    )
    files = {
        "clusters/staging/flux-system/gotk-sync.yaml": f"{sync}---\n{included}",
        "apps/staging/kustomization.yaml": "resources: [../included]\n",
        "clusters/staging/artifacts.yaml": config_map("nothing", a="b"),
        "clusters/staging/infrastructure.yaml": config_map("nothing-more", a="b"),
        "clusters/staging/apps.yaml": kustomization("apps", "flux-system", "./apps/staging").replace(
            "ExternalArtifact", "GitRepository"
        ),
    }
    fleet.commit({**FLEET, **files})
    podinfo = named(fleet.rendered(tmp_path / "out").units["flux-system/apps"])["ConfigMap", "podinfo"]
    assert podinfo["data"] == {"values.yaml": FLEET["apps/base/podinfo/values.yaml"]}
