"""The order of a run, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from runner import adopt, attempts, desired, finish, gate, planned, planning, preview
from runner.desired import Clients, Desired
from runner.errors import Interrupted, TimeUp
from runner.handover import Adopting, Origin
from runner.model import Run
from runner.options import Options
from runner.schedule import Schedule
from runner.session import Moved, Session
from runner.session.telling import report
from runner.waiting import nodes


def reconcile(options: Options, clients: Clients) -> Run:
    """Make the cluster match the entry: read, render, apply in order, wait for health, prune, record.

    What is wrong with one Kustomization is in its outcome. Raises RunnerError for what stops the whole
    run; nothing was written then, or what was written is on record and the next run goes on from there.
    """
    began, deadline = clients.clock.now(), clients.clock.monotonic() + options.timeout
    source = desired.at(options, clients)
    cluster = clients.reachable()
    lock = planning.lock(source)
    try:
        while True:
            session = planning.session(source, cluster, lock)
            session.started_at, session.deadline = began, deadline
            try:
                if options.plan is not None:
                    planned.keep_to(options.plan, session, preview.foresee(session))
                return preview.run(session) if options.dry_run else _deploy(session, source)
            except Moved:
                continue  # somebody else wrote while we waited: everything is read again, under the lock
    finally:
        lock.release()


def taken_over(options: Options, clients: Clients, origins: frozenset[Origin], *, write: bool) -> Adopting:
    """Take over what others run until now; without `write`, say what that would be. Raises RunnerError."""
    source = desired.at(replace(options, dry_run=not write), clients)
    cluster = clients.reachable()
    lock = planning.lock(source)
    try:
        while True:
            try:
                return adopt.run(planning.session(source, cluster, lock), origins, write=write)
            except Moved:
                continue
    finally:
        lock.release()


def _deploy(session: Session, source: Desired) -> Run:
    schedule = Schedule(
        nodes=nodes(session.units),
        work=lambda turn: attempts.reconcile(session, source, turn),
        blocked=lambda id_, needs: finish.blocked(session, schedule.outcomes, id_, needs),
        max_parallel=session.options.max_parallel,
        stop=session.abandon,
        holds=lambda id_, *how: not gate.why_not(session, id_, *how),
        overdue=session.overdue,
    )
    session.announce(schedule.nodes)
    try:
        return report(session, finish.run(session, schedule.run()))
    except TimeUp:
        return replace(report(session, finish.unfinished(schedule)), timed_out=True)
    except Interrupted as exc:
        session.abandon(exc)
        return replace(report(session, finish.unfinished(schedule)), interrupted=exc.signal)
