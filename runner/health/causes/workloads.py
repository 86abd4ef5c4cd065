"""What makes Pods: that it may not, and that it gave up."""

from __future__ import annotations

from runner.health.causes.row import AT_ONCE, PATIENT, SETTLED, Cause, Place

# pkg/controller/controller_utils.go (createPods), replicaset/replica_set_utils.go, statefulset, daemon, job:
# `Error creating: <refusal>` as an event, the refusal alone as ReplicaFailure. Refusals: apiserver
# plugin/resourcequota, plugin/policy/validating, plugin/webhook; pod-security-admission/admission.
_DENIALS = tuple(
    Cause("FailedCreate", place, "FailedCreate", text, hint, message, grace=grace)
    for place in (Place.CONDITION, Place.EVENT)
    for text, hint, message, grace in (
        (
            "the quota {quota} leaves no room for its Pods: asked {asked}, used {used}, limit {most}",
            "ask for less, raise the quota, or make room.",
            r"quota: (?P<quota>\S+), requested: (?P<asked>.+?), used: (?P<used>.+?), \S+ (?P<most>.+)", None,
        ),
        (
            "the quota {quota} wants its Pods to say {fields}", "set it under resources of every container.",
            r"failed quota: (?P<quota>[^:\s]+): must specify (?P<fields>.+)", SETTLED,
        ),
        (
            "the namespace's Pod Security level {level} does not allow its Pods: {why}",
            "correct securityContext, or label the namespace with a level that fits.",
            r'violates PodSecurity "(?P<level>[^"]+)": (?P<why>.+)', SETTLED,
        ),
        (
            "the policy {policy} does not allow its Pods: {why}", "",
            r"ValidatingAdmissionPolicy '(?P<policy>[^']+)'.*? denied request: (?P<why>.+)", SETTLED,
        ),
        (
            "the webhook {webhook} does not allow its Pods: {why}", "",
            r'admission webhook "(?P<webhook>[^"]+)" denied the request:? (?P<why>.+)', SETTLED,
        ),
        (
            "the webhook {webhook} does not answer, and without it no Pod is made: {why}",
            "look at the workload behind the webhook.",
            r'failed calling webhook "(?P<webhook>[^"]+)":? (?P<why>.+)', None,
        ),
        (
            "its Pods need the ServiceAccount {account}, which does not exist",
            "create it, or correct serviceAccountName.",
            r"error looking up service account (?P<account>[^\s:]+): .*not found", PATIENT,
        ),
        (
            "its Pods need the PriorityClass {name}, which does not exist",
            "create it, or correct priorityClassName.",
            r"no PriorityClass with name (?P<name>\S+) was found", PATIENT,
        ),
        (
            "the LimitRange of its namespace does not allow its Pods: {why}", "correct resources.",
            r"forbidden: \[?(?P<why>(?:minimum|maximum) .+ usage per .+)", SETTLED,
        ),
        ("its Pods cannot be made: {why}", "", r"(?:failed error: |Error creating: )?(?P<why>.+)", None),
    )
)  # fmt: skip

# pkg/controller/job/job_controller.go; api/batch/v1/types.go (JobReason*); deployment/progress.go
_WORKLOADS = (
    Cause("BackoffLimitExceeded", Place.CONDITION, "BackoffLimitExceeded",
          "it failed {failed}, more often than backoffLimit: {limit} allows",
          "correct what it runs; a Job that failed is not tried again.", kind="Job", grace=AT_ONCE),
    Cause("DeadlineExceeded", Place.CONDITION, "DeadlineExceeded",
          "it ran longer than activeDeadlineSeconds: {deadline}",
          "give it more time, or less to do.", kind="Job", grace=AT_ONCE),
    Cause("{reason}", Place.CONDITION, "PodFailurePolicy|FailedIndexes|MaxFailedIndexesExceeded",
          "it failed: {message}", kind="Job", grace=AT_ONCE),
    Cause("ProgressDeadlineExceeded", Place.CONDITION, "ProgressDeadlineExceeded",
          "nothing moved for progressDeadlineSeconds: {deadline}", kind="Deployment",
          grace=AT_ONCE, fallback=True),
    Cause("Paused", Place.OBJECT, "Paused", "its rollout is paused", "set spec.paused to false.",
          kind="Deployment"),
)  # fmt: skip

WORKLOADS = (*_DENIALS, *_WORKLOADS)
