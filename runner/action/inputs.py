"""The action's inputs, read strictly: one error that names the input, and never quotes a secret."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner import policy
from runner.clients.git import GitCheckout
from runner.commands import parse_prune_limit
from runner.configuration import Setting
from runner.correction import Watch
from runner.desired import configured
from runner.durations import seconds
from runner.errors import UsageError
from runner.options import ROOT, Dependents, Options, Precedence, PruneLimit, PruneOrder
from runner.policy import Heal

INPUTS: Mapping[str, str] = {
    "entry": "",
    "cluster": "",
    "mode": "auto",
    "root": ROOT,
    "names": "",
    "branches": "",
    "kubeconfig": "",
    "server": "",
    "ca": "",
    "bearer-token": "",
    "context": "",
    "token": "",
    "working-directory": ".",
    "dry-run": "false",
    "comment": "changes",
    "checks": "none",
    "statuses": "none",
    "annotations": "true",
    "fail-on": "error",
    "policy": "report",
    "heal": "drift",
    "due": "false",
    "issue": "true",
    "values": "",
    "read-secrets": "false",
    "allow-private-network": "false",
    "allow-remote-bases": "false",
    "sops-age-key": "",
    "sops-pgp-key": "",
    "report": "",
    "plan": "",
    "cache-dir": "",
    "all": "false",
    "substitute-precedence": "inline",
    "prune-limit": "10,20%",
    "approve": "",
    "takeover": "false",
    "allow-older": "false",
    "install-flux": "false",
    "dependents": "reconcile",
    "prune-order": "after-health",
    "max-parallel": "16",
    "retries": "0",
    "fail-fast": "true",
    "timeout": "",
    "lock-timeout": "10m",
}
"""Every input with its default, as action.yml has them, but for the token: that is the job's own.

Those that a cluster of kustodian.yaml may set are empty there: else nobody could tell whether they are given.
"""

MODES = ("auto", "reconcile", "diff", "drift", "comment")
FINDINGS = ("error", "blocker", "caution", "deletion", "change", "drift")
WHEN = ("changes", "always", "never")
SCOPES = ("none", "cluster", "kustomizations")

_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_PARALLEL = 1000
_MOST_RETRIES = 100
_LABEL = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}/)?{_LABEL}")
_DIGEST = re.compile(r"[0-9a-f]{8,128}")
_BRANCH = re.compile(r"[^\s,~^:?*\[\\]+")
_PATH = re.compile(r".+")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs as the runner hands them over: INPUT_DRY-RUN, "" when not given."""

    environment: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)  # of the cluster, for inputs that are not given

    def text(self, name: str) -> str:
        given = self.environment.get(f"INPUT_{name.upper()}", "").strip()
        return given or self.settings.get(name) or INPUTS[name]

    def flag(self, name: str) -> bool:
        given = self.text(name)
        if given not in _WORDS:
            raise wrong(name, f"{given!r} is neither true nor false")
        return _WORDS[given]

    def many(self, name: str, pattern: re.Pattern[str], what: str) -> frozenset[str]:
        """Parts between commas or line ends."""
        parts = [part for raw in re.split(r"[,\n]", self.text(name)) if (part := raw.strip())]
        for part in parts:
            if not pattern.fullmatch(part):
                raise wrong(name, f"{part!r} is no {what}")
        return frozenset(parts)

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        if (given := self.text(name)) not in choices:
            raise wrong(name, f"{given!r} is none of {', '.join(choices)}")
        return given

    def some_of(self, name: str, choices: Sequence[str]) -> frozenset[str]:
        """Parts between commas or line ends; `none` stands for nothing."""
        given = self.many(name, _PATH, "choice") - {"none"}
        if unknown := sorted(given - set(choices)):
            raise wrong(name, f"{unknown[0]!r} is none of {', '.join(('none', *choices))}")
        return given

    def number(self, name: str, most: int, *, least: int = 1) -> int:
        given = self.text(name)
        if not re.fullmatch(r"[0-9]{1,9}", given) or not least <= int(given) <= most:
            raise wrong(name, f"{given!r} is no number from {least} to {most:,}")
        return int(given)

    def seconds(self, name: str) -> float:
        try:
            return seconds(self.text(name))
        except ValueError as exc:
            raise wrong(name, str(exc)) from exc

    def limit(self, name: str) -> PruneLimit:
        try:
            return parse_prune_limit(self.text(name))
        except UsageError as exc:
            raise wrong(name, f"{self.text(name)!r} is not OBJECTS,PERCENT%", hint=exc.hint) from exc

    def workspace(self) -> Path:
        if not (workspace := self.environment.get("GITHUB_WORKSPACE", "")):
            raise UsageError(
                "GITHUB_WORKSPACE is not set: this is no step of a GitHub workflow",
                hint="`kustodian reconcile` is the command for everywhere else.",
            )
        return Path(workspace)

    def directory(self, name: str) -> Path:
        """A directory of the workspace."""
        workspace = self.workspace().resolve()
        found = (workspace / self.text(name)).resolve()
        if not found.is_relative_to(workspace) or not found.is_dir():
            raise wrong(name, f"{self.text(name)!r} is no directory in the workspace")
        return found

    def files(self, name: str) -> tuple[Path, ...]:
        """Files of the checkout, one on a line or between commas."""
        directory = self.directory("working-directory").resolve()
        found = []
        for part in re.split(r"[,\n]", self.text(name)):
            if not part.strip():
                continue
            path = (directory / part.strip()).resolve()
            if not path.is_relative_to(self.workspace().resolve()) or not path.is_file():
                raise wrong(name, f"{part.strip()!r} is no file in the workspace")
            found.append(path)
        return tuple(found)

    def file(self, name: str) -> Path | None:
        """A file of the workspace or of the job's temporary directory; None when none is given."""
        if not (given := self.text(name)):
            return None
        places = [place.resolve() for place in (self.workspace(), self.temporary()) if place is not None]
        for place in places:
            path = (place / given).resolve()
            if path.is_relative_to(place) and path.is_file():
                return path
        raise wrong(name, f"{given!r} is no file in GITHUB_WORKSPACE or RUNNER_TEMP")

    def cache(self) -> Path | None:
        """Where renderings are kept from run to run; in the workspace or the job's temporary directory."""
        given = self.text("cache-dir")
        if not given:
            return None
        places = [place.resolve() for place in (self.workspace(), self.temporary()) if place is not None]
        path = (places[0] / given).resolve()
        if not any(path.is_relative_to(place) for place in places):
            raise wrong("cache-dir", f"{given!r} is neither in GITHUB_WORKSPACE nor in RUNNER_TEMP")
        return path

    def temporary(self) -> Path | None:
        """The job's temporary directory; later steps find there what is left in it."""
        given = self.environment.get("RUNNER_TEMP", "")
        return Path(given) if given else None

    @property
    def has_cluster(self) -> bool:
        """Whether anything says how to reach a cluster."""
        given = any(self.text(name) for name in ("kubeconfig", "server"))
        return given or bool(self.environment.keys() & {"KUBECONFIG", "KUBERNETES_SERVICE_HOST"})


