"""Every field of Flux's Kustomization: what it may hold, and what becomes of it here.

Source: the CRD kustomize.toolkit.fluxcd.io/v1 of kustomize-controller 1.9.5.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from runner.model import DeletionPolicy


class Type(enum.StrEnum):
    """What a field holds."""

    STRING = "a string"
    BOOLEAN = "true or false"
    DURATION = "a duration"
    OBJECT = "an object"
    LIST = "a list"
    STRINGS = "an object of strings"
    ANY = "anything"  # read by kustomize, which knows its fields


class Support(enum.StrEnum):
    """What becomes of a field."""

    HONOURED = "honoured"
    DIFFERENT = "honoured, with a difference"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of `spec`; without a `support` of its own it has its parent's."""

    path: str  # below `spec`; `[]` is an entry of a list
    type: Type
    support: Support | None = None
    why: str = ""  # the difference, or the reason
    required: bool = False
    choices: tuple[str, ...] = ()
    shortest: int = 0
    longest: int = 0  # 0: any length

    @property
    def parent(self) -> str:
        """The path of what holds it; "" is `spec` itself."""
        if self.path.endswith("[]"):
            return self.path[:-2]
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        return "[]" if self.path.endswith("[]") else self.path.rpartition(".")[2]


_STRING, _BOOLEAN, _DURATION = Type.STRING, Type.BOOLEAN, Type.DURATION
_OBJECT, _LIST, _STRINGS, _ANY = Type.OBJECT, Type.LIST, Type.STRINGS, Type.ANY
_YES, _DIFFERENT, _NO = Support.HONOURED, Support.DIFFERENT, Support.REFUSED
_DROPPED = "it was in v1beta1 and v1beta2 alone, and Flux's API server drops it from v1"
_GENERATOR = "not in Flux's API, whose server drops it; merged into the kustomization file, with a warning"


def _selector(path: str) -> tuple[Field, ...]:
    """Which objects a patch or a rule is for."""
    names = ("annotationSelector", "group", "kind", "labelSelector", "name", "namespace", "version")
    return (Field(path, _OBJECT), *(Field(f"{path}.{name}", _STRING) for name in names))


