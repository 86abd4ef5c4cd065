"""What a build here never does, as a reason and what to do instead."""

from __future__ import annotations

from dataclasses import replace

from runner.rendered import Problem, plain

_KUSTOMIZE_SAYS = ": must specify --enable-helm"  # an option of kustomize alone
_VENDOR = (
    "copy what it stands for into this repository and list the copy, or let a preview fetch it as a deploy "
    "does: --allow-remote-bases."
)
_HELM = "write a HelmRelease, or commit what `helm template` prints: Flux inflates no chart here either."
_PLUGIN = "use kustomize's own generators and transformers, or commit what it prints: Flux runs none either."


def refused(problem: Problem) -> Problem:
    """The same problem with its reason and a hint, where something is never done."""
    if problem.code == "remote_refused":
        if problem.entries:
            problem = replace(problem, message=plain(problem.entries[-1]))
        return _told(problem, "a remote resource is not fetched", _VENDOR)
    if problem.message.endswith(_KUSTOMIZE_SAYS):
        message = problem.message.removesuffix(_KUSTOMIZE_SAYS)
        return _told(replace(problem, message=message), "a Helm chart is not inflated", _HELM)
    if "external plugins disabled" in problem.message:
        return _told(problem, "a plugin or function is not run", _PLUGIN)
    return problem


def _told(problem: Problem, reason: str, hint: str) -> Problem:
    return replace(problem, message=f"{reason}: {problem.message}", hint=hint)
