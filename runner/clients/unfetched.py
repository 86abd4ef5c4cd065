"""Registries, repositories and servers that are never asked: only whether URLs could be is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from runner.clients.git.remote.address import Address
from runner.clients.oci.reference import place
from runner.errors import NotFetched
from runner.registries import Layer, OciAccess
from runner.rendered import Page
from runner.repositories import Commit, GitAccess

_HINT = "`kustodian build` fetches it, and renders what is made of it."


class UnfetchedArtifacts:
    """Raises UsageError for a URL that is refused, and NotFetched for any other."""

    def tags(self, access: OciAccess) -> Sequence[str]:
        _refuse(access)

    def digest(self, access: OciAccess, tag: str) -> str:  # noqa: ARG002 -- see ports.Artifacts
        _refuse(access)

    def origin(self, access: OciAccess, digest: str) -> str:  # noqa: ARG002
        _refuse(access)

    def pull(self, access: OciAccess, digest: str, layer: Layer, target: Path) -> None:  # noqa: ARG002
        _refuse(access)


class UnfetchedRepositories:
    """Raises UsageError for a URL that is refused, and NotFetched for any other."""

    def refs(self, access: GitAccess, names: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        _refuse(access)

    def pull(self, access: GitAccess, commit: Commit, target: Path) -> tuple[str, ...]:  # noqa: ARG002
        _refuse(access)


class UnfetchedPages:
    """Raises NotFetched."""

    def get(self, url: str) -> Page:  # noqa: ARG002 -- see ports.Downloads
        raise NotFetched(
            "it is not fetched here, so what is made of it is not known",
            hint="`kustodian build --allow-remote-bases` fetches it, and renders what is made of it.",
        )


def _refuse(access: OciAccess | GitAccess) -> NoReturn:
    if isinstance(access, GitAccess):
        Address.of(access.url, access.source)
    else:
        place(access.url, access.source)
    raise NotFetched(f"{access.source} is not fetched here, so what is made of it is not known", hint=_HINT)
