"""Check runs, and the commit statuses that can stand in for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.clients.github.api import PER_PAGE, Api, Json
from runner.clients.github.failures import FORBIDDEN, Failure
from runner.forge import (
    ANNOTATIONS_LIMIT,
    CHECK_LIMIT,
    TITLE_LIMIT,
    Annotation,
    Check,
    Conclusion,
    Telling,
    Told,
)

WRITE = "checks: write"
STATUSES = "statuses: write"
AT_ONCE = 50
"""Annotations in one request."""

MESSAGE_LIMIT = 65_536
DESCRIPTION_LIMIT = 140
BMP = 0xFFFF
STATES = {
    None: "pending",
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.SKIPPED: "success",
    Conclusion.FAILURE: "failure",
    Conclusion.ACTION_REQUIRED: "failure",
    Conclusion.CANCELLED: "error",
    Conclusion.TIMED_OUT: "error",
}


@dataclass(slots=True)
class CheckRun:
    """What GitHub has of a check."""

    id: int
    url: str
    told: Check | None = None
    sent: set[Annotation] = field(default_factory=set)


class Checks:
    """Check runs of this run by our ids."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._runs: dict[tuple[str, str], CheckRun] = {}
        self._listed: dict[str, list[Json]] = {}
        self._statuses: dict[tuple[str, str], dict[str, str]] = {}

    def write(self, check: Check) -> Told:
        """Create or update it, with as many annotations as one request takes."""
        key = check.commit, check.id
        run = self._runs.get(key) or self._left_behind(check)
        if run and run.told == check:
            return Told(Telling.UNCHANGED, run.url)
        first = _fresh(check, run)[:AT_ONCE]
        how = Telling.EDITED
        if run is None or not self._update(run, check, first):
            how, run = Telling.CREATED, self._create(check, first)
        run.told = check
        self._runs[key] = run
        return Told(how, run.url)

    def annotate(self, check: Check) -> None:
        """Send the annotations that are left, in as many requests as they need."""
        run = self._runs[check.commit, check.id]
        while fresh := _fresh(check, run):
            self._update(run, check, fresh[:AT_ONCE])

    def _create(self, check: Check, annotations: list[Annotation]) -> CheckRun:
        before = {each["id"] for each in self._listed.get(check.commit, ())}
        body = {"head_sha": check.commit, "external_id": check.id, **_body(check, annotations)}
        answer = self._api.post("/check-runs", body, permission=WRITE, done=lambda: self._made(check, before))
        return CheckRun(answer["id"], answer["html_url"] or "", sent=set(annotations))

    def _update(self, run: CheckRun, check: Check, annotations: list[Annotation]) -> bool:
        """Whether it could be done: nobody but the app that made a check run may touch it."""
        path, expected = f"/check-runs/{run.id}", len(run.sent) + len(annotations)

        def appended() -> Json | None:
            answer = self._api.get(path, permission=WRITE)
            return answer if answer["output"]["annotations_count"] >= expected else None

        try:
            # With annotations an edit appends: after a lost answer a second one would show them twice.
            done = appended if annotations else None
            self._api.patch(path, _body(check, annotations), permission=WRITE, done=done)
        except Failure as exc:
            if exc.status == FORBIDDEN and "app_id" in exc.said:
                return False
            raise
        run.sent.update(annotations)
        return True

    def _left_behind(self, check: Check) -> CheckRun | None:
        """What an earlier attempt of this run began and did not end: it would stay in progress for ever."""
        if check.commit not in self._listed:
            self._listed[check.commit] = self._list(check.commit)
        for each in self._listed[check.commit]:
            begun = each["status"] != "completed" and not each["output"]["annotations_count"]
            if each["external_id"] == check.id and begun:
                return CheckRun(each["id"], each["html_url"] or "")
        return None

    def _made(self, check: Check, before: set[int]) -> Json | None:
        found = self._list(check.commit, check_name=check.name)
        ours = (each for each in found if each["external_id"] == check.id and each["id"] not in before)
        return next(ours, None)

    def _list(self, commit: str, **query: str) -> list[Json]:
        path = f"/commits/{commit}/check-runs"
        found: list[Json] = self._api.get(path, permission=WRITE, per_page=PER_PAGE, **query)["check_runs"]
        return found

    def status(self, check: Check) -> Told:
        body = {
            "state": STATES[check.conclusion],
            "context": check.name,
            "description": cut(check.title, DESCRIPTION_LIMIT),
        }
        if check.url:
            body["target_url"] = check.url
        if self._statuses.get((check.commit, check.name)) == body:
            return Told(Telling.UNCHANGED, check.url)
        path = f"/statuses/{check.commit}"
        self._api.post(path, body, permission=STATUSES, done=lambda: self._stated(check.commit, body))
        self._statuses[check.commit, check.name] = body
        return Told(Telling.CREATED, check.url)

    def _stated(self, commit: str, body: dict[str, str]) -> Json | None:
        """The status as it was to be, when it is the commit's latest of this name."""
        answer = self._api.get(f"/commits/{commit}/status", permission=STATUSES, per_page=PER_PAGE)
        return next((each for each in answer["statuses"] if body.items() <= each.items()), None)


def _fresh(check: Check, run: CheckRun | None) -> list[Annotation]:
    """The annotations that GitHub does not have yet; it can only add some."""
    sent = run.sent if run else set()
    return [each for each in dict.fromkeys(check.annotations[:ANNOTATIONS_LIMIT]) if each not in sent]


def _body(check: Check, annotations: list[Annotation]) -> Json:
    output: Json = {
        "title": cut(check.title, TITLE_LIMIT),
        "summary": cut(check.summary, CHECK_LIMIT, in_bytes=True),
    }
    if check.text:
        output["text"] = cut(check.text, CHECK_LIMIT, in_bytes=True)
    if annotations:
        output["annotations"] = [_annotation(each) for each in annotations]
    body: Json = {"name": check.name, "output": output}
    body |= {"status": "completed", "conclusion": check.conclusion} if check.conclusion else _IN_PROGRESS
    return body | ({"details_url": check.url} if check.url else {})


_IN_PROGRESS = {"status": "in_progress"}


def _annotation(annotation: Annotation) -> Json:
    made: Json = {
        "path": annotation.path,
        "start_line": max(annotation.line, 1),
        "end_line": max(annotation.line, 1),
        "annotation_level": annotation.level,
        "message": cut(_plain(annotation.message), MESSAGE_LIMIT, in_bytes=True),
    }
    if annotation.title:
        made["title"] = cut(_plain(annotation.title), TITLE_LIMIT)
    return made


def _plain(text: str) -> str:
    """GitHub has refused annotations with characters beyond 16 bits."""
    return "".join(char if ord(char) <= BMP else f"\\U{ord(char):08x}" for char in text)


def cut(text: str, limit: int, *, in_bytes: bool = False) -> str:
    """The text, or as much of it as fits with a … behind.

    Where GitHub does not tell whether it counts characters or bytes, bytes are the safe side.
    """
    if not in_bytes:
        return text if len(text) <= limit else text[: limit - 1] + "…"
    data = text.encode(errors="replace")
    return text if len(data) <= limit else data[: limit - 3].decode(errors="ignore") + "…"
