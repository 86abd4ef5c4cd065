"""A gzip'd tar → files in a directory, with Flux's rules of what may be in it, and with limits.

Source: fluxcd/pkg/tar, Untar, which takes a name twice for an overwritten file. The limits are ours:
source-controller has none for what it fetches.
"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner.errors import SourceError

MIB = 1 << 20
_PIECE = 1 << 20
_BLOCK = 512
_EXECUTABLE, _PLAIN = 0o755, 0o644


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may come to once it is unpacked."""

    bytes: int = 256 * MIB  # of the tar itself
    entries: int = 100_000
    depth: int = 64  # directories in each other


def extract(packed: IO[bytes], target: Path, limits: Limits, *, skip_links: bool) -> None:
    """Write the files of an archive below `target`, an empty directory of ours.

    With `skip_links` symbolic links are left out, as source-controller does, else they are refused as
    kustomize-controller does. Nothing that is written is a link, so no name leads out of `target`.

    Raises:
        SourceError: the archive is damaged, too large, or holds what no artifact may hold.
    """
    with tempfile.TemporaryFile() as plain:
        _inflate(packed, plain, limits)
        try:
            # Anything that looks like another encoding would be a name that Flux reads otherwise.
            with tarfile.open(fileobj=plain, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
                _extract(tar, target, limits, skip_links=skip_links)
                _must_have_ended(plain, tar.offset)
        except tarfile.TarError as exc:
            raise SourceError("the archive is damaged: it is no tar") from exc
        except (OSError, ValueError) as exc:
            raise SourceError(f"the archive cannot be unpacked: {_reason(exc)}") from exc


def _inflate(packed: IO[bytes], plain: IO[bytes], limits: Limits) -> None:
    size = 0
    try:
        with gzip.GzipFile(fileobj=packed, mode="rb") as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                if size > limits.bytes:
                    raise SourceError(
                        f"the archive has more than {limits.bytes // MIB} MiB when it is unpacked",
                        hint="an artifact holds manifests; leave everything else out of it.",
                    )
                plain.write(piece)
    except gzip.BadGzipFile as exc:
        raise SourceError("the archive is not compressed with gzip, which Flux requires") from exc
    except (EOFError, zlib.error) as exc:
        raise SourceError("the archive is damaged: it ends too early, or is no gzip") from exc
    plain.seek(0)


def _extract(tar: tarfile.TarFile, target: Path, limits: Limits, *, skip_links: bool) -> None:
    for number, entry in enumerate(tar, 1):
        if number > limits.entries:
            raise SourceError(f"the archive has more than {limits.entries:,} entries")
        name = _checked(entry.name, limits)
        path = target / name
        if entry.issym():
            if not skip_links:
                raise SourceError(f"the archive has the symbolic link {entry.name!r}")
        elif entry.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif entry.isreg():
            _write(tar, entry, path)
        else:
            raise SourceError(f"the archive has {entry.name!r}, which is neither a file nor a directory")


def _checked(name: str, limits: Limits) -> str:
    """A name as Flux takes it: relative, and never upwards."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts:
        raise SourceError(f"the archive has the name {name!r}, which leads out of it")
    if len(parts) > limits.depth:
        raise SourceError(f"the archive has directories {len(parts)} deep, more than {limits.depth}")
    return "/".join(parts)


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(entry)
    if content is None:
        raise SourceError(f"the archive has {entry.name!r} without its content")
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with content, path.open("wb") as file:
        while piece := content.read(_PIECE):
            written += len(piece)
            file.write(piece)
    if written != entry.size:
        raise SourceError(f"the archive is damaged: {entry.name!r} ends too early")
    path.chmod(_EXECUTABLE if entry.mode & 0o100 else _PLAIN)  # never setuid, never out of our reach


def _must_have_ended(plain: IO[bytes], offset: int) -> None:
    """The library takes a header that it cannot read for the end; what follows would be lost in silence."""
    plain.seek(offset)
    if plain.read(_BLOCK).strip(b"\0"):
        raise SourceError("the archive is damaged: one of its headers cannot be read")


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "strerror", "") or exc)
