"""Made-up runs, for the views of one."""

from __future__ import annotations

from dataclasses import replace

from runner.graph import Edge, Milestone, Need
from runner.model import Action, Change, Finding, Health, Held, Outcome, ResourceRef, Run, State, Status

THEN = 1_790_000_000.0
ROOT = "flux-system/flux-system"


def ref(kind, name, namespace="grades", group=""):
    return ResourceRef(namespace, name, group, kind, "v1")


def changes(action, *names, kind="Deployment", group="apps", reason=""):
    return tuple(Change(ref(kind, name, group=group), action, reason) for name in names)


def needs(*depends_on, variables=(), parent=ROOT):
    return tuple(sorted(
        [
            *(Need(id_, Milestone.READY, Edge.DEPENDS_ON) for id_ in depends_on),
            *(Need(id_, Milestone.APPLIED, Edge.VARIABLES) for id_ in variables),
            *([Need(parent, Milestone.APPLIED, Edge.PARENT)] if parent else []),
        ]
    ))  # fmt: skip


def outcome(name, times=(), *, state=State.READY, needs=(), **more):
    """The times are seconds since the run began: started, applied, ready, ended."""
    marks = [None if time is None else THEN + time for time in (*times, *[None] * (4 - len(times)))]
    waited = tuple(sorted({need.id for need in needs})) if times else more.get("blocked_by", ())
    return Outcome(
        name, state, started_at=marks[0], applied_at=marks[1], ready_at=marks[2], ended_at=marks[3],
        **{"waited_for": waited, "needs": needs, **more},
    )  # fmt: skip


UNCHANGED = changes(Action.UNCHANGED, *(f"c{number}" for number in range(12)), kind="ConfigMap", group="")
CONTROLLERS, CONFIGS = "flux-system/infra-controllers", "flux-system/infra-configs"
API, WEB, JOBS, OLD = "flux-system/grade-api", "team-a/grade-web", "flux-system/jobs", "flux-system/legacy"
WAVES = ((ROOT,), (CONTROLLERS, JOBS, OLD), (CONFIGS,), (API,), (WEB,))
WELL = (
    outcome(ROOT, (1.9, 2.2, 2.2, 2.4), changes=UNCHANGED[:2]),
    outcome(
        CONTROLLERS, (2.2, 6.1, 41.4, 43.9), needs=needs(),
        changes=(*changes(Action.CREATED, "ingress"), *changes(Action.CONFIGURED, "cert-manager"),
                 *UNCHANGED[:5], *changes(Action.DELETED, "nginx", "old", reason="no longer in Git")),
        warnings=("policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+",),
    ),
    outcome(JOBS, (2.2, 2.3, 2.3, 2.3), needs=needs(), changes=UNCHANGED),
    outcome(OLD, state=State.SUSPENDED, needs=needs()),
    outcome(CONFIGS, (43.1, 43.4, 43.4, 43.5), needs=needs(CONTROLLERS), changes=UNCHANGED[:3]),
    outcome(
        API, (43.5, 44.0, 65.2, 65.3), needs=needs(CONTROLLERS, JOBS, variables=(CONFIGS,)),
        changes=changes(Action.CONFIGURED, "api", "worker", reason="image changed"),
    ),
    outcome(WEB, (65.3, 65.7, 65.9, 66.0), needs=needs(API), changes=UNCHANGED[:1]),
)  # fmt: skip
REVISION = "main@sha1:3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d"
CHANGED = Run(
    "https://10.0.0.1:6443", "clusters/production", REVISION, WELL, started_at=THEN, ended_at=THEN + 66.8,
    requests={"GET": 31, "LIST": 12, "WATCH": 3, "DRYRUN": 14, "POST": 4, "PATCH": 9, "DELETE": 2},
    waves=WAVES,
)  # fmt: skip
NOTHING = replace(
    CHANGED,
    outcomes=tuple(
        outcome(each.kustomization, (1.2, 1.2, 1.2, 1.3), needs=each.needs, changes=UNCHANGED[:3])
        for each in WELL
    ),
    ended_at=THEN + 1.4,
)
FAILED = replace(
    CHANGED,
    outcomes=(
        *WELL[:1],
        replace(
            WELL[1], state=State.FAILED, ready_at=None, ended_at=THEN + 306.2,
            changes=changes(Action.CONFIGURED, "cert-manager", "gradebook-controller"),
            error="health check failed: timeout waiting for: "
            "[Deployment/grades/gradebook-controller status: 'InProgress']",
            hint="kubectl -n grades describe deploy/gradebook-controller",
            unhealthy=(
                Health(ref("Deployment", "gradebook-controller", group="apps"), Status.IN_PROGRESS,
                       "Available: 0/1"),
            ),
            diagnosis=(
                Finding(ref("Deployment", "gradebook-controller", group="apps"),
                        ref("Pod", "gradebook-controller-5d9c"), "ImagePullBackOff",
                        'container manager: Back-off pulling image "ghcr.io/example/gradebook:v2.1"',
                        "check the image's name and tag, and the pull secrets of its service account"),
            ),
        ),
        *WELL[2:4],
        *(outcome(each.kustomization, state=State.BLOCKED, needs=each.needs, blocked_by=(CONTROLLERS,))
          for each in WELL[4:]),
    ),
    ended_at=THEN + 306.4,
)  # fmt: skip
GUARDED = replace(
    NOTHING,
    held=(
        Held(API, tuple(ref("ConfigMap", f"grades-{n:02}") for n in range(12)),
             "12 of 40 objects of this entry would be deleted: more than 10 and more than 20 %",
             "9f86d081884c7d65"),
        Held(JOBS, (ref("PersistentVolumeClaim", "grades"),), "it still holds data"),
    ),
)  # fmt: skip
INTERRUPTED = replace(
    CHANGED,
    outcomes=(
        *WELL[:1],
        replace(WELL[1], state=State.FAILED, ready_at=None, ended_at=THEN + 9.1, changes=WELL[1].changes[:1],
                error="interrupted: 1 objects were written before the run was told to stop"),
        *WELL[2:4],
        *(outcome(each.kustomization, state=State.SKIPPED, needs=each.needs, error="it was not begun")
          for each in WELL[4:]),
    ),
    interrupted=15,
    ended_at=THEN + 9.2,
)  # fmt: skip