def settled(inputs: Inputs, at: Callable[[GitCheckout], str]) -> Inputs:
    """With what kustodian.yaml says of the cluster that is named, at a commit. Raises UsageError.

    An input that is given counts more; so does `server`, which is another way to reach the cluster.
    """
    if not (name := inputs.text("cluster")):
        return inputs
    if inputs.text("entry"):
        raise wrong("cluster", "it says what the entry is, and so does entry", hint="leave one of them out.")
    repository = GitCheckout.open(inputs.directory("working-directory"))
    cluster = configured(repository, at(repository)).cluster(name)
    settings = dict(cluster.located(repository.root))
    if inputs.text("server"):
        settings = {name: each for name, each in settings.items() if name not in {"kubeconfig", "context"}}
    return replace(inputs, settings={name: _as_input(each) for name, each in settings.items()})


def _as_input(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def watch(inputs: Inputs) -> Watch:
    """What a look at drift may do. Raises UsageError."""
    try:
        default = policy.parse(inputs.text("policy"))
    except ValueError as exc:
        raise wrong("policy", str(exc)) from exc
    heal = inputs.some_of("heal", tuple(Heal))
    return Watch(default, frozenset(map(Heal, heal)), inputs.flag("due"), correct=not inputs.flag("dry-run"))


def wrong(name: str, problem: str, *, hint: str = "") -> UsageError:
    return UsageError(f"input {name}: {problem}", hint=hint)


def options(inputs: Inputs, *, kubeconfig: str, dry_run: bool) -> Options:
    """Every input that is a choice of the run; the kubeconfig is a file by now. Raises UsageError."""
    root, entry = inputs.text("root"), inputs.text("entry")
    if not entry:
        raise wrong(
            "entry",
            "neither it nor cluster is given",
            hint="the directory a cluster starts from, clusters/production; or a name of kustodian.yaml.",
        )
    if "/" not in root or not _NAME.fullmatch(root):
        raise wrong("root", f"{root!r} is not NAMESPACE/NAME")
    own = root.partition("/")[0]
    names = inputs.many("names", _NAME, "Kustomization's NAME or NAMESPACE/NAME")
    values = inputs.files("values")
    if values and not dry_run:
        raise wrong("values", "it is for previews", hint="a deploy takes its values from the cluster.")
    return Options(
        repo=inputs.directory("working-directory"),
        entry=entry,
        root=root,
        names=frozenset(name if "/" in name else f"{own}/{name}" for name in names),
        kubeconfig=kubeconfig,
        context=inputs.text("context"),
        dry_run=dry_run,
        read_secrets=inputs.flag("read-secrets"),
        allow_private_network=inputs.flag("allow-private-network"),
        allow_remote_bases=inputs.flag("allow-remote-bases"),
        sops_age_key=inputs.text("sops-age-key"),
        sops_pgp_key=inputs.text("sops-pgp-key"),
        substitute_precedence=Precedence(inputs.one_of("substitute-precedence", list(Precedence))),
        values=values,
        cache=inputs.cache() if dry_run else None,
        branches=inputs.many("branches", _BRANCH, "branch"),
        takeover=inputs.flag("takeover"),
        allow_older=inputs.flag("allow-older"),
        install_flux=inputs.flag("install-flux"),
        all=inputs.flag("all"),
        prune_limit=inputs.limit("prune-limit"),
        approve=inputs.many("approve", _DIGEST, "digest that a guard printed"),
        max_parallel=inputs.number("max-parallel", _MOST_PARALLEL),
        dependents=Dependents(inputs.one_of("dependents", list(Dependents))),
        prune_order=PruneOrder(inputs.one_of("prune-order", list(PruneOrder))),
        retries=inputs.number("retries", _MOST_RETRIES, least=0),
        timeout=inputs.seconds("timeout") if inputs.text("timeout") else math.inf,
        fail_fast=inputs.flag("fail-fast"),
        lock_timeout=inputs.seconds("lock-timeout"),
    )
