"""Claims, definitions, services, finalizers, and whatever has conditions."""

from __future__ import annotations

from runner.health.causes.row import AT_ONCE, SETTLED, Cause, Place

# pkg/controller/volume/persistentvolume/pv_controller.go; volume/events/event.go
_CLAIMS = (
    Cause("WaitForFirstConsumer", Place.EVENT, "WaitForFirstConsumer|WaitForPodScheduled",
          "its class binds it when a Pod uses it, and none does yet",
          "leave it out of what is waited for, or apply its Pod together with it.",
          kind="PersistentVolumeClaim"),
    Cause("FailedBinding", Place.EVENT, "FailedBinding",
          "it names no storage class, there is no default one, and no volume fits",
          "set spec.storageClassName.", "no storage class is set", kind="PersistentVolumeClaim"),
    Cause("ProvisioningFailed", Place.EVENT, "ProvisioningFailed",
          "the storage class {name} does not exist", "create it, or correct spec.storageClassName.",
          r'storageclass\.storage\.k8s\.io "(?P<name>[^"]+)" not found', kind="PersistentVolumeClaim"),
    Cause("ExternalProvisioning", Place.EVENT, "ExternalProvisioning",
          "the provisioner {name} has not made its volume yet", "check that the provisioner runs.",
          r"external provisioner '(?P<name>[^']+)'", kind="PersistentVolumeClaim", fallback=True),
    Cause("{reason}", Place.EVENT, "ProvisioningFailed|FailedBinding|VolumeMismatch",
          "no volume could be had: {message}", kind="PersistentVolumeClaim"),
    Cause("Lost", Place.OBJECT, "Lost", "the volume it was bound to, {volume}, is gone",
          "its data went with it: delete the claim, and restore.",
          kind="PersistentVolumeClaim", grace=SETTLED),
    Cause("Unbound", Place.OBJECT, "Pending", "it is not bound to a volume", kind="PersistentVolumeClaim",
          fallback=True),
)  # fmt: skip

# apiextensions-apiserver/pkg/controller/status/naming_controller.go; kube-aggregator status/remote;
# cloud-provider/controllers/service/controller.go
_SERVED = (
    Cause("NamesConflict", Place.CONDITION, "(?:Plural|Singular|ShortNames|Kind|ListKind)Conflict",
          "another definition of this group has its names already: {message}",
          "delete the other definition, or rename this one.",
          kind="CustomResourceDefinition", grace=AT_ONCE),
    Cause("NotEstablished", Place.CONDITION, "NotAccepted|NotEstablished|NonStructuralSchema",
          "the server does not serve it ({reason}): {message}", kind="CustomResourceDefinition",
          fallback=True),
    Cause("APIServiceUnavailable", Place.CONDITION, ".*",
          "the server behind it cannot be used ({reason}): {message}",
          "look at the Service and the Pods behind it.", kind="APIService"),
    Cause("LoadBalancer", Place.EVENT, "SyncLoadBalancerFailed",
          "its load balancer cannot be made: {message}", kind="Service"),
    Cause("LoadBalancer", Place.OBJECT, "LoadBalancerPending", "nobody has given it a load balancer yet",
          "check that the cluster has a controller for load balancers.", kind="Service", fallback=True),
)  # fmt: skip

# apimachinery meta/v1 (Finalizer*), pkg/volume/util/finalizer.go, apiextensions apihelpers,
# pkg/controller/namespace/deletion/status_condition_utils.go
_FINALIZERS = (
    Cause("Finalizer", Place.FINALIZER, "kubernetes.io/pvc-protection",
          "it is being deleted and waits until no Pod uses it ({reason})"),
    Cause("Finalizer", Place.FINALIZER, "kubernetes.io/pv-protection",
          "it is being deleted and waits until no claim is bound to it ({reason})"),
    Cause("Finalizer", Place.FINALIZER, "foregroundDeletion",
          "it is being deleted and waits until all that it owns is gone ({reason})"),
    Cause("Finalizer", Place.FINALIZER, "customresourcecleanup.apiextensions.k8s.io",
          "it is being deleted and waits until all objects of its kind are gone ({reason})"),
    Cause("Finalizer", Place.FINALIZER, "kubernetes",
          "it is being deleted, with all that is in it: {message}", kind="Namespace"),
    Cause("Finalizer", Place.FINALIZER, ".*",
          "it is being deleted, and the finalizer {reason} holds it",
          "whoever set the finalizer has to do its work; if that controller is gone, remove it by hand."),
    Cause("Terminating", Place.OBJECT, "Terminating",
          "it is being deleted, and comes back only when applied again", fallback=True),
)  # fmt: skip

# kstatus; Flux's and other controllers' conditions
_REST = (
    Cause("NotFound", Place.OBJECT, "NotFound", "it does not exist, and nobody made it in the meantime",
          "check kind, namespace and name under spec.healthChecks."),
    Cause("{reason}", Place.CONDITION, ".*", "its controller says: {message}"),
    Cause("NotObserved", Place.OBJECT, "NotObserved",
          "its controller has not looked at it since it was changed",
          "check that the controller runs.", fallback=True),
)  # fmt: skip

OBJECTS = (*_CLAIMS, *_SERVED, *_FINALIZERS, *_REST)