FIELDS = (
    Field("buildMetadata", _LIST, _YES),
    Field("buildMetadata[]", _STRING, choices=("originAnnotations", "transformerAnnotations")),
    Field("commonMetadata", _OBJECT, _YES),
    Field("commonMetadata.annotations", _STRINGS),
    Field("commonMetadata.labels", _STRINGS),
    Field("components", _LIST, _YES),
    Field("components[]", _STRING),
    Field("configMapGenerator", _LIST, _DIFFERENT, _GENERATOR),
    Field("configMapGenerator[]", _ANY),
    Field(
        "decryption",
        _OBJECT,
        _DIFFERENT,
        "previews have no key: placeholders stand for what is encrypted; see *Secrets in Git*",
    ),
    Field("decryption.provider", _STRING, required=True, choices=("sops",)),
    Field("decryption.secretRef", _OBJECT),
    Field("decryption.secretRef.name", _STRING, required=True),
    Field(
        "decryption.serviceAccountName",
        _STRING,
        _NO,
        "a service account of the cluster gives no cloud credentials to a run; give them to the job",
    ),
    Field("deletionPolicy", _STRING, _YES, choices=tuple(DeletionPolicy)),
    Field(
        "dependsOn",
        _LIST,
        _DIFFERENT,
        "a dependent starts when its dependency is ready, not at the next poll; a cycle is an error",
    ),
    Field("dependsOn[]", _OBJECT),
    Field("dependsOn[].name", _STRING, required=True),
    Field("dependsOn[].namespace", _STRING),
    Field(
        "dependsOn[].readyExpr",
        _STRING,
        _DIFFERENT,
        "asked once the dependency has started, and again whenever it gets further; once it has ended, "
        "what is not true is a failure",
    ),
    Field(
        "force",
        _BOOLEAN,
        _DIFFERENT,
        "only where the server says that a field is immutable, and would take the object anew",
    ),
    Field(
        "healthCheckExprs",
        _LIST,
        _DIFFERENT,
        "what is no expression, or fails whatever the object is, is refused before anything is applied; "
        "as in Flux, Jobs keep their own rule",
    ),
    Field("healthCheckExprs[]", _OBJECT),
    Field("healthCheckExprs[].apiVersion", _STRING, required=True),
    Field("healthCheckExprs[].current", _STRING, required=True),
    Field("healthCheckExprs[].failed", _STRING),
    Field("healthCheckExprs[].inProgress", _STRING),
    Field("healthCheckExprs[].kind", _STRING),
    Field("healthChecks", _LIST, _YES),
    Field("healthChecks[]", _OBJECT),
    Field("healthChecks[].apiVersion", _STRING),
    Field("healthChecks[].kind", _STRING, required=True),
    Field("healthChecks[].name", _STRING, required=True),
    Field("healthChecks[].namespace", _STRING),
    Field("ignore", _LIST, _YES),
    Field("ignore[]", _OBJECT),
    Field("ignore[].paths", _LIST, required=True),
    Field("ignore[].paths[]", _STRING),
    *_selector("ignore[].target"),
    Field("ignoreMissingComponents", _BOOLEAN, _YES),
    Field("images", _LIST, _YES),
    Field("images[]", _OBJECT),
    Field("images[].digest", _STRING),
    Field("images[].name", _STRING, required=True),
    Field("images[].newName", _STRING),
    Field("images[].newTag", _STRING),
    Field(
        "interval",
        _DURATION,
        _DIFFERENT,
        "it only gives `timeout` its default; when to run is your schedule's decision",
        required=True,
    ),
    Field(
        "kubeConfig",
        _OBJECT,
        _DIFFERENT,
        "by a Secret with a kubeconfig; a preview asks that cluster only with `--read-secrets`; see "
        "*Other clusters*",
    ),
    Field(
        "kubeConfig.configMapRef",
        _OBJECT,
        _NO,
        "the workload identity of a controller is not a run's; give a kubeconfig in a Secret",
    ),
    Field("kubeConfig.configMapRef.name", _STRING, required=True),
    Field("kubeConfig.secretRef", _OBJECT),
    Field("kubeConfig.secretRef.key", _STRING),
    Field("kubeConfig.secretRef.name", _STRING, required=True),
    Field("namePrefix", _STRING, _YES, shortest=1, longest=200),
    Field("nameSuffix", _STRING, _YES, shortest=1, longest=200),
    Field("patches", _LIST, _YES),
    Field("patches[]", _OBJECT),
    Field("patches[].patch", _STRING, required=True),
    *_selector("patches[].target"),
    Field("patchesJson6902", _ANY, _NO, f"{_DROPPED}; write it as `patches`"),
    Field("patchesStrategicMerge", _ANY, _NO, f"{_DROPPED}; write it as `patches`"),
    Field("path", _STRING, _YES),
    Field("postBuild", _OBJECT, _YES),
    Field("postBuild.substitute", _STRINGS),
    Field(
        "postBuild.substituteFrom",
        _LIST,
        _DIFFERENT,
        "a source that a Kustomization of the entry makes is read from the commit; else from the cluster",
    ),
    Field("postBuild.substituteFrom[]", _OBJECT),
    Field("postBuild.substituteFrom[].kind", _STRING, required=True, choices=("Secret", "ConfigMap")),
    Field("postBuild.substituteFrom[].name", _STRING, required=True, shortest=1, longest=253),
    Field("postBuild.substituteFrom[].optional", _BOOLEAN),
    Field("postBuild.substituteStrategy", _STRING, choices=("WithVariables", "Always")),
    Field(
        "prune",
        _BOOLEAN,
        _DIFFERENT,
        "after health, not before; the guards above may hold it back",
        required=True,
    ),
    Field(
        "retryInterval",
        _DURATION,
        _DIFFERENT,
        "the pause before another attempt within the run (`retries`); else the next run tries again",
    ),
    Field("secretGenerator", _LIST, _DIFFERENT, _GENERATOR),
    Field("secretGenerator[]", _ANY),
    Field(
        "serviceAccountName",
        _STRING,
        _DIFFERENT,
        "by impersonation, which the run's credentials have to allow; see *Other rights*",
    ),
    Field("sourceRef", _OBJECT, _YES, required=True),
    Field("sourceRef.apiVersion", _STRING, _YES, "ignored, as Flux ignores it"),
    Field(
        "sourceRef.kind",
        _STRING,
        _DIFFERENT,
        "an `OCIRepository` or `GitRepository` (this checkout, where it is the root's or has this "
        "repository's URL and branch), an `ExternalArtifact` made of these; or `kustodian.yaml` maps it",
        required=True,
        choices=("OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"),
    ),
    Field("sourceRef.name", _STRING, required=True),
    Field("sourceRef.namespace", _STRING),
    Field("suspend", _BOOLEAN, _YES),
    Field("targetNamespace", _STRING, _YES, shortest=1, longest=63),
    Field("timeout", _DURATION, _DIFFERENT, "as written, without Flux's floor of 30 seconds"),
    Field("validation", _ANY, _NO, f"{_DROPPED}; leave it out: everything is checked by a dry-run"),
    Field("wait", _BOOLEAN, _YES),
)


def _below() -> Mapping[str, Mapping[str, Field]]:
    found: dict[str, dict[str, Field]] = {}
    for field in FIELDS:
        found.setdefault(field.parent, {})[field.name] = field
    return MappingProxyType(found)


BELOW = _below()
"""Path of an object or a list → its fields by name; a list has one, `[]`."""
