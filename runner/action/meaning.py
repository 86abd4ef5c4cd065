"""Which inputs mean something in which mode, so that one that was set in vain is told."""

from __future__ import annotations

from collections.abc import Mapping

from runner.action.inputs import INPUTS, Inputs
from runner.event import Mode

_EVERYWHERE = frozenset({Mode.DEPLOY, Mode.PREVIEW, Mode.DRIFT, Mode.COMMENT})
_RUNS = frozenset({Mode.DEPLOY, Mode.PREVIEW, Mode.DRIFT})
_WRITES = frozenset({Mode.DEPLOY, Mode.DRIFT})
_DEPLOY, _PREVIEW = frozenset({Mode.DEPLOY}), frozenset({Mode.PREVIEW})
_DRIFT, _COMMENT = frozenset({Mode.DRIFT}), frozenset({Mode.COMMENT})

MEANING: Mapping[str, frozenset[Mode]] = {
    **dict.fromkeys(("entry", "cluster", "mode", "root", "token"), _EVERYWHERE),
    **dict.fromkeys(("names", "kubeconfig", "server", "ca", "bearer-token", "context"), _RUNS),
    **dict.fromkeys(("working-directory", "dry-run", "checks", "statuses"), _RUNS),
    **dict.fromkeys(("sops-age-key", "sops-pgp-key", "substitute-precedence"), _RUNS),
    **dict.fromkeys(("all", "prune-limit", "approve", "takeover", "install-flux", "dependents"), _RUNS),
    **dict.fromkeys(("max-parallel", "retries", "fail-fast", "timeout", "lock-timeout"), _WRITES),
    **dict.fromkeys(("allow-older", "prune-order"), _WRITES),
    **dict.fromkeys(("branches", "plan"), _DEPLOY),
    **dict.fromkeys(("values", "read-secrets", "cache-dir"), _PREVIEW),
    **dict.fromkeys(("allow-private-network", "allow-remote-bases"), _PREVIEW),
    **dict.fromkeys(("policy", "heal", "due", "issue"), _DRIFT),
    "comment": _EVERYWHERE - _DRIFT,
    "annotations": _DEPLOY | _PREVIEW,
    "fail-on": _PREVIEW | _DRIFT,
    "report": _COMMENT,
}
"""Every input. What only counts beside another one counts here wherever that does."""

_OF_A_CLUSTER = frozenset({"names", "context", "all", "takeover", "install-flux", "dependents"})
"""Those that a preview without a cluster has no use for."""

_WHAT = {
    Mode.DEPLOY: "a deploy",
    Mode.PREVIEW: "a preview",
    Mode.DRIFT: "a look at drift",
    Mode.COMMENT: "mode comment",
}


def in_vain(inputs: Inputs, mode: Mode) -> str:
    """A sentence that names the inputs that were set and mean nothing here; "" when there are none.

    One that is set to its default cannot be told from one that is not set. What kustodian.yaml says of a
    cluster is for every mode, and no input.
    """
    given = Inputs(inputs.environment)
    blind = mode is Mode.PREVIEW and not inputs.has_cluster
    found = [
        name
        for name, default in INPUTS.items()
        if given.text(name).lower() != default
        and (mode not in MEANING[name] or (blind and name in _OF_A_CLUSTER))
    ]
    if not found or mode not in _WHAT:
        return ""
    where, them = _WHAT[mode] + (" without a cluster" if blind else ""), "it" if len(found) == 1 else "them"
    return f"nothing comes of {', '.join(found)}: {where} has no use for {them}"
