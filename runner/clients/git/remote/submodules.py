"""What `.gitmodules` says: where the files of a nested repository are, and as whom they are asked for.

Source: go-git 5.19, submodule.go, which source-controller 1.9 uses. It sends the login of the repository to
whatever server a submodule names; here a login stays with the server that it is for.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from runner.clients.git.listing import Entry
from runner.clients.git.remote.address import Address
from runner.errors import RunnerError, SourceError, UsageError
from runner.registries import Certificates
from runner.repositories import GitAccess

FILE = ".gitmodules"
MOST = 64
"""Submodules of one repository, those of submodules included."""
DEEPEST = 10
"""Levels of submodules in submodules, as many as go-git follows."""
_HINT = f"{FILE} says where it is; a login is used at the server that it is for, and nowhere else."
_SCP = re.compile(r"(?:([^@/:]+)@)?([^:/\s]+):(?!//)([^\\].*)")


@dataclass(frozen=True, slots=True)
class Submodule:
    """A repository whose files belong at a path of another one."""

    path: str  # from the root of the outermost
    commit: str
    access: GitAccess
    depth: int = 1


def listed(output: bytes) -> Mapping[str, str]:
    """Path → URL, of what `git config --list -z` says of the file."""
    found: dict[str, dict[str, str]] = {}
    for line in output.decode(errors="surrogateescape").split("\0")[:-1]:
        key, _, value = line.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        if section == "submodule":
            found.setdefault(name, {})[field] = value
    return {each["path"]: each.get("url", "") for each in found.values() if each.get("path")}


def named(
    links: Iterable[Entry], urls: Mapping[str, str], outer: GitAccess, prefix: str, depth: int
) -> list[Submodule]:
    """The submodules that the links of a commit are. Raises SourceError and UsageError."""
    found = []
    for link in links:
        path = f"{prefix}{link.path}"
        if not urls.get(link.path):
            raise SourceError(
                f"submodule {path} has no url in {FILE}", hint=f"add it to {FILE}, or remove it."
            )
        if depth > DEEPEST:
            raise SourceError(f"submodule {path} is more than {DEEPEST} levels deep")
        found.append(Submodule(path, link.blob.id, access(outer, urls[link.path], path), depth))
    return found


def access(outer: GitAccess, url: str, path: str) -> GitAccess:
    """How a submodule is reached: with the login of the repository around it where the server is the same.

    Over ssh the identity goes with it, as `known_hosts` says which servers may see it at all.
    """
    parent = Address.of(outer.url, outer.source)
    where = _resolved(parent, url)
    try:
        target = Address.of(where, outer.source)
    except UsageError:
        raise UsageError(
            f"{outer.source}: submodule {path} has a url that is not fetched",
            hint="write it like https://example.com/team/repository.git, or relative: ../repository.git.",
        ) from None
    made = replace(outer, url=where)
    if target.scheme == "ssh":
        if not (outer.identity and outer.known_hosts):
            raise UsageError(
                f"{outer.source}: submodule {path} is at an ssh:// url, and the login is none for ssh",
                hint="a relative url, such as ../repository.git, is asked for like the repository itself.",
            )
        return made
    made = replace(made, identity="", known_hosts="")
    if target.origin == parent.origin:
        return replace(made, user=outer.user or parent.user, password=outer.password or parent.password)
    return replace(made, user="", password="", bearer="", certificates=Certificates())


def told(exc: RunnerError, path: str) -> RunnerError:
    """What went wrong with a submodule, without what is told about a GitRepository's spec."""
    hint = _HINT if "spec." in exc.hint else exc.hint
    return (SourceError if isinstance(exc, SourceError) else UsageError)(
        f"submodule {path}: {exc.message}", hint=hint
    )


def _resolved(parent: Address, url: str) -> str:
    if url.startswith(("./", "../")):
        path = posixpath.normpath(f"{parent.path}/{url}").lstrip("/")
        return f"{parent.bare.removesuffix(parent.path)}/{path}"
    match = _SCP.fullmatch(url)
    if match is not None and "://" not in url:
        user, host, path = match.groups()
        return f"ssh://{user or 'git'}@{host}/{path.lstrip('/')}"
    return url
