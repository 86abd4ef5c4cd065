"""Pods and their containers."""

from __future__ import annotations

from runner.health.causes.row import AT_ONCE, PATIENT, Cause, Place

# pkg/kubelet/images/types.go, image_manager.go (EnsureImageExists, evalCRIPullErr); cri-api errors
_IMAGES = (
    Cause(
        "InvalidImageName", Place.WAITING, "InvalidImageName",
        "{container} has an image name that is none: {image}: {message}",
        "correct the image, or the variable that makes it.", grace=AT_ONCE,
    ),
    Cause(
        "ErrImageNeverPull", Place.WAITING, "ErrImageNeverPull",
        "{container} has imagePullPolicy: Never, and its node lacks {image}",
        "load the image on the node, or let it be pulled.", grace=PATIENT,
    ),
    Cause(
        "ImagePullBackOff", Place.WAITING, "ErrImagePull|ImagePullBackOff",
        "{container} cannot pull {image}: the registry does not let it: {message}",
        "check spec.imagePullSecrets, and that the image exists: many registries do not tell the difference.",
        r"unauthorized|authorization failed|denied|no basic auth|\b40[13] ", grace=PATIENT,
    ),
    Cause(
        "ImagePullBackOff", Place.WAITING, "ErrImagePull|ImagePullBackOff",
        "{container} cannot pull {image}, which does not exist: {message}",
        "check name and tag, and that the image was pushed.",
        r"not found|manifest unknown|name unknown", grace=PATIENT,
    ),
    Cause(
        "ImagePullBackOff", Place.WAITING,
        "ErrImagePull|ImagePullBackOff|RegistryUnavailable|SignatureValidationFailed|ImageInspectError",
        "{container} cannot pull {image}: {message}", grace=PATIENT,
    ),
)  # fmt: skip

# pkg/kubelet/kubelet_pods.go: makeEnvironmentVariables;
# pkg/kubelet/kuberuntime/kuberuntime_container.go: startContainer, verifyRunAsNonRoot
_STARTS = (
    Cause(
        "CreateContainerConfigError", Place.WAITING, "CreateContainerConfigError",
        "{container} needs the key {key} of {source} {name}, which has no such key",
        "add the key there, or correct the reference.",
        r"couldn't find key (?P<key>\S+) in (?P<source>ConfigMap|Secret) (?P<name>\S+)", grace=PATIENT,
    ),
    Cause(
        "CreateContainerConfigError", Place.WAITING, "CreateContainerConfigError",
        "{container} needs the {source} {namespace}/{name}, which does not exist",
        "create it, or correct the reference.",
        r'(?P<source>configmap|secret) "(?P<name>[^"]+)" not found', grace=PATIENT,
    ),
    Cause(
        "CreateContainerConfigError", Place.WAITING, "CreateContainerConfigError",
        "{container} must not run as root, and its image says no other user: {message}",
        "set securityContext.runAsUser, or use an image with a numeric user.",
        r"runAsNonRoot|run as non-root", grace=PATIENT,
    ),
    Cause(
        "{reason}", Place.WAITING,
        "CreateContainerConfigError|CreateContainerError|(?:PreCreate|PreStart|PostStart)HookError",
        "{container} cannot be created: {message}", grace=PATIENT,
    ),
    Cause(
        "RunContainerError", Place.WAITING, "RunContainerError",
        "{container} cannot be started: {message}",
        "check command, args and workingDir against the image.", grace=PATIENT,
    ),
    Cause(
        "CrashLoopBackOff", Place.WAITING, "CrashLoopBackOff",
        "{container} crashes again and again: {message}", grace=PATIENT,
    ),
)  # fmt: skip

# pkg/kubelet/kuberuntime/kuberuntime_container.go (toKubeContainerStatus); containerd's and runc's reasons
_CRASHES = tuple(
    cause
    for place, again, grace in (
        (Place.CRASH, ", restarted {restarts}", PATIENT),
        (Place.ENDED, "", None),
    )
    for cause in (
        Cause(
            "OOMKilled", place, "OOMKilled",
            "{container} was killed because it used more memory than its limit{limit}" + again,
            "raise resources.limits.memory, or make it use less.", grace=grace,
        ),
        Cause(
            "RunContainerError", place, "ContainerCannotRun|StartError",
            "{container} cannot be started: {message}",
            "check command, args and workingDir against the image.", grace=grace,
        ),
        Cause(
            "CrashLoopBackOff" if place is Place.CRASH else "ContainerFailed", place, ".*",
            "{container} ended with {ended}{said}" + again, grace=grace,
        ),
    )
)  # fmt: skip

_NODES = r"^\d+/\d+ nodes are available: "
_END = r"(?:\. (?:preemption|no new claims)|\.?$)"

