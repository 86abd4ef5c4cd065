"""A GitRepository of another repository → which commit, as source-controller chooses it.

Source: source-controller 1.9.5, internal/controller/gitrepository_controller.go, and pkg/git 0.52, whose code
takes a tag over a range of versions, whatever the API's documentation says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.model import Manifest, ResourceRef, SourceRef
from runner.ports import Builder, Repositories
from runner.repositories import Commit, GitAccess, Keys
from runner.sources.spec import Found, Live, Objects, Spec, certificates_of, found, proxy_of, value

HONOURED = frozenset(
    {
        "ignore", "include", "interval", "provider", "proxySecretRef", "recurseSubmodules", "ref",
        "secretRef", "sparseCheckout", "suspend", "timeout", "url", "verify",
    }
)  # fmt: skip
VERSIONS = frozenset({"source.toolkit.fluxcd.io/v1", "source.toolkit.fluxcd.io/v1beta2"})
_REF = frozenset({"branch", "commit", "name", "semver", "tag"})
_HEADS, _TAGS, _PEELED = "refs/heads/", "refs/tags/", "^{}"
_DEFAULT_BRANCH = "master"  # Flux's
_TIMEOUT = 60.0
_HASH = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*")
_HINTS = {
    "certSecretRef": "Flux has no such field here; ca.crt, tls.crt and tls.key belong into spec.secretRef's.",
    "serviceAccountName": "give it a spec.secretRef.",
}


@dataclass(frozen=True, slots=True)
class WantedCommit:
    """One commit; `revision` is `main@sha1:<hex>`."""

    access: GitAccess
    revision: str
    commit: Commit
    ignore: str = ""


@dataclass(frozen=True, slots=True)
class GitRepositories:
    """Reads the repositories that GitRepositories stand for."""

    fetch: Callable[[], Repositories]  # connects to nothing
    builder: Builder
    live: Live

    def find(self, source: SourceRef, manifest: Manifest, objects: Objects, recorded: str) -> Found:
        wanted = self.wanted(source, manifest, objects, recorded)

        def pull(target: Path) -> tuple[str, ...]:
            return self.fetch().pull(wanted.access, wanted.commit, target)

        return Found(wanted, wanted.revision, wanted.ignore, packed=True, pull=pull)

    def wanted(self, source: SourceRef, manifest: Manifest, objects: Objects, recorded: str) -> WantedCommit:
        """What a GitRepository stands for now; while it is suspended, what it stood for (`recorded`).

        Raises:
            UsageError: it is malformed, asks for what is not supported, or needs what cannot be had.
            SourceError: the server cannot be asked.
        """
        spec = Spec(source, _checked(source, manifest))
        ref = spec.part("ref", _REF)
        only = _only(spec)
        submodules = spec.flag("recurseSubmodules") and not only  # Flux has none in a sparse checkout
        access, keys = self._access(source, spec, objects), self._keys(source, spec, objects)
        if spec.flag("suspend"):
            commit, revision = _recorded(spec, recorded), recorded
        else:
            commit = self._commit(spec, ref, access)
            revision = _revision(ref, commit)
        commit = replace(commit, only=only, keys=keys, submodules=submodules)
        return WantedCommit(access, revision, commit, spec.text("ignore"))

    def _commit(self, spec: Spec, ref: Spec, access: GitAccess) -> Commit:
        """Flux's order: the commit, the name, the tag, the newest of a range, else the branch."""
        branch = _named(ref, "branch")
        if commit := ref.text("commit"):
            if not _HASH.fullmatch(commit):
                raise spec.wrong(f"has spec.ref.commit {commit!r}", hint="it is 40 hexadecimal digits.")
            name = _named(ref, "name")
            return Commit(commit, name or (f"{_HEADS}{branch}" if branch else ""))
        if name := _named(ref, "name").removesuffix(_PEELED):
            return self._tip(access, name)
        if tag := _named(ref, "tag"):
            return self._tip(access, f"{_TAGS}{tag}")
        if within := ref.text("semver"):
            return self._newest(spec, access, within)
        return self._tip(access, f"{_HEADS}{branch or _DEFAULT_BRANCH}")

    def _newest(self, spec: Spec, access: GitAccess, within: str) -> Commit:
        listed = self.fetch().refs(access, (f"{_TAGS}*",))
        tags = sorted({name.removeprefix(_TAGS).removesuffix(_PEELED) for name in listed})
        try:
            tag = self.builder.newest(tags, within)
        except UsageError as exc:
            raise spec.wrong(f"has a spec.ref that cannot be read: {exc.message}") from exc
        if not tag:
            raise spec.wrong(f"no match found for semver: {within}", hint=f"it has {len(tags)} tags.")
        return _found(listed, f"{_TAGS}{tag}", spec.source)

    def _tip(self, access: GitAccess, name: str) -> Commit:
        return _found(self.fetch().refs(access, (name, f"{name}{_PEELED}")), name, access.source)

    def _access(self, source: SourceRef, spec: Spec, objects: Objects) -> GitAccess:
        access = GitAccess(str(source), spec.text("url"), timeout=spec.duration("timeout", _TIMEOUT))
        if name := spec.part("proxySecretRef", {"name"}).text("name"):
            if access.url.startswith("ssh:"):
                raise spec.wrong("sets spec.proxySecretRef, which is not supported over ssh")
            secret = self._secret(source, name, objects)
            access = replace(access, proxy=proxy_of(secret, f"{source}: Secret {name}"))
        if name := spec.part("secretRef", {"name"}).text("name"):
            access = _login(access, self._secret(source, name, objects), f"{source}: Secret {name}")
        return access

    def _keys(self, source: SourceRef, spec: Spec, objects: Objects) -> Keys | None:
        verify = spec.part("verify", {"mode", "provider", "secretRef"})
        if not verify.values:
            return None
        mode = verify.text("mode") or "HEAD"
        if mode not in {"head", "HEAD", "Tag", "TagAndHEAD"}:
            raise spec.wrong(f"has spec.verify.mode {mode!r}", hint="it is HEAD, Tag or TagAndHEAD.")
        name = verify.part("secretRef", {"name"}).text("name")
        if not name:
            raise spec.wrong("has a spec.verify without secretRef.name", hint="it names the public keys.")
        secret, what = self._secret(source, name, objects), f"{source}: Secret {name}"
        names = sorted({**(secret.get("data") or {}), **(secret.get("stringData") or {})})
        pgp = tuple(value(secret, each, what) for each in names if not each.endswith(".sshpub"))
        ssh = tuple(value(secret, each, what) for each in names if each.endswith(".sshpub"))
        return Keys(head=mode != "Tag", tag=mode.startswith("Tag"), pgp=pgp, ssh=ssh)

    def _secret(self, source: SourceRef, name: str, objects: Objects) -> Manifest:
        return found(ResourceRef(source.namespace, name, "", "Secret", "v1"), objects, self.live)


