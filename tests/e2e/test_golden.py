"""What people read of the demo fleet, in a pull request and once it is merged: from the action's front door.

`UPDATE_GOLDEN=1` rewrites the files in `golden/`; look at each before it is committed.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner import action
from runner.report import comment
from tests import workflow
from tests.cluster import ControlPlane
from tests.e2e.harness import Repository
from tests.fakes.github import ROBOT, TOKEN, Server

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]

FLEET = Path(__file__).parents[2] / "examples/fleet"
GOLDEN = Path(__file__).with_name("golden")
ENTRY = "clusters/staging"
OVERLAY = "apps/staging/grade-api/kustomization.yaml"
CONTROLLER = "infrastructure/controllers/gradebook-controller.yaml"
HEAD, TAIL = 60, 20
"""Lines of a report that is cut for its size: what is in between is more of the same."""

VARYING = (
    (r"(-[0-9a-z]{6,10}-[0-9a-z]{5})\b(?=: [A-Z])", "-POD"),
    (r"\b(sha1:)?[0-9a-f]{8,40}\b", "COMMIT"),
    (r"https://127\.0\.0\.1:\d+", "https://cluster.example:6443"),
    (r"\b\d+m\d+s\b|\b\d+(\.\d+)?s\b", "TIME"),
    (r"\| TIME (?=\|)", "|  "),  # in a table; what took no time has none there
    (r"\*\*TIME\*\* in all[.,].*", "**TIME** in all"),  # what was worth telling depends on how long it took
    (r"status: 'InProgress': .*", "status: 'InProgress': as far as it came"),
)


def settled(text: str) -> str:
    """Without what is another each time: commits, addresses, times."""
    for pattern, stands in VARYING:
        text = re.sub(pattern, stands, text)
    return text


@dataclass
class Story:
    """The demo fleet with its repository, its cluster, and the one pull request at a time."""

    repository: Repository
    temp: Path
    server: Server
    environment: dict[str, str]
    number: int = 0

    def run(self, event: str, payload: dict[str, object]) -> tuple[int, str]:
        """The exit code and the job summary."""
        (self.temp / "event.json").write_text(
            json.dumps(payload | {"repository": {"default_branch": "main"}})
        )
        (self.temp / "summary.md").write_text("")
        log = io.StringIO()
        code = action.run({**self.environment, "GITHUB_EVENT_NAME": event}, log, log)
        return code, (self.temp / "summary.md").read_text()

    def push(self) -> tuple[int, str]:
        """Deploy what main has."""
        self.server.repository.push("main", self.repository.git("rev-parse", "HEAD"))
        return self.run("push", {"ref": "refs/heads/main"})

    def propose(self, change: Callable[[Path], None]) -> tuple[int, str, str]:
        """A pull request: the exit code, its comment and its job summary; main is as before."""
        base = self.repository.git("rev-parse", "HEAD")
        self.number += 1
        self.repository.git("checkout", "--quiet", "-b", f"topic-{self.number}")
        change(self.repository.path)
        head = self.repository.commit()
        self.repository.git("checkout", "--quiet", "--detach", "main")
        self.repository.git("merge", "--quiet", "--no-ff", "--message", "merge", head)
        self.server.repository.pull(self.number, head)
        pull = {"number": self.number, "head": {"sha": head}, "base": {"sha": base, "ref": "main"}}
        code, summary = self.run("pull_request", {"action": "opened", "pull_request": pull})
        self.repository.git("checkout", "--quiet", "main")
        (said,) = [each for each in self.server.repository.comments if each.pull == self.number]
        assert said.author == ROBOT
        return code, said.body, summary


@pytest.fixture
def story(
    fresh_control_plane: Callable[..., ControlPlane], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Story]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    plane = fresh_control_plane()
    repository = Repository(tmp_path / "fleet")
    shutil.copytree(FLEET, repository.path, dirs_exist_ok=True)
    repository.commit("the fleet")
    with Server() as server:
        environment = {
            **workflow.environment(repository.path, tmp_path, server.url),
            "INPUT_ENTRY": ENTRY,
            "INPUT_TOKEN": TOKEN,
            "INPUT_KUBECONFIG": plane.kubeconfig.read_text(),
        }
        yield Story(repository, tmp_path, server, environment)


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return change


def released(root: Path) -> None:
    """A new version, in both ways of writing it."""
    replaced(OVERLAY, "1.5.0", "1.6.0")(root)
    replaced(OVERLAY, "1-5-0", "1-6-0")(root)


def scaled_down_and_dropped(root: Path) -> None:
    """Nothing that is wrong, and much that asks for eyes: a release, no replicas, and an object less."""
    released(root)
    replaced("apps/base/grade-web/kustomization.yaml", "  - ingress.yaml\n", "")(root)
    replaced("clusters/staging/cluster-vars.yaml", 'replicas: "1"', 'replicas: "0"')(root)


def many(root: Path) -> None:
    """More than a comment can hold."""
    names = [f"setting-{number:03}" for number in range(400)]
    for name in names:
        lines = "".join(f"  key-{line:02}: value {line} of {name}\n" for line in range(12))
        object_ = (
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: grades}}\ndata:\n{lines}"
        )
        (root / f"apps/base/grade-web/{name}.yaml").write_text(object_)
    listed = "".join(f"  - {name}.yaml\n" for name in names)
    replaced("apps/base/grade-web/kustomization.yaml", "resources:\n", f"resources:\n{listed}")(root)


def golden(name: str, text: str, *, cut: bool = False) -> None:
    lines = settled(text).splitlines(keepends=True)
    if cut:
        lines = [*lines[:HEAD], "[…]\n", *lines[-TAIL:]]
    got, file = "".join(lines), GOLDEN / f"{name}.md"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(got, encoding="utf-8")
    assert got == file.read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {file.name}"


def test_what_people_read_from_pull_request_to_roll_out(story: Story) -> None:
    code, summary = story.push()
    assert code == 0, summary
    golden("summary-ok", summary)

    code, said, summary = story.propose(replaced(OVERLAY, "LOG_LEVEL=debug", "LOG_LEVEL=info"))
    assert code == 0, summary
    golden("comment-ok", said)

    code, said, _ = story.propose(scaled_down_and_dropped)
    assert code == 0, said
    golden("comment-caution", said)

    code, said, _ = story.propose(replaced(CONTROLLER, "replicas: 1", "replicas: ${nobody_knows}"))
    assert code == 1, said
    golden("comment-failure", said)

    code, said, summary = story.propose(many)
    assert code == 0, said
    assert len(said.encode()) <= comment.COMMENT + 1000
    golden("comment-oversize", said, cut=True)
    golden("summary-oversize", summary, cut=True)

    scaled_down_and_dropped(story.repository.path)
    story.repository.commit()
    code, summary = story.push()
    assert code == 0, summary
    golden("summary-caution", summary)

    replaced(CONTROLLER, "serviceAccountName:", "nodeSelector: {nobody: has-it}\n      serviceAccountName:")(
        story.repository.path
    )
    replaced("clusters/staging/infrastructure.yaml", "timeout: 2m", "timeout: 3s")(story.repository.path)
    story.repository.commit()
    code, summary = story.push()
    assert code == 1, summary
    golden("summary-failure", summary)
