"""The nouns of the place where the repository and its pull requests live: what it is told, and asked.

The limits are GitHub's; a text that is longer is cut, so a report that wants whole sentences fits them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

COMMENT_LIMIT = 65_000
"""Characters of a comment: GitHub Enterprise Server takes 65,536, and the marker needs some."""

CHECK_LIMIT = 65_535
"""Bytes of a check's summary, and of its text."""

TITLE_LIMIT = 255
"""Characters of a check's title, and of an annotation's."""

ANNOTATIONS_LIMIT = 200
"""Annotations of a check: each 50 of them cost a request."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request."""

    number: int
    head: str  # the commit that it would merge
    base: str  # the branch that it would change
    open: bool
    merged: bool
    url: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of our own, without its marker."""

    id: int
    body: str
    url: str


@dataclass(frozen=True, slots=True)
class Issue:
    """What an issue is to say, and whether it is to be open."""

    key: str  # what ours is found by
    title: str
    body: str
    digest: str  # what the body is about: an issue is edited when this is another
    open: bool
    labels: tuple[str, ...] = ()  # of a new one; later they are people's


class Conclusion(StrEnum):
    """How a check ended, in GitHub's words."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    ACTION_REQUIRED = "action_required"


class Level(StrEnum):
    """How bad an annotation is, in GitHub's words."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message at a line of a file."""

    path: str  # below the repository's root
    line: int  # from 1
    level: Level
    message: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on a commit, for a cluster or one of its Kustomizations: a check run or a commit status."""

    id: str  # ours; a check that is told again with the same id is updated
    name: str
    commit: str
    title: str
    summary: str = ""
    text: str = ""
    conclusion: Conclusion | None = None  # None: in progress
    annotations: tuple[Annotation, ...] = ()  # they can only become more
    url: str = ""  # of the details


class Telling(StrEnum):
    """What became of something that was to be told."""

    CREATED = "created"
    EDITED = "edited"
    UNCHANGED = "unchanged"  # it says so already: no request was sent to write it
    OUTDATED = "outdated"  # the pull request has a newer commit, whose run has the say
    FAILED = "failed"  # the forge's warnings say why


@dataclass(frozen=True, slots=True)
class Told:
    how: Telling
    url: str = ""


class Ancestry(StrEnum):
    """Where a commit is, seen from another."""

    IDENTICAL = "identical"
    AHEAD = "ahead"  # it contains the other
    BEHIND = "behind"  # the other contains it
    DIVERGED = "diverged"
    UNKNOWN = "unknown"
