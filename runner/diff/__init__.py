"""Two manifests → the fields that differ; two sets of manifests → which object is which.

Nothing here decides what a difference means.
"""

from __future__ import annotations

from runner.changes import FieldChange
from runner.diff.definitions import definition_fields, is_definition
from runner.diff.masked import binary_fields, secret_fields
from runner.diff.pairing import Pair, Renames, pair, renamed, renames
from runner.diff.walk import same, walk
from runner.model import Manifest

__all__ = ["Pair", "Renames", "fields", "pair", "renamed", "renames", "same", "secret_fields"]


def fields(before: Manifest, after: Manifest) -> tuple[FieldChange, ...]:
    """The fields that differ, in the order of `after`, names sorted; what was removed comes where it stood.

    A Secret is given as it is shown; whether its content is another is for `secret_fields` to say.
    """
    if is_definition(before) and is_definition(after):
        return tuple(definition_fields(before, after))
    if _is_config_map(before) and _is_config_map(after):
        return binary_fields(before, after)
    return tuple(walk(before, after))


def _is_config_map(manifest: Manifest) -> bool:
    return manifest.get("kind") == "ConfigMap" and "/" not in str(manifest.get("apiVersion"))
