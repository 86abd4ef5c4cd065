"""Between the worker's JSON and our own types."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from runner.rendered import (
    ArtifactListing,
    Asked,
    BuildRequest,
    Built,
    Closure,
    ParsedFile,
    ParsedObject,
    Problem,
    Remote,
    RenderedResource,
    Sealed,
    Subject,
    WorkerVersion,
)

Json = Mapping[str, Any]


def build_request(request: BuildRequest) -> dict[str, Any]:
    """The wire form of a request."""
    return {
        "op": "build",
        "root": str(request.root),
        "path": request.path,
        "kustomization": request.kustomization,
        "variables": dict(request.variables),
        "strict": request.strict,
        "keepUnresolved": request.keep_unresolved,
        "overridable": sorted(request.overridable),
        "display": dict(request.display),
        "remote": _remote(request.remote) if request.remote is not None else None,
        "oracle": request.oracle,
        "open": request.open,
        "opened": {id_: b64encode(data).decode() for id_, data in request.opened.items()},
    }


def built(answer: Json) -> Built:
    """How a build went."""
    kfile = answer.get("kfile") or {}
    return Built(
        resources=tuple(_resource(item) for item in answer.get("resources") or ()),
        closure=_closure(answer.get("closure") or {}),
        kfile=kfile.get("path", ""),
        generated=kfile.get("generated", False),
        warnings=problems(answer.get("warnings")),
        problems=problems(answer.get("errors")),
        sealed=tuple(_sealed(item) for item in answer.get("sealed") or ()),
        used=_asked(answer.get("used")),
        wanted=_asked(answer.get("wanted")),
        unnamed=answer.get("unnamed", False),
    )


def parsed(name: str, answer: Json) -> ParsedFile:
    """The objects of a file; its name stands in for the one the worker never learnt."""
    objects = (
        ParsedObject(item["object"], item["document"], item["line"]) for item in answer.get("objects") or ()
    )
    return ParsedFile(name, tuple(objects), problems(answer.get("errors"), file=name))


def artifact(answer: Json) -> ArtifactListing:
    """What is not in an artifact."""
    listing = answer.get("artifact") or {}
    keys = ("excluded", "symlinks", "directories")
    return ArtifactListing(*(tuple(listing.get(key) or ()) for key in keys))


def version(answer: Json) -> WorkerVersion:
    """What the worker is made of."""
    found = answer["version"]
    return WorkerVersion(found["sourceHash"], found["flux"], found["kustomize"], found["go"])


def problems(items: Iterable[Json] | None, *, file: str = "") -> tuple[Problem, ...]:
    """The problems of an answer; `file` is for those that name none."""
    return tuple(_problem(item, file) for item in items or ())


def _problem(item: Json, file: str) -> Problem:
    subject = item.get("subject")
    return Problem(
        code=item["code"],
        message=item["message"],
        stage=item.get("stage", ""),
        subject=Subject(**subject) if subject else None,
        variable=item.get("variable", ""),
        json_path=item.get("jsonPath", ""),
        file=item.get("file") or file,
        line=item.get("line", 0),
        entries=tuple(item.get("entries") or ()),
    )


def _remote(remote: Remote) -> dict[str, Any]:
    return {
        "scratch": str(remote.scratch),
        "files": {
            url: {"status": page.status, "file": str(page.file) if page.file is not None else ""}
            for url, page in remote.files.items()
        },
        "trees": [
            {"url": asked.url, "ref": asked.ref, "directory": str(directory)}
            for asked, directory in remote.trees.items()
        ],
    }


def _asked(items: Iterable[Json] | None) -> tuple[Asked, ...]:
    """In the order in which they were asked for, each once."""
    found = (Asked(item["url"], item.get("ref", ""), item.get("git", False)) for item in items or ())
    return tuple(dict.fromkeys(found))


def _sealed(item: Json) -> Sealed:
    subject = item.get("subject")
    return Sealed(
        id=item["id"],
        data=b64decode(item["data"]),
        input=item["input"],
        output=item["output"],
        prefix=item["prefix"],
        file=item.get("file", ""),
        subject=Subject(**subject) if subject else None,
    )


def _resource(item: Json) -> RenderedResource:
    return RenderedResource(
        object=item["object"],
        origin=item.get("origin", ""),
        substitution=item.get("substitution", ""),
        unresolved=tuple(item.get("unresolved") or ()),
        display=item.get("display"),
    )


def _closure(item: Json) -> Closure:
    groups = {name: tuple(item.get(name) or ()) for name in ("read", "stat", "dirs", "listed", "missing")}
    return Closure(**groups, links=item.get("links") or {})