def _checked(source: SourceRef, manifest: Manifest) -> Mapping[str, Any]:
    """The spec of a GitRepository that can be honoured. Raises UsageError."""
    version, spec = str(manifest.get("apiVersion")), manifest.get("spec")
    if version not in VERSIONS:
        raise UsageError(f"{source} is of {version}, which is not supported", hint="use v1.")
    if not isinstance(spec, Mapping):
        raise UsageError(f"{source} has no spec")
    provider = spec.get("provider") or "generic"
    if provider != "generic":
        raise UsageError(
            f"{source} sets spec.provider {provider}: only generic is supported",
            hint="give it a spec.secretRef with a token or a deploy key.",
        )
    wrong = sorted(str(key) for key in spec.keys() - HONOURED if spec[key])
    if wrong:
        raise UsageError(
            f"{source} sets spec.{wrong[0]}, which is not supported",
            hint=_HINTS.get(wrong[0], "leave it out."),
        )
    return spec


def _only(spec: Spec) -> tuple[str, ...]:
    """What a path of the sparse checkout begins with."""
    given = spec.values.get("sparseCheckout")
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise spec.wrong("has a spec.sparseCheckout that is no list of directories")
    return tuple(each.removeprefix("./") for each in given)


def _named(ref: Spec, field: str) -> str:
    name = ref.text(field)
    if name and (not _NAME.fullmatch(name.removesuffix(_PEELED)) or ".." in name or name.startswith("/")):
        raise ref.wrong(f"has {ref.at}.{field} {name!r}, which Git does not allow")
    return name


def _found(refs: Mapping[str, str], name: str, source: object) -> Commit:
    """What a ref names: a commit, or a tag object that names one."""
    if name not in refs:
        kind = "branch" if name.startswith(_HEADS) else "tag" if name.startswith(_TAGS) else "ref"
        short = name.removeprefix(_HEADS).removeprefix(_TAGS)
        raise UsageError(f"{source}: the repository has no {kind} {short}", hint="is spec.ref right?")
    peeled = refs.get(f"{name}{_PEELED}")
    return Commit(peeled or refs[name], name, refs[name] if peeled else "")


def _revision(ref: Spec, commit: Commit) -> str:
    """In Flux's form: with the whole ref where `name` asked for it, with its short name, or with none."""
    name = ref.text("name") or commit.ref.removeprefix(_HEADS).removeprefix(_TAGS)
    return f"{name}@sha1:{commit.id}" if name else f"sha1:{commit.id}"


def _recorded(spec: Spec, recorded: str) -> Commit:
    commit = recorded.rpartition("sha1:")[2]  # what else it was called then need not exist any more
    if not _HASH.fullmatch(commit):
        raise spec.wrong(
            "is suspended, and no revision of it is on record",
            hint="resume it, or let spec.ref.commit say which commit is meant: without `suspend`.",
        )
    return Commit(commit)


def _login(access: GitAccess, secret: Manifest, what: str) -> GitAccess:
    """Who to be, by the keys that Flux knows; a token comes before a password."""
    if value(secret, "githubAppID", what):
        raise UsageError(
            f"{what} is of a GitHub App, which is not supported",
            hint="make a token of it in an earlier step, and put that into the Secret as bearerToken.",
        )
    if access.url.startswith("ssh:"):
        return replace(
            access,
            identity=value(secret, "identity", what),
            known_hosts=value(secret, "known_hosts", what),
            password=value(secret, "password", what),
        )
    bearer = value(secret, "bearerToken", what)
    certificates = certificates_of(secret, what, required=False)
    if bearer:
        return replace(access, bearer=bearer, certificates=certificates)
    user, password = value(secret, "username", what), value(secret, "password", what)
    if password and not user:
        raise UsageError(f"{what} has a password and no username", hint="any name does for a token.")
    return replace(access, user=user, password=password, certificates=certificates)
