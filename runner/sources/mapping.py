"""`sources:` of kustodian.yaml: where the files of a source are, when its own spec is not to be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import UsageError
from runner.model import Manifest, SourceRef

FILE = "kustodian.yaml"
MOST_BYTES = 1 << 20
_NAME = re.compile(r"(OCIRepository|GitRepository|Bucket|ExternalArtifact)/[^/]+/[^/]+")
_OCI = re.compile(r"(oci://[^@]+?)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?")
_GIT = re.compile(r"(?:https?|ssh)://[^\s?#]+")
_REFS = frozenset({"branch", "commit", "name", "semver", "tag"})
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


def elsewhere(source: SourceRef, spec: Mapping[str, Any], known: Manifest | None) -> Manifest:
    """A source with another URL and ref; how it logs in stays."""
    before = (known or {}).get("spec")
    return {
        "apiVersion": (known or {}).get("apiVersion", "source.toolkit.fluxcd.io/v1"),
        "metadata": {"namespace": source.namespace, "name": source.name},
        "spec": {**(before if isinstance(before, Mapping) else {}), **spec},
    }


def parse(text: bytes) -> Mapping[str, Target]:
    """The targets by `Kind/namespace/name`.

    Raises:
        UsageError: the file is no YAML, or `sources` is not a mapping of sources to paths or URLs.
    """
    import yaml  # few repositories have the file

    if len(text) > MOST_BYTES:
        raise UsageError(f"{FILE} has more than {MOST_BYTES:,} bytes")
    try:
        whole = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{FILE}{where} is not YAML") from exc
    if whole is not None and not isinstance(whole, Mapping):
        raise UsageError(f"{FILE} is not a mapping", hint="it has the key `sources`.")
    if unknown := sorted(str(key) for key in (whole or {}).keys() - {"sources"}):
        raise UsageError(f"{FILE} has the key {unknown[0]!r}, which is not known", hint="it has `sources`.")
    sources = (whole or {}).get("sources") or {}
    if not isinstance(sources, Mapping):
        raise UsageError(f"{FILE}: sources is not a mapping", hint=_HINT)
    return {str(name): _target(str(name), value) for name, value in sources.items()}


def _target(name: str, value: object) -> Target:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{FILE}: {name!r} under sources is not Kind/namespace/name", hint=_HINT)
    if isinstance(value, Mapping):
        return _repository(name, value)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{FILE}: {name} is mapped to what is neither a path nor a URL", hint=_HINT)
    if _GIT.fullmatch(value):
        return ElsewhereInGit(value)
    if "://" in value:
        match = _OCI.fullmatch(value)
        if match is None:
            scheme = value.partition("://")[0]
            raise UsageError(
                f"{FILE}: {name} is mapped to a URL of the kind {scheme}:// that cannot be read", hint=_HINT
            )
        return Elsewhere(match[1], match[2] or "", match[3] or "")
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if value.startswith("/") or ".." in parts:
        raise UsageError(f"{FILE}: {name} is mapped to {value!r}, which is outside of the repository")
    return Directory("/".join(parts))


def _repository(name: str, value: Mapping[object, object]) -> ElsewhereInGit:
    url, ref = value.get("url"), value.get("ref") or {}
    if (
        not isinstance(url, str)
        or not isinstance(ref, Mapping)
        or not _GIT.fullmatch(url)
        or not value.keys() <= {"url", "ref"}
        or not all(key in _REFS and isinstance(each, str) for key, each in ref.items())
    ):
        raise UsageError(f"{FILE}: {name} is mapped to what is no Git repository's url and ref", hint=_HINT)
    return ElsewhereInGit(url, tuple(sorted(ref.items())))