def large(number, *, failed=1, changed=3, name="team-{0:02}/app-{1:04}"):
    """A root, a base of 10, and everything else above it: some fail, some change, the rest stays."""
    ids = [name.format(n % 40, n) for n in range(number - 1)]
    base, apps = ids[:10], ids[10:]
    told = [outcome(ROOT, (1, 1, 1, 1))]
    told += [outcome(id_, (1, 2, 3, 3), needs=needs(), changes=UNCHANGED[:4]) for id_ in base]
    for n, id_ in enumerate(apps):
        lean = needs(base[n % len(base)])
        if n < failed:
            told.append(
                outcome(id_, (3, 4, None, 9), state=State.FAILED, needs=lean, error="it is not ready")
            )
        elif n < 2 * failed:
            why = (apps[n - failed],)
            told.append(outcome(id_, state=State.BLOCKED, needs=needs(*why), blocked_by=why))
        elif n < 2 * failed + changed:
            told.append(
                outcome(id_, (3, 4, 8, 8), needs=lean, changes=changes(Action.CONFIGURED, f"app-{n}"))
            )
        else:
            told.append(outcome(id_, (3, 4, 5, 5), needs=lean, changes=UNCHANGED))
    dependents = tuple(apps[failed : 2 * failed])
    waves = ((ROOT,), tuple(base), tuple(id_ for id_ in apps if id_ not in dependents), dependents)
    return replace(CHANGED, outcomes=tuple(told), waves=waves, ended_at=THEN + 10)


def hostile(foreign):
    """Foreign text wherever it can be."""
    bad = ResourceRef(foreign, foreign, foreign, foreign, foreign)
    every = tuple(Change(bad, action, foreign) for action in Action)
    failed = outcome(
        f"1{foreign}", (1, 2, None, 3), state=State.FAILED, changes=every, error=foreign, hint=foreign,
        unhealthy=(Health(bad, Status.FAILED, foreign),), warnings=(foreign,),
        diagnosis=(Finding(bad, bad, foreign, foreign, foreign, (foreign,)),),
    )  # fmt: skip
    blocked = outcome(
        f"2{foreign}", state=State.BLOCKED, needs=needs(f"1{foreign}"), blocked_by=(f"1{foreign}", foreign)
    )
    ready = outcome(
        f"3{foreign}", (3, 4, 5, 6), needs=needs(f"1{foreign}", variables=(f"2{foreign}",)), changes=every
    )
    held = (Held(foreign, (bad,), foreign, "digest"), Held(foreign, (bad,), foreign, foreign))
    return Run(
        foreign, foreign, foreign, (failed, blocked, ready), held, (foreign,), {foreign: 1}, started_at=THEN,
        ended_at=THEN + 7, waves=((f"1{foreign}",), (f"2{foreign}",), (f"3{foreign}",)),
    )  # fmt: skip


def dry(run):
    """What a dry run would know of it: nothing was begun, so nobody waited."""
    outcomes = tuple(
        replace(
            each, started_at=None, applied_at=None, ready_at=None, ended_at=None, waited_for=(), unhealthy=()
        )
        for each in run.outcomes
    )
    return replace(run, outcomes=outcomes, dry_run=True)
