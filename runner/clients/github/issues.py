"""Our one issue about something: found by its marker and its author, opened, edited, closed and reopened."""

from __future__ import annotations

from runner.clients.github.api import Api, Json
from runner.clients.github.comments import fitting, marker
from runner.forge import Issue, Telling, Told

WRITE = "issues: write"
MOST_PAGES = 2
"""Pages of 100 issues that are searched when none of ours has the label any more, the newest first."""


class Issues:
    """Closed ones count too: what comes again is told where it was told before."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def write(self, issue: Issue) -> Told:
        """Open it, or make what there is say it; nothing is sent when it does."""
        found = self._find(issue)
        if found is None:
            return self._create(issue) if issue.open else Told(Telling.UNCHANGED)
        url, is_open = str(found["html_url"]), found["state"] == "open"
        told = _text(found).startswith(_head(issue))
        if is_open is issue.open and (told or not issue.open):
            return Told(Telling.UNCHANGED, url)
        edit: Json = {"state": "open", "state_reason": "reopened"} if issue.open and not is_open else {}
        if not issue.open:
            edit = {"state": "closed", "state_reason": "completed"}  # what it says last stays to be read
        elif not told:
            edit |= {"title": issue.title, "body": _body(issue)}
        self._api.patch(f"/issues/{found['number']}", edit, permission=WRITE)
        return Told(Telling.EDITED, url)

    def _create(self, issue: Issue) -> Told:
        body = {"title": issue.title, "body": _body(issue), "labels": list(issue.labels)}
        answer = self._api.post("/issues", body, permission=WRITE, done=lambda: self._find(issue))
        return Told(Telling.CREATED, str(answer["html_url"]))

    def _find(self, issue: Issue) -> Json | None:
        """Of several, left by whomever, the oldest one; by its label first, which people may take away."""
        author = self._api.viewer()
        labelled = self._page(issue, author, labels=",".join(issue.labels), direction="asc")
        if labelled:
            return labelled[0]
        for page in range(1, MOST_PAGES + 1):
            if found := self._page(issue, author, page=page):
                return found[-1]
        return None

    def _page(self, issue: Issue, author: str, **query: str | int) -> list[Json]:
        answer = self._api.list("/issues", permission=WRITE, state="all", creator=author, **query)
        return [each for each in answer if _is_ours(each, issue, author)]


def _is_ours(each: Json, issue: Issue, author: str) -> bool:
    mine = (each.get("user") or {}).get("login") == author
    return mine and "pull_request" not in each and _text(each).startswith(marker(issue.key))


def _head(issue: Issue) -> str:
    return f"{marker(issue.key)}<!-- {issue.digest} -->\n"


def _body(issue: Issue) -> str:
    return _head(issue) + fitting(issue.body)


def _text(answer: Json) -> str:
    return (answer.get("body") or "").replace("\r\n", "\n")
