"""As whom a preview asks: what it may not, or should not, and what is said of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from runner.errors import IMPERSONATION, ClusterError
from runner.fleet import Fleet
from runner.model import Action, account_ref
from runner.plan import Assessment
from runner.session import Session


def of_base(base: object) -> Mapping[str, str]:
    """The users that count on a pull request: those of the base, whatever the change says itself."""
    return {unit.id: unit.kustomization.acts_as for unit in base} if isinstance(base, Fleet) else {}


def told(session: Session, *, reduced: bool) -> tuple[str, ...]:
    """Find out which accounts may be acted as, and say of the others that they are not.

    With `reduced` the run's own credentials do instead, as they may only read; else a deploy with these
    very credentials would fail, and so does the preview.

    Raises ClusterError when the cluster does not answer.
    """
    everything = (*session.units, *session.gone)
    chosen = {
        id_: session.acts_as(id_)
        for id_ in everything
        if session.options.selects(id_) and not session.target(id_)
    }
    if reduced:
        session.unused |= {user for user in set(chosen.values()) if user and not _may(session, user)}
    return tuple(_said(session, chosen))


def lacks(user: str, error: str) -> bool:
    """Whether the server refused something for want of a user's rights: its words for just that."""
    return bool(user) and f'User "{user}" cannot ' in error


def not_yet_allowed(assessed: Assessment, user: str) -> Assessment:
    """What an account is refused while the very run is to change what accounts may do: nobody knows yet."""
    if not lacks(user, assessed.error):
        return assessed
    reason = f"not yet checked: this run changes rights, and {account_ref(user)} lacks them so far"
    return replace(assessed, error="", hint="", action=Action.UNKNOWN, reason=reason)


def _said(session: Session, chosen: Mapping[str, str]) -> Iterator[str]:
    for id_, user in sorted(chosen.items()):
        unit = session.units.get(id_)
        wanted = unit.kustomization.acts_as if unit is not None else user
        if wanted != user:
            own, now = _named(wanted), _named(user)
            yield f"{id_}: its change to {own} counts once it is merged; until then it is compared as {now}"
        if user in session.unused:
            yield (
                f"{id_}: these credentials may not act as {account_ref(user)}, so it is compared with their "
                "own rights; whether that account may apply it is not known"
            )


def _named(user: str) -> str:
    return str(account_ref(user)) if user else "the run itself"


def _may(session: Session, user: str) -> bool:
    """Whether a user can be acted as; what it may do then is asked with each object."""
    try:
        session.world.cluster.acting_as(user).version()
    except ClusterError as exc:
        if exc.reason == IMPERSONATION:
            return False
        if not exc.code:
            raise
    return True
