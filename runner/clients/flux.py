"""The real flux command line, as a second opinion on rendering."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner.errors import RenderError, UsageError
from runner.model import Manifest

SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class FluxCommand:
    """The `flux` program; it is given files and no cluster."""

    program: Path

    @classmethod
    def on_path(cls) -> FluxCommand:
        """The one on PATH. Raises UsageError when there is none."""
        found = shutil.which("flux")
        if found is None:
            raise UsageError(
                "there is no flux on PATH", hint="install Flux's command line to compare with it."
            )
        return cls(Path(found))

    def version(self) -> str:
        done = self._run("version", "--client", "--output", "json")
        try:
            return str(json.loads(done)["flux"])
        except (ValueError, KeyError, TypeError):
            return "of unknown version"

    def build(self, root: Path, path: str, manifest: Manifest) -> str:
        """What `flux build kustomization` makes of a Kustomization, as YAML. Raises RenderError.

        Its dry run reads no `substituteFrom`: variables have to be in `substitute`.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(manifest, file)
            file.flush()
            flags = ["--dry-run", "--strict-substitute", "--in-memory-build"]
            where = ["--kustomization-file", file.name, "--path", str(root / path)]
            return self._run("build", "kustomization", manifest["metadata"]["name"], *flags, *where, cwd=root)

    def _run(self, *arguments: str, cwd: Path | None = None) -> str:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        try:
            done = subprocess.run(
                [self.program, *arguments],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise RenderError(f"flux did not answer within {SECONDS:g} s") from None
        if done.returncode:
            said = [line.removeprefix("✗").strip() for line in done.stderr.splitlines()]
            raise RenderError(f"flux: {'; '.join(line for line in said if line)}")
        return done.stdout
