"""Our one comment on a pull request: found by its marker and its author, and edited when it changes."""

from __future__ import annotations

from urllib.parse import quote

from runner.clients.github.api import PER_PAGE, Api, Json
from runner.clients.github.failures import GONE, Failure
from runner.forge import COMMENT_LIMIT, Comment, Telling, Told

WRITE = "pull-requests: write"
"""For reading too: a warning is to name what is needed in the end."""

MOST_PAGES = 5
"""Pages of 100 comments that are searched, the newest first."""

CUT = "\n\n… (cut: this is longer than a comment can be)\n"


class Comments:
    """What was found once in a run is not searched again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[int, str], Comment | None] = {}

    def find(self, pull: int, key: str) -> Comment | None:
        if (pull, key) not in self._known:
            _, count = self._api.pull(pull, WRITE)
            self._known[pull, key] = self._found(pull, key, count)
        return self._known[pull, key]

    def write(self, pull: int, key: str, body: str, head: str) -> Told:
        """Edit what there is, else create it."""
        searched = (pull, key) in self._known
        if head or not searched:
            state, count = self._api.pull(pull, WRITE)
            if head and state.head != head:
                return Told(Telling.OUTDATED)
            if not searched:
                self._known[pull, key] = self._found(pull, key, count)
        body = fitting(body)
        found = self._known[pull, key]
        if found and same(found.body, body):
            return Told(Telling.UNCHANGED, found.url)
        return (found and self._edit(pull, key, found, body)) or self._create(pull, key, body)

    def _edit(self, pull: int, key: str, found: Comment, body: str) -> Told | None:
        try:
            answer = self._api.patch(
                f"/issues/comments/{found.id}", {"body": marker(key) + body}, permission=WRITE
            )
        except Failure as exc:
            if exc.status != GONE:
                raise
            return None  # somebody deleted it since it was found
        return self._told(pull, key, Telling.EDITED, _comment(answer, key))

    def _create(self, pull: int, key: str, body: str) -> Told:
        answer = self._api.post(
            f"/issues/{pull}/comments",
            {"body": marker(key) + body},
            permission=WRITE,
            done=lambda: self._search(pull, key, self._api.pull(pull, WRITE)[1]),
        )
        return self._told(pull, key, Telling.CREATED, _comment(answer, key))

    def _told(self, pull: int, key: str, how: Telling, comment: Comment) -> Told:
        self._known[pull, key] = comment
        return Told(how, comment.url)

    def _found(self, pull: int, key: str, count: int) -> Comment | None:
        found = self._search(pull, key, count)
        return _comment(found, key) if found else None

    def _search(self, pull: int, key: str, count: int) -> Json | None:
        """From the newest on: GitHub lists the oldest first, and a decoy can be planted by anybody."""
        author = self._api.viewer() if count else ""
        last = -(-count // PER_PAGE)
        for page in range(last, max(last - MOST_PAGES, 0), -1):
            answer = self._api.list(f"/issues/{pull}/comments", permission=WRITE, page=page)
            for each in reversed(answer):
                ours = (each.get("user") or {}).get("login") == author
                if ours and _text(each).startswith(marker(key)):
                    return each
        return None


def marker(key: str) -> str:
    """The first line, which nobody sees; no key can end it early."""
    return f"<!-- {quote(key, safe='/:._ ')} -->\n"


def fitting(body: str) -> str:
    return body if len(body) <= COMMENT_LIMIT else body[: COMMENT_LIMIT - len(CUT)] + CUT


def same(one: str, other: str) -> bool:
    """Whether two bodies are one: GitHub may store other line ends, and none at the very end."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _comment(answer: Json, key: str) -> Comment:
    return Comment(answer["id"], _text(answer).removeprefix(marker(key)), answer["html_url"])


def _text(answer: Json) -> str:
    return (answer.get("body") or "").replace("\r\n", "\n")
