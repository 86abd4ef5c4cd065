"""A plan and the deploy that keeps to it: what it says, and whether that still holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner import impact
from runner.errors import GuardError
from runner.intent import Intent, Step
from runner.model import Action, Outcome, ResourceRef
from runner.plan import Assessment
from runner.preview import Foreseen
from runner.session import Session, digests

MOST = 10
"""Differences that are named; the others are counted."""


def intent(session: Session, foreseen: Foreseen) -> Intent:
    """What a deploy would do now."""
    return Intent(
        server=session.world.cluster.server,
        entry=session.entry,
        commit=session.commit,
        tree=session.tree,
        names=session.options.names,
        namespace=session.options.namespace,
        steps={o.kustomization: _step(session, o, foreseen.assessed) for o in foreseen.outcomes},
    )


def keep_to(plan: Intent, session: Session, foreseen: Foreseen) -> None:
    """Make sure that a plan still holds, and let the session do nothing else.

    Raises:
        GuardError: the commit, the rendering or the cluster moved since the plan was made.
    """
    if found := moved(plan, intent(session, foreseen)):
        more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
        raise GuardError(
            "the plan does not hold any more: " + "\n".join([*found[:MOST], *more]),
            hint="plan again, and have the new plan looked at.",
        )
    session.expected = {
        (id_, ref): effect for id_, step in plan.steps.items() for ref, effect in step.effects.items()
    }


def moved(plan: Intent, now: Intent) -> list[str]:
    """What is not as it was when the plan was made, as sentences. Pure.

    Another commit will do where it has the same files, as after a merge of what the plan was made for; and
    where every Kustomization is known to render the same.
    """
    return [*_scope(plan, now), *_files(plan, now), *_steps(plan, now)]


def _step(session: Session, outcome: Outcome, assessed: Mapping[str, tuple[Assessment, ...]]) -> Step:
    unit = session.units.get(outcome.kustomization)
    digest, shown = digests(session.key, unit) if unit is not None else ("", "")
    found = {a.ref: a for a in assessed.get(outcome.kustomization, ())}
    known = unit is not None and (unit.rendering is None or unit.rendering.variables.known)
    return Step(
        digest if known else "",
        shown if known else "",
        {change.ref: change.action for change in outcome.changes},
        {change.ref: _effect(found.get(change.ref), change.action) for change in outcome.changes},
    )


def _effect(assessed: Assessment | None, action: Action) -> str:
    if assessed is None:
        return impact.digest(action, None, None)
    return impact.digest(assessed.action, assessed.live, assessed.merged)


def _scope(plan: Intent, now: Intent) -> Iterator[str]:
    for what, then, here in (
        ("the entry", plan.entry, now.entry),
        ("the cluster", plan.server, now.server),
        ("the choice of Kustomizations", _choice(plan), _choice(now)),
    ):
        if then != here:
            yield f"{what} was {then}, and is {here}"


def _files(plan: Intent, now: Intent) -> Iterator[str]:
    """Kustomizations of which nobody can tell that other files are no other objects."""
    if plan.commit == now.commit or (plan.tree and plan.tree == now.tree):
        return
    both = sorted(plan.steps.keys() & now.steps.keys())
    if unknown := [id_ for id_ in both if not _comparable(plan.steps[id_], now.steps[id_])]:
        more = f" and {len(unknown) - MOST} more" if len(unknown) > MOST else ""
        yield (
            f"the commit was {plan.commit}, and is {now.commit} with other files: "
            f"it is not known whether {', '.join(unknown[:MOST])}{more} would be the same"
        )


def _comparable(then: Step, here: Step) -> bool:
    """Whether the digests tell all of what is rendered; the plain ones say nothing of values in Secrets."""
    if then.digest and here.digest:
        return True
    actions = {**then.actions, **here.actions}
    secret = any((ref.group, ref.kind) == ("", "Secret") for ref in actions)
    if then.shown_digest and here.shown_digest and not secret:
        return True
    return set(actions.values()) <= {Action.DELETED, Action.SKIPPED}


def _choice(plan: Intent) -> str:
    return ", ".join(sorted(plan.names)) or plan.namespace or "all"


def _steps(plan: Intent, now: Intent) -> Iterator[str]:
    for id_ in sorted(plan.steps.keys() ^ now.steps.keys()):
        yield f"{id_}: {'not in the plan' if id_ in now.steps else 'only in the plan'}"
    for id_, then in plan.steps.items():
        here = now.steps.get(id_)
        if here is None:
            continue
        digests = ((then.shown_digest, here.shown_digest), (then.digest, here.digest))
        if any(before and after and before != after for before, after in digests):
            yield f"{id_}: it renders something else"
            continue
        for ref in sorted(then.actions.keys() | here.actions.keys()):
            if text := _moved(ref, then, here):
                yield f"{id_}: {text}"


def _moved(ref: ResourceRef, then: Step, here: Step) -> str:
    """What is not as planned about one object; what was unknown then may be anything now."""
    before, after = then.actions.get(ref), here.actions.get(ref)
    if before is Action.UNKNOWN:
        return ""
    if before != after:
        return f"{ref} was to be {before or 'left alone'}, and would be {after or 'left alone'}"
    if then.effects.get(ref) != here.effects.get(ref):
        return f"{ref} is another one in the cluster than when the plan was made"
    return ""