# pkg/scheduler/framework/types.go: FitError.Error; pkg/kubelet/eviction/eviction_manager.go and
# pkg/kubelet/lifecycle/predicate.go: why a node rejects a Pod, or ends it
_PODS = (
    Cause(
        "FailedScheduling", Place.CONDITION, "SchedulingGated",
        "a scheduling gate holds it back: {gates}", "whoever set the gate has to remove it.", kind="Pod",
    ),
    Cause(
        "FailedScheduling", Place.CONDITION, "Unschedulable", "no node takes it: {why}",
        "ask for less under resources.requests, or add room.",
        rf"{_NODES}(?P<why>.*?Insufficient .*?){_END}", kind="Pod",
    ),
    Cause(
        "FailedScheduling", Place.CONDITION, "Unschedulable", "no node takes it: {why}",
        "add a toleration for the taint, or a node without it.",
        rf"{_NODES}(?P<why>.*?taint.*?){_END}", kind="Pod",
    ),
    Cause(
        "FailedScheduling", Place.CONDITION, "Unschedulable", "no node takes it: {why}",
        "correct nodeSelector, affinity or topologySpreadConstraints, or label a node.",
        rf"{_NODES}(?P<why>.*?(?:affinity|selector|topology).*?){_END}", kind="Pod",
    ),
    Cause(
        "FailedScheduling", Place.CONDITION, "Unschedulable", "no node takes it: {message}", kind="Pod",
    ),
    Cause("Evicted", Place.OBJECT,
          "Evicted|Preempting|Terminated|NodeShutdown|NodeAffinity|OutOf\\w+|UnexpectedAdmissionError",
          "its node put it out ({reason}): {message}", kind="Pod"),
    Cause(
        "NotReady", Place.OBJECT, "ContainerNotReady",
        "{container} runs, but is not ready", "look at its readiness probe, and at its log.",
        kind="Pod", fallback=True,
    ),
    Cause(
        "NotReady", Place.OBJECT, "NotStarted", "it is on node {node}, whose kubelet has not started it yet",
        kind="Pod", fallback=True,
    ),
    Cause("NotReady", Place.OBJECT, "NotScheduled", "no scheduler has taken it up yet",
          "check spec.schedulerName, and that the scheduler runs.", kind="Pod", fallback=True),
)  # fmt: skip

# pkg/kubelet/events/event.go; pkg/kubelet/prober/prober.go: probe; pkg/kubelet/kubelet.go: SyncPod;
# pkg/volume/configmap/configmap.go, pkg/volume/secret/secret.go: MakePayload
_EVENTS = (
    Cause(
        "ReadinessProbe", Place.EVENT, "Unhealthy",
        "{container} is not ready: its readiness probe fails: {why}",
        "", r"Readiness probe (?:failed|errored[^:]*): (?P<why>.*)", kind="Pod/running",
    ),
    Cause(
        "LivenessProbe", Place.EVENT, "Unhealthy",
        "{container} is restarted because its liveness probe fails: {why}",
        "", r"Liveness probe (?:failed|errored[^:]*): (?P<why>.*)", kind="Pod/running",
    ),
    Cause(
        "StartupProbe", Place.EVENT, "Unhealthy",
        "{container} does not start up: its startup probe fails: {why}",
        "", r"Startup probe (?:failed|errored[^:]*): (?P<why>.*)", kind="Pod/running",
    ),
    Cause(
        "FailedMount", Place.EVENT, "FailedMount",
        "the volume {volume} cannot be mounted: {source} {name} does not exist",
        "create it, or correct the reference.",
        r'volume "(?P<volume>[^"]+)" *: (?P<source>configmap|secret) "(?P<name>[^"]+)" not found',
        kind="Pod/creating",
    ),
    Cause(
        "FailedMount", Place.EVENT, "FailedMount",
        "the volume {volume} cannot be mounted: the {source} has no key {key}",
        "add the key there, or correct the volume's items.",
        r'volume "(?P<volume>[^"]+)" *:.*? non-existent (?P<source>config|secret) key: (?P<key>\S+)',
        kind="Pod/creating",
    ),
    Cause(
        "FailedMount", Place.EVENT, "FailedMount|FailedAttachVolume|FailedMapVolume",
        "a volume cannot be mounted: {message}", kind="Pod/creating",
    ),
    Cause(
        "FailedCreatePodSandBox", Place.EVENT, "FailedCreatePodSandBox|NetworkNotReady",
        "its node cannot set it up: {message}", "this is for those who run the nodes and their network.",
        kind="Pod/creating",
    ),
)  # fmt: skip

PODS = (*_IMAGES, *_STARTS, *_CRASHES, *_PODS, *_EVENTS)
