"""`sources:` of kustodian.yaml: where the files of a source are, when its own spec is not to be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import UsageError

_OCI = re.compile(r"(oci://[^@]+?)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?")
_GIT = re.compile(r"(?:https?|ssh)://[^\s?#]+")
_HINT = (
    "like `Bucket/flux-system/name: ./vendor/name`, a URL: oci://registry/repository:tag, or "
    "`{url: https://host/repository.git, ref: {branch: main}}`."
)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of this repository, at the revision that is rendered."""

    path: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An OCI artifact; its tag may be empty when it has a digest, and the other way round."""

    url: str
    tag: str = ""
    digest: str = ""

    @property
    def spec(self) -> dict[str, Any]:
        """The fields of an OCIRepository that say the same."""
        ref = {"digest": self.digest} if self.digest else {"tag": self.tag or "latest"}
        return {"url": self.url, "ref": ref}


@dataclass(frozen=True, slots=True)
class ElsewhereInGit:
    """A Git repository; without a ref the one of the GitRepository that is mapped counts, if it is one."""

    url: str
    ref: tuple[tuple[str, str], ...] = ()  # fields of spec.ref

    @property
    def spec(self) -> dict[str, Any]:
        """The fields of a GitRepository that say the same."""
        return {"url": self.url, **({"ref": dict(self.ref)} if self.ref else {})}


Target = Directory | Elsewhere | ElsewhereInGit


def target(name: str, value: str | Mapping[str, Any]) -> Target:
    """What a source is mapped to; the schema has seen to the types. Raises UsageError."""
    if isinstance(value, Mapping):
        if not _GIT.fullmatch(value["url"]):
            raise UsageError(f"{name} is mapped to what is no Git repository's url", hint=_HINT)
        return ElsewhereInGit(value["url"], tuple(sorted((value.get("ref") or {}).items())))
    if _GIT.fullmatch(value):
        return ElsewhereInGit(value)
    if "://" in value:
        match = _OCI.fullmatch(value)
        if match is None:
            scheme = value.partition("://")[0]
            raise UsageError(
                f"{name} is mapped to a URL of the kind {scheme}:// that cannot be read", hint=_HINT
            )
        return Elsewhere(match[1], match[2] or "", match[3] or "")
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if value.startswith("/") or ".." in parts:
        raise UsageError(f"{name} is mapped to {value!r}, which is outside of the repository")
    return Directory("/".join(parts))
