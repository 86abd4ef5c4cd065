"""One copy rule of an ArtifactGenerator, with the rules of `cp` as source-watcher understands them.

Source: fluxcd/source-watcher, internal/builder (v2.2).
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner.sources.globs import excluded, find, is_glob, literal_prefix, matches


@dataclass(frozen=True, slots=True)
class Copy:
    """`from: "@alias/path"`, `to: "@artifact/target"`."""

    alias: str
    path: str  # a file, a directory or a glob; "" is the source's root
    target: str  # "" is the artifact's root; a slash at its end says that it is a directory
    exclude: tuple[str, ...] = ()
    merge: bool = False

    def apply(self, source: Path, artifact: Path) -> None:
        """Copy out of `source` into `artifact`; what is there is overwritten. Raises ValueError."""
        for pattern in self.exclude:
            matches(pattern, ".")  # says whether it is a pattern at all
        if not is_glob(self.path):
            return self._apply_path(source, artifact)
        found = find(source, self.path)
        if not found:
            raise ValueError(f"no files match {self.path!r}")
        base = literal_prefix(self.path)
        wanted = [path for path in found if not excluded(path, base, self.exclude)]
        if not wanted:
            raise ValueError(f"all files that match {self.path!r} are excluded")
        for path in wanted:
            self._copy(source, path, artifact, self._place(path), base)
        return None

    def _apply_path(self, source: Path, artifact: Path) -> None:
        path = _clean(self.path)
        target = _clean(self.target)
        if any((source / each).is_symlink() for each in (path, *_parents(path))):
            raise ValueError(f"{self.path!r} is a link")
        if (source / path).is_dir():
            name = posixpath.basename(path)
            return self._copy(source, path, artifact, posixpath.join(target, name), path)
        if not (source / path).is_file():
            raise ValueError(f"{self.path!r} does not exist")
        if excluded(path, "", self.exclude):
            return None
        into = not target or self.target.endswith("/") or (artifact / target).is_dir()
        place = posixpath.join(target, posixpath.basename(path)) if into else target
        return self._copy(source, path, artifact, place, path)

    def _place(self, path: str) -> str:
        """Where a match goes: `dir/**` without the directory, everything else with its whole path."""
        prefix = self.path.removesuffix("/**") + "/"
        short = path.removeprefix(prefix) if self.path.endswith("/**") else path
        return posixpath.join(_clean(self.target), short)

    def _copy(self, source: Path, path: str, artifact: Path, place: str, base: str) -> None:
        """A file, or a directory with everything in it; only files that are named themselves are merged."""
        if (source / path).is_dir():
            (artifact / place).mkdir(parents=True, exist_ok=True)
            for inner in self._files(source, path, base):
                relative = inner.removeprefix(f"{path}/") if path else inner
                _write(source / inner, artifact / place / relative)
        elif self.merge and (artifact / place).exists():
            base_text, overlay = (artifact / place).read_bytes(), (source / path).read_bytes()
            from runner.sources.merging import merged  # few need it, and it loads a YAML parser

            (artifact / place).write_bytes(merged(base_text, overlay))
        else:
            _write(source / path, artifact / place)

    def _files(self, source: Path, directory: str, base: str) -> Iterator[str]:
        for entry in sorted((source / directory).iterdir()):
            path = posixpath.join(directory, entry.name)
            if entry.is_symlink() or excluded(path, base, self.exclude):
                continue
            if entry.is_dir():
                yield from self._files(source, path, base)
            else:
                yield path


def copy_tree(source: Path, target: Path) -> None:
    """A file, or a directory with everything in it but links."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=_links)
    else:
        _write(source, target)


def _links(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(directory) / name).is_symlink()]


def _write(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(source.stat().st_mode)


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents]


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})
