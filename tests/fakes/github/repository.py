"""A repository on GitHub, with what is known of the limits that GitHub's description leaves out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from tests.fakes.github.description import answer_schema, filled
from tests.fakes.github.trim import REPO

ROBOT = "github-actions[bot]"
STATUS = "#/components/schemas/simple-commit-status"
COMMENT_CHARACTERS = 65_536
DESCRIPTION_CHARACTERS = 140
TITLE_CHARACTERS = 255
PER_PAGE = 30


class Refusal(Exception):
    """An error that GitHub answers."""

    def __init__(self, status, message, *errors):
        super().__init__(message)
        self.status = status
        self.body = {
            "message": message,
            "documentation_url": "https://docs.github.invalid",
            "status": str(status),
        }
        if errors:
            self.body["errors"] = list(errors)


def invalid(resource, name, message):
    error = {"resource": resource, "code": "custom", "field": name, "message": message}
    return Refusal(422, "Validation Failed", error)


@dataclass
class Pull:
    number: int
    head: str
    base: str = "main"
    state: str = "open"
    merged_at: str | None = None
    commits: tuple[str, ...] = ()  # that came from it


@dataclass
class Comment:
    id: int
    pull: int
    author: str | None
    body: str
    edits: int = 0


@dataclass
class Issue:
    number: int
    author: str
    title: str
    body: str
    labels: list[str] = field(default_factory=list)
    state: str = "open"
    edits: list[dict] = field(default_factory=list)


@dataclass
class CheckRun:
    id: int
    app: str
    values: dict
    annotations: list = field(default_factory=list)


class Repository:
    """One method for each operation: parameters in, status and body out."""

    def __init__(self, name="acme/fleet", default_branch="main", viewer=ROBOT):
        self.name = name
        self.default_branch = default_branch
        self.viewer = viewer
        self.app = "github-actions"
        self.commits = {}  # a commit and its parents
        self.branches = {}  # and the commits that they are at
        self.pulls = {}
        self.comments = []
        self.issues = []
        self.checks = []
        self.statuses = []
        self._ids = itertools.count(1000)
        self.operations = {
            f"GET {REPO}": self._repository,
            f"GET {REPO}/pulls/{{pull_number}}": self._pull,
            f"GET {REPO}/commits/{{commit_sha}}/pulls": self._pulls,
            f"GET {REPO}/compare/{{basehead}}": self._compare,
            f"GET {REPO}/issues/{{issue_number}}/comments": self._comments,
            f"POST {REPO}/issues/{{issue_number}}/comments": self._comment,
            f"PATCH {REPO}/issues/comments/{{comment_id}}": self._edit_comment,
            f"GET {REPO}/issues": self._issues,
            f"POST {REPO}/issues": self._open_issue,
            f"PATCH {REPO}/issues/{{issue_number}}": self._edit_issue,
            f"GET {REPO}/commits/{{ref}}/check-runs": self._check_runs,
            f"GET {REPO}/check-runs/{{check_run_id}}": self._check_run,
            f"POST {REPO}/check-runs": self._create_check_run,
            f"PATCH {REPO}/check-runs/{{check_run_id}}": self._edit_check_run,
            f"GET {REPO}/commits/{{ref}}/status": self._status,
            f"POST {REPO}/statuses/{{sha}}": self._create_status,
        }

    # ── what a test sets up ──

    def commit(self, sha, *parents):
        self.commits[sha] = parents
        return sha

    def push(self, branch, sha, *parents):
        self.branches[branch] = self.commit(sha, *parents)

    def pull(self, number, head, **values):
        self.pulls[number] = Pull(number, self.commit(head), **values)
        return self.pulls[number]

    def say(self, pull, body, author="somebody"):
        self.comments.append(Comment(next(self._ids), pull, author, body))
        return self.comments[-1]

    def check(self, **values):
        self.checks.append(CheckRun(next(self._ids), values.pop("app", self.app), values))
        return self.checks[-1]

    # ── pull requests and commits ──

    def _repository(self, *_):
        schema = answer_schema(f"GET {REPO}", 200)
        return 200, filled(schema, full_name=self.name, default_branch=self.default_branch)

    def _pull(self, path, *_):
        pull = self._known_pull(path["pull_number"])
        return 200, self._shown_pull(pull, answer_schema(f"GET {REPO}/pulls/{{pull_number}}", 200)) | {
            "comments": sum(each.pull == pull.number for each in self.comments),
            "merged": bool(pull.merged_at),
        }

    def _pulls(self, path, query, _):
        schema = answer_schema(f"GET {REPO}/commits/{{commit_sha}}/pulls", 200)["items"]
        if path["commit_sha"] not in self.commits:
            raise Refusal(422, f"No commit found for SHA: {path['commit_sha']}")
        found = [each for each in self.pulls.values() if path["commit_sha"] in (each.head, *each.commits)]
        return 200, page([self._shown_pull(each, schema) for each in found], query)

    def _shown_pull(self, pull, schema):
        return filled(
            schema,
            number=pull.number,
            state=pull.state,
            merged_at=pull.merged_at,
            html_url=f"https://github.invalid/{self.name}/pull/{pull.number}",
            head={"sha": pull.head},
            base={"ref": pull.base},
        )

    def _compare(self, path, query, _):
        base, _, head = path["basehead"].partition("...")
        base, head = (self.branches.get(side, side) for side in (base, head))
        if not {base, head} <= self.commits.keys():
            raise Refusal(404, "Not Found")
        old, new = self._ancestors(base), self._ancestors(head)
        if not old & new:
            raise Refusal(404, f"No common ancestor between {base} and {head}.")
        ahead, behind = len(new - old), len(old - new)
        status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
        return 200, filled(
            answer_schema(f"GET {REPO}/compare/{{basehead}}", 200),
            status=status.get((bool(ahead), bool(behind)), "diverged"),
            ahead_by=ahead,
            behind_by=behind,
            commits=[],
            **({"files": []} if query.get("page", "1") == "1" else {}),
        )

    def _ancestors(self, commit):
        return {commit}.union(*(self._ancestors(parent) for parent in self.commits[commit]))

    # ── comments ──

    def _comments(self, path, query, _):
        pull = self._known_pull(path["issue_number"])
        return 200, page([self._shown(each) for each in self.comments if each.pull == pull.number], query)

    def _comment(self, path, _, body):
        pull = self._known_pull(path["issue_number"])
        self._fits(body)
        return 201, self._shown(self.say(pull.number, body["body"], self.viewer))

    def _edit_comment(self, path, _, body):
        found = next((each for each in self.comments if str(each.id) == path["comment_id"]), None)
        if found is None:
            raise Refusal(404, "Not Found")
        self._fits(body)
        found.body = body["body"]
        found.edits += 1
        return 200, self._shown(found)

    def _fits(self, body):
        if len(body["body"]) > COMMENT_CHARACTERS:
            told = f"Body is too long (maximum is {COMMENT_CHARACTERS} characters)"
            raise invalid("IssueComment", "body", told)

    def _shown(self, comment):
        schema = answer_schema(f"POST {REPO}/issues/{{issue_number}}/comments", 201)
        user = comment.author and filled({"$ref": "#/components/schemas/simple-user"}, login=comment.author)
        url = f"https://github.invalid/{self.name}/pull/{comment.pull}#issuecomment-{comment.id}"
        return filled(schema, id=comment.id, body=comment.body, user=user, html_url=url)

    # ── issues ──

    def report(self, title, body, author="somebody", **values):
        self.issues.append(Issue(next(self._ids), author, title, body, **values))
        return self.issues[-1]

    def _issues(self, _path, query, _):
        wanted = {label for label in query.get("labels", "").split(",") if label}
        found = [
            each
            for each in self.issues
            if query.get("state", "open") in {"all", each.state}
            and query.get("creator", each.author) == each.author
            and wanted <= set(each.labels)
        ]
        if query.get("direction", "desc") == "desc":
            found.reverse()
        return 200, page([self._shown_issue(each) for each in found], query)

    def _open_issue(self, _path, _query, body):
        self._fits_issue(body)
        made = self.report(body["title"], body["body"], self.viewer, labels=body.get("labels", []))
        return 201, self._shown_issue(made)

    def _edit_issue(self, path, _, body):
        found = next((each for each in self.issues if str(each.number) == path["issue_number"]), None)
        if found is None:
            raise Refusal(404, "Not Found")
        self._fits_issue(body)
        for name in ("title", "body", "state"):
            setattr(found, name, body.get(name, getattr(found, name)))
        found.edits.append(body)
        return 200, self._shown_issue(found)

    def _fits_issue(self, body):
        if len(body.get("body", "")) > COMMENT_CHARACTERS:
            raise invalid("Issue", "body", f"body is too long (maximum is {COMMENT_CHARACTERS} characters)")

    def _shown_issue(self, issue):
        schema = answer_schema(f"POST {REPO}/issues", 201)
        user = filled({"$ref": "#/components/schemas/simple-user"}, login=issue.author)
        url = f"https://github.invalid/{self.name}/issues/{issue.number}"
        values = {"title": issue.title, "body": issue.body, "state": issue.state, "labels": issue.labels}
        return filled(schema, number=issue.number, user=user, html_url=url, **values)

    # ── check runs and statuses ──

    def _check_runs(self, path, query, _):
        of_commit = [each for each in self.checks if each.values["head_sha"] == path["ref"]]
        named = [
            each for each in of_commit if query.get("check_name", each.values["name"]) == each.values["name"]
        ]
        if query.get("filter", "latest") == "latest":
            named = list({(each.app, each.values["name"]): each for each in named}.values())
        shown = page([self._shown_check(each) for each in named], query)
        return 200, {"total_count": len(named), "check_runs": shown}

    def _check_run(self, path, *_):
        return 200, self._shown_check(self._known_check(path["check_run_id"]))

    def _create_check_run(self, _path, _query, body):
        self._known_commit(body["head_sha"])
        self._checked(body)
        made = self.check(**body)
        made.annotations += body.get("output", {}).get("annotations", ())
        return 201, self._shown_check(made)

    def _edit_check_run(self, path, _, body):
        found = self._known_check(path["check_run_id"])
        if found.app != self.app:
            told = (
                "Invalid app_id `15368` - check run can only be modified by the GitHub App that created it."
            )
            raise Refusal(403, told)
        self._checked(body)
        found.values |= body
        found.annotations += body.get("output", {}).get("annotations", ())
        return 200, self._shown_check(found)

    def _checked(self, body):
        output = body.get("output", {})
        if len(output.get("title", "")) > TITLE_CHARACTERS:
            raise invalid("CheckRun", "title", "title is too long (maximum is 255 characters)")
        if not body.get("details_url", "https:").startswith(("http:", "https:")):
            raise invalid("CheckRun", "details_url", "details_url must use http or https scheme")
        if any(ord(char) > 0xFFFF for each in output.get("annotations", ()) for char in each["message"]):
            raise invalid("CheckRun", "annotations", "message contains characters that are not supported")

    def _shown_check(self, check):
        names = ("name", "head_sha", "status", "external_id", "details_url", "conclusion")
        output = {key: check.values.get("output", {}).get(key) for key in ("title", "summary", "text")}
        return filled(
            answer_schema(f"POST {REPO}/check-runs", 201),
            id=check.id,
            html_url=f"https://github.invalid/{self.name}/runs/{check.id}",
            output={**output, "annotations_count": len(check.annotations)},
            **{name: check.values.get(name) for name in names}
            | {"status": check.values.get("status", "queued")},
        )

    def _status(self, path, query, _):
        self._known_commit(path["ref"])
        latest = {each["context"].lower(): each for each in self.statuses if each["sha"] == path["ref"]}
        schema = answer_schema(f"GET {REPO}/commits/{{ref}}/status", 200)
        shown = [filled({"$ref": STATUS}, **self._stated(each)) for each in latest.values()]
        return 200, filled(schema, sha=path["ref"], total_count=len(shown), statuses=page(shown, query))

    def _create_status(self, path, _, body):
        self._known_commit(path["sha"])
        if len(body.get("description") or "") > DESCRIPTION_CHARACTERS:
            raise invalid("Status", "description", "description is too long (maximum is 140 characters)")
        self.statuses.append({"context": "default", "id": next(self._ids), "sha": path["sha"], **body})
        schema = answer_schema(f"POST {REPO}/statuses/{{sha}}", 201)
        return 201, filled(schema, **self._stated(self.statuses[-1]))

    def _stated(self, status):
        return {"target_url": None, "description": None} | {k: v for k, v in status.items() if k != "sha"}

    # ── what there is not ──

    def _known_pull(self, number):
        if not number.isdigit() or int(number) not in self.pulls:
            raise Refusal(404, "Not Found")
        return self.pulls[int(number)]

    def _known_check(self, number):
        found = next((each for each in self.checks if str(each.id) == number), None)
        if found is None:
            raise Refusal(404, "Not Found")
        return found

    def _known_commit(self, sha):
        if sha not in self.commits:
            raise Refusal(422, f"No commit found for SHA: {sha}")


def page(items, query):
    size = min(int(query.get("per_page", PER_PAGE)), 100)
    start = (int(query.get("page", 1)) - 1) * size
    return items[start : start + size]
