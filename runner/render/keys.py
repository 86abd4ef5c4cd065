"""With what a Kustomization's SOPS files may be opened, and opening them on the way through a build.

Source of the rules: kustomize-controller's decryptor. The Secret of `decryption.secretRef` is read from the
desired state or the cluster; keys that were given to the run count where there is no `secretRef`, as Flux's
global key does, and where its Secret is not there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner import redact
from runner.errors import DecryptionError
from runner.fleet import Keys, Produced
from runner.model import Kustomization, Manifest, ResourceRef
from runner.ports import Builder, Opener
from runner.render.variables import Live, NotRead
from runner.rendered import BuildRequest, Built, Problem, RenderedResource, Sealed

_ROUNDS = 2  # sealed files, then sealed resources
_HINT = (
    "give the run a key that opens it: in the Secret that decryption.secretRef names, or as SOPS_AGE_KEY or "
    "SOPS_PGP_KEY."
)


@dataclass(frozen=True, slots=True)
class Keyring:
    """What a run opens SOPS files with; a run without one opens none."""

    opener: Opener
    given: Mapping[str, str] = field(default_factory=dict, repr=False)  # base64, by names as in a Secret
    needed: bool = True  # False: what has no key stays sealed


def find(
    k: Kustomization, desired: Mapping[ResourceRef, Produced], live: Live, keyring: Keyring | None
) -> tuple[Keys | None, frozenset[str]]:
    """The keys of one Kustomization, and who produces their Secret; None when nothing is decrypted.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    if not k.decrypts:
        return None, frozenset()
    source = k.keys_from
    if keyring is None:
        return Keys(asked=False), frozenset()
    if source is None:
        return Keys(asked=keyring.needed or bool(keyring.given), given=keyring.given), frozenset()
    producer, secret = "", live(source)
    produced = desired.get(source.ref)
    if produced is not None and produced.kustomization != k.id:
        producer = produced.kustomization
        secret = None if redact.is_sealed(produced.object) else produced.object
    producers = frozenset({producer} if producer else ())
    if isinstance(secret, NotRead):
        return Keys(asked=False), producers
    if secret is not None:
        return Keys(source=source, values=_data(secret)), producers
    if keyring.given:
        return Keys(given=keyring.given), producers
    return Keys(source=source, missing=True), producers


def missing(keys: Keys) -> Problem:
    """Why nothing can be opened: Flux's text, and what to do."""
    name = keys.source.name if keys.source else ""
    return Problem(
        "decryption", f'secrets "{name}" not found: {keys.source} has the keys', "decrypt", hint=_HINT
    )


def build(builder: Builder, request: BuildRequest, keys: Keys, opener: Opener) -> Built:
    """Build with everything opened, and how that may be shown.

    What is shown comes from a build with placeholders. Where something goes wrong with opened texts, it is
    not told how: whoever complains may quote them.
    """
    opened: dict[str, bytes] = {}
    built = builder.build(replace(request, open=True))
    for _ in range(_ROUNDS):
        if not built.sealed:
            break
        found = _open(opener, keys, built.sealed)
        if isinstance(found, tuple):
            return Built(closure=built.closure, problems=found)
        opened |= found
        built = builder.build(replace(request, open=True, opened=opened))
    if not opened:
        return built
    closed = builder.build(request)
    if built.problems:
        return replace(built, resources=(), warnings=(), problems=_veiled(built.problems, closed.problems))
    return replace(built, resources=_masked(built.resources, closed.resources), warnings=closed.warnings)


def _open(opener: Opener, keys: Keys, sealed: Sequence[Sealed]) -> dict[str, bytes] | tuple[Problem, ...]:
    secret = f"{keys.source.namespace}/{keys.source.name}" if keys.source else ""
    try:
        answers = opener.open(secret, keys.values, keys.given, sealed)
    except DecryptionError as exc:
        return (Problem("decryption", exc.message, "decrypt", hint=exc.hint or _HINT),)
    problems = tuple(
        Problem("decryption", item.prefix + answer.error, "decrypt", item.subject, file=item.file, hint=_HINT)
        for item, answer in zip(sealed, answers, strict=True)
        if answer.error
    )
    return problems or {item.id: answer.data for item, answer in zip(sealed, answers, strict=True)}


def _veiled(problems: Sequence[Problem], harmless: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(
        problem
        if problem in harmless
        else Problem(
            problem.code,
            f"the {problem.stage or 'build'} fails on what was decrypted; how is not told: that may quote it",
            problem.stage,
            problem.subject,
            file=problem.file,
        )
        for problem in problems
    )


def _masked(
    real: Sequence[RenderedResource], closed: Sequence[RenderedResource]
) -> tuple[RenderedResource, ...]:
    """Each object with its view; where the two builds do not match, that is the object's name alone."""
    if [_kind(each.object) for each in real] != [_kind(each.object) for each in closed]:
        return tuple(replace(each, display=_identity(each.object)) for each in real)
    return tuple(replace(each, display=view.shown) for each, view in zip(real, closed, strict=True))


def _kind(manifest: Manifest) -> tuple[object, object]:
    return manifest["apiVersion"], manifest["kind"]


def _identity(manifest: Manifest) -> dict[str, object]:
    names = {key: value for key, value in manifest["metadata"].items() if key in {"name", "namespace"}}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": names}


def _data(secret: Manifest) -> dict[str, str]:
    data = {str(key): str(value) for key, value in (secret.get("data") or {}).items()}
    text = secret.get("stringData") or {}
    return data | {str(key): b64encode(str(value).encode()).decode() for key, value in text.items()}
